//! One process a run.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
    process,
};

use crate::error::{Error, IoContext, Result};

/// Holds a run's folder until dropped; the system lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Locks `run/.lock`; the run's folder must exist.
    ///
    /// # Errors
    /// Another process holds it (its id is named), or the file can't be opened.
    pub fn acquire(run: &Path) -> Result<Self> {
        let path = run.join(".lock");
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).io("open", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(run, file)),
            Err(TryLockError::Error(e)) => return Err(e).io("lock", &path),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", process::id())).io("write", &path)?;
        Ok(Self { _file: file })
    }
}

fn in_use(run: &Path, file: File) -> Error {
    let mut text = String::new();
    let holder = match file.take(16).read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(pid)) => format!("process {pid}"),
        _ => "another process".into(),
    };
    Error::input(format!("the run {} is in use by {holder}", run.display()))
        .next("wait for it or stop it (an interrupt saves its progress), or give this run another `run.name`")
}
