//! Text files as one stream of bounded chunks, cut into splits by position.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use flate2::read::MultiGzDecoder;

use crate::{
    data::{Holdout, Split},
    error::{Error, IoContext, Result},
};

/// Bytes of text that are handled at once; memory stays flat however large the corpus is.
const CHUNK: usize = 1 << 20;

/// Text files in order, and where its splits end.
#[derive(Debug, Clone)]
pub struct Corpus {
    files: Arc<Vec<PathBuf>>,
    reading: Reading,
    /// Bytes in all, after `limit`.
    len: u64,
    /// Where train, validation and test end, before they are moved to a line's end.
    ends: [u64; 3],
}

/// How the files are read.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Refuse what is not UTF-8.
    pub utf8: bool,
    /// Join documents by a newline; otherwise [`Chunk::separated`] says where one begins.
    pub newlines: bool,
    /// At most this many bytes; 0 means all.
    pub limit: u64,
}

/// A piece of the corpus of about [`CHUNK`] bytes, of one split and one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// The text; whole characters if it is UTF-8.
    pub bytes: Vec<u8>,
    /// The split that it belongs to.
    pub split: Split,
    /// A document begins here, and it isn't the first.
    pub separated: bool,
}

impl Corpus {
    /// Measures the files (compressed ones are read once) and places the splits: train first, then validation, then
    /// test.
    ///
    /// # Errors
    /// An unreadable file, or no text in any of them.
    pub fn open(files: &[PathBuf], reading: Reading, holdout: Holdout) -> Result<Self> {
        let mut kept = Vec::new();
        let mut len = 0;
        for path in files {
            let size = size(path)?;
            if size > 0 {
                len += size + u64::from(reading.newlines && !kept.is_empty());
                kept.push(path.clone());
            }
        }
        if kept.is_empty() {
            let place = files.first().map_or_else(String::new, |f| format!(" ({} first)", f.display()));
            return Err(Error::input(format!("the corpus is empty: {} files{place} hold no text", files.len()))
                .next("check `data.source`"));
        }
        if reading.limit > 0 {
            len = len.min(reading.limit);
        }
        let end = |held: f64| (len as f64 * (1.0 - held)).round() as u64;
        let ends = [end(holdout.validation + holdout.test), end(holdout.test), u64::MAX];
        Ok(Self { files: Arc::new(kept), reading, len, ends })
    }

    /// The text from its beginning; nothing follows an error.
    pub fn chunks(&self) -> Chunks {
        Chunks {
            corpus: self.clone(),
            file: 0,
            reader: None,
            carry: Vec::new(),
            offset: 0,
            position: 0,
            split: 0,
            begun: false,
            ready: Vec::new(),
        }
    }

    /// Bytes of text in all.
    pub fn len(&self) -> u64 {
        self.len
    }
}

/// Iterates over a [`Corpus`].
pub struct Chunks {
    corpus: Corpus,
    file: usize,
    reader: Option<Box<dyn Read + Send>>,
    /// Read, but not yet given.
    carry: Vec<u8>,
    /// Where `carry` begins in its file.
    offset: u64,
    /// Where it begins in the corpus.
    position: u64,
    split: usize,
    /// The current document has given a chunk.
    begun: bool,
    /// Chunks to give, last first.
    ready: Vec<Chunk>,
}

impl Iterator for Chunks {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(chunk) = self.ready.pop() {
                return Some(Ok(chunk));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.file = usize::MAX;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Chunks {
    /// Reads the next piece into `ready`; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let files = Arc::clone(&self.corpus.files);
        let Some(path) = files.get(self.file).filter(|_| self.position < self.corpus.len) else {
            return Ok(false);
        };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(open(path)?),
        };
        let missing = CHUNK.saturating_sub(self.carry.len()) as u64;
        reader.take(missing).read_to_end(&mut self.carry).io("read", path)?;
        let ended = self.carry.len() < CHUNK;
        let rest = if ended { Vec::new() } else { self.carry.split_off(safe_cut(&self.carry)) };
        let piece = std::mem::replace(&mut self.carry, rest);
        if self.corpus.reading.utf8 {
            check_utf8(&piece, path, self.offset)?;
        }
        self.offset += piece.len() as u64;
        self.divide(piece);
        if ended {
            (self.reader, self.offset, self.begun) = (None, 0, false);
            self.file += 1;
        }
        Ok(true)
    }

