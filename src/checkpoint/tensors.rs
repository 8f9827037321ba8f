//! SafeTensors files, written and read as a stream: no second copy of the weights in memory.
//!
//! The header is our own so that equal tensors give equal bytes (the crate keeps its metadata in a hash map).

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use burn::tensor::{BoolStore, DType, TensorData};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde_json::json;

use super::damaged;
use crate::{
    error::{Error, IoContext, Result},
    nn::Tensors,
};

/// The largest header that is read, in bytes: the bound of the safetensors crate.
const MAX_HEADER: u64 = 100_000_000;

/// Writes `tensors`: length of the header (u64, little-endian), header (JSON), values.
pub(super) fn write(out: &mut impl Write, tensors: &Tensors, step: u64) -> io::Result<()> {
    let mut ordered =
        tensors.iter().map(|(name, data)| Ok((dtype(data)?, name, data))).collect::<io::Result<Vec<_>>>()?;
    // Widest dtype first keeps every tensor aligned.
    ordered.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut header = BTreeMap::from([("__metadata__", json!({"format": "kiln", "step": step.to_string()}))]);
    let mut offset = 0;
    for (dtype, name, data) in &ordered {
        let end = offset + data.bytes().len();
        let info = TensorInfo { dtype: *dtype, shape: data.shape().to_vec(), data_offsets: (offset, end) };
        header.insert(name, serde_json::to_value(info)?);
        offset = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    ordered.iter().try_for_each(|(_, _, data)| out.write_all(data.bytes()))
}

/// Reads the tensors in `path`; `f32` refuses any other dtype.
pub(super) fn read(path: &Path, f32: bool) -> Result<Tensors> {
    let (metadata, mut file) = open(path)?;
    let mut tensors = Tensors::new();
    for (name, info) in in_order(&metadata) {
        let dtype = match host_dtype(info.dtype) {
            Some(dtype) if !f32 || dtype == DType::F32 => dtype,
            _ => return Err(damaged(path, format!("`{name}` is stored as {:?}", info.dtype))),
        };
        let mut bytes = vec![0; info.data_offsets.1 - info.data_offsets.0];
        file.read_exact(&mut bytes).io("read", path)?;
        let data = TensorData::try_from_bytes_vec(bytes, info.shape.clone(), dtype)
            .map_err(|e| damaged(path, format!("`{name}`: {e}")))?;
        tensors.insert(name, data);
    }
    Ok(tensors)
}

/// Opens `path` and reads its header; the reader then stands at the first value.
pub(super) fn open(path: &Path) -> Result<(Metadata, BufReader<File>)> {
    let file = File::open(path).io("read", path)?;
    let size = file.metadata().io("read", path)?.len();
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut length = [0; 8];
    file.read_exact(&mut length).io("read", path)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > size {
        return Err(damaged(path, format!("its header would have {length} bytes")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).io("read", path)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| damaged(path, e))?;
    if metadata.data_len() as u64 != size - length - 8 {
        return Err(damaged(path, "its header and its size do not fit"));
    }
    Ok((metadata, file))
}

/// Names and tensors in the order of their bytes.
pub(super) fn in_order(metadata: &Metadata) -> Vec<(String, &TensorInfo)> {
    let infos: HashMap<String, &TensorInfo> = metadata.tensors();
    let mut infos: Vec<_> = infos.into_iter().collect();
    infos.sort_by(|a, b| a.1.data_offsets.cmp(&b.1.data_offsets).then_with(|| a.0.cmp(&b.0)));
    infos
}

/// Refuses weights that aren't f32, before anything is written.
pub(super) fn require_f32(tensors: &Tensors) -> Result<()> {
    match tensors.iter().find(|(_, data)| data.dtype() != DType::F32) {
        Some((name, data)) => {
            Err(Error::failed(format!("weight `{name}` is {}, a checkpoint holds f32", data.dtype().name())))
        }
        None => Ok(()),
    }
}

const DTYPES: [(DType, Dtype); 13] = [
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I64, Dtype::I64),
    (DType::I32, Dtype::I32),
    (DType::I16, Dtype::I16),
    (DType::I8, Dtype::I8),
    (DType::U64, Dtype::U64),
    (DType::U32, Dtype::U32),
    (DType::U16, Dtype::U16),
    (DType::U8, Dtype::U8),
    (DType::Bool(BoolStore::Native), Dtype::BOOL),
];

fn dtype(data: &TensorData) -> io::Result<Dtype> {
    let found = DTYPES.iter().find(|(host, _)| *host == data.dtype()).map(|(_, stored)| *stored);
    found.ok_or_else(|| io::Error::other(format!("SafeTensors has no {}", data.dtype().name())))
}

fn host_dtype(stored: Dtype) -> Option<DType> {
    DTYPES.iter().find(|(_, s)| *s == stored).map(|(host, _)| *host)
}
