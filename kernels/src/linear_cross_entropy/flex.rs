//! A chunk of rows at a time: logits, their gradient in place, then both products of the backward.

use burn::backend::{
    Flex,
    flex::FlexTensor,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{Form, LinearCrossEntropy, Trained, reference};
use crate::{
    cross_entropy::flex::indices,
    host::{
        HostMatrix, Kernel, LANES, Matrix, exp, fold, matrix, max, packed, product, product_into, rows_per_task, sum,
        tensor, vectorised,
    },
};

impl LinearCrossEntropy for Flex {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        if x.dtype() != DType::F32 || table.dtype() != DType::F32 {
            return reference::loss::<Self>(x, table, targets, form);
        }
        tensor(vec![Head::new(x, table, targets, form).run(&mut |_, _| ())], [1])
    }

    fn linear_cross_entropy_trained(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if x.dtype() != DType::F32 || table.dtype() != DType::F32 {
            return reference::trained::<Self>(x, table, targets, form);
        }
        trained(x, table, targets, form)
    }

    fn scaled_gradient(gradient: FloatTensor<Self>, by: FloatTensor<Self>) -> FloatTensor<Self> {
        // The gradient of a mean that nothing follows is 1, and multiplying a table by it is a pass over memory.
        let one = by.dtype() == DType::F32 && packed(by.clone()).storage::<f32>() == [1.0];
        if one { gradient } else { reference::scaled::<Self>(gradient, by) }
    }
}

fn trained(x: FlexTensor, table: FlexTensor, targets: FlexTensor, form: Form) -> Trained<Flex> {
    let mut head = Head::new(x, table, targets, form);
    let [width, classes] = [head.x.columns(), head.table.rows()];
    let (x, table) = (head.x.clone(), head.table.clone());
    // The gradient gets the strides of the table: that of an untied layer's weight comes in transposed, and a transposed
    // gradient would be copied by whoever reads it flat.
    let turned = table.is_transposed();
    let mut dx = Vec::with_capacity(x.rows() * width);
    let mut dtable = vec![];
    let loss = head.run(&mut |first, dlogits| {
        let rows = dlogits.len() / classes;
        let dlogits = Matrix::new(dlogits, rows, classes);
        dx.extend(product(dlogits, table.view(), form.products));
        let x = x.view().row_range(first..first + rows);
        let (a, b) = if turned { (x.transposed(), dlogits) } else { (dlogits.transposed(), x) };
        match first {
            0 => dtable = product(a, b, form.products),
            _ => product_into(a, b, &mut dtable, true, form.products),
        }
    });
    let dtable = match turned {
        true => Flex::float_transpose(tensor(dtable, [width, classes])),
        false => tensor(dtable, [classes, width]),
    };
    (tensor(vec![loss], [1]), tensor(dx, [x.rows(), width]), dtable)
}

/// The layer and its rows' targets.
struct Head {
    x: HostMatrix,
    table: HostMatrix,
    targets: Vec<Option<usize>>,
    form: Form,
}

impl Head {
    fn new(x: FlexTensor, table: FlexTensor, targets: FlexTensor, form: Form) -> Self {
        let (x, table) = (matrix(x), matrix(table));
        let targets = indices(targets, table.rows());
        Self { x, table, targets, form }
    }

    /// Hands each chunk's gradient by its logits to `take` with the index of its first row; returns the scaled loss.
    fn run(&mut self, take: &mut dyn FnMut(usize, &[f32])) -> f32 {
        let (rows, classes) = (self.x.rows(), self.table.rows());
        let chunk = chunk_rows(rows, classes);
        let mut loss = 0f64;
        for first in (0..rows).step_by(chunk.max(1)) {
            let last = rows.min(first + chunk);
            let x = self.x.view().row_range(first..last);
            let mut logits = product(x, self.table.view().transposed(), self.form.products);
            loss += differentiate(&mut logits, &self.targets[first..last], classes, self.form);
            take(first, &logits);
        }
        (loss * self.form.scale) as f32
    }
}

/// Rows whose logits are held at a time: 64 MiB of them, spread evenly.
fn chunk_rows(rows: usize, classes: usize) -> usize {
    const LOGITS: usize = 16 << 20;
    let most = (LOGITS / classes.max(1)).max(1);
    rows.div_ceil(rows.div_ceil(most).max(1))
}

/// Turns logits `[n, V]` into the scaled gradient of their loss, in place; returns the sum of the losses.
fn differentiate(logits: &mut [f32], targets: &[Option<usize>], classes: usize, form: Form) -> f64 {
    let mut losses = vec![0f32; targets.len()];
    let rows = rows_per_task(classes);
    (logits.par_chunks_mut(rows * classes), targets.par_chunks(rows), losses.par_chunks_mut(rows))
        .into_par_iter()
        .for_each(|(logits, targets, losses)| vectorised(Rows { logits, targets, losses, classes, form }));
    // In row order and in f64, so that the sum does not depend on how rows were spread over threads.
    losses.iter().map(|loss| f64::from(*loss)).sum()
}

struct Rows<'a> {
    logits: &'a mut [f32],
    targets: &'a [Option<usize>],
    losses: &'a mut [f32],
    classes: usize,
    form: Form,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (smoothing, scale) = (self.form.smoothing as f32, self.form.scale as f32);
        let spread = smoothing / self.classes as f32;
        for (row, (target, loss)) in
            self.logits.chunks_exact_mut(self.classes).zip(self.targets.iter().zip(self.losses))
        {
            let Some(target) = *target else {
                row.fill(0.0);
                continue;
            };
            let largest = max(row);
            let mut expected = (1.0 - smoothing) * (row[target] - largest);
            if smoothing > 0.0 {
                expected += spread * sum(row, |x| x - largest);
            }
            let total = exponentials(row, largest);
            *loss = total.ln() - expected;
            let share = scale / total;
            let offset = spread * scale;
            row.iter_mut().for_each(|x| *x = *x * share - offset);
            row[target] -= (1.0 - smoothing) * scale;
        }
    }
}

/// Replaces every x by `e^(x - largest)`; returns their sum, in the fixed order of [`sum`].
#[inline(always)]
fn exponentials(row: &mut [f32], largest: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = exp(*x - largest);
            *lane += *x;
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *x = exp(*x - largest);
        *lane += *x;
    }
    fold(lanes)
}
