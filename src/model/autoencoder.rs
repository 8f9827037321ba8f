//! Autoencoders: rows through a narrow code and back; what comes back badly is unlike the rows of training.

use burn::{
    module::{Flag, Module, Param},
    tensor::{Device, Distribution, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activation, Signature, cost::Cost, rules};
use crate::{
    error::{Error, Result},
    nn::{Dropout, DropoutConfig, Linear, LinearConfig},
};

/// Bounds of the logarithm of a code's variance, within which its exponential is a number.
const LOG_VARIANCE: f64 = 10.0;

/// `kind = "autoencoder"` (Hinton and Salakhutdinov 2006).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    /// Widths of the encoder's layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Numbers of the code between the two.
    pub code: usize,
    /// Applied after every hidden layer.
    pub activation: Activation,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self { hidden: vec![64], code: 4, activation: Activation::Relu, dropout: 0.0 }
    }
}

/// `kind = "vae"` (Kingma and Welling 2014).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VaeConfig {
    /// Widths of the encoder's layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// Numbers of the code between the two.
    pub code: usize,
    /// Applied after every hidden layer.
    pub activation: Activation,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
    /// The weight of the divergence from a normal code (Higgins et al. 2017); 1 is the likelihood's bound for rows whose
    /// noise has variance 1.
    pub beta: f64,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self { hidden: vec![64], code: 4, activation: Activation::Relu, dropout: 0.0, beta: 0.1 }
    }
}

/// An encoder and a decoder; with a variance head the code is drawn while training and is its mean otherwise.
#[derive(Module, Debug)]
pub struct Autoencoder {
    encoder: Vec<Linear>,
    code: Linear,
    log_variance: Option<Linear>,
    decoder: Vec<Linear>,
    head: Linear,
    dropout: Dropout,
    /// Cleared by [`Module::valid`], as that of [`Dropout`].
    training: Param<Flag>,
    #[module(skip)]
    activation: Activation,
    beta: f64,
}

/// What both kinds have.
struct Shape<'a> {
    kind: &'static str,
    hidden: &'a [usize],
    code: usize,
    dropout: f64,
    activation: Activation,
    /// None of a plain one.
    beta: Option<f64>,
}

impl AutoencoderConfig {
    fn shape(&self) -> Shape<'_> {
        let Self { hidden, code, activation, dropout } = self;
        Shape { kind: "autoencoder", hidden, code: *code, dropout: *dropout, activation: *activation, beta: None }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        self.shape().check(sig)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        self.shape().cost(sig)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Autoencoder> {
        self.shape().init(sig, device)
    }
}

impl VaeConfig {
    fn shape(&self) -> Shape<'_> {
        let Self { hidden, code, activation, dropout, beta } = self;
        Shape { kind: "vae", hidden, code: *code, dropout: *dropout, activation: *activation, beta: Some(*beta) }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        if !(self.beta >= 0.0 && self.beta.is_finite()) {
            return Err(
                Error::input(format!("`model.beta` = {} must not be negative", self.beta)).next("give 0 or more")
            );
        }
        self.shape().check(sig)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        self.shape().cost(sig)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<Autoencoder> {
        self.shape().init(sig, device)
    }
}

impl Shape<'_> {
    fn check(&self, sig: &Signature) -> Result<()> {
        let features = rules::features(self.kind, sig)?;
        if sig.outputs != features {
            let kind = self.kind;
            return Err(Error::input(format!("`model.kind` = \"{kind}\" gives back its input, not a target"))
                .next("set `data.task` to \"anomaly\", or another `model.kind`"));
        }
        rules::size("model.code", self.code, 1 << 20)?;
        rules::dropout(self.dropout)?;
        rules::sizes("model.hidden", self.hidden)
    }

    /// (inputs, outputs) of the encoder's layers, and the width that the code is made of.
    fn encoder(&self, features: usize) -> (Vec<(usize, usize)>, usize) {
        let widths = std::iter::once(features).chain(self.hidden.iter().copied());
        let layers = widths.zip(self.hidden.iter().copied()).collect();
        (layers, self.hidden.last().copied().unwrap_or(features))
    }

    /// (inputs, outputs) of the decoder's layers, and the width that the row is made of.
    fn decoder(&self) -> (Vec<(usize, usize)>, usize) {
        let widths = std::iter::once(self.code).chain(self.hidden.iter().rev().copied());
        let layers = widths.zip(self.hidden.iter().rev().copied()).collect();
        (layers, self.hidden.first().copied().unwrap_or(self.code))
    }

    fn cost(&self, sig: &Signature) -> Result<Cost> {
        let features = rules::features(self.kind, sig)?;
        let ((encoder, last), (decoder, first)) = (self.encoder(features), self.decoder());
        let layers: Cost =
            encoder.iter().chain(&decoder).map(|&(inputs, outputs)| Cost::linear(inputs, outputs, true, 1)).sum();
        let codes = Cost::linear(last, self.code, true, 1) * (1 + usize::from(self.beta.is_some()));
        Ok(layers + codes + Cost::linear(first, features, true, 1))
    }

    fn init(&self, sig: &Signature, device: &Device) -> Result<Autoencoder> {
        let features = rules::features(self.kind, sig)?;
        let ((encoder, last), (decoder, first)) = (self.encoder(features), self.decoder());
        let linear = |&(inputs, outputs): &(usize, usize)| LinearConfig::new(inputs, outputs).init(device);
        Ok(Autoencoder {
            encoder: encoder.iter().map(linear).collect(),
            code: linear(&(last, self.code)),
            log_variance: self.beta.map(|_| linear(&(last, self.code))),
            decoder: decoder.iter().map(linear).collect(),
            head: linear(&(first, features)),
            dropout: DropoutConfig::new(self.dropout).init(),
            training: Param::from_bool(true),
            activation: self.activation,
            beta: self.beta.unwrap_or(0.0),
        })
    }
}

impl Autoencoder {
    /// `[b, f]` to the rows as they come back, `[b, f]`; a variational one adds a column, `[b, f + 1]`: `2 beta / f` times
    /// the divergence of the code from a normal one, so that with the mean squared error it is the negative bound on the
    /// likelihood over `f / 2`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [b, f] = x.dims();
        let hidden = self.run(&self.encoder, x);
        let mean = self.code.forward(hidden.clone()); // [b, code]
        let Some(log_variance) = &self.log_variance else { return self.decode(mean) };
        let log_variance = log_variance.forward(hidden).clamp(-LOG_VARIANCE, LOG_VARIANCE); // [b, code]
        let code = if self.training.is_enabled() && mean.device().is_autodiff() {
            let noise =
                Tensor::<2>::random(mean.dims(), Distribution::Normal(0.0, 1.0), &mean.device()).cast(mean.dtype());
            mean.clone() + (log_variance.clone() * 0.5).exp() * noise
        } else {
            mean.clone()
        };
        let divergence = (mean.square() + log_variance.clone().exp() - log_variance - 1.0).sum_dim(1) * 0.5;
        let weight = 2.0 * self.beta / f.max(1) as f64;
        Tensor::cat(vec![self.decode(code), (divergence * weight).reshape([b, 1])], 1)
    }

    fn decode(&self, code: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.run(&self.decoder, code))
    }

    fn run(&self, layers: &[Linear], x: Tensor<2>) -> Tensor<2> {
        layers.iter().fold(x, |x, layer| self.dropout.forward(self.activation.apply(layer.forward(x))))
    }

    /// Whether its code has a variance.
    pub(super) fn is_variational(&self) -> bool {
        self.log_variance.is_some()
    }
}
