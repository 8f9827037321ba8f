//! What `kiln devices` tells of every device that kiln knows.

use burn::tensor::{Device, FloatDType};
use serde::Serialize;

use super::{Adapter, DeviceSpec, Torch, backend, machine};

/// The float types in which a device computes, not merely stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dtypes {
    /// 32-bit floats.
    pub f32: bool,
    /// bfloat16.
    pub bf16: bool,
    /// 16-bit floats.
    pub f16: bool,
    /// 64-bit floats.
    pub f64: bool,
}

impl std::fmt::Display for Dtypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [("f32", self.f32), ("bf16", self.bf16), ("f16", self.f16), ("f64", self.f64)];
        let names: Vec<&str> = all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
        f.write_str(&names.join(" "))
    }
}

/// One device: whether it can be used and, if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// What to write after `--device`.
    pub spec: String,
    /// Whether this build has it.
    pub compiled: bool,
    /// Whether this machine has it.
    pub present: bool,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its memory in bytes, where that is known.
    pub memory: Option<u64>,
    /// The float types in which it computes.
    pub dtypes: Dtypes,
    /// Why it cannot be used.
    pub reason: Option<String>,
    /// The cargo command that compiles it in, for a device that this build lacks.
    pub build: Option<String>,
}

/// Reports every known device; a broken driver becomes a reason, never a crash.
pub fn list() -> Vec<DeviceReport> {
    const SPECS: [DeviceSpec; 11] = [
        DeviceSpec::Flex,
        DeviceSpec::NdArray,
        DeviceSpec::Tch(Torch::Cpu),
        DeviceSpec::Tch(Torch::Cuda(0)),
        DeviceSpec::Tch(Torch::Mps),
        DeviceSpec::Vulkan(Adapter::Best),
        DeviceSpec::Vulkan(Adapter::Software),
        DeviceSpec::Wgpu(Adapter::Best),
        DeviceSpec::Wgpu(Adapter::Software),
        DeviceSpec::Metal,
        DeviceSpec::Cuda(0),
    ];
    SPECS.into_iter().map(report).collect()
}

fn report(spec: DeviceSpec) -> DeviceReport {
    let (feature, compiled) = backend::feature(spec);
    let empty = DeviceReport {
        spec: spec.to_string(),
        compiled,
        present: false,
        name: None,
        memory: None,
        dtypes: Dtypes::default(),
        reason: None,
        build: None,
    };
    if !compiled {
        let build = Some(backend::cargo_command(feature));
        return DeviceReport { reason: Some("not in this build".to_string()), build, ..empty };
    }
    match backend::open(spec) {
        Err(error) => DeviceReport { reason: Some(error.message().to_string()), ..empty },
        Ok(opened) => DeviceReport {
            present: true,
            name: Some(opened.name),
            memory: spec.on_host().then(machine::total_memory),
            dtypes: dtypes(spec, &opened.device),
            ..empty
        },
    }
}

/// Asks the device; a host device must also run a product, because libtorch claims every type there is.
fn dtypes(spec: DeviceSpec, device: &Device) -> Dtypes {
    let computes = |dtype: FloatDType| {
        let claimed = backend::quietly(|| device.supports_dtype(dtype)).unwrap_or(false);
        // A GPU answers for arithmetic already, and a first kernel there costs seconds of tuning.
        claimed && (!spec.on_host() || backend::quietly(|| backend::multiplies(device, dtype)).unwrap_or(false))
    };
    Dtypes {
        f32: computes(FloatDType::F32),
        bf16: computes(FloatDType::BF16),
        f16: computes(FloatDType::F16),
        f64: computes(FloatDType::F64),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_device_is_usable_or_says_why_not() {
        for device in list() {
            assert_eq!(device.present, device.reason.is_none(), "{device:?}");
            assert_eq!(device.compiled, device.build.is_none(), "{device:?}");
            assert_eq!(device.present, device.dtypes.f32, "{device:?}");
        }
    }

    #[test]
    #[cfg(all(feature = "flex", feature = "ndarray"))]
    fn the_host_devices_tell_their_types_apart() {
        let reports = list();
        let of = |spec: &str| reports.iter().find(|report| report.spec == spec).unwrap();
        assert_eq!(of("flex").dtypes, Dtypes { f32: true, bf16: true, f16: true, f64: true });
        assert_eq!(of("ndarray").dtypes, Dtypes { f32: true, bf16: false, f16: false, f64: true });
        assert!(of("flex").memory.unwrap() > 1 << 28);
    }
}
