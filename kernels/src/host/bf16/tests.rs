//! Every instruction path that this processor has against a product in f64 of the rounded operands.

use super::portable::{nearest, rounded};
use super::*;

const SHAPES: [[usize; 3]; 14] = [
    [1, 1, 1],
    [2, 3, 5],
    [17, 33, 65],
    [31, 16, 1],
    [100, 50, 70],
    [32, 32, 32],
    [33, 64, 2050],
    [5, 300, 1100],
    [300, 5, 31],
    [70, 601, 40],
    [601, 70, 40],
    [0, 3, 2],
    [3, 0, 2],
    [3, 2, 0],
];

fn product_with(path: Bf16, a: Matrix, b: Matrix) -> Vec<f32> {
    crate::host::unwritten(a.rows * b.columns, |out| product_with_over(path, a, b, out))
}

/// Bits without a pattern, from -1 to 1.
fn noise(n: usize) -> Vec<f32> {
    let mut state = n as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// What can be tested here; what cannot is said.
fn paths() -> Vec<Bf16> {
    let mut all = vec![Bf16::None];
    #[cfg(target_arch = "x86_64")]
    if pack::available() {
        all.extend(amx::available().then_some(Bf16::Amx));
        all.push(Bf16::Avx512); // whether it pays or not
    }
    for path in [Bf16::Amx, Bf16::Avx512] {
        if !all.contains(&path) {
            eprintln!("skipped: this processor does not have {path:?}");
        }
    }
    all
}

/// A buffer and its strides: a view of `rows` x `columns` that is row-major, transposed, or a part of a larger one in
/// which nothing lies together.
struct Operand {
    values: Vec<f32>,
    shape: [usize; 2],
    strides: [usize; 2],
}

impl Operand {
    fn each(rows: usize, columns: usize) -> [Self; 3] {
        [[columns, 1], [1, rows], [3 * columns + 1, 3]].map(|strides| {
            let n = rows * strides[0] + columns * strides[1];
            Self { values: noise(n), shape: [rows, columns], strides }
        })
    }

    fn view(&self) -> Matrix<'_> {
        Matrix::strided(&self.values, self.shape, self.strides)
    }
}

/// The product in f64 and the sum of the magnitudes of its terms, of the rounded operands.
fn exact(a: Matrix, b: Matrix) -> Vec<[f64; 2]> {
    let (left, right) = (rounded(a), rounded(b));
    let (n, k) = (b.columns, a.columns);
    let term = |i: usize, j: usize, p: usize| f64::from(left[i * k + p]) * f64::from(right[p * n + j]);
    (0..a.rows * n)
        .map(|at| {
            let terms = (0..k).map(|p| term(at / n, at % n, p));
            terms.fold([0.0; 2], |[sum, size], term| [sum + term, size + term.abs()])
        })
        .collect()
}

/// Sums of `k` terms in f32 are off by half a unit of f32 for each addition at most; products of two bf16 are exact.
fn close(found: f32, [right, size]: [f64; 2], k: usize) -> bool {
    (f64::from(found) - right).abs() <= k as f64 * f64::from(f32::EPSILON) * size
}

