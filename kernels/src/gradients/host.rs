//! The tensors cut into chunks of a fixed size that the threads share out.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Tensor;

use crate::host::{HostBackend, HostTensor, Kernel, LANES, PASS, owned, packed, region, tensor, vectorised, writable};

/// As [`super::norm`]; none where a tensor is elsewhere or not f32.
pub(super) fn norm<B: HostBackend>(grads: &[Tensor<2>]) -> Option<Tensor<1>> {
    let grads = grads.iter().map(|grad| B::held(grad).map(packed)).collect::<Option<Vec<_>>>()?;
    let length = together(grads.iter().map(HostTensor::values));
    (!grads.is_empty()).then(|| B::plain(tensor(vec![length as f32], [1])))
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

/// A sum that may be written, and what is added to it.
type Pair<B> = (FloatTensor<B>, FloatTensor<B>);
/// What [`super::accumulate`] takes.
type Addends = (Vec<Tensor<1>>, Vec<Tensor<1>>);

/// The tensors of both lists, pair by pair; or themselves, where one is elsewhere or not f32.
pub(super) fn pairs<B: HostBackend>((sums, grads): Addends) -> Result<Vec<Pair<B>>, Addends> {
    let held = |tensors: &[Tensor<1>]| tensors.iter().map(B::held).collect::<Option<Vec<_>>>();
    let Some((held, added)) = held(&sums).zip(held(&grads)) else { return Err((sums, grads)) };
    drop((sums, grads)); // first handles: with them alive every sum would be copied
    Ok(held.into_iter().map(owned).zip(added.into_iter().map(packed)).collect())
}

pub(super) fn accumulate<B: HostBackend>(mut pairs: Vec<Pair<B>>) -> Vec<Tensor<1>> {
    let elements = pairs.iter().map(|(sum, _)| sum.shape().num_elements()).sum();
    let chunks =
        pairs.iter_mut().flat_map(|(sum, grad)| writable(sum).chunks_mut(PASS).zip(grad.values().chunks(PASS)));
    region(chunks.collect(), elements, |(sum, grad)| vectorised(Add { sum, grad }));
    pairs.into_iter().map(|(sum, _)| B::plain(sum)).collect()
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
