//! A table's profile: types told by the first training rows, then one pass over all of them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::Cell;
use super::prepare::{Request, Table};
use crate::data::profile::{Profile, Survey, TargetKind};
use crate::data::{ColumnType, DataConfig, Source, TaskKind};
use crate::error::Result;

/// Profiles the rows of all files, each with its split.
///
/// # Errors
/// An unknown column, or a file that cannot be read; values that do not fit are counted, not refused.
pub(in crate::data) fn profile(files: &[PathBuf], config: &DataConfig, request: Request<'_>) -> Result<Profile> {
    let table = Table::new(files, config, request)?;
    let splitter = table.splitter()?;
    let guesses = table.guesses(&splitter)?;
    let left_out: Vec<bool> = table.settings.iter().map(|own| own.kind == Some(ColumnType::Drop)).collect();
    // A column that the config drops is described as what it holds.
    let said = table.settings.iter().map(|own| own.kind.filter(|kind| *kind != ColumnType::Drop));
    let kinds: Vec<ColumnType> = said.zip(guesses).map(|(said, guess)| said.unwrap_or(guess)).collect();
    let target = match config.task {
        TaskKind::Classification => TargetKind::Classes,
        _ => TargetKind::Values,
    };
    let name = table.plan.targets.first().map_or("", String::as_str);
    let mut survey = Survey::new(&table.plan.features, &kinds, &table.settings, (name, target), &left_out);
    table.each(&splitter, &mut |row| {
        survey.add(row.split, row.features, row.targets.first().unwrap_or(&Cell::Missing));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(survey.finish(words(&config.source, files)))
}

fn words(source: &Source, files: &[PathBuf]) -> String {
    match (source, files) {
        (Source::Dataset(name), _) => name.clone(),
        (_, [file]) => file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        (_, files) => format!("{} files", files.len()),
    }
}
