//! Architectures, one a file. A config and the data's [`Signature`] make a [`Model`].

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor},
};

use crate::{
    error::{Error, Result},
    nn::{Cell, Compute},
};

mod autoencoder;
mod cnn;
mod columns;
mod config;
mod conv1d;
mod cost;
mod decoder;
mod embedding_bag;
mod encoder;
mod factors;
mod ft_transformer;
mod gpt;
mod input;
mod kinds;
mod linear;
mod mlp;
mod module;
mod neumf;
mod outputs;
mod pretrained;
mod recurrent;
mod resnet;
mod rules;
mod series;
#[cfg(test)]
mod tests;
mod text;
mod two_tower;
mod vit;
mod wide_and_deep;

pub use autoencoder::{Autoencoder, AutoencoderConfig, VaeConfig};
pub use cnn::Cnn;
pub use config::*;
pub use conv1d::{Conv1dModelConfig, ConvModel};
pub use decoder::Decoder;
pub use embedding_bag::{EmbeddingBag, EmbeddingBagConfig};
pub use encoder::{Encoder, EncoderConfig, NormPlacement};
pub use factors::{Factors, FactorsConfig};
pub use ft_transformer::{FtTransformer, FtTransformerConfig};
pub use gpt::Gpt;
pub use input::{Choices, Input};
pub use kinds::Reads;
pub use linear::LinearModel;
pub use mlp::Mlp;
pub use neumf::{Neumf, NeumfConfig};
pub use outputs::Outputs;
pub use pretrained::Pretrained;
pub use recurrent::{RecurrentModel, RecurrentModelConfig, Summary};
pub use resnet::Resnet;
pub use series::{SeriesTransformer, SeriesTransformerConfig};
pub use text::Pooling;
pub use two_tower::{TwoTower, TwoTowerConfig};
pub use vit::Vit;
pub use wide_and_deep::{WideAndDeep, WideAndDeepConfig};

use cost::Cost;

/// A network of any kind.
///
/// Its parameters' paths don't name the variant: `blocks.0.attention.qkv.weight`.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // a process holds a handful of them
pub enum Model {
    /// Linear, logistic or softmax regression.
    Linear(LinearModel),
    /// A multi-layer perceptron.
    Mlp(Mlp),
    /// A small convolutional network.
    Cnn(Cnn),
    /// A residual network.
    Resnet(Resnet),
    /// A decoder-only transformer.
    Gpt(Gpt),
    /// A vision transformer.
    Vit(Vit),
    /// A transformer over columns.
    FtTransformer(FtTransformer),
    /// A linear model and a perceptron.
    WideAndDeep(WideAndDeep),
    /// The mean of embeddings.
    EmbeddingBag(EmbeddingBag),
    /// An LSTM or a GRU.
    Recurrent(RecurrentModel),
    /// A transformer encoder.
    Encoder(Encoder),
    /// Convolutions over a window.
    Conv(ConvModel),
    /// A transformer over a window.
    SeriesTransformer(SeriesTransformer),
    /// An autoencoder, variational or not.
    Autoencoder(Autoencoder),
    /// A vector and a bias for every user and item.
    Factors(Factors),
    /// Neural collaborative filtering.
    Neumf(Neumf),
    /// A tower for users and one for items.
    TwoTower(TwoTower),
}

impl ModelConfig {
    /// Whether it embeds categories that are given as codes.
    pub fn embeds_categories(&self) -> bool {
        matches!(self, Self::Mlp(_) | Self::FtTransformer(_) | Self::WideAndDeep(_))
    }

