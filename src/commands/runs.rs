//! `kiln runs`: what was trained, and how it went.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::{Console, console::table};
use crate::{
    checkpoint,
    error::Result,
    track::{self, Event},
    train::{RunDir, find_run, human_seconds, list_runs},
};

#[derive(Debug, Default, Serialize)]
struct Line {
    run: String,
    step: u64,
    loss: Option<f64>,
    validation: Option<f64>,
    seconds: f64,
    device: String,
    state: String,
}

/// Lists the runs under `dir`.
pub fn runs_list(dir: &Path, console: &Console) -> Result<()> {
    let lines: Vec<Line> = list_runs(dir)?.iter().map(line).collect::<Result<_>>()?;
    if lines.is_empty() {
        console.say(&format!("no runs under {}; `kiln train CONFIG` starts one", dir.display()));
    }
    console.result(&lines, || {
        let mut rows =
            vec![["RUN", "STEP", "LOSS", "VALIDATION", "TIME", "DEVICE", "STATE"].map(String::from).to_vec()];
        let number = |n: Option<f64>| n.map(|n| format!("{n:.4}")).unwrap_or_default();
        rows.extend(lines.iter().map(|l| {
            vec![
                l.run.clone(),
                l.step.to_string(),
                number(l.loss),
                number(l.validation),
                human_seconds(l.seconds),
                l.device.clone(),
                l.state.clone(),
            ]
        }));
        if lines.is_empty() { String::new() } else { table(&rows) }
    })
}

/// Shows one run: its plan, checkpoints and evaluations.
pub fn runs_show(run: &str, dir: &Path, console: &Console) -> Result<()> {
    let run = find_run(run, dir)?;
    let line = line(&run)?;
    let events = events(&run)?;
    let plan = std::fs::read_to_string(run.plan()).unwrap_or_default();
    let checkpoints: Vec<u64> = checkpoint::list(run.path())?.iter().map(|entry| entry.step).collect();
    let best = checkpoint::best(run.path())?;
    let evals: Vec<&Event> = events.iter().filter(|e| matches!(e, Event::Eval { .. })).collect();
    let faults = events.iter().filter(|e| matches!(e, Event::Fault { .. })).count();
    let result = json!({
        "run": run.path(), "summary": line, "plan": plan, "checkpoints": checkpoints, "best": best,
        "evaluations": evals, "faults": faults,
    });
    console.result(&result, || {
        let mut text = format!(
            "{}: {} at step {}, {} of training on {}\ncheckpoints {checkpoints:?}, best {}, faults {faults}\n\n",
            run.path().display(),
            line.state,
            line.step,
            human_seconds(line.seconds),
            line.device,
            best.map_or("none".into(), |step| step.to_string()),
        );
        for event in &evals {
            if let Event::Eval { step, split, metrics } = event {
                let metrics: Vec<_> = metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
                text.push_str(&format!("step {step} {split}: {}\n", metrics.join(", ")));
            }
        }
        text + "\n" + &plan
    })
}

fn events(run: &RunDir) -> Result<Vec<Event>> {
    if run.journal().is_file() { track::read(&run.journal()) } else { Ok(Vec::new()) }
}

fn line(run: &RunDir) -> Result<Line> {
    let mut line = Line { run: run.name(), state: "running or killed".into(), ..Line::default() };
    for event in events(run)? {
        match event {
            Event::Started { device, .. } | Event::Resumed { device, .. } => {
                line.device = device;
                line.state = "running or killed".into();
            }
            Event::Step { step, loss, seconds, .. } => {
                (line.step, line.loss, line.seconds) = (step, Some(loss), seconds);
            }
            Event::Eval { split, metrics, .. } if split == "validation" => {
                line.validation = metrics.get("loss").copied();
            }
            Event::Fault { action, .. } if action == "halt" => line.state = "halted".into(),
            Event::Finished { step, reason, .. } => (line.step, line.state) = (step, reason),
            _ => {}
        }
    }
    Ok(line)
}
