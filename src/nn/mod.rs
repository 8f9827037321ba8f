//! Layers: a config beside its module, and a module's tensors by name.

mod state;

use std::collections::BTreeMap;

use burn::tensor::TensorData;

pub use state::{ModulePath, hash_of, load_tensors, num_bytes, tensors_of};
pub(crate) use state::{misfit, mismatch};

/// A module's (or an optimizer's) tensors by dotted path, such as `blocks.0.attention.query.weight`.
pub type Tensors = BTreeMap<String, TensorData>;
