//! Writes examples of a fixed shape (pictures, table rows) into one shard a split.

use std::path::{Path, PathBuf};

use super::{
    Features, Holdout, InputSchema, RecordSink, Records, Scale, Split, Target, TargetSchema,
    shard::{Element, Layout, ShardWriter, TargetKind},
    split::Splitter,
};
use crate::error::{Error, Result};

/// Takes examples, assigns splits to those that have none, and learns the mean and deviation of pictures on the
/// training split only.
pub struct RecordWriter {
    folder: PathBuf,
    holdout: Holdout,
    seed: u64,
    ordinal: u64,
    splits: Option<Splits>,
    moments: Moments,
    classes: u32,
    scratch: (Vec<u8>, Vec<u8>),
}

struct Splits {
    layout: Layout,
    writers: [ShardWriter; 3],
}

/// Exact sums of every pixel's values and of their squares, and the pictures; features of a table are scaled before
/// they come here.
#[derive(Default)]
struct Moments {
    sums: Vec<(u64, u64)>,
    rows: u64,
}

impl RecordWriter {
    /// Writes into `folder`. Rows without a split of their own are held out by a hash of `(seed, ordinal)`; none for
    /// test once the source has given a test row of its own.
    pub fn new(folder: &Path, holdout: Holdout, seed: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            holdout,
            seed,
            ordinal: 0,
            splits: None,
            moments: Moments::default(),
            classes: 0,
            scratch: Default::default(),
        }
    }

    /// Closes the shards and returns the training split's scale; none of a table.
    ///
    /// # Errors
    /// No rows at all, no training rows, or a description that does not fit what was pushed.
    pub fn finish(self, records: &Records) -> Result<Option<Scale>> {
        let Some(splits) = self.splits else {
            return Err(Error::input("the data has no rows").next("check `data.source` and `data.limit`"));
        };
        let channels = check(&splits.layout, self.classes, records)?;
        let [train, ..] = &splits.writers;
        if train.rows() == 0 {
            return Err(Error::input("every row is held out, so none is left to train on")
                .next("lower `data.holdout.validation` and `data.holdout.test`"));
        }
        for writer in splits.writers {
            writer.finish()?;
        }
        Ok(self.moments.scale(channels))
    }

    fn split(&self) -> Split {
        Splitter::new(&self.holdout, self.seed).row(self.ordinal)
    }

    fn open(&mut self, layout: Layout) -> Result<&mut Splits> {
        if self.splits.is_none() {
            let [train, validation, test] =
                Split::ALL.map(|s| ShardWriter::create(&super::cache::shard_path(&self.folder, s), layout));
            self.splits = Some(Splits { layout, writers: [train?, validation?, test?] });
        }
        match &mut self.splits {
            Some(splits) if splits.layout == layout => Ok(splits),
            _ => Err(Error::input(format!("row {} has another shape or type than the rows before it", self.ordinal))),
        }
    }
}

impl RecordSink for RecordWriter {
    fn push(&mut self, split: Option<Split>, features: Features<'_>, target: Target<'_>) -> Result<()> {
        if split == Some(Split::Test) {
            // A source with a test split of its own gives it first, and keeps the rest for training.
            self.holdout.test = 0.0;
        }
        let split = split.unwrap_or_else(|| self.split());
        let (mut elements, mut targets) = std::mem::take(&mut self.scratch);
        elements.clear();
        targets.clear();
        let (element, width) = match features {
            Features::U8(values) => {
                elements.extend_from_slice(values);
                (Element::U8, values.len())
            }
            Features::F32(values) => {
                extend(&mut elements, values, self.ordinal)?;
                (Element::F32, values.len())
            }
            Features::Tokens { ids, vocab } => {
                let element = Layout::tokens(vocab + 1).element;
                element.extend(&mut elements, ids);
                (element, ids.len())
            }
        };
        let (kind, count) = match target {
            Target::Class(class) => {
                self.classes = self.classes.max(class.saturating_add(1));
                targets.extend(class.to_le_bytes());
                (TargetKind::Class, 1)
            }
            Target::Values(values) => {
                extend(&mut targets, values, self.ordinal)?;
                (TargetKind::Values, values.len())
            }
        };
        if width == 0 || count == 0 {
            return Err(Error::input(format!("row {} has no features or no target", self.ordinal)));
        }
        if let (Split::Train, Features::U8(pixels)) = (split, features) {
            self.moments.add(pixels);
        }
        let layout = Layout { element, width: width as u64, target: kind, targets: count as u64 };
        let [train, validation, test] = &mut self.open(layout)?.writers;
        let writer = match split {
            Split::Train => train,
            Split::Validation => validation,
            Split::Test => test,
        };
        writer.row(&elements, &targets)?;
        self.ordinal += 1;
        self.scratch = (elements, targets);
        Ok(())
    }
}

