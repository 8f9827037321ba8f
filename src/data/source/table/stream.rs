//! A text file as a stream: decompressed, with a bound on the length of a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use zstd::Decoder;

use crate::error::{IoContext, Result};

/// Bytes between two line breaks; without a bound, a file without breaks would be read into memory whole.
const LONGEST_LINE: usize = 16 << 20;

/// Opens a file; gzip and Zstandard are told by the first bytes, whatever the name.
pub(super) fn open(path: &Path) -> Result<BufReader<Box<dyn Read>>> {
    let mut file = BufReader::new(File::open(path).io("open", path)?);
    let stream: Box<dyn Read> = match file.fill_buf().io("read", path)? {
        [0x1f, 0x8b, ..] => Box::new(Bounded::new(MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Bounded::new(Decoder::with_buffer(file).io("read", path)?)),
        _ => Box::new(Bounded::new(file)),
    };
    Ok(BufReader::new(stream))
}

struct Bounded<R> {
    inner: R,
    line: usize,
}

impl<R> Bounded<R> {
    fn new(inner: R) -> Self {
        Self { inner, line: 0 }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let read = buffer.get(..n).unwrap_or_default();
        self.line = match read.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => n - last - 1,
            None => self.line + n,
        };
        if self.line > LONGEST_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 16 MiB"));
        }
        Ok(n)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_refused() {
        let read = |stream: &mut dyn Read| io::copy(&mut Bounded::new(stream), &mut io::sink());
        assert!(read(&mut io::repeat(b'x').take(1 << 30)).is_err());
        assert_eq!(read(&mut io::repeat(b'\n').take(1 << 25)).unwrap(), 1 << 25);
    }
}
