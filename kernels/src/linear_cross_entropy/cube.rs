//! On a GPU: a chunk of rows at a time through burn's own products; one kernel in between turns a chunk of logits into
//! its gradient where it lies.

#![allow(clippy::too_many_arguments)] // a kernel takes its buffers one by one
#![allow(unsafe_code)] // indices are bounded in the kernel, where a second check of every logit would cost

use burn::backend::{
    TensorMetadata,
    fusion::custom::TensorSpec,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Shape, Slice};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

use super::{Form, LinearCrossEntropy, Trained, reference};
use crate::{
    CubeBackend,
    cube::{elements, fits_f32, unwritten},
    launches::inside,
};

/// Logits that are held at a time: 128 MiB in f32, the largest binding that every WebGPU device has.
const LOGITS: usize = 32 << 20;
/// Cubes along one side of a grid, in the narrowest API; a cube has a row.
const MOST_ROWS: usize = 65_535;

impl LinearCrossEntropy for CubeBackend {
    fn linear_cross_entropy(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        if !fits_f32(x.dtype) || x.shape().num_elements() == 0 {
            return reference::loss::<Self>(x, table, targets, form);
        }
        Head::new(x, table, targets, form).run(false, &mut |_, _, _| ())
    }

    fn linear_cross_entropy_trained(
        x: FloatTensor<Self>,
        table: FloatTensor<Self>,
        targets: IntTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        if !fits_f32(x.dtype) || x.shape().num_elements() == 0 {
            return reference::trained::<Self>(x, table, targets, form);
        }
        trained(x, table, targets, form)
    }
}

fn trained(x: CubeTensor, table: CubeTensor, targets: CubeTensor, form: Form) -> Trained<CubeBackend> {
    let [rows, width] = x.shape().dims::<2>();
    let mut dx: Option<CubeTensor> = None;
    let mut dtable: Option<CubeTensor> = None;
    let head = Head::new(x, table.clone(), targets, form);
    let loss = head.run(true, &mut |range, x, dlogits| {
        let part = CubeBackend::float_matmul(dlogits.clone(), table.clone());
        dx = Some(match dx.take() {
            None if range.len() == rows => part,
            dx => {
                let dx = dx.unwrap_or_else(|| unwritten(&part, [rows, width], part.dtype));
                CubeBackend::float_slice_assign(dx, &[Slice::from(range), Slice::full()], part)
            }
        });
        let part = CubeBackend::float_matmul(CubeBackend::float_transpose(dlogits), x);
        dtable = Some(match dtable.take() {
            None => part,
            Some(sum) => CubeBackend::float_add(sum, part),
        });
    });
    // There is a chunk wherever there is a row.
    (loss, dx.unwrap_or_else(|| table.clone()), dtable.unwrap_or(table))
}

/// The layer and its rows' targets.
struct Head {
    x: CubeTensor,
    table: CubeTensor,
    targets: CubeTensor,
    form: Form,
}

/// Takes the rows of a chunk, their x and their gradient by the logits.
type Take<'a> = dyn FnMut(std::ops::Range<usize>, CubeTensor, CubeTensor) + 'a;

impl Head {
    fn new(x: CubeTensor, table: CubeTensor, targets: CubeTensor, form: Form) -> Self {
        Self { x, table, targets: into_contiguous(targets), form }
    }

    /// Hands over every chunk's gradient, where one is `wanted`; returns the scaled loss, `[1]`.
    fn run(self, wanted: bool, take: &mut Take<'_>) -> CubeTensor {
        let [rows, _] = self.x.shape().dims::<2>();
        let chunk = chunk_rows(rows, self.table.shape()[0]);
        let losses = unwritten(&self.x, [1, rows], DType::F32);
        for first in (0..rows).step_by(chunk) {
            let range = first..rows.min(first + chunk);
            let x = match range.len() == rows {
                true => self.x.clone(),
                false => CubeBackend::float_slice(self.x.clone(), &[Slice::from(range.clone()), Slice::full()]),
            };
            let logits = CubeBackend::float_matmul(x.clone(), CubeBackend::float_transpose(self.table.clone()));
            let logits = into_contiguous(logits);
            self.differentiate(&logits, &losses, first, wanted);
            inside(traffic(&logits, &x, &self.table, wanted));
            if wanted {
                take(range, x, logits);
            }
        }
        let loss = CubeBackend::float_sum_dim(losses, 1); // one order of addition, as a sum over all would not have
        let loss = CubeBackend::float_reshape(loss, Shape::new([1]));
        if self.x.dtype == DType::F32 { loss } else { CubeBackend::float_cast(loss, self.x.dtype.into()) }
    }

    /// Logits `[n, V]` of the rows from `first` become their loss's gradient, in place; their losses are written.
    fn differentiate(&self, logits: &CubeTensor, losses: &CubeTensor, first: usize, wanted: bool) {
        let [rows, classes] = logits.shape().dims::<2>();
        let units = units(logits, classes);
        // SAFETY: a cube for each row of the logits, whose columns are counted from their shape, and a target, whose
        // index is compared with it before use.
        unsafe {
            differentiate::launch_unchecked(
                &logits.client,
                CubeCount::Static(rows as u32, 1, 1),
                CubeDim::new_1d(units),
                logits.clone().into_tensor_arg(),
                self.targets.clone().into_tensor_arg(),
                losses.clone().into_tensor_arg(),
                first,
                self.form.smoothing as f32,
                self.form.scale as f32,
                units as usize,
                wanted,
                [elements(logits), elements(&self.targets)],
            );
        }
    }
}

