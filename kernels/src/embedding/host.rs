//! Rows are copied, and added where they are.

use burn::backend::tensor::{FloatTensor, IntTensor};

use super::{EmbeddingOp, reference};
use crate::{
    cross_entropy::host::indices,
    host::{HostBackend, HostTensor, dims, packed, writable, written},
};

impl<B: HostBackend> EmbeddingOp for B {
    fn embedding_op(table: FloatTensor<Self>, ids: IntTensor<Self>, _tied: bool) -> FloatTensor<Self> {
        if !B::here(&[&table]) {
            return reference::forward::<Self>(table, ids);
        }
        let [rows, width] = dims(&table);
        let (table, ids) = (packed(table), known::<Self>(ids, rows));
        let values = table.values();
        written([ids.len(), width], |y| {
            for (id, y) in ids.iter().zip(y.chunks_exact_mut(width.max(1))) {
                y.write_copy_of_slice(&values[id * width..(id + 1) * width]);
            }
        })
    }

    fn add_rows(table: FloatTensor<Self>, ids: IntTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if !B::here(&[&table, &grad]) {
            return reference::add_rows::<Self>(table, ids, grad);
        }
        let [rows, width] = dims(&table);
        let (mut table, grad, ids) = (packed(table), packed(grad), known::<Self>(ids, rows));
        add(writable(&mut table), &ids, grad.values(), width);
        table
    }
}

fn known<B: HostBackend>(ids: IntTensor<B>, rows: usize) -> Vec<usize> {
    let ids = indices::<B>(ids, rows);
    ids.into_iter().map(|id| id.unwrap_or_else(|| unreachable!("ids of a vocabulary are not negative"))).collect()
}

/// On one thread and in order: a batch's rows are few, and the same one may come twice.
fn add(table: &mut [f32], ids: &[usize], grad: &[f32], width: usize) {
    for (id, grad) in ids.iter().zip(grad.chunks_exact(width)) {
        table[id * width..(id + 1) * width].iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
    }
}
