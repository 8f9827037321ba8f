//! One file from a URL: streamed, resumed after a break, checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::{Response, header};
use ureq::{Agent, Body};

use super::unpack::{disk, hex};
use crate::error::{Error, Result};

/// How long to wait and how often to try.
#[derive(Debug, Clone, Copy)]
struct Patience {
    connect: Duration,
    read: Duration,
    /// Tries in a row that bring nothing.
    tries: u32,
    /// Pause after the first of them; each further one is twice as long.
    pause: Duration,
}

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(15),
    read: Duration::from_secs(30),
    tries: 5,
    pause: Duration::from_millis(500),
};

/// Downloads `url` into the cache, once, and returns the file; its name keeps the URL's ending.
///
/// A broken download goes on where it stopped, also in a later process. `sha256` is in hex.
///
/// # Errors
/// A refused connection, an unknown host, an answer such as 404, a time-out, a wrong checksum, a full disk.
pub fn url(url: &str, sha256: Option<&str>, progress: &dyn Fn(&str)) -> Result<PathBuf> {
    url_into(url, sha256, &super::downloads_dir()?, PATIENCE, progress)
}

fn url_into(
    url: &str,
    sha256: Option<&str>,
    downloads: &Path,
    patience: Patience,
    progress: &dyn Fn(&str),
) -> Result<PathBuf> {
    let sha256 = sha256.map(checked_sum).transpose()?;
    let target = downloads.join(file_name(url, sha256.as_deref())?);
    if target.is_file() {
        return Ok(target);
    }
    fs::create_dir_all(downloads).map_err(|e| disk("create", downloads, e))?;
    let mut part = Part::open(&target)?;
    // Another process may have finished while this one waited for the lock.
    if target.is_file() {
        return Ok(target);
    }
    progress(&format!("downloading {url}"));
    fill(&mut part, url, patience, progress)?;
    part.finish(url, sha256.as_deref(), &target)?;
    Ok(target)
}

fn checked_sum(sum: &str) -> Result<String> {
    let hex = sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit());
    if hex {
        return Ok(sum.to_ascii_lowercase());
    }
    Err(Error::input(format!("`{sum}` is not a SHA-256 checksum"))
        .next("give 64 hex digits, as `sha256sum FILE` prints"))
}

/// A name that is distinct for each URL and sum and keeps the ending, which tells the format.
fn file_name(url: &str, sha256: Option<&str>) -> Result<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| {
        Error::input(format!("cannot download `{url}`: it is not an http or https address"))
            .next("check `data.source`, or give a file on this machine by `path`")
    })?;
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let base = path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default();
    let base = safe_end(base);
    let key = blake3::hash(format!("{url}\n{}", sha256.unwrap_or_default()).as_bytes()).to_hex();
    Ok(format!("url-{}-{base}", &key[..12]))
}

/// The last 80 characters of a name, which tell its format, as any file may be called.
pub(in crate::data) fn safe_end(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().rev().take(80).map(safe).collect::<Vec<_>>().into_iter().rev().collect()
}

/// A download that is not complete yet, locked against other processes.
struct Part {
    path: PathBuf,
    /// The server's name for this version of the file, so that two versions are never joined.
    tag: PathBuf,
    file: File,
    len: u64,
}

impl Part {
    fn open(target: &Path) -> Result<Self> {
        let beside = |ending: &str| {
            let mut name = target.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let path = beside(".part");
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path);
        let file = file.map_err(|e| disk("write", &path, e))?;
        file.lock().map_err(|e| disk("lock", &path, e))?;
        let len = file.metadata().map_err(|e| disk("read", &path, e))?.len();
        Ok(Self { tag: beside(".part.tag"), path, file, len })
    }

    fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(|e| disk("write", &self.path, e))?;
        self.len = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| disk("write", &self.path, e))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Checks the sum and gives the file its name; a file with a wrong sum is removed.
    fn finish(mut self, url: &str, sha256: Option<&str>, target: &Path) -> Result<()> {
        // Removing what is not there is fine, here and below.
        let _ = fs::remove_file(&self.tag);
        if let Some(expected) = sha256 {
            let found = self.sum().map_err(|e| disk("read", &self.path, e))?;
            if found != expected {
                let _ = fs::remove_file(&self.path);
                return Err(Error::input(format!("{url} has the wrong checksum: expected {expected}, found {found}"))
                    .next("check `data.sha256` and the address; the download was removed"));
            }
        }
        self.file.sync_all().map_err(|e| disk("write", &self.path, e))?;
        fs::rename(&self.path, target).map_err(|e| disk("rename", &self.path, e))
    }

    fn sum(&mut self) -> io::Result<String> {
        self.file.rewind()?;
        let mut sha = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(hex(&sha.finalize())),
                n => sha.update(buffer.get(..n).unwrap_or_default()),
            }
        }
    }
}

