//! Memory-mapped shards: one file a split, a checked header and rows of fixed size.
//!
//! Layout, little-endian: a [`HEADER`]-byte header (magic, version, element, target, row width, target width, rows),
//! then the rows. A row is its elements, padded to four bytes when a target follows, then its targets.

use std::{
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use crate::error::{Error, IoContext, Result};

const MAGIC: [u8; 8] = *b"kilnshrd";
const VERSION: u32 = 1;
const HEADER: usize = 64;

/// The type of a row's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    U8 = 1,
    U16 = 2,
    U32 = 3,
    F32 = 4,
}

impl Element {
    fn size(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 | Self::F32 => 4,
        }
    }

    /// Appends ids, which are below the vocabulary that the element was chosen for.
    pub fn extend(self, bytes: &mut Vec<u8>, ids: &[u32]) {
        match self {
            Self::U8 => bytes.extend(ids.iter().map(|&id| id as u8)),
            Self::U16 => bytes.extend(ids.iter().flat_map(|&id| (id as u16).to_le_bytes())),
            Self::U32 | Self::F32 => bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes())),
        }
    }

    /// The ids that [`Self::extend`] appended.
    pub fn ids(self, bytes: &[u8]) -> Vec<u32> {
        match self {
            Self::U8 => bytes.iter().map(|&b| u32::from(b)).collect(),
            Self::U16 => bytes.as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_le_bytes(*b))).collect(),
            Self::U32 | Self::F32 => bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
        }
    }

    fn from_tag(tag: u32) -> Option<Self> {
        [Self::U8, Self::U16, Self::U32, Self::F32].into_iter().find(|&e| e as u32 == tag)
    }
}

/// What follows a row's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    None = 0,
    Class = 1,
    Values = 2,
}

/// The shape of every row in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub element: Element,
    /// Elements a row.
    pub width: u64,
    pub target: TargetKind,
    /// Four-byte targets a row.
    pub targets: u64,
}

impl Layout {
    /// Rows of one token each, in as few bytes as the vocabulary allows.
    pub fn tokens(vocab: usize) -> Self {
        let element = match vocab {
            ..=0x100 => Element::U8,
            0x101..=0x1_0000 => Element::U16,
            _ => Element::U32,
        };
        Self { element, width: 1, target: TargetKind::None, targets: 0 }
    }

    /// Bytes before a row's targets; `None` if they overflow.
    fn body(&self) -> Option<u64> {
        let body = self.width.checked_mul(self.element.size())?;
        if self.targets == 0 { Some(body) } else { body.checked_next_multiple_of(4) }
    }

    fn stride(&self) -> Option<u64> {
        self.body()?.checked_add(self.targets.checked_mul(4)?)
    }

    fn header(&self, rows: u64) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        for word in [VERSION, self.element as u32, self.target as u32, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [self.width, self.targets, rows] {
            bytes.extend(word.to_le_bytes());
        }
        std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0))
    }

    /// Reads a header; says what is wrong with it otherwise.
    fn parse(bytes: &[u8]) -> Result<(Self, u64), &'static str> {
        let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let long = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        if bytes.len() < HEADER || bytes.get(..8) != Some(&MAGIC) {
            return Err("it is not a kiln shard");
        }
        if word(8) != VERSION {
            return Err("another version of kiln wrote it");
        }
        let element = Element::from_tag(word(12)).ok_or("its element type is unknown")?;
        let target = [TargetKind::None, TargetKind::Class, TargetKind::Values].into_iter();
        let target = target.into_iter().find(|&t| t as u32 == word(16)).ok_or("its target type is unknown")?;
        let layout = Self { element, width: long(24), target, targets: long(32) };
        let consistent = match target {
            TargetKind::None => layout.targets == 0,
            TargetKind::Class => layout.targets == 1,
            TargetKind::Values => layout.targets > 0,
        };
        if layout.width == 0 || !consistent {
            return Err("its row shape is impossible");
        }
        Ok((layout, long(40)))
    }
}

/// Writes one shard, row by row; the header that makes it valid comes last.
pub(super) struct ShardWriter {
    path: PathBuf,
    out: BufWriter<File>,
    layout: Layout,
    rows: u64,
    padding: usize,
}

