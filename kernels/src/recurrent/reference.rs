//! The steps composed from burn's own operations, for every backend without an override.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{Shape, Slice};

use super::{Cell, Form, Forward, Gradient};

/// Shapes as in [`super::Recurrent`].
pub(super) fn forward<B: Backend>(
    gates: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    valid: FloatTensor<B>,
    form: Form,
) -> Forward<B> {
    let steps = Steps::of(&gates, &weight, form);
    let Steps { b, t, h, .. } = steps;
    let bias = B::float_reshape(bias, Shape::new([1, bias_width(h, form)]));
    let mut state = B::float_zeros(Shape::new([b, h]), &gates.device(), gates.dtype().into());
    let mut cell = state.clone();
    let mut kept: [Vec<FloatTensor<B>>; 3] = Default::default();
    for step in form.steps(t) {
        let shared = B::float_add(B::float_matmul(state.clone(), weight.clone()), bias.clone()); // [b, g h]
        let gates = steps.at::<B>(&gates, step);
        let (next, came, extra) = match form.options.cell {
            Cell::Lstm => steps.lstm::<B>(B::float_add(gates, shared), cell.clone()),
            Cell::Gru => steps.gru::<B>(gates, shared, state.clone()),
        };
        let keep = |old, new| steps.chosen::<B>(&valid, step, old, new);
        state = keep(state, next);
        let extra = if form.options.cell == Cell::Lstm { keep(cell, extra) } else { extra };
        cell = extra.clone();
        for (kept, now) in kept.iter_mut().zip([state.clone(), came, extra]) {
            kept.push(now);
        }
    }
    let [states, gates, extra] = kept.map(|kept| steps.joined::<B>(kept));
    (states, gates, extra)
}

/// Shapes as in [`super::Recurrent`].
pub(super) fn backward<B: Backend>(
    (states, gates, extra): Forward<B>,
    weight: FloatTensor<B>,
    valid: FloatTensor<B>,
    grad: FloatTensor<B>,
    form: Form,
) -> Gradient<B> {
    let steps = Steps::of(&gates, &weight, form);
    let Steps { b, t, h, .. } = steps;
    let none = B::float_zeros(Shape::new([b, h]), &grad.device(), grad.dtype().into());
    let before = |x: &FloatTensor<B>, step| match form.before(step, t) {
        Some(step) => steps.at::<B>(x, step),
        None => none.clone(),
    };
    let (mut dstate, mut dcell) = (none.clone(), none.clone());
    let mut kept: [Vec<FloatTensor<B>>; 3] = Default::default();
    for step in form.steps(t).rev() {
        dstate = B::float_add(dstate, steps.at::<B>(&grad, step));
        let (state, came, extra_now) =
            (before(&states, step), steps.at::<B>(&gates, step), steps.at::<B>(&extra, step));
        let open = |x| steps.masked::<B>(&valid, step, x);
        let taken = open(dstate.clone());
        let passed = B::float_sub(dstate, taken.clone());
        let (dgates, dshared, direct) = match form.options.cell {
            Cell::Lstm => {
                let taken_cell = open(dcell.clone());
                let passed_cell = B::float_sub(dcell, taken_cell.clone());
                let (dgates, back) = steps.lstm_back::<B>(came, extra_now, before(&extra, step), (taken, taken_cell));
                dcell = B::float_add(passed_cell, back);
                (dgates.clone(), dgates, passed)
            }
            Cell::Gru => {
                let (dgates, dshared, direct) = steps.gru_back::<B>(came, extra_now, state.clone(), taken);
                (dgates, dshared, B::float_add(direct, passed))
            }
        };
        let through = B::float_matmul(dshared.clone(), B::float_transpose(weight.clone()));
        dstate = B::float_add(direct, through);
        for (kept, now) in kept.iter_mut().zip([dgates, dshared, state]) {
            kept.push(now);
        }
    }
    let [dgates, dshared, state] = kept.map(|kept| {
        // The last step came first.
        steps.joined::<B>(kept.into_iter().rev().collect())
    });
    let columns = bias_width(h, form);
    let dshared = B::float_reshape(dshared, Shape::new([b * t, columns]));
    let state = B::float_reshape(state, Shape::new([b * t, h]));
    let dweight = B::float_matmul(B::float_transpose(state), dshared.clone());
    let dbias = B::float_reshape(B::float_sum_dim(dshared, 0), Shape::new([columns]));
    (dgates, dweight, dbias)
}

fn bias_width(h: usize, form: Form) -> usize {
    form.options.cell.gates() * h
}

#[derive(Clone, Copy)]
struct Steps {
    b: usize,
    t: usize,
    h: usize,
    form: Form,
}

impl Steps {
    fn of(gates: &impl TensorMetadata, weight: &impl TensorMetadata, form: Form) -> Self {
        let shape = gates.shape();
        Self { b: shape[0], t: shape[1], h: weight.shape()[0], form }
    }

    /// `[b, t, n]` to `[b, n]`.
    fn at<B: Backend>(self, x: &FloatTensor<B>, step: usize) -> FloatTensor<B> {
        let n = x.shape()[2];
        let slices = [Slice::full(), Slice::from(step..step + 1), Slice::full()];
        B::float_reshape(B::float_slice(x.clone(), &slices), Shape::new([self.b, n]))
    }

    /// Steps in the order in which they were taken, `[b, n]` each, to `[b, t, n]`.
    fn joined<B: Backend>(self, mut steps: Vec<FloatTensor<B>>) -> FloatTensor<B> {
        if self.form.options.reverse {
            steps.reverse();
        }
        let wide = |x: FloatTensor<B>| {
            let n = x.shape()[1];
            B::float_reshape(x, Shape::new([self.b, 1, n]))
        };
        B::float_cat(steps.into_iter().map(wide).collect(), 1)
    }

