//! The same figures on parts of the rows: by a column's values, or by its quartiles.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    baseline::read_rows,
    data::{Dataset, InputSchema, Split},
    error::{Error, Result},
    metric::{Counted, Estimate, Predictions, Resampling, estimates, quantile},
};

/// A column with more values than this is cut into quartiles.
const MAX_VALUES: usize = 10;

/// The rows that share a value, or lie between two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// `3`, or `2.5 to 4`, in the units of the source.
    pub name: String,
    /// Rows of it.
    pub rows: usize,
    /// Figures on them.
    pub figures: BTreeMap<&'static str, Estimate>,
}

/// A column's slices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sliced {
    /// The column.
    pub column: String,
    /// From the least value on.
    pub slices: Vec<Slice>,
}

/// Figures of `predictions`, which are those of the whole `split`, by the values of a column of the table.
///
/// # Errors
/// A column that is not there, data that are no table, or a damaged shard.
pub fn slices(
    predictions: &Predictions,
    dataset: &Dataset,
    split: Split,
    column: &str,
    how: Resampling,
) -> Result<Sliced> {
    let InputSchema::Table { columns } = &dataset.schema().input else {
        return Err(Error::input("slices go by a column, and this run's data are no table").next("leave out --slice"));
    };
    let place = columns.iter().position(|name| name == column).ok_or_else(|| {
        Error::input(format!("--slice {column}: there is no such column"))
            .next(format!("choose one of {}", columns.join(", ")))
    })?;
    let table = read_rows(dataset, split, 0, 0)?;
    let values: Vec<f32> = table.values.iter().skip(place).step_by(table.columns).copied().collect();
    let scale = dataset.schema().scale.as_ref();
    let of = |list: Option<&Vec<f32>>, missing: f64| list.and_then(|l| l.get(place)).map_or(missing, |v| f64::from(*v));
    let (mean, std) = (of(scale.map(|s| &s.mean), 0.0), of(scale.map(|s| &s.std), 1.0));
    // What f32 cannot tell from 0 on the column's own scale is 0.
    let unit = 1e-6 * (mean.abs() + std.abs());
    let unscaled = |value: f64| ((value * std + mean) / unit).round() * unit;
    let slice = |(name, rows): (String, Vec<usize>)| {
        let some = predictions.only(&rows);
        let figures = estimates(&Counted::new(&some), rows.len(), how.bounded(rows.len()));
        Slice { name, rows: rows.len(), figures }
    };
    Ok(Sliced { column: column.into(), slices: parts(&values, unscaled).into_iter().map(slice).collect() })
}

/// The rows of every part, with its name, from the least value on.
fn parts(values: &[f32], unscaled: impl Fn(f64) -> f64) -> Vec<(String, Vec<usize>)> {
    let mut sorted: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
    sorted.sort_by(f64::total_cmp);
    let mut edges = sorted.clone();
    edges.dedup();
    let by_value = edges.len() <= MAX_VALUES;
    if !by_value {
        edges = [0.25, 0.5, 0.75, 1.0].iter().filter_map(|&share| quantile(&sorted, share)).collect();
        edges.dedup();
    }
    let mut below = f64::NEG_INFINITY;
    let mut least = sorted.first().copied().unwrap_or(0.0);
    let mut found = Vec::new();
    for edge in edges {
        let inside = |v: &f32| f64::from(*v) > below && f64::from(*v) <= edge;
        let rows: Vec<usize> = values.iter().enumerate().filter(|(_, v)| inside(v)).map(|(row, _)| row).collect();
        let name = match by_value {
            true => short(unscaled(edge)),
            false => format!("{} to {}", short(unscaled(least)), short(unscaled(edge))),
        };
        if !rows.is_empty() {
            found.push((name, rows));
        }
        (below, least) = (edge, edge);
    }
    found
}

/// Four significant digits: a value went through f32 and a scale.
fn short(value: f64) -> String {
    let digits = (3 - value.abs().max(1e-9).log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_slices_and_many_are_quartiles() {
        let same = |v: f64| v;
        let named = |values: &[f32], unscaled: fn(f64) -> f64| -> Vec<(String, usize)> {
            parts(values, unscaled).into_iter().map(|(name, rows)| (name, rows.len())).collect()
        };
        let pairs = |list: &[(&str, usize)]| -> Vec<(String, usize)> {
            list.iter().map(|(name, rows)| (name.to_string(), *rows)).collect()
        };
        assert_eq!(named(&[2.0, -1.0, 2.0], |v| v * 0.1 + 3.0), pairs(&[("2.9", 1), ("3.2", 2)]));
        let many: Vec<f32> = (0..101).map(|v| v as f32).collect();
        let quartiles = [("0 to 25", 26), ("25 to 50", 25), ("50 to 75", 25), ("75 to 100", 25)];
        assert_eq!(named(&many, same), pairs(&quartiles));
        let rows: usize = parts(&many, same).iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(rows, 101, "every row is in one slice");
    }

    #[test]
    fn names_have_four_digits() {
        for (value, name) in
            [(0.0, "0"), (1234.56, "1235"), (-0.000123456, "-0.0001235"), (9.5, "9.5"), (1e6, "1000000")]
        {
            assert_eq!(short(value), name);
        }
    }
}
