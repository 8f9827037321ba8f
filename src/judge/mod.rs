//! A trained run before its judges: metrics with their worth, and the best classic model beside it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    baseline::{self, BaselineConfig, BaselineKind, Candidate, Comparison, Gate},
    data::{Dataset, Split},
    error::{Error, Result},
    eval::{Adjusted, Aimed, Assessment, Importance, Judge, Pass, Sliced, assess, calibrate, importance, slices},
    metric::{Headline, Predictions, Resampling, Truth, flagged, score_threshold},
    task::Report,
    train::{INFERENCE, Setup, Trained},
};

/// What is asked beyond the metrics.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// A binary cut to choose on the validation rows.
    pub aim: Option<Aimed>,
    /// Columns to tell apart by.
    pub slices: Vec<String>,
    /// How much every column matters.
    pub importance: bool,
    /// How many of the columns that matter most to tell apart by, beside `slices`.
    pub most_important: usize,
}

/// Everything that was found of a run on a split.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The run's folder.
    pub run: PathBuf,
    /// The checkpoint's step.
    pub step: u64,
    /// The rows.
    pub split: Split,
    /// Its metrics, and their tables.
    #[serde(flatten)]
    pub report: Report,
    /// What they are worth; absent for a language model.
    pub assessment: Option<Assessment>,
    /// The classic models, as they were chosen on the validation rows.
    pub baselines: Option<Baselines>,
    /// The network beside the best of them.
    pub gate: Option<Comparison>,
    /// Columns by importance, where it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub importance: Vec<Importance>,
    /// Parts of the rows, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Sliced>,
    /// What the figures come from.
    #[serde(skip)]
    pub predictions: Option<Predictions>,
}

/// The classic models of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Baselines {
    /// What they were compared by, on the validation rows.
    pub figure: Headline,
    /// Training rows that they were fitted on.
    pub rows: usize,
    /// Training rows that there are.
    pub of: u64,
    /// Every one of them.
    pub candidates: Vec<Candidate>,
    /// The best one.
    pub best: BaselineKind,
}

impl Baselines {
    fn of(gate: &Gate) -> Self {
        let Gate { figure, rows, of, candidates, best, .. } = gate.clone();
        Self { figure, rows, of, candidates, best }
    }
}

/// Judges a checkpoint on a whole split. Baselines that are not there yet, or are of other data, are fitted and kept in
/// the run's folder, and so is what calibration learned.
///
/// # Errors
/// An empty split, something asked for that the task does not have, or a device that fails.
pub fn judge(trained: &Trained, split: Split, asked: &Asked, say: &dyn Fn(&str)) -> Result<Found> {
    let plan = &trained.plan;
    let batch = if plan.eval.batch > 0 { plan.eval.batch } else { plan.train.batch };
    // What the run learned of its columns is applied as it is, whatever the source holds now.
    let setup = Setup::of_run(plan.clone(), &trained.schema()?, &|_| {})?;
    if setup.dataset.is_empty(split) {
        return Err(Error::input(format!("the data have no {split} split"))
            .next(format!("set `data.holdout.{split}`, or evaluate another --split")));
    }
    let (model, step) = trained.weights(&setup.task, &setup.device)?;
    let dataset = &setup.dataset;
    let judge = Judge { model: &model, task: &setup.task, dataset, device: &setup.device, compute: INFERENCE };
    let on = |split: Split| judge.predictions(Pass { split, batch, batches: 0 });
    let (report, predictions) = on(split)?;
    let mut found = Found {
        run: trained.dir.path().to_path_buf(),
        step,
        split,
        report,
        assessment: None,
        baselines: None,
        gate: None,
        importance: Vec::new(),
        slices: Vec::new(),
        predictions: None,
    };
    let Some(predictions) = predictions else { return language_model(found, asked) };
    let validation = match split {
        Split::Validation => Some(predictions.clone()),
        _ if dataset.is_empty(Split::Validation) => None,
        _ => on(Split::Validation)?.1,
    };
    let how = Resampling { times: plan.eval.resamples, level: plan.eval.level, seed: plan.run.seed };
    let mut known = validation.as_ref().map(|known| (known, calibrate(known, step, how.level)));
    if let Truth::Anomalies(_) = &predictions.truth {
        let share = plan.data.anomaly.clone().unwrap_or_default().quantile;
        let threshold = on(Split::Train)?.1.and_then(|training| score_threshold(&training.outputs, share));
        found.report.metrics.extend(threshold.map(|t| told(&predictions, t)).unwrap_or_default());
        known.iter_mut().for_each(|(_, adjusted)| adjusted.threshold = threshold);
        if known.is_none() {
            keep(&Adjusted { threshold, ..calibrate(&predictions, step, how.level) }, trained.dir.path(), say);
        }
    }
    if let Some((_, adjusted)) = &known {
        keep(adjusted, trained.dir.path(), say);
    }
    found.assessment = Some(assess(&predictions, known, asked.aim.as_ref(), how)?);
    let figure = plan.eval.figure.unwrap_or_else(|| Headline::usual(&predictions));
    if let Some(gate) = gate(trained.dir.path(), &plan.baseline, dataset, figure, plan.run.seed, say)? {
        found.gate = baseline::compare(&gate, &predictions, dataset, split, how)?;
        found.baselines = Some(Baselines::of(&gate));
    }
    if asked.importance {
        found.importance = importance(judge, split, figure, plan.run.seed)?;
    }
    let most = found.importance.iter().take(asked.most_important).map(|i| i.column.clone());
    let mut columns = asked.slices.clone();
    columns.extend(most.filter(|column| !asked.slices.contains(column)));
    found.slices =
        columns.iter().map(|column| slices(&predictions, dataset, split, column, how)).collect::<Result<_>>()?;
    found.predictions = Some(predictions);
    Ok(found)
}

