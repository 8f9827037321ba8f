//! FT-Transformer (Gorishniy et al. 2021): every column of a table a token.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, FloatDType, Tensor, activation},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Signature, columns::Columns, cost::Cost, rules};
use crate::{
    error::Result,
    nn::{AttentionConfig, Embedding, EncoderBlock, EncoderBlockConfig, Hidden, Linear, LinearConfig, Norm, Sight},
};

const KIND: &str = "ft-transformer";
const EPSILON: f64 = 1e-5;

/// `kind = "ft-transformer"`, with the authors' defaults; they train it with AdamW, a rate of 1e-4 and a decay of 1e-5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FtTransformerConfig {
    /// Blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Width of a column's token.
    pub width: usize,
    /// Width of the feed-forward part; 0 means 4/3 `width`.
    pub hidden: usize,
    /// Probability of zeroing an attention weight while training.
    pub attention_dropout: f64,
    /// Probability of zeroing a value within the feed-forward part while training.
    pub hidden_dropout: f64,
    /// Probability of zeroing what a part adds to the stream while training.
    pub dropout: f64,
}

impl Default for FtTransformerConfig {
    fn default() -> Self {
        Self { layers: 3, heads: 8, width: 192, hidden: 0, attention_dropout: 0.2, hidden_dropout: 0.1, dropout: 0.0 }
    }
}

/// A classifier or regressor of table rows: pre-norm blocks, the first without a norm before its attention, and the head
/// on a token of its own.
///
/// Parameters start uniform within ±1/sqrt(inputs), a token's within ±1/sqrt(width).
#[derive(Module, Debug)]
pub struct FtTransformer {
    /// `[numbers, c]`: a number scales its row.
    number_embedding: Option<Param<Tensor<2>>>,
    /// `[all categories, c]`, the columns' one after the other.
    category_embedding: Option<Embedding>,
    /// `[columns, c]`, added to every column's token: the numbers' first.
    bias_embedding: Param<Tensor<2>>,
    class_embedding: Param<Tensor<1>>,
    blocks: Vec<EncoderBlock>,
    norm: Norm,
    head: Linear,
    #[module(skip)]
    columns: Columns,
}

impl FtTransformerConfig {
    fn block(&self, first: bool) -> EncoderBlockConfig {
        // The deviation of a uniform distribution within ±1/sqrt(width).
        let std = 1.0 / (3.0 * self.width as f64).sqrt();
        EncoderBlockConfig {
            attention: AttentionConfig::full(self.width, self.heads, std, self.attention_dropout),
            hidden: if self.hidden == 0 { (4 * self.width / 3).max(1) } else { self.hidden },
            activation: Hidden::Reglu,
            std: None,
            post_norm: false,
            first_norm: !first,
            epsilon: EPSILON,
            hidden_dropout: self.hidden_dropout,
            dropout: self.dropout,
        }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::table(KIND, sig)?;
        rules::size("model.layers", self.layers, 1000)?;
        rules::size("model.width", self.width, 1 << 16)?;
        rules::size("model.heads", self.heads, 1 << 16)?;
        for dropout in [self.attention_dropout, self.hidden_dropout, self.dropout] {
            rules::dropout(dropout)?;
        }
        if self.hidden > 0 {
            rules::size("model.hidden", self.hidden, 1 << 18)?;
        }
        rules::divides(("`model.heads`", self.heads), ("`model.width`", self.width))
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let columns = Columns::of(KIND, sig)?;
        let (count, width) = (columns.numbers() + columns.codes().len(), self.width);
        let t = count + 1;
        let block = |i: usize| {
            let block = self.block(i == 0);
            let products = Cost::linear(width, 4 * width, false, t) + Cost::linear(width, 3 * block.hidden, false, t);
            let flops = (products + Cost::attention(t, width)).flops;
            Cost { params: block.num_params() as u64, flops }
        };
        let tokens = columns.numbers() + columns.codes().sum::<usize>() + count + 1;
        let blocks: Cost = (0..self.layers).map(block).sum();
        Ok(Cost::params(tokens * width + 2 * width) + blocks + Cost::linear(width, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<FtTransformer> {
        let columns = Columns::of(KIND, sig)?;
        let (numbers, codes, width) = (columns.numbers(), columns.codes().sum::<usize>(), self.width);
        let count = numbers + columns.codes().len();
        let bound = 1.0 / (width as f64).sqrt();
        let uniform = Initializer::Uniform { min: -bound, max: bound };
        Ok(FtTransformer {
            number_embedding: (numbers > 0).then(|| uniform.init([numbers, width], device)),
            category_embedding: (codes > 0).then(|| Embedding { weight: uniform.init([codes, width], device) }),
            bias_embedding: uniform.init([count, width], device),
            class_embedding: uniform.init([width], device),
            blocks: (0..self.layers).map(|i| self.block(i == 0).init(device)).collect(),
            norm: Norm::layer(width, true, EPSILON, device),
            head: LinearConfig::new(width, sig.outputs).init(device),
            columns,
        })
    }
}

impl FtTransformer {
    /// `[b, features]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>, compute: FloatDType) -> Tensor<2> {
        let mut x = self.tokens(&x).cast(compute); // [b, 1 + columns, c]
        for block in &self.blocks {
            x = block.forward(x, &Sight::full());
        }
        let class = x.narrow(1, 0, 1).squeeze_dim::<2>(1); // [b, c]
        self.head.forward(activation::relu(self.norm.forward(class)))
    }

    /// The class token, then numbers, then categories: `[b, 1 + columns, c]` in f32.
    fn tokens(&self, x: &Tensor<2>) -> Tensor<3> {
        let b = x.dims()[0];
        let class = self.class_embedding.val();
        let c = class.dims()[0];
        let mut columns = Vec::new();
        if let Some(table) = &self.number_embedding {
            let numbers = self.columns.take_numbers(x).unsqueeze_dim::<3>(2); // [b, numbers, 1]
            columns.push(numbers * table.val().unsqueeze::<3>());
        }
        if let Some(table) = &self.category_embedding {
            columns.push(table.forward(self.columns.take_rows(x), FloatDType::F32));
        }
        let columns = Tensor::cat(columns, 1) + self.bias_embedding.val().unsqueeze::<3>();
        Tensor::cat(vec![class.reshape([1, 1, c]).expand([b, 1, c]), columns], 1)
    }
}