    /// `x` `[b, n]` where a step is taken, else 0.
    fn masked<B: Backend>(self, valid: &FloatTensor<B>, step: usize, x: FloatTensor<B>) -> FloatTensor<B> {
        if !self.form.masked {
            return x;
        }
        let column = B::float_slice(valid.clone(), &[Slice::full(), Slice::from(step..step + 1)]); // [b, 1]
        B::float_mul(x, column)
    }

    /// `new` where a step is taken, else `old`.
    fn chosen<B: Backend>(
        self,
        valid: &FloatTensor<B>,
        step: usize,
        old: FloatTensor<B>,
        new: FloatTensor<B>,
    ) -> FloatTensor<B> {
        if !self.form.masked {
            return new;
        }
        let change = self.masked::<B>(valid, step, B::float_sub(new, old.clone()));
        B::float_add(old, change)
    }

    /// Gate `i` of `[b, g h]`.
    fn part<B: Backend>(self, x: &FloatTensor<B>, i: usize) -> FloatTensor<B> {
        B::float_slice(x.clone(), &[Slice::full(), Slice::from(i * self.h..(i + 1) * self.h)])
    }

    /// The new state, the gates and the new cell.
    fn lstm<B: Backend>(self, sum: FloatTensor<B>, cell: FloatTensor<B>) -> Forward<B> {
        let part = |i| self.part::<B>(&sum, i);
        let (input, forget) = (B::sigmoid(part(0)), B::sigmoid(part(1)));
        let (new, output) = (B::float_tanh(part(2)), B::sigmoid(part(3)));
        let cell = B::float_add(B::float_mul(forget.clone(), cell), B::float_mul(input.clone(), new.clone()));
        let state = B::float_mul(output.clone(), B::float_tanh(cell.clone()));
        (state, B::float_cat(vec![input, forget, new, output], 1), cell)
    }

    /// The gradients of the sums at the gates and of the cell before.
    fn lstm_back<B: Backend>(
        self,
        gates: FloatTensor<B>,
        cell: FloatTensor<B>,
        before: FloatTensor<B>,
        (dstate, dcell): (FloatTensor<B>, FloatTensor<B>),
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let [input, forget, new, output] = [0, 1, 2, 3].map(|i| self.part::<B>(&gates, i));
        let squashed = B::float_tanh(cell);
        let doutput = B::float_mul(dstate.clone(), squashed.clone());
        let through = B::float_mul(B::float_mul(dstate, output.clone()), tanh_slope::<B>(squashed));
        let dcell = B::float_add(dcell, through);
        let dgates = vec![
            B::float_mul(B::float_mul(dcell.clone(), new.clone()), sigmoid_slope::<B>(input.clone())),
            B::float_mul(B::float_mul(dcell.clone(), before), sigmoid_slope::<B>(forget.clone())),
            B::float_mul(B::float_mul(dcell.clone(), input), tanh_slope::<B>(new)),
            B::float_mul(doutput, sigmoid_slope::<B>(output)),
        ];
        (B::float_cat(dgates, 1), B::float_mul(dcell, forget))
    }

    /// The new state, the gates, and what the reset gate is applied to.
    fn gru<B: Backend>(self, gates: FloatTensor<B>, shared: FloatTensor<B>, state: FloatTensor<B>) -> Forward<B> {
        let sum = |i| B::float_add(self.part::<B>(&gates, i), self.part::<B>(&shared, i));
        let (reset, update) = (B::sigmoid(sum(0)), B::sigmoid(sum(1)));
        let gated = self.part::<B>(&shared, 2);
        let new = B::float_mul(reset.clone(), gated.clone());
        let new = B::float_tanh(B::float_add(self.part::<B>(&gates, 2), new));
        let kept = B::float_mul(update.clone(), B::float_sub(state, new.clone()));
        (B::float_add(new.clone(), kept), B::float_cat(vec![reset, update, new], 1), gated)
    }

    /// The gradients of the inputs' share, of the state's share, and of the state that goes by unchanged.
    fn gru_back<B: Backend>(
        self,
        gates: FloatTensor<B>,
        gated: FloatTensor<B>,
        state: FloatTensor<B>,
        dstate: FloatTensor<B>,
    ) -> Forward<B> {
        let [reset, update, new] = [0, 1, 2].map(|i| self.part::<B>(&gates, i));
        let dupdate = B::float_mul(dstate.clone(), B::float_sub(state, new.clone()));
        let dupdate = B::float_mul(dupdate, sigmoid_slope::<B>(update.clone()));
        let direct = B::float_mul(dstate.clone(), update);
        let dnew = B::float_mul(B::float_sub(dstate, direct.clone()), tanh_slope::<B>(new));
        let dreset = B::float_mul(B::float_mul(dnew.clone(), gated), sigmoid_slope::<B>(reset.clone()));
        let dgated = B::float_mul(dnew.clone(), reset);
        let joined = |last| B::float_cat(vec![dreset.clone(), dupdate.clone(), last], 1);
        (joined(dnew), joined(dgated), direct)
    }
}

/// Of the logistic function, from its value.
fn sigmoid_slope<B: Backend>(y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_sub(y.clone(), B::float_mul(y.clone(), y))
}

/// Of tanh, from its value.
fn tanh_slope<B: Backend>(y: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add_scalar(B::float_neg(B::float_mul(y.clone(), y)), 1f32.into())
}
