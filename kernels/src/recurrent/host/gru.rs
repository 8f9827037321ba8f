//! One row of one step of a GRU.

use super::{sigmoid, tanh};
use crate::host::Kernel;

/// The three gates' slices, in their order.
#[inline(always)]
fn thirds(gates: &mut [f32], h: usize) -> [&mut [f32]; 3] {
    let (reset, rest) = gates.split_at_mut(h);
    let (update, new) = rest.split_at_mut(h);
    [reset, update, new]
}

pub(super) struct Forward<'a> {
    /// `[3 h]`: the inputs' share, turned into what the gates come to.
    pub gates: &'a mut [f32],
    /// `[3 h]`: the state's share.
    pub shared: &'a [f32],
    pub bias: &'a [f32],
    pub state: &'a mut [f32],
    /// Written: what the reset gate is applied to.
    pub gated: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let h = self.state.len();
        let both = 2 * h;
        let sums = self.shared[..both].iter().zip(&self.bias[..both]);
        for (gate, (shared, bias)) in self.gates[..both].iter_mut().zip(sums) {
            *gate = sigmoid(*gate + (shared + bias));
        }
        let [reset, update, new] = thirds(self.gates, h);
        for (gated, (shared, bias)) in self.gated.iter_mut().zip(self.shared[both..].iter().zip(&self.bias[both..])) {
            *gated = shared + bias;
        }
        let gates = reset.iter().zip(update.iter()).zip(new.iter_mut());
        for ((state, gated), ((reset, update), new)) in self.state.iter_mut().zip(self.gated.iter()).zip(gates) {
            *new = tanh(*new + reset * gated);
            *state = *new + update * (*state - *new);
        }
    }
}

pub(super) struct Backward<'a> {
    /// `[3 h]`: the gates, turned into the gradients of the inputs' share.
    pub gates: &'a mut [f32],
    /// What the reset gate was applied to.
    pub gated: &'a [f32],
    /// The state that the step began with.
    pub before: &'a [f32],
    /// The gradient of the state, turned into what goes by the gates to the one before.
    pub dstate: &'a mut [f32],
    /// `[3 h]`, written: the gradients of the state's share.
    pub shared: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let h = self.gated.len();
        {
            let [reset, update, new] = thirds(self.gates, h);
            let [.., dgated] = thirds(self.shared, h);
            let gates = reset.iter_mut().zip(update).zip(new.iter_mut().zip(dgated));
            let states = self.gated.iter().zip(self.before).zip(self.dstate);
            for (((reset, update), (new, dgated)), ((gated, before), dstate)) in gates.zip(states) {
                let dnew = *dstate * (1.0 - *update) * (1.0 - *new * *new);
                *dgated = dnew * *reset;
                *reset = dnew * gated * *reset * (1.0 - *reset);
                let dupdate = *dstate * (before - *new) * *update * (1.0 - *update);
                *dstate *= *update;
                *update = dupdate;
                *new = dnew;
            }
        }
        self.shared[..2 * h].copy_from_slice(&self.gates[..2 * h]);
    }
}
