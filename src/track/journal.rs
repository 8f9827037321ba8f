//! The journal: one JSON object a line in `journal.jsonl`, only ever appended to. Everything that watches a run reads it.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{atomic, event::Event};
use crate::error::{Error, IoContext, Result};

/// The longest line that is read, in bytes; a longer one is damage.
pub const MAX_LINE: usize = 4 << 20;

const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// An open journal; drop writes what is still buffered.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines in the file.
    len: u64,
    buffer: Vec<u8>,
    flushed: Instant,
}

impl Journal {
    /// Opens `path` (created if absent) for a run that goes on from `step`.
    ///
    /// Lines of later steps, which the run is about to live through again, and lines that can't be read (a torn last
    /// one) move to `journal.discarded.jsonl` beside it.
    ///
    /// # Errors
    /// The file can't be read, written or replaced.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let exists = path.try_exists().io("read", path)?;
        if exists {
            rewind(path, step)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).io("open", path)?;
        let len = file.metadata().io("read", path)?.len();
        Ok(Self { path: path.into(), file, len, buffer: Vec::new(), flushed: Instant::now() })
    }

    /// Goes back to `step` within a run, as [`Journal::open`] does.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn rewind(&mut self, step: u64) -> Result<()> {
        self.flush()?;
        *self = Self::open(&self.path, step)?;
        Ok(())
    }

    /// Appends one line. Steps are written at most a second later, every other event at once.
    ///
    /// # Errors
    /// The disk is full or the file can't be written: the line stays buffered, the file keeps whole lines only, and
    /// the next append or flush tries again.
    pub fn append(&mut self, event: &Event) -> Result<()> {
        let start = self.buffer.len();
        let written = serde_json::to_writer(&mut self.buffer, event);
        if let Err(e) = written {
            self.buffer.truncate(start);
            return Err(Error::failed(format!("cannot write a journal line: {e}")));
        }
        self.buffer.push(b'\n');
        if matches!(event, Event::Step { .. }) {
            if self.flushed.elapsed() >= FLUSH_EVERY { self.flush() } else { Ok(()) }
        } else {
            self.flush()?;
            self.file.sync_data().io("flush", &self.path)
        }
    }

    /// Writes what is buffered.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn flush(&mut self) -> Result<()> {
        self.flushed = Instant::now();
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Err(e) = self.file.write_all(&self.buffer) {
            let _ = self.file.set_len(self.len); // half a line would be there twice after the retry
            return Err(e).io("write", &self.path);
        }
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Every event in a journal, oldest first. A torn last line, of a run that is being written or was killed, is left out.
///
/// # Errors
/// The file can't be read, or a line before the last is damaged or longer than [`MAX_LINE`].
pub fn read(path: &Path) -> Result<Vec<Event>> {
    let mut lines = Lines::open(path)?;
    let mut events = Vec::new();
    let mut damage = None;
    while let Some(event) = lines.next()? {
        if let Some(error) = damage.take() {
            return Err(error);
        }
        match event {
            Ok(event) => events.push(event),
            Err(reason) => {
                damage = Some(
                    Error::failed(format!("{}:{}: the journal is damaged: {reason}", path.display(), lines.number))
                        .next("remove that line, or resume the run, which moves it off"),
                )
            }
        }
    }
    Ok(events)
}

fn rewind(path: &Path, step: u64) -> Result<()> {
    let mut lines = Lines::open(path)?;
    let mut clean = true;
    while clean && let Some(event) = lines.next()? {
        clean = lines.whole && event.is_ok_and(|e| !e.beyond(step));
    }
    if clean {
        return Ok(());
    }
    let aside = path.with_extension("discarded.jsonl");
    let mut discarded = OpenOptions::new().create(true).append(true).open(&aside).io("open", &aside)?;
    let mut lines = Lines::open(path)?;
    atomic::replace(path, |file| {
        let mut kept = BufWriter::new(file);
        while let Some(event) = lines.next().map_err(io::Error::other)? {
            let mut line = std::mem::take(&mut lines.line);
            line.push(b'\n');
            match event {
                Ok(event) if !event.beyond(step) => kept.write_all(&line)?,
                _ => discarded.write_all(&line)?,
            }
        }
        // Before the rename takes the lines out of the journal.
        discarded.sync_all()?;
        kept.flush()
    })
}

/// Reads line by line, however long a damaged line is.
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
    /// The line ended in a newline and fitted into [`MAX_LINE`].
    whole: bool,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let reader = BufReader::new(File::open(path).io("read", path)?);
        Ok(Self { path: path.into(), reader, line: Vec::new(), number: 0, whole: true })
    }

    /// The next line's event, or why it isn't one; `None` at the end.
    fn next(&mut self) -> Result<Option<Result<Event, String>>> {
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        io::Read::take(&mut self.reader, limit).read_until(b'\n', &mut self.line).io("read", &self.path)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        self.whole = self.line.ends_with(b"\n");
        if self.whole {
            self.line.pop();
        } else if self.line.len() as u64 == limit {
            self.reader.skip_until(b'\n').io("read", &self.path)?;
            return Ok(Some(Err(format!("the line is longer than {MAX_LINE} bytes"))));
        }
        Ok(Some(serde_json::from_slice(&self.line).map_err(|e| e.to_string())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