/// Why a try ended before the file was complete.
enum Stop {
    /// Trying again may help.
    Again(String),
    /// It will not.
    Final(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Tries until the part is complete; only tries that bring nothing count.
fn fill(part: &mut Part, url: &str, patience: Patience, progress: &dyn Fn(&str)) -> Result<()> {
    let agent = agent(patience);
    let (mut idle, mut most) = (0, part.len);
    loop {
        let why = match attempt(&agent, part, url) {
            Ok(()) => return Ok(()),
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Again(why)) => why,
        };
        // A server that cannot resume starts over each time, which is no progress unless it gets further.
        idle = if part.len > most { 1 } else { idle + 1 };
        most = most.max(part.len);
        if idle >= patience.tries {
            return Err(Error::failed(format!("cannot download {url}: {why} ({idle} tries)"))
                .next("check the address and the network, and try again: it goes on where it stopped"));
        }
        progress(&format!("{why}; trying again after {} bytes", part.len));
        thread::sleep(patience.pause * 2u32.pow(idle - 1));
    }
}

fn agent(patience: Patience) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.read))
        .timeout_per_read(Some(patience.read))
        .accept_encoding("identity")
        .build()
        .new_agent()
}

/// One request, and as much of its body as comes.
fn attempt(agent: &Agent, part: &mut Part, url: &str) -> Result<(), Stop> {
    let mut request = agent.get(url);
    let tag = fs::read_to_string(&part.tag).ok().filter(|tag| !tag.is_empty());
    // Without the server's tag the rest could belong to another version of the file.
    match tag {
        Some(tag) if part.len > 0 => {
            request = request.header(header::RANGE, format!("bytes={}-", part.len)).header(header::IF_RANGE, tag);
        }
        _ => part.restart()?,
    }
    let response = request.call().map_err(|e| fault(url, e))?;
    accept(&response, part, url)?;
    let expected = response.body().content_length().map(|rest| part.len + rest);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => part.append(buffer.get(..n).unwrap_or_default())?,
            Err(e) => return Err(fault(url, ureq::Error::from(e))),
        }
    }
    match expected {
        Some(expected) if part.len < expected => {
            Err(Stop::Again(format!("the connection broke after {} of {expected} bytes", part.len)))
        }
        _ => Ok(()),
    }
}

/// Judges the answer's status and prepares the part for its body.
fn accept(response: &Response<Body>, part: &mut Part, url: &str) -> Result<(), Stop> {
    let value = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    match response.status().as_u16() {
        200 => {
            part.restart()?;
            // A weak tag does not promise the same bytes.
            let tag = value(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| value(header::LAST_MODIFIED));
            fs::write(&part.tag, tag.unwrap_or_default()).map_err(|e| disk("write", &part.tag, e))?;
            Ok(())
        }
        206 => {
            let start = format!("bytes {}-", part.len);
            if value(header::CONTENT_RANGE).is_some_and(|range| range.starts_with(&start)) {
                return Ok(());
            }
            part.restart()?;
            Err(Stop::Again("the server went on at another place than asked".to_owned()))
        }
        416 => {
            part.restart()?;
            Err(Stop::Again("the server's file is shorter than what was downloaded".to_owned()))
        }
        status @ (408 | 425 | 429 | 500..=599) => Err(Stop::Again(format!("the server answered {status}"))),
        404 | 410 => Err(Stop::Final(
            Error::input(format!("cannot download {url}: the server has no such file (404)")).next("check the address"),
        )),
        status => Err(Stop::Final(
            Error::input(format!("cannot download {url}: the server answered {status}"))
                .next("check the address and whether it needs a login"),
        )),
    }
}

/// Tells a fault that may pass from one that will not.
fn fault(url: &str, e: ureq::Error) -> Stop {
    let unknown_host = || {
        let message = format!("cannot download {url}: its host is unknown");
        Stop::Final(Error::failed(message).next("check the address and the network"))
    };
    match e {
        ureq::Error::HostNotFound => unknown_host(),
        ureq::Error::Io(e) => match e.kind() {
            io::ErrorKind::ConnectionRefused => Stop::Again("the server refused the connection".to_owned()),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Stop::Again("the connection broke".to_owned())
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Stop::Again("the server timed out".to_owned()),
            // The standard library has no kind for a failed look-up.
            _ if e.to_string().contains("lookup") => unknown_host(),
            _ => Stop::Again(e.to_string()),
        },
        ureq::Error::Timeout(what) => Stop::Again(format!("the server timed out ({what})")),
        ureq::Error::ConnectionFailed => Stop::Again("the connection failed".to_owned()),
        other => Stop::Final(
            Error::failed(format!("cannot download {url}: {other}")).next("check the address and the network"),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
