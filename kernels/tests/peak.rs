//! How the memory of attention and of a loss grows, counted by an allocator: flex's tensors are the process's own.
#![cfg(feature = "flex")]
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(unsafe_code)] // an allocator is

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering},
};

use burn::tensor::{Device, Distribution, Int, Tensor};
use kiln_kernels::{AttentionOptions, attention, linear_cross_entropy};

/// The system's, which counts bytes.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that `work` holds at once beyond what was held before.
fn most(work: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work();
    MOST.load(Ordering::Relaxed) - before
}

const MIB: usize = 1 << 20;

/// Two heads of 32, forward and backward.
fn of_attention(t: usize) -> usize {
    let device = Device::flex().autodiff();
    let options = AttentionOptions { heads: 2, kv_heads: 2, causal: true, dropout: 0.1 };
    most(|| {
        let joint = Tensor::<3>::random([1, t, 192], Distribution::Default, &device).require_grad();
        drop(attention(joint, None, options).sum().backward());
    })
}

/// `rows` rows of width 8 into a vocabulary of 20,000, forward and backward.
fn of_loss(rows: usize) -> usize {
    let device = Device::flex().autodiff();
    let table = Tensor::<2>::random([20_000, 8], Distribution::Default, &device).require_grad();
    most(|| {
        let x = Tensor::<2>::random([rows, 8], Distribution::Default, &device).require_grad();
        let targets = Tensor::<1, Int>::zeros([rows], &device);
        drop(linear_cross_entropy(x, table, targets, 0.0, 1.0).backward());
    })
}

/// One test: the counts are the process's.
#[test]
fn attention_grows_with_its_tokens_and_a_loss_keeps_no_logits() {
    // Of one thread: how many blocks are at work at once is then no chance.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| _ = (of_attention(64), of_loss(8))); // what is made once
    let attention = pool.install(|| [256, 512, 1024, 2048].map(of_attention));
    println!("attention of 256 to 2048 tokens: {attention:?} bytes");
    // Eight times, and what scratch takes while it grows; the scores of 2,048 tokens alone would be 32 MiB.
    assert!(attention[3] < 10 * attention[0] && attention[3] < 8 * MIB, "{attention:?}");

    let loss = pool.install(|| [1024, 4096, 8192].map(of_loss));
    println!("loss of 1024 to 8192 rows: {loss:?} bytes, where their logits are 78 to 625 MiB");
    // 64 MiB of logits at a time, of any number of rows; the rest is x, the table's gradient and a product's packing.
    assert!(loss.iter().all(|most| *most < 80 * MIB), "{loss:?}");
}
