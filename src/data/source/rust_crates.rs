//! The data set `rust-crates`: the sources of kiln's own locked dependencies, which cargo has put on this machine to
//! build kiln. So the first training run needs no download, and `Cargo.lock` pins every byte of its corpus.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::files;
use crate::error::{Error, IoContext, Result};

/// The name in `data.source = { dataset = ".." }`.
pub const NAME: &str = "rust-crates";

/// Crates that every default build downloads, on every platform, in one version each; written by people rather than
/// generated, about 40 MB in all.
const CRATES: &[&str] = &[
    "aho-corasick",
    "annotate-snippets",
    "anyhow",
    "arrow-arith",
    "arrow-array",
    "arrow-buffer",
    "arrow-cast",
    "arrow-data",
    "arrow-ipc",
    "arrow-ord",
    "arrow-row",
    "arrow-schema",
    "arrow-select",
    "arrow-string",
    "bitflags",
    "blake3",
    "bstr",
    "burn-autodiff",
    "burn-backend",
    "burn-core",
    "burn-dispatch",
    "burn-flex",
    "burn-ir",
    "burn-ndarray",
    "burn-nn",
    "burn-optim",
    "burn-std",
    "burn-tensor",
    "bytes",
    "chrono",
    "clap_builder",
    "clap_complete",
    "clap_derive",
    "console",
    "crossbeam-channel",
    "crossbeam-epoch",
    "crossbeam-utils",
    "csv",
    "csv-core",
    "either",
    "fdeflate",
    "flate2",
    "half",
    "http",
    "image",
    "indexmap",
    "indicatif",
    "log",
    "memchr",
    "once_cell",
    "parking_lot",
    "parquet",
    "png",
    "proc-macro2",
    "quote",
    "rayon",
    "rayon-core",
    "regex",
    "rustls",
    "schemars",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "smallvec",
    "sysinfo",
    "tempfile",
    "tokenizers",
    "toml",
    "toml_edit",
    "toml_parser",
    "uuid",
    "winnow",
    "zerocopy",
];

const LOCK: &str = include_str!("../../../Cargo.lock");

/// The Rust files of [`CRATES`], shuffled by a hash of their names so that every split holds all kinds of crates.
///
/// # Errors
/// A crate that cargo has not downloaded.
pub fn files() -> Result<Vec<PathBuf>> {
    let versions = versions(LOCK);
    let registries = registries(&cargo_home()?)?;
    let mut keyed = Vec::new();
    for name in CRATES {
        let version = versions.get(name).copied().unwrap_or_default();
        let folder = find(&registries, name, version)?;
        for path in files::below(&folder.join("src"))? {
            if path.extension().is_some_and(|e| e == "rs") {
                let within = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                keyed.push((*blake3::hash(format!("{name}/{within}").as_bytes()).as_bytes(), path));
            }
        }
    }
    keyed.sort();
    Ok(keyed.into_iter().map(|(_, path)| path).collect())
}

/// The version of every locked crate, by name.
fn versions(lock: &str) -> BTreeMap<&str, &str> {
    let packages = lock.split("[[package]]");
    packages.filter_map(|package| Some((value(package, "name")?, value(package, "version")?))).collect()
}

fn value<'a>(package: &'a str, key: &str) -> Option<&'a str> {
    let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    line.strip_suffix('"')
}

fn cargo_home() -> Result<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).ok_or_else(|| {
        Error::input("cargo's folder is unknown: neither CARGO_HOME nor HOME is set").next("set CARGO_HOME")
    })
}

/// Where cargo unpacks crates: a folder per registry.
fn registries(home: &Path) -> Result<Vec<PathBuf>> {
    let src = home.join("registry").join("src");
    let listed = std::fs::read_dir(&src).map_err(|_| missing("any crate", &src))?;
    let mut folders = Vec::new();
    for entry in listed {
        folders.push(entry.io("list", &src)?.path());
    }
    folders.sort();
    Ok(folders)
}

fn find(registries: &[PathBuf], name: &str, version: &str) -> Result<PathBuf> {
    let folder = format!("{name}-{version}");
    let found = registries.iter().map(|r| r.join(&folder)).find(|f| f.join("src").is_dir());
    let place = registries.first().cloned().unwrap_or_default();
    found.ok_or_else(|| missing(&format!("the crate {name} {version}"), &place))
}

fn missing(what: &str, place: &Path) -> Error {
    Error::input(format!("the data set `{NAME}` needs the source of {what}, which is not in {}", place.display()))
        .next("run `cargo fetch` in kiln's checkout, which downloads it")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_is_locked_in_one_version() {
        for name in CRATES {
            let locked = LOCK.matches(&format!("\nname = \"{name}\"\n")).count();
            assert_eq!(locked, 1, "{name} is locked in {locked} versions");
        }
        assert!(CRATES.is_sorted());
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2\"\n";
        assert_eq!(versions(lock), BTreeMap::from([("a", "1.0"), ("b", "2")]));
    }

    #[test]
    fn the_corpus_is_here_and_in_a_fixed_order() {
        let files = files().unwrap();
        assert_eq!(files, super::files().unwrap());
        assert!(files.len() > 1500);
        let bytes: u64 = files.iter().map(|f| std::fs::metadata(f).unwrap().len()).sum();
        assert!((20_000_000..80_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_missing_crate_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(&[folder.path().to_owned()], "serde", "1.0.0").unwrap_err().to_string();
        assert!(error.contains("serde 1.0.0") && error.contains("cargo fetch"), "{error}");
        assert!(registries(folder.path()).unwrap_err().to_string().contains("cargo fetch"));
    }
}
