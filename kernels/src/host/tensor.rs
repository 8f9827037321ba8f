//! What the kernels here ask of a backend: f32 tensors that lie in this process's memory.

use std::mem::MaybeUninit;

use burn::backend::{
    Backend, Flex, TensorMetadata,
    flex::FlexTensor,
    ops::IntTensorOps,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, IntDType, Shape, Tensor, TensorData};

use super::unwritten;

/// A backend whose tensors lie there, some of them at least; the others' ops are composed.
pub(crate) trait HostBackend: Backend<FloatTensorPrimitive: HostTensor> {
    /// Whether all are f32 tensors of this process: every other method of the tensors asks for that.
    fn here(tensors: &[&FloatTensor<Self>]) -> bool;

    /// The elements in order.
    fn whole_numbers(tensor: IntTensor<Self>) -> Vec<i64>;

    /// A second handle on a tensor that is [here](Self::here) and in no graph; none on any other.
    fn held<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Self>>;

    /// The tensor as burn's.
    fn plain<const D: usize>(tensor: FloatTensor<Self>) -> Tensor<D>;
}

/// An f32 tensor of any shape and strides in a buffer that other handles may share.
pub(crate) trait HostTensor: TensorMetadata {
    /// The tensor itself where its elements lie in order and nothing else does, else a copy of which that is true.
    fn packed(self) -> Self;

    /// The elements of a packed tensor.
    fn values(&self) -> &[f32];

    /// The elements of a packed tensor to be written, where no other handle shares them.
    fn values_mut(&mut self) -> Option<&mut [f32]>;

    /// The buffer from the first element on, and the strides; none for a negative one. Rank 2.
    fn strided(&self) -> Option<(&[f32], [usize; 2])>;

    /// A new tensor, all of which `fill` writes.
    fn written(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Self;

    /// A new tensor of these elements.
    fn of(values: Vec<f32>, shape: Shape) -> Self;
}

impl HostBackend for Flex {
    fn here(tensors: &[&FlexTensor]) -> bool {
        tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
    }

    fn whole_numbers(tensor: FlexTensor) -> Vec<i64> {
        Self::int_cast(tensor, IntDType::I64).to_contiguous().storage::<i64>().to_vec()
    }

    fn held<const D: usize>(tensor: &Tensor<D>) -> Option<FlexTensor> {
        tensor.clone().try_into_primitive::<Self>().ok().filter(|tensor| Self::here(&[tensor]))
    }

    fn plain<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
        Tensor::from_primitive::<Self>(tensor)
    }
}

impl HostTensor for FlexTensor {
    fn packed(self) -> Self {
        let bytes = self.layout().num_elements() * size_of::<f32>();
        let whole = self.is_contiguous() && self.layout().start_offset() == 0 && self.bytes().len() == bytes;
        if whole { self } else { self.to_contiguous() }
    }

    fn values(&self) -> &[f32] {
        self.storage()
    }

    fn values_mut(&mut self) -> Option<&mut [f32]> {
        self.try_storage_mut()
    }

    fn strided(&self) -> Option<(&[f32], [usize; 2])> {
        let [rows, columns] = self.layout().strides()[..] else { return None };
        let strides = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
        Some((self.storage().get(self.layout().start_offset()..).unwrap_or_default(), strides))
    }

    fn written(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Self {
        Self::of(unwritten(shape.num_elements(), fill), shape)
    }

    fn of(values: Vec<f32>, shape: Shape) -> Self {
        Self::from_data(TensorData::new(values, shape))
    }
}

/// The tensor itself where its elements lie in order and nothing else does, else a copy of which that is true.
pub(crate) fn packed<T: HostTensor>(tensor: T) -> T {
    tensor.packed()
}

/// The elements of a packed tensor to be written; it becomes a copy where another handle shares them.
pub(crate) fn writable<T: HostTensor>(tensor: &mut T) -> &mut [f32] {
    if !tensor.can_mut() {
        *tensor = copied(tensor);
    }
    tensor.values_mut().unwrap_or_else(|| unreachable!("nobody else holds a new copy"))
}

/// A copy of a packed tensor.
pub(crate) fn copied<T: HostTensor>(tensor: &T) -> T {
    T::written(tensor.shape(), |out| {
        out.write_copy_of_slice(tensor.values());
    })
}

/// A new f32 tensor.
pub(crate) fn tensor<T: HostTensor>(values: Vec<f32>, shape: impl Into<Shape>) -> T {
    T::of(values, shape.into())
}

/// A new f32 tensor, all of which `fill` writes: a large one is not set to zero before.
pub(crate) fn written<T: HostTensor>(shape: impl Into<Shape>, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> T {
    T::written(shape.into(), fill)
}

/// The sizes of a tensor of rank `D`.
pub(crate) fn dims<const D: usize>(tensor: &impl TensorMetadata) -> [usize; D] {
    tensor.shape().dims()
}
