//! What this machine reaches at best, measured: what an op's FLOPs and bytes are compared with.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::{
    host::{self, Bf16, Matrix, bf16_support},
    precision::Products,
};

/// The host's limits on all of rayon's threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// f32 operations a second in a large product.
    pub f32_flops: f64,
    /// The same with operands rounded to bf16, where the processor has instructions for them.
    pub bf16_flops: Option<f64>,
    /// Bytes read and written a second in a copy that no cache holds.
    pub copy_bytes_per_second: f64,
}

/// Measures the ceilings, in about a second.
pub fn ceilings() -> Ceilings {
    const N: usize = 1536;
    let values: Vec<f32> = (0..N * N).map(|i| (i % 255) as f32 / 255.0).collect();
    let flops = 2.0 * (N as f64).powi(3);
    let peak = |bf16| flops / best(|| drop(product(&values, &values, [N; 3], [false; 2], bf16)));

    const COPIED: usize = 32 << 20;
    const CHUNK: usize = 64 << 10;
    let (from, mut to) = (vec![1f32; COPIED], vec![0f32; COPIED]);
    let copy = best(|| {
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
    });
    Ceilings {
        f32_flops: peak(false),
        bf16_flops: (bf16_support() != Bf16::None).then(|| peak(true)),
        copy_bytes_per_second: 2.0 * (COPIED * size_of::<f32>()) as f64 / copy,
    }
}

/// The seconds of the fastest run of those that a quarter of a second has room for, after one to warm up.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed() < Duration::from_millis(250) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// `a b` for a shape `[m, n, k]`, row-major; an operand that is `turned` is stored transposed. For measurements.
#[doc(hidden)]
pub fn product(a: &[f32], b: &[f32], shape: [usize; 3], turned: [bool; 2], bf16: bool) -> Vec<f32> {
    let [m, n, k] = shape;
    let view = |values, rows, columns, turned| match turned {
        false => Matrix::new(values, rows, columns),
        true => Matrix::new(values, columns, rows).transposed(),
    };
    let (a, b) = (view(a, m, k, turned[0]), view(b, k, n, turned[1]));
    host::product(a, b, if bf16 { Products::Bf16 } else { Products::F32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceilings_are_measured() {
        let found = ceilings();
        assert!(found.f32_flops > 1e8 && found.copy_bytes_per_second > 1e7, "{found:?}");
        assert_eq!(found.bf16_flops.is_some(), crate::bf16_instructions().is_some());
    }
}
