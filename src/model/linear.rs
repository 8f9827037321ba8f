//! Linear, logistic and softmax regression: one affine map; the task's loss makes the difference.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};

use super::{LinearModelConfig, Signature, cost::Cost, rules};
use crate::{error::Result, nn};

const KIND: &str = "linear";

/// An affine map.
#[derive(Module, Debug)]
pub struct LinearModel {
    head: nn::Linear,
}

impl LinearModelConfig {
    pub(super) fn check(&self, sig: &Signature) -> Result<()> {
        rules::features(KIND, sig).map(drop)
    }

    pub(super) fn cost(&self, sig: &Signature) -> Result<Cost> {
        Ok(Cost::linear(rules::features(KIND, sig)?, sig.outputs, true, 1))
    }

    pub(super) fn init(&self, sig: &Signature, device: &Device) -> Result<LinearModel> {
        let inputs = rules::features(KIND, sig)?;
        Ok(LinearModel { head: nn::LinearConfig::new(inputs, sig.outputs).init(device) })
    }
}

impl LinearModel {
    /// `[b, features]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(x)
    }
}
