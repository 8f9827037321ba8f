//! The multi-layer perceptron, with embeddings of categories (Guo and Berkhahn 2016).

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor, activation},
};

use super::{Activation, MlpConfig, Signature, columns::Columns, cost::Cost, rules};
use crate::{error::Result, nn};

const KIND: &str = "mlp";

/// Linear layers with a non-linearity between. Weights start as PyTorch's default (see [`nn::LinearConfig::new`]).
///
/// A column of categories that is given as codes has a table of its own; its rows join the numbers.
#[derive(Module, Debug)]
pub struct Mlp {
    category_embeddings: Vec<nn::Embedding>,
    hidden: Vec<nn::Linear>,
    head: nn::Linear,
    dropout: nn::Dropout,
    #[module(skip)]
    columns: Columns,
    #[module(skip)]
    activation: Activation,
}

/// Width of the embedding of so many categories: 1.6 n^0.56 (fastai's rule), 50 at most.
pub(super) fn embedding_width(codes: usize) -> usize {
    ((1.6 * (codes as f64).powf(0.56)).round() as usize).clamp(1, 50)
}

impl MlpConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        Columns::of(KIND, sig)?;
        rules::dropout(self.dropout)?;
        rules::sizes("model.hidden", &self.hidden)
    }

    /// (inputs, outputs) of every layer, the head last.
    fn layers(&self, columns: &Columns, sig: &Signature) -> Vec<(usize, usize)> {
        let inputs = columns.numbers() + columns.codes().map(embedding_width).sum::<usize>();
        let outputs = self.hidden.iter().copied().chain([sig.outputs]);
        [inputs].into_iter().chain(self.hidden.iter().copied()).zip(outputs).collect()
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let columns = Columns::of(KIND, sig)?;
        let tables = columns.codes().map(|codes| codes * embedding_width(codes)).sum();
        let layers = self.layers(&columns, sig).into_iter();
        let layers: Cost = layers.map(|(inputs, outputs)| Cost::linear(inputs, outputs, true, 1)).sum();
        Ok(Cost::params(tables) + layers)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Mlp> {
        let columns = Columns::of(KIND, sig)?;
        let layers = self.layers(&columns, sig);
        let linear = |&(inputs, outputs): &(usize, usize)| nn::LinearConfig::new(inputs, outputs).init(device);
        let table = |codes: usize| {
            let width = embedding_width(codes);
            nn::Embedding::new(codes, width, (width as f64).powf(-0.5), device)
        };
        Ok(Mlp {
            category_embeddings: columns.codes().map(table).collect(),
            hidden: layers.iter().take(self.hidden.len()).map(linear).collect(),
            head: linear(&layers.last().copied().unwrap_or_default()),
            dropout: nn::DropoutConfig::new(self.dropout).init(),
            columns,
            activation: self.activation,
        })
    }
}

impl Mlp {
    /// `[b, features]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>, compute: FloatDType) -> Tensor<2> {
        let joined = self.joined(x, compute);
        let hidden = self.hidden.iter().fold(joined, |x, layer| {
            self.dropout.forward(self.activation.apply(layer.forward(x))) // [b, width]
        });
        self.head.forward(hidden)
    }

    /// Numbers and embeddings beside each other; codes are read before anything is rounded.
    fn joined(&self, x: Tensor<2>, compute: FloatDType) -> Tensor<2> {
        if self.category_embeddings.is_empty() {
            return x.cast(compute);
        }
        let codes = self.columns.take_codes(&x); // [b, columns]
        let mut parts = Vec::new();
        if self.columns.numbers() > 0 {
            parts.push(self.columns.take_numbers(&x).cast(compute));
        }
        for (i, (table, most)) in self.category_embeddings.iter().zip(self.columns.codes()).enumerate() {
            let column = codes.clone().narrow(1, i, 1).clamp(0, most as i64 - 1); // [b, 1]
            parts.push(table.forward(column, compute).squeeze_dim(1));
        }
        Tensor::cat(parts, 1)
    }
}

impl Activation {
    /// Element by element.
    pub(super) fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu => activation::relu(x),
            Self::Gelu => kiln_kernels::gelu(x),
            Self::Silu => activation::silu(x),
            Self::Tanh => activation::tanh(x),
        }
    }
}
