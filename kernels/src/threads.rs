//! Where a step runs.

/// Runs `work` on one of the threads that the host kernels spread over, and returns what it does.
///
/// From any other thread every kernel hands itself over to them and sleeps until it is done: two thread switches an op,
/// a third of a small model's step. `work` must not wait for a thread that computes with kernels itself.
pub fn on_kernel_threads<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    #[cfg(feature = "flex")]
    return rayon::scope(|_| work());
    #[cfg(not(feature = "flex"))]
    work()
}
