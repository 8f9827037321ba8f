//! A tensor under test beside the same numbers in f64, and comparisons of what comes of the two.

use burn::tensor::{DType, Device, Gradients, Slice, Tensor, TensorData};
use proptest::prelude::*;

use crate::support::noise;

/// How a tensor lies in its buffer. What surrounds it is NaN, so that a read beside it shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Layout {
    Packed,
    /// The last two dimensions exchanged.
    Turned,
    /// A window of something larger in every dimension.
    Inside,
    /// Every second column of a wider tensor.
    Stepped,
    /// Backwards in every dimension.
    Flipped,
}

/// What varies besides the shape.
#[derive(Debug, Clone, Copy)]
pub struct How {
    pub layout: Layout,
    pub dtype: DType,
    /// Numbers are below it in size.
    pub scale: f32,
}

/// Mostly f32, whose kernels are the ones to doubt, and numbers up to `large`; half precision stays near 1.
pub fn how(large: f32) -> impl Strategy<Value = How> {
    use Layout::{Flipped, Inside, Packed, Stepped, Turned};
    let layout = prop::sample::select(vec![Packed, Turned, Inside, Stepped, Flipped]);
    let dtype =
        prop_oneof![6 => Just(DType::F32), 1 => Just(DType::F64), 1 => Just(DType::BF16), 1 => Just(DType::F16)];
    (layout, dtype, prop::sample::select(vec![1.0, 1.0, large])).prop_map(|(layout, dtype, scale)| {
        let half = matches!(dtype, DType::BF16 | DType::F16);
        How { layout, dtype, scale: if half { 1.0 } else { scale } }
    })
}

impl How {
    /// With numbers below 1.
    pub fn small(self) -> Self {
        Self { scale: 1.0, ..self }
    }

    /// What results are to be as near as, where operands of products may be rounded to bf16.
    pub fn products(self, narrow: bool) -> Self {
        if narrow && self.dtype == DType::F32 { Self { dtype: DType::BF16, ..self } } else { self }
    }

    /// The largest relative error of one rounding.
    pub fn rounding(self) -> f64 {
        match self.dtype {
            DType::F64 => f64::EPSILON,
            DType::F16 => 2f64.powi(-11),
            DType::BF16 => 2f64.powi(-8),
            _ => 2f64.powi(-24),
        }
    }
}

/// The same numbers as asked for and packed in f64, which the reference of every op takes on flex.
pub struct Twin<const D: usize> {
    pub here: Tensor<D>,
    pub right: Tensor<D>,
}

impl<const D: usize> Twin<D> {
    /// Numbers of a fixed generator, rounded to the dtype.
    pub fn new(shape: [usize; D], seed: u64, how: How) -> Self {
        let values: Vec<f32> = noise(shape.iter().product(), seed).into_iter().map(|x| x * how.scale).collect();
        let device = Device::flex();
        let here = Tensor::<D>::from_data(TensorData::new(values, shape), (&device, how.dtype));
        let right = Tensor::from_data(here.to_data().convert::<f64>(), (&device.clone().autodiff(), DType::F64));
        Self { here: Tensor::from_inner(laid(here, how.layout)).require_grad(), right: right.require_grad() }
    }

    /// An op on both.
    pub fn both<const E: usize>(&self, op: impl Fn(Tensor<D>) -> Tensor<E>) -> Twin<E> {
        Twin { here: op(self.here.clone()), right: op(self.right.clone()) }
    }
}

/// The same tensor in another place of another buffer.
fn laid<const D: usize>(x: Tensor<D>, layout: Layout) -> Tensor<D> {
    let options = (&x.device(), x.dtype());
    let again = |x: Tensor<D>| Tensor::<D>::from_data(x.into_data(), options);
    let around = |pad: [usize; D], steps: [usize; D]| {
        let shape: [usize; D] = std::array::from_fn(|i| x.dims()[i] * steps[i] + 2 * pad[i]);
        let end = |i: usize| (pad[i] + x.dims()[i] * steps[i]) as isize;
        let slices: [Slice; D] = std::array::from_fn(|i| Slice::new(pad[i] as isize, Some(end(i)), steps[i] as isize));
        again(Tensor::full(shape, f32::NAN, options).slice_assign(slices, x.clone())).slice(slices)
    };
    match layout {
        _ if x.shape().num_elements() == 0 => x,
        Layout::Turned if D > 1 => again(x.swap_dims(D - 2, D - 1)).swap_dims(D - 2, D - 1),
        Layout::Packed | Layout::Turned => x,
        Layout::Inside => around([1; D], [1; D]),
        Layout::Stepped => around([0; D], std::array::from_fn(|i| if i + 1 == D { 2 } else { 1 })),
        Layout::Flipped => {
            let axes: [isize; D] = std::array::from_fn(|i| i as isize);
            again(x.flip(axes)).flip(axes)
        }
    }
}

/// An operand whose gradients are compared.
pub trait Leaf {
    /// Of the tensor under test and of its twin, where the graph reaches them.
    fn gradients(&self, here: &Gradients, right: &Gradients) -> Option<[Vec<f64>; 2]>;
}

impl<const D: usize> Leaf for Twin<D> {
    fn gradients(&self, here: &Gradients, right: &Gradients) -> Option<[Vec<f64>; 2]> {
        Some([wide(self.here.grad(here)?), wide(self.right.grad(right)?)])
    }
}

/// Asserts that both results, and the gradients of a weighted sum of them by every leaf, are within so many roundings
/// of the largest.
pub fn same<const D: usize>(what: &str, y: Twin<D>, leaves: &[(&str, &dyn Leaf)], how: How, roundings: f64) {
    let tolerance = roundings * how.rounding();
    near(&format!("{what} y"), wide(y.here.clone()), wide(y.right.clone()), tolerance);
    let weights = Twin::<D>::new(y.right.dims(), 99, How { dtype: y.here.dtype(), ..how.small() });
    let weigh = |y: Tensor<D>, weights: Tensor<D>| {
        // The gradient then arrives with exchanged strides too.
        let turn = |x: Tensor<D>| if D > 1 && how.layout == Layout::Turned { x.swap_dims(D - 2, D - 1) } else { x };
        (turn(y) * turn(weights.detach())).sum().backward()
    };
    let (here, right) = (weigh(y.here, weights.here), weigh(y.right, weights.right));
    for (name, leaf) in leaves {
        let [got, right] = leaf.gradients(&here, &right).unwrap_or_else(|| panic!("{what}: no gradient of {name}"));
        near(&format!("{what} d{name}"), got, right, tolerance);
    }
}

/// Asserts that the largest difference is within `tolerance` of the largest number, or of 1.
pub fn near(what: &str, got: Vec<f64>, right: Vec<f64>, tolerance: f64) {
    assert_eq!(got.len(), right.len(), "{what}");
    let most = right.iter().fold(1f64, |most, x| most.max(x.abs()));
    for (i, (got, right)) in got.iter().zip(&right).enumerate() {
        assert!((got - right).abs() <= tolerance * most, "{what}: element {i} is {got}, not {right}; largest {most}");
    }
}

/// The elements in order.
pub fn wide<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().convert::<f64>().try_into_vec().unwrap()
}
