//! The tensors cut into chunks of a fixed size that the threads share out.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use crate::host::{Kernel, LANES, PASS, owned, packed, plain, region, tensor, vectorised};

pub(super) fn norm(grads: Vec<FlexTensor>) -> Option<Tensor<1>> {
    let grads: Vec<FlexTensor> = grads.into_iter().map(packed).collect();
    let length = together(grads.iter().map(|grad| grad.storage::<f32>()));
    (!grads.is_empty()).then(|| plain(tensor(vec![length as f32], [1])))
}

/// The Euclidean norm of `values`.
pub(crate) fn length(values: &[f32]) -> f64 {
    together(std::iter::once(values))
}

fn together<'a>(all: impl Iterator<Item = &'a [f32]> + Clone) -> f64 {
    let elements = all.clone().map(<[f32]>::len).sum();
    let chunks = all.flat_map(|values| values.chunks(PASS)).collect();
    region(chunks, elements, |chunk| vectorised(Squares(chunk))).iter().sum::<f64>().sqrt()
}

struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut lanes = [0f64; LANES];
        let (chunks, rest) = self.0.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(*x) * f64::from(*x);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(*x) * f64::from(*x);
        }
        lanes.iter().sum()
    }
}

/// Sums that may be written and what is added to them: the first half of `held`, and the second.
pub(super) fn pairs(mut held: Vec<FlexTensor>) -> Vec<(FlexTensor, FlexTensor)> {
    let grads = held.split_off(held.len() / 2);
    held.into_iter().map(owned).zip(grads.into_iter().map(packed)).collect()
}

pub(super) fn accumulate(mut pairs: Vec<(FlexTensor, FlexTensor)>) -> Vec<Tensor<1>> {
    let elements = pairs.iter().map(|(sum, _)| sum.layout().num_elements()).sum();
    let chunks = pairs
        .iter_mut()
        .flat_map(|(sum, grad)| sum.storage_mut::<f32>().chunks_mut(PASS).zip(grad.storage::<f32>().chunks(PASS)));
    region(chunks.collect(), elements, |(sum, grad)| vectorised(Add { sum, grad }));
    pairs.into_iter().map(|(sum, _)| plain(sum)).collect()
}

struct Add<'a> {
    sum: &'a mut [f32],
    grad: &'a [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (sum, grad) in self.sum.iter_mut().zip(self.grad) {
            *sum += grad;
        }
    }
}
