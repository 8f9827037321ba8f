//! One step's gradients: micro-batches accumulated, weighted by valid targets.

use burn::{optim::GradientsParams, prelude::*};

use super::Run;
use crate::{
    error::{Error, Result},
    optim::Accumulator,
};

/// The gradients of a step and what they came from, before anything was read back.
pub struct Accumulated {
    /// d(mean loss over the step's valid targets) / d(parameter).
    pub grads: GradientsParams,
    loss: Tensor<1>,
    facts: StepReport,
}

/// What a step was: enough to judge it, to journal it and to find its rows again.
#[derive(Debug, Clone, Default)]
pub struct StepReport {
    /// Steps taken before this one.
    pub step: u64,
    /// Passes over the training split before its first row, as a fraction.
    pub epoch: f64,
    /// Mean loss a valid target, label smoothing included.
    pub loss: f64,
    /// Global gradient norm before the clip.
    pub norm: f64,
    /// The scheduled learning rate.
    pub lr: f64,
    /// Targets that took part in the loss: tokens or rows.
    pub valid: usize,
    /// The rows of the training split, in the order of the batch.
    pub rows: Vec<u64>,
}

/// Draws the step's micro-batches and accumulates their gradients.
///
/// Every micro-batch's loss is divided by the valid targets of the whole step, so 1×32 equals 4×8 with padding in play.
pub fn accumulate(run: &mut Run) -> Result<Accumulated> {
    let plan = &run.setup.plan.train;
    let facts = run.facts();
    let batches = (0..plan.accumulate).map(|_| run.loader.next()).collect::<Result<Vec<_>>>()?;
    let valid: usize = batches.iter().map(|b| b.valid()).sum();
    if valid == 0 {
        return Err(Error::failed(format!("step {} has no valid target", facts.step + 1)));
    }
    let mut sum = Accumulator::new();
    let mut losses = Vec::with_capacity(batches.len());
    let mut rows = Vec::new();
    for batch in batches {
        let compute = run.setup.compute;
        let (input, targets) = run.setup.task.upload(&batch, &run.setup.autodiff)?;
        let loss = compute.scope(|| {
            let outputs = run.model.outputs(input, compute.activations);
            run.setup.task.loss(outputs, targets, 1.0 / valid as f64)
        });
        losses.push(loss.clone().inner());
        sum.add(&run.model, GradientsParams::from_grads(loss.backward(), &run.model));
        rows.extend(batch.rows);
    }
    run.state.position += rows.len() as u64;
    run.state.tokens += valid as u64;
    Ok(Accumulated {
        grads: sum.take(),
        loss: Tensor::cat(losses, 0).sum(),
        facts: StepReport { valid, rows, ..facts },
    })
}

impl Accumulated {
    /// Reads loss and norm back together: the step's one wait for the device.
    pub fn read(&self, norm: Tensor<1>) -> Result<StepReport> {
        let both = Tensor::cat(vec![self.loss.clone(), norm], 0);
        let both: Vec<f32> = both.try_into_vec_as().map_err(|e| {
            Error::failed(format!("the device failed in step {}: {e}", self.facts.step + 1))
                .next("`kiln resume` goes on from the last checkpoint; a smaller `train.batch` needs less memory")
        })?;
        let [loss, norm] = both[..] else {
            return Err(Error::failed("the device returned no loss"));
        };
        Ok(StepReport { loss: loss.into(), norm: norm.into(), ..self.facts.clone() })
    }
}

impl StepReport {
    /// A short hash of the batch's rows, so that two runs' batches can be compared line by line.
    pub fn batch_id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for row in &self.rows {
            hasher.update(&row.to_le_bytes());
        }
        hasher.finalize().to_hex()[..16].to_string()
    }
}
