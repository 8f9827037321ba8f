//! LSTMs and GRUs against an f64 reference whose gradients are finite differences, on every compiled device.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use burn::tensor::{Device, Tensor};
use kiln_kernels::{Cell, RecurrentOptions, recurrent};
use support::{close, devices, slopes, upload, values, wide_noise};

const LSTM: RecurrentOptions = RecurrentOptions { cell: Cell::Lstm, reverse: false };
const GRU: RecurrentOptions = RecurrentOptions { cell: Cell::Gru, reverse: false };

/// Either cell, in either direction.
fn ways() -> impl Iterator<Item = RecurrentOptions> {
    [LSTM, GRU].into_iter().flat_map(|base| [false, true].map(|reverse| RecurrentOptions { reverse, ..base }))
}

struct Data {
    gates: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    /// 1 where a step counts; none where all do.
    valid: Option<Vec<f64>>,
    dy: Vec<f64>,
    /// Sequences, steps, width of the state.
    sizes: [usize; 3],
    options: RecurrentOptions,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Data {
    /// `lengths` are the steps that count, the first ones of each sequence.
    fn new(sizes @ [b, t, h]: [usize; 3], options: RecurrentOptions, scale: f32, lengths: Option<&[usize]>) -> Self {
        let columns = options.cell.gates() * h;
        let steps = |n: &usize| (0..t).map(|i| if i < *n { 1.0 } else { 0.0 }).collect::<Vec<_>>();
        Self {
            gates: wide_noise(b * t * columns, 1, scale),
            weight: wide_noise(h * columns, 2, 0.7),
            bias: wide_noise(columns, 3, 0.3),
            valid: lengths.map(|lengths| lengths.iter().flat_map(steps).collect()),
            dy: wide_noise(b * t * h, 4, 1.0),
            sizes,
            options,
        }
    }

    /// `[b, t, h]`, step by step as the papers have it.
    fn forward(&self, gates: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let [b, t, h] = self.sizes;
        let columns = bias.len();
        let mut states = vec![0.0; b * t * h];
        for sequence in 0..b {
            let (mut state, mut cell) = (vec![0.0; h], vec![0.0; h]);
            for i in 0..t {
                let step = sequence * t + if self.options.reverse { t - 1 - i } else { i };
                if self.valid.as_ref().is_none_or(|valid| valid[step] > 0.0) {
                    let share = |column: usize| {
                        bias[column] + (0..h).map(|k| state[k] * weight[k * columns + column]).sum::<f64>()
                    };
                    let shares: Vec<f64> = (0..columns).map(share).collect();
                    let gate = |g: usize, unit: usize| (gates[step * columns + g * h + unit], shares[g * h + unit]);
                    let sum = |(x, share): (f64, f64)| x + share;
                    for unit in 0..h {
                        let open = |g: usize| sigmoid(sum(gate(g, unit)));
                        match self.options.cell {
                            Cell::Lstm => {
                                cell[unit] = open(1) * cell[unit] + open(0) * sum(gate(2, unit)).tanh();
                                state[unit] = open(3) * cell[unit].tanh();
                            }
                            Cell::Gru => {
                                let (x, share) = gate(2, unit);
                                let new = (x + open(0) * share).tanh();
                                state[unit] = (1.0 - open(1)) * new + open(1) * state[unit];
                            }
                        }
                    }
                }
                states[step * h..(step + 1) * h].copy_from_slice(&state);
            }
        }
        states
    }

    fn scalar(&self, gates: &[f64], weight: &[f64], bias: &[f64]) -> f64 {
        self.forward(gates, weight, bias).iter().zip(&self.dy).map(|(y, dy)| y * dy).sum()
    }
}

/// States lie within 1, where f32 rounds by 6e-8; a step adds the rounding of a sum over the state's width, and hands on
/// what it was given. Gradients of the weight are sums over all steps of all sequences.
fn check(what: &str, data: &Data, gates: Tensor<3>, device: &Device) {
    let [b, t, h] = data.sizes;
    let columns = data.bias.len();
    let gates = gates.require_grad();
    let weight = upload(&data.weight, [h, columns], device).require_grad();
    let bias = upload(&data.bias, [columns], device).require_grad();
    let valid = data.valid.as_ref().map(|valid| upload(valid, [b, t], device));
    let y = recurrent(gates.clone(), weight.clone(), bias.clone(), valid, data.options);
    let gradients = (y.clone() * upload(&data.dy, [b, t, h], device)).sum().backward();
    let (x, w, c) = (&data.gates, &data.weight, &data.bias);
    close(&format!("{what} y"), &values(y), &data.forward(x, w, c), 3e-6, 3e-6);
    let dgates = slopes(x, |x| data.scalar(x, w, c));
    close(&format!("{what} dgates"), &values(gates.grad(&gradients).unwrap()), &dgates, 1e-5, 1e-5);
    let dweight = slopes(w, |w| data.scalar(x, w, c));
    close(&format!("{what} dweight"), &values(weight.grad(&gradients).unwrap()), &dweight, 3e-5, 3e-5);
    let dbias = slopes(c, |c| data.scalar(x, w, c));
    close(&format!("{what} dbias"), &values(bias.grad(&gradients).unwrap()), &dbias, 3e-5, 3e-5);
}

#[test]
fn every_device_matches_the_reference() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for options in ways() {
            for (sizes, scale) in [([1, 1, 1], 1.0), ([2, 5, 3], 1.0), ([3, 4, 9], 2.0), ([2, 3, 17], 30.0)] {
                let data = Data::new(sizes, options, scale, None);
                let gates = upload(&data.gates, [sizes[0], sizes[1], data.bias.len()], &device);
                check(&format!("{name} {options:?} {sizes:?} {scale}"), &data, gates, &device);
            }
        }
    }
}

