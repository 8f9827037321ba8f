//! `kiln trial`: one trial of a search, in a process of its own. `kiln tune` starts it.

use std::{
    collections::BTreeMap,
    io::Read,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{Console, Trained};
use crate::train::INFERENCE;
use crate::{
    baseline::When,
    checkpoint::{self, RunLock},
    config::{Plan, PrunerKind},
    cv::{Folds, Spread, cross_validate},
    data::{FoldBy, Split},
    error::{Error, Result},
    eval::{Pass, evaluate},
    track::{self, Event},
    train::{self, Interrupt, Outcome, Reason, Run, RunDir, Setup, Watch},
    tune::{End, Journal, Objective, Rung, State, hopeless, journal_of, trial_number},
};

/// How long the trial's previous process may take to save and end after its worker died.
const PATIENCE: Duration = Duration::from_secs(120);

/// Trains the run in `dir`, or goes on with it, and tells the search's journal.
pub fn trial(dir: &Path, console: &Console) -> Result<()> {
    let run = RunDir::new(dir);
    let lost = || Error::input(format!("{} is no trial of a search", dir.display())).next("use `kiln tune CONFIG`");
    let number = trial_number(&run).filter(|_| run.plan().is_file()).ok_or_else(lost)?;
    let search = dir.parent().ok_or_else(lost)?;
    let plan = run.load_plan(&[])?;
    let journal = journal_of(&plan, search)?;
    let stop = Interrupt::listen()?;
    stop_with_the_worker(&stop);
    wait_for(&run)?;

    if plan.tune.folds > 1 {
        return journal.end(number, &folds(&plan, &stop)?);
    }
    let mut progress = console.progress();
    let setup = Setup::new(plan.clone(), &|_| {})?;
    let parameters = setup.parameters();
    let mut training = Run::resume_or_fresh(setup, &mut progress)?;
    let why = Arc::new(Mutex::new(String::new()));
    training.watched_by(watch(plan.clone(), number, journal_of(&plan, search)?, &why));
    let outcome = train::train(training, &stop, &mut progress)?;

    let state = match outcome.reason {
        Reason::Interrupted => {
            return Err(Error::interrupted(format!("trial {number} stopped at step {}, saved", outcome.step))
                .next("`kiln tune` goes on with it"));
        }
        Reason::Pruned => State::Pruned,
        Reason::Finished | Reason::EarlyStop | Reason::MaxTime => State::Complete,
    };
    let mut metrics = measured(&run, &outcome)?;
    insert_costs(&mut metrics, parameters, trained(&run)?.1, outcome.step);
    if state == State::Complete {
        has_a_value(&plan, &metrics)?;
    }
    let reason = why.lock().map(|why| why.clone()).unwrap_or_default();
    journal.end(number, &End { state, reason, step: outcome.step, metrics })
}

/// Trains the trial on every fold; each metric is the mean over them, and `NAME_std` says how far they lie apart.
fn folds(plan: &Plan, stop: &Interrupt) -> Result<End> {
    let mut plan = plan.clone();
    // A search compares networks with each other.
    plan.baseline.on = When::Never;
    // A fold is one training, whatever the search makes of it.
    let of = std::mem::take(&mut plan.tune.folds);
    let seeds = vec![plan.run.seed];
    let (by, column) = FoldBy::usual(&plan.data);
    let folds = Folds { of, by, column, repeats: 1, seeds };
    let report = cross_validate(&plan, &folds, stop, &|_| {})?;
    let mut metrics = BTreeMap::new();
    for name in report.folds.iter().flat_map(|fold| fold.metrics.keys()) {
        let values: Vec<f64> = report.folds.iter().filter_map(|fold| fold.metrics.get(name).copied()).collect();
        if values.len() == report.folds.len() && !metrics.contains_key(name) {
            let spread = Spread::of(&values);
            metrics.insert(name.clone(), spread.mean);
            metrics.extend(spread.std.map(|std| (format!("{name}_std"), std)));
        }
    }
    let (mut steps, mut seconds) = (0, 0.0);
    for fold in &report.folds {
        let (of_fold, time) = trained(&RunDir::new(&fold.run))?;
        (steps, seconds) = (steps + of_fold, seconds + time);
    }
    let parameters = Setup::new(plan.clone(), &|_| {})?.parameters();
    insert_costs(&mut metrics, parameters, seconds, steps);
    has_a_value(&plan, &metrics)?;
    Ok(End { state: State::Complete, reason: String::new(), step: steps, metrics })
}

/// What a trial costs, as a search may weigh it.
fn insert_costs(metrics: &mut BTreeMap<String, f64>, parameters: u64, seconds: f64, steps: u64) {
    metrics.insert("parameters".into(), parameters as f64);
    metrics.insert("train_s".into(), seconds);
    metrics.insert("ms_per_step".into(), seconds * 1e3 / steps.max(1) as f64);
}

/// The worker holds the other end of standard input: when it dies, however it dies, this process saves and ends too.
fn stop_with_the_worker(stop: &Interrupt) {
    let stop = stop.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while matches!(std::io::stdin().read(&mut bytes), Ok(1..)) {}
        stop.raise();
    });
}

