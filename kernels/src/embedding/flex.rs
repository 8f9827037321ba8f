//! Rows are copied, and added where they are.

use burn::backend::{
    Flex,
    flex::FlexTensor,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::DType;

use super::{EmbeddingOp, reference};
use crate::{
    cross_entropy::flex::indices,
    host::{packed, tensor},
};

impl EmbeddingOp for Flex {
    fn embedding_op(table: FloatTensor<Self>, ids: IntTensor<Self>, _tied: bool) -> FloatTensor<Self> {
        if table.dtype() != DType::F32 {
            return reference::forward::<Self>(table, ids);
        }
        let [rows, width] = table.layout().shape().dims::<2>();
        let (table, ids) = (packed(table), known(ids, rows));
        let values = table.storage::<f32>();
        let mut y = Vec::with_capacity(ids.len() * width);
        ids.iter().for_each(|id| y.extend_from_slice(&values[id * width..(id + 1) * width]));
        tensor(y, [ids.len(), width])
    }

    fn add_rows(table: FloatTensor<Self>, ids: IntTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        if table.dtype() != DType::F32 || grad.dtype() != DType::F32 {
            return reference::add_rows::<Self>(table, ids, grad);
        }
        let [rows, width] = table.layout().shape().dims::<2>();
        let (mut table, grad) = (packed(table), packed(grad));
        let ids = known(ids, rows);
        if let Some(values) = table.try_storage_mut::<f32>() {
            add(values, &ids, grad.storage::<f32>(), width);
            return table;
        }
        let mut values = table.storage::<f32>().to_vec();
        add(&mut values, &ids, grad.storage::<f32>(), width);
        tensor(values, [rows, width])
    }
}

fn known(ids: FlexTensor, rows: usize) -> Vec<usize> {
    let ids = indices(ids, rows);
    ids.into_iter().map(|id| id.unwrap_or_else(|| unreachable!("ids of a vocabulary are not negative"))).collect()
}

/// On one thread and in order: a batch's rows are few, and the same one may come twice.
fn add(table: &mut [f32], ids: &[usize], grad: &[f32], width: usize) {
    for (id, grad) in ids.iter().zip(grad.chunks_exact(width)) {
        table[id * width..(id + 1) * width].iter_mut().zip(grad).for_each(|(sum, grad)| *sum += grad);
    }
}
