//! Some sequences a task, each task with all steps: threads meet once, not at every step.

mod gru;
mod lstm;

use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::{Cell, Form, Forward, Gradient, Recurrent, reference};
use crate::host::{
    HostBackend, HostTensor, Matrix, column_sums, dims, exp, matrix, packed, product_into, product_tensor, tensor,
    vectorised, writable,
};

/// Sequences of a task, a fixed number: a product's sums may depend on its size, and results depend on nothing else.
const SEQUENCES: usize = 16;

impl<B: HostBackend> Recurrent for B {
    fn recurrent_forward(
        gates: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&gates, &weight, &bias, &valid]) {
            return reference::forward::<Self>(gates, weight, bias, valid, form);
        }
        forward::<Self>(gates, weight, bias, valid, form)
    }

    fn recurrent_backward(
        states: FloatTensor<Self>,
        gates: FloatTensor<Self>,
        extra: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        valid: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&states, &gates, &extra, &weight, &valid, &grad]) {
            return reference::backward::<Self>((states, gates, extra), weight, valid, grad, form);
        }
        backward::<Self>((states, gates, extra), weight, valid, grad, form)
    }
}

/// The sequences of a task.
#[derive(Clone, Copy)]
struct Task<'a> {
    t: usize,
    h: usize,
    form: Form,
    weight: Matrix<'a>,
    /// `[rows, t]`; empty where every step is valid.
    valid: &'a [f32],
}

impl Task<'_> {
    fn takes(&self, row: usize, step: usize) -> bool {
        self.valid.get(row * self.t + step).is_none_or(|valid| *valid != 0.0)
    }

    fn rows(&self, states: &[f32]) -> usize {
        states.len() / (self.t * self.h)
    }
}

/// The elements of row `row` and step `step` of `[rows, t, n]`.
#[inline(always)]
fn at(row: usize, step: usize, t: usize, n: usize) -> std::ops::Range<usize> {
    let start = (row * t + step) * n;
    start..start + n
}

/// Task `i`'s part of `[b, t]`; empty where every step is valid.
fn part(valid: Option<&[f32]>, t: usize, i: usize) -> &[f32] {
    valid.map_or(&[], |valid| {
        let start = i * SEQUENCES * t;
        &valid[start..valid.len().min(start + SEQUENCES * t)]
    })
}

fn forward<B: HostBackend>(
    gates: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    valid: FloatTensor<B>,
    form: Form,
) -> Forward<B> {
    let [b, t, width] = dims(&gates);
    let (mut gates, weight, bias, valid) = (packed(gates), matrix(weight), packed(bias), packed(valid));
    let h = weight.rows();
    let (mut states, mut extra) = (vec![0f32; b * t * h], vec![0f32; b * t * h]);
    let valid = form.masked.then(|| valid.values());
    let chunk = SEQUENCES * t;
    let chunks = (
        states.par_chunks_mut(chunk * h),
        writable(&mut gates).par_chunks_mut(chunk * width),
        extra.par_chunks_mut(chunk * h),
    );
    chunks.into_par_iter().enumerate().for_each(|(i, (states, gates, extra))| {
        let task = Task { t, h, form, weight: weight.view(), valid: part(valid, t, i) };
        task.forward(bias.values(), states, gates, extra);
    });
    (tensor(states, [b, t, h]), gates, tensor(extra, [b, t, h]))
}

impl Task<'_> {
    /// Writes the states and `extra`, and turns the inputs' share of the gates into what they come to.
    fn forward(self, bias: &[f32], states: &mut [f32], gates: &mut [f32], extra: &mut [f32]) {
        let rows = self.rows(states);
        let mut state = vec![0f32; rows * self.h];
        let mut cell = vec![0f32; rows * self.h];
        let mut shared = vec![0f32; rows * bias.len()]; // [rows, g h]
        for step in self.form.steps(self.t) {
            product_into(Matrix::new(&state, rows, self.h), self.weight, &mut shared, false, self.form.products);
            for row in 0..rows {
                let (place, wide) = (at(row, step, self.t, self.h), at(row, step, self.t, bias.len()));
                let state = &mut state[row * self.h..][..self.h];
                let cell = &mut cell[row * self.h..][..self.h];
                if self.takes(row, step) {
                    let shared = &mut shared[row * bias.len()..][..bias.len()];
                    let gates = &mut gates[wide];
                    match self.form.options.cell {
                        Cell::Lstm => vectorised(lstm::Forward { gates, shared, bias, state, cell }),
                        Cell::Gru => {
                            vectorised(gru::Forward { gates, shared, bias, state, gated: &mut extra[place.clone()] })
                        }
                    }
                }
                states[place.clone()].copy_from_slice(state);
                if self.form.options.cell == Cell::Lstm {
                    extra[place].copy_from_slice(cell);
                }
            }
        }
    }
}