    /// Puts a piece of a document into its splits.
    fn divide(&mut self, mut bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let mut separated = !self.begun && self.file > 0;
        self.begun = true;
        if separated && self.corpus.reading.newlines {
            bytes.insert(0, b'\n');
        }
        let left = self.corpus.len - self.position;
        if bytes.len() as u64 > left {
            bytes.truncate(character_start(&bytes, left as usize));
            // Whatever the cut character had, this is the end.
            self.corpus.len = self.position + bytes.len() as u64;
        }
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            let end = self.corpus.ends.get(self.split).copied().unwrap_or(u64::MAX);
            if self.position >= end {
                self.split += 1;
                continue;
            }
            let split = Split::ALL.get(self.split).copied().unwrap_or(Split::Test);
            let room = end - self.position;
            let rest = if bytes.len() as u64 > room {
                self.split += 1;
                bytes.split_off(line_end(&bytes, room as usize, self.slack()))
            } else {
                Vec::new()
            };
            self.position += bytes.len() as u64;
            if !bytes.is_empty() {
                chunks.push(Chunk { bytes, split, separated });
                separated = false;
            }
            bytes = rest;
        }
        chunks.reverse();
        self.ready = chunks;
    }

    /// Bytes by which the split that now begins may start later than asked for: few of the corpus's and of its own, so
    /// that looking for a line's end never swallows a small split.
    fn slack(&self) -> usize {
        let end = |split: usize| self.corpus.ends.get(split).map_or(self.corpus.len, |&end| end.min(self.corpus.len));
        let mut sizes = (self.split..Split::ALL.len()).map(|split| end(split).saturating_sub(end(split - 1)));
        let own = sizes.find(|&size| size > 0).unwrap_or(0);
        (self.corpus.len / 1000).min(own / 10) as usize
    }
}

/// A place to cut where no tokenizer that splits words looks across: before a lone space or newline between two
/// printable characters, so that tokens are the same as without the cut. Failing that, between two characters.
fn safe_cut(bytes: &[u8]) -> usize {
    let lone = |w: &[u8]| matches!(w, [a, b' ' | b'\n', c] if a.is_ascii_graphic() && c.is_ascii_graphic());
    match bytes.windows(3).rposition(lone) {
        Some(at) => at + 1,
        None => match character_start(bytes, bytes.len().saturating_sub(1)) {
            0 => bytes.len(),
            at => at,
        },
    }
}

/// The start of the UTF-8 character that holds byte `at`.
fn character_start(bytes: &[u8], at: usize) -> usize {
    let continues = |&i: &usize| bytes.get(i).is_some_and(|b| b & 0xc0 == 0x80);
    // A character has at most four bytes; anything longer isn't UTF-8 and may be cut anywhere.
    (at.saturating_sub(3)..=at).rev().find(|i| !continues(i)).unwrap_or(at)
}

/// The first line's end within `slack` bytes after `at`, else the start of the character there.
fn line_end(bytes: &[u8], at: usize, slack: usize) -> usize {
    let newline = bytes.iter().skip(at).take(slack).position(|&b| b == b'\n');
    match newline {
        Some(offset) => at + offset + 1,
        None => character_start(bytes, at),
    }
}

fn check_utf8(bytes: &[u8], path: &Path, offset: u64) -> Result<()> {
    std::str::from_utf8(bytes).map(|_| ()).map_err(|e| {
        let at = offset + e.valid_up_to() as u64;
        Error::input(format!("{} is not UTF-8 text: byte {at} does not begin a character", path.display()))
            .next("convert the file, leave it out with a `glob`, or set `data.tokenizer = \"bytes\"`")
    })
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).io("open", path)?;
    Ok(if is_gzip(path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Bytes of text in a file.
fn size(path: &Path) -> Result<u64> {
    if is_gzip(path) {
        return std::io::copy(&mut open(path)?, &mut std::io::sink()).io("decompress", path);
    }
    Ok(std::fs::metadata(path).io("read", path)?.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
