//! Residual networks (He et al. 2015, Deep residual learning for image recognition).

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation, module::max_pool2d, ops::MaxPoolOptions},
};

use super::{CnnConfig, Signature, cost::Cost, rules};
use crate::{
    error::{Error, Result},
    nn::{BatchNorm, Conv, ConvConfig, Dropout, DropoutConfig, Linear, LinearConfig},
};

/// Pictures of at least this side get the 7x7 stem with max-pooling.
const LARGE: usize = 64;

/// A convolution and its batch normalisation.
#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
}

/// Two or three convolutions beside a shortcut.
#[derive(Module, Debug)]
struct Residual {
    layers: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
}

/// A residual network: a stem, blocks, mean over the picture, and the head.
///
/// Depths 18 to 152 have four stages and the channels and strides of torchvision (the stride of a bottleneck sits on its
/// 3x3 convolution); depths 20 to 110 have three stages as in section 4.2. Where shapes change, a 1x1 convolution
/// projects (option B). Convolutions start normal with sqrt(2 / fan-out), the head as PyTorch's default.
#[derive(Module, Debug)]
pub struct Resnet {
    stem: ConvNorm,
    blocks: Vec<Residual>,
    head: Linear,
    dropout: Dropout,
    pooled: bool,
}

/// A convolution's shape.
#[derive(Debug, Clone, Copy)]
struct ConvShape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
}

/// A block's shape: the convolutions in order and the projection.
struct BlockShape {
    layers: Vec<ConvShape>,
    shortcut: Option<ConvShape>,
}

/// The network's shape.
struct Plan {
    stem: ConvShape,
    pooled: bool,
    blocks: Vec<BlockShape>,
    features: usize,
}

impl ConvShape {
    fn init(self, device: &Device) -> ConvNorm {
        let conv = ConvConfig::new(self.inputs, self.outputs, self.kernel).stride(self.stride).kaiming();
        ConvNorm { conv: conv.init(device), norm: BatchNorm::new(self.outputs, device) }
    }

    /// The cost on a map of `[height, width]`, and the map's size after.
    fn cost(self, size: [usize; 2]) -> (Cost, [usize; 2]) {
        let size = size.map(|side| side.div_ceil(self.stride));
        let [height, width] = size;
        let conv = Cost::conv(self.inputs, self.outputs, self.kernel, false, height * width);
        (conv + Cost::params(2 * self.outputs), size)
    }
}

impl BlockShape {
    fn new(inputs: usize, width: usize, stride: usize, bottleneck: bool) -> Self {
        let conv = |inputs, outputs, kernel, stride| ConvShape { inputs, outputs, kernel, stride };
        let (layers, outputs) = if bottleneck {
            let wide = 4 * width;
            (vec![conv(inputs, width, 1, 1), conv(width, width, 3, stride), conv(width, wide, 1, 1)], wide)
        } else {
            (vec![conv(inputs, width, 3, stride), conv(width, width, 3, 1)], width)
        };
        let shortcut = (stride != 1 || inputs != outputs).then(|| conv(inputs, outputs, 1, stride));
        Self { layers, shortcut }
    }
}

impl CnnConfig {
    /// Blocks of each stage, whether they are bottlenecks, and the paper's width (tables 1 and 6).
    fn published(&self) -> Result<(Vec<usize>, bool, usize)> {
        match self.depth {
            18 => Ok((vec![2, 2, 2, 2], false, 64)),
            34 => Ok((vec![3, 4, 6, 3], false, 64)),
            50 => Ok((vec![3, 4, 6, 3], true, 64)),
            101 => Ok((vec![3, 4, 23, 3], true, 64)),
            152 => Ok((vec![3, 8, 36, 3], true, 64)),
            20 | 32 | 44 | 56 | 110 => Ok((vec![(self.depth - 2) / 6; 3], false, 16)),
            depth => Err(Error::input(format!(
                "`model.depth` = {depth} is no published depth of `model.variant` = \"resnet\""
            ))
            .next("choose 18, 34, 50, 101 or 152, or for small pictures 20, 32, 44, 56 or 110")),
        }
    }

