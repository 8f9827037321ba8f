//! The affine map against an f64 reference whose gradients are finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor};
use kiln_kernels::{Activation, linear};
use proptest::prelude::*;
use support::{close, devices, slopes, upload, values, wide_noise};

/// Operands and the weights that make a scalar of the result.
struct Data {
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Option<Vec<f64>>,
    dy: Vec<f64>,
    sizes: [usize; 3],
    activation: Activation,
}

impl Data {
    fn new([rows, inputs, outputs]: [usize; 3], biased: bool, activation: Activation) -> Self {
        Self {
            x: wide_noise(rows * inputs, 1, 2.0),
            weight: wide_noise(inputs * outputs, 2, 1.0),
            bias: biased.then(|| wide_noise(outputs, 3, 1.0)),
            dy: wide_noise(rows * outputs, 4, 1.0),
            sizes: [rows, inputs, outputs],
            activation,
        }
    }

    fn forward(&self, x: &[f64], weight: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
        let [rows, inputs, outputs] = self.sizes;
        let mut y = Vec::new();
        for i in 0..rows {
            for j in 0..outputs {
                let sum: f64 = (0..inputs).map(|p| x[i * inputs + p] * weight[p * outputs + j]).sum();
                let sum = sum + bias.map_or(0.0, |bias| bias[j]);
                y.push(if self.activation == Activation::Gelu { gelu(sum) } else { sum });
            }
        }
        y
    }

    fn scalar(&self, x: &[f64], weight: &[f64], bias: Option<&[f64]>) -> f64 {
        self.forward(x, weight, bias).iter().zip(&self.dy).map(|(y, dy)| y * dy).sum()
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

/// A sum of `inputs` products in f32 is off by some 1e-7 of their sizes times the root of their number; the finite
/// differences by 1e-8.
fn check(what: &str, data: &Data, x: Tensor<2>, weight: Tensor<2>, device: &Device) {
    let [rows, _, outputs] = data.sizes;
    let (x, weight) = (x.require_grad(), weight.require_grad());
    let bias = data.bias.as_ref().map(|bias| upload(bias, [outputs], device).require_grad());
    let y = linear(x.clone(), weight.clone(), bias.clone(), data.activation);
    let gradients = (y.clone() * upload(&data.dy, [rows, outputs], device)).sum().backward();
    let fixed = data.bias.as_deref();
    close(&format!("{what} y"), &values(y), &data.forward(&data.x, &data.weight, fixed), 2e-5, 1e-5);
    let dx = slopes(&data.x, |x| data.scalar(x, &data.weight, fixed));
    close(&format!("{what} dx"), &values(x.grad(&gradients).unwrap()), &dx, 4e-5, 1e-5);
    let dweight = slopes(&data.weight, |weight| data.scalar(&data.x, weight, fixed));
    close(&format!("{what} dweight"), &values(weight.grad(&gradients).unwrap()), &dweight, 4e-5, 1e-5);
    if let (Some(bias), Some(fixed)) = (bias, fixed) {
        let dbias = slopes(fixed, |bias| data.scalar(&data.x, &data.weight, Some(bias)));
        close(&format!("{what} dbias"), &values(bias.grad(&gradients).unwrap()), &dbias, 2e-5, 1e-5);
    }
}

fn plain(what: &str, data: &Data, device: &Device) {
    let [rows, inputs, outputs] = data.sizes;
    let x = upload(&data.x, [rows, inputs], device);
    check(what, data, x, upload(&data.weight, [inputs, outputs], device), device);
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for sizes in [[1, 1, 1], [3, 5, 2], [7, 17, 9], [33, 20, 31], [2, 65, 3]] {
            for (biased, activation) in [(true, Activation::None), (false, Activation::None), (true, Activation::Gelu)]
            {
                let data = Data::new(sizes, biased, activation);
                plain(&format!("{name} {sizes:?} {biased} {activation:?}"), &data, &device);
            }
        }
        plain(&format!("{name} gelu without a bias"), &Data::new([5, 4, 3], false, Activation::Gelu), &device);
    }
}

#[test]
fn strided_operands_give_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let data = Data::new([7, 17, 9], true, Activation::Gelu);
        let x = upload(&data.x, [7, 17], &device);
        let weight = upload(&data.weight, [17, 9], &device);
        let turned = |x: &Tensor<2>| (x.clone().transpose() * 1.0).transpose().detach();
        check(&format!("{name} transposed"), &data, turned(&x), turned(&weight), &device);
        let padded = Tensor::cat(vec![x.clone() * 2.0, x.clone(), x * 3.0], 1);
        check(&format!("{name} sliced"), &data, padded.slice([0..7, 17..34]).detach(), weight, &device);
    }
}

#[test]
fn any_rank_no_rows_and_a_frozen_weight() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let weight = Tensor::<2>::ones([4, 3], &device);
        let x = Tensor::<3>::ones([2, 5, 4], &device).require_grad();
        let y = linear(x.clone(), weight.clone(), None, Activation::None);
        assert_eq!(y.dims(), [2, 5, 3], "{name}");
        let gradients = y.sum().backward();
        assert!(values(x.grad(&gradients).unwrap()).iter().all(|dx| *dx == 3.0), "{name}");
        assert!(weight.grad(&gradients).is_none(), "{name}");
        if name == "flex" {
            let none = linear(Tensor::<2>::ones([0, 4], &device), weight, None, Activation::Gelu);
            assert_eq!(none.dims(), [0, 3]);
        }
    }
}

#[test]
fn nan_goes_through() {
    for (name, device) in devices() {
        let x = Tensor::<2>::from_floats([[f32::NAN, 1.0], [1.0, 2.0]], &device);
        let y = values(linear(x, Tensor::ones([2, 3], &device), None, Activation::Gelu));
        assert!(y[..3].iter().all(|y| y.is_nan()) && y[3..].iter().all(|y| y.is_finite()), "{name}: {y:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    #[cfg(feature = "flex")]
    fn any_shape_is_right_on_flex(rows in 1usize..40, inputs in 1usize..24, outputs in 1usize..24, biased: bool) {
        let data = Data::new([rows, inputs, outputs], biased, Activation::Gelu);
        plain("flex", &data, &Device::flex().autodiff());
    }
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    let sizes @ [rows, inputs, outputs] = [301, 190, 257];
    let data = Data::new(sizes, true, Activation::Gelu);
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let device = Device::flex().autodiff();
            let x = upload(&data.x, [rows, inputs], &device).require_grad();
            let weight = upload(&data.weight, [inputs, outputs], &device).require_grad();
            let bias = upload(data.bias.as_ref().unwrap(), [outputs], &device).require_grad();
            let y = linear(x.clone(), weight.clone(), Some(bias.clone()), Activation::Gelu);
            let gradients = y.clone().sum().backward();
            let all = [values(y), values(x.grad(&gradients).unwrap()), values(weight.grad(&gradients).unwrap())];
            let all = [all.concat(), values(bias.grad(&gradients).unwrap())].concat();
            all.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(7));
}
