//! Rules across fields, and ranges: what the schema can't say and no data is needed for.

use super::{
    OnFault, Plan,
    fault::Fault,
    plan::duration,
    tree::{Data, Node},
};
use crate::{data::TaskKind, optim::ScheduleKind};

/// Every rule that `plan` breaks; `root` tells where its keys were typed.
pub(super) fn check(plan: &Plan, root: &Node) -> Vec<Fault> {
    let mut rules = Rules { root, faults: Vec::new() };
    rules.run(plan);
    rules.ranges(plan);
    rules.train(plan);
    rules.schedule(plan);
    rules.eval(plan);
    rules.data(plan);
    rules.table(plan);
    rules.task(plan);
    rules.model(plan);
    rules.tune(plan);
    rules.faults
}

struct Rules<'a> {
    root: &'a Node,
    faults: Vec<Fault>,
}

impl Rules<'_> {
    /// Records a fault; every one of `keys` that was typed is underlined.
    fn broken(&mut self, message: impl Into<String>, keys: &[&str], next: impl Into<String>) {
        let mut fault = Fault::new(message, next);
        let mut marked: Vec<&Node> = Vec::new();
        for key in keys {
            let node = self.root.nearest(key);
            // A list stands for its entries that have no key of their own.
            let typed = self.root.find(key.split('[').next().unwrap_or(key)).is_some();
            if typed && !marked.iter().any(|other| other.value == node.value) {
                let place = if matches!(node.data, Data::Table(_)) { &node.key } else { &node.value };
                fault = fault.mark(place, if keys.len() > 1 { format!("`{key}`") } else { String::new() });
                marked.push(node);
            }
        }
        self.faults.push(fault);
    }

    fn at_least_one(&mut self, values: &[(&str, usize)]) {
        for (key, value) in values.iter().filter(|(_, value)| *value == 0) {
            self.broken(format!("`{key}` must be at least 1, found {value}"), &[key], "give a positive integer");
        }
    }

    fn at_most(&mut self, values: &[(&str, usize, usize)]) {
        for (key, value, most) in values.iter().filter(|(_, value, most)| value > most) {
            let next = format!("give at most {most}");
            self.broken(format!("`{key}` must be at most {most}, found {value}"), &[key], next);
        }
    }

    fn below_one(&mut self, values: &[(&str, f64)]) {
        for (key, value) in values.iter().filter(|(_, value)| !(0.0..1.0).contains(value)) {
            self.broken(format!("`{key}` must be in [0, 1), found {value}"), &[key], "give 0 or more, and less than 1");
        }
    }

    fn positive(&mut self, values: &[(&str, f64)]) {
        for (key, value) in values.iter().filter(|(_, value)| *value <= 0.0) {
            self.broken(format!("`{key}` must be above 0, found {value}"), &[key], "give a positive number");
        }
    }

    fn not_negative(&mut self, values: &[(&str, f64)]) {
        for (key, value) in values.iter().filter(|(_, value)| *value < 0.0) {
            self.broken(format!("`{key}` must not be negative, found {value}"), &[key], "give 0 or more");
        }
    }

    fn run(&mut self, plan: &Plan) {
        let name = &plan.run.name;
        let separator = name.contains(['/', '\\']) || name.chars().any(char::is_control);
        if separator || matches!(name.as_str(), "" | "." | "..") {
            let message = format!("`run.name` must be one folder's name, found {name:?}");
            self.broken(message, &["run.name"], "set `run.dir` to choose where the run's folder goes");
        }
        if plan.run.dir.as_os_str().is_empty() {
            self.broken("`run.dir` is empty", &["run.dir"], "write `.` for the current folder");
        }
    }

    fn ranges(&mut self, plan: &Plan) {
        let Plan { data, train, guard, optim, checkpoint, .. } = plan;
        self.at_least_one(&[
            ("data.context", data.context),
            ("data.workers", data.workers),
            ("data.image_size[0]", data.image_size[0]),
            ("data.image_size[1]", data.image_size[1]),
            ("train.batch", train.batch),
            ("train.accumulate", train.accumulate),
            ("train.log_every", usize::from(train.log_every > 0)),
            ("guard.window", guard.window),
            ("guard.max_faults", guard.max_faults),
            ("checkpoint.keep", checkpoint.keep),
        ]);
        // Beyond these a typing mistake would only show as a machine without memory.
        self.at_most(&[
            ("data.workers", data.workers, 1024),
            ("train.batch", train.batch, 1 << 24),
            ("train.accumulate", train.accumulate, 1 << 24),
        ]);
        self.below_one(&[
            ("data.holdout.validation", data.holdout.validation),
            ("data.holdout.test", data.holdout.test),
            ("train.label_smoothing", train.label_smoothing),
            ("optim.betas[0]", optim.betas[0]),
            ("optim.betas[1]", optim.betas[1]),
            ("optim.momentum", optim.momentum),
            ("optim.ema", optim.ema),
        ]);
        self.positive(&[("optim.lr", optim.lr), ("optim.muon_lr", optim.muon_lr), ("optim.eps", optim.eps)]);
        self.not_negative(&[
            ("train.epochs", train.epochs),
            ("guard.spike_z", guard.spike_z),
            ("optim.weight_decay", optim.weight_decay),
            ("optim.clip", optim.clip),
            ("optim.schedule.floor", optim.schedule.floor),
        ]);
    }

    fn train(&mut self, plan: &Plan) {
        let Plan { train, eval, guard, checkpoint, .. } = plan;
        let length = ["train.steps", "train.epochs"];
        match (train.steps > 0, train.epochs > 0.0) {
            (true, true) => {
                self.broken("`train.steps` and `train.epochs` are both set", &length, "set one of them to 0")
            }
            (false, false) => {
                let message = "neither `train.steps` nor `train.epochs` says how long to train";
                self.broken(message, &["train"], "set one of them, as in `steps = 1000`");
            }
            _ => {}
        }
        let lengths = [
            ("train.max_time", &train.max_time),
            ("checkpoint.wait_for_space", &checkpoint.wait_for_space),
            ("tune.budget", &plan.tune.budget),
        ];
        for (key, text) in lengths {
            if !text.trim().is_empty() && duration(text.trim()).is_none() {
                let message = format!("`{key}` is not a length of time: `{text}`");
                self.broken(message, &[key], "write it as in `90s`, `30m`, `2h` or `1h30m`");
            }
        }
        if train.patience > 0 && eval.every == 0 {
            let message = "`train.patience` counts evaluations, but `eval.every` = 0 makes none while training";
            self.broken(message, &["train.patience", "eval.every"], "set `eval.every`, or `train.patience` to 0");
        }
        let rolls_back = [("guard.non_finite", guard.non_finite), ("guard.spike", guard.spike)];
        for (key, _) in rolls_back.iter().filter(|(_, policy)| *policy == OnFault::Rollback) {
            if checkpoint.every == 0 {
                let message =
                    format!("`{key}` rolls back to a checkpoint, but `checkpoint.every` = 0 writes none to go to");
                self.broken(message, &[key, "checkpoint.every"], "set `checkpoint.every`, or choose `skip` or `halt`");
            }
        }
    }

    fn schedule(&mut self, plan: &Plan) {
        let steps = plan.train.steps;
        let schedule = &plan.optim.schedule;
        if steps > 0 && schedule.warmup > steps {
            let message =
                format!("`optim.schedule.warmup` = {} is longer than `train.steps` = {steps}", schedule.warmup);
            self.broken(
                message,
                &["optim.schedule.warmup", "train.steps"],
                "warm up over fewer steps, or train for more",
            );
        } else if steps > 0
            && schedule.kind == ScheduleKind::Wsd
            && schedule.warmup.saturating_add(schedule.decay) > steps
        {
            let message = format!(
                "`optim.schedule.warmup` = {} and `optim.schedule.decay` = {} take more than `train.steps` = {steps}",
                schedule.warmup, schedule.decay
            );
            let keys = ["optim.schedule.warmup", "optim.schedule.decay", "train.steps"];
            self.broken(message, &keys, "shorten one of the two, or train for more");
        }
        if plan.optim.lr > 0.0 && schedule.floor > plan.optim.lr {
            let message = format!(
                "`optim.schedule.floor` = {} is above the peak rate `optim.lr` = {}",
                schedule.floor, plan.optim.lr
            );
            self.broken(message, &["optim.schedule.floor", "optim.lr"], "lower `floor`, or raise `lr`");
        }
    }

    fn eval(&mut self, plan: &Plan) {
        let Plan { eval, baseline, data, .. } = plan;
        if !(eval.level > 0.0 && eval.level < 1.0) {
            let message = format!("`eval.level` must be between 0 and 1, found {}", eval.level);
            self.broken(message, &["eval.level"], "give a confidence such as 0.95");
        }
        self.at_most(&[("eval.resamples", eval.resamples, 1_000_000)]);
        if baseline.rows < 2 {
            let message = format!("`baseline.rows` must be at least 2, found {}", baseline.rows);
            self.broken(message, &["baseline.rows"], "give some thousands, or set `baseline.on` to `never`");
        }
        let Some(figure) = eval.figure else { return };
        let fits = match data.task {
            TaskKind::LanguageModel => false,
            TaskKind::Classification => figure.of_classes(),
            TaskKind::Regression => figure.of_values(),
            TaskKind::Recommendation => figure.of_users(),
            TaskKind::Anomaly => figure.of_scores(),
        };
        if !fits {
            let message = format!("`eval.figure` = {} is none of `data.task` = {}", word(&figure), word(&data.task));
            let next = match data.task {
                TaskKind::LanguageModel => "remove `figure`",
                TaskKind::Classification => "use accuracy, auroc, average_precision, f1_macro or log_loss",
                TaskKind::Regression => "use rmse, mae or r2",
                TaskKind::Recommendation => "use recall@10, ndcg@10, mrr or hit@10",
                TaskKind::Anomaly => "use auroc or average_precision",
            };
            self.broken(message, &["eval.figure", "data.task"], next);
        }
    }
}

/// A unit variant as it is written in a config, in quotes.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

mod data;
mod model;
mod tasks;
mod tune;

#[cfg(test)]
mod tests;