    /// Whether the sizes fit each other and the data.
    ///
    /// # Errors
    /// Names the keys at fault and what to do.
    pub fn check(&self, sig: &Signature) -> Result<()> {
        if sig.outputs == 0 {
            return Err(Error::input("the data has nothing to predict: 0 classes or target columns")
                .next("check the target in `data`"));
        }
        match self {
            Self::Linear(config) => config.check(sig),
            Self::Mlp(config) => config.check(sig),
            Self::Cnn(config) => config.check(sig),
            Self::Gpt(config) => config.check(sig),
            Self::Vit(config) => config.check(sig),
            Self::FtTransformer(config) => config.check(sig),
            Self::WideAndDeep(config) => config.check(sig),
            Self::EmbeddingBag(config) => config.check(sig),
            Self::Lstm(config) => config.check(Cell::Lstm, sig),
            Self::Gru(config) => config.check(Cell::Gru, sig),
            Self::Encoder(config) => config.check(sig),
            Self::Conv1d(config) => config.check(sig),
            Self::SeriesTransformer(config) => config.check(sig),
            Self::Autoencoder(config) => config.check(sig),
            Self::Vae(config) => config.check(sig),
            Self::MatrixFactorization(config) => config.check(sig),
            Self::Neumf(config) => config.check(sig),
            Self::TwoTower(config) => config.check(sig),
        }
    }

    /// Draws a model on `device`, plain or autodiff; seed the device first.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn init(&self, sig: &Signature, device: &Device) -> Result<Model> {
        self.check(sig)?;
        let model = self.build(sig, device)?;
        // burn draws a parameter at its first use: draw all now, in the order of their paths' declaration.
        model.visit(&mut module::Draw);
        Ok(model)
    }

    /// A model whose parameters aren't drawn yet.
    fn build(&self, sig: &Signature, device: &Device) -> Result<Model> {
        Ok(match self {
            Self::Linear(config) => Model::Linear(config.init(sig, device)?),
            Self::Mlp(config) => Model::Mlp(config.init(sig, device)?),
            Self::Cnn(config) => match config.variant {
                CnnVariant::Small => Model::Cnn(config.init_small(sig, device)?),
                CnnVariant::Resnet => Model::Resnet(config.init_resnet(sig, device)?),
            },
            Self::Gpt(config) => Model::Gpt(config.init(sig, device)?),
            Self::Vit(config) => Model::Vit(config.init(sig, device)?),
            Self::FtTransformer(config) => Model::FtTransformer(config.init(sig, device)?),
            Self::WideAndDeep(config) => Model::WideAndDeep(config.init(sig, device)?),
            Self::EmbeddingBag(config) => Model::EmbeddingBag(config.init(sig, device)?),
            Self::Lstm(config) => Model::Recurrent(config.init(Cell::Lstm, sig, device)?),
            Self::Gru(config) => Model::Recurrent(config.init(Cell::Gru, sig, device)?),
            Self::Encoder(config) => Model::Encoder(config.init(sig, device)?),
            Self::Conv1d(config) => Model::Conv(config.init(sig, device)?),
            Self::SeriesTransformer(config) => Model::SeriesTransformer(config.init(sig, device)?),
            Self::Autoencoder(config) => Model::Autoencoder(config.init(sig, device)?),
            Self::Vae(config) => Model::Autoencoder(config.init(sig, device)?),
            Self::MatrixFactorization(config) => Model::Factors(config.init(sig, device)?),
            Self::Neumf(config) => Model::Neumf(config.init(sig, device)?),
            Self::TwoTower(config) => Model::TwoTower(config.init(sig, device)?),
        })
    }

    fn cost(&self, sig: &Signature) -> Result<Cost> {
        match self {
            Self::Linear(config) => config.cost(sig),
            Self::Mlp(config) => config.cost(sig),
            Self::Cnn(config) => match config.variant {
                CnnVariant::Small => config.cost_small(sig),
                CnnVariant::Resnet => config.cost_resnet(sig),
            },
            Self::Gpt(config) => config.cost(sig),
            Self::Vit(config) => config.cost(sig),
            Self::FtTransformer(config) => config.cost(sig),
            Self::WideAndDeep(config) => config.cost(sig),
            Self::EmbeddingBag(config) => config.cost(sig),
            Self::Lstm(config) => config.cost(Cell::Lstm, sig),
            Self::Gru(config) => config.cost(Cell::Gru, sig),
            Self::Encoder(config) => config.cost(sig),
            Self::Conv1d(config) => config.cost(sig),
            Self::SeriesTransformer(config) => config.cost(sig),
            Self::Autoencoder(config) => config.cost(sig),
            Self::Vae(config) => config.cost(sig),
            Self::MatrixFactorization(config) => config.cost(sig),
            Self::Neumf(config) => config.cost(sig),
            Self::TwoTower(config) => config.cost(sig),
        }
    }

    /// Number of learnable parameters; running statistics are not. 0 where [`Self::check`] fails.
    pub fn count(&self, sig: &Signature) -> u64 {
        self.check(sig).and_then(|()| self.cost(sig)).map_or(0, |cost| cost.params)
    }

    /// Floating-point operations of one example's forward pass: twice the multiply-adds of every linear layer
    /// (`rows * inputs * outputs`), convolution (`kernel² * inputs * outputs * area`) and, for transformers, the two
    /// products of full attention (`2 t² width` a block). The backward pass costs about twice as much again.
    /// 0 where [`Self::check`] fails.
    pub fn flops(&self, sig: &Signature) -> f64 {
        self.check(sig).and_then(|()| self.cost(sig)).map_or(0.0, |cost| cost.flops)
    }
}

