//! A task ties a model to data: it uploads batches, names the loss, and measures.
//!
//! Legend: b rows, t positions, n = rows (or rows * positions for tokens), v outputs.

mod meter;
mod weights;

use burn::{
    prelude::*,
    tensor::{Shape, TensorData, activation},
};

pub(crate) use meter::host;
pub use meter::{Meter, Report};
pub use weights::ClassWeights;

use crate::{
    data::{
        Codes, Forecast, HostBatch, HostInput, HostTarget, InputSchema, RankingLoss, Schema, TableSchema, TargetSchema,
        TaskKind, Wanted,
    },
    error::{Error, Result},
    model::{Categories, Choices, Input, InputShape, Outputs, Signature},
};

/// What is learned: how a batch becomes tensors, and how outputs become a loss and metrics.
#[derive(Debug, Clone)]
pub struct Task {
    kind: TaskKind,
    schema: Schema,
    smoothing: f64,
    /// What a row of each class counts in the training loss; empty: 1.
    weights: Vec<f32>,
    ranking: RankingLoss,
}

/// The targets of a batch on the device.
pub enum Targets {
    /// Class or token ids, `[n]`; negative ones have no loss.
    Classes(Tensor<1, Int>),
    /// Real values, `[b, width]`.
    Values(Tensor<2>),
    /// The input itself, `[b, f]`, and which rows are anomalies, on the host.
    Itself {
        /// What should come back.
        x: Tensor<2>,
        /// One a row.
        anomalies: Vec<bool>,
    },
    /// The first item of every row's own.
    First,
    /// The item in the place of the row; `[b, b]` is added to the scores first.
    Shared(Tensor<2>),
    /// What users chose, and what they had chosen before: on the host, where the ranking is judged.
    Ranked {
        /// A list a row.
        relevant: Vec<Vec<u32>>,
        /// A list a row.
        seen: Vec<Vec<u32>>,
    },
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
                | (TaskKind::Recommendation, TargetSchema::Items)
                | (TaskKind::Anomaly, TargetSchema::Itself { .. })
        );
        if !fits {
            let found = match schema.target {
                TargetSchema::NextToken => "text",
                TargetSchema::Classes { .. } => "classes",
                TargetSchema::Values { .. } => "real values",
                TargetSchema::Items => "items that users chose",
                TargetSchema::Itself { .. } => "the rows themselves",
            };
            return Err(Error::input(format!("`data.task` does not fit the data: its targets are {found}")).next(
                "set `data.task` to language-model for text, classification for classes, regression for values, \
                 recommendation for choices",
            ));
        }
        let (schema, ranking) = (schema.clone(), RankingLoss::default());
        Ok(Self { kind, schema, smoothing, weights: Vec::new(), ranking })
    }

    /// The same with this loss of recommendations.
    pub fn ranking(self, ranking: RankingLoss) -> Self {
        Self { ranking, ..self }
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
            InputSchema::Windows { columns, length, .. } => {
                InputShape::Sequence { length: *length, values: columns.len() }
            }
            InputSchema::Choices { users, items } => InputShape::Choices { users: users.len(), items: items.len() },
        };
        let outputs = match (&self.schema.target, &self.schema.input) {
            (TargetSchema::Classes { names } | TargetSchema::Values { names }, _) => names.len(),
            (TargetSchema::NextToken, InputSchema::Tokens { vocab, .. }) => *vocab,
            (TargetSchema::Itself { .. }, InputSchema::Table { columns }) => columns.len(),
            (TargetSchema::Items | TargetSchema::Itself { .. }, _) => 1,
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

    /// Rows that are evaluated together at most: a user is a row for every item.
    pub fn most_rows(&self) -> usize {
        const PAIRS: usize = 1 << 18;
        match &self.schema.input {
            InputSchema::Choices { items, .. } => (PAIRS / items.len().max(1)).max(1),
            _ => usize::MAX,
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
            HostTarget::Itself { anomalies } => {
                let Input::Features(x) = &input else {
                    return Err(Error::failed("anomalies are told among the rows of a table"));
                };
                Targets::Itself { x: x.clone(), anomalies: anomalies.clone() }
            }
            HostTarget::Items(Wanted::First) => Targets::First,
            HostTarget::Items(Wanted::Shared { offsets }) => {
                Targets::Shared(floats(offsets.clone(), [batch.rows.len(); 2], device))
            }
            HostTarget::Items(Wanted::Ranked { relevant, seen }) => {
                Targets::Ranked { relevant: relevant.clone(), seen: seen.clone() }
            }
        };
        Ok((input, targets))
    }

    /// The training loss: `scale` times the sum over the valid targets of the cross-entropy in nats, or of the squared
    /// error averaged over the targets of a row; of recommendations, what `data.interactions.loss` says; of anomalies, the
    /// scores. The result is `[1]` in f32.
    pub fn loss(&self, outputs: Outputs, targets: Targets, scale: f64) -> Tensor<1> {
        match targets {
            Targets::Classes(ids) if !self.weights.is_empty() => self.weighted_loss(outputs.logits(), ids, scale),
            Targets::Classes(ids) => summed_loss(outputs, ids, self.smoothing, scale),
            Targets::Values(values) => {
                let width = values.dims()[1] as f64;
                (self.values(outputs) - values).square().sum() * (scale / width)
            }
            Targets::Itself { x, .. } => anomaly_scores(outputs.logits(), x).sum() * scale,
            Targets::First => first(self.ranking, outputs.logits()) * scale,
            Targets::Shared(offsets) => {
                let scores = outputs.logits() + offsets;
                let places = Tensor::arange(0..scores.dims()[0] as i64, &scores.device());
                kiln_kernels::cross_entropy(scores, places, 0.0) * scale
            }
            // A ranking is judged, never trained on.
            Targets::Ranked { .. } => outputs.logits().sum() * 0.0,
        }
    }

    /// Outputs in the units of the targets, `[b, width]`: a forecast comes in units of what the training rows hold.
    pub fn values(&self, outputs: Outputs) -> Tensor<2> {
        in_units(outputs.logits(), self.schema.forecast())
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

fn in_units(outputs: Tensor<2>, forecast: Option<&Forecast>) -> Tensor<2> {
    let Some(Forecast { scale, .. }) = forecast else { return outputs };
    let row = |values: &[f32]| floats(values.to_vec(), [1, values.len()], &outputs.device());
    let (std, mean) = (row(&scale.std), row(&scale.mean));
    outputs * std + mean
}

/// How badly rows `[b, f]` come back, `[b]`: the mean squared error, and what an output beyond `f` adds to it.
pub fn anomaly_scores(outputs: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let ([_, f], [_, all]) = (x.dims(), outputs.dims());
    let error = (outputs.clone().narrow(1, 0, f) - x).square().mean_dim(1); // [b, 1]
    let score = if all > f { error + outputs.narrow(1, f, 1) } else { error };
    score.squeeze_dim::<1>(1)
}

/// The loss of scores `[b, 1 + drawn]` whose first is of the chosen item, summed over the rows.
fn first(loss: RankingLoss, scores: Tensor<2>) -> Tensor<1> {
    let [b, all] = scores.dims();
    let drawn = all - 1;
    let parts = |scores: Tensor<2>| (scores.clone().narrow(1, 0, 1), scores.narrow(1, 1, drawn));
    match loss {
        RankingLoss::Bpr => {
            let (chosen, others) = parts(scores);
            -activation::log_sigmoid(chosen - others).sum() / drawn.max(1) as f64
        }
        RankingLoss::Logistic => {
            let (chosen, others) = parts(scores);
            -activation::log_sigmoid(chosen).sum() - activation::log_sigmoid(-others).sum()
        }
        RankingLoss::Softmax | RankingLoss::InBatch => {
            let device = scores.device();
            kiln_kernels::cross_entropy(scores, Tensor::zeros([b], &device), 0.0)
        }
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
        HostInput::Choices { users, items, each } => {
            let shape = if *each == 0 { [1, items.len()] } else { [rows, *each] };
            let users = ints(users.clone(), [rows], device);
            Input::Choices(Choices { users, items: ints(items.clone(), shape, device) })
        }
        HostInput::Floats { values, shape } => match shape[..] {
            [columns] => Input::Features(floats(values.clone(), [rows, columns], device)),
            [steps, columns] => Input::Sequence(floats(values.clone(), [rows, steps, columns], device)),
            [c, h, w] => Input::Image(floats(values.clone(), [rows, c, h, w], device)),
            _ => {
                return Err(Error::failed(format!(
                    "a row of shape {shape:?} is neither a vector, a window nor a picture"
                )));
            }
        },
    })
}

fn floats<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}

fn ints<const D: usize>(values: Vec<i32>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, Shape::from(shape)), device)
}
