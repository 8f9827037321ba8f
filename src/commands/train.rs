//! `kiln train` and `kiln resume`.

use std::path::Path;

use serde_json::json;

use super::{Console, Sampling, Trained, generate::continue_text};
use crate::{
    baseline::{self, Comparison},
    checkpoint,
    config::Plan,
    data::{HostInput, InputSchema, Split, TaskKind},
    error::{Error, IoContext, Result},
    judge::{Asked, judge},
    train::{self, Interrupt, Outcome, Progress, Reason, Run, RunDir, Setup, human_seconds},
};

/// Trains what a config describes, going on where an unfinished run of the same plan stopped.
pub fn train(plan: &Plan, fresh: bool, console: &Console) -> Result<()> {
    let dir = RunDir::new(plan.run.dir.join(&plan.run.name));
    if fresh {
        set_aside(&dir, console)?;
    } else if dir.plan().is_file() {
        dir.same_plan(plan)?;
    }
    launch(plan.clone(), console)
}

/// Goes on with a run, with `overrides` on top of its plan.
pub fn resume(dir: &RunDir, overrides: &[String], console: &Console) -> Result<()> {
    let mut plan = dir.load_plan(overrides)?;
    // The folder may have been moved or renamed since.
    plan.run.name = dir.name();
    plan.run.dir = dir.path().parent().unwrap_or(Path::new(".")).to_path_buf();
    launch(plan, console)
}

fn launch(plan: Plan, console: &Console) -> Result<()> {
    let stop = Interrupt::listen()?;
    let mut progress = console.progress();
    let setup = Setup::new(plan, &|text| console.say(text))?;
    let run = Run::resume_or_fresh(setup, &mut progress)?;
    introduce(&run.setup, console)?;
    let dir = run.dir.clone();
    let ending = Ending::of(&run.setup)?;
    if run.state.step >= run.steps && run.state.step > 0 {
        console.say(&format!("run `{}` is finished: {} steps", dir.name(), run.state.step));
        console.say(&format!("next: kiln resume {} --set train.steps=N trains on; --fresh begins again", dir.name()));
        return console
            .result(&json!({ "run": dir.path(), "step": run.state.step, "reason": "finished" }), String::new);
    }
    if run.state.step > 0 {
        console.say(&format!("resuming at step {} of {}", run.state.step, run.steps));
    }
    progress.begin(run.state.step, run.steps, &run.setup);
    let outcome = train::train(run, &stop, &mut progress)?;
    conclude(&dir, &ending, &outcome, &progress, console)
}

/// What the end of a run shows of the model, known before the run takes the data away.
struct Ending {
    task: TaskKind,
    held_out: Split,
    /// Whether classic models are fitted beside it.
    gated: bool,
    /// Language models: held-out text that a sample goes on from.
    opening: String,
}

impl Ending {
    fn of(setup: &Setup) -> Result<Self> {
        const TOKENS: usize = 16;
        let dataset = &setup.dataset;
        let held_out = if dataset.len(Split::Test) > 0 { Split::Test } else { Split::Validation };
        let mut opening = Sampling::default().prompt;
        if let Some(tokenizer) = dataset.tokenizer().filter(|_| setup.task.kind() == TaskKind::LanguageModel)
            && !dataset.is_empty(Split::Validation)
            && let HostInput::Tokens { ids, context } = dataset.batch(Split::Validation, &[0], 0)?.input
        {
            let first: Vec<u32> = ids.iter().take(TOKENS.min(context)).filter_map(|&id| id.try_into().ok()).collect();
            opening = tokenizer.decode(&first)?;
        }
        let gated = baseline::applies(&setup.plan.baseline, dataset);
        Ok(Self { task: setup.task.kind(), held_out, gated, opening })
    }
}

fn introduce(setup: &Setup, console: &Console) -> Result<()> {
    let plan = &setup.plan;
    let rows = |split| setup.dataset.len(split);
    let what = match &setup.dataset.schema().input {
        InputSchema::Tokens { vocab, context } if setup.task.kind() == TaskKind::LanguageModel => {
            format!("windows of {context} tokens, vocabulary {vocab}")
        }
        InputSchema::Tokens { vocab, context } => format!("texts of at most {context} tokens, vocabulary {vocab}"),
        InputSchema::Image { channels, height, width } => format!("pictures of {channels}x{height}x{width}"),
        InputSchema::Table { columns } => format!("rows of {} columns", columns.len()),
        InputSchema::Windows { columns, length, .. } => {
            format!("windows of {length} rows of {} columns", columns.len())
        }
        InputSchema::Choices { users, items } => format!("choices by {} users of {} items", users.len(), items.len()),
    };
    let steps = plan.steps_for(setup.training.len(Split::Train))?;
    console.say(&format!("run     {}", plan.run.dir.join(&plan.run.name).display()));
    console.say(&format!("device  {}", setup.opened.name));
    if let Some(bf16) = setup.about_bf16() {
        console.say(&format!("bf16    {bf16}"));
    }
    console.say(&format!(
        "data    {} {what} ({} for validation, {} for test)",
        rows(Split::Train),
        rows(Split::Validation),
        rows(Split::Test)
    ));
    console.say(&format!("model   {}, {} parameters", plan.model.name(), indicatif::HumanCount(setup.parameters())));
    console.say(&format!("steps   {steps} of {} {}s", plan.train.batch * plan.train.accumulate, row_word(setup)));
    Ok(())
}

