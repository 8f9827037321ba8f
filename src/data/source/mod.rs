//! Where examples come from: files on this machine, downloads, and kiln's own dependencies.

mod files;
pub mod idx;
pub mod images;
#[cfg(feature = "object-store")]
mod objects;
mod rust_crates;
mod sql;
pub mod table;
mod text;

use std::path::{Path, PathBuf};

pub(super) use files::below as files_below;
#[cfg(test)]
pub(crate) use sink::Kept;
#[cfg(feature = "sql")]
pub use sql::connect;
pub use sql::{check as check_sql, from_base};
pub(super) use text::{Chunk, Corpus, Reading};

use super::{DataConfig, Format, RecordSink, Records, Source, SqlSource, TaskKind, fetch};
use crate::error::{Error, Result};
use table::Request;

/// A source, found on this machine.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The config, with what a named data set knows of itself.
    pub config: DataConfig,
    /// How the files are laid out.
    pub format: Format,
    /// The files, in the order in which they are read.
    pub files: Vec<PathBuf>,
    /// What their names are relative to.
    pub folder: PathBuf,
}

impl Resolved {
    /// The files' names where they say something: classes of pictures, parts of IDX.
    pub fn names(&self) -> Vec<String> {
        match self.format {
            Format::Idx | Format::Images | Format::Documents => {
                let name = |f: &PathBuf| f.strip_prefix(&self.folder).unwrap_or(f).to_string_lossy().into_owned();
                self.files.iter().map(name).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Reads every example into `sink`.
    pub fn read(&self, request: Request<'_>, sink: &mut dyn RecordSink) -> Result<Records> {
        let limit = self.config.limit;
        match self.format {
            Format::Text => Err(Error::failed("text is not read as records")),
            Format::Idx => idx::read(&self.folder, limit, sink),
            Format::Images => images::read(&self.folder, &self.config, limit, sink),
            Format::Csv | Format::Parquet | Format::Jsonl | Format::Documents => {
                table::read(&self.files, &self.config, request, sink)
            }
        }
    }
}

/// Finds the source's files, downloading them if need be. Relative paths start from `base`.
///
/// # Errors
/// A missing file, a failed download, or a layout that cannot be told.
pub(super) fn resolve(config: &DataConfig, base: &Path, progress: &dyn Fn(&str)) -> Result<Resolved> {
    let mut config = config.clone();
    config.hold_out_by_time();
    let (files, folder) = match &config.source {
        Source::Dataset(name) if name == rust_crates::NAME => {
            config.format = Some(Format::Text);
            (rust_crates::files()?, PathBuf::new())
        }
        Source::Dataset(name) => {
            let fetched = fetch::named(name, progress)?;
            config.format = config.format.or(Some(fetched.format));
            config.header = fetched.header.unwrap_or(config.header);
            config.delimiter = fetched.delimiter.unwrap_or(config.delimiter);
            config.skip = fetched.skip.unwrap_or(config.skip);
            if config.target.is_empty() {
                config.target = fetched.target;
            }
            if config.names.is_empty() {
                config.names = fetched.names;
            }
            (fetched.files, fetched.folder)
        }
        Source::Path(path) => local(&base.join(path))?,
        Source::Glob(pattern) => (files::glob(base, pattern)?, base.to_owned()),
        Source::Url(url) if is_object(url) => (objects(url, progress)?, PathBuf::new()),
        Source::Url(url) => (vec![fetch::url(url, config.sha256.as_deref(), progress)?], PathBuf::new()),
        Source::Sql(SqlSource { sql, query }) => {
            config.format = Some(Format::Parquet);
            (vec![sql::rows(&sql::from_base(sql, base), query, progress)?], PathBuf::new())
        }
    };
    if files.is_empty() {
        return Err(Error::input(format!("{} holds no files", folder.display())).next("check `data.source`"));
    }
    let format = match config.format {
        Some(format) => format,
        None => infer(config.task, &files, &folder)?,
    };
    Ok(Resolved { config, format, files, folder })
}

/// Whether an address is one of S3, Google Cloud Storage or Azure.
pub fn is_object(address: &str) -> bool {
    ["s3://", "s3a://", "gs://", "az://", "azure://", "abfs://", "abfss://"].iter().any(|it| address.starts_with(it))
}

#[cfg(feature = "object-store")]
fn objects(address: &str, progress: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    objects::bring(address, &fetch::downloads_dir()?, progress)
}

#[cfg(not(feature = "object-store"))]
fn objects(address: &str, _: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    Err(Error::input(format!("this build reads no object stores, and `data.source.url` is `{address}`"))
        .next("add them with `cargo build --release --features object-store`"))
}

/// Forgets what a query gave, so that [`super::prepare`] asks the database again.
///
/// # Errors
/// The kept rows can't be removed.
pub fn forget(source: &Source, base: &Path) -> Result<()> {
    match source {
        Source::Sql(SqlSource { sql, query }) => sql::forget(&sql::from_base(sql, base), query),
        _ => Err(Error::input("`data.source` is no query, and its files are looked at anew every time")
            .next("leave `--refresh` out")),
    }
}

/// The names that a CSV file without a header has by the config or by its data set.
pub fn names(config: &DataConfig) -> Result<Vec<String>> {
    match &config.source {
        Source::Dataset(name) if config.names.is_empty() && name != rust_crates::NAME => fetch::names(name),
        _ => Ok(config.names.clone()),
    }
}

fn local(path: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
    if path.is_dir() {
        return Ok((files::below(path)?, path.to_owned()));
    }
    if !path.is_file() {
        return Err(Error::input(format!("there is no file or folder {}", path.display()))
            .next("check `data.source`; relative paths start from the config file"));
    }
    Ok((vec![path.to_owned()], path.parent().unwrap_or(Path::new("")).to_owned()))
}

/// The layout by the files' names.
fn infer(task: TaskKind, files: &[PathBuf], folder: &Path) -> Result<Format> {
    if task == TaskKind::LanguageModel {
        return Ok(Format::Text);
    }
    let name = |f: &PathBuf| f.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let of = |f: &PathBuf| {
        let name = name(f);
        let name = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        match name.rsplit('.').next().unwrap_or_default() {
            _ if name.contains("-idx3-ubyte") || name.contains("-idx1-ubyte") => Some(Format::Idx),
            "csv" | "tsv" => Some(Format::Csv),
            "parquet" | "pq" | "brotli" => Some(Format::Parquet),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "png" | "jpg" | "jpeg" => Some(Format::Images),
            _ => None,
        }
    };
    files.iter().find_map(of).ok_or_else(|| {
        let place = files.first().filter(|_| files.len() == 1).map_or(folder, |f| f.as_path());
        Error::input(format!("the layout of {} cannot be told from its name", place.display()))
            .next("set `data.format` to \"idx\", \"images\", \"csv\", \"parquet\", \"jsonl\" or \"documents\"")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn layouts_follow_names() {
        let of = |task, name: &str| infer(task, &[PathBuf::from(name)], Path::new(""));
        for (name, format) in [
            ("a.csv", Format::Csv),
            ("a.CSV.gz", Format::Csv),
            ("a.parquet.brotli", Format::Parquet),
            ("a.jsonl", Format::Jsonl),
            ("t10k-images-idx3-ubyte.gz", Format::Idx),
            ("cat/1.jpeg", Format::Images),
        ] {
            assert_eq!(of(TaskKind::Classification, name).unwrap(), format);
        }
        assert_eq!(of(TaskKind::LanguageModel, "a.rs").unwrap(), Format::Text);
        assert!(of(TaskKind::Regression, "a.dat").unwrap_err().to_string().contains("data.format"));
    }
}

#[cfg(test)]
mod sink {
    use crate::data::{Features, RecordSink, Split, Target};
    use crate::error::Result;

    /// A sink that keeps every row in memory as `(split, features, target)`.
    #[derive(Debug, Default)]
    pub(crate) struct Kept {
        pub(crate) rows: Vec<(Option<Split>, Vec<f32>, Vec<f32>)>,
    }

    impl RecordSink for Kept {
        fn push(&mut self, split: Option<Split>, features: Features<'_>, target: Target<'_>) -> Result<()> {
            let features = match features {
                Features::U8(bytes) => bytes.iter().map(|&byte| f32::from(byte)).collect(),
                Features::F32(values) => values.to_vec(),
                Features::Tokens { ids, .. } => ids.iter().map(|&id| id as f32).collect(),
            };
            let target = match target {
                Target::Class(class) => vec![class as f32],
                Target::Values(values) => values.to_vec(),
            };
            self.rows.push((split, features, target));
            Ok(())
        }
    }
}
