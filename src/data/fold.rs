//! Folds of a cross-validation: a view of prepared rows with other splits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dataset, HostInput, HostTarget, InputSchema, Sampler, Scale, Schema, Split};
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

/// Rows of other splits, and what was learned on them.
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
        if matches!(schema.input, InputSchema::Tokens { .. }) {
            return Err(Error::input("`data.fold` shares out rows, and text is none").next("remove `data.fold`"));
        }
        let rows = |split| (0..dataset.len(split)).map(move |row| (split, row));
        let pool: Vec<Place> = rows(Split::Train).chain(rows(Split::Validation)).collect();
        if fold.of < 2 || fold.index >= fold.of || pool.len() < 2 * fold.of {
            return Err(Error::input(format!(
                "fold {} of {} cannot be made of {} rows",
                fold.index,
                fold.of,
                pool.len()
            ))
            .next("ask for at least 2 folds of at least 2 rows, counted from 0"));
        }
        let roles = roles(fold, &keys(dataset, fold, &pool)?);
        let with = |role: Role| pool.iter().zip(&roles).filter(move |(_, r)| **r == role).map(|(place, _)| *place);
        let (train, validation): (Vec<_>, Vec<_>) = (with(Role::Train).collect(), with(Role::Validate).collect());
        if train.is_empty() || validation.is_empty() {
            return Err(Error::input(format!("fold {} of {} has no rows", fold.index, fold.of))
                .next(format!("`{}` has too few values for so many folds", fold.column)));
        }
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

#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    Train,
    Validate,
    Neither,
}