/// Waits until the trial's previous process, whose worker died, has saved.
fn wait_for(run: &RunDir) -> Result<()> {
    let began = Instant::now();
    loop {
        match RunLock::acquire(run.path()) {
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(50)),
            other => return other.map(drop),
        }
    }
}

/// Records every evaluation, and asks the pruner whether to go on.
fn watch(plan: Plan, number: u64, mut journal: Journal, why: &Arc<Mutex<String>>) -> Watch {
    let why = Arc::clone(why);
    Box::new(move |step, steps, report| {
        journal.rung(number, &Rung { step, steps, metrics: report.metrics.clone() })?;
        let objectives = Objective::all(&plan);
        let ([objective], false) = (&objectives[..], plan.tune.pruner == PrunerKind::None) else { return Ok(false) };
        let Some(reason) = hopeless(&plan.tune, objective, &journal.trials()?, number) else { return Ok(false) };
        if let Ok(mut why) = why.lock() {
            *why = reason;
        }
        Ok(true)
    })
}

/// The metrics of the run's best checkpoint over the whole validation split.
fn measured(run: &RunDir, outcome: &Outcome) -> Result<BTreeMap<String, f64>> {
    let best = checkpoint::best(run.path())?;
    if let Some(report) = outcome.report.as_ref().filter(|_| best.is_none_or(|best| best == outcome.step)) {
        return Ok(report.metrics.clone());
    }
    let trained = Trained::new(run.clone(), "best", &[])?;
    let plan = trained.plan.clone();
    let batch = if plan.eval.batch > 0 { plan.eval.batch } else { plan.train.batch };
    let setup = Setup::new(plan, &|_| {})?;
    let (model, _) = trained.weights(&setup.task, &setup.device)?;
    let pass = Pass { split: Split::Validation, batch, batches: 0 };
    Ok(evaluate(&model, &setup.task, &setup.dataset, pass, &setup.device, INFERENCE)?.metrics)
}

/// Steps, and training time in seconds, over all processes that worked on the run.
fn trained(run: &RunDir) -> Result<(u64, f64)> {
    let last = track::read(&run.journal())?.into_iter().rev().find_map(|event| match event {
        Event::Finished { step, seconds, .. } => Some((step, seconds)),
        _ => None,
    });
    Ok(last.unwrap_or_default())
}

/// A trial whose metric is no number has failed.
fn has_a_value(plan: &Plan, metrics: &BTreeMap<String, f64>) -> Result<()> {
    for Objective { metric, .. } in Objective::all(plan) {
        match metrics.get(&metric) {
            Some(value) if value.is_finite() => {}
            Some(value) => return Err(Error::failed(format!("the trial's {metric} is {value}"))),
            None => return Err(Error::failed(format!("the validation split has no {metric}"))),
        }
    }
    Ok(())
}
