//! Where a step's time goes: every op reports its name, its time, its FLOPs and its bytes while a profile is being
//! taken; nothing is measured otherwise.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use burn::tensor::Device;

static ON: AtomicBool = AtomicBool::new(false);
static PROFILE: Mutex<Profile> = Mutex::new(Profile { device: None, ops: BTreeMap::new() });

struct Profile {
    /// The device to wait for around every op.
    device: Option<Device>,
    ops: BTreeMap<&'static str, OpTime>,
}

/// What an op has to do at least: the arithmetic, and the bytes of operands and results that go by once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Work {
    /// Floating-point operations; a multiply-add counts two, an exponential one.
    pub flops: f64,
    /// Bytes read and written, each operand once.
    pub bytes: f64,
}

impl Work {
    /// Of an op that does `flops` operations on each of `elements` f32 and moves each `times` between memory and registers.
    pub(crate) fn per_element(elements: usize, flops: f64, times: f64) -> Self {
        let elements = elements as f64;
        Self { flops: flops * elements, bytes: 4.0 * times * elements }
    }
}

impl std::ops::Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

/// What one op took in all since the profile began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OpTime {
    /// How often it ran.
    pub calls: u64,
    /// Wall time.
    pub seconds: f64,
    /// What it did.
    pub work: Work,
}

/// Begins a profile with nothing in it; every op then waits for `device` before and after, which the host's devices
/// answer at once and a GPU's queue does not.
pub fn start(device: &Device) {
    let mut profile = PROFILE.lock().unwrap_or_else(PoisonError::into_inner);
    *profile = Profile { device: Some(device.clone()), ops: BTreeMap::new() };
    ON.store(true, Ordering::Relaxed);
}

/// Ends the profile; the ops by name, such as `attention.backward`.
pub fn stop() -> BTreeMap<&'static str, OpTime> {
    ON.store(false, Ordering::Relaxed);
    let mut profile = PROFILE.lock().unwrap_or_else(PoisonError::into_inner);
    profile.device = None;
    std::mem::take(&mut profile.ops)
}

/// Runs `op`; while a profile is being taken, adds its time and work to `name`.
///
/// Only outermost calls on the training thread: an op inside another would be counted twice.
pub(crate) fn timed<T>(name: &'static str, work: Work, op: impl FnOnce() -> T) -> T {
    if !ON.load(Ordering::Relaxed) {
        return op();
    }
    wait();
    let start = Instant::now();
    let result = op();
    wait();
    let seconds = start.elapsed().as_secs_f64();
    let mut profile = PROFILE.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = profile.ops.entry(name).or_default();
    entry.calls += 1;
    entry.seconds += seconds;
    entry.work.flops += work.flops;
    entry.work.bytes += work.bytes;
    result
}

fn wait() {
    let device = PROFILE.lock().unwrap_or_else(PoisonError::into_inner).device.clone();
    if let Some(device) = device {
        // A device that fails here fails again where its result is read, and is reported there.
        let _ = device.sync();
    }
}
