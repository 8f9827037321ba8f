//! What every verb needs before it can do anything with a model: the device, the data and the task.

use burn::{prelude::*, tensor::FloatDType};
use kiln_kernels::Products;

use crate::{
    config::{Plan, Precision},
    data::{self, Dataset, Schema},
    device::{self, DeviceSpec, Opened},
    error::{Error, Result},
    model::Model,
    nn::{self, Compute},
    task::Task,
};

use super::human_bytes;

/// A resolved plan with its device opened and its data prepared.
pub struct Setup {
    /// The plan.
    pub plan: Plan,
    /// The device's name and spec.
    pub opened: Opened,
    /// The device without autodiff.
    pub device: Device,
    /// The device that records a graph.
    pub autodiff: Device,
    /// The number formats of a step.
    pub compute: Compute,
    /// The prepared data.
    pub dataset: Dataset,
    /// The same with the training rows that an epoch draws: `train.resample`.
    pub training: Dataset,
    /// The task.
    pub task: Task,
}

impl Setup {
    /// Opens the device and prepares the data, telling `progress` what takes long.
    pub fn new(plan: Plan, progress: &dyn Fn(&str)) -> Result<Self> {
        let plan = plan.with_pretrained(progress)?;
        Self::with(plan, |plan| data::prepare(&plan.data, &plan.base, plan.run.seed, progress), progress)
    }

    /// The same for a run that has `learned` its data's schema, which stays as it is.
    pub fn of_run(plan: Plan, learned: &Schema, progress: &dyn Fn(&str)) -> Result<Self> {
        let plan = plan.with_pretrained(progress)?;
        let prepare = |plan: &Plan| data::prepare_as(&plan.data, &plan.base, plan.run.seed, learned, progress);
        Self::with(plan, prepare, progress)
    }

    fn with(plan: Plan, prepare: impl FnOnce(&Plan) -> Result<Dataset>, progress: &dyn Fn(&str)) -> Result<Self> {
        let opened = DeviceSpec::parse(&plan.train.device)?.open()?;
        let compute = compute(plan.train.precision, &opened)?;
        let dataset = prepare(&plan)?;
        let training = match plan.train.resample {
            Some(how) => dataset.resampled(how, plan.run.seed)?,
            None => dataset.clone(),
        };
        let ranking = plan.data.interactions.as_ref().map(|asked| asked.loss).unwrap_or_default();
        let mut task = Task::new(plan.data.task, dataset.schema(), plan.train.label_smoothing)?.ranking(ranking);
        if let Some(weights) = &plan.train.class_weights {
            task = task.weighted(weights, &training.class_counts()?)?;
        }
        task.about_classes(&training, plan.train.resample.is_some())?.iter().for_each(|line| progress(line));
        let device = opened.device.clone();
        let mut autodiff = device.clone().autodiff();
        if plan.train.gradient_checkpointing {
            autodiff = autodiff.gradient_checkpointing();
        }
        Ok(Self { plan, opened, device, autodiff, compute, dataset, training, task })
    }

    /// A model with the initial weights that the seed gives, on the device that records a graph.
    ///
    /// Every device has a generator of its own, so flex draws the weights whatever computes: a run begins alike everywhere.
    pub fn model(&self) -> Result<Model> {
        let model = self.drawn()?;
        match self.plan.pretrained(&|_| ())? {
            Some(folder) => model.with_pretrained(&folder),
            None => Ok(model),
        }
    }

    /// The same without pretrained weights.
    fn drawn(&self) -> Result<Model> {
        let signature = self.task.signature();
        let drawn_on = |device: &Device| {
            device.seed(self.plan.run.seed);
            self.plan.model.init(&signature, device)
        };
        match DeviceSpec::Flex.open() {
            Ok(flex) if self.opened.spec != flex.spec => {
                let weights = nn::tensors_of(&drawn_on(&flex.device)?)?;
                nn::load_tensors(self.plan.model.init(&signature, &self.autodiff)?, &weights)
            }
            _ => drawn_on(&self.autodiff),
        }
    }

    /// What `train.precision` = "bf16" comes to on this device and processor, in one line; None for a run in f32.
    pub fn about_bf16(&self) -> Option<String> {
        if self.plan.train.precision == Precision::F32 {
            return None;
        }
        Some(match (self.compute.products, kiln_kernels::bf16_instructions()) {
            (Products::F32, _) => "activations and products in bf16, weights and statistics in f32".into(),
            (Products::Bf16, Some(name)) => format!("products of bf16 with {name}, everything else in f32"),
            (Products::Bf16, None) => "everything in f32, which this processor multiplies no slower than bf16".into(),
        })
    }

    /// What training holds at least, in bytes: weights, gradients and two moments, in f32.
    pub fn least_memory(&self) -> u64 {
        self.parameters().saturating_mul(16)
    }

    /// Refuses a model that this machine cannot hold, before anything is allocated. A GPU answers for itself.
    pub fn check_memory(&self) -> Result<()> {
        let (needed, there) = (self.least_memory(), device::available_memory());
        if needed <= there || !DeviceSpec::parse(&self.opened.spec)?.on_host() {
            return Ok(());
        }
        Err(Error::input(format!(
            "the model's {} parameters need {} for weights, gradients and moments, and this machine has {} to give",
            indicatif::HumanCount(self.parameters()),
            human_bytes(needed),
            human_bytes(there)
        ))
        .next("make the model smaller (`kiln check` tells what it needs), or free memory"))
    }

    /// Number of the model's learned parameters.
    pub fn parameters(&self) -> u64 {
        self.plan.model.count(&self.task.signature())
    }
}

/// The number formats that a precision means on a device; one without them is the user's to change, never silently cast.
fn compute(precision: Precision, opened: &Opened) -> Result<Compute> {
    let dtype = match precision {
        Precision::F32 => return Ok(Compute::F32),
        // The host's kernels multiply in bf16 and keep everything else in f32: the products bind their element-wise work.
        Precision::Bf16 if opened.runs_host_kernels() => {
            return Ok(Compute { products: Products::Bf16, ..Compute::F32 });
        }
        Precision::Bf16 => FloatDType::BF16,
    };
    if !opened.device.supports_dtype(dtype) {
        return Err(Error::input(format!("`train.precision` = \"bf16\": {} has no bf16 arithmetic", opened.name))
            .next("set `train.precision` to \"f32\", or choose a device that `kiln devices` lists with bf16"));
    }
    Ok(dtype.into())
}
