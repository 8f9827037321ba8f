//! Linear, logistic and softmax regression: one affine map; the task's loss makes the difference.

use burn::{
    module::Module,
    tensor::{Device, FloatDType, Int, Tensor},
};

use super::{Input, InputShape, LinearModelConfig, Signature, columns, cost::Cost, rules, text::Texts};
use crate::{error::Result, nn};

const KIND: &str = "linear";

/// An affine map; of a text, over how often it has every token.
#[derive(Module, Debug)]
pub struct LinearModel {
    head: nn::Linear,
}

impl LinearModelConfig {
    /// Features, or tokens.
    fn inputs(&self, sig: &Signature) -> Result<usize> {
        columns::no_codes(KIND, sig)?;
        match sig.input {
            InputShape::Tokens { .. } => rules::tokens(KIND, sig).map(|(vocab, _)| vocab),
            _ => rules::features(KIND, sig),
        }
    }

    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        self.inputs(sig).map(drop)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        let inputs = self.inputs(sig)?;
        let mut cost = Cost::linear(inputs, sig.outputs, true, 1);
        if let InputShape::Tokens { .. } = sig.input {
            cost.flops = 0.0; // rows are added up, and nothing is multiplied
        }
        Ok(cost)
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<LinearModel> {
        Ok(LinearModel { head: nn::LinearConfig::new(self.inputs(sig)?, sig.outputs).init(device) })
    }
}

impl LinearModel {
    /// `[b, features]`, or ids `[b, t]`, to `[b, outputs]`.
    pub(super) fn forward(&self, input: Input, compute: FloatDType) -> Tensor<2> {
        match input {
            Input::Tokens(ids) => self.bag(ids),
            input => self.head.forward(input.flat().cast(compute)),
        }
    }

    /// Counts divided by the root of their sum: what a bag without repeats has a length of 1 by.
    fn bag(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let texts = Texts::new(ids);
        let rows = kiln_kernels::embedding(self.head.weight.val(), texts.ids.clone()); // [b, t, outputs]
        let y = texts.sum(rows) / texts.count().sqrt();
        match &self.head.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }
}