/// Bytes of a chunk that are no operand of the whole op: its logits are written once and read twice, and where their
/// gradient is wanted written again and read by two products; x and the table are read by every product.
fn traffic(logits: &CubeTensor, x: &CubeTensor, table: &CubeTensor, wanted: bool) -> usize {
    let bytes = |tensor: &CubeTensor| tensor.shape().num_elements() * tensor.dtype.size();
    let (products, passes) = if wanted { (3, 6) } else { (1, 2) };
    passes * bytes(logits) + (products - 1) * (bytes(x) + bytes(table))
}

/// Rows whose logits are held at a time, spread evenly.
fn chunk_rows(rows: usize, classes: usize) -> usize {
    let most = (LOGITS / classes.max(1)).clamp(1, MOST_ROWS);
    rows.div_ceil(rows.div_ceil(most).max(1)).max(1)
}

/// A power of two, for the sum in halves.
fn units(logits: &CubeTensor, classes: usize) -> u32 {
    let most = logits.client.properties().hardware.max_units_per_cube.clamp(1, 256);
    let wanted = u32::try_from(classes.next_power_of_two()).unwrap_or(most);
    1 << wanted.min(most).ilog2()
}

/// A cube a row: largest logit and sum of exponentials in one read, the gradient in a second.
#[cube(launch_unchecked)]
fn differentiate<F: Float, I: Int>(
    logits: &mut Tensor<F>,
    targets: &Tensor<I>,
    losses: &mut Tensor<f32>,
    first: usize,
    smoothing: f32,
    scale: f32,
    #[comptime] units: usize,
    #[comptime] wanted: bool,
    #[define(F, I)] _elements: [ElemType; 2],
) {
    let row = CUBE_POS_X as usize;
    let unit = UNIT_POS_X as usize;
    let classes = logits.shape(1);
    let start = row * classes;
    let target = i32::cast_from(targets[first + row]);
    let counts = target >= 0 && (target as usize) < classes;
    // Read before anybody writes.
    let zeroth = f32::cast_from(logits[start]);
    let chosen = f32::cast_from(logits[start + select(counts, target as usize, 0usize)]);

    let mut largest = zeroth;
    let mut total = f32::new(0.0); // of e^(x - largest)
    let mut spread = f32::new(0.0); // of x - the first logit: near 0 where all logits are large
    let mut c = unit;
    while c < classes {
        let x = f32::cast_from(logits[start + c]);
        if x > largest {
            total = total * (largest - x).exp() + f32::new(1.0);
            largest = x;
        } else {
            total += (x - largest).exp();
        }
        spread += x - zeroth;
        c += units;
    }

    let mut parts = Shared::<[f32]>::new_slice(comptime!(3 * units));
    parts[unit] = largest;
    parts[units + unit] = total;
    parts[2 * units + unit] = spread;
    sync_cube();
    let mut half = comptime!(units / 2).runtime();
    while half > 0 {
        if unit < half {
            let other = unit + half;
            let most = max(parts[unit], parts[other]);
            let mine = parts[units + unit] * (parts[unit] - most).exp();
            let theirs = parts[units + other] * (parts[other] - most).exp();
            parts[unit] = most;
            parts[units + unit] = mine + theirs;
            parts[2 * units + unit] += parts[2 * units + other];
        }
        sync_cube();
        half /= 2;
    }
    largest = parts[0];
    total = parts[units];
    spread = parts[2 * units];

    let everywhere = smoothing / f32::cast_from(classes as u32);
    if unit == 0 {
        let shifted = spread - (largest - zeroth) * f32::cast_from(classes as u32);
        let expected = (f32::new(1.0) - smoothing) * (chosen - largest) + everywhere * shifted;
        losses[first + row] = select(counts, scale * (total.ln() - expected), f32::new(0.0));
    }
    if comptime!(wanted) {
        let mut c = unit;
        while c < classes {
            let x = f32::cast_from(logits[start + c]);
            let certain = select(c == target as usize, f32::new(1.0) - smoothing, f32::new(0.0));
            let gradient = scale * ((x - largest).exp() / total - everywhere - certain);
            logits[start + c] = F::cast_from(select(counts, gradient, f32::new(0.0)));
            c += units;
        }
    }
}

/// What [`LinearCrossEntropy::linear_cross_entropy`] gives.
pub(super) fn loss_spec(x: &TensorSpec, _table: &TensorSpec, _targets: &TensorSpec, _form: &Form) -> TensorSpec {
    TensorSpec::new(Shape::new([1]), x.dtype)
}

/// What [`LinearCrossEntropy::linear_cross_entropy_trained`] gives.
pub(super) fn trained_spec(
    x: &TensorSpec,
    table: &TensorSpec,
    targets: &TensorSpec,
    form: &Form,
) -> (TensorSpec, TensorSpec, TensorSpec) {
    (loss_spec(x, table, targets, form), x.clone(), table.clone())
}