/// What the threshold tells of the rows: the share that it flags, and how right it is where that is known.
fn told(predictions: &Predictions, threshold: f64) -> BTreeMap<String, f64> {
    let Some(cut) = flagged(predictions, threshold) else { return BTreeMap::new() };
    let share = (cut.true_positives + cut.false_positives) as f64 / predictions.len().max(1) as f64;
    let known = cut.true_positives + cut.false_negatives > 0;
    let figures = [
        ("threshold", Some(threshold)),
        ("flagged", Some(share)),
        ("precision", cut.precision.filter(|_| known)),
        ("recall", cut.recall),
        ("f1", cut.f1.filter(|_| known)),
    ];
    figures.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))).collect()
}

fn language_model(found: Found, asked: &Asked) -> Result<Found> {
    if asked.aim.is_some() || !asked.slices.is_empty() || asked.importance {
        return Err(Error::input("--threshold, --cost, --slice and --importance are for classes and values")
            .next("leave them out: this run is a language model"));
    }
    Ok(found)
}

/// A folder that cannot be written to keeps nobody from reading the figures.
fn keep(adjusted: &Adjusted, folder: &Path, say: &dyn Fn(&str)) {
    if let Err(e) = adjusted.store(folder) {
        say(&format!("the calibration is not kept: {}", e.message()));
    }
}

/// The classic models of the run in `folder`: as they were kept, or fitted now. `None` where the run has none.
///
/// # Errors
/// A damaged shard.
pub fn gate(
    folder: &Path,
    config: &BaselineConfig,
    dataset: &Dataset,
    figure: Headline,
    seed: u64,
    say: &dyn Fn(&str),
) -> Result<Option<Gate>> {
    if !baseline::applies(config, dataset) {
        return Ok(None);
    }
    match baseline::load(folder) {
        Ok(Some(gate)) if gate.stands_for(config, dataset) && gate.figure == figure => return Ok(Some(gate)),
        Ok(_) => {}
        Err(e) => say(&format!("{}; fitting the baselines again", e.message())),
    }
    say("fitting the baselines");
    let Some(fitted) = baseline::fit_gate(config, dataset, figure, seed, say)? else { return Ok(None) };
    // What is judged is what was kept: a number may lose its last bit on the way through JSON.
    let kept = baseline::store(folder, &fitted).and_then(|()| baseline::load(folder));
    kept.map(|gate| gate.or_else(|| Some(fitted.clone()))).or_else(|e| {
        say(&format!("the baseline is not kept: {}", e.message()));
        Ok(Some(fitted))
    })
}
