//! From a spec to a burn device, and every way in which that can fail.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
};

use burn::tensor::{Device, FloatDType, Tensor};

use super::{Adapter, DeviceSpec, Opened, Torch};
use crate::error::{Error, Result, panic_message};

/// The cargo feature that compiles the spec's backend in, and whether this build has it.
pub(super) fn feature(spec: DeviceSpec) -> (&'static str, bool) {
    match spec {
        DeviceSpec::Auto | DeviceSpec::Flex => ("flex", cfg!(feature = "flex")),
        DeviceSpec::NdArray => ("ndarray", cfg!(feature = "ndarray")),
        DeviceSpec::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
        DeviceSpec::Vulkan(_) => ("vulkan", cfg!(feature = "vulkan")),
        DeviceSpec::Metal => ("metal", cfg!(feature = "metal")),
        DeviceSpec::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
        DeviceSpec::Tch(_) => ("tch", cfg!(feature = "tch")),
    }
}

/// The command that builds a binary with `feature` in it.
pub(super) fn cargo_command(feature: &str) -> String {
    match feature {
        "tch" => "pip install torch==2.9.0 && LIBTORCH_USE_PYTORCH=1 cargo build --release --features tch".to_string(),
        feature => format!("cargo build --release --features {feature}"),
    }
}

/// Opens any spec but `auto`.
pub(super) fn open(spec: DeviceSpec) -> Result<Opened> {
    let (feature, compiled) = feature(spec);
    if !compiled {
        return Err(Error::input(format!("this build has no `{spec}` device"))
            .next(format!("add it with `{}`", cargo_command(feature))));
    }
    let (device, name) = match spec {
        DeviceSpec::Wgpu(adapter) => graphics(spec, adapter),
        DeviceSpec::Vulkan(adapter) => graphics(spec, adapter),
        DeviceSpec::Metal => graphics(spec, Adapter::Best),
        DeviceSpec::Cuda(n) => cuda(n),
        DeviceSpec::Tch(torch) => libtorch(torch),
        DeviceSpec::Auto | DeviceSpec::Flex | DeviceSpec::NdArray => host(spec),
    }?;
    Ok(Opened { device, name, spec: spec.to_string() })
}

/// Opens a software driver and has it multiply two matrices, which takes it seconds.
///
/// SwiftShader runs some of burn's SPIR-V kernels as if they were empty, and tuning prefers the fastest kernel: without
/// this, a run there would train on zeros and never say so.
pub(super) fn checked(spec: DeviceSpec) -> Result<Opened> {
    let opened = open(spec)?;
    match quietly(|| multiplies(&opened.device, FloatDType::F32)) {
        Ok(true) => Ok(opened),
        Ok(false) => {
            Err(Error::failed(format!("`{spec}` gets the product of two small matrices wrong: {}", opened.name))
                .next("build without the vulkan feature (`cargo build --release --features wgpu`) and use `wgpu:cpu`"))
        }
        Err(why) => Err(absent(spec, &format!("its driver fails at a product of two small matrices: {why}"))),
    }
}

/// Whether a product of odd-sized matrices of twos is right everywhere in `dtype`.
pub(super) fn multiplies(device: &Device, dtype: FloatDType) -> bool {
    let twos = |shape| Tensor::<2>::full(shape, 2.0, device).cast(dtype);
    let product = twos([3, 5]).matmul(twos([5, 7])).cast(FloatDType::F32).into_data();
    product.iter::<f32>().all(|value| value == 20.0)
}

/// Runs `probe` with panics caught and their message kept off the terminal.
///
/// burn panics where a driver or an adapter is missing. The hook is the process's, so probes take turns.
pub(super) fn quietly<T>(probe: impl FnOnce() -> T) -> Result<T, String> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(probe));
    panic::set_hook(hook);
    result
        .map_err(|payload| panic_message(payload.as_ref()).unwrap_or("its driver failed without a reason").to_string())
}

fn absent(spec: impl std::fmt::Display, found: &str) -> Error {
    Error::input(format!("there is no `{spec}` device on this machine: {found}"))
        .next("see `kiln devices` for what there is")
}

/// The instructions that the CPU backends pick at run time.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return "AVX2";
        }
        "SSE2"
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "scalar"
    }
}

fn threads() -> usize {
    let wanted = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    wanted.or_else(|| std::thread::available_parallelism().map(usize::from).ok()).unwrap_or(1)
}

fn host(spec: DeviceSpec) -> Result<(Device, String)> {
    let name = format!("{spec} ({} threads, {})", threads(), instructions());
    match spec {
        #[cfg(feature = "flex")]
        DeviceSpec::Flex => Ok((Device::flex(), name)),
        #[cfg(feature = "ndarray")]
        // Deprecated upstream, kept as an independent CPU reference while 0.22 ships it.
        #[allow(deprecated)]
        DeviceSpec::NdArray => Ok((Device::ndarray(), name)),
        _ => Err(absent(spec, "it is not a host device")),
    }
}

