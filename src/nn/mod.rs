//! Layers: a config beside its module, and a module's tensors by name.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

/// A module's (or an optimizer's) tensors by dotted path, such as `blocks.0.attention.query.weight`.
pub type Tensors = BTreeMap<String, TensorData>;
