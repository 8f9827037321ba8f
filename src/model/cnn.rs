//! The small convolutional network: a stack for pictures like MNIST's.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation},
};

use super::{CnnConfig, Signature, cost::Cost, rules};
use crate::{
    error::{Error, Result},
    nn::{Conv, ConvConfig, Dropout, DropoutConfig, Linear, LinearConfig},
};

/// Width of the layer between the last picture and the head.
const HIDDEN: usize = 128;
/// Channels of the first stage unless `model.width` says otherwise.
const WIDTH: usize = 32;

/// Convolution 3x3, ReLU and max-pool 2x2, several times; a hidden layer; the head (LeCun et al. 1998 in today's
/// terms). Weights start as PyTorch's default.
#[derive(Module, Debug)]
pub struct Cnn {
    convs: Vec<Conv>,
    hidden: Linear,
    head: Linear,
    dropout: Dropout,
}

/// One stage: channels in and out, and the picture's area at the convolution.
struct Stage {
    inputs: usize,
    outputs: usize,
    area: usize,
}

impl CnnConfig {
    pub(super) fn check_small(&self, sig: &Signature) -> Result<()> {
        let [_, height, width] = rules::image("cnn", sig)?;
        let side = height.min(width);
        let most = side.max(1).ilog2() as usize;
        rules::size("model.depth", self.depth, 16)?;
        if self.depth <= most {
            return Ok(());
        }
        let depth = self.depth;
        Err(Error::input(format!("`model.depth` = {depth} halves a {height}x{width} picture away"))
            .next(format!("choose a `model.depth` of at most {most}, or larger pictures")))
    }

    /// The stages, and the number of values after them.
    fn stages(&self, sig: &Signature) -> Result<(Vec<Stage>, usize)> {
        let [mut channels, mut height, mut width] = rules::image("cnn", sig)?;
        let mut stages = Vec::with_capacity(self.depth);
        for i in 0..self.depth {
            let outputs = if self.width == 0 { WIDTH } else { self.width } << i;
            stages.push(Stage { inputs: channels, outputs, area: height * width });
            (channels, height, width) = (outputs, height / 2, width / 2);
        }
        Ok((stages, channels * height * width))
    }

    pub(super) fn cost_small(&self, sig: &Signature) -> Result<Cost> {
        let (stages, flat) = self.stages(sig)?;
        let convs: Cost = stages.iter().map(|s| Cost::conv(s.inputs, s.outputs, 3, true, s.area)).sum();
        Ok(convs + Cost::linear(flat, HIDDEN, true, 1) + Cost::linear(HIDDEN, sig.outputs, true, 1))
    }

    pub(super) fn init_small(&self, sig: &Signature, device: &Device) -> Result<Cnn> {
        let (stages, flat) = self.stages(sig)?;
        Ok(Cnn {
            convs: stages.iter().map(|s| ConvConfig::new(s.inputs, s.outputs, 3).init(device)).collect(),
            hidden: LinearConfig::new(flat, HIDDEN).init(device),
            head: LinearConfig::new(HIDDEN, sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl Cnn {
    /// `[b, c, h, w]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let maps = self.convs.iter().fold(x, |x, conv| conv.forward_relu_pool(x)); // [b, 2c, h/2, w/2] each
        let hidden = activation::relu(self.hidden.forward(maps.flatten::<2>(1, 3))); // [b, 128]
        self.head.forward(self.dropout.forward(hidden))
    }
}
