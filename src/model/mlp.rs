//! The multi-layer perceptron.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation},
};

use super::{Activation, MlpConfig, Signature, cost::Cost, rules};
use crate::{error::Result, nn};

const KIND: &str = "mlp";

/// Linear layers with a non-linearity between. Weights start as PyTorch's default (see [`nn::LinearConfig::new`]).
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: Vec<nn::Linear>,
    head: nn::Linear,
    dropout: nn::Dropout,
    #[module(skip)]
    activation: Activation,
}

impl MlpConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::features(KIND, sig)?;
        rules::dropout(self.dropout)?;
        rules::sizes("model.hidden", &self.hidden)
    }

    /// (inputs, outputs) of every layer, the head last.
    fn layers(&self, sig: &Signature) -> Result<Vec<(usize, usize)>> {
        let widths: Vec<usize> =
            [rules::features(KIND, sig)?].into_iter().chain(self.hidden.iter().copied()).chain([sig.outputs]).collect();
        Ok(widths.windows(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?))).collect())
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        Ok(self.layers(sig)?.into_iter().map(|(inputs, outputs)| Cost::linear(inputs, outputs, true, 1)).sum())
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Mlp> {
        let layers = self.layers(sig)?;
        let linear = |&(inputs, outputs): &(usize, usize)| nn::LinearConfig::new(inputs, outputs).init(device);
        let last = self.hidden.last().copied().unwrap_or(rules::features(KIND, sig)?);
        Ok(Mlp {
            hidden: layers.iter().take(self.hidden.len()).map(linear).collect(),
            head: linear(&(last, sig.outputs)),
            dropout: nn::DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
        })
    }
}

impl Mlp {
    /// `[b, features]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.hidden.iter().fold(x, |x, layer| {
            self.dropout.forward(self.activation.apply(layer.forward(x))) // [b, width]
        });
        self.head.forward(hidden)
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
