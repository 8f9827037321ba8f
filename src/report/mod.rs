//! The page of a run: one HTML file that needs nothing else.

mod charts;
mod view;

use std::path::PathBuf;

use askama::Template;

use crate::{
    error::{Error, Result},
    judge::Found,
    track::{self, atomic},
    train::Trained,
};

/// The page's name in a run's folder.
pub const FILE: &str = "report.html";

/// Writes what was found of a run as `report.html` into its folder.
///
/// # Errors
/// A journal that cannot be read, or a folder that cannot be written to.
pub fn write(trained: &Trained, found: &Found) -> Result<PathBuf> {
    let journal = trained.dir.journal();
    let events = if journal.is_file() { track::read(&journal)? } else { Vec::new() };
    let page = view::Page::new(trained, found, &events)?;
    let html = page.render().map_err(|e| Error::failed(format!("the page could not be written: {e}")))?;
    let path = trained.dir.path().join(FILE);
    atomic::write(&path, html.as_bytes())?;
    Ok(path)
}
