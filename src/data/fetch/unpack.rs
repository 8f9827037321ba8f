//! Takes the pinned members, and nothing else, out of a package.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::manifest::Member;
use crate::error::{Error, IoContext, Result};

/// No package in the manifest comes near this; a bomb stops here.
const MOST_UNPACKED: u64 = 4 << 30;

/// A package as its client left it.
#[derive(Debug)]
pub(super) enum Package {
    /// A zip archive, such as a Python wheel.
    Zip(PathBuf),
    /// A gzipped tar archive.
    TarGz(PathBuf),
    /// A Debian package.
    Deb(PathBuf),
    /// A folder with the package's files.
    Folder(PathBuf),
}

impl Package {
    /// A wheel or a source archive, told apart by the name's ending.
    pub(super) fn by_name(path: PathBuf) -> Self {
        let zip = path.extension().is_some_and(|ending| ending == "whl" || ending == "zip");
        if zip { Self::Zip(path) } else { Self::TarGz(path) }
    }

    /// Writes the members as plain files into the folder `into` and checks number, sizes and sums.
    ///
    /// Only the last component of a member's name is used, so nothing lands outside `into`.
    pub(super) fn unpack(&self, members: &[Member], into: &Path) -> Result<()> {
        let mut taken = Taken { members, into, sums: vec![BTreeMap::new(); members.len()] };
        match self {
            Self::Zip(path) => from_zip(path, &mut taken),
            Self::TarGz(path) => {
                let file = File::open(path).io("open", path)?;
                from_tar(path, GzDecoder::new(BufReader::new(file)), &mut taken)
            }
            Self::Deb(path) => from_deb(path, &mut taken),
            Self::Folder(path) => from_folder(path, &mut taken),
        }?;
        taken.check()
    }
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Error::failed(format!("the package {name} is damaged: {why}")).next("fetch it again")
}

fn from_zip(path: &Path, taken: &mut Taken<'_>) -> Result<()> {
    let file = File::open(path).io("open", path)?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, e))?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| damaged(path, e))?;
        if entry.is_file() {
            let name = entry.name().map_err(|e| damaged(path, e))?.into_owned();
            taken.offer(&name, &mut entry)?;
        }
    }
    Ok(())
}

fn from_tar(path: &Path, stream: impl Read, taken: &mut Taken<'_>) -> Result<()> {
    let mut archive = tar::Archive::new(stream.take(MOST_UNPACKED));
    for entry in archive.entries().map_err(|e| damaged(path, e))? {
        let mut entry = entry.map_err(|e| damaged(path, e))?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            taken.offer(name.trim_start_matches("./"), &mut entry)?;
        }
    }
    Ok(())
}

fn from_deb(path: &Path, taken: &mut Taken<'_>) -> Result<()> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--fsys-tarfile").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| {
        Error::failed(format!("cannot run dpkg-deb to open {}: {e}", path.display())).next("install Debian's dpkg")
    })?;
    let result = match child.stdout.take() {
        Some(stream) => from_tar(path, stream, taken),
        None => Ok(()),
    };
    // The reader stops at the end of the archive; dpkg-deb's complaint about a closed pipe is not ours.
    let _ = child.wait();
    result
}

fn from_folder(path: &Path, taken: &mut Taken<'_>) -> Result<()> {
    for member in taken.members {
        let file = path.join(&member.path);
        let mut stream = File::open(&file).io("open", &file)?;
        taken.offer(&member.path, &mut stream)?;
    }
    Ok(())
}

/// What was taken so far: for each member the sums of its files by name.
struct Taken<'a> {
    members: &'a [Member],
    into: &'a Path,
    sums: Vec<BTreeMap<String, (u64, String)>>,
}

impl Taken<'_> {
    /// Takes the entry if it is one of the members.
    fn offer(&mut self, path: &str, stream: &mut dyn Read) -> Result<()> {
        let Some((member, sums)) = self.members.iter().zip(&mut self.sums).find(|(member, _)| member.matches(path))
        else {
            return Ok(());
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        if matches!(name, "" | "." | "..") || name.contains('\\') || sums.len() >= member.files {
            return Err(Error::failed(format!("the package holds an unexpected file {path}")).next("fetch it again"));
        }
        let folder = self.into.join(&member.folder);
        std::fs::create_dir_all(&folder).map_err(|e| disk("create", &folder, e))?;
        let sum = copy(stream, &folder.join(name), member.bytes)?;
        sums.insert(name.to_owned(), sum);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        for (member, sums) in self.members.iter().zip(&self.sums) {
            let bytes: u64 = sums.values().map(|(bytes, _)| bytes).sum();
            if sums.len() != member.files {
                let found = format!("{} of {} files", sums.len(), member.files);
                return Err(Error::failed(format!("the package holds {found} of {}", member.path))
                    .next("fetch it again; the package may have changed"));
            }
            let sum = digest(member, sums);
            if sum != member.sha256 || bytes != member.bytes {
                return Err(Error::failed(format!(
                    "{} has the wrong checksum: expected {}, found {sum}",
                    member.path, member.sha256
                ))
                .next("fetch it again; if it stays so, the package is not the one that was pinned: do not use it"));
            }
        }
        Ok(())
    }
}

/// The sum of a file, or of the lines that `sha256sum *` prints for several.
fn digest(member: &Member, sums: &BTreeMap<String, (u64, String)>) -> String {
    if !member.is_pattern() {
        return sums.values().map(|(_, sum)| sum.clone()).collect();
    }
    let mut lines = String::new();
    for (name, (_, sum)) in sums {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{sum}  {name}");
    }
    hex(&Sha256::digest(lines))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Copies at most `most` bytes (and one, so that a longer file shows) and returns their number and sum.
fn copy(stream: &mut dyn Read, to: &Path, most: u64) -> Result<(u64, String)> {
    let mut file = File::create(to).map_err(|e| disk("write", to, e))?;
    let (mut sha, mut bytes) = (Sha256::new(), 0u64);
    let mut buffer = vec![0; 1 << 16];
    let mut stream = stream.take(most + 1);
    loop {
        let n = stream.read(&mut buffer).map_err(|e| damaged(to, e))?;
        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { break };
        sha.update(part);
        bytes += n as u64;
        file.write_all(part).map_err(|e| disk("write", to, e))?;
    }
    file.sync_all().map_err(|e| disk("write", to, e))?;
    Ok((bytes, hex(&sha.finalize())))
}

/// An I/O error under the downloads; a full disk says what to do about the cache.
pub(super) fn disk(action: &str, path: &Path, e: io::Error) -> Error {
    let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let error = Error::io(action, path, e);
    if full {
        error.next("free some space, or set KILN_CACHE to a folder on a larger disk, and try again")
    } else {
        error
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
