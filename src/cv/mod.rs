//! Cross-validation: the network and the classic models on the same folds, over several seeds.

mod report;

use std::path::PathBuf;

use serde::Serialize;

pub use report::{CvReport, Spread};

use crate::{
    baseline::BaselineKind,
    config::Plan,
    data::{Fold, FoldBy, Split, TaskKind, WindowConfig},
    error::{Error, Result},
    judge::{Asked, judge},
    metric::Headline,
    train::{self, Interrupt, Progress, Reason, Run, RunDir, Setup, Trained, Verbosity},
};

/// Which folds to train and judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Folds {
    /// Folds; 1 takes the config's own validation split.
    pub of: usize,
    /// How rows are shared out.
    pub by: FoldBy,
    /// The column of grouped and time-ordered folds, else empty.
    pub column: String,
    /// How often the rows are shared out anew, by another seed.
    pub repeats: usize,
    /// Seeds of the network; every one is trained on every fold. The rows are shared out alike for all of them.
    pub seeds: Vec<u64>,
}

/// One trained fold, judged on its own validation rows.
#[derive(Debug, Clone, Serialize)]
pub struct FoldResult {
    /// Which time the rows were shared out.
    pub repeat: usize,
    /// Which fold validates.
    pub fold: usize,
    /// The network's seed.
    pub seed: u64,
    /// The run's folder.
    pub run: PathBuf,
    /// Rows that it was trained on.
    pub train_rows: u64,
    /// Rows that it was judged on.
    pub judged_rows: u64,
    /// The network's figure.
    pub network: f64,
    /// The classic models' figures; one that could not be fitted is absent.
    pub baselines: Vec<(BaselineKind, f64)>,
    /// Every metric of the network.
    pub metrics: std::collections::BTreeMap<String, f64>,
}

/// Trains every fold of `plan` as a run of its own in `NAME-cv/` beside where the run itself would lie, and judges its
/// last weights on the fold's validation rows, which had no part in training them (with `train.patience` they do decide
/// when it stops). Folds that are done are not done again, so an interrupted search goes on.
///
/// What is fitted on training rows, standardisation and classic models, is fitted anew on those of each fold.
///
/// # Errors
/// A language model, folds that rows cannot fill, a fold that fails, or an interrupt with its progress saved.
pub fn cross_validate(plan: &Plan, folds: &Folds, stop: &Interrupt, say: &dyn Fn(&str)) -> Result<CvReport> {
    check(plan, folds)?;
    let mut results = Vec::new();
    let mut figure = None;
    let runs = folds.repeats * folds.of * folds.seeds.len();
    for repeat in 0..folds.repeats {
        for fold in 0..folds.of {
            for &seed in &folds.seeds {
                let plan = fold_plan(plan, folds, (repeat, fold, seed));
                let (result, by) = one(&plan, stop, (repeat, fold, seed), say)?;
                let place = results.len() + 1;
                say(&format!("{place}/{runs} {}: {} {:.4}", plan.run.name, by.name(), result.network));
                figure = Some(by);
                results.push(result);
            }
        }
    }
    let figure = figure.ok_or_else(|| Error::input("no fold to train").next("give at least one seed and repeat"))?;
    Ok(CvReport::new(figure, plan.eval.level, folds, results))
}

fn check(plan: &Plan, folds: &Folds) -> Result<()> {
    if plan.data.task == TaskKind::LanguageModel {
        return Err(Error::input("text is not cross-validated: its splits are by position")
            .next("give a config of classes or values"));
    }
    let whole = |window: &WindowConfig| folds.by.leaves_windows_whole(&folds.column, window);
    if folds.of > 1 && plan.data.window.as_ref().is_some_and(|window| !whole(window)) {
        return Err(Error::input("folds that are shared out so take windows apart, which share their rows")
            .next("let them go by `data.window.time` or `data.window.group`, as they do without options"));
    }
    if plan.data.task == TaskKind::Recommendation && folds.of > 1 {
        let message = "choices are not shared out among folds: what is held out of them is the last of every user";
        return Err(Error::input(message).next("compare seeds with `--folds 1 --seeds 1,2,3`"));
    }
    let runs = folds.of.saturating_mul(folds.repeats).saturating_mul(folds.seeds.len());
    if !(1..=10_000).contains(&runs) {
        return Err(Error::input(format!("{runs} runs are not between 1 and 10000"))
            .next("change --folds, --repeats or --seeds"));
    }
    Ok(())
}

/// The plan of one fold: an ordinary one, which `kiln train` would train alike.
fn fold_plan(plan: &Plan, folds: &Folds, (repeat, fold, seed): (usize, usize, u64)) -> Plan {
    let mut plan = plan.clone();
    plan.run.dir = plan.run.dir.join(format!("{}-cv", plan.run.name));
    plan.data.seed = Some(plan.data.seed.unwrap_or(plan.run.seed));
    plan.run.name = format!("fold{fold}of{}-repeat{repeat}-seed{seed}", folds.of);
    plan.run.seed = seed;
    plan.data.fold = (folds.of > 1).then(|| Fold {
        index: fold,
        of: folds.of,
        by: folds.by,
        column: folds.column.clone(),
        seed: plan.data.seed.unwrap_or_default().wrapping_add(repeat as u64),
    });
    plan
}

fn one(
    plan: &Plan,
    stop: &Interrupt,
    (repeat, fold, seed): (usize, usize, u64),
    say: &dyn Fn(&str),
) -> Result<(FoldResult, Headline)> {
    let dir = RunDir::new(plan.run.dir.join(&plan.run.name));
    if dir.plan().is_file() {
        dir.same_plan(plan)?;
    }
    let setup = Setup::new(plan.clone(), say)?;
    let (train_rows, judged_rows) = (setup.dataset.len(Split::Train), setup.dataset.len(Split::Validation));
    let mut progress = Progress::new(Verbosity::Quiet);
    let run = Run::resume_or_fresh(setup, &mut progress)?;
    if run.state.step < run.steps {
        progress.begin(run.state.step, run.steps, &run.setup);
        let outcome = train::train(run, stop, &mut progress)?;
        if matches!(outcome.reason, Reason::Interrupted | Reason::MaxTime) {
            return Err(Error::interrupted(format!(
                "{} stopped at step {}, progress is saved",
                plan.run.name, outcome.step
            ))
            .next("the same command goes on"));
        }
    } else {
        drop(run); // its lock, too
    }
    let found = judge(&Trained::new(dir.clone(), "latest", &[])?, Split::Validation, &Asked::default(), &|_| {})?;
    let usual = found.predictions.as_ref().map(Headline::usual);
    let figure = plan.eval.figure.or(usual).unwrap_or(Headline::Accuracy);
    let network = found.assessment.as_ref().and_then(|a| a.figures.get(figure.name())).map(|e| e.value);
    let network = network.ok_or_else(|| {
        Error::failed(format!("{} is not defined on the rows of {}", figure.name(), plan.run.name))
            .next("ask for fewer folds, or another `eval.figure`")
    })?;
    let baselines = found.baselines.iter().flat_map(|b| &b.candidates).filter_map(|c| Some((c.kind, c.value?)));
    let result = FoldResult {
        repeat,
        fold,
        seed,
        run: dir.path().to_path_buf(),
        train_rows,
        judged_rows,
        network,
        baselines: baselines.collect(),
        metrics: found.report.metrics,
    };
    Ok((result, figure))
}
