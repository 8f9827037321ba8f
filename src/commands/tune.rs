//! `kiln tune`: workers over a search, what is shown meanwhile, and what it came to.

use std::{
    collections::BTreeSet,
    io::{IsTerminal, stderr},
    path::PathBuf,
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Console, train::move_aside, tuned};
use crate::{
    config::Plan,
    data::{Fold, FoldBy, Split},
    error::{Error, Result},
    eval::{Pass, evaluate},
    train::{Interrupt, RunDir, Setup, human_seconds},
    tune::{Objective, Search, State, Trial, Worker, ranked},
};

/// How often the journal is looked at for what to show.
const LOOK: Duration = Duration::from_millis(200);

/// Searches a plan's `[tune.space]` with this many workers; joins the search where it goes on already.
pub fn tune(plan: Plan, workers: usize, fresh: bool, console: &Console) -> Result<()> {
    let stop = Interrupt::listen()?;
    let search = Search::new(plan)?;
    if fresh {
        set_aside(&search, console)?;
    }
    has_metrics(&search, console)?;
    search.join()?;
    introduce(&search, workers, console)?;

    let deadline = search.plan.budget_seconds()?.map(|budget| Instant::now() + Duration::from_secs_f64(budget));
    let exe = own_binary()?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let own_threads = workers > 1 && std::env::var_os("RAYON_NUM_THREADS").is_none();
    let threads = own_threads.then(|| (cores / workers).max(1));
    let worker = Worker { search: &search, stop: &stop, deadline, exe, threads };
    thread::scope(|scope| {
        let working = (0..workers).map(|_| scope.spawn(|| worker.work().inspect_err(|_| stop.raise()))).collect();
        watch(&search, working, console)
    })?;

    let trials = search.journal()?.trials()?;
    let best = tuned::write_best(&search, &trials)?;
    tuned::conclude(&search, &trials, best.as_deref(), console)?;
    if stop.raised() {
        let ended = trials.iter().filter(|trial| trial.state() != State::Running).count();
        return Err(Error::interrupted(format!("stopped after {ended} of {} trials, all saved", search.trials))
            .next("the same command goes on"));
    }
    if best.is_none() && trials.iter().all(|trial| trial.state() != State::Running) {
        let reason = trials.iter().find_map(|trial| trial.end.as_ref().map(|end| end.reason.clone()));
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        return Err(Error::failed(format!("no trial has a value{reason}"))
            .next(format!("`kiln runs --dir {}` lists them", search.dir.display())));
    }
    Ok(())
}

/// The file that this process runs, even when it was replaced since: a search may outlive many builds.
fn own_binary() -> Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() {
        return Ok(running);
    }
    std::env::current_exe().map_err(|e| Error::failed(format!("cannot find kiln's own binary: {e}")))
}

/// Renames the old search's folder, if nobody works on it.
fn set_aside(search: &Search, console: &Console) -> Result<()> {
    let dir = RunDir::new(&search.dir);
    if !dir.path().exists() && search.plan.tune.journal.is_empty() {
        return Ok(());
    }
    let mut journal = search.journal()?;
    for trial in journal.trials()?.iter().filter(|trial| trial.state() == State::Running) {
        if journal.lives(trial.number)? {
            return Err(Error::input(format!("somebody works on trial {} of {}", trial.number, dir.path().display()))
                .next("stop it first (an interrupt saves its progress), or drop --fresh to join"));
        }
    }
    journal.store().set_aside()?;
    move_aside(&dir, "search", console)
}

/// Prepares the data once for all workers, and makes sure that the validation split has the metrics to search by.
fn has_metrics(search: &Search, console: &Console) -> Result<()> {
    const ALWAYS: [&str; 3] = ["parameters", "ms_per_step", "train_s"];
    const BATCHES: usize = 32;
    let mut plan = search.plan.clone();
    if cfg!(feature = "flex") {
        plan.train.device = "flex".into(); // a GPU's memory is for the trials
        plan.train.precision = crate::config::Precision::F32;
    }
    if plan.tune.folds > 1 {
        // Every fold validates; one is enough to see that there are metrics.
        let (of, seed) = (plan.tune.folds, plan.data.seed.unwrap_or(plan.run.seed));
        let (by, column) = FoldBy::usual(&plan.data);
        plan.data.fold = Some(Fold { index: 0, of, by, column, seed });
    }
    let setup = Setup::new(plan, &|text| console.say(text))?;
    if setup.dataset.len(Split::Validation) == 0 {
        return Err(Error::input("the data have no validation split to judge trials by")
            .next("set `data.holdout.validation`, as in `holdout = { validation = 0.1 }`"));
    }
    if search.objectives.iter().all(|o| ALWAYS.contains(&o.metric.as_str()) || o.metric == "loss") {
        return Ok(());
    }
    setup.check_memory()?;
    let model = burn::module::Module::valid(&setup.model()?);
    let pass = Pass { split: Split::Validation, batch: 256, batches: BATCHES };
    let report = evaluate(&model, &setup.task, &setup.dataset, pass, &setup.device, setup.compute)?;
    let known: Vec<&str> = report.metrics.keys().map(String::as_str).chain(ALWAYS).collect();
    for Objective { metric, .. } in &search.objectives {
        if known.contains(&metric.as_str()) {
            continue;
        }
        let near = |a: &&&str, b: &&&str| strsim::jaro_winkler(a, metric).total_cmp(&strsim::jaro_winkler(b, metric));
        let meant = known.iter().max_by(near).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
        return Err(Error::input(format!("the validation split has no metric `{metric}`"))
            .next(format!("{meant}There are {}", known.join(", "))));
    }
    Ok(())
}

