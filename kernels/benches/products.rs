//! Matrix products of training shapes, f32 and bf16 in turn: `cargo bench -p kiln-kernels --bench products`.
//!
//! With `--cold` each run takes another copy of `b` and the results stay, so that neither is in the cache.
#![allow(missing_docs)]

use std::collections::VecDeque;
use std::time::Instant;

use kiln_kernels::ceiling::{ceilings, product};
use kiln_kernels::{bf16_instructions, keep_freed_pages};

/// What a product is for, `[m, n, k]`, and which operands are stored transposed.
const SHAPES: [(&str, [usize; 3], [bool; 2]); 12] = [
    ("up", [256, 3072, 768], [false, false]),
    ("down", [256, 768, 3072], [false, false]),
    ("up", [1024, 3072, 768], [false, false]),
    ("down", [1024, 768, 3072], [false, false]),
    ("head", [256, 50_257, 768], [false, false]),
    ("tied head, dx", [256, 768, 50_257], [false, false]),
    ("head, dx", [256, 768, 50_257], [false, true]),
    ("head, dw", [50_257, 768, 256], [true, false]),
    ("up, dw", [768, 3072, 1024], [true, false]),
    ("up, dx", [1024, 768, 3072], [false, true]),
    ("small", [768, 384, 128], [false, false]),
    ("square", [2048, 2048, 2048], [false, false]),
];

fn main() {
    keep_freed_pages();
    let cold = std::env::args().any(|argument| argument == "--cold");
    println!("bf16 through {}", bf16_instructions().unwrap_or("the f32 product"));
    println!("{:?}", ceilings());
    println!("{:14} {:>22}  {:>21}  {:>21}", "", "m n k", "f32 ms, GFLOP/s", "bf16 ms, GFLOP/s");
    for (name, shape, turned) in SHAPES {
        let [m, n, k] = shape;
        let (a, b) = (noise(m * k), noise(k * n));
        let flops = 2.0 * (m * n * k) as f64;
        let copies = if cold { 1 + (25_000_000 / (m * n + k * n)).clamp(1, 40) } else { 1 };
        let copies: Vec<_> = vec![b; copies];
        let mut results = VecDeque::new();
        let mut times = [vec![], vec![]];
        let runs = (3e10 / flops).clamp(7.0, 41.0) as usize;
        for run in 0..runs + 2 {
            for bf16 in [false, true] {
                if results.len() == copies.len() {
                    results.pop_front();
                }
                let b = &copies[run % copies.len()];
                let start = Instant::now();
                let result = product(&a, b, shape, turned, bf16);
                if run >= 2 {
                    times[usize::from(bf16)].push(start.elapsed().as_secs_f64());
                }
                results.push_back(result);
            }
        }
        let [f32, bf16] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        });
        let column = |seconds: f64| format!("{:8.3} ms {:8.0}", seconds * 1e3, flops / seconds * 1e-9);
        let of = format!("{m} {n} {k}");
        println!("{name:14} {of:>22}  {:>21}  {:>21}  {:.1}", column(f32), column(bf16), f32 / bf16);
    }
}

fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}
