//! IDX files, the format of MNIST and its kin (<http://yann.lecun.com/exdb/mnist>).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::data::{Features, InputSchema, RecordSink, Records, Split, Target, TargetSchema};
use crate::error::{Error, IoContext, Result};

/// Pixels along a side; larger pictures are not what the format is used for.
const MOST_PIXELS: usize = 4096;

/// Pushes the pictures of a folder with `{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]`.
///
/// Features are `[1, height, width]` bytes; classes are the labels, `0`, `1`, ... `t10k` goes first and is
/// [`Split::Test`]. A `limit` other than 0 is shared between the two parts in proportion to their sizes.
///
/// # Errors
/// A missing, truncated or malformed file, by name.
pub fn read(folder: &Path, limit: u64, sink: &mut dyn RecordSink) -> Result<Records> {
    let mut test = Part::open(folder, "t10k")?;
    let mut train = Part::open(folder, "train")?;
    if (train.height, train.width) != (test.height, test.width) {
        return Err(Error::input(format!(
            "{}: train has {}x{} pixels and t10k {}x{}",
            folder.display(),
            train.height,
            train.width,
            test.height,
            test.width
        ))
        .next("use two parts of one data set"));
    }
    if limit > 0 {
        let (trains, tests) = (train.labels.len() as u128, test.labels.len() as u128);
        let share = (u128::from(limit) * trains).div_ceil((trains + tests).max(1)).min(trains) as usize;
        train.labels.truncate(share);
        test.labels.truncate((limit as usize).saturating_sub(share));
    }
    let input = InputSchema::Image { channels: 1, height: train.height, width: train.width };
    let most = train.highest.max(test.highest);
    test.push(Some(Split::Test), sink)?;
    train.push(None, sink)?;
    let names = (0..=most).map(|label| label.to_string()).collect();
    Ok(Records { input, target: TargetSchema::Classes { names }, table: None, tokenizer: None })
}

/// `train` or `t10k`: all labels, and the pictures as a stream.
struct Part {
    path: PathBuf,
    images: Box<dyn Read>,
    height: usize,
    width: usize,
    labels: Vec<u8>,
    highest: u8,
    /// Pictures in the file, whatever the limit.
    count: usize,
}

impl Part {
    fn open(folder: &Path, name: &str) -> Result<Self> {
        let (path, mut images) = open(folder, &format!("{name}-images-idx3-ubyte"))?;
        let [count, height, width] = header(&path, &mut images, 0x0803)?;
        let (labels_path, mut labels_stream) = open(folder, &format!("{name}-labels-idx1-ubyte"))?;
        let [labelled] = header(&labels_path, &mut labels_stream, 0x0801)?;
        if count != labelled || count == 0 {
            return Err(malformed(&path, format!("it has {count} pictures but {labelled} labels")));
        }
        if !(1..=MOST_PIXELS).contains(&height) || !(1..=MOST_PIXELS).contains(&width) {
            return Err(malformed(&path, format!("it says that pictures are {height}x{width}")));
        }
        let mut labels = Vec::new();
        // The header is not trusted with an allocation: a longer stream shows by the extra byte.
        let read = labels_stream.take(labelled as u64 + 1).read_to_end(&mut labels);
        read.map_err(|e| unreadable(&labels_path, e))?;
        if labels.len() != labelled {
            return Err(malformed(&labels_path, format!("it promises {labelled} labels and holds {}", labels.len())));
        }
        let highest = labels.iter().copied().max().unwrap_or_default();
        Ok(Self { path, images, height, width, labels, highest, count })
    }

    fn push(mut self, split: Option<Split>, sink: &mut dyn RecordSink) -> Result<()> {
        let mut pixels = vec![0; self.height * self.width];
        for (row, &label) in self.labels.iter().enumerate() {
            self.images.read_exact(&mut pixels).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => {
                    malformed(&self.path, format!("it promises {} pictures and ends in number {}", self.count, row + 1))
                }
                _ => unreadable(&self.path, e),
            })?;
            sink.push(split, Features::U8(&pixels), Target::Class(u32::from(label)))?;
        }
        let whole = self.labels.len() == self.count;
        if whole && self.images.read(&mut [0]).map_err(|e| unreadable(&self.path, e))? > 0 {
            return Err(malformed(&self.path, format!("it goes on after its {} pictures", self.count)));
        }
        Ok(())
    }
}

fn malformed(path: &Path, why: String) -> Error {
    Error::input(format!("{} is not a whole IDX file: {why}", path.display())).next("fetch or copy it again")
}

fn unreadable(path: &Path, e: io::Error) -> Error {
    malformed(path, e.to_string())
}

