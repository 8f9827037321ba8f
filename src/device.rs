//! Devices: what a user may ask for, what this build can do, what this machine has.
//!
//! Only this module and the kernels crate name a backend; everything above sees a burn [`Device`].

mod backend;
mod machine;
mod report;

use std::fmt;

use burn::tensor::Device;

use crate::error::{Error, Result};

pub use machine::{available_memory, cpu_name, memory_used, peak_memory, processor_time, total_memory};
pub use report::{DeviceReport, Dtypes, list};

/// Which adapter of a graphics API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// The first GPU: discrete before integrated before virtual.
    Best,
    /// The n-th GPU in that order.
    Index(usize),
    /// A software driver (SwiftShader, lavapipe), only ever taken when asked for.
    Software,
}

/// Where libtorch computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Torch {
    /// The CPU.
    Cpu,
    /// The n-th CUDA device.
    Cuda(usize),
    /// Apple's Metal Performance Shaders.
    Mps,
}

/// What a user asked for with `train.device` or `--device`; [`DeviceSpec::open`] turns it into a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSpec {
    /// The fastest device that is present.
    Auto,
    /// burn's CPU backend in pure Rust, the default.
    Flex,
    /// burn's older CPU backend on the ndarray crate.
    NdArray,
    /// WebGPU shaders through whichever graphics API the machine has.
    Wgpu(Adapter),
    /// SPIR-V through Vulkan.
    Vulkan(Adapter),
    /// Apple's Metal.
    Metal,
    /// The n-th NVIDIA GPU.
    Cuda(usize),
    /// PyTorch's C++ library.
    Tch(Torch),
}

/// A device ready for use, without autodiff.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The device; call `.autodiff()` on it to train.
    pub device: Device,
    /// What it is, for people: "flex (2 threads, AVX-512)".
    pub name: String,
    /// The spec that names it again, never "auto": "vulkan:0".
    pub spec: String,
}

impl Opened {
    /// Whether an f32 tensor of it lies in this process's memory, where kiln's kernels for the host compute.
    pub fn runs_host_kernels(&self) -> bool {
        matches!(self.spec.as_str(), "flex" | "tch")
    }
}

/// Every spelling that [`DeviceSpec::parse`] takes, `:N` being an index from 0.
pub const KNOWN: [&str; 14] = [
    "auto",
    "flex",
    "ndarray",
    "wgpu",
    "wgpu:N",
    "wgpu:cpu",
    "vulkan",
    "vulkan:N",
    "vulkan:cpu",
    "metal",
    "cuda:N",
    "tch",
    "tch:cuda:N",
    "tch:mps",
];

impl DeviceSpec {
    /// Parses a device as a user types it.
    ///
    /// # Errors
    /// An unknown name or a bad index, listing the known ones.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let spec = match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("auto", None, None) => Self::Auto,
            ("flex", None, None) => Self::Flex,
            ("ndarray", None, None) => Self::NdArray,
            ("wgpu", which, None) => Self::Wgpu(adapter(text, which)?),
            ("vulkan", which, None) => Self::Vulkan(adapter(text, which)?),
            ("metal", None, None) => Self::Metal,
            ("cuda", n, None) => Self::Cuda(index(text, n)?),
            ("tch", None, None) | ("tch", Some("cpu"), None) => Self::Tch(Torch::Cpu),
            ("tch", Some("cuda"), n) => Self::Tch(Torch::Cuda(index(text, n)?)),
            ("tch", Some("mps"), None) => Self::Tch(Torch::Mps),
            _ => return Err(unknown(text)),
        };
        Ok(spec)
    }

    /// Opens the device; `auto` takes the fastest that is present, and never a software driver.
    ///
    /// # Errors
    /// Not compiled in (with the cargo command that adds it), or absent (with what was found).
    pub fn open(&self) -> Result<Opened> {
        match self {
            Self::Auto => open_best(),
            Self::Wgpu(Adapter::Software) | Self::Vulkan(Adapter::Software) => backend::checked(*self),
            spec => backend::open(*spec),
        }
    }

    /// Whether the device computes in the machine's own memory.
    pub fn on_host(&self) -> bool {
        matches!(self, Self::Flex | Self::NdArray | Self::Tch(Torch::Cpu))
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let graphics = |f: &mut fmt::Formatter<'_>, api: &str, adapter: &Adapter| match adapter {
            Adapter::Best => f.write_str(api),
            Adapter::Index(n) => write!(f, "{api}:{n}"),
            Adapter::Software => write!(f, "{api}:cpu"),
        };
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Flex => f.write_str("flex"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Wgpu(adapter) => graphics(f, "wgpu", adapter),
            Self::Vulkan(adapter) => graphics(f, "vulkan", adapter),
            Self::Metal => f.write_str("metal"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Tch(Torch::Cpu) => f.write_str("tch"),
            Self::Tch(Torch::Cuda(n)) => write!(f, "tch:cuda:{n}"),
            Self::Tch(Torch::Mps) => f.write_str("tch:mps"),
        }
    }
}

