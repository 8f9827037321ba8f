//! Folds of a cross-validation: which rows are for what. Pictures are a view of what is prepared; a table is prepared
//! for each fold, so that its transforms learn on the fold's own training rows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DataConfig, Dataset, HostInput, HostTarget, InputSchema, Sampler, Scale, Schema, Split, TargetSchema, WindowConfig,
};
use crate::error::{Error, Result};

/// How rows are shared out among folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FoldBy {
    /// Every fold gets its share of every class; real values are shared out at random.
    #[default]
    Stratified,
    /// At random.
    Shuffled,
    /// Rows with the same value of a column stay in one fold.
    Grouped,
    /// Rows in the order of a column: fold `i` validates on the part after the first `i + 1` of `of + 1`, and trains on
    /// those.
    Time,
}

impl FoldBy {
    /// How the rows of a config are shared out unless it is told otherwise, and the column that they go by: windows by
    /// their time or their group, all else by class.
    pub fn usual(config: &DataConfig) -> (Self, String) {
        let window = config.window.as_ref();
        let by = |by: Self, column: &Option<String>| column.clone().map(|column| (by, column));
        let of_windows = window.and_then(|own| by(Self::Time, &own.time).or_else(|| by(Self::Grouped, &own.group)));
        of_windows.unwrap_or_default()
    }

    /// Whether rows that are shared out so, by `column`, leave windows whole: they share their rows.
    pub fn leaves_windows_whole(self, column: &str, window: &WindowConfig) -> bool {
        match self {
            Self::Time => window.time.as_deref() == Some(column),
            Self::Grouped => window.group.as_deref() == Some(column),
            Self::Stratified | Self::Shuffled => false,
        }
    }
}

/// `data.fold`: one fold of a cross-validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which one validates, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// How rows are shared out.
    #[serde(default)]
    pub by: FoldBy,
    /// The feature column of `by = "grouped"` or `"time"`.
    #[serde(default)]
    pub column: String,
    /// What rows are shuffled by.
    #[serde(default)]
    pub seed: u64,
}

/// Pictures of other splits, and the scale that was learned on them.
#[derive(Debug)]
pub(super) struct Folded {
    pub schema: Schema,
    pub fingerprint: String,
    train: Vec<Place>,
    validation: Vec<Place>,
}

/// Where a row is stored.
type Place = (Split, u64);

/// Rows that are read together.
const BATCH: usize = 1024;

impl Folded {
    pub(super) fn new(dataset: &Dataset, fold: &Fold) -> Result<Self> {
        let schema = dataset.schema();
        if matches!(schema.input, InputSchema::Choices { .. }) {
            return Err(Error::input("`data.fold` shares out rows, and a user's choices belong together")
                .next("remove `data.fold`"));
        }
        if schema.target == TargetSchema::NextToken {
            return Err(Error::input("`data.fold` shares out rows, and text is none").next("remove `data.fold`"));
        }
        let rows = |split| (0..dataset.len(split)).map(move |row| (split, row));
        let pool: Vec<Place> = rows(Split::Train).chain(rows(Split::Validation)).collect();
        let roles = shared_out(fold, &keys(dataset, fold, &pool)?)?;
        let with = |role: Role| pool.iter().zip(&roles).filter(move |(_, r)| **r == role).map(|(place, _)| *place);
        let (train, validation): (Vec<_>, Vec<_>) = (with(Role::Train).collect(), with(Role::Validate).collect());
        let mut schema = schema.clone();
        if schema.scale.is_some() {
            schema.scale = Some(scale(dataset, &train)?);
        }
        let key = format!("{} {fold:?}", dataset.fingerprint());
        let fingerprint = blake3::hash(key.as_bytes()).to_hex().chars().take(32).collect();
        Ok(Self { schema, fingerprint, train, validation })
    }

    /// Where the rows of a split are stored; `None` for those that are as they were.
    pub(super) fn places(&self, split: Split) -> Option<&[Place]> {
        match split {
            Split::Train => Some(&self.train),
            Split::Validation => Some(&self.validation),
            Split::Test => None,
        }
    }
}

/// What a row is for in one fold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    Train,
    Validate,
    Neither,
}

/// The role of every row outside the test split, by the key of each: its class, or the value of a column; anything
/// where chance alone decides.
///
/// # Errors
/// Fewer rows or keys than so many folds need.
pub(super) fn shared_out(fold: &Fold, keys: &[f64]) -> Result<Vec<Role>> {
    let Fold { index, of, .. } = fold;
    if *of < 2 || index >= of || keys.len() < 2 * of {
        return Err(Error::input(format!("fold {index} of {of} cannot be made of {} rows", keys.len()))
            .next("ask for at least 2 folds of at least 2 rows, counted from 0"));
    }
    let roles = roles(fold, keys);
    if [Role::Train, Role::Validate].iter().any(|role| !roles.contains(role)) {
        return Err(Error::input(format!("fold {index} of {of} has no rows"))
            .next(format!("`{}` has too few values for so many folds", fold.column)));
    }
    Ok(roles)
}

fn keys(dataset: &Dataset, fold: &Fold, pool: &[Place]) -> Result<Vec<f64>> {
    if matches!(fold.by, FoldBy::Grouped | FoldBy::Time) {
        return Err(Error::input("`data.fold.column` needs a table").next("use `by = \"stratified\"`"));
    }
    let mut keys = Vec::with_capacity(pool.len());
    each_batch(dataset, pool, |_, target, rows| match (fold.by, target) {
        (FoldBy::Stratified, HostTarget::Classes(ids)) => keys.extend(ids.iter().map(|&id| f64::from(id))),
        _ => keys.extend(std::iter::repeat_n(0.0, rows)),
    })?;
    Ok(keys)
}

