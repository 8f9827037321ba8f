//! The same figures on parts of the rows: by a column's categories or values, or by its quartiles.

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
    /// `3`, or `2.5 to 4`, in the units of the source; or a category.
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
    let schema = dataset.schema().table.as_ref();
    let categories = schema.and_then(|schema| schema.one_hot(column));
    let place = columns.iter().position(|name| name == column);
    let table = read_rows(dataset, split, 0, 0)?;
    let rows = table.values.chunks_exact(table.columns.max(1));
    let coded = schema.and_then(|schema| schema.coded(column));
    let parts = match (categories, place) {
        (Some((names, first)), _) => {
            let own = rows.map(|row| row.get(first..first + names.len()).unwrap_or_default());
            by_category(own.map(|features| features.iter().position(|value| *value == 1.0)), names)
        }
        (None, Some(place)) if coded.is_some() => {
            let codes = rows.map(|row| row.get(place).map(|code| *code as usize));
            by_category(codes, coded.map_or(&[], |(names, _)| names))
        }
        (None, Some(place)) => {
            let values = rows.filter_map(|row| row.get(place)).map(|value| f64::from(*value));
            parts(&values.map(|value| schema.map_or(value, |s| s.unscaled(place, value))).collect::<Vec<_>>())
        }
        (None, None) => {
            let one_hot = |name: &String| schema.is_some_and(|schema| schema.one_hot(name).is_some());
            let whole = schema.map(|schema| schema.needed()).unwrap_or_default();
            let known: Vec<String> = whole.into_iter().filter(|n| columns.contains(n) || one_hot(n)).collect();
            return Err(Error::input(format!("--slice {column}: there is no such column"))
                .next(format!("choose one of {}", known.join(", "))));
        }
    };
    let slice = |(name, rows): (String, Vec<usize>)| {
        let some = predictions.only(&rows);
        let figures = estimates(&Counted::new(&some), rows.len(), how.bounded(rows.len()));
        Slice { name, rows: rows.len(), figures }
    };
    Ok(Sliced { column: column.into(), slices: parts.into_iter().map(slice).collect() })
}

/// The rows of every category, from the place of each row's own among `names`.
fn by_category(rows: impl Iterator<Item = Option<usize>>, names: &[String]) -> Vec<(String, Vec<usize>)> {
    let mut parts: Vec<(String, Vec<usize>)> = names.iter().map(|name| (name.clone(), vec![])).collect();
    parts.push(("any other".into(), vec![]));
    for (row, found) in rows.enumerate() {
        let place = found.filter(|&place| place < names.len()).unwrap_or(names.len());
        if let Some((_, rows)) = parts.get_mut(place) {
            rows.push(row);
        }
    }
    parts.retain(|(_, rows)| !rows.is_empty());
    parts
}

/// The rows of every part, with its name, from the least value on.
fn parts(values: &[f64]) -> Vec<(String, Vec<usize>)> {
    // The values went through f32 and a scale: what cannot be told apart there is one value.
    let unit = 1e-6 * values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let values: Vec<f64> = values.iter().map(|value| (value / unit).round() * unit).collect();
    let mut sorted = values.clone();
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
        let inside = |v: &f64| *v > below && *v <= edge;
        let rows: Vec<usize> = values.iter().enumerate().filter(|(_, v)| inside(v)).map(|(row, _)| row).collect();
        let name = if by_value || least == edge { short(edge) } else { format!("{} to {}", short(least), short(edge)) };
        if !rows.is_empty() {
            found.push((name, rows));
        }
        (below, least) = (edge, edge);
    }
    found
}

/// Four significant digits.
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
        let named = |values: &[f64]| -> Vec<(String, usize)> {
            parts(values).into_iter().map(|(name, rows)| (name, rows.len())).collect()
        };
        let pairs = |list: &[(&str, usize)]| -> Vec<(String, usize)> {
            list.iter().map(|(name, rows)| (name.to_string(), *rows)).collect()
        };
        assert_eq!(named(&[3.2, 2.9, 3.2000001]), pairs(&[("2.9", 1), ("3.2", 2)]));
        let many: Vec<f64> = (0..101).map(f64::from).collect();
        let quartiles = [("0 to 25", 26), ("25 to 50", 25), ("50 to 75", 25), ("75 to 100", 25)];
        assert_eq!(named(&many), pairs(&quartiles));
        let rows: usize = parts(&many).iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(rows, 101, "every row is in one slice");
    }

    #[test]
    fn categories_are_slices_of_their_own() {
        let places = [Some(1), Some(0), None, Some(1), Some(2)];
        let found = by_category(places.into_iter(), &["a".into(), "b".into()]);
        assert_eq!(found, [("a".into(), vec![1]), ("b".into(), vec![0, 3]), ("any other".into(), vec![2, 4])]);
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
