//! LSTMs and GRUs, over texts and over windows of a table.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Input, Signature,
    cost::Cost,
    rules::{self, Steps},
    text::Texts,
};
use crate::{
    error::Result,
    nn::{Cell, Dropout, DropoutConfig, Embedding, Linear, LinearConfig, Recurrent, RecurrentConfig},
};

/// `kind = "lstm"` (Hochreiter and Schmidhuber 1997) and `kind = "gru"` (Cho et al. 2014).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecurrentModelConfig {
    /// Texts: width of a token's embedding.
    pub embedding: usize,
    /// Width of the state, of each direction.
    pub width: usize,
    /// Recurrent layers on top of each other.
    pub layers: usize,
    /// Whether every layer reads from the end too; left out, it does so over texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bidirectional: Option<bool>,
    /// What the head sees of the last layer; left out, the mean of a text and the last state of a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Probability of zeroing an embedding, an output of a layer, or what the head sees, while training.
    pub dropout: f64,
}

/// What the head of a recurrent network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Summary {
    /// The state at the end (and, where it reads from the end too, the one at the beginning).
    Last,
    /// The mean of the states.
    Mean,
}

impl Default for RecurrentModelConfig {
    fn default() -> Self {
        Self { embedding: 128, width: 128, layers: 1, bidirectional: None, summary: None, dropout: 0.0 }
    }
}

/// A classifier or regressor that reads a text token by token, or a window step by step.
#[derive(Module, Debug)]
pub struct RecurrentModel {
    token_embedding: Option<Embedding>,
    recurrent: Recurrent,
    head: Linear,
    dropout: Dropout,
    last: bool,
    gru: bool,
}

impl RecurrentModelConfig {
    fn steps(&self, cell: Cell, sig: &Signature) -> Result<Steps> {
        rules::steps(kind(cell), self.embedding, sig)
    }

    fn layer(&self, cell: Cell, read: &Steps) -> RecurrentConfig {
        RecurrentConfig {
            cell,
            inputs: read.values,
            width: self.width,
            layers: self.layers,
            bidirectional: self.bidirectional.unwrap_or(read.vocab.is_some()),
            dropout: self.dropout,
        }
    }

    pub(super) fn check(&self, cell: Cell, sig: &Signature) -> Result<()> {
        self.steps(cell, sig)?;
        rules::dropout(self.dropout)?;
        rules::size("model.embedding", self.embedding, 1 << 16)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.layers", self.layers, 1000)
    }

    pub(super) fn cost(&self, cell: Cell, sig: &Signature) -> Result<Cost> {
        let read = self.steps(cell, sig)?;
        let config = self.layer(cell, &read);
        let outputs = config.outputs();
        let columns = cell.gates() * self.width;
        let layer = |i: usize| {
            let inputs = if i == 0 { read.values } else { outputs };
            let one =
                Cost::linear(inputs, columns, true, read.steps) + Cost::linear(self.width, columns, true, read.steps);
            one * if config.bidirectional { 2 } else { 1 }
        };
        let layers: Cost = (0..self.layers).map(layer).sum();
        let embedding = Cost::params(read.vocab.unwrap_or(0) * self.embedding);
        Ok(embedding + layers + Cost::linear(outputs, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, cell: Cell, sig: &Signature, device: &Device) -> Result<RecurrentModel> {
        let read = self.steps(cell, sig)?;
        let layer = self.layer(cell, &read);
        let usual = if read.vocab.is_some() { Summary::Mean } else { Summary::Last };
        Ok(RecurrentModel {
            token_embedding: read.vocab.map(|vocab| Embedding::new(vocab, self.embedding, 1.0, device)),
            recurrent: layer.init(device),
            head: LinearConfig::new(layer.outputs(), sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            last: self.summary.unwrap_or(usual) == Summary::Last,
            gru: cell == Cell::Gru,
        })
    }
}

pub(super) fn kind(cell: Cell) -> &'static str {
    match cell {
        Cell::Lstm => "lstm",
        Cell::Gru => "gru",
    }
}

impl RecurrentModel {
    /// The `kind`, as typed in a config.
    pub(super) fn name(&self) -> &'static str {
        kind(if self.gru { Cell::Gru } else { Cell::Lstm })
    }

    /// Ids `[b, t]`, negative at padding, or steps `[b, t, f]`, to `[b, outputs]`.
    pub(super) fn forward(&self, input: Input, compute: FloatDType) -> Tensor<2> {
        let seen = match &self.token_embedding {
            Some(embedding) => {
                let texts = Texts::new(input.tokens());
                let x = self.dropout.forward(embedding.forward(texts.ids.clone(), compute)); // [b, t, c]
                let found = self.recurrent.forward(x, Some(&texts.valid));
                if self.last { found.last } else { texts.mean(found.steps).cast(compute) }
            }
            None => {
                let found = self.recurrent.forward(input.sequence().cast(compute), None);
                if self.last { found.last } else { found.steps.mean_dim(1).squeeze_dim::<2>(1) }
            }
        }; // [b, width of all directions]
        self.head.forward(self.dropout.forward(seen))
    }
}
