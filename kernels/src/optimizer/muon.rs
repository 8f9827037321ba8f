//! Muon's orthogonalisation: the nearest semi-orthogonal matrix, roughly. Five quintic Newton-Schulz iterations leave
//! singular values between about 0.7 and 1.2.

use burn::tensor::Tensor;

/// Jordan's coefficients of the quintic iteration.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// Added to the norm that the matrix is divided by.
const TINY: f64 = 1e-7;

/// Of its products: two with the whole matrix and one of the short side's square, an iteration.
pub(super) fn flops(rows: usize, columns: usize) -> f64 {
    let (short, long) = (rows.min(columns) as f64, rows.max(columns) as f64);
    ITERATIONS as f64 * 2.0 * short * short * (2.0 * long + short)
}

/// Composed; `x` is `[rows, columns]`.
pub(super) fn orthogonalised(x: Tensor<2>) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let [a, b, c] = COEFFICIENTS;
    let x = if rows > columns { x.transpose() } else { x };
    // Rows first: a whole-tensor sum of a large matrix may have no order of addition.
    let norm = x.clone().square().sum_dim(1).sum_dim(0).sqrt().add_scalar(TINY);
    let mut x = x.div(norm);
    for _ in 0..ITERATIONS {
        let gram = x.clone().matmul(x.clone().transpose());
        let mix = gram.clone().matmul(gram.clone()).mul_scalar(c).add(gram.mul_scalar(b));
        x = mix.matmul(x.clone()).add(x.mul_scalar(a));
    }
    if rows > columns { x.transpose() } else { x }
}

/// On the host, row-major: the products add to scaled results themselves, and nothing is transposed.
#[cfg(feature = "flex")]
pub(super) fn orthogonalised_here(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    use crate::{
        host::{Matrix, product, product_into},
        precision::products,
    };
    let [a, b, c] = COEFFICIENTS.map(|coefficient| coefficient as f32);
    let (wide, small) = (rows <= columns, rows.min(columns));
    let mut x = scaled(x, (1.0 / (crate::gradients::length(x) + TINY)) as f32);
    for _ in 0..ITERATIONS {
        let whole = Matrix::new(&x, rows, columns);
        let (left, right) = if wide { (whole, whole.transposed()) } else { (whole.transposed(), whole) };
        let gram = product(left, right, products());
        let mut mix = scaled(&gram, b);
        let square = Matrix::new(&gram, small, small);
        product_into(Matrix::new(&scaled(&gram, c), small, small), square, &mut mix, true, products());
        let mix = Matrix::new(&mix, small, small);
        let mut next = scaled(&x, a);
        // (mix xᵀ)ᵀ = x mixᵀ.
        let (left, right) = if wide { (mix, whole) } else { (whole, mix.transposed()) };
        product_into(left, right, &mut next, true, products());
        x = next;
    }
    x
}

#[cfg(feature = "flex")]
fn scaled(values: &[f32], by: f32) -> Vec<f32> {
    use crate::host::{PASS, region, unwritten};
    unwritten(values.len(), |out| {
        let chunks = out.chunks_mut(PASS).zip(values.chunks(PASS)).collect();
        region(chunks, values.len(), |(out, values)| {
            for (out, x) in out.iter_mut().zip(values) {
                out.write(x * by);
            }
        });
    })
}
