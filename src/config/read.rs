//! Reads a config file: bounded, UTF-8, and helpful when it is not there.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::suggest::nearest;
use crate::error::{Error, IoContext, Result};

/// The largest config: 1 MiB. The largest anyone writes by hand is a hundredth of it.
const LIMIT: u64 = 1 << 20;

/// The text of the config at `path`; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return text(io::stdin().lock(), path);
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(folder(path)),
        Ok(_) => text(File::open(path).io("read", path)?, path),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(missing(path)),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn text(source: impl Read, path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes).io("read", path)?;
    let name = path.display();
    if bytes.len() as u64 > LIMIT {
        let message = format!("{name} is larger than 1 MiB, which no config is");
        return Err(Error::input(message).next("give the path of a config, not of its data or weights"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..good).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = good - before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1) + 1;
        Error::input(format!("{name}:{line}:{column}: this byte is not UTF-8 text")).next("save the file as UTF-8")
    })
}

fn folder(path: &Path) -> Error {
    let error = Error::input(format!("{} is a folder, not a config", path.display()));
    match names(&configs_in(path)).as_str() {
        "" => error.next("give the path of a *.toml file"),
        names => error.next(format!("give one of the files in it: {names}")),
    }
}

fn missing(path: &Path) -> Error {
    let error = Error::input(format!("there is no config {}", path.display()));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut near = configs_in(parent);
    near.extend(configs_in(&parent.join("configs")));
    let stems: Vec<String> = near.iter().map(|file| stem(file)).collect();
    if let Some(meant) = nearest(&stem(path), stems.iter().map(String::as_str))
        && let Some(file) = near.iter().find(|file| stem(file) == meant)
    {
        return error.next(format!("did you mean {}?", file.display()));
    }
    match names(&near).as_str() {
        "" => error.next("check the path"),
        names => error.next(format!("the configs near by are {names}")),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The `*.toml` files of a folder, sorted; nothing if it can't be read.
fn configs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path))
        .collect();
    files.sort();
    files
}

fn names(files: &[PathBuf]) -> String {
    const SHOWN: usize = 12;
    let names: Vec<_> = files.iter().take(SHOWN).map(|file| file.display().to_string()).collect();
    names.join(", ") + if files.len() > SHOWN { ", ..." } else { "" }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fault(path: &Path, root: &Path) -> String {
        read(path).unwrap_err().to_string().replace(&root.display().to_string(), "DIR")
    }

    #[test]
    fn what_is_no_config_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join("latin.toml"), b"[run]\nname = \"caf\xe9\"\n").unwrap();
        let shown = fault(&root.join("latin.toml"), root);
        assert_eq!(shown, "DIR/latin.toml:2:12: this byte is not UTF-8 text; save the file as UTF-8");

        fs::write(root.join("debug.toml"), "").unwrap();
        let shown = fault(root, root);
        let expected = "DIR is a folder, not a config; give one of the files in it: DIR/debug.toml, DIR/latin.toml";
        assert_eq!(shown, expected);

        let shown = fault(&root.join("debgu.toml"), root);
        assert_eq!(shown, "there is no config DIR/debgu.toml; did you mean DIR/debug.toml?");
        let shown = fault(&root.join("debug"), root);
        assert_eq!(shown, "there is no config DIR/debug; did you mean DIR/debug.toml?");
        let shown = fault(&root.join("unlike"), root);
        let expected = "there is no config DIR/unlike; the configs near by are DIR/debug.toml, DIR/latin.toml";
        assert_eq!(shown, expected);
        let shown = fault(&root.join("no/such/folder.toml"), root);
        assert_eq!(shown, "there is no config DIR/no/such/folder.toml; check the path");
    }

    #[test]
    fn a_huge_file_is_refused_without_reading_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weights.toml");
        File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let shown = fault(&path, dir.path());
        let expected = "DIR/weights.toml is larger than 1 MiB, which no config is; \
                        give the path of a config, not of its data or weights";
        assert_eq!(shown, expected);
    }
}
