//! A sample of the training rows' numbers, for what is learned of several columns together.

use super::Cell;
use crate::data::DataConfig;
use crate::data::clean::{CleanConfig, Column, ColumnType, Impute, IsolationConfig, Joint, number};
use crate::data::profile::RowSample;

/// Rows of the sample, and numbers of it at most.
const ROWS: usize = 20_000;
const NUMBERS: usize = 4 << 20;

/// The numeric columns of a uniform choice of training rows; nothing where nothing needs them.
pub(super) struct JointSample {
    /// The numeric columns by their places, with their types.
    columns: Vec<(usize, ColumnType)>,
    sample: Option<RowSample>,
}

impl JointSample {
    pub(super) fn new(config: &DataConfig, settings: &[CleanConfig], kinds: &[ColumnType]) -> Self {
        let numeric = |kind: ColumnType| matches!(kind, ColumnType::Numeric | ColumnType::Boolean);
        let columns: Vec<(usize, ColumnType)> =
            kinds.iter().copied().enumerate().filter(|(_, kind)| numeric(*kind)).collect();
        let by_neighbours = |(own, kind): (&CleanConfig, &ColumnType)| {
            *kind == ColumnType::Numeric && matches!(own.impute, Some(Impute::Knn(_)))
        };
        let needed = config.isolation_forest.is_some() || settings.iter().zip(kinds).any(by_neighbours);
        let rows = (NUMBERS / columns.len().max(1)).clamp(1, ROWS);
        let sample = (needed && !columns.is_empty()).then(|| RowSample::new(columns.len(), rows));
        Self { columns, sample }
    }

    /// Offers a training row.
    pub(super) fn add(&mut self, cells: &[Cell<'_>], settings: &[CleanConfig]) {
        let Self { columns, sample: Some(sample) } = self else { return };
        sample.offer(|row| {
            for (slot, (at, kind)) in row.iter_mut().zip(columns) {
                let there = cells.get(*at).zip(settings.get(*at)).filter(|(cell, own)| !cell.is_missing(own.markers()));
                *slot = there.and_then(|(cell, _)| number(*kind, cell).ok()).unwrap_or(f64::NAN);
            }
        });
    }

    pub(super) fn fit(&self, columns: &[Column], isolation: Option<&IsolationConfig>) -> Option<Joint> {
        Joint::fit(columns, &self.sample.as_ref()?.values, isolation)
    }
}
