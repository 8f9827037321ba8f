//! All parameters cut into chunks that the threads share out; a chunk stays in the cache from clip to average.

use std::slice::ChunksMut;

use burn::backend::{TensorMetadata, tensor::FloatTensor};

use super::{
    Fold, Momentum, Rule, Update, Updated,
    muon::orthogonalised_here,
    pass::{Chunk, Pass, Step, Turn},
};
use crate::host::{HostBackend, HostTensor, PASS, owned, packed, region, tensor, vectorised, writable};

/// An [`Update`] on this device.
pub(super) struct Held<B: HostBackend> {
    value: FloatTensor<B>,
    grad: FloatTensor<B>,
    slots: Vec<FloatTensor<B>>,
    average: Option<FloatTensor<B>>,
    pass: Pass,
    muon: Option<(Momentum, Fold)>,
}

/// The updates on this device, every buffer that is written its own; or themselves, where a tensor of theirs is
/// elsewhere or not f32.
pub(super) fn held<B: HostBackend>(updates: Vec<Update>) -> Result<Vec<Held<B>>, Vec<Update>> {
    let Some(held) = updates.iter().map(Held::of).collect::<Option<Vec<_>>>() else { return Err(updates) };
    drop(updates); // first handles: with them alive everything would be copied
    Ok(held.into_iter().map(Held::alone).collect())
}

/// As [`super::update`].
pub(super) fn update<B: HostBackend>(mut held: Vec<Held<B>>, clip: f64, keep: f64) -> Vec<Updated> {
    let (clip, keep) = (clip as f32, [keep as f32, (1.0 - keep) as f32]);
    if held.iter().any(|held| held.muon.is_some()) {
        held = turned(held, clip);
    }
    let elements = held.iter().map(Held::elements).sum();
    let chunks = held.iter_mut().flat_map(Held::chunks).collect();
    region(chunks, elements, |chunk| vectorised(Step { chunk, clip, keep }));
    held.into_iter().map(Held::updated).collect()
}

/// With Muon's orthogonalised directions in the gradients' places.
fn turned<B: HostBackend>(mut held: Vec<Held<B>>, clip: f32) -> Vec<Held<B>> {
    let elements = held.iter().filter(|held| held.muon.is_some()).map(Held::elements).sum();
    let turns = held.iter_mut().flat_map(|held| held.turns(clip)).collect();
    region(turns, elements, vectorised::<Turn>);
    held.into_iter().map(Held::turned).collect()
}

impl<B: HostBackend> Held<B> {
    fn of(update: &Update) -> Option<Self> {
        let (slots, muon) = match &update.rule {
            Rule::Adamw(_, [m, v]) => (vec![m, v], None),
            Rule::Lion(_, m) => (vec![m], None),
            Rule::Sgd(_, buffer) => (buffer.iter().collect(), None),
            Rule::Muon(step, fold, m) => (vec![m], Some((*step, *fold))),
        };
        let average = match &update.average {
            Some(average) => Some(B::held(average)?),
            None => None,
        };
        let slots = slots.into_iter().map(B::held).collect::<Option<_>>()?;
        let (value, grad) = (B::held(&update.value)?, B::held(&update.grad)?);
        Some(Self { value, grad, slots, average, pass: Pass::of(&update.rule), muon })
    }

    /// What will be written belongs to nobody else.
    fn alone(self) -> Self {
        Self {
            value: owned(self.value),
            grad: if self.muon.is_some() { owned(self.grad) } else { packed(self.grad) },
            slots: self.slots.into_iter().map(owned).collect(),
            average: self.average.map(owned),
            ..self
        }
    }

    fn updated(self) -> Updated {
        let slots = self.slots.into_iter().map(B::plain).collect();
        Updated { value: B::plain(self.value), slots, average: self.average.map(B::plain) }
    }

    fn elements(&self) -> usize {
        self.grad.shape().num_elements()
    }

    fn chunks(&mut self) -> impl Iterator<Item = Chunk<'_>> {
        let pass = self.pass;
        // Muon's slot has had its turn.
        let slots = if self.muon.is_some() { &mut [] } else { self.slots.as_mut_slice() };
        let mut slots = slots.iter_mut().map(|slot| writable(slot).chunks_mut(PASS));
        let (mut first, mut second) = (slots.next(), slots.next());
        let mut average = self.average.as_mut().map(|average| writable(average).chunks_mut(PASS));
        let pairs = writable(&mut self.value).chunks_mut(PASS).zip(self.grad.values().chunks(PASS));
        pairs.map(move |(p, g)| {
            let slots = [next(&mut first), next(&mut second)];
            Chunk { p, g, slots, average: next(&mut average), pass }
        })
    }

    fn turns(&mut self, clip: f32) -> impl Iterator<Item = Turn<'_>> {
        let (g, m) = (&mut self.grad, self.slots.first_mut());
        let turn = self.muon.zip(m).map(|((step, _), m)| {
            let keep = [step.momentum as f32, (1.0 - step.momentum) as f32];
            let pairs = writable(g).chunks_mut(PASS).zip(writable(m).chunks_mut(PASS));
            pairs.map(move |(g, m)| Turn { g, m, clip, keep, nesterov: step.nesterov })
        });
        turn.into_iter().flatten()
    }

    fn turned(self) -> Self {
        let Some((_, Fold { rows, columns, .. })) = self.muon else { return self };
        let change = orthogonalised_here(self.grad.values(), rows, columns);
        Self { grad: tensor(change, [rows * columns]), ..self }
    }
}

fn next<'a>(chunks: &mut Option<ChunksMut<'a, f32>>) -> &'a mut [f32] {
    chunks.as_mut().and_then(Iterator::next).unwrap_or_default()
}