/// What rows are shared out by: their class, or the value of a column; nothing where that is chance alone.
fn keys(dataset: &Dataset, fold: &Fold, pool: &[Place]) -> Result<Vec<f64>> {
    let column = match (fold.by, &dataset.schema().input) {
        (FoldBy::Stratified | FoldBy::Shuffled, _) => None,
        (_, InputSchema::Table { columns }) => {
            let found = columns.iter().position(|name| *name == fold.column);
            Some(found.ok_or_else(|| {
                Error::input(format!("`data.fold.column` = \"{}\" is no feature column", fold.column))
                    .next(format!("choose one of {}", columns.join(", ")))
            })?)
        }
        _ => return Err(Error::input("`data.fold.column` needs a table").next("use `by = \"stratified\"`")),
    };
    let mut keys = Vec::with_capacity(pool.len());
    each_batch(dataset, pool, |values, target, rows| match column {
        Some(column) => keys
            .extend(values.chunks(values.len() / rows.max(1)).filter_map(|row| row.get(column)).map(|v| f64::from(*v))),
        None => match (fold.by, target) {
            (FoldBy::Stratified, HostTarget::Classes(ids)) => keys.extend(ids.iter().map(|&id| f64::from(id))),
            _ => keys.extend(std::iter::repeat_n(0.0, rows)),
        },
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

/// Mean and deviation of every column or channel over these rows, as preparation learns them.
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
mod tests {
    use super::{
        super::{DataConfig, prepare},
        *,
    };

    fn fold(index: usize, of: usize, by: FoldBy) -> Fold {
        Fold { index, of, by, column: String::new(), seed: 5 }
    }

    fn validated(of: usize, by: FoldBy, keys: &[f64]) -> Vec<Vec<usize>> {
        let rows = |index| roles(&fold(index, of, by), keys).into_iter().enumerate();
        (0..of)
            .map(|index| rows(index).filter(|(_, role)| *role == Role::Validate).map(|(row, _)| row).collect())
            .collect()
    }

    #[test]
    fn folds_validate_every_row_once_and_share_out_classes() {
        let keys: Vec<f64> = (0..103).map(|i| f64::from(i % 10 == 0)).collect();
        for by in [FoldBy::Stratified, FoldBy::Shuffled, FoldBy::Grouped] {
            let keys = if by == FoldBy::Grouped { (0..103).map(|i| f64::from(i / 4)).collect() } else { keys.clone() };
            let folds = validated(5, by, &keys);
            let mut all: Vec<usize> = folds.concat();
            all.sort_unstable();
            assert_eq!(all, (0..103).collect::<Vec<_>>(), "{by:?}");
            assert!(folds.iter().all(|rows| (19..=24).contains(&rows.len())), "{by:?} {folds:?}");
            if by == FoldBy::Stratified {
                let ones = |rows: &Vec<usize>| rows.iter().filter(|&&row| keys[row] == 1.0).count();
                assert!(folds.iter().all(|rows| (2..=3).contains(&ones(rows))), "11 of them in five folds");
            }
        }
        assert_ne!(
            dealt(&fold(0, 5, FoldBy::Shuffled), &keys),
            dealt(&Fold { seed: 6, ..fold(0, 5, FoldBy::Shuffled) }, &keys)
        );
    }

    #[test]
    fn groups_stay_together() {
        let keys: Vec<f64> = (0..60).map(|i| f64::from(i * i % 7)).collect();
        for rows in validated(3, FoldBy::Grouped, &keys) {
            let inside: Vec<u64> = rows.iter().map(|&row| keys[row].to_bits()).collect();
            assert!((0..60).all(|row| rows.contains(&row) || !inside.contains(&keys[row].to_bits())));
        }
    }

    #[test]
    fn time_never_trains_on_what_comes_later() {
        let keys: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40)).collect();
        for index in 0..3 {
            let roles = roles(&fold(index, 3, FoldBy::Time), &keys);
            let of = |role: Role| keys.iter().zip(&roles).filter(move |(_, r)| **r == role).map(|(key, _)| *key);
            let last = of(Role::Train).fold(f64::MIN, f64::max);
            assert!(of(Role::Validate).all(|key| key > last) && of(Role::Validate).count() == 10);
            assert_eq!(of(Role::Train).count(), 10 * (index + 1));
        }
    }

    #[test]
    fn a_fold_learns_its_own_scale_on_its_own_rows() {
        let folder = tempfile::tempdir().unwrap();
        let text: String =
            (0..120).map(|i| format!("{i},{},{}\n", i % 3, if i % 4 == 0 { "a" } else { "b" })).collect();
        std::fs::write(folder.path().join("t.csv"), format!("n,m,kind\n{text}")).unwrap();
        let toml = "task = 'classification'\nsource = { path = 't.csv' }\ncache = 'cache'\nholdout = { test = 0.2 }";
        let config: DataConfig = toml::from_str(toml).unwrap();
        let whole = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
        let pooled = whole.len(Split::Train) + whole.len(Split::Validation);
        let numbers = |dataset: &Dataset, split| -> Vec<i64> {
            let rows: Vec<u64> = (0..dataset.len(split)).collect();
            let HostInput::Floats { values, .. } = dataset.batch(split, &rows, 0).unwrap().input else { panic!() };
            let scale = dataset.schema().scale.as_ref().unwrap();
            values.chunks(2).map(|row| (row[0] * scale.std[0] + scale.mean[0]).round() as i64).collect()
        };
        let mut seen = Vec::new();
        for index in 0..4 {
            let config = DataConfig { fold: Some(fold(index, 4, FoldBy::Stratified)), ..config.clone() };
            let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
            assert_eq!(dataset.len(Split::Train) + dataset.len(Split::Validation), pooled);
            assert_eq!(numbers(&dataset, Split::Test), numbers(&whole, Split::Test));
            assert_ne!(dataset.fingerprint(), whole.fingerprint());
            let rows: Vec<u64> = (0..dataset.len(Split::Train)).collect();
            let HostInput::Floats { values, .. } = dataset.batch(Split::Train, &rows, 0).unwrap().input else {
                panic!()
            };
            for column in 0..2 {
                let values: Vec<f64> = values.chunks(2).map(|row| f64::from(row[column])).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let square = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
                assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
            }
            seen.extend(numbers(&dataset, Split::Validation));
        }
        seen.sort_unstable();
        let mut pool = [numbers(&whole, Split::Train), numbers(&whole, Split::Validation)].concat();
        pool.sort_unstable();
        assert_eq!(seen, pool, "every row validates once");
        let odd = |fold: Fold| whole.fold(&fold).unwrap_err().to_string();
        assert!(odd(fold(4, 4, FoldBy::Stratified)).contains("counted from 0"));
        assert!(odd(fold(0, 4, FoldBy::Grouped)).contains("choose one of n, m"));
    }
}
