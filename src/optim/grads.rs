//! Gradients of a whole module: their global norm, scaling, accumulation over micro-batches.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{DType, Tensor},
};

/// The Euclidean norm of all gradients together, f32, `[1]`; 0 without gradients. Nothing waits for the device.
///
/// Rows are summed before their sums, in a fixed order, so that the same gradients give the same bits.
pub fn global_norm<M: Module>(model: &M, grads: &GradientsParams) -> Tensor<1> {
    let mut squares = Squares { grads, sum: None };
    model.visit(&mut squares);
    match squares.sum {
        Some(sum) => sum.sqrt(),
        None => {
            let device = model.devices().into_iter().next().unwrap_or_default();
            Tensor::<1>::zeros([1], (&device, DType::F32)).without_autodiff()
        }
    }
}

struct Squares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        // Flex sums a whole tensor above 4 Mi values through rayon, which promises no order of addition; rows have one.
        let rows = grad.cast(DType::F32).square().sum_dim(D.saturating_sub(1));
        let square = rows.sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum.add(square),
            None => square,
        });
    }
}

/// What gradients of norm `norm` are multiplied by so that it is at most `max`: `min(1, max / (norm + 1e-6))`, as
/// PyTorch's `clip_grad_norm_`; 1 where `max` is 0, which turns clipping off.
pub fn clip_factor(norm: f64, max: f64) -> f64 {
    if max == 0.0 { 1.0 } else { (max / (norm + 1e-6)).min(1.0) }
}

/// All gradients of `model` times `factor`; untouched where it is 1.
pub fn scale_grads<M: Module>(model: &M, grads: GradientsParams, factor: f64) -> GradientsParams {
    if factor == 1.0 {
        return grads;
    }
    let mut scale = Scale { grads, factor };
    model.visit(&mut scale);
    scale.grads
}

struct Scale {
    grads: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.mul_scalar(self.factor));
        }
    }
}

/// The sum of the gradients of micro-batches; the caller weights each one's loss.
#[derive(Debug, Default)]
pub struct Accumulator {
    sum: GradientsParams,
}

impl Accumulator {
    /// An empty sum.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the gradients of one micro-batch.
    pub fn add<M: Module>(&mut self, model: &M, grads: GradientsParams) {
        if self.sum.is_empty() {
            self.sum = grads;
        } else {
            model.visit(&mut Add { sum: &mut self.sum, grads });
        }
    }

    /// The sum so far; the accumulator is empty afterwards.
    pub fn take(&mut self) -> GradientsParams {
        std::mem::take(&mut self.sum)
    }
}

struct Add<'a> {
    sum: &'a mut GradientsParams,
    grads: GradientsParams,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let sum = match self.sum.remove::<D>(param.id) {
            Some(sum) => sum.add(grad),
            None => grad,
        };
        self.sum.register(param.id, sum);
    }
}