    fn plan(&self, sig: &Signature) -> Result<Plan> {
        let [channels, height, width] = rules::image("cnn", sig)?;
        let (stages, bottleneck, published) = self.published()?;
        let first = if self.width == 0 { published } else { self.width };
        let pooled = height.min(width) >= LARGE && stages.len() == 4;
        let (kernel, stride) = if pooled { (7, 2) } else { (3, 1) };
        let stem = ConvShape { inputs: channels, outputs: first, kernel, stride };

        let (mut blocks, mut inputs) = (Vec::new(), first);
        for (stage, &count) in stages.iter().enumerate() {
            for block in 0..count {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let shape = BlockShape::new(inputs, first << stage, stride, bottleneck);
                inputs = shape.layers.last().map_or(inputs, |layer| layer.outputs);
                blocks.push(shape);
            }
        }
        Ok(Plan { stem, pooled, blocks, features: inputs })
    }

    pub(super) fn check_resnet(&self, sig: &Signature) -> Result<()> {
        let [_, height, width] = rules::image("cnn", sig)?;
        let (stages, ..) = self.published()?;
        let least = 1 << (stages.len() - 1);
        if height.min(width) >= least {
            return Ok(());
        }
        let depth = self.depth;
        Err(Error::input(format!(
            "`model.depth` = {depth} needs pictures of at least {least}x{least}, not {height}x{width}"
        ))
        .next("set `model.variant` = \"small\", or use larger pictures"))
    }

    pub(super) fn cost_resnet(&self, sig: &Signature) -> Result<Cost> {
        let [_, height, width] = rules::image("cnn", sig)?;
        let plan = self.plan(sig)?;
        let (mut total, mut size) = plan.stem.cost([height, width]);
        if plan.pooled {
            size = size.map(|side| side.div_ceil(2));
        }
        for block in &plan.blocks {
            total = total + block.shortcut.map_or(Cost::default(), |shortcut| shortcut.cost(size).0);
            for layer in &block.layers {
                let (cost, after) = layer.cost(size);
                (total, size) = (total + cost, after);
            }
        }
        Ok(total + Cost::linear(plan.features, sig.outputs, true, 1))
    }

    pub(super) fn init_resnet(&self, sig: &Signature, device: &Device) -> Result<Resnet> {
        let plan = self.plan(sig)?;
        let block = |shape: &BlockShape| Residual {
            layers: shape.layers.iter().map(|layer| layer.init(device)).collect(),
            shortcut: shape.shortcut.map(|shortcut| shortcut.init(device)),
        };
        Ok(Resnet {
            stem: plan.stem.init(device),
            blocks: plan.blocks.iter().map(block).collect(),
            head: LinearConfig::new(plan.features, sig.outputs).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            pooled: plan.pooled,
        })
    }
}

impl ConvNorm {
    /// `[b, inputs, h, w]` to `[b, outputs, h/stride, w/stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(x))
    }
}

impl Residual {
    /// `relu(layers(x) + shortcut(x))`, with ReLU between the layers.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| shortcut.forward(x.clone()));
        let branch = self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            layer.forward(if i > 0 { activation::relu(x) } else { x }) // [b, width, h, w]
        });
        activation::relu(branch + shortcut)
    }
}

impl Resnet {
    /// `[b, c, h, w]` to `[b, outputs]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mut x = activation::relu(self.stem.forward(x)); // [b, width, h/2, w/2] of a large picture, else [b, width, h, w]
        if self.pooled {
            x = max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]));
        }
        let maps = self.blocks.iter().fold(x, |x, block| block.forward(x)); // [b, features, h', w']
        let features = maps.flatten::<3>(2, 3).mean_dim(2).squeeze_dim::<2>(2); // [b, features]
        self.head.forward(self.dropout.forward(features))
    }
}
