//! One row of one step of an LSTM.

use super::{sigmoid, tanh};
use crate::host::Kernel;

/// The four gates' slices, in their order.
#[inline(always)]
fn quarters(gates: &mut [f32], h: usize) -> [&mut [f32]; 4] {
    let (front, back) = gates.split_at_mut(2 * h);
    let ((input, forget), (new, output)) = (front.split_at_mut(h), back.split_at_mut(h));
    [input, forget, new, output]
}

pub(super) struct Forward<'a> {
    /// `[4 h]`: the inputs' share, turned into what the gates come to.
    pub gates: &'a mut [f32],
    /// `[4 h]`: the state's share.
    pub shared: &'a [f32],
    pub bias: &'a [f32],
    pub state: &'a mut [f32],
    pub cell: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (gate, (shared, bias)) in self.gates.iter_mut().zip(self.shared.iter().zip(self.bias)) {
            *gate += shared + bias;
        }
        let [input, forget, new, output] = quarters(self.gates, self.state.len());
        for part in [&mut *input, &mut *forget, &mut *output] {
            part.iter_mut().for_each(|x| *x = sigmoid(*x));
        }
        new.iter_mut().for_each(|x| *x = tanh(*x));
        let gates = input.iter().zip(forget.iter()).zip(new.iter().zip(output.iter()));
        for ((state, cell), ((input, forget), (new, output))) in self.state.iter_mut().zip(self.cell).zip(gates) {
            *cell = forget * *cell + input * new;
            *state = output * tanh(*cell);
        }
    }
}

pub(super) struct Backward<'a> {
    /// `[4 h]`: the gates, turned into the gradients of the sums at them.
    pub gates: &'a mut [f32],
    pub cell: &'a [f32],
    /// The cell that the step began with.
    pub before: &'a [f32],
    /// The gradient of the state; zeros afterwards, since it goes on through the gates alone.
    pub dstate: &'a mut [f32],
    /// The gradient of the cell, turned into that of the one before.
    pub dcell: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [input, forget, new, output] = quarters(self.gates, self.cell.len());
        let gates = input.iter_mut().zip(forget).zip(new.iter_mut().zip(output));
        let cells = self.cell.iter().zip(self.before).zip(self.dstate.iter_mut().zip(self.dcell));
        for (((input, forget), (new, output)), ((cell, before), (dstate, dcell))) in gates.zip(cells) {
            let squashed = tanh(*cell);
            let sum = *dcell + *dstate * *output * (1.0 - squashed * squashed);
            let doutput = *dstate * squashed * *output * (1.0 - *output);
            let dinput = sum * *new * *input * (1.0 - *input);
            *new = sum * *input * (1.0 - *new * *new);
            *input = dinput;
            *dcell = sum * *forget;
            *forget = sum * before * *forget * (1.0 - *forget);
            *output = doutput;
            *dstate = 0.0;
        }
    }
}
