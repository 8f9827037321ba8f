//! Pages of a run and of a table: one HTML file each that needs nothing else.

mod charts;
mod profile;
mod run;

use std::path::{Path, PathBuf};

use askama::Template;

use crate::{
    data::profile::Profile,
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
    let page = run::Page::new(trained, found, &events)?;
    let path = trained.dir.path().join(FILE);
    rendered(&page, &path)?;
    Ok(path)
}

/// Writes a table's profile to `path`.
///
/// # Errors
/// A place that cannot be written to.
pub fn write_profile(profile: &Profile, path: &Path) -> Result<()> {
    rendered(&profile::Page::new(profile)?, path)
}

fn rendered(page: &impl Template, path: &Path) -> Result<()> {
    let html = page.render().map_err(|e| Error::failed(format!("the page could not be written: {e}")))?;
    atomic::write(path, html.as_bytes())
}
