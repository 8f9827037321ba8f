//! A vector per id.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Device, FloatDType, Int, Tensor},
};

/// A table of vectors.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[count, width]`.
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// `count` vectors of `width`, normal with standard deviation `std`.
    pub fn new(count: usize, width: usize, std: f64, device: &Device) -> Self {
        Self { weight: Initializer::Normal { mean: 0.0, std }.init([count, width], device) }
    }

    /// Ids `[b, t]` below `count` to vectors `[b, t, width]` of dtype `compute`.
    pub fn forward(&self, ids: Tensor<2, Int>, compute: FloatDType) -> Tensor<3> {
        // The rows are cast, not the table.
        kiln_kernels::embedding(self.weight.val(), ids).cast(compute)
    }

    /// The vectors of ids `first..first + t`, `[1, t, width]`, of dtype `compute`.
    pub fn range(&self, first: usize, t: usize, compute: FloatDType) -> Tensor<3> {
        self.weight.val().narrow(0, first, t).unsqueeze::<3>().cast(compute)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_rows_and_adds_up_their_gradients() {
        let device = Device::flex().autodiff();
        let table = Embedding { weight: Param::from_data([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &device) };
        let ids = Tensor::<2, Int>::from_data([[2, 0, 2]], &device);
        let y = table.forward(ids, FloatDType::F32);
        assert_eq!(y.clone().into_data().try_to_vec::<f32>().unwrap(), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
        let grad = table.weight.val().grad(&y.sum().backward()).unwrap();
        assert_eq!(grad.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0, 0.0, 2.0, 2.0]);
        let range = table.range(1, 2, FloatDType::F32);
        assert_eq!(range.into_data().try_to_vec::<f32>().unwrap(), [3.0, 4.0, 5.0, 6.0]);
    }
}
