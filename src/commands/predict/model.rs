//! Who predicts: the network, as it is or calibrated, or the classic model that the run keeps beside it.

use burn::tensor::activation;
use serde_json::{Value, json};

use super::Trained;
use crate::{
    baseline::{self, Gate},
    data::{HostInput, Schema, TargetSchema},
    error::{Error, Result},
    eval::Adjusted,
    model::{Input, Outputs},
    task::{anomaly_scores, host, upload_input},
    train::{INFERENCE, Ready},
};

/// What predicts.
pub(super) enum Model<'a> {
    /// The network, calibrated where there is something to calibrate by.
    Network(&'a Ready, Option<Adjusted>),
    /// The best classic model.
    Classic(Box<Gate>),
}

/// What the run knows to calibrate its network by.
///
/// # Errors
/// Nothing is known of this checkpoint, or nothing is to be calibrated.
pub(super) fn calibration(trained: &Trained, ready: &Ready) -> Result<Adjusted> {
    let run = trained.dir.path().display();
    let unknown = || {
        Error::input(format!("{run} has no calibration of step {}", ready.step))
            .next(format!("`kiln eval {run}` learns it on the validation rows"))
    };
    let known = Adjusted::load(trained.dir.path(), ready.step).ok_or_else(unknown)?;
    match ready.task.schema().target {
        TargetSchema::Classes { .. } if known.temperature.is_none() => Err(Error::input(
            "no finite temperature is best on the validation rows, so the probabilities cannot be calibrated by one",
        )
        .next("leave --calibrated out")),
        TargetSchema::Classes { .. } | TargetSchema::Values { .. } => Ok(known),
        _ => Err(Error::input("only classes and values are calibrated").next("leave --calibrated out")),
    }
}

/// The classic model that the run keeps.
///
/// # Errors
/// There is none, or its file is damaged.
pub(super) fn classic(trained: &Trained) -> Result<Gate> {
    let run = trained.dir.path().display();
    baseline::load(trained.dir.path())?.ok_or_else(|| {
        Error::input(format!("{run} keeps no classic model"))
            .next(format!("`kiln eval {run}` fits those of `[baseline]`"))
    })
}

impl Model<'_> {
    /// Probabilities, values or scores of `n` examples, `[n, outputs]`.
    pub(super) fn outputs(&self, schema: &Schema, input: HostInput, n: usize) -> Result<Vec<f32>> {
        let (ready, calibrated) = match self {
            Self::Classic(gate) => return gate.predict(schema, input),
            Self::Network(ready, calibrated) => (ready, calibrated),
        };
        let input = upload_input(&input, n, &ready.opened.device)?;
        let outputs = ready.model.forward(input.clone(), INFERENCE);
        host(match schema.target {
            TargetSchema::Classes { .. } => {
                let temperature = calibrated.as_ref().and_then(|known| known.temperature).map_or(1.0, |known| known.0);
                activation::softmax(outputs / temperature, 1)
            }
            TargetSchema::Itself { .. } => match input {
                Input::Features(x) => anomaly_scores(outputs, x).unsqueeze_dim(1),
                _ => outputs,
            },
            _ => ready.task.values(Outputs::Logits(outputs)),
        })
    }

    /// Calibrated values: between which bounds each lies, with the confidence of the calibration.
    pub(super) fn intervals(&self, target: &TargetSchema, outputs: &[f32]) -> Vec<(String, Value)> {
        let (Self::Network(_, Some(known)), TargetSchema::Values { names }) = (self, target) else { return Vec::new() };
        let each = names.iter().zip(outputs).zip(&known.half_widths);
        let bounds = each.flat_map(|((name, value), half)| {
            let value = f64::from(*value);
            [(format!("{name}:low"), json!(value - half)), (format!("{name}:high"), json!(value + half))]
        });
        bounds.collect()
    }
}
