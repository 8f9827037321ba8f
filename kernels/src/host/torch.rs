//! libtorch's tensors on the CPU: memory of this process like any other.
#![allow(unsafe_code)] // elements by their address

use std::{cell::Cell, mem::MaybeUninit};

use burn::backend::{
    LibTorch, TensorMetadata,
    libtorch::{LibTorchDevice, TchTensor},
};
use burn::tensor::{DType, Shape};
use tch::{Device, Kind, Tensor};

use super::tensor::{HostBackend, HostTensor};

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread's ops treat libtorch's tensors as if they were on a GPU, so that a test reaches what runs there.
#[doc(hidden)]
pub fn compose_torch(composed: bool) {
    COMPOSED.set(composed);
}

impl HostBackend for LibTorch {
    fn here(tensors: &[&TchTensor]) -> bool {
        let here = |tensor: &&TchTensor| tensor.dtype() == DType::F32 && tensor.device() == LibTorchDevice::Cpu;
        !COMPOSED.get() && tensors.iter().all(here)
    }

    fn whole_numbers(tensor: TchTensor) -> Vec<i64> {
        let whole = tensor.tensor.to_device(Device::Cpu).to_kind(Kind::Int64).contiguous();
        let mut values = vec![0; whole.numel()];
        whole.copy_data(&mut values, whole.numel());
        values
    }

    fn held<const D: usize>(tensor: &burn::tensor::Tensor<D>) -> Option<TchTensor> {
        tensor.clone().try_into_primitive::<Self>().ok().filter(|tensor| Self::here(&[tensor]))
    }

    fn plain<const D: usize>(tensor: TchTensor) -> burn::tensor::Tensor<D> {
        burn::tensor::Tensor::from_primitive::<Self>(tensor)
    }
}

impl HostTensor for TchTensor {
    fn packed(self) -> Self {
        if self.tensor.is_contiguous() { self } else { Self::new(self.tensor.contiguous()) }
    }

    fn values(&self) -> &[f32] {
        assert!(self.tensor.is_contiguous());
        elements(&self.tensor, self.tensor.numel())
    }

    fn values_mut(&mut self) -> Option<&mut [f32]> {
        if !self.can_mut() {
            return None;
        }
        let values = self.values();
        // SAFETY: burn counts the handles on a buffer; this is the only one, and it is borrowed mutably here.
        Some(unsafe { std::slice::from_raw_parts_mut(values.as_ptr().cast_mut(), values.len()) })
    }

    fn strided(&self) -> Option<(&[f32], [usize; 2])> {
        let ((rows, columns), (row, column)) = (self.tensor.size2().ok()?, self.tensor.stride2().ok()?);
        let reach = if rows * columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 };
        let strides = [usize::try_from(row).ok()?, usize::try_from(column).ok()?];
        Some((elements(&self.tensor, usize::try_from(reach).ok()?), strides))
    }

    fn written(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Self {
        let sizes: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
        let tensor = Tensor::empty(sizes, (Kind::Float, Device::Cpu));
        // SAFETY: the elements of a new tensor, which nobody else holds; they are only written.
        fill(unsafe { std::slice::from_raw_parts_mut(address(&tensor).cast(), shape.num_elements()) });
        Self::new(tensor)
    }

    fn of(values: Vec<f32>, shape: Shape) -> Self {
        Self::written(shape, |out| {
            out.write_copy_of_slice(&values);
        })
    }
}

/// What lies from the first element of an f32 tensor on; `reach` may not go past its last one.
fn elements(tensor: &Tensor, reach: usize) -> &[f32] {
    // SAFETY: libtorch keeps the buffer as long as the tensor, and has no part in its writes: burn and this crate write
    // where there is one handle alone.
    unsafe { std::slice::from_raw_parts(address(tensor), reach) }
}

/// Of the first element of an f32 tensor on the CPU; of nothing where there is none.
fn address(tensor: &Tensor) -> *mut f32 {
    assert!(tensor.kind() == Kind::Float && tensor.device() == Device::Cpu);
    let address: *mut f32 = tensor.data_ptr().cast();
    if address.is_null() { std::ptr::dangling_mut() } else { address }
}
