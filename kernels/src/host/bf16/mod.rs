//! Matrix products with bf16 operands and f32 sums, for processors with AMX tiles or AVX512-BF16, and the same with f32
//! operands for some of them.
//!
//! Operands are f32 views, rounded to the nearest bf16 (ties to even) while they are packed; a subnormal counts as
//! zero, as both instructions have it. The order of a sum depends on the number of its terms alone, so a result has the
//! same bits on any number of threads; the two instruction sets add in different orders.
#![allow(unsafe_code)] // calls what needs the processor's instructions

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod blocks;
#[cfg(target_arch = "x86_64")]
mod floats;
#[cfg(target_arch = "x86_64")]
mod pack;
mod portable;
#[cfg(target_arch = "x86_64")]
mod result;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::{mem::MaybeUninit, sync::OnceLock};

use super::Matrix;
#[cfg(target_arch = "x86_64")]
use blocks::Instructions;

/// What this processor multiplies bf16 with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bf16 {
    /// Tiles of 16 x 32, where the processor has them and the system allows their use.
    Amx,
    /// Dot products of pairs in vectors.
    Avx512,
    /// Nothing that would pay: products round their operands and take the f32 path, which costs more than f32 alone.
    None,
}

#[cfg(target_arch = "x86_64")]
impl Bf16 {
    fn multiply(self) -> Option<Instructions> {
        match self {
            Self::Amx => Some(Instructions::Amx),
            Self::Avx512 => Some(Instructions::Pairs),
            Self::None => None,
        }
    }
}

/// What this processor and system multiply faster than f32 with, asked once; nothing where the environment has
/// `KILN_NO_BF16`, which makes any processor one without these instructions.
///
/// Of Intel's that is AMX alone: its AVX512-BF16 has 0.46 of the rate of its multiply-adds of f32 (`LOG.md`).
pub(crate) fn bf16_support() -> Bf16 {
    static FOUND: OnceLock<Bf16> = OnceLock::new();
    *FOUND.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        if std::env::var_os("KILN_NO_BF16").is_none() {
            let vectors = pack::available();
            if vectors && amx::available() {
                return Bf16::Amx;
            } else if vectors && pack::is_amd() {
                return Bf16::Avx512;
            }
        }
        Bf16::None
    })
}

/// `out = a b`, both rounded to bf16; `out` is row-major, and all of it is written.
pub(crate) fn product_over(a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>]) {
    product_with_over(bf16_support(), a, b, out);
}

/// `out += a b`, or `out = a b` where `add` is false; `out` is row-major, `a` and `b` are rounded to bf16.
pub(crate) fn product_into(a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    product_with_into(bf16_support(), a, b, out, add);
}

/// As [`product_over`] with instructions that this processor must have.
fn product_with_over(instructions: Bf16, a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(instructions) = instructions.multiply() {
        // SAFETY: they were found, or a test chose a lesser path.
        return unsafe { blocks::product(instructions, a, b, out, false) };
    }
    _ = instructions;
    portable::product_over(a, b, out);
}

/// `out = a b`, or `out += a b` where `add` is set and `out` therefore initialised, nothing rounded; false, and nothing
/// done, where that is left to gemm.
///
/// On a Zen 4 it is some 5 % faster than gemm, and 20 % where `b` is transposed. On an Intel it is slower, except where a
/// large `b` is transposed for few rows (`LOG.md`).
pub(super) fn product_f32(a: Matrix, b: Matrix, out: &mut [MaybeUninit<f32>], add: bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        static FOUND: OnceLock<[bool; 2]> = OnceLock::new();
        let [there, amd] = *FOUND.get_or_init(|| [pack::available(), pack::is_amd()]);
        let turned = b.column_stride > b.row_stride && a.rows <= 512 && b.rows >= 2048;
        let here = there && (amd || turned);
        if here {
            // SAFETY: the instructions are there.
            unsafe { blocks::product(Instructions::Floats, a, b, out, add) };
        }
        here
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        _ = (a, b, out, add);
        false
    }
}

/// As [`product_into`] with instructions that this processor must have.
fn product_with_into(instructions: Bf16, a: Matrix, b: Matrix, out: &mut [f32], add: bool) {
    #[cfg(target_arch = "x86_64")]
    if let Some(instructions) = instructions.multiply() {
        let out: *mut [MaybeUninit<f32>] = out as *mut [f32] as _;
        // SAFETY: the same elements, of which only whole ones are written; the instructions as above.
        return unsafe { blocks::product(instructions, a, b, &mut *out, add) };
    }
    _ = instructions;
    portable::product_into(a, b, out, add);
}