#[test]
fn every_path_is_right_for_every_shape_and_layout() {
    for path in paths() {
        for [m, n, k] in SHAPES {
            for a in Operand::each(m, k) {
                for b in Operand::each(k, n) {
                    let found = product_with(path, a.view(), b.view());
                    let right = exact(a.view(), b.view());
                    assert_eq!(found.len(), right.len());
                    for (found, right) in found.into_iter().zip(right) {
                        let case = format!("{path:?}, {m} x {n} x {k}, {:?}, {:?}", a.strides, b.strides);
                        assert!(close(found, right, k), "{found} for {right:?}: {case}");
                    }
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_shape_and_layout_is_right(m in 0..150usize, n in 0..150usize, k in 0..150usize, layout in 0..9usize) {
        let (a, b) = (&Operand::each(m, k)[layout / 3], &Operand::each(k, n)[layout % 3]);
        let right = exact(a.view(), b.view());
        for path in paths() {
            for (found, right) in product_with(path, a.view(), b.view()).into_iter().zip(&right) {
                assert!(close(found, *right, k), "{found} for {right:?}: {path:?}, {m} x {n} x {k}, {layout}");
            }
        }
    }
}

#[test]
fn adding_keeps_what_was_there() {
    for path in paths() {
        for [m, n, k] in SHAPES {
            let (a, b) = (noise(m * k), noise(k * n));
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            let mut out = vec![2.0; m * n];
            product_with_into(path, a, b, &mut out, true);
            for (found, [sum, size]) in out.iter().zip(exact(a, b)) {
                assert!(close(*found, [sum + 2.0, size + 2.0], k + 1), "{path:?}, {m} x {n} x {k}");
            }
            product_with_into(path, a, b, &mut out, false);
            let alone = product_with(path, a, b);
            assert!(out.iter().zip(alone).all(|(a, b)| a.to_bits() == b.to_bits()), "{path:?}, {m} x {n} x {k}");
        }
    }
}

#[test]
fn a_product_has_the_same_bits_on_any_number_of_threads() {
    for path in paths() {
        for [m, n, k] in [[131, 257, 2111], [257, 31, 1500], [700, 40, 100], [131, 1000, 100]] {
            let (a, b) = (noise(m * k), noise(k * n));
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| product_with(path, Matrix::new(&a, m, k), Matrix::new(&b, k, n)))
            };
            let one = run(1);
            for threads in [2, 3] {
                let same = one.iter().zip(run(threads)).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{path:?}, {m} x {n} x {k}, {threads} threads");
            }
        }
    }
}

/// Multiplying by one shows the operand as it was rounded: 1 + 2^-8 lies between two bf16, 1 and 1 + 2^-7.
#[test]
fn operands_are_rounded_to_nearest_with_ties_to_even() {
    let half = f32::EPSILON * (1 << 15) as f32;
    let cases = [
        (1.0 + half, 1.0),
        (1.0 + half + f32::EPSILON, 1.0 + 2.0 * half),
        (1.0 + 3.0 * half, 1.0 + 4.0 * half),
        (-1.0 - half, -1.0),
        (f32::MAX, f32::INFINITY),
        (f32::NEG_INFINITY, f32::NEG_INFINITY),
        (f32::MIN_POSITIVE, f32::MIN_POSITIVE),
        (f32::MIN_POSITIVE / 2.0, 0.0),
        (65_280.0, 65_280.0),
    ];
    for path in paths() {
        for (x, right) in cases {
            assert_eq!(nearest(x), right, "{x}");
            let left = product_with(path, Matrix::new(&[x], 1, 1), Matrix::new(&[1.0], 1, 1));
            let other = product_with(path, Matrix::new(&[1.0], 1, 1), Matrix::new(&[x], 1, 1));
            assert_eq!([left[0], other[0]], [right; 2], "{path:?} of {x}");
        }
    }
}

/// NaN from any bits, an infinity times zero, and infinities of both signs; other rows and columns stay clean.
#[test]
fn what_is_not_finite_goes_through_and_stays_in_its_row() {
    let signalling = f32::from_bits(0x7f80_0001);
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for path in paths() {
        let rows = [[1.0, 2.0], [nan, 1.0], [signalling, 1.0], [inf, 1.0], [inf, -inf], [-inf, 1.0]];
        let a = Matrix::new(rows.as_flattened(), 6, 2);
        let found = product_with(path, a, Matrix::new(&[1.0, 0.0, 1.0, 1.0], 2, 2));
        let expected = [3.0, 2.0, nan, nan, nan, nan, inf, nan, nan, nan, -inf, nan];
        for (i, (found, right)) in found.into_iter().zip(expected).enumerate() {
            let same = found == right || found.is_nan() && right.is_nan();
            assert!(same, "{path:?}: {found} at {i}, not {right}");
        }
    }
}

#[test]
fn a_product_within_a_task_of_another_takes_buffers_of_its_own() {
    use rayon::prelude::*;
    let (m, n, k) = (120, 130, 140);
    let (a, b) = (noise(m * k), noise(k * n));
    for path in paths() {
        let run = || product_with(path, Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        let right = run();
        let all: Vec<Vec<f32>> = (0..16).into_par_iter().map(|_| run()).collect();
        assert!(all.iter().all(|found| *found == right), "{path:?}");
    }
}

#[test]
fn products_of_f32_round_nothing_whatever_the_strides() {
    for [m, n, k] in SHAPES {
        for (a, b) in Operand::each(m, k).iter().flat_map(|a| Operand::each(k, n).map(|b| (a, b))) {
            let found = crate::host::unwritten(m * n, |out| crate::host::gemm::product_over(a.view(), b.view(), out));
            for (at, found) in found.into_iter().enumerate() {
                let of = |m: &Operand, i: usize, j: usize| f64::from(m.values[i * m.strides[0] + j * m.strides[1]]);
                let term = |p: usize| of(a, at / n, p) * of(&b, p, at % n);
                let right = (0..k).map(term).fold([0.0; 2], |[sum, size], term| [sum + term, size + term.abs()]);
                assert!(close(found, right, k), "{found} for {right:?}: {m} x {n} x {k}");
            }
        }
    }
}
