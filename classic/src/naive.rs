//! Naive forecasts: a value of the window is the forecast.

use serde::{Deserialize, Serialize};

use crate::{Fault, Form, Kind, Model, Rows};

/// One output: the column that it repeats, and the units of the column in those of the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// The column.
    pub column: usize,
    /// What a unit of the column is in the target's.
    pub scale: f64,
    /// The target at 0 of the column.
    pub shift: f64,
}

/// A model that repeats columns of its rows, one an output.
///
/// # Errors
/// A column that is none of the row's, or a scale that is not finite.
pub fn repeat(kind: Kind, columns: usize, outputs: Vec<Repeat>) -> Result<Model, Fault> {
    if !matches!(kind, Kind::Last | Kind::Seasonal) {
        return Err(Fault(format!("{} is no naive forecast", kind.name())));
    }
    let model = Model { columns, outputs: outputs.len(), form: Form::Repeats(Repeats { outputs }) };
    model.check()?;
    Ok(model)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Repeats {
    outputs: Vec<Repeat>,
}

impl Repeats {
    pub(crate) fn predict(&self, rows: Rows<'_>) -> Vec<f32> {
        let value = |row: &[f32], repeat: &Repeat| {
            (f64::from(row.get(repeat.column).copied().unwrap_or(0.0)) * repeat.scale + repeat.shift) as f32
        };
        rows.iter().flat_map(|row| self.outputs.iter().map(move |repeat| value(row, repeat))).collect()
    }

    pub(crate) fn check(&self, columns: usize, outputs: usize) -> Result<(), Fault> {
        let sound = |r: &Repeat| r.column < columns && r.scale.is_finite() && r.shift.is_finite();
        let fits = self.outputs.len() == outputs && self.outputs.iter().all(sound);
        if fits { Ok(()) } else { Err(Fault("a forecast repeats a column that is not there".into())) }
    }
}