fn row_word(setup: &Setup) -> &'static str {
    match (setup.task.kind(), &setup.dataset.schema().input) {
        (TaskKind::LanguageModel, _) | (_, InputSchema::Windows { .. }) => "window",
        _ => "row",
    }
}

/// Says where everything lies and what to do next.
fn conclude(dir: &RunDir, ending: &Ending, outcome: &Outcome, progress: &Progress, console: &Console) -> Result<()> {
    let timing = progress.timing();
    let best = checkpoint::best(dir.path())?;
    console.say(&format!(
        "{} at step {} in {} (compilation and warm-up {}){}",
        outcome.reason,
        outcome.step,
        human_seconds(timing.total.as_secs_f64()),
        human_seconds(timing.warm_up.as_secs_f64()),
        progress.pace().map(|pace| format!(" · {pace}")).unwrap_or_default(),
    ));
    console.say(&format!("everything lies in {}", dir.path().display()));
    if matches!(outcome.reason, Reason::Interrupted | Reason::MaxTime) {
        return Err(Error::interrupted(format!(
            "stopped at step {} ({}), progress is saved",
            outcome.step, outcome.reason
        ))
        .next(format!("`kiln resume {}` goes on", dir.path().display())));
    }
    let mut sample = None;
    if ending.task == TaskKind::LanguageModel {
        let trained = Trained::new(dir.clone(), "best", &[])?;
        let sampling =
            Sampling { prompt: ending.opening.clone(), tokens: 200, temperature: 0.6, ..Sampling::default() };
        sample = Some(ending.opening.clone() + &continue_text(&trained, &sampling, &mut |_| Ok(()))?);
    }
    let gate = if ending.gated { earned(dir, console)? } else { None };
    let name = dir.path().display();
    let held_out = ending.held_out;
    match ending.task {
        TaskKind::LanguageModel => {
            console.say(&format!("next: kiln generate {name} --prompt 'TEXT'"));
            let held_out = ending.opening.trim().chars().count();
            let begun =
                if held_out > 0 { format!(", its first {held_out} characters held-out text") } else { String::new() };
            console.say(&format!("a sample{begun}:\n"));
        }
        _ => console.say(&format!("next: kiln eval {name} --split {held_out}; kiln predict {name} --input FILE")),
    }
    let metrics = outcome.report.as_ref().map(|r| &r.metrics);
    let result = json!({
        "run": dir.path(), "step": outcome.step, "reason": outcome.reason, "best_step": best, "metrics": metrics,
        "rate": progress.rate(), "first_step_s": timing.first.as_secs_f64(), "warm_up_s": timing.warm_up.as_secs_f64(),
        "train_s": timing.total.as_secs_f64(), "sample": sample,
        "gate": gate,
    });
    console.result(&result, || sample.unwrap_or_default())
}

/// Whether the network earns its place beside the classic models, on the validation rows.
fn earned(dir: &RunDir, console: &Console) -> Result<Option<Comparison>> {
    let trained = Trained::new(dir.clone(), "best", &[])?;
    let found = judge(&trained, Split::Validation, &Asked::default(), &|text| console.say(text))?;
    if let Some(gate) = &found.gate {
        console.say(&format!("on validation {}", gate.words));
    }
    Ok(found.gate)
}

/// Renames the run's folder to NAME.old-N.
fn set_aside(dir: &RunDir, console: &Console) -> Result<()> {
    if !dir.path().exists() {
        return Ok(());
    }
    let _lock = checkpoint::RunLock::acquire(dir.path())?;
    move_aside(dir, "run", console)
}

/// Renames a folder to NAME.old-N.
pub(super) fn move_aside(dir: &RunDir, what: &str, console: &Console) -> Result<()> {
    let old = (1..).map(|n| dir.path().with_file_name(format!("{}.old-{n}", dir.name()))).find(|p| !p.exists());
    if let Some(old) = old {
        std::fs::rename(dir.path(), &old).io("set aside", dir.path())?;
        console.say(&format!("the old {what} is now {}", old.display()));
    }
    Ok(())
}
