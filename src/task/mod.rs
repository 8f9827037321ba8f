//! A task ties a model to data: it uploads batches, names the loss, and measures.
//!
//! Legend: b rows, t positions, n = rows (or rows * positions for tokens), v outputs.

mod meter;

use burn::{
    prelude::*,
    tensor::{Shape, TensorData},
};

pub(crate) use meter::host;
pub use meter::{Meter, Report};

use crate::{
    data::{Codes, HostBatch, HostInput, HostTarget, InputSchema, Schema, TableSchema, TargetSchema, TaskKind},
    error::{Error, Result},
    model::{Categories, Input, InputShape, Outputs, Signature},
};

/// What is learned: how a batch becomes tensors, and how outputs become a loss and metrics.
#[derive(Debug, Clone)]
pub struct Task {
    kind: TaskKind,
    schema: Schema,
    smoothing: f64,
}

/// The targets of a batch on the device.
pub enum Targets {
    /// Class or token ids, `[n]`; negative ones have no loss.
    Classes(Tensor<1, Int>),
    /// Real values, `[b, width]`.
    Values(Tensor<2>),
}

impl Task {
    /// Ties `kind` to prepared data; `smoothing` is the label smoothing of the training loss.
    ///
    /// # Errors
    /// When the data's targets are not of this kind.
    pub fn new(kind: TaskKind, schema: &Schema, smoothing: f64) -> Result<Self> {
        let fits = matches!(
            (kind, &schema.target),
            (TaskKind::LanguageModel, TargetSchema::NextToken)
                | (TaskKind::Classification, TargetSchema::Classes { .. })
                | (TaskKind::Regression, TargetSchema::Values { .. })
        );
        if !fits {
            let found = match schema.target {
                TargetSchema::NextToken => "text",
                TargetSchema::Classes { .. } => "classes",
                TargetSchema::Values { .. } => "real values",
            };
            return Err(Error::input(format!("`data.task` does not fit the data: its targets are {found}")).next(
                "set `data.task` to language-model for text, classification for classes, regression for values",
            ));
        }
        Ok(Self { kind, schema: schema.clone(), smoothing })
    }

    /// What is learned.
    pub fn kind(&self) -> TaskKind {
        self.kind
    }

    /// The data's description.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What a model for this task maps from and to.
    pub fn signature(&self) -> Signature {
        let input = match &self.schema.input {
            InputSchema::Tokens { vocab, context } => InputShape::Tokens { vocab: *vocab, context: *context },
            InputSchema::Image { channels, height, width } => {
                InputShape::Image { channels: *channels, height: *height, width: *width }
            }
            InputSchema::Table { columns } => {
                let codes = self.schema.table.as_ref().map(TableSchema::codes).unwrap_or_default();
                let codes = codes.into_iter().map(|Codes { feature, codes }| Categories { feature, codes });
                match codes.collect::<Vec<_>>() {
                    codes if codes.is_empty() => InputShape::Features(columns.len()),
                    codes => InputShape::Mixed { features: columns.len(), codes },
                }
            }
        };
        let outputs = match (&self.schema.target, &self.schema.input) {
            (TargetSchema::Classes { names } | TargetSchema::Values { names }, _) => names.len(),
            (TargetSchema::NextToken, InputSchema::Tokens { vocab, .. }) => *vocab,
            (TargetSchema::NextToken, _) => 0,
        };
        Signature { input, outputs }
    }

    /// What a rate counts: `tokens` or `samples`.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            TaskKind::LanguageModel => "tokens",
            _ => "samples",
        }
    }

    /// Copies a batch to the device.
    pub fn upload(&self, batch: &HostBatch, device: &Device) -> Result<(Input, Targets)> {
        let input = upload_input(&batch.input, batch.rows.len(), device)?;
        let targets = match &batch.target {
            HostTarget::Classes(ids) => Targets::Classes(ints(ids.clone(), [ids.len()], device)),
            HostTarget::Values { values, width } => {
                Targets::Values(floats(values.clone(), [batch.rows.len(), *width], device))
            }
        };
        Ok((input, targets))
    }

    /// The training loss: `scale` times the sum over the valid targets of the cross-entropy in nats, or of the squared
    /// error averaged over the targets of a row. The result is `[1]` in f32.
    pub fn loss(&self, outputs: Outputs, targets: Targets, scale: f64) -> Tensor<1> {
        match targets {
            Targets::Classes(ids) => summed_loss(outputs, ids, self.smoothing, scale),
            Targets::Values(values) => {
                let width = values.dims()[1] as f64;
                (outputs.logits() - values).square().sum() * (scale / width)
            }
        }
    }

    /// A fresh accumulator of this task's metrics.
    pub fn meter(&self) -> Meter {
        Meter::new(self)
    }

    /// The same, which also keeps the predictions.
    pub fn keeping_meter(&self) -> Meter {
        Meter::new(self).keeping()
    }
}

/// `scale` times the sum of cross-entropies; the last layer and the loss are one op where their dtype is one.
fn summed_loss(outputs: Outputs, ids: Tensor<1, Int>, smoothing: f64, scale: f64) -> Tensor<1> {
    match outputs {
        Outputs::Unprojected { x, table } if x.dtype() == table.dtype() => {
            kiln_kernels::linear_cross_entropy(x, table, ids, smoothing, scale)
        }
        outputs => kiln_kernels::cross_entropy(outputs.logits(), ids, smoothing) * scale,
    }
}

/// Copies inputs to the device, whatever they stand for.
pub fn upload_input(input: &HostInput, rows: usize, device: &Device) -> Result<Input> {
    Ok(match input {
        HostInput::Tokens { ids, context } => Input::Tokens(ints(ids.clone(), [rows, *context], device)),
        HostInput::Floats { values, shape } => match shape[..] {
            [columns] => Input::Features(floats(values.clone(), [rows, columns], device)),
            [c, h, w] => Input::Image(floats(values.clone(), [rows, c, h, w], device)),
            _ => return Err(Error::failed(format!("a row of shape {shape:?} is neither a vector nor a picture"))),
        },
    })
}

fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

fn ints<const D: usize>(values: Vec<i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}
