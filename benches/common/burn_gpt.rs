//! The GPT of `configs/shakespeare-char.toml` and its training step in burn's own modules, loss and optimizer: what a step
//! is without kiln's kernels.

use burn::{
    module::{Initializer, Module, ModuleVisitor, Param},
    nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, loss::CrossEntropyLossConfig},
    optim::{AdamWConfig, GradientsParams, ModuleOptimizer},
    tensor::{
        Device, FloatDType, Int, Tensor, activation::gelu_approximate, module::attention, ops::AttentionModuleOptions,
    },
};

/// Layers, heads, width, context, vocabulary.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub layers: usize,
    pub heads: usize,
    pub width: usize,
    pub context: usize,
    pub vocab: usize,
}

#[derive(Module, Debug)]
pub struct BurnGpt {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<BurnBlock>,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct BurnBlock {
    norms: [LayerNorm; 2],
    /// Queries, keys and values; the output; up; down.
    linears: [Linear; 4],
    heads: usize,
}

impl Sizes {
    pub fn init(self, device: &Device) -> BurnGpt {
        let normal = Initializer::Normal { mean: 0.0, std: 0.02 };
        let linear =
            |from, to| LinearConfig::new(from, to).with_bias(false).with_initializer(normal.clone()).init(device);
        let embedding = |rows| EmbeddingConfig::new(rows, self.width).with_initializer(normal.clone()).init(device);
        let norm = || LayerNormConfig::new(self.width).with_bias(false).init(device);
        let w = self.width;
        let block = |_| BurnBlock {
            norms: [norm(), norm()],
            linears: [linear(w, 3 * w), linear(w, w), linear(w, 4 * w), linear(4 * w, w)],
            heads: self.heads,
        };
        BurnGpt {
            tokens: embedding(self.vocab),
            positions: embedding(self.context),
            blocks: (0..self.layers).map(block).collect(),
            norm: norm(),
        }
    }
}

impl BurnBlock {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, t, width] = x.dims();
        let [joint, output, up, down] = &self.linears;
        let seen = joint.forward(self.norms[0].forward(x.clone()));
        let part = |i: usize| {
            let columns = seen.clone().narrow(2, i * width, width);
            columns.reshape([b, t, self.heads, width / self.heads]).swap_dims(1, 2)
        };
        let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
        let y = attention(part(0), part(1), part(2), None, None, options);
        let x = x + output.forward(y.swap_dims(1, 2).reshape([b, t, width]));
        let y = down.forward(gelu_approximate(up.forward(self.norms[1].forward(x.clone()))));
        x + y
    }
}

impl BurnGpt {
    fn loss(&self, ids: Tensor<2, Int>, targets: Tensor<2, Int>) -> Tensor<1> {
        let ([b, t], device) = (ids.dims(), ids.device());
        let positions = Tensor::<1, Int>::arange(0..t as i64, &device).unsqueeze::<2>();
        let x = self.tokens.forward(ids) + self.positions.forward(positions);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let logits = self.norm.forward(x).matmul(self.tokens.weight.val().transpose().unsqueeze());
        let [_, _, vocab] = logits.dims();
        CrossEntropyLossConfig::new().init(&device).forward(logits.reshape([b * t, vocab]), targets.reshape([b * t]))
    }
}

/// A model that trains.
pub struct BurnTraining {
    model: BurnGpt,
    optimizer: ModuleOptimizer,
}

impl BurnTraining {
    pub fn new(sizes: Sizes, device: &Device) -> Self {
        let adamw = AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.99).with_epsilon(1e-8).with_weight_decay(0.1);
        Self { model: sizes.init(device), optimizer: adamw.init() }
    }

    /// One step with the gradients' norm clipped to 1, and the loss read back.
    pub fn step(mut self, ids: Tensor<2, Int>, targets: Tensor<2, Int>) -> (Self, f32) {
        let loss = self.model.loss(ids, targets);
        let grads = GradientsParams::from_grads(loss.clone().backward(), &self.model);
        let grads = clipped(&self.model, grads);
        self.model = self.optimizer.step(1e-3, self.model, grads);
        (self, loss.into_scalar::<f32>())
    }
}

fn clipped(model: &BurnGpt, mut grads: GradientsParams) -> GradientsParams {
    let mut squares = Squares { grads: &grads, sum: None };
    model.visit(&mut squares);
    let Some(sum) = squares.sum else { return grads };
    let factor = (sum.sqrt() + 1e-6).recip().clamp_max(1.0);
    model.visit(&mut Scale { grads: &mut grads, factor });
    grads
}

struct Squares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let own = grad.cast(FloatDType::F32).square().sum();
            self.sum = Some(self.sum.take().map_or(own.clone(), |sum| sum + own));
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor.clone().unsqueeze());
        }
    }
}
