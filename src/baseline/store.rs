//! The gate in a run's folder: gzipped JSON, bounded and checked when it is read.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use super::Gate;
use crate::{
    error::{Error, IoContext, Result},
    track::atomic,
};

/// The file's name in a run's folder.
pub const FILE: &str = "baseline.json.gz";

/// Raised whenever an older kiln could not read what is written.
const VERSION: u32 = 1;

/// Bytes that are unpacked at most: some ten times a forest on 20,000 rows.
const MAX_BYTES: u64 = 512 << 20;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    gate: Gate,
}

/// Writes the gate into `folder`.
pub fn store(folder: &Path, gate: &Gate) -> Result<()> {
    let path = folder.join(FILE);
    let json = |e: serde_json::Error| Error::failed(format!("cannot write the baseline as JSON: {e}"));
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut packed, &Stored { version: VERSION, gate: gate.clone() }).map_err(json)?;
    packed.flush().io("pack", &path)?;
    atomic::write(&path, &packed.finish().io("pack", &path)?)
}

/// Reads the gate of `folder`; `None` where there is none.
///
/// # Errors
/// A file that is too large, damaged or of another version, or a model that cannot be trusted.
pub fn load(folder: &Path) -> Result<Option<Gate>> {
    let path = folder.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let bad = |why: &str| {
        Error::input(format!("{} is no baseline: {why}", path.display()))
            .next("delete the file; `kiln eval` fits the baselines again")
    };
    let mut text = Vec::new();
    let unpacked = GzDecoder::new(File::open(&path).io("read", &path)?).take(MAX_BYTES).read_to_end(&mut text);
    unpacked.map_err(|e| bad(&e.to_string()))?;
    if text.len() as u64 == MAX_BYTES {
        return Err(bad("it is larger than 512 MiB"));
    }
    let stored: Stored = serde_json::from_slice(&text).map_err(|e| bad(&e.to_string()))?;
    if stored.version != VERSION {
        return Err(bad(&format!("it is of version {}, and this kiln reads {VERSION}", stored.version)));
    }
    stored.gate.model.check().map_err(|e| bad(&e.0))?;
    Ok(Some(stored.gate))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use kiln_classic::{Kind, Rows, Targets, fit};

    use super::*;
    use crate::{baseline::BaselineConfig, metric::Headline};

    fn gate() -> Gate {
        let rows = Rows { values: &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], columns: 1 };
        let targets = Targets::Classes { ids: &[0, 0, 0, 1, 1, 1], classes: 2 };
        Gate {
            dataset: "d".into(),
            config: BaselineConfig::default(),
            figure: Headline::Auroc,
            rows: 6,
            of: 6,
            candidates: Vec::new(),
            best: Kind::Linear,
            model: fit(Kind::Linear, rows, targets, 1).unwrap(),
            terms: None,
        }
    }

    #[test]
    fn a_gate_comes_back_as_it_was_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path()).unwrap(), None);
        let gate = gate();
        store(folder.path(), &gate).unwrap();
        assert_eq!(load(folder.path()).unwrap(), Some(gate.clone()));

        let said = |bytes: &[u8]| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(bytes).unwrap();
            std::fs::write(folder.path().join(FILE), packed.finish().unwrap()).unwrap();
            load(folder.path()).unwrap_err().to_string()
        };
        let text = serde_json::to_string(&Stored { version: VERSION, gate }).unwrap();
        assert!(said(text.replace("\"version\":1", "\"version\":2").as_bytes()).contains("of version 2"));
        assert!(said(text.replace("\"columns\":1", "\"columns\":9").as_bytes()).contains("does not fit the columns"));
        assert!(said(&text.as_bytes()[..text.len() / 2]).contains("EOF"));
        std::fs::write(folder.path().join(FILE), "no gzip").unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("fits the baselines again"));
    }
}
