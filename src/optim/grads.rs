//! Gradients of a whole module: their global norm and clip, accumulation over micro-batches.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param, ParamId},
    optim::GradientsParams,
    tensor::{DType, Tensor},
};

use super::flat::flattened;

/// The Euclidean norm of all gradients together, f32, `[1]`; 0 without gradients. Nothing waits for the device.
///
/// The order of addition is fixed, so that the same gradients give the same bits.
pub fn global_norm<M: Module>(model: &M, grads: &GradientsParams) -> Tensor<1> {
    let mut rows = Rows { grads, rows: vec![] };
    model.visit(&mut rows);
    kiln_kernels::norm(rows.rows).unwrap_or_else(|| {
        let device = model.devices().into_iter().next().unwrap_or_default();
        Tensor::<1>::zeros([1], (&device, DType::F32)).without_autodiff()
    })
}

struct Rows<'a> {
    grads: &'a GradientsParams,
    rows: Vec<Tensor<2>>,
}

impl ModuleVisitor for Rows<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.get::<D>(param.id) else { return };
        let grad = if grad.dtype() == DType::F32 { grad } else { grad.cast(DType::F32) };
        let shape = grad.shape();
        let width = shape.as_slice().last().copied().unwrap_or(1);
        self.rows.push(grad.without_autodiff().reshape([shape.num_elements() / width.max(1), width]));
    }
}

/// What gradients of norm `norm` are multiplied by so that it is at most `max`: `min(1, max / (norm + 1e-6))`, as
/// PyTorch's `clip_grad_norm_`; 1 where `max` is 0, which turns clipping off.
pub fn clip_factor(norm: f64, max: f64) -> f64 {
    if max == 0.0 { 1.0 } else { (max / (norm + 1e-6)).min(1.0) }
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
            return;
        }
        let mut pairs = Pairs { sum: &mut self.sum, grads, ids: vec![], sums: vec![], parts: vec![] };
        model.visit(&mut pairs);
        let Pairs { ids, sums, parts, .. } = pairs;
        let sums = ids.into_iter().zip(kiln_kernels::accumulate(sums, parts)).collect();
        model.visit(&mut Back { sum: &mut self.sum, sums });
    }

    /// The sum so far; the accumulator is empty afterwards.
    pub fn take(&mut self) -> GradientsParams {
        std::mem::take(&mut self.sum)
    }
}

/// Takes out what has two gradients, flat; what has one stays in the sum, or goes into it.
struct Pairs<'a> {
    sum: &'a mut GradientsParams,
    grads: GradientsParams,
    ids: Vec<ParamId>,
    sums: Vec<Tensor<1>>,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Pairs<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return };
        let Some(sum) = self.sum.remove::<D>(param.id) else { return self.sum.register(param.id, grad) };
        self.ids.push(param.id);
        self.sums.push(flattened(sum));
        self.parts.push(flattened(grad));
    }
}

/// Puts flat sums back in their parameters' shapes.
struct Back<'a> {
    sum: &'a mut GradientsParams,
    sums: BTreeMap<ParamId, Tensor<1>>,
}

impl ModuleVisitor for Back<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(sum) = self.sums.remove(&param.id) {
            self.sum.register(param.id, sum.reshape::<D, _>(param.lazy_shape()));
        }
    }
}
