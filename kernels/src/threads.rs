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

/// Has libtorch compute on the calling thread alone, in the whole process.
///
/// Its own threads wait for the next op by spinning, for milliseconds, and take the cores from the kernels' threads;
/// what is left to it beside the kernels is small.
#[cfg(feature = "tch")]
pub fn leave_threads_to_kernels() {
    tch::set_num_threads(1);
}
