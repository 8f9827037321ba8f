//! The one error type: a kind that decides the exit code, one sentence, and the next action.

use std::{any::Any, fmt, io, path::Path};

/// What went wrong, in the terms of an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// kiln or the machine failed: exit code 1.
    Failed,
    /// The user's input (config, data, arguments) is at fault: exit code 2.
    Input,
    /// The disk is full: exit code 1, but what waits for space may go on.
    DiskFull,
    /// The run stopped early with its progress saved; requeue it: exit code 3.
    Interrupted,
}

/// An error that a person can act on: `message` names the thing and its place, `next` what to do.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    next: Option<String>,
}

/// kiln's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A fault in what the user gave (exit code 2).
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into(), next: None }
    }

    /// A failure that is not the user's fault (exit code 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), next: None }
    }

    /// The run stopped early and its progress is saved (exit code 3).
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { kind: Kind::Interrupted, message: message.into(), next: None }
    }

    /// An I/O failure while doing `action` ("read", "write", "create", ...) to `path`.
    ///
    /// A missing file is the user's input; a full disk names itself and what to do.
    pub fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let at = path.display();
        match source.kind() {
            io::ErrorKind::NotFound => {
                Self::input(format!("cannot {action} {at}: there is no such file or folder")).next("check the path")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self { kind: Kind::DiskFull, ..Self::failed(format!("cannot {action} {at}: the disk is full")) }
                    .next("free some space, then `kiln resume` the run; nothing that was saved is lost")
            }
            io::ErrorKind::PermissionDenied => Self::input(format!("cannot {action} {at}: permission denied"))
                .next("check the owner and mode of the path"),
            io::ErrorKind::NotADirectory => {
                Self::input(format!("cannot {action} {at}: a part of the path is a file, not a folder"))
                    .next("check the path")
            }
            _ => Self::failed(format!("cannot {action} {at}: {source}")),
        }
    }

    /// Adds the next action, phrased as an instruction.
    #[must_use]
    pub fn next(mut self, action: impl Into<String>) -> Self {
        self.next = Some(action.into());
        self
    }

    /// Puts where it happened before the message: `place: message`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message without the next action.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The next action, if there is one.
    pub fn action(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed | Kind::DiskFull => 1,
            Kind::Input => 2,
            Kind::Interrupted => 3,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.next {
            // A multi-line message ends in a source snippet, so the action takes a line of its own.
            Some(next) if self.message.contains('\n') => write!(f, "\nnext: {next}"),
            Some(next) => write!(f, "; {next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The first line of a panic's message.
pub fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next())
}

/// Attaches the path and the action to an [`io::Result`].
pub trait IoContext<T> {
    /// See [`Error::io`].
    fn io(self, action: &str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn io(self, action: &str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|e| Error::io(action, path.as_ref(), e))
    }
}
