//! A chunk of rows at a time: logits, their gradient in place, then both products of the backward.

use burn::backend::tensor::{FloatTensor, IntTensor};
use rayon::prelude::*;

use super::{Form, LinearCrossEntropy, Trained, reference};
use crate::{
    cross_entropy::host::indices,
    host::{
        HostBackend, HostMatrix, HostTensor, Kernel, LANES, Matrix, exp, fold, matrix, max, packed, product,
        product_into, product_over, product_tensor, rows_per_task, sum, tensor, vectorised, writable, written,
    },
};

impl<B: HostBackend> LinearCrossEntropy for B {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        if !B::here(&[&x, &table]) {
            return reference::loss::<Self>(x, table, targets, form);
        }
        tensor(vec![Head::new::<Self>(x, table, targets, form).run(&mut |_, _| ())], [1])
    }

    fn linear_cross_entropy_trained(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !B::here(&[&x, &table]) {
            return reference::trained::<Self>(x, table, targets, form);
        }
        trained::<Self>(x, table, targets, form)
    }

    fn scaled_gradient(gradient: FloatTensor<Self>, by: FloatTensor<Self>) -> FloatTensor<Self> {
        // The gradient of a mean that nothing follows is 1, and multiplying a table by it is a pass over memory.
        let one = B::here(&[&by]) && packed(by.clone()).values() == [1.0];
        if one { gradient } else { reference::scaled::<Self>(gradient, by) }
    }
}

fn trained<B: HostBackend>(x: FloatTensor<B>, table: FloatTensor<B>, targets: IntTensor<B>, form: Form) -> Trained<B> {
    let head = Head::new::<B>(x, table, targets, form);
    let (x, table) = (&head.x, &head.table);
    let [width, classes] = [x.columns(), table.rows()];
    // The gradient gets the strides of the table: that of an untied layer's weight comes in transposed, and a transposed
    // gradient would be copied by whoever reads it flat.
    let turned = table.is_transposed();
    let mut dtable: Option<FloatTensor<B>> = None;
    let mut loss = 0.0;
    let dx = written([x.rows(), width], |dx| {
        loss = head.run(&mut |first, dlogits| {
            let rows = dlogits.len() / classes;
            let dlogits = Matrix::new(dlogits, rows, classes);
            product_over(dlogits, table.view(), &mut dx[first * width..(first + rows) * width], form.products);
            let x = x.view().row_range(first..first + rows);
            let (a, b) = if turned { (x.transposed(), dlogits) } else { (dlogits.transposed(), x) };
            match &mut dtable {
                None => dtable = Some(product_tensor(a, b, form.products)),
                Some(dtable) => product_into(a, b, writable(dtable), true, form.products),
            }
        });
    });
    let shape = if turned { [width, classes] } else { [classes, width] };
    let dtable = dtable.unwrap_or_else(|| tensor(vec![0.0; width * classes], shape));
    let dtable = if turned { B::float_transpose(dtable) } else { dtable };
    (tensor(vec![loss], [1]), dx, dtable)
}

/// The layer and its rows' targets.
struct Head<T> {
    x: HostMatrix<T>,
    table: HostMatrix<T>,
    targets: Vec<Option<usize>>,
    form: Form,
}

impl<T: HostTensor> Head<T> {
    fn new<B: HostBackend<FloatTensorPrimitive = T>>(x: T, table: T, targets: IntTensor<B>, form: Form) -> Self {
        let (x, table) = (matrix(x), matrix(table));
        let targets = indices::<B>(targets, table.rows());
        Self { x, table, targets, form }
    }

    /// Hands each chunk's gradient by its logits to `take` with the index of its first row; returns the scaled loss.
    fn run(&self, take: &mut dyn FnMut(usize, &[f32])) -> f32 {
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