fn extend(bytes: &mut Vec<u8>, values: &[f32], ordinal: u64) -> Result<()> {
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Error::input(format!("row {ordinal} holds a value that is not a finite 32-bit number"))
            .next("remove the row or mend the value"));
    }
    match cfg!(target_endian = "little") {
        true => bytes.extend_from_slice(bytemuck::cast_slice(values)),
        false => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
    }
    Ok(())
}

/// Checks the description against the rows, and returns the number of channels or columns.
fn check(layout: &Layout, classes: u32, records: &Records) -> Result<usize> {
    let (channels, width, element) = match &records.input {
        InputSchema::Image { channels, height, width } => (*channels, channels * height * width, Element::U8),
        InputSchema::Table { columns } => (columns.len(), columns.len(), Element::F32),
        InputSchema::Windows { columns, length, .. } => (columns.len(), length * columns.len(), Element::F32),
        InputSchema::Tokens { vocab, context } => (0, *context, Layout::tokens(vocab + 1).element),
        InputSchema::Choices { .. } => return Err(Error::failed("choices are not records")),
    };
    let targets = match &records.target {
        TargetSchema::Classes { names } => names.len() >= classes as usize && layout.target == TargetKind::Class,
        TargetSchema::Values { names } => names.len() as u64 == layout.targets && layout.target == TargetKind::Values,
        TargetSchema::Itself { .. } => classes <= 2 && layout.target == TargetKind::Class,
        TargetSchema::NextToken | TargetSchema::Items => false,
    };
    if width as u64 != layout.width || element != layout.element || !targets {
        return Err(Error::failed(format!("the rows do not fit their description {records:?}")));
    }
    Ok(channels)
}

impl Moments {
    fn add(&mut self, pixels: &[u8]) {
        if self.sums.is_empty() {
            self.sums = vec![(0, 0); pixels.len()];
        }
        self.rows += 1;
        for ((sum, squares), &v) in self.sums.iter_mut().zip(pixels) {
            *sum += u64::from(v);
            *squares += u64::from(v) * u64::from(v);
        }
    }

    /// Population mean and deviation per channel of values divided by 255.
    fn scale(&self, channels: usize) -> Option<Scale> {
        if self.sums.is_empty() {
            return None;
        }
        let mut scale = Scale { mean: Vec::new(), std: Vec::new() };
        for pixels in self.sums.chunks((self.sums.len() / channels.max(1)).max(1)) {
            let n = self.rows as f64 * pixels.len() as f64;
            let (sum, squares) =
                pixels.iter().fold((0u128, 0u128), |(s, q), p| (s + u128::from(p.0), q + u128::from(p.1)));
            let mean = sum as f64 / n;
            let variance = (squares as f64 / n - mean * mean).max(0.0) / (255.0 * 255.0);
            let std = variance.sqrt() as f32;
            // A constant channel leaves rounding noise, which must not be blown up to unit variance.
            let varies = std.is_finite() && f64::from(std) > mean / 255.0 * 1e-7 && std > f32::MIN_POSITIVE;
            scale.mean.push((mean / 255.0) as f32);
            scale.std.push(if varies { std } else { 1.0 });
        }
        Some(scale)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