/// Tries the devices from the fastest down; a device that is absent or not compiled in is passed over.
fn open_best() -> Result<Opened> {
    const FASTEST_FIRST: [DeviceSpec; 9] = [
        DeviceSpec::Cuda(0),
        DeviceSpec::Metal,
        DeviceSpec::Vulkan(Adapter::Best),
        DeviceSpec::Wgpu(Adapter::Best),
        DeviceSpec::Tch(Torch::Cuda(0)),
        DeviceSpec::Tch(Torch::Mps),
        DeviceSpec::Tch(Torch::Cpu),
        DeviceSpec::Flex,
        DeviceSpec::NdArray,
    ];
    FASTEST_FIRST.iter().find_map(|spec| backend::open(*spec).ok()).ok_or_else(|| {
        Error::failed("this build has no device that this machine can use")
            .next("build with the default features: `cargo build --release`")
    })
}

fn adapter(text: &str, which: Option<&str>) -> Result<Adapter> {
    match which {
        None => Ok(Adapter::Best),
        Some("cpu") => Ok(Adapter::Software),
        Some(_) => index(text, which).map(Adapter::Index),
    }
}

fn index(text: &str, digits: Option<&str>) -> Result<usize> {
    digits.map_or(Ok(0), |digits| digits.parse::<u8>().map(usize::from).map_err(|_| unknown(text)))
}

fn unknown(text: &str) -> Error {
    let shown: String = text.chars().take(40).collect();
    let closest = KNOWN
        .iter()
        .map(|known| (strsim::jaro_winkler(&shown.to_lowercase(), known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    let hint = closest.map_or_else(String::new, |(_, known)| format!("did you mean `{known}`? "));
    Error::input(format!("unknown device `{shown}`")).next(format!("{hint}the devices are {}", KNOWN.join(", ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_known_spelling_parses_and_prints_back() {
        for known in KNOWN {
            let text = known.replace('N', "1");
            assert_eq!(DeviceSpec::parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(DeviceSpec::parse("cuda").unwrap(), DeviceSpec::Cuda(0));
        assert_eq!(DeviceSpec::parse("tch:cuda").unwrap(), DeviceSpec::Tch(Torch::Cuda(0)));
    }

    #[test]
    fn a_misspelt_device_is_told_the_closest_one() {
        let error = DeviceSpec::parse("vulcan").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("did you mean `vulkan`?"), "{error}");
        for bad in ["", "gpu", "flex:0", "cuda:-1", "cuda:x", "cuda:0:1", "tch:cuda:999", "vulkan:cpu:1", "auto:1"] {
            assert!(DeviceSpec::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_device_left_out_of_the_build_names_the_cargo_command() {
        let error = DeviceSpec::Cuda(0).open().unwrap_err().to_string();
        assert!(error.contains("cargo build --release --features cuda"), "{error}");
    }

    #[test]
    #[cfg(feature = "flex")]
    fn flex_opens_and_says_what_it_uses() {
        let opened = DeviceSpec::Flex.open().unwrap();
        assert!(opened.name.starts_with("flex ("), "{}", opened.name);
        assert_eq!(opened.spec, "flex");
        assert!(!opened.device.is_autodiff());
    }

    #[test]
    fn auto_never_names_itself() {
        assert_ne!(DeviceSpec::Auto.open().unwrap().spec, "auto");
    }
}
