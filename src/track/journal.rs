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
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    fn step(step: u64, loss: f64) -> Event {
        Event::Step { step, epoch: 0.5, loss, lr: 1e-3, norm: 1.0, rate: 9.0, seconds: 0.1, batch: String::new() }
    }

    fn fault(step: u64, action: &str) -> Event {
        let (reason, action) = ("loss is NaN".into(), action.into());
        Event::Fault { step, reason, action, rows: vec![3, 1], loss: f64::NAN, norm: f64::INFINITY }
    }

    fn steps(path: &Path) -> Vec<u64> {
        read(path).unwrap().iter().filter_map(Event::step).collect()
    }

    #[test]
    fn events_survive_the_file_even_when_not_finite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let metrics = BTreeMap::from([("loss".into(), f64::NEG_INFINITY), ("accuracy".into(), 0.5)]);
        let events = vec![
            Event::Started {
                time: 1,
                version: "0".into(),
                device: "flex".into(),
                params: 2,
                plan_hash: "a".into(),
                dataset: "b".into(),
                class_weights: BTreeMap::from([("a".into(), 2.0)]),
            },
            Event::Compiled { seconds: 2.0 },
            step(1, 0.1),
            Event::Eval { step: 1, split: "validation".into(), metrics },
            Event::Saved { step: 1, path: "step-00000001".into() },
            Event::Resumed { step: 1, from: "step-00000001".into(), device: "flex".into() },
            Event::Finished { step: 1, reason: "done".into(), seconds: 1e-9 },
        ];
        let mut journal = Journal::open(&path, 0).unwrap();
        events.iter().for_each(|e| journal.append(e).unwrap());
        assert_eq!(read(&path).unwrap(), events);
        journal.append(&fault(2, "halt")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let last = text.lines().last().unwrap();
        assert!(last.starts_with(r#"{"event":"fault""#) && last.contains(r#""loss":"NaN","norm":"inf""#), "{last}");
        let Event::Fault { loss, norm, rows, .. } = read(&path).unwrap().pop().unwrap() else { unreachable!() };
        assert!(loss.is_nan() && norm == f64::INFINITY && rows == [3, 1]);
    }

    #[test]
    fn steps_are_buffered_and_other_events_flush() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        journal.append(&step(1, 1.0)).unwrap();
        assert!(steps(&path).is_empty());
        journal.append(&Event::Saved { step: 1, path: String::new() }).unwrap();
        assert_eq!(steps(&path), [1, 1]);
        journal.flushed = Instant::now().checked_sub(FLUSH_EVERY).unwrap();
        journal.append(&step(2, 1.0)).unwrap();
        assert_eq!(steps(&path), [1, 1, 2]);
        journal.append(&step(3, 1.0)).unwrap();
        drop(journal);
        assert_eq!(steps(&path), [1, 1, 2, 3]);
    }

    #[test]
    fn resuming_moves_later_steps_aside_but_keeps_rollbacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        (1..=4).for_each(|n| journal.append(&step(n, 1.0)).unwrap());
        journal.append(&fault(5, "skip")).unwrap();
        journal.append(&fault(6, "rollback")).unwrap();
        journal.append(&step(5, 1.0)).unwrap();
        journal.rewind(3).unwrap();
        journal.append(&step(4, 2.0)).unwrap();
        drop(journal);
        assert_eq!(steps(&path), [1, 2, 3, 6, 4]);
        assert_eq!(steps(&folder.path().join("journal.discarded.jsonl")), [4, 5, 5]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_keeps_the_line_for_the_next_try() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, 0).unwrap();
        let disk = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = journal.append(&Event::Compiled { seconds: 1.0 }).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl: the disk is full"), "{error}");
        journal.file = disk;
        journal.append(&Event::Compiled { seconds: 2.0 }).unwrap();
        assert_eq!(read(&path).unwrap(), [1.0, 2.0].map(|seconds| Event::Compiled { seconds }));
    }

    #[test]
    fn a_torn_last_line_is_ignored_then_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let line = serde_json::to_string(&step(1, 1.0)).unwrap();
        for cut in (0..line.len()).step_by(17) {
            fs::write(&path, format!("{line}\n{}", &line[..cut])).unwrap();
            assert_eq!(steps(&path), [1]);
            drop(Journal::open(&path, 9).unwrap());
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{line}\n"), "cut at {cut}");
        }
        // Whole but for its newline: kept, and the next line doesn't stick to it.
        fs::write(&path, &line).unwrap();
        Journal::open(&path, 9).unwrap().append(&Event::Compiled { seconds: 1.0 }).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn damage_before_the_end_names_the_line_and_long_lines_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let line = serde_json::to_string(&step(1, 1.0)).unwrap();
        fs::write(&path, format!("{line}\n\0\0\n{line}\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl:2: the journal is damaged"), "{error}");
        fs::write(&path, format!("{line}\n{}\n{line}\n", "x".repeat(2 * MAX_LINE))).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("longer than"));
        drop(Journal::open(&path, 9).unwrap());
        assert_eq!(steps(&path), [1, 1]);
    }
}
