//! `kiln inspect`: a checkpoint's checksums, counters and tensors.

use std::path::Path;

use super::{Console, console::table};
use crate::{
    checkpoint,
    error::{Error, Result},
    train::{RunDir, choose_checkpoint, human_bytes},
};

/// Verifies a step folder, or a run's latest one, and lists what is in it.
pub fn inspect(path: &Path, console: &Console) -> Result<()> {
    let run = RunDir::new(path);
    let folder = if run.plan().is_file() { choose_checkpoint(&run, "latest")? } else { path.to_path_buf() };
    if !folder.join("manifest.json").is_file() {
        return Err(Error::input(format!("{} is neither a checkpoint nor a run", path.display()))
            .next("give a step folder, such as checkpoints/NAME/step-00000500, or a run's folder"));
    }
    checkpoint::verify(&folder)?;
    let summary = checkpoint::summary(&folder)?;
    console.say(&format!("{}: every checksum holds", folder.display()));
    console.result(&summary, || {
        let mut rows = vec![["TENSOR", "DTYPE", "SHAPE", "SIZE"].map(String::from).to_vec()];
        rows.extend(
            summary
                .tensors
                .iter()
                .map(|t| vec![t.name.clone(), t.dtype.clone(), format!("{:?}", t.shape), human_bytes(t.bytes)]),
        );
        format!(
            "step {}, {} parameters, {}\n\n{}",
            summary.state.step,
            indicatif::HumanCount(summary.parameters),
            human_bytes(summary.bytes),
            table(&rows)
        )
    })
}
