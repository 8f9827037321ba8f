//! Wide and deep (Cheng et al. 2016): a linear model and a perceptron trained as one.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Tensor},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Activation, Mlp, MlpConfig, Signature, columns::Columns, cost::Cost};
use crate::{
    error::Result,
    nn::{Embedding, Linear, LinearConfig},
};

const KIND: &str = "wide-and-deep";

/// `kind = "wide-and-deep"`: the keys of its perceptron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WideAndDeepConfig {
    /// Width of every hidden layer of the deep part, in order.
    pub hidden: Vec<usize>,
    /// Applied after every hidden layer.
    pub activation: Activation,
    /// Probability of zeroing a hidden unit while training.
    pub dropout: f64,
}

impl Default for WideAndDeepConfig {
    fn default() -> Self {
        Self { hidden: vec![256, 128], activation: Activation::Relu, dropout: 0.1 }
    }
}

/// The sum of a linear model, which has a weight for every number and every category, and of an [`Mlp`] over the numbers
/// and the categories' embeddings.
///
/// The authors' crossed columns are categories of their own, and begin as columns of the data. The wide part's categories
/// start at zero.
#[derive(Module, Debug)]
pub struct WideAndDeep {
    /// `[numbers, outputs]`.
    wide: Option<Linear>,
    /// `[all categories, outputs]`, the columns' one after the other.
    wide_embedding: Option<Embedding>,
    deep: Mlp,
    #[module(skip)]
    columns: Columns,
}

impl WideAndDeepConfig {
    fn deep(&self) -> MlpConfig {
        MlpConfig { hidden: self.hidden.clone(), activation: self.activation, dropout: self.dropout }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        super::rules::table(KIND, sig)?;
        self.deep().check(sig)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let columns = Columns::of(KIND, sig)?;
        let numbers = Cost::linear(columns.numbers(), sig.outputs, false, 1);
        Ok(self.deep().cost(sig)? + numbers + Cost::params(columns.codes().sum::<usize>() * sig.outputs))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<WideAndDeep> {
        let columns = Columns::of(KIND, sig)?;
        let (numbers, codes) = (columns.numbers(), columns.codes().sum::<usize>());
        Ok(WideAndDeep {
            wide: (numbers > 0).then(|| LinearConfig::new(numbers, sig.outputs).bias(false).init(device)),
            wide_embedding: (codes > 0).then(|| Embedding::new(codes, sig.outputs, 0.0, device)),
            deep: self.deep().init(sig, device)?,
            columns,
        })
    }
}

impl WideAndDeep {
    /// `[b, features]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>, compute: FloatDType) -> Tensor<2> {
        let mut y = self.deep.forward(x.clone(), compute);
        if let Some(wide) = &self.wide {
            y = y + wide.forward(self.columns.take_numbers(&x).cast(compute));
        }
        if let Some(table) = &self.wide_embedding {
            let weights = table.forward(self.columns.take_rows(&x), compute); // [b, columns, outputs]
            y = y + weights.sum_dim(1).squeeze_dim::<2>(1);
        }
        y
    }
}
