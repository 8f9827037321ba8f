//! The micro-kernel on tiles: 32 x 32 of the result in four accumulators.
#![allow(unsafe_code)] // tiles have no stable intrinsics: inline assembly

use std::arch::{asm, x86_64::__cpuid_count};
use std::marker::PhantomData;

/// Whether the processor has tiles of bf16 and the system lets this process use them.
pub(super) fn available() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    let features = __cpuid_count(7, 0).edx;
    features & BF16 != 0 && features & TILE != 0 && allowed()
}

/// Asks Linux to save the 8 KB of tiles with each thread's state, which it does on request only.
#[cfg(target_os = "linux")]
fn allowed() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and no memory; an older kernel answers with an error.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> bool {
    false
}

/// Eight tiles of 16 rows of 64 bytes, set up on this thread until dropped.
pub(super) struct Tiles(PhantomData<*const ()>);

impl Tiles {
    /// # Safety
    /// The processor must have tiles: see [`available`].
    pub(super) unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            bytes_per_row: [u16; 16],
            rows: [u8; 16],
        }
        let mut config = Config { palette: 1, start_row: 0, reserved: [0; 14], bytes_per_row: [0; 16], rows: [0; 16] };
        config.bytes_per_row[..8].fill(64);
        config.rows[..8].fill(16);
        // SAFETY: the instruction reads the 64 bytes of `config`; the caller has tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Self(PhantomData)
    }

    /// `c += a b` or `c = a b` of packed panels: `a` is `steps` times two tiles of 16 rows x 32 terms, `b` `steps`
    /// times two tiles of 16 pairs of terms x 16 columns, `c` 32 rows of 32 elements `stride` apart.
    ///
    /// # Safety
    /// `a` and `b` must have `steps` times 2 KB to read, `steps` must not be 0, and `c` must have its rows to write,
    /// initialised if `add` is set.
    pub(super) unsafe fn multiply(
        &self,
        a: *const u16,
        b: *const u16,
        steps: usize,
        c: *mut f32,
        stride: usize,
        add: bool,
    ) {
        let bytes = stride * size_of::<f32>();
        // SAFETY: the tiles are set up while `self` lives; reads and writes are the caller's promise. Nothing else in
        // the process uses tiles, and those changed are named.
        unsafe {
            asm!(
                "test {add:e}, {add:e}",
                "jz 2f",
                "tileloadd tmm0, [{c} + {bytes}]",
                "tileloadd tmm1, [{c} + {bytes} + 64]",
                "tileloadd tmm2, [{lower} + {bytes}]",
                "tileloadd tmm3, [{lower} + {bytes} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{a} + {row}]",
                "tileloadd tmm6, [{b} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + {row} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a} + {row} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 3b",
                "tilestored [{c} + {bytes}], tmm0",
                "tilestored [{c} + {bytes} + 64], tmm1",
                "tilestored [{lower} + {bytes}], tmm2",
                "tilestored [{lower} + {bytes} + 64], tmm3",
                add = in(reg) u32::from(add),
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                steps = inout(reg) steps => _,
                c = in(reg) c,
                lower = in(reg) c.wrapping_add(16 * stride),
                bytes = in(reg) bytes,
                row = in(reg) 64usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the thread set its tiles up in `new`; back in their first state they cost no context switch.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
