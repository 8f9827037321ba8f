//! Where a step's time goes: every host kernel reports its name, its time, its FLOPs and its bytes while a profile is
//! being taken; nothing is measured otherwise.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

static ON: AtomicBool = AtomicBool::new(false);
static SEEN: Mutex<BTreeMap<&'static str, OpTime>> = Mutex::new(BTreeMap::new());

/// What an op has to do at least: the arithmetic, and the bytes of operands and results that go by once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations; a multiply-add counts two, an exponential one.
    pub flops: f64,
    /// Bytes read and written, each operand once.
    pub bytes: f64,
}

/// What one op took in all since the profile began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OpTime {
    /// How often it ran.
    pub calls: u64,
    /// Wall time on the thread that called it.
    pub seconds: f64,
    /// What it did.
    pub work: Work,
}

/// Begins a profile with nothing in it.
pub fn start() {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).clear();
    ON.store(true, Ordering::Relaxed);
}

/// Ends the profile; the ops by name, such as `attention.backward`.
pub fn stop() -> BTreeMap<&'static str, OpTime> {
    ON.store(false, Ordering::Relaxed);
    std::mem::take(&mut *SEEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Runs `op`; while a profile is being taken, adds its time and work to `name`.
///
/// Only outermost calls on the training thread: an op inside another would be counted twice.
#[cfg_attr(not(feature = "flex"), allow(dead_code))]
pub(crate) fn timed<T>(name: &'static str, work: Work, op: impl FnOnce() -> T) -> T {
    if !ON.load(Ordering::Relaxed) {
        return op();
    }
    let start = Instant::now();
    let result = op();
    let seconds = start.elapsed().as_secs_f64();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = seen.entry(name).or_default();
    entry.calls += 1;
    entry.seconds += seconds;
    entry.work.flops += work.flops;
    entry.work.bytes += work.bytes;
    result
}