fn backward<B: HostBackend>(
    (states, gates, extra): Forward<B>,
    weight: FloatTensor<B>,
    valid: FloatTensor<B>,
    grad: FloatTensor<B>,
    form: Form,
) -> Gradient<B> {
    let [b, t, width] = dims(&gates);
    let (states, mut gates, extra) = (packed(states), packed(gates), packed(extra));
    let (weight, valid, grad) = (matrix(weight), packed(valid), packed(grad));
    let h = weight.rows();
    let valid = form.masked.then(|| valid.values());
    // Of a GRU the state's share has other gradients than the inputs'.
    let gru = form.options.cell == Cell::Gru;
    let mut dshared = vec![0f32; if gru { b * t * width } else { 0 }];
    let mut before = vec![0f32; b * t * h]; // the state that every step began with
    let chunk = SEQUENCES * t;
    // An LSTM's tasks have nothing to write there, but there must be as many parts as tasks.
    let seconds: Vec<&mut [f32]> = match form.options.cell {
        Cell::Gru => dshared.chunks_mut(chunk * width).collect(),
        Cell::Lstm => (0..b.div_ceil(SEQUENCES)).map(|_| &mut [][..]).collect(),
    };
    let chunks = (
        states.values().par_chunks(chunk * h),
        writable(&mut gates).par_chunks_mut(chunk * width),
        extra.values().par_chunks(chunk * h),
        grad.values().par_chunks(chunk * h),
        before.par_chunks_mut(chunk * h),
        seconds.into_par_iter(),
    );
    chunks.into_par_iter().enumerate().for_each(|(i, (states, gates, extra, grad, before, dshared))| {
        let task = Task { t, h, form, weight: weight.view(), valid: part(valid, t, i) };
        task.shift(states, before);
        task.backward(Kept { extra, grad, before }, gates, dshared);
    });
    let shared = if gru { &dshared } else { gates.values() };
    let dbias = tensor(column_sums(shared, width), [width]);
    let (states, shared) = (Matrix::new(&before, b * t, h), Matrix::new(shared, b * t, width));
    let dweight = product_tensor(states.transposed(), shared, form.products);
    (gates, dweight, dbias)
}

/// What a task's backward reads, `[rows, t, h]` each.
struct Kept<'a> {
    extra: &'a [f32],
    grad: &'a [f32],
    before: &'a [f32],
}

impl Task<'_> {
    /// The states by the step that begins with them; zeros before the first.
    fn shift(&self, states: &[f32], before: &mut [f32]) {
        for row in 0..self.rows(states) {
            for step in 0..self.t {
                if let Some(last) = self.form.before(step, self.t) {
                    before[at(row, step, self.t, self.h)].copy_from_slice(&states[at(row, last, self.t, self.h)]);
                }
            }
        }
    }

    /// Turns the gates into the gradients of the inputs' share; of a GRU, writes those of the state's share too.
    fn backward(self, kept: Kept<'_>, gates: &mut [f32], dshared: &mut [f32]) {
        let (t, h) = (self.t, self.h);
        let (rows, width) = (self.rows(kept.grad), self.form.options.cell.gates() * h);
        let (mut dstate, mut dcell) = (vec![0f32; rows * h], vec![0f32; rows * h]);
        let mut shared = vec![0f32; rows * width];
        let first = vec![0f32; h];
        for step in self.form.steps(t).rev() {
            for row in 0..rows {
                let (place, wide) = (at(row, step, t, h), at(row, step, t, width));
                let dstate = &mut dstate[row * h..][..h];
                dstate.iter_mut().zip(&kept.grad[place.clone()]).for_each(|(sum, grad)| *sum += grad);
                let gates = &mut gates[wide.clone()];
                let shared = &mut shared[row * width..][..width];
                if !self.takes(row, step) {
                    gates.fill(0.0);
                    shared.fill(0.0);
                    continue;
                }
                let extra = &kept.extra[place.clone()];
                match self.form.options.cell {
                    Cell::Lstm => {
                        let last = self.form.before(step, t).map(|last| &kept.extra[at(row, last, t, h)]);
                        let (before, dcell) = (last.unwrap_or(&first), &mut dcell[row * h..][..h]);
                        vectorised(lstm::Backward { gates, cell: extra, before, dstate, dcell });
                        shared.copy_from_slice(gates);
                    }
                    Cell::Gru => {
                        let before = &kept.before[place];
                        vectorised(gru::Backward { gates, gated: extra, before, dstate, shared });
                        dshared[wide].copy_from_slice(shared);
                    }
                }
            }
            let (shared, weight) = (Matrix::new(&shared, rows, width), self.weight.transposed());
            product_into(shared, weight, &mut dstate, true, self.form.products);
        }
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// To some 3 units in the last place: the quotient of exponentials loses digits near 0, where the series does not.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let square = x * x;
    let near = x
        * (1.0
            + square * (-0.333_333_34 + square * (0.133_333_34 + square * (-0.053_968_254 + square * 0.021_869_488))));
    let far = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if square < 0.04 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squashing_is_right_everywhere() {
        for i in -4000..=4000 {
            let x = i as f32 * 0.005;
            let (wide, tolerance) = (f64::from(x), 4e-7);
            let right = wide.tanh();
            assert!((f64::from(tanh(x)) - right).abs() <= tolerance * right.abs(), "tanh {x}");
            let right = 1.0 / (1.0 + (-wide).exp());
            assert!((f64::from(sigmoid(x)) - right).abs() <= tolerance * right, "sigmoid {x}");
        }
        assert_eq!((tanh(1e9), tanh(-1e9), sigmoid(1e9), sigmoid(-1e9)), (1.0, -1.0, 1.0, 0.0));
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }
}
