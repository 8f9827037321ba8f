//! LSTMs and GRUs over texts.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Int, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Signature, cost::Cost, rules, text::Texts};
use crate::{
    error::Result,
    nn::{Cell, Dropout, DropoutConfig, Embedding, Linear, LinearConfig, Recurrent, RecurrentConfig},
};

/// `kind = "lstm"` and `kind = "gru"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecurrentModelConfig {
    /// Width of a token's embedding.
    pub embedding: usize,
    /// Width of the state, of each direction.
    pub width: usize,
    /// Recurrent layers on top of each other.
    pub layers: usize,
    /// Whether every layer reads from the end too.
    pub bidirectional: bool,
    /// What the head sees of the last layer.
    pub summary: Summary,
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
        Self { embedding: 128, width: 128, layers: 1, bidirectional: true, summary: Summary::Mean, dropout: 0.0 }
    }
}

/// A classifier or regressor of texts that reads them token by token.
#[derive(Module, Debug)]
pub struct RecurrentModel {
    token_embedding: Embedding,
    recurrent: Recurrent,
    head: Linear,
    dropout: Dropout,
    last: bool,
    gru: bool,
}

impl RecurrentModelConfig {
    fn layer(&self, cell: Cell) -> RecurrentConfig {
        RecurrentConfig {
            cell,
            inputs: self.embedding,
            width: self.width,
            layers: self.layers,
            bidirectional: self.bidirectional,
            dropout: self.dropout,
        }
    }

    pub(super) fn check(&self, cell: Cell, sig: &Signature) -> Result<()> {
        rules::text(kind(cell), sig)?;
        rules::dropout(self.dropout)?;
        rules::size("model.embedding", self.embedding, 1 << 16)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.layers", self.layers, 1000)
    }

    pub(super) fn cost(&self, cell: Cell, sig: &Signature) -> Result<Cost> {
        let (vocab, t) = rules::text(kind(cell), sig)?;
        let outputs = self.layer(cell).outputs();
        let columns = cell.gates() * self.width;
        let layer = |i: usize| {
            let inputs = if i == 0 { self.embedding } else { outputs };
            let one = Cost::linear(inputs, columns, true, t) + Cost::linear(self.width, columns, true, t);
            one * if self.bidirectional { 2 } else { 1 }
        };
        let layers: Cost = (0..self.layers).map(layer).sum();
        Ok(Cost::params(vocab * self.embedding) + layers + Cost::linear(outputs, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, cell: Cell, sig: &Signature, device: &Device) -> Result<RecurrentModel> {
        let (vocab, _) = rules::text(kind(cell), sig)?;
        let layer = self.layer(cell);
        Ok(RecurrentModel {
            token_embedding: Embedding::new(vocab, self.embedding, 1.0, device),
            recurrent: layer.init(device),
            head: LinearConfig::new(layer.outputs(), sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            last: self.summary == Summary::Last,
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

    /// Ids `[b, t]`, negative at padding, to `[b, outputs]`.
    pub(super) fn forward(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Tensor<2> {
        let texts = Texts::new(ids);
        let x = self.dropout.forward(self.token_embedding.forward(texts.ids.clone(), compute)); // [b, t, c]
        let found = self.recurrent.forward(x, Some(&texts.valid));
        let seen = if self.last { found.last } else { texts.mean(found.steps).cast(compute) }; // [b, outputs]
        self.head.forward(self.dropout.forward(seen))
    }
}
