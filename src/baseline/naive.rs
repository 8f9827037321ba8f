//! Naive forecasts over the windows of a table.

use kiln_classic::{Fault, Model, Repeat, repeat};

use super::BaselineKind;
use crate::data::{Forecast, InputSchema, Schema};

/// The forecast that repeats the last value, or that of a season before, of every target.
pub(super) fn fit(kind: BaselineKind, schema: &Schema) -> Result<Model, Fault> {
    let InputSchema::Windows { columns, length, forecast: Some(forecast) } = &schema.input else {
        return Err(Fault("it forecasts windows of values alone".into()));
    };
    let (Forecast { past, season, .. }, width) = (forecast, columns.len());
    let steps = schema.target.names().len() / past.len().max(1);
    let mut outputs = Vec::with_capacity(steps * past.len());
    for ahead in 1..=steps {
        let step = match kind {
            BaselineKind::Seasonal => seasonal(*length, ahead, *season)?,
            _ => length - 1,
        };
        for &feature in past {
            let (scale, shift) = units(schema, feature)?;
            outputs.push(Repeat { column: step * width + feature, scale, shift });
        }
    }
    repeat(kind, length * width, outputs)
}

/// The step of the window that is whole seasons before the one `ahead` of it, the last such.
fn seasonal(length: usize, ahead: usize, season: usize) -> Result<usize, Fault> {
    if season < 2 {
        return Err(Fault("`data.window.season` is not set".into()));
    }
    (length + ahead - 1).checked_sub(ahead.div_ceil(season) * season).ok_or_else(|| {
        Fault(format!("a window of {length} rows does not hold a season of {season}: raise `data.window.length`"))
    })
}

/// What a unit of a feature is in the source, and what the source holds at 0 of it.
fn units(schema: &Schema, feature: usize) -> Result<(f64, f64), Fault> {
    let table = schema.table.as_ref().ok_or_else(|| Fault("the data are no table".into()))?;
    let [zero, one, two] = [0.0, 1.0, 2.0].map(|value| table.unscaled(feature, value));
    let (first, second) = (one - zero, two - one);
    if (first - second).abs() > 1e-6 * first.abs().max(1e-12) {
        return Err(Fault("the past of the target is on no linear scale: set its `scale` to \"standard\"".into()));
    }
    Ok((first, zero))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_season_before_is_within_the_window() {
        // Steps 0 to 23, and the step ahead is number 23 + ahead.
        assert_eq!(seasonal(24, 1, 24).unwrap(), 0);
        assert_eq!(seasonal(24, 24, 24).unwrap(), 23);
        assert_eq!(seasonal(24, 25, 24).unwrap(), 0, "two seasons before");
        assert_eq!(seasonal(48, 1, 24).unwrap(), 24);
        assert!(seasonal(23, 1, 24).unwrap_err().0.contains("data.window.length"));
        assert!(seasonal(23, 1, 1).is_err());
    }
}
