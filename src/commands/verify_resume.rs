//! `kiln verify-resume`: the proof that a killed run continues exactly.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use serde::Serialize;

use super::Console;
use crate::{
    checkpoint,
    config::Plan,
    error::{Error, IoContext, Result},
    nn::Tensors,
    track::{self, Event},
    train::{KILL_AFTER, RunDir, choose_checkpoint},
};

#[derive(Debug, Serialize)]
struct Proof {
    steps: u64,
    killed_after: u64,
    losses_equal: usize,
    batches_equal: usize,
    tensors_equal: usize,
    tensors: usize,
    identical: bool,
    difference: Option<String>,
}

/// Trains `steps` straight; trains again, dies by SIGKILL past half-way, resumes; compares losses, batches and tensors.
pub fn verify_resume(mut plan: Plan, steps: u64, console: &Console) -> Result<()> {
    if steps < 4 {
        return Err(Error::input(format!("--steps {steps} leaves nothing to resume")).next("give at least 4"));
    }
    let scratch = tempfile::tempdir().map_err(|e| Error::failed(format!("cannot make a scratch folder: {e}")))?;
    let half = steps / 2;
    plan.run.dir = scratch.path().to_path_buf();
    plan.train.steps = steps;
    plan.train.epochs = 0.0;
    plan.train.log_every = 1;
    plan.eval.every = half;
    plan.checkpoint.every = half;
    plan.checkpoint.keep = 2;
    let config = scratch.path().join("plan.toml");
    std::fs::write(&config, plan.to_toml()?).io("write", &config)?;

    console.say(&format!("training {steps} steps straight"));
    kiln(&["train", &config.to_string_lossy(), "--set", "run.name=straight"], None)?;
    console.say(&format!("training again, killed by SIGKILL after step {}", half + 1));
    kiln(&["train", &config.to_string_lossy(), "--set", "run.name=killed"], Some(half + 1))?;
    console.say(&format!("resuming from step {half}"));
    kiln(&["resume", &scratch.path().join("killed").to_string_lossy()], None)?;

    let proof = compare(scratch.path(), steps, half + 1)?;
    console.result(&proof, || {
        format!(
            "{} of {steps} losses, {} of {steps} batches and {} of {} tensors (weights, optimizer) are bit for bit equal",
            proof.losses_equal, proof.batches_equal, proof.tensors_equal, proof.tensors
        )
    })?;
    match proof.difference {
        None => Ok(()),
        Some(what) => Err(Error::failed(format!("the resumed run is not the straight one: {what}")).next(
            "on flex and ndarray this is a fault of kiln; a GPU that sums in any order may differ in the last digits",
        )),
    }
}

/// Runs this very binary; with `kill_after` it must die by SIGKILL, otherwise succeed.
fn kiln(args: &[&str], kill_after: Option<u64>) -> Result<()> {
    let exe = std::env::current_exe().map_err(|e| Error::failed(format!("cannot find kiln's own binary: {e}")))?;
    let mut command = Command::new(exe);
    command.args(args).arg("--quiet").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    if let Some(step) = kill_after {
        command.env(KILL_AFTER, step.to_string());
    }
    let output = command.output().map_err(|e| Error::failed(format!("cannot start kiln: {e}")))?;
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    if (kill_after.is_some() && killed) || (kill_after.is_none() && output.status.success()) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("`kiln {}` ended with {}: {}", args.join(" "), output.status, said.trim())))
}

fn compare(scratch: &Path, steps: u64, killed_after: u64) -> Result<Proof> {
    let (straight, killed) = (RunDir::new(scratch.join("straight")), RunDir::new(scratch.join("killed")));
    let (a, b) = (journal(&straight)?, journal(&killed)?);
    let mut difference = None;
    let mut differ = |what: String| {
        difference.get_or_insert(what);
    };
    let (mut losses_equal, mut batches_equal) = (0, 0);
    for step in 1..=steps {
        let (Some((loss_a, batch_a)), Some((loss_b, batch_b))) = (a.get(&step), b.get(&step)) else {
            differ(format!("step {step} is missing in a journal"));
            continue;
        };
        if loss_a.to_bits() == loss_b.to_bits() {
            losses_equal += 1;
        } else {
            differ(format!("the loss of step {step} is {loss_a} straight and {loss_b} resumed"));
        }
        if batch_a == batch_b {
            batches_equal += 1;
        } else {
            differ(format!("step {step} drew another batch"));
        }
    }
    let (a, b) = (tensors(&straight)?, tensors(&killed)?);
    if a.len() != b.len() {
        differ(format!("{} tensors straight, {} resumed", a.len(), b.len()));
    }
    let unequal: Vec<&String> =
        a.iter().filter(|(name, data)| b.get(*name) != Some(*data)).map(|(name, _)| name).collect();
    if let Some(name) = unequal.first() {
        differ(format!("tensor {name} differs"));
    }
    let (tensors, tensors_equal) = (a.len(), a.len() - unequal.len());
    let identical = difference.is_none();
    Ok(Proof { steps, killed_after, losses_equal, batches_equal, tensors_equal, tensors, identical, difference })
}

fn journal(run: &RunDir) -> Result<BTreeMap<u64, (f64, String)>> {
    let steps = track::read(&run.journal())?.into_iter().filter_map(|event| match event {
        Event::Step { step, loss, batch, .. } => Some((step, (loss, batch))),
        _ => None,
    });
    Ok(steps.collect())
}

/// Weights, averages and optimizer state of the last checkpoint, by name.
fn tensors(run: &RunDir) -> Result<Tensors> {
    let snapshot = checkpoint::load(&choose_checkpoint(run, "latest")?)?;
    let parts = [("weights", Some(snapshot.weights)), ("optim", Some(snapshot.optim)), ("ema", snapshot.ema)];
    let named = parts.into_iter().filter_map(|(part, tensors)| tensors.map(|t| (part, t)));
    Ok(named.flat_map(|(part, t)| t.into_iter().map(move |(name, data)| (format!("{part}/{name}"), data))).collect())
}
