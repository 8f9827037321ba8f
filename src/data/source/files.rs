//! Which files a folder or a pattern stands for.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, IoContext, Result};

/// Folders in folders; a symbolic link that leads to itself ends here.
const MAX_DEPTH: usize = 64;

/// Every file below `folder`, sorted by path; names that begin with a dot are left out.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(folder, 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::input(format!("{} lies more than {MAX_DEPTH} folders deep", folder.display()))
            .next("look for a symbolic link that leads back"));
    }
    for (name, path) in entries(folder)? {
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).io("list", folder)? {
        let entry = entry.io("list", folder)?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    entries.sort();
    Ok(entries)
}

/// Files that fit `pattern`, sorted: `*` and `?` stay within one name, `**` is any number of folders.
///
/// # Errors
/// A folder that cannot be listed, or no file at all.
pub fn glob(base: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let names: Vec<String> =
        Path::new(pattern).components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    let (start, names) = match Path::new(pattern).components().next() {
        Some(Component::RootDir) => (Path::new("/"), names.get(1..).unwrap_or(&[])),
        _ => (base, names.as_slice()),
    };
    expand(start, names, 0, &mut files)?;
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(Error::input(format!("no file fits the pattern `{pattern}` below {}", start.display()))
            .next("check `data.source`"));
    }
    Ok(files)
}

fn expand(at: &Path, names: &[String], depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let Some((first, rest)) = names.split_first() else {
        if at.is_file() {
            files.push(at.to_owned());
        }
        return Ok(());
    };
    if !first.contains(['*', '?']) {
        return expand(&at.join(first), rest, depth, files);
    }
    if !at.is_dir() || depth > MAX_DEPTH {
        return Ok(());
    }
    if first == "**" {
        expand(at, rest, depth + 1, files)?;
    }
    for (name, path) in entries(at)? {
        if name.starts_with('.') && !first.starts_with('.') {
            continue;
        }
        if first == "**" {
            if path.is_dir() {
                expand(&path, names, depth + 1, files)?;
            }
        } else if fits(&name, first) {
            expand(&path, rest, depth + 1, files)?;
        }
    }
    Ok(())
}

/// Whether a name fits a pattern of `*` and `?`, in `O(name * pattern)`.
pub(super) fn fits(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // reached[i]: the pattern so far fits the first i characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for p in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        let mut any = false;
        for (i, slot) in next.iter_mut().enumerate() {
            any |= reached[i];
            *slot = match p {
                '*' => any,
                '?' => i > 0 && reached[i - 1],
                c => i > 0 && reached[i - 1] && name[i - 1] == c,
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names() {
        for (name, pattern, expected) in [
            ("a.txt", "*.txt", true),
            ("a.txt", "?.txt", true),
            ("ab.txt", "?.txt", false),
            ("abc", "a*c", true),
            ("abcd", "a*c", false),
            ("", "*", true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "a*a*a*a*a*a*a*a*c", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn globs_and_folders_are_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for name in ["b.txt", "a.txt", "c.md", "x/d.txt", "x/y/e.txt", ".hidden/f.txt"] {
            let path = base.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "t").unwrap();
        }
        let names = |paths: Vec<PathBuf>| {
            let names = paths.iter().map(|p| p.strip_prefix(base).unwrap().to_string_lossy().into_owned());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(glob(base, "*.txt").unwrap()), "a.txt b.txt");
        assert_eq!(names(glob(base, "**/*.txt").unwrap()), "a.txt b.txt x/d.txt x/y/e.txt");
        assert_eq!(names(glob(base, "x/?.txt").unwrap()), "x/d.txt");
        assert_eq!(names(glob(base, &format!("{}/c.*", base.display())).unwrap()), "c.md");
        assert_eq!(names(below(base).unwrap()), "a.txt b.txt c.md x/d.txt x/y/e.txt");
        assert!(glob(base, "*.nothing").is_err());
    }
}
