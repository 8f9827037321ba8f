//! Rows of a split as a batch holds them: windows of tokens, texts, records.

use super::{Dataset, damaged, train_windows};
use crate::{
    data::{
        HostInput, HostTarget, IGNORE, PADDING, Split, TargetSchema,
        sampler::mix,
        shard::{Element, Shard},
    },
    error::Result,
};

impl Dataset {
    /// The targets of these rows alone.
    pub(in crate::data) fn targets(&self, split: Split, rows: impl Iterator<Item = u64>) -> Result<HostTarget> {
        let (mut classes, mut reals) = (Vec::new(), Vec::new());
        for row in rows {
            let (split, row) = self.place(split, row);
            let shard = self.shard(split);
            let (_, targets) = shard.row(row)?;
            match &self.inner.schema.target {
                TargetSchema::Classes { names } => classes.push(class(shard, targets, names.len())?),
                TargetSchema::Itself { .. } => classes.push(class(shard, targets, 2)?),
                _ => reals.extend(floats(targets)),
            }
        }
        Ok(match &self.inner.schema.target {
            TargetSchema::Values { names } => HostTarget::Values { values: reals, width: names.len() },
            TargetSchema::Itself { .. } => {
                HostTarget::Itself { anomalies: classes.iter().map(|id| *id == 1).collect() }
            }
            _ => HostTarget::Classes(classes),
        })
    }

    /// Windows of tokens and of the tokens that follow them.
    pub(super) fn windows(
        &self,
        split: Split,
        rows: &[(u64, u64)],
        vocab: usize,
        context: usize,
    ) -> Result<(HostInput, HostTarget)> {
        let shard = self.shard(split);
        let mut ids = Vec::with_capacity(rows.len() * context);
        let mut targets = Vec::with_capacity(rows.len() * context);
        let mut window = Vec::with_capacity(context + 1);
        for &(epoch, row) in rows {
            let start = row * context as u64 + self.shift(split, epoch, context as u64);
            // The last window of a held-out split is shorter; its padding has no loss.
            let n = shard.rows().saturating_sub(start).min(context as u64 + 1) as usize;
            window.clear();
            shard.tokens(start, n, &mut window)?;
            if let Some(id) = window.iter().find(|&&id| id < 0 || id as usize >= vocab) {
                return Err(damaged(shard, &format!("token {id} is outside the vocabulary of {vocab}")));
            }
            let pairs = n.saturating_sub(1);
            ids.extend(window.iter().take(pairs));
            targets.extend(window.iter().skip(1));
            ids.extend(std::iter::repeat_n(0, context - pairs));
            targets.extend(std::iter::repeat_n(IGNORE, context - pairs));
        }
        Ok((HostInput::Tokens { ids, context }, HostTarget::Classes(targets)))
    }

    /// Where an epoch's first window begins.
    fn shift(&self, split: Split, epoch: u64, context: u64) -> u64 {
        if split != Split::Train {
            return 0;
        }
        let tokens = self.shard(split).rows();
        let room = tokens.saturating_sub(1 + train_windows(tokens, context) * context);
        mix(mix(self.inner.seed) ^ mix(epoch)) % context.min(room + 1).max(1)
    }

    /// Texts, as long as the longest of them: its length is rounded up, so that there are few shapes.
    pub(super) fn texts(
        &self,
        split: Split,
        rows: &[(u64, u64)],
        vocab: usize,
        context: usize,
    ) -> Result<(HostInput, HostTarget)> {
        const STEP: usize = 8;
        let mut texts = Vec::with_capacity(rows.len());
        for &(_, row) in rows {
            let (split, row) = self.place(split, row);
            let shard = self.shard(split);
            let (elements, _) = shard.row(row)?;
            let mut ids = shard.layout().element.ids(elements);
            if let Some(id) = ids.iter().find(|&&id| id as usize > vocab) {
                return Err(damaged(shard, &format!("token {id} is outside the vocabulary of {vocab}")));
            }
            ids.truncate(ids.iter().rposition(|&id| id as usize != vocab).map_or(0, |last| last + 1));
            texts.push(ids);
        }
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let context = longest.next_multiple_of(STEP).min(context);
        let mut ids = Vec::with_capacity(rows.len() * context);
        for text in &texts {
            ids.extend(text.iter().map(|id| id.cast_signed()));
            ids.extend(std::iter::repeat_n(PADDING, context - text.len()));
        }
        Ok((HostInput::Tokens { ids, context }, self.targets(split, rows.iter().map(|&(_, row)| row))?))
    }

    pub(super) fn records(
        &self,
        split: Split,
        rows: &[(u64, u64)],
        shape: &[usize],
    ) -> Result<(HostInput, HostTarget)> {
        let mut values = Vec::with_capacity(rows.len() * shape.iter().product::<usize>());
        for &(_, row) in rows {
            let (split, row) = self.place(split, row);
            let shard = self.shard(split);
            let (elements, _) = shard.row(row)?;
            let first = values.len();
            match shard.layout().element {
                Element::U8 => values.extend(elements.iter().map(|&v| f32::from(v) / 255.0)),
                _ => values.extend(floats(elements)),
            }
            self.standardize(values.get_mut(first..).unwrap_or_default());
        }
        let target = self.targets(split, rows.iter().map(|&(_, row)| row))?;
        Ok((HostInput::Floats { values, shape: shape.to_vec() }, target))
    }

    /// Standardises one row, channel by channel.
    fn standardize(&self, row: &mut [f32]) {
        let Some(scale) = &self.schema().scale else { return };
        let channel = (row.len() / scale.mean.len().max(1)).max(1);
        for ((values, mean), std) in row.chunks_mut(channel).zip(&scale.mean).zip(&scale.std) {
            values.iter_mut().for_each(|v| *v = (*v - mean) / std);
        }
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}

fn class(shard: &Shard, targets: &[u8], classes: usize) -> Result<i32> {
    let class = targets.first_chunk::<4>().map_or(u32::MAX, |b| u32::from_le_bytes(*b));
    if class as usize >= classes {
        return Err(damaged(shard, &format!("class {class} is not among the {classes}")));
    }
    Ok(class as i32)
}