#[test]
fn steps_that_do_not_count_are_passed_over() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for options in ways() {
            let data = Data::new([3, 4, 5], options, 1.0, Some(&[4, 2, 0]));
            let gates = upload(&data.gates, [3, 4, data.bias.len()], &device);
            check(&format!("{name} {options:?}"), &data, gates, &device);
        }
    }
}

#[test]
fn strided_input_gives_the_same_result() {
    for (name, device) in devices() {
        let device = device.autodiff();
        for options in [LSTM, GRU] {
            let data = Data::new([2, 3, 4], options, 1.0, None);
            let gates = upload(&data.gates, [2, 3, data.bias.len()], &device);
            let turned = (gates.clone().swap_dims(0, 2) * 1.0).swap_dims(0, 2).detach();
            check(&format!("{name} transposed"), &data, turned, &device);
            let wide = Tensor::cat(vec![gates.clone() * 2.0, gates.clone(), gates], 1);
            check(&format!("{name} sliced"), &data, wide.narrow(1, 3, 3).detach(), &device);
        }
    }
}

#[test]
#[cfg(feature = "flex")]
fn nothing_to_do_and_nan() {
    let device = Device::flex();
    let weight = Tensor::<2>::ones([2, 6], &device);
    let bias = Tensor::<1>::ones([6], &device);
    let run = |gates: Tensor<3>| recurrent(gates, weight.clone(), bias.clone(), None, GRU);
    assert_eq!(run(Tensor::ones([0, 3, 6], &device)).dims(), [0, 3, 2]);
    assert_eq!(run(Tensor::ones([3, 0, 6], &device)).dims(), [3, 0, 2]);
    let mut gates = vec![0.5f32; 12];
    gates[2] = f32::NAN; // of the first sequence's update gate
    let y = values(run(Tensor::from_data(burn::tensor::TensorData::new(gates, [2, 1, 6]), &device)));
    assert!(y[0].is_nan() && y[1..].iter().all(|y| y.is_finite()), "{y:?}");
}

#[test]
#[cfg(feature = "flex")]
fn flex_gives_the_same_bits_on_any_number_of_threads() {
    for options in [LSTM, GRU] {
        let data = Data::new([13, 7, 33], options, 1.0, None);
        let columns = data.bias.len();
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex().autodiff();
                let gates = upload(&data.gates, [13, 7, columns], &device).require_grad();
                let weight = upload(&data.weight, [33, columns], &device).require_grad();
                let bias = upload(&data.bias, [columns], &device).require_grad();
                let y = recurrent(gates.clone(), weight.clone(), bias.clone(), None, options);
                let gradients = (y.clone() * upload(&data.dy, [13, 7, 33], &device)).sum().backward();
                let grads = [values(gates.grad(&gradients).unwrap()), values(weight.grad(&gradients).unwrap())];
                let all = [grads.concat(), values(bias.grad(&gradients).unwrap()), values(y)];
                all.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            })
        };
        let one = bits(1);
        assert!(one == bits(2) && one == bits(7), "{options:?}");
    }
}