impl ShardWriter {
    pub fn create(path: &Path, layout: Layout) -> Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path).io("create", path)?);
        out.write_all(&[0; HEADER]).io("write", path)?;
        let padding = layout.body().unwrap_or(0) - layout.width * layout.element.size();
        Ok(Self { path: path.to_owned(), out, layout, rows: 0, padding: padding as usize })
    }

    /// Appends tokens, each a row. Ids are below the vocabulary that the layout was made for.
    pub fn tokens(&mut self, ids: &[u32]) -> Result<()> {
        for &id in ids {
            match self.layout.element {
                Element::U8 => self.out.write_all(&[id as u8]),
                Element::U16 => self.out.write_all(&(id as u16).to_le_bytes()),
                _ => self.out.write_all(&id.to_le_bytes()),
            }
            .io("write", &self.path)?;
        }
        self.rows += ids.len() as u64;
        Ok(())
    }

    /// Appends one row: its elements' bytes and its targets', both little-endian.
    pub fn row(&mut self, elements: &[u8], targets: &[u8]) -> Result<()> {
        self.out.write_all(elements).io("write", &self.path)?;
        self.out.write_all(&[0; 4][..self.padding.min(4)]).io("write", &self.path)?;
        self.out.write_all(targets).io("write", &self.path)?;
        self.rows += 1;
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Flushes, writes the header and syncs the file to the disk.
    pub fn finish(mut self) -> Result<u64> {
        self.out.seek(SeekFrom::Start(0)).io("write", &self.path)?;
        self.out.write_all(&self.layout.header(self.rows)).io("write", &self.path)?;
        self.out.flush().io("write", &self.path)?;
        self.out.get_ref().sync_all().io("write", &self.path)?;
        Ok(self.rows)
    }
}

/// A shard, mapped read-only.
#[derive(Debug)]
pub(super) struct Shard {
    path: PathBuf,
    map: Mmap,
    layout: Layout,
    rows: u64,
    body: usize,
    stride: usize,
}

impl Shard {
    /// Maps a shard after checking its header against the file's length.
    ///
    /// # Errors
    /// A truncated, foreign or damaged file is named with what is wrong.
    pub fn open(path: &Path) -> Result<Self> {
        let damaged = |why: &str| {
            Error::input(format!("{} cannot be used: {why}", path.display()))
                .next("delete its folder; the data will be prepared again")
        };
        let file = File::open(path).io("open", path)?;
        if file.metadata().io("read", path)?.len() < HEADER as u64 {
            return Err(damaged("it is truncated"));
        }
        // Safety: a prepared shard is never written again; it is replaced by renaming a whole folder, which leaves
        // this mapping on the old file. Someone who truncates a cache file in place can still stop the process.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.io("map", path)?;
        let (layout, rows) = Layout::parse(&map).map_err(damaged)?;
        let stride = layout.stride().ok_or_else(|| damaged("its row shape is impossible"))?;
        let expected = rows.checked_mul(stride).and_then(|b| b.checked_add(HEADER as u64));
        if expected != Some(map.len() as u64) {
            return Err(damaged("its length does not match its header, so it is truncated or damaged"));
        }
        let body = layout.body().unwrap_or(stride) as usize;
        Ok(Self { path: path.to_owned(), map, layout, rows, body, stride: stride as usize })
    }

    /// Says that rows will be drawn at random. Otherwise the system reads ahead of every one, megabytes on some disks,
    /// which for data larger than memory pushes out the pages that the next rows need.
    pub fn drawn_at_random(self) -> Self {
        // Advice only: a system that refuses it reads as before.
        #[cfg(unix)]
        let _ = self.map.advise(memmap2::Advice::Random);
        self
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends tokens `start..start + n` to `into`.
    pub fn tokens(&self, start: u64, n: usize, into: &mut Vec<i32>) -> Result<()> {
        let bytes = self.rows_at(start, n as u64)?;
        match self.layout.element {
            Element::U8 => into.extend(bytes.iter().map(|&b| i32::from(b))),
            Element::U16 => into.extend(bytes.as_chunks::<2>().0.iter().map(|b| i32::from(u16::from_le_bytes(*b)))),
            // An id above i32::MAX turns negative, and is refused with the other ids outside the vocabulary.
            _ => into.extend(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b))),
        }
        Ok(())
    }

    /// One row's element bytes (without padding) and target bytes.
    pub fn row(&self, row: u64) -> Result<(&[u8], &[u8])> {
        let (body, targets) = self.rows_at(row, 1)?.split_at(self.body);
        let used = self.layout.width as usize * self.layout.element.size() as usize;
        Ok((body.get(..used).unwrap_or(body), targets))
    }

    fn rows_at(&self, start: u64, n: u64) -> Result<&[u8]> {
        let end = start.checked_add(n).filter(|&end| end <= self.rows).ok_or_else(|| {
            Error::failed(format!("row {start} is not among the {} rows of {}", self.rows, self.path.display()))
        })?;
        let at = |row: u64| HEADER + row as usize * self.stride;
        self.map.get(at(start)..at(end)).ok_or_else(|| Error::failed(format!("{} is truncated", self.path.display())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
