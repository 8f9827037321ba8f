//! Tensor kernels for kiln.
