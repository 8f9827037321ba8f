//! Dropout.

use burn::{
    module::{Flag, Module, Param},
    tensor::Tensor,
};

/// Builds a [`Dropout`].
#[derive(Debug, Clone, Copy)]
pub struct DropoutConfig {
    probability: f64,
}

impl DropoutConfig {
    /// Zeroes elements with this probability, at least 0 and below 1.
    pub fn new(probability: f64) -> Self {
        Self { probability }
    }

    /// The layer; it has no parameters.
    pub fn init(&self) -> Dropout {
        Dropout { probability: self.probability, training: Param::from_bool(true) }
    }
}

/// Zeroes elements at random while training and scales the others so that the mean stays (Srivastava et al. 2014).
#[derive(Module, Debug)]
pub struct Dropout {
    probability: f64,
    /// Cleared by [`Module::valid`]: a validation model may be fed from the training device.
    training: Param<Flag>,
}

impl Dropout {
    /// To the same shape and dtype; the very input where nothing is trained.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self.rate(&x) {
            0.0 => x,
            rate => kiln_kernels::dropout(x, rate),
        }
    }

    /// The probability with which elements of `x` are zeroed now: 0 where nothing is trained.
    pub fn rate<const D: usize>(&self, x: &Tensor<D>) -> f64 {
        if self.training.is_enabled() && x.device().is_autodiff() { self.probability } else { 0.0 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn acts_on_a_training_device_only() {
        let layer = DropoutConfig::new(0.5).init();
        let zeros = |layer: &Dropout, device: &Device| {
            let y = layer.forward(Tensor::<1>::ones([1000], device));
            y.into_data().try_to_vec::<f32>().unwrap().iter().filter(|y| **y == 0.0).count()
        };
        let (plain, training) = (Device::flex(), Device::flex().autodiff());
        assert_eq!((zeros(&layer, &plain), zeros(&layer.valid(), &training)), (0, 0));
        assert!((400..600).contains(&zeros(&layer, &training)));
        assert!((400..600).contains(&zeros(&layer.valid().train(), &training)));
    }
}