fn introduce(search: &Search, workers: usize, console: &Console) -> Result<()> {
    let tune = &search.plan.tune;
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_string();
    let sampler = word(serde_json::to_value(tune.sampler).unwrap_or_default());
    let pruner = word(serde_json::to_value(tune.pruner).unwrap_or_default());
    let by: Vec<String> = search
        .objectives
        .iter()
        .map(|o| format!("{} ({})", o.metric, word(serde_json::to_value(o.direction).unwrap_or_default())))
        .collect();
    console.say(&format!("search  {}", search.dir.display()));
    console.say(&format!("space   {}", search.space.keys().collect::<Vec<_>>().join(", ")));
    console.say(&format!("by      {}", by.join(", ")));
    console.say(&format!("trials  {}, sampler {sampler}, pruner {pruner}, {workers} at once", search.trials));
    let there = search.journal()?.trials()?;
    if !there.is_empty() {
        let ended = there.iter().filter(|trial| trial.state() != State::Running).count();
        console.say(&format!("joining a search with {} trials, {ended} of them ended", there.len()));
    }
    Ok(())
}

/// Shows every trial that ends, whoever ran it, until the workers are through.
fn watch(search: &Search, working: Vec<ScopedJoinHandle<'_, Result<()>>>, console: &Console) -> Result<()> {
    let bar = console.is_normal().then(|| stderr().is_terminal().then(|| bar(search.trials))).flatten();
    let mut journal = search.journal()?;
    let mut shown: BTreeSet<u64> = journal.trials()?.iter().filter(|t| t.end.is_some()).map(|t| t.number).collect();
    let began = Instant::now();
    loop {
        let through = working.iter().all(ScopedJoinHandle::is_finished);
        let trials = journal.trials()?;
        for trial in trials.iter().filter(|trial| trial.end.is_some()) {
            if shown.insert(trial.number) {
                let line = line(search, trial, &trials);
                match &bar {
                    Some(bar) => bar.suspend(|| console.say(&line)),
                    None => console.say(&line),
                }
            }
        }
        if let Some(bar) = &bar {
            bar.set_position(shown.len() as u64);
            let going = trials.iter().filter(|trial| trial.state() == State::Running).count();
            bar.set_message(format!(
                "{going} going · {}{}",
                human_seconds(began.elapsed().as_secs_f64()),
                lead(search, &trials)
            ));
        }
        if through {
            break;
        }
        thread::sleep(LOOK);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let crashed = |_| Error::failed("a worker crashed where it should not");
    working.into_iter().try_for_each(|worker| worker.join().map_err(crashed)?)
}

fn bar(trials: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(trials), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{pos}/{len} trials · {msg} {wide_bar:.cyan/dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
    bar
}

/// `trial 7: rmse 0.6213 with optim.lr=0.003 (1.2s)`
fn line(search: &Search, trial: &Trial, trials: &[Trial]) -> String {
    let values: Vec<String> = trial.values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let Some(end) = &trial.end else { return String::new() };
    let shown = |o: &Objective| trial.metric(&o.metric).map(|value| format!("{} {}", o.metric, tuned::number(value)));
    let metrics: Vec<String> = search.objectives.iter().filter_map(shown).collect();
    let what = match end.state {
        State::Complete => metrics.join(", "),
        State::Pruned => format!("pruned at step {}, {}", end.step, end.reason),
        State::Failed => format!("failed: {}", end.reason),
        State::Invalid => format!("invalid: {}", end.reason),
        State::Running => String::new(),
    };
    let time = trial.metric("train_s").map(|seconds| format!(" ({})", human_seconds(seconds))).unwrap_or_default();
    format!("trial {}: {what}{time} with {}{}", trial.number, values.join(" "), lead(search, trials))
}

/// ` · best rmse 0.6213 (trial 7)`
fn lead(search: &Search, trials: &[Trial]) -> String {
    let ([objective], Some(best)) = (&search.objectives[..], ranked(trials, &search.objectives).first().copied())
    else {
        return String::new();
    };
    match (best.state(), best.metric(&objective.metric)) {
        (State::Complete, Some(value)) => {
            format!(" · best {} {} (trial {})", objective.metric, tuned::number(value), best.number)
        }
        _ => String::new(),
    }
}

/// Where the best config goes.
pub(super) fn best_path(search: &Search) -> PathBuf {
    search.dir.join("best.toml")
}
