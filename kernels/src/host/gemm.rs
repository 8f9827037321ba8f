//! Matrix products on the host: on AMD's AVX-512, and some on Intel's, through the panels of `bf16/`, elsewhere through the
//! gemm crate, which reaches what an Intel processor has (see `LOG.md`).

#![allow(unsafe_code)] // gemm takes raw pointers

use std::mem::MaybeUninit;

use super::{HostTensor, dims, packed};

/// A view of a buffer: element `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The whole of a row-major buffer.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, [rows, columns], [columns, 1])
    }

    /// Any strides; every element must lie within `values`.
    pub(crate) fn strided(values: &'a [f32], [rows, columns]: [usize; 2], strides: [usize; 2]) -> Self {
        let [row_stride, column_stride] = strides;
        let last = rows.saturating_sub(1) * row_stride + columns.saturating_sub(1) * column_stride;
        assert!(rows * columns == 0 || last < values.len(), "a view of {rows} x {columns} runs past its buffer");
        Self { values, rows, columns, row_stride, column_stride }
    }

    /// Some of the rows.
    pub(crate) fn row_range(self, range: std::ops::Range<usize>) -> Self {
        let rows = range.len();
        let values = self.values.get(range.start * self.row_stride..).unwrap_or_default();
        Self::strided(values, [rows, self.columns], [self.row_stride, self.column_stride])
    }

    /// The same elements with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        let Self { values, rows, columns, row_stride, column_stride } = self;
        Self { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// A tensor of rank 2 and type f32, read in place whatever its strides.
#[derive(Clone)]
pub(crate) struct HostMatrix<T> {
    tensor: T,
    shape: [usize; 2],
}

/// Takes a tensor of rank 2; one with negative strides is copied.
pub(crate) fn matrix<T: HostTensor>(tensor: T) -> HostMatrix<T> {
    let shape = dims(&tensor);
    let tensor = if tensor.strided().is_some() { tensor } else { packed(tensor) };
    HostMatrix { tensor, shape }
}

impl<T: HostTensor> HostMatrix<T> {
    pub(crate) fn rows(&self) -> usize {
        self.shape[0]
    }

    pub(crate) fn columns(&self) -> usize {
        self.shape[1]
    }

    /// Whether columns are contiguous and rows are not.
    pub(crate) fn is_transposed(&self) -> bool {
        let view = self.view();
        view.row_stride == 1 && view.column_stride > 1
    }

    pub(crate) fn view(&self) -> Matrix<'_> {
        let (values, strides) = self.tensor.strided().unwrap_or_default();
        Matrix::strided(values, self.shape, strides)
    }
}

/// `out = a b`; `out` is row-major, and all of it is written.
pub(crate) fn product_over(a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>]) {
    assert_eq!(out.len(), a.rows * b.columns, "the result of a product has another size than its buffer");
    if super::bf16::product_f32(a, b, out, false) {
        return;
    }
    // SAFETY: `out` has room for the result and is only written, since nothing is added to.
    unsafe { raw(a, b, out.as_mut_ptr().cast(), b.columns, false, parallel(a, b)) }
}

/// `out += a b`, or `out = a b` where `add` is false; `out` is row-major.
pub(crate) fn product_into(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    assert_eq!(out.len(), a.rows * b.columns, "the result of a product has another size than its buffer");
    let out: *mut [MaybeUninit<f32>] = out as *mut [f32] as _;
    // SAFETY: the same elements, of which only whole ones are written.
    let out = unsafe { &mut *out };
    if super::bf16::product_f32(a, b, out, add) {
        return;
    }
    // SAFETY: the buffer has the result's size and is initialised.
    unsafe { raw(a, b, out.as_mut_ptr().cast(), b.columns, add, parallel(a, b)) }
}

/// Threads cost some microseconds to wake: not for a product that takes less.
fn parallel(a: Matrix, b: Matrix) -> gemm::Parallelism {
    const WORTH_IT: usize = 1 << 20;
    match a.rows * a.columns * b.columns {
        work if work < WORTH_IT => gemm::Parallelism::None,
        _ => gemm::Parallelism::Rayon(0),
    }
}

/// # Safety
/// `out` must have room for `a.rows` rows of `b.columns` elements `stride` apart, initialised if `add` is set.
unsafe fn raw(a: Matrix, b: Matrix, out: *mut f32, stride: usize, add: bool, threads: gemm::Parallelism) {
    assert_eq!(a.columns, b.rows, "a product of {} x {} and {} x {}", a.rows, a.columns, b.rows, b.columns);
    let step = |stride: usize| stride as isize;
    // SAFETY: the views were checked against their buffers when they were made; `out` is the caller's promise.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            1,
            step(stride),
            add,
            a.values.as_ptr(),
            step(a.column_stride),
            step(a.row_stride),
            b.values.as_ptr(),
            step(b.column_stride),
            step(b.row_stride),
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::host::unwritten;

    fn product(a: Matrix, b: Matrix) -> Vec<f32> {
        unwritten(a.rows * b.columns, |out| product_over(a, b, out))
    }

    fn noise(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    #[test]
    fn products_are_right_for_odd_shapes_and_views() {
        for (m, n, k) in [(1, 1, 1), (2, 3, 5), (7, 1, 9), (1, 17, 33), (33, 65, 17), (0, 3, 2), (3, 2, 0)] {
            let (a, b) = (noise(m * k), noise(k * n));
            let right = |i: usize, j: usize| (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j])).sum();
            let plain = product(Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            // (bᵀ aᵀ)ᵀ, through views of both.
            let turned = product(Matrix::new(&b, k, n).transposed(), Matrix::new(&a, m, k).transposed());
            for i in 0..m {
                for j in 0..n {
                    let right: f64 = right(i, j);
                    assert!((f64::from(plain[i * n + j]) - right).abs() < 1e-5, "{m} x {n} x {k}");
                    assert!((f64::from(turned[j * m + i]) - right).abs() < 1e-5, "{m} x {n} x {k}");
                }
            }
        }
    }

    #[test]
    fn a_product_has_the_same_bits_on_any_number_of_threads() {
        let (m, n, k) = (131, 257, 2111);
        let (a, b) = (noise(m * k), noise(k * n));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| product(Matrix::new(&a, m, k), Matrix::new(&b, k, n)))
        };
        let one = run(1);
        for threads in [2, 3, 7] {
            assert!(one.iter().zip(run(threads)).all(|(a, b)| a.to_bits() == b.to_bits()), "{threads} threads");
        }
    }

    #[test]
    fn adding_keeps_what_was_there() {
        let (a, b) = (noise(6), noise(8));
        let mut out = vec![1.0; 12];
        product_into(Matrix::new(&a, 3, 2), Matrix::new(&b, 2, 4), &mut out, true);
        let alone = product(Matrix::new(&a, 3, 2), Matrix::new(&b, 2, 4));
        assert!(out.iter().zip(alone).all(|(sum, part)| (sum - 1.0 - part).abs() < 1e-6));
    }
}