/// Opens the file, or else its gzipped form.
fn open(folder: &Path, name: &str) -> Result<(PathBuf, Box<dyn Read>)> {
    let (plain, gzipped) = (folder.join(name), folder.join(format!("{name}.gz")));
    if plain.is_file() {
        let file = File::open(&plain).io("open", &plain)?;
        return Ok((plain, Box::new(BufReader::new(file))));
    }
    if gzipped.is_file() {
        let file = File::open(&gzipped).io("open", &gzipped)?;
        return Ok((gzipped, Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(file))))));
    }
    Err(Error::input(format!("{} has no file {name} or {name}.gz", folder.display()))
        .next("an IDX folder holds {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or gzipped"))
}

/// Reads the magic number and `N` sizes, all big-endian.
fn header<const N: usize>(path: &Path, stream: &mut impl Read, magic: u32) -> Result<[usize; N]> {
    let mut word = || -> Result<u32> {
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).map_err(|e| unreadable(path, e))?;
        Ok(u32::from_be_bytes(bytes))
    };
    let found = word()?;
    if found != magic {
        return Err(malformed(path, format!("it starts with {found:#010x} instead of {magic:#010x}")));
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = word()? as usize;
    }
    Ok(sizes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::data::source::Kept;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Four pictures of 2x3 to train, two to test; `train` gzipped.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, count, zipped) in [("train", 4u8, true), ("t10k", 2, false)] {
            let images = [words(&[0x0803, count.into(), 2, 3]), (0..count * 6).collect()].concat();
            let labels = [words(&[0x0801, count.into()]), (0..count).collect()].concat();
            for (kind, content) in [("images-idx3", images), ("labels-idx1", labels)] {
                let path = folder.path().join(format!("{name}-{kind}-ubyte{}", if zipped { ".gz" } else { "" }));
                let file = File::create(path).unwrap();
                if zipped {
                    let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                    gz.write_all(&content).unwrap();
                    gz.finish().unwrap();
                } else {
                    { file }.write_all(&content).unwrap();
                }
            }
        }
        folder
    }

    #[test]
    fn pictures_labels_and_splits_are_read() {
        let (folder, mut kept) = (folder(), Kept::default());
        let records = read(folder.path(), 0, &mut kept).unwrap();
        assert_eq!(records.input, InputSchema::Image { channels: 1, height: 2, width: 3 });
        assert_eq!(records.target, TargetSchema::Classes { names: ["0", "1", "2", "3"].map(String::from).to_vec() });
        assert_eq!(kept.rows.len(), 6);
        assert_eq!(kept.rows[1], (Some(Split::Test), vec![6.0, 7.0, 8.0, 9.0, 10.0, 11.0], vec![1.0]));
        assert_eq!(kept.rows[2], (None, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0], vec![0.0]));
    }

    #[test]
    fn a_limit_is_shared_between_the_parts() {
        let (folder, mut kept) = (folder(), Kept::default());
        read(folder.path(), 3, &mut kept).unwrap();
        let tests = kept.rows.iter().filter(|row| row.0 == Some(Split::Test)).count();
        assert_eq!((kept.rows.len(), tests), (3, 1));
    }

    #[test]
    fn broken_files_are_named() {
        let broken = |name: &str, content: &[u8]| {
            let folder = folder();
            fs::write(folder.path().join(name), content).unwrap();
            read(folder.path(), 0, &mut Kept::default()).unwrap_err().to_string()
        };
        let images = "t10k-images-idx3-ubyte";
        let short = broken(images, &[words(&[0x0803, 2, 2, 3]), vec![0; 11]].concat());
        assert!(short.contains("promises 2 pictures and ends in number 2") && short.contains(images), "{short}");
        let long = broken(images, &[words(&[0x0803, 2, 2, 3]), vec![0; 13]].concat());
        assert!(long.contains("goes on after its 2 pictures"), "{long}");
        let magic = broken(images, &words(&[0x0804, 2, 2, 3]));
        assert!(magic.contains("starts with 0x00000804"), "{magic}");
        let huge = broken(images, &words(&[0x0803, 2, u32::MAX, 3]));
        assert!(huge.contains("4294967295x3"), "{huge}");
        let labels = broken("t10k-labels-idx1-ubyte", &[words(&[0x0801, u32::MAX]), vec![1]].concat());
        assert!(labels.contains("2 pictures but 4294967295 labels"), "{labels}");
        let zipped = broken("train-labels-idx1-ubyte.gz", b"no gzip");
        assert!(zipped.contains("train-labels-idx1-ubyte.gz is not a whole IDX file"), "{zipped}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = folder();
        fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
        let error = read(folder.path(), 0, &mut Kept::default()).unwrap_err().to_string();
        assert!(error.contains("has no file t10k-labels-idx1-ubyte"), "{error}");
    }
}
