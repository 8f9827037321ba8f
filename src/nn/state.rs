//! A module's tensors by dotted path: read to the host, written back strictly, hashed.

use std::collections::BTreeSet;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    prelude::{Bool, Int, Tensor},
    tensor::{DType, TensorData},
};

use super::Tensors;
use crate::error::{Error, Result};

/// Mismatches named in one error; the rest are counted.
const NAMED: usize = 3;

/// Where a traversal of a module stands: the dotted path, and the structs that hold it.
///
/// An enum's variant adds no segment, so `Model::Gpt(gpt)` has the paths of `gpt`.
#[derive(Debug, Default)]
pub struct ModulePath {
    segments: Vec<String>,
    structs: Vec<String>,
}

impl ModulePath {
    /// Follows [`ModuleVisitor::enter_module`] (or the mapper's).
    pub fn enter(&mut self, name: &str, container: &str) {
        if let Some(owner) = container.strip_prefix("Struct:") {
            self.structs.push(owner.to_string());
        }
        if !container.starts_with("Enum:") {
            self.segments.push(name.to_string());
        }
    }

    /// Follows [`ModuleVisitor::exit_module`] (or the mapper's).
    pub fn exit(&mut self, container: &str) {
        if container.starts_with("Struct:") {
            self.structs.pop();
        }
        if !container.starts_with("Enum:") {
            self.segments.pop();
        }
    }

    /// The segments joined by dots: `blocks.0.attention.qkv.weight`.
    pub fn dotted(&self) -> String {
        self.segments.join(".")
    }

    /// The segments, outermost first; the last one names the parameter.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The type name of the struct that holds the parameter, such as `Linear`; empty outside any struct.
    pub fn owner(&self) -> &str {
        self.structs.last().map_or("", String::as_str)
    }
}

/// The error of tensors that do not fit: how many mismatches, the first three named, and what to do.
pub(crate) fn mismatch(what: &str, problems: &[String], next: &str) -> Error {
    let named = problems.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
    let more = match problems.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    let count = if problems.len() == 1 { "1 mismatch".into() } else { format!("{} mismatches", problems.len()) };
    Error::input(format!("{what} ({count}): {named}{more}")).next(next)
}

/// Why `data` can't become a tensor of `shape`, if it can't.
pub(crate) fn misfit(path: &str, data: &TensorData, shape: &[usize]) -> Option<String> {
    let found = data.shape().to_vec();
    if found != shape {
        return Some(format!("`{path}` has shape {found:?} where {shape:?} is needed"));
    }
    (!data.dtype().is_float()).then(|| format!("`{path}` holds {:?} where floats are needed", data.dtype()))
}

/// Reads all float parameters and running buffers of `module` to the host as f32, by dotted path.
///
/// # Errors
/// A device that fails to answer; an integer or boolean parameter, which has no place in [`Tensors`].
pub fn tensors_of<M: Module>(module: &M) -> Result<Tensors> {
    // BatchNorm's running statistics lag by one update until `valid` folds the pending one in.
    let module = module.valid();
    let mut reader = Reader { path: ModulePath::default(), tensors: Ok(Tensors::new()) };
    module.visit(&mut reader);
    reader.tensors
}

struct Reader {
    path: ModulePath,
    tensors: Result<Tensors>,
}

impl Reader {
    fn refuse(&mut self, kind: &str) {
        if self.tensors.is_ok() {
            self.tensors = Err(not_float(&self.path.dotted(), kind));
        }
    }
}

fn not_float(path: &str, kind: &str) -> Error {
    Error::failed(format!("the module's `{path}` is {kind} parameter, and only float parameters can be saved"))
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(tensors) = &mut self.tensors else { return };
        let path = self.path.dotted();
        match param.transform_for_save().into_value().try_into_data_dtype(DType::F32) {
            Ok(data) => {
                tensors.insert(path, data);
            }
            Err(e) => self.tensors = Err(Error::failed(format!("cannot read `{path}` from the device: {e}"))),
        }
    }

    fn visit_int<const D: usize>(&mut self, _param: &Param<Tensor<D, Int>>) {
        self.refuse("an integer");
    }

    fn visit_bool<const D: usize>(&mut self, _param: &Param<Tensor<D, Bool>>) {
        self.refuse("a boolean");
    }
}

/// Replaces every float parameter and running buffer of `module` by the tensor of its path, on its own device.
///
/// Parameter ids, `require_grad` and the checkpointing strategy stay. Nothing is replaced unless all fits. Running
/// buffers are shared between a module and its clones, so a clone's are replaced as well.
///
/// # Errors
/// Names that are missing or that the module lacks, and shapes that differ, all in one error.
pub fn load_tensors<M: Module>(module: M, tensors: &Tensors) -> Result<M> {
    let mut check =
        Check { path: ModulePath::default(), tensors, seen: BTreeSet::new(), problems: vec![], lazy: false };
    module.visit(&mut check);
    let unexpected = tensors.keys().filter(|name| !check.seen.contains(*name));
    check.problems.extend(unexpected.map(|name| format!("`{name}` is not in the model")));
    if !check.problems.is_empty() {
        let next = "load them with the config that they were saved with";
        return Err(mismatch("the saved tensors do not fit the model", &check.problems, next));
    }
    if !check.lazy {
        // Folds pending running statistics in, which would otherwise replace the loaded ones at the next step.
        // A module with uninitialised parameters has none.
        drop(module.valid());
    }
    let mut writer = Writer { path: ModulePath::default(), tensors, failed: None };
    let module = module.map(&mut writer);
    writer.failed.map_or(Ok(module), Err)
}

struct Check<'a> {
    path: ModulePath,
    tensors: &'a Tensors,
    seen: BTreeSet<String>,
    problems: Vec<String>,
    /// Some parameter is not initialised yet.
    lazy: bool,
}

impl ModuleVisitor for Check<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.dotted();
        self.lazy |= !param.is_initialized();
        match self.tensors.get(&path) {
            None => self.problems.push(format!("`{path}` is missing")),
            Some(data) => self.problems.extend(misfit(&path, data, &param.lazy_shape().to_vec())),
        }
        self.seen.insert(path);
    }

    fn visit_int<const D: usize>(&mut self, _param: &Param<Tensor<D, Int>>) {
        self.problems.push(format!("the model's `{}` is an integer parameter", self.path.dotted()));
    }

    fn visit_bool<const D: usize>(&mut self, _param: &Param<Tensor<D, Bool>>) {
        self.problems.push(format!("the model's `{}` is a boolean parameter", self.path.dotted()));
    }
}

struct Writer<'a> {
    path: ModulePath,
    tensors: &'a Tensors,
    failed: Option<Error>,
}

impl ModuleMapper for Writer<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let Some(data) = self.tensors.get(&path) else { return param };
        match data.clone().try_cast(DType::F32) {
            Ok(data) => {
                let id = param.id;
                let tensor = Tensor::from_data(data, (&param.lazy_device(), DType::F32));
                param.transform_for_load(tensor, id)
            }
            Err(e) => {
                self.failed = Some(Error::failed(format!("cannot convert `{path}` to f32: {e}")));
                param
            }
        }
    }
}

/// A blake3 of all names, types, shapes and bytes, in hexadecimal.
pub fn hash_of(tensors: &Tensors) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for (name, data) in tensors {
        field(name.as_bytes());
        field(format!("{:?}{:?}", data.dtype(), data.shape().to_vec()).as_bytes());
        field(data.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Bytes of all values.
pub fn num_bytes(tensors: &Tensors) -> u64 {
    tensors.values().map(|data| data.as_bytes().len() as u64).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
