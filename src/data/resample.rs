//! Training rows drawn so that rare classes come up more often: a view, in which the rows themselves stay as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dataset, HostTarget, Sampler, Split, TargetSchema, sampler::mix};
use crate::error::{Error, Result};

/// Rows that are read together.
const BATCH: usize = 4096;

/// `train.resample`: which training rows an epoch draws. Validation and test stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resample {
    /// Rows of every class are repeated until it has this share of the commonest class's rows: 1.0 draws all classes
    /// equally often.
    Over(f64),
    /// Rows of every class are left out, at random, until the rarest class has this share of its rows: 1.0 keeps as many
    /// of each as of the rarest.
    Under(f64),
}

impl Dataset {
    /// The training rows of every class.
    ///
    /// # Errors
    /// Data without classes, or a damaged shard.
    pub fn class_counts(&self) -> Result<Vec<u64>> {
        Ok(self.rows_by_class()?.iter().map(|rows| rows.len() as u64).collect())
    }

    /// The same data with another choice of training rows, a pure function of `seed`.
    ///
    /// # Errors
    /// As [`Dataset::class_counts`].
    pub fn resampled(&self, how: Resample, seed: u64) -> Result<Self> {
        let classes: Vec<Vec<u64>> = self.rows_by_class()?;
        let sizes = || classes.iter().map(Vec::len).filter(|rows| *rows > 0);
        let most = sizes().max().unwrap_or(0) as f64;
        let least = sizes().min().unwrap_or(0) as f64;
        let mut drawn = Vec::new();
        for (class, rows) in (0u64..).zip(&classes).filter(|(_, rows)| !rows.is_empty()) {
            let wanted = match how {
                Resample::Over(share) => rows.len().max((share * most).round() as usize),
                Resample::Under(share) => rows.len().min((least / share).round() as usize),
            };
            // Whole rounds over the class, then a part of one: no row is drawn twice more than another.
            let order = Sampler::new(mix(seed) ^ mix(class), rows.len() as u64);
            drawn.extend(order.rows(0, wanted).iter().filter_map(|(_, at)| rows.get(*at as usize)));
        }
        drawn.sort_unstable();
        Ok(self.drawing(drawn))
    }

    fn rows_by_class(&self) -> Result<Vec<Vec<u64>>> {
        let TargetSchema::Classes { names } = &self.schema().target else {
            return Err(Error::input("the training rows have no classes")
                .next("remove `train.class_weights` and `train.resample`, or learn classes"));
        };
        let mut classes = vec![Vec::new(); names.len()];
        let all: Vec<u64> = (0..self.len(Split::Train)).collect();
        for rows in all.chunks(BATCH) {
            let HostTarget::Classes(ids) = self.targets(Split::Train, rows.iter().copied())? else { continue };
            for (row, id) in rows.iter().zip(ids) {
                usize::try_from(id).ok().and_then(|id| classes.get_mut(id)).into_iter().for_each(|c| c.push(*row));
            }
        }
        Ok(classes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{
        super::{DataConfig, prepare},
        *,
    };

    fn dataset(folder: &std::path::Path) -> Dataset {
        let text: String = (0..600).map(|i| format!("{i},{}\n", if i % 10 == 0 { "rare" } else { "common" })).collect();
        std::fs::write(folder.join("t.csv"), format!("x,y\n{text}")).unwrap();
        let toml = "task = 'classification'\nsource = { path = 't.csv' }\ncache = 'cache'\n\
                    holdout = { validation = 0.2, by = 'class' }\n";
        let config: DataConfig = toml::from_str(toml).unwrap();
        prepare(&config, folder, 1, &|_| {}).unwrap()
    }

    #[test]
    fn classes_come_up_as_often_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let whole = dataset(folder.path());
        assert_eq!(whole.class_counts().unwrap(), [432, 48]);
        let counts = |how| whole.resampled(how, 7).unwrap().class_counts().unwrap();
        assert_eq!(counts(Resample::Over(1.0)), [432, 432]);
        assert_eq!(counts(Resample::Over(0.5)), [432, 216]);
        assert_eq!(counts(Resample::Under(1.0)), [48, 48]);
        assert_eq!(counts(Resample::Under(0.5)), [96, 48]);
    }

    #[test]
    fn resampling_is_a_function_of_the_seed_and_leaves_held_out_rows_alone() {
        let folder = tempfile::tempdir().unwrap();
        let whole = dataset(folder.path());
        let rows = |data: &Dataset, split| data.batch(split, &(0..data.len(split)).collect::<Vec<_>>(), 0).unwrap();
        let under = |seed| whole.resampled(Resample::Under(1.0), seed).unwrap();
        assert_eq!(rows(&under(3), Split::Train), rows(&under(3), Split::Train));
        assert_ne!(rows(&under(3), Split::Train), rows(&under(4), Split::Train));
        assert_eq!(rows(&under(3), Split::Validation), rows(&whole, Split::Validation));
        let over = whole.resampled(Resample::Over(1.0), 3).unwrap();
        assert_eq!(over.fingerprint(), whole.fingerprint(), "it is the same data");
        assert!(over.resampled(Resample::Under(1.0), 3).unwrap().class_counts().unwrap()[1] == 432);
    }
}