impl CnnConfig {
    fn check(&self, sig: &Signature) -> Result<()> {
        rules::image("cnn", sig)?;
        rules::dropout(self.dropout)?;
        if self.width > 0 {
            rules::size("model.width", self.width, 4096)?;
        }
        match self.variant {
            CnnVariant::Small => self.check_small(sig),
            CnnVariant::Resnet => self.check_resnet(sig),
        }
    }
}

impl Model {
    /// The `kind`, as typed in a config.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Mlp(_) => "mlp",
            Self::Cnn(_) | Self::Resnet(_) => "cnn",
            Self::Gpt(_) => "gpt",
            Self::Vit(_) => "vit",
            Self::FtTransformer(_) => "ft-transformer",
            Self::WideAndDeep(_) => "wide-and-deep",
            Self::EmbeddingBag(_) => "embedding-bag",
            Self::Recurrent(model) => model.name(),
            Self::Encoder(_) => "encoder",
            Self::Conv(_) => "conv1d",
            Self::SeriesTransformer(_) => "series-transformer",
            Self::Autoencoder(model) if model.is_variational() => "vae",
            Self::Autoencoder(_) => "autoencoder",
            Self::Factors(_) => "matrix-factorization",
            Self::Neumf(_) => "neumf",
            Self::TwoTower(_) => "two-tower",
        }
    }

    /// A batch to `[rows, outputs]` in f32; a language model's rows are its `b * t` positions.
    ///
    /// `compute` is the dtype of the activations and the precision of the products; parameters, statistics and softmax
    /// are f32.
    ///
    /// # Panics
    /// If the input is of another sort than the signature that the model was made for.
    pub fn forward(&self, input: Input, compute: impl Into<Compute>) -> Tensor<2> {
        let compute = compute.into();
        compute.scope(|| self.outputs(input, compute.activations).logits())
    }

    /// As [`Self::forward`], with a language model's last layer not applied yet, and products in what the caller's
    /// [`Compute::scope`] says.
    pub fn outputs(&self, input: Input, activations: FloatDType) -> Outputs {
        Outputs::Logits(match self {
            Self::Gpt(model) => return model.forward(input.tokens(), activations),
            Self::Linear(model) => model.forward(input, activations),
            Self::Mlp(model) => model.forward(input.flat(), activations),
            Self::Cnn(model) => model.forward(input.image().cast(activations)),
            Self::Resnet(model) => model.forward(input.image().cast(activations)),
            Self::Vit(model) => model.forward(input.image().cast(activations)),
            Self::FtTransformer(model) => model.forward(input.flat(), activations),
            Self::WideAndDeep(model) => model.forward(input.flat(), activations),
            Self::EmbeddingBag(model) => model.forward(input.tokens(), activations),
            Self::Recurrent(model) => model.forward(input, activations),
            Self::Encoder(model) => model.forward(input.tokens(), activations),
            Self::Conv(model) => model.forward(input, activations),
            Self::SeriesTransformer(model) => model.forward(input.sequence().cast(activations)),
            Self::Autoencoder(model) => model.forward(input.flat().cast(activations)),
            Self::Factors(model) => model.forward(input.choices(), activations),
            Self::Neumf(model) => model.forward(input.choices(), activations),
            Self::TwoTower(model) => model.forward(input.choices(), activations),
        })
    }
}
