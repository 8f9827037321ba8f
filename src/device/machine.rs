//! The machine under the devices: its processor and its memory, in bytes.

use burn::tensor::Device;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// Bytes held on `device`: the allocator's reservation on a GPU, the process's resident set on a host device.
pub fn memory_used(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved).or_else(|| status("VmRSS:"))
}

/// The largest resident set that this process ever had, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    status("VmHWM:")
}

/// The processor time that this process has taken on all its threads, in seconds, counted in hundredths; `None` where the
/// system does not tell.
pub fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold spaces; user and system time are the 14th and 15th fields of all.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    let ticks: Option<u64> = fields.map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks.map(|ticks| ticks as f64 / 100.0)
}

/// Bytes that this process may still take: the machine's, or less where a control group limits it.
pub fn available_memory() -> u64 {
    let system = memory();
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    system.available_memory().min(limit)
}

/// The machine's memory in bytes, or the control group's share of it.
pub fn total_memory() -> u64 {
    let system = memory();
    let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
    system.total_memory().min(limit)
}

/// The processor as it names itself, with the number of threads that it offers.
pub fn cpu_name() -> String {
    let mut system = System::new();
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    let brand = system.cpus().first().map(|cpu| cpu.brand().trim().to_string()).filter(|brand| !brand.is_empty());
    format!("{}, {} threads", brand.unwrap_or_else(|| std::env::consts::ARCH.to_string()), system.cpus().len())
}

fn memory() -> System {
    System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()))
}

/// A field of `/proc/self/status`, which counts in KiB.
fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_is_at_least_what_is_used_now_and_fits_the_machine() {
        let block = std::hint::black_box(vec![1u8; 8 << 20]);
        let used = memory_used(&Device::flex()).unwrap();
        assert!(peak_memory().unwrap() >= used, "{} bytes held", block.len());
        assert!(used >= block.len() as u64);
        assert!(available_memory() <= total_memory());
        assert!(used < total_memory());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn processor_time_passes_while_something_computes() {
        let before = processor_time().unwrap();
        let begin = std::time::Instant::now();
        while processor_time().unwrap() < before + 0.02 {
            assert!(begin.elapsed().as_secs() < 60, "{before}");
        }
    }

    #[test]
    fn the_processor_has_a_name_and_threads() {
        let name = cpu_name();
        assert!(name.ends_with(" threads") && !name.starts_with(','), "{name}");
    }
}