fn each_batch(dataset: &Dataset, places: &[Place], mut each: impl FnMut(&[f32], &HostTarget, usize)) -> Result<()> {
    for places in places.chunk_by(|a, b| a.0 == b.0).flat_map(|part| part.chunks(BATCH)) {
        let rows: Vec<u64> = places.iter().map(|place| place.1).collect();
        let Some(&(split, _)) = places.first() else { continue };
        let batch = dataset.batch(split, &rows, 0)?;
        if let HostInput::Floats { values, .. } = &batch.input {
            each(values, &batch.target, rows.len());
        }
    }
    Ok(())
}

fn roles(fold: &Fold, keys: &[f64]) -> Vec<Role> {
    let folds = match fold.by {
        FoldBy::Stratified | FoldBy::Shuffled => dealt(fold, keys),
        FoldBy::Grouped => grouped(fold, keys),
        FoldBy::Time => {
            let parts = in_time(fold, keys);
            let role = |part: usize| match part.cmp(&(fold.index + 1)) {
                std::cmp::Ordering::Less => Role::Train,
                std::cmp::Ordering::Equal => Role::Validate,
                std::cmp::Ordering::Greater => Role::Neither,
            };
            return parts.into_iter().map(role).collect();
        }
    };
    folds.into_iter().map(|f| if f == fold.index { Role::Validate } else { Role::Train }).collect()
}

/// Shuffles the rows of every key and deals them out in turn; the next key goes on where the last one stopped, so that
/// folds differ by one row at most.
fn dealt(fold: &Fold, keys: &[f64]) -> Vec<usize> {
    let n = keys.len();
    let mut order: Vec<usize> =
        Sampler::new(fold.seed, n as u64).rows(0, n).iter().map(|(_, row)| *row as usize).collect();
    let key = |row: &usize| keys.get(*row).copied().unwrap_or(0.0);
    order.sort_by(|a, b| key(a).total_cmp(&key(b))); // stable: shuffled within a key
    let mut folds = vec![0; n];
    for (turn, row) in order.into_iter().enumerate() {
        if let Some(slot) = folds.get_mut(row) {
            *slot = turn % fold.of;
        }
    }
    folds
}

/// The largest group first, always into the fold that has the fewest rows.
fn grouped(fold: &Fold, keys: &[f64]) -> Vec<usize> {
    let mut sizes: BTreeMap<u64, usize> = BTreeMap::new();
    for key in keys {
        *sizes.entry(key.to_bits()).or_default() += 1;
    }
    // Shuffled among equals, so that another seed makes other folds.
    let n = sizes.len();
    let shuffled = Sampler::new(fold.seed, n as u64).rows(0, n);
    let mut groups: Vec<(usize, u64, u64)> =
        sizes.into_iter().zip(shuffled).map(|((key, size), (_, rank))| (size, rank, key)).collect();
    groups.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut filled = vec![0usize; fold.of];
    let mut home = BTreeMap::new();
    for (size, _, key) in groups {
        let emptiest = filled.iter().enumerate().min_by_key(|(_, rows)| **rows).map_or(0, |(f, _)| f);
        if let Some(rows) = filled.get_mut(emptiest) {
            *rows += size;
        }
        home.insert(key, emptiest);
    }
    keys.iter().map(|key| home.get(&key.to_bits()).copied().unwrap_or(0)).collect()
}

/// The part of `of + 1` that every row is in, in the order of the keys; equal keys stay together.
fn in_time(fold: &Fold, keys: &[f64]) -> Vec<usize> {
    let mut sorted = keys.to_vec();
    sorted.sort_by(f64::total_cmp);
    let parts = fold.of + 1;
    let part = |key: &f64| sorted.partition_point(|other| other < key) * parts / sorted.len().max(1);
    keys.iter().map(part).collect()
}

/// Mean and deviation of every channel over these pictures, as preparation learns them.
fn scale(dataset: &Dataset, train: &[Place]) -> Result<Scale> {
    let Some(old) = &dataset.schema().scale else { return Err(Error::failed("data without a scale")) };
    let channels = old.mean.len().max(1);
    let mut moments = vec![(0.0f64, 0.0f64, 0.0f64); channels];
    each_batch(dataset, train, |values, _, rows| {
        let row = values.len() / rows.max(1);
        for values in values.chunks(row.max(1)) {
            for (values, (n, mean, m2)) in values.chunks((row / channels).max(1)).zip(&mut moments) {
                for &v in values {
                    *n += 1.0;
                    let delta = f64::from(v) - *mean;
                    *mean += delta / *n;
                    *m2 += delta * (f64::from(v) - *mean);
                }
            }
        }
    })?;
    // The rows came with the old scale on, which is linear: the new one is taken through it.
    let each = moments.iter().zip(old.mean.iter().zip(&old.std)).map(|((n, mean, m2), (old_mean, old_std))| {
        let (old_mean, old_std) = (f64::from(*old_mean), f64::from(*old_std));
        let deviation = (m2 / n).sqrt();
        let std = if deviation > 1e-6 { deviation * old_std } else { 1.0 };
        ((mean * old_std + old_mean) as f32, std as f32)
    });
    let (mean, std) = each.unzip();
    Ok(Scale { mean, std })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
