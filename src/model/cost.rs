//! Parameters and arithmetic of a model, from its config alone.

use std::ops::{Add, Mul};

/// Learnable parameters, and floating-point operations of one example's forward pass (a multiply-add is two).
///
/// Only matrix products and convolutions are counted as operations, as is usual: norms, activations and softmax
/// move memory but add little.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Cost {
    pub(super) params: u64,
    pub(super) flops: f64,
}

impl Cost {
    /// Parameters without arithmetic.
    pub(super) fn params(params: usize) -> Self {
        Self { params: params as u64, flops: 0.0 }
    }

    /// A linear layer over `rows` rows: `2 rows inputs outputs` operations.
    pub(super) fn linear(inputs: usize, outputs: usize, bias: bool, rows: usize) -> Self {
        let params = inputs * outputs + if bias { outputs } else { 0 };
        Self { params: params as u64, flops: 2.0 * rows as f64 * inputs as f64 * outputs as f64 }
    }

    /// A convolution onto a map of `area` pixels: `2 kernel² inputs outputs area` operations.
    pub(super) fn conv(inputs: usize, outputs: usize, kernel: usize, bias: bool, area: usize) -> Self {
        Self::linear(inputs * kernel * kernel, outputs, bias, area)
    }

    /// Both products of full attention, scores and context, over `t` positions: `4 t² width` operations.
    pub(super) fn attention(t: usize, width: usize) -> Self {
        Self { params: 0, flops: 4.0 * (t as f64).powi(2) * width as f64 }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { params: self.params + other.params, flops: self.flops + other.flops }
    }
}

impl Mul<usize> for Cost {
    type Output = Self;

    fn mul(self, times: usize) -> Self {
        Self { params: self.params * times as u64, flops: self.flops * times as f64 }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}