#[cfg(feature = "tch")]
// Deprecated upstream, kept because it is the fastest CPU device while 0.22 ships it.
#[allow(deprecated)]
fn libtorch(torch: Torch) -> Result<(Device, String)> {
    match torch {
        Torch::Cpu => {
            kiln_kernels::leave_threads_to_kernels();
            Ok((Device::libtorch(), format!("libtorch ({} threads, {})", threads(), instructions())))
        }
        Torch::Cuda(n) => {
            let found = quietly(|| Device::enumerate(burn::tensor::DeviceType::LibTorch).len()).unwrap_or(0);
            if n < found {
                return Ok((Device::libtorch_cuda(n), format!("libtorch, CUDA device {n}")));
            }
            Err(absent(DeviceSpec::Tch(torch), &format!("libtorch finds {found} CUDA devices")))
        }
        Torch::Mps if cfg!(target_os = "macos") => Ok((Device::libtorch_mps(), "libtorch, MPS".to_string())),
        Torch::Mps => Err(absent(DeviceSpec::Tch(torch), "MPS exists on macOS only")),
    }
}

#[cfg(not(feature = "tch"))]
fn libtorch(torch: Torch) -> Result<(Device, String)> {
    Err(absent(DeviceSpec::Tch(torch), "libtorch is not in this build"))
}

#[cfg(feature = "cuda")]
fn cuda(n: usize) -> Result<(Device, String)> {
    let found = quietly(|| Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec())
        .map_err(|why| absent(DeviceSpec::Cuda(n), &format!("the CUDA driver said: {why}")))?;
    let count = found.len();
    let device = found.into_iter().nth(n);
    let device = device.ok_or_else(|| absent(DeviceSpec::Cuda(n), &format!("the driver lists {count} GPUs")))?;
    named(DeviceSpec::Cuda(n), device)
}

#[cfg(not(feature = "cuda"))]
fn cuda(n: usize) -> Result<(Device, String)> {
    Err(absent(DeviceSpec::Cuda(n), "CUDA is not in this build"))
}

/// The device with its own name; opening the driver happens here, so this is where it may fail.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn named(spec: DeviceSpec, device: Device) -> Result<(Device, String)> {
    let name = quietly(|| device.identity().map(|identity| identity.name));
    let name = name.map_err(|why| absent(spec, &format!("it is listed but does not open: {why}")))?;
    Ok((device, format!("{spec} ({})", name.unwrap_or_else(|| "unnamed".to_string()))))
}

/// Picks the adapter of a graphics API.
#[cfg(feature = "wgpu")]
fn graphics(spec: DeviceSpec, adapter: Adapter) -> Result<(Device, String)> {
    let found = adapters(spec).map_err(|why| absent(spec, &format!("its driver said: {why}")))?;
    let gpus: Vec<&Device> = found.iter().filter(|(_, software)| !software).map(|(device, _)| device).collect();
    let software = found.iter().find(|(_, software)| *software).map(|(device, _)| device);
    let picked = match adapter {
        Adapter::Best => gpus.first().copied(),
        Adapter::Index(n) => gpus.get(n).copied(),
        Adapter::Software => software,
    };
    let Some(device) = picked else {
        let drivers = if software.is_some() { "a software driver (name it with `:cpu`)" } else { "no software driver" };
        return Err(absent(spec, &format!("found {} GPUs and {drivers}", gpus.len())));
    };
    named(spec, device.clone())
}

#[cfg(not(feature = "wgpu"))]
fn graphics(spec: DeviceSpec, _: Adapter) -> Result<(Device, String)> {
    Err(absent(spec, "no graphics API is in this build"))
}

/// The adapters of the spec's API, discrete GPUs first, each with whether it is a software driver.
#[cfg(feature = "wgpu")]
fn adapters(spec: DeviceSpec) -> Result<Vec<(Device, bool)>, String> {
    use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
    use burn::tensor::DeviceType;
    let api = match spec {
        #[cfg(feature = "vulkan")]
        DeviceSpec::Vulkan(_) => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        DeviceSpec::Metal => DeviceType::Metal,
        _ => DeviceType::Wgpu,
    };
    let kind = |device: &Device| match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) => Some(wgpu.kind.clone()),
        _ => None,
    };
    let rank = |kind: &WgpuDeviceKind| match kind {
        WgpuDeviceKind::DiscreteGpu(n) => (0, *n),
        WgpuDeviceKind::IntegratedGpu(n) => (1, *n),
        WgpuDeviceKind::VirtualGpu(n) => (2, *n),
        _ => (3, 0),
    };
    let devices = quietly(|| Device::enumerate(api).into_vec())?;
    let mut found: Vec<_> = devices.into_iter().filter_map(|device| kind(&device).map(|kind| (kind, device))).collect();
    found.sort_by_key(|(kind, _)| rank(kind));
    Ok(found.into_iter().map(|(kind, device)| (device, kind == WgpuDeviceKind::Cpu)).collect())
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_probe_becomes_its_first_line() {
        assert_eq!(quietly(|| 3), Ok(3));
        let boom = || -> usize { std::panic::panic_any("no adapter\nbacktrace".to_string()) };
        assert_eq!(quietly(boom), Err("no adapter".to_string()));
    }

    #[test]
    fn the_cargo_command_of_tch_says_where_libtorch_comes_from() {
        assert!(cargo_command("tch").contains("torch==2.9.0"));
        assert_eq!(cargo_command("vulkan"), "cargo build --release --features vulkan");
    }
}
