//! On a GPU: tiles in shared memory, one dispatch forward, three backward, none of them with a tensor of `[t, t]`.

#![allow(clippy::too_many_arguments)] // a kernel takes its buffers one by one
#![allow(unsafe_code)] // indices are bounded in the kernels, where a second check in every product would cost

mod backward;
mod forward;
mod part;
mod tile;

use burn::backend::{TensorMetadata, fusion::custom::TensorSpec, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::{DType, Distribution, FloatDType, Shape};
use burn_cubecl::{kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::{CubeCount, CubeDim, TensorArg};

use super::{Attention, AttentionOptions, Sizes, pads, reference, turns, wide};
use crate::{
    CubeBackend,
    cube::{elements, fits_f32, unwritten},
};
use tile::{CallLaunch, LANES, TILE};

/// The widest head whose part of a result a unit's registers hold.
const WIDEST: usize = 256;
/// Cubes along the second and third side of a grid, in the narrowest API.
const MOST_CUBES: usize = 65_535;

impl Attention for CubeBackend {
    /// Two whole numbers below 2^24, which f32 holds: a seed, drawn without waiting for the device.
    fn attention_noise(
        joint: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if !serves(&joint.shape(), &lengths.shape(), joint.dtype, options) {
            return reference::noise::<Self>(joint, options);
        }
        let whole = Distribution::Uniform(0.0, f64::from(1 << 24));
        Self::float_floor(Self::float_random(Shape::new([2]), whole, &joint.device(), FloatDType::F32))
    }

    fn attention_forward(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        noise: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        if !serves(&joint.shape(), &lengths.shape(), joint.dtype, options) {
            return reference::forward::<Self>(joint, angles, lengths, noise, options);
        }
        let launch = Launch::new(joint, angles, noise, options);
        let Sizes { b, t, heads, d, .. } = launch.sizes;
        let output = unwritten(&launch.joint, [b, t, heads * d], launch.joint.dtype);
        let log_sum = unwritten(&launch.joint, [b, heads, t], DType::F32);
        // SAFETY: the kernel indexes within the shapes that `call` repeats.
        unsafe {
            forward::forward::launch_unchecked(
                &launch.joint.client,
                launch.cubes(heads),
                CubeDim::new_2d(LANES as u32, LANES as u32),
                argument(&launch.joint),
                argument(&launch.angles),
                argument(&launch.noise),
                argument(&output),
                argument(&log_sum),
                launch.call(),
                d.div_ceil(TILE),
                options.dropout > 0.0,
                elements(&launch.joint),
            );
        }
        (output, log_sum)
    }

    fn attention_backward(
        joint: FloatTensor<Self>,
        angles: FloatTensor<Self>,
        lengths: FloatTensor<Self>,
        noise: FloatTensor<Self>,
        output: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        options: AttentionOptions,
    ) -> FloatTensor<Self> {
        if !serves(&joint.shape(), &lengths.shape(), joint.dtype, options) {
            return reference::backward::<Self>(joint, [angles, lengths, noise], (output, log_sum, grad), options);
        }
        let launch = Launch::new(joint, angles, noise, options);
        let [output, log_sum, grad] = [output, log_sum, grad].map(into_contiguous);
        let along = launch.along(output, grad.clone());
        let gradient = unwritten(&launch.joint, launch.joint.shape().dims::<3>(), launch.joint.dtype);
        let Sizes { heads, kv_heads, d, .. } = launch.sizes;
        // Two kernels of one signature; each writes columns of its own.
        macro_rules! launched {
            ($kernel:ident, $heads:expr) => {
                // SAFETY: the kernel indexes within the shapes that `call` repeats.
                unsafe {
                    backward::$kernel::launch_unchecked(
                        &launch.joint.client,
                        launch.cubes($heads),
                        CubeDim::new_2d(LANES as u32, LANES as u32),
                        argument(&launch.joint),
                        argument(&launch.angles),
                        argument(&launch.noise),
                        argument(&log_sum),
                        argument(&along),
                        argument(&grad),
                        argument(&gradient),
                        launch.call(),
                        d.div_ceil(TILE),
                        options.dropout > 0.0,
                        elements(&launch.joint),
                    )
                }
            };
        }
        launched!(queries, heads);
        launched!(keys_values, kv_heads);
        gradient
    }
}

/// The operands of a call, packed.
struct Launch {
    joint: CubeTensor,
    angles: CubeTensor,
    noise: CubeTensor,
    sizes: Sizes,
    dropout: f64,
}

impl Launch {
    fn new(joint: CubeTensor, angles: CubeTensor, noise: CubeTensor, options: AttentionOptions) -> Self {
        let sizes = Sizes::of(&joint, options);
        let angles = if angles.dtype == DType::F32 { angles } else { CubeBackend::float_cast(angles, FloatDType::F32) };
        let noise = if noise.dtype == DType::F32 { noise } else { CubeBackend::float_cast(noise, FloatDType::F32) };
        let [joint, angles, noise] = [joint, angles, noise].map(into_contiguous);
        Self { joint, angles, noise, sizes, dropout: options.dropout }
    }

    /// Of every row `[b, h, t]` the sum over columns of output times its gradient.
    fn along(&self, output: CubeTensor, grad: CubeTensor) -> CubeTensor {
        const UNITS: usize = 64;
        let Sizes { b, t, heads, .. } = self.sizes;
        let along = unwritten(&self.joint, [b, heads, t], DType::F32);
        let cubes = (b * heads * t).div_ceil(UNITS);
        let cubes = CubeCount::Static(cubes.min(MOST_CUBES) as u32, cubes.div_ceil(MOST_CUBES) as u32, 1);
        // SAFETY: units beyond the last row leave at once; the others read one row of the shapes that `call` repeats.
        unsafe {
            backward::along::launch_unchecked(
                &self.joint.client,
                cubes,
                CubeDim::new_1d(UNITS as u32),
                output.into_tensor_arg(),
                grad.into_tensor_arg(),
                along.clone().into_tensor_arg(),
                self.call(),
                elements(&self.joint),
            );
        }
        along
    }

    /// A cube for every tile of positions, head and sequence.
    fn cubes(&self, heads: usize) -> CubeCount {
        let Sizes { b, t, .. } = self.sizes;
        CubeCount::Static(t.div_ceil(TILE) as u32, heads as u32, b as u32)
    }

    fn call(&self) -> CallLaunch {
        let Sizes { t, heads, kv_heads, d, causal, .. } = self.sizes;
        let turning = if turns(&self.angles) { d / 2 } else { 0 };
        let scale = (1.0 / (d as f64).sqrt()) as f32;
        // The probability is below 1, and the cast goes no higher than the largest number.
        let threshold = (self.dropout * (1u64 << 32) as f64) as u32;
        let kept = (1.0 / (1.0 - self.dropout)) as f32;
        CallLaunch::new(t, heads, kv_heads, d, turning, u32::from(causal), scale, threshold, kept)
    }
}

fn argument(tensor: &CubeTensor) -> TensorArg {
    tensor.clone().into_tensor_arg()
}

/// Whether the kernels take a call; the composed path takes the others.
fn serves(joint: &Shape, lengths: &Shape, dtype: DType, options: AttentionOptions) -> bool {
    let heads = options.heads + 2 * options.kv_heads;
    // Lengths would be one buffer more than every WebGPU device binds.
    !pads(lengths) && fits_f32(dtype) && joint[2] / heads <= WIDEST && joint[0].max(options.heads) <= MOST_CUBES
}

/// What [`Attention::attention_noise`] draws.
pub(super) fn noise_spec(joint: &TensorSpec, lengths: &TensorSpec, options: &AttentionOptions) -> TensorSpec {
    if serves(&joint.shape, &lengths.shape, joint.dtype, *options) {
        return TensorSpec::new(Shape::new([2]), DType::F32);
    }
    let [b, t] = [joint.shape[0], joint.shape[1]];
    TensorSpec::new(Shape::new([b, options.heads, t, t]), wide(joint.dtype).into())
}

/// What [`Attention::attention_forward`] gives.
pub(super) fn forward_spec(
    joint: &TensorSpec,
    _angles: &TensorSpec,
    _lengths: &TensorSpec,
    _noise: &TensorSpec,
    options: &AttentionOptions,
) -> (TensorSpec, TensorSpec) {
    let AttentionOptions { heads, kv_heads, .. } = *options;
    let [b, t, width] = joint.shape.dims::<3>();
    let d = width / (heads + 2 * kv_heads);
    (
        TensorSpec::new(Shape::new([b, t, heads * d]), joint.dtype),
        TensorSpec::new(Shape::new([b, heads, t]), wide(joint.dtype).into()),
    )
}
