//! Rules across fields, and ranges: what the schema can't say and no data is needed for.

use super::{
    OnFault, Plan,
    fault::Fault,
    plan::duration,
    tree::{Data, Node},
};
use crate::{
    data::{
        CleanConfig, ColumnConfig, Fold, FoldBy, Format, HoldoutBy, Impute, IsolationConfig, Outliers, Resample,
        Source, TaskKind, TextConfig, TokenizerKind, check_expression, check_sql, is_object,
    },
    model::{AutoencoderConfig, ModelConfig, PositionKind, VaeConfig},
    optim::ScheduleKind,
};

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

    fn data(&mut self, plan: &Plan) {
        let data = &plan.data;
        if data.holdout.validation + data.holdout.test >= 1.0 {
            let message = format!(
                "`data.holdout.validation` = {} and `data.holdout.test` = {} leave nothing to train on",
                data.holdout.validation, data.holdout.test
            );
            self.broken(message, &["data.holdout.validation", "data.holdout.test"], "let them sum to less than 1");
        }
        if let Some(fold) = &data.fold {
            self.fold(fold, data.task);
        }
        if let Some(TokenizerKind::Words(size)) = data.tokenizer
            && !(2..=10_000_000).contains(&size)
        {
            let message = format!("`data.tokenizer.words` must be in 2..=10000000, found {size}");
            self.broken(message, &["data.tokenizer.words"], "give some thousands");
        }
        if let Some(TokenizerKind::Bpe(size)) = data.tokenizer
            && !(257..=1_000_000).contains(&size)
        {
            let message = format!("`data.tokenizer.bpe` must be in 257..=1000000, found {size}");
            self.broken(message, &["data.tokenizer.bpe"], "256 bytes and at least one merge make 257");
        }
        if !matches!(data.channels, 1 | 3) {
            let message = format!("`data.channels` must be 1 or 3, found {}", data.channels);
            self.broken(message, &["data.channels"], "write 1 for grey, 3 for RGB");
        }
        if !data.delimiter.is_ascii() {
            let message = format!("`data.delimiter` must be ASCII, found `{}`", data.delimiter);
            self.broken(message, &["data.delimiter"], "use `,`, `;`, `|` or `\\t`");
        }
        if let Source::Sql(source) = &data.source {
            if let Err(error) = check_sql(&source.sql) {
                let next = error.action().unwrap_or("correct it").to_owned();
                self.broken(error.message().to_owned(), &["data.source.sql"], &next);
            }
            if data.format.is_some() {
                let message = "`data.format` is how files are laid out, but `data.source` is a query";
                self.broken(message, &["data.format", "data.source"], "remove `format`");
            }
        }
        if let Some(sum) = &data.sha256 {
            if sum.len() != 64 || !sum.chars().all(|digit| digit.is_ascii_hexdigit()) {
                let message = "`data.sha256` must be 64 hexadecimal digits";
                self.broken(message, &["data.sha256"], "take it from `sha256sum FILE`");
            }
            if !matches!(&data.source, Source::Url(url) if !is_object(url)) {
                let message = "`data.sha256` checks a download, but `data.source` is no `url` of one file";
                let next = "remove `sha256`, or give an https address";
                self.broken(message, &["data.sha256", "data.source"], next);
            }
        }
    }

    fn fold(&mut self, fold: &Fold, task: TaskKind) {
        if !(2..=1000).contains(&fold.of) || fold.index >= fold.of {
            let message = format!("`data.fold` is number {} of {}", fold.index, fold.of);
            let next = "let `of` be in 2..=1000 and `index` below it, counted from 0";
            self.broken(message, &["data.fold.index", "data.fold.of"], next);
        }
        let by_column = matches!(fold.by, FoldBy::Grouped | FoldBy::Time);
        if by_column == fold.column.is_empty() {
            let (message, next) = match by_column {
                true => ("needs a `column`", "name a feature column"),
                false => ("has no use for a `column`", "remove `column`, or set `by` to `grouped` or `time`"),
            };
            let keys = ["data.fold.by", "data.fold.column"];
            self.broken(format!("`data.fold.by` = {} {message}", word(&fold.by)), &keys, next);
        }
        if task == TaskKind::LanguageModel {
            let message = "`data.fold` shares out rows, but `data.task` = \"language-model\" has none";
            self.broken(message, &["data.fold", "data.task"], "remove `fold`");
        }
    }

    fn table(&mut self, plan: &Plan) {
        let data = &plan.data;
        let by_column = matches!(data.holdout.by, HoldoutBy::Group | HoldoutBy::Time);
        let keys = ["data.holdout.by", "data.holdout.column"];
        match (&data.holdout.column, by_column) {
            (None, true) => {
                let message = format!("`data.holdout.by` = {} needs `data.holdout.column`", word(&data.holdout.by));
                self.broken(message, &keys[..1], "name the column, as in `column = \"date\"`");
            }
            (Some(column), false) => {
                let message = format!("`data.holdout.column` = \"{column}\" does nothing without `by`");
                self.broken(message, &keys, "add `by = \"time\"` or `by = \"group\"`");
            }
            _ => {}
        }
        if data.holdout.by == HoldoutBy::Class && data.task != TaskKind::Classification {
            let message =
                format!("`data.holdout.by` = \"class\" needs classes, but `data.task` = {}", word(&data.task));
            self.broken(message, &["data.holdout.by", "data.task"], "remove `by`");
        }
        let pictures = matches!(data.format, Some(Format::Idx | Format::Images));
        if data.holdout.by != HoldoutBy::Row && (data.task == TaskKind::LanguageModel || pictures) {
            self.broken("`data.holdout.by` is for tables", &["data.holdout.by"], "remove `by`");
        }
        for (name, says) in &data.derive {
            if let Err(wrong) = check_expression(says, &data.derive) {
                let message = format!("`data.derive.{name}`, character {}: {}", wrong.at, wrong.what);
                let key = format!("data.derive.{name}");
                self.broken(message, &[&key], "write it as SQL does, a column's name bare or in double quotes");
            }
        }
        if !data.derive.is_empty() && (data.task == TaskKind::LanguageModel || pictures) {
            self.broken("`data.derive` is for tables", &["data.derive"], "remove it");
        }
        if let Some(isolation) = &data.isolation_forest {
            self.isolation(isolation);
        }
        self.columns("data.clean", &data.clean);
        for (name, column) in &data.columns {
            if let ColumnConfig::Table(own) = column {
                self.columns(&format!("data.columns.{name}"), own);
            }
        }
    }

    /// The ranges of a column's keys.
    fn columns(&mut self, at: &str, own: &CleanConfig) {
        let key = |name: &str| format!("{at}.{name}");
        let sizes = [("buckets", own.buckets, 1 << 16), ("most", own.most, 100_000)];
        for (name, size, most) in sizes.into_iter().filter_map(|(name, size, most)| Some((name, size?, most))) {
            self.at_least_one(&[(&key(name), size)]);
            self.at_most(&[(&key(name), size, most)]);
        }
        self.not_negative(&[(&key("smooth"), own.smooth.unwrap_or(0.0))]);
        if let Some(text) = &own.text {
            self.text(&key("text"), text);
        }
        if let Some(Impute::Knn(k)) = own.impute
            && !(1..=1000).contains(&k)
        {
            let message = format!("`{}` must be in 1..=1000, found {k}", key("impute.knn"));
            self.broken(message, &[&key("impute")], "5 is usual");
        }
        match own.outliers {
            Some(Outliers::Iqr(times) | Outliers::ZScore(times)) => self.positive(&[(&key("outliers"), times)]),
            Some(Outliers::Quantile(share)) if !(0.0..0.5).contains(&share) => {
                let message = format!("`{}` must be in [0, 0.5), found {share}", key("outliers.quantile"));
                self.broken(message, &[&key("outliers")], "0.01 bounds the outer 1 % on both sides");
            }
            _ => {}
        }
    }

    fn isolation(&mut self, isolation: &IsolationConfig) {
        let key = |name: &str| format!("data.isolation_forest.{name}");
        let sizes = [(&*key("trees"), isolation.trees), (&*key("rows"), isolation.rows)];
        self.at_least_one(&sizes);
        self.at_most(&[(sizes[0].0, isolation.trees, 1000), (sizes[1].0, isolation.rows, 4096)]);
        self.below_one(&[(&key("share"), isolation.share)]);
    }

    fn text(&mut self, at: &str, text: &TextConfig) {
        let key = |name: &str| format!("{at}.{name}");
        let [least, longest] = text.ngrams;
        if least == 0 || longest < least || longest > 16 {
            let message = format!(
                "`{}` must be two lengths in 1..=16, the shorter first, found {:?}",
                key("ngrams"),
                text.ngrams
            );
            self.broken(message, &[&key("ngrams")], "write `[1, 2]` for single words and pairs");
        }
        self.at_least_one(&[(&key("most"), text.most)]);
        self.at_most(&[(&key("most"), text.most, 1 << 16)]);
        if !(text.max_share > 0.0 && text.max_share <= 1.0) {
            let message = format!("`{}` must be in (0, 1], found {}", key("max_share"), text.max_share);
            self.broken(message, &[&key("max_share")], "0.5 leaves out what more than half of the rows have");
        }
    }

    fn task(&mut self, plan: &Plan) {
        let text = plan.data.task == TaskKind::LanguageModel;
        let task = word(&plan.data.task);
        let gpt = matches!(plan.model, ModelConfig::Gpt(_));
        if text != gpt {
            let message = format!("`data.task` = {task} does not go with `model.kind` = \"{}\"", plan.model.name());
            let next = match text {
                true => "set `model.kind` to `gpt`, or choose another task",
                false => "set `model.kind` to `linear`, `mlp`, `cnn` or `vit`, or `data.task` to `language-model`",
            };
            self.broken(message, &["data.task", "model.kind"], next);
        }
        let recommends = plan.data.task == TaskKind::Recommendation;
        let ranks = matches!(
            plan.model,
            ModelConfig::MatrixFactorization(_) | ModelConfig::Neumf(_) | ModelConfig::TwoTower(_)
        );
        if recommends != ranks && !text && !gpt {
            let message = format!("`data.task` = {task} does not go with `model.kind` = \"{}\"", plan.model.name());
            let next = match recommends {
                true => "set `model.kind` to `matrix-factorization`, `neumf` or `two-tower`, or choose another task",
                false => "set `model.kind` to one that the task takes, or `data.task` to `recommendation`",
            };
            self.broken(message, &["data.task", "model.kind"], next);
        }
        let anomaly = plan.data.task == TaskKind::Anomaly;
        let rebuilds = matches!(plan.model, ModelConfig::Autoencoder(_) | ModelConfig::Vae(_));
        if anomaly != rebuilds && !text && !gpt && !recommends && !ranks {
            let message = format!("`data.task` = {task} does not go with `model.kind` = \"{}\"", plan.model.name());
            let next = match anomaly {
                true => "set `model.kind` to `autoencoder` or `vae`, or choose another task",
                false => "set `model.kind` to one that the task takes, or `data.task` to `anomaly`",
            };
            self.broken(message, &["data.task", "model.kind"], next);
        }
        let series = matches!(
            plan.model,
            ModelConfig::Conv1d(_) | ModelConfig::SeriesGru(_) | ModelConfig::SeriesTransformer(_)
        );
        if series && plan.data.window.is_none() {
            let message =
                format!("`model.kind` = \"{}\" takes windows, but there is no `[data.window]`", plan.model.name());
            self.broken(message, &["model.kind"], "set `data.window.length`, or choose another kind");
        }
        self.window(plan);
        self.anomaly(plan);
        self.interactions(plan);
        if !text && plan.data.text.is_none() && plan.data.tokenizer.is_some() {
            let message = format!("`data.tokenizer` is for text, but `data.task` = {task}");
            self.broken(message, &["data.tokenizer", "data.task"], "remove `tokenizer`");
        }
        self.texts(plan);
        if plan.data.task == TaskKind::Regression && plan.train.label_smoothing > 0.0 {
            let message = "`train.label_smoothing` spreads classes, but `data.task` = \"regression\" has none";
            self.broken(message, &["train.label_smoothing", "data.task"], "remove `label_smoothing`");
        }
        let by_class = [
            ("train.class_weights", plan.train.class_weights.is_some()),
            ("train.resample", plan.train.resample.is_some()),
        ];
        for (key, _) in by_class.iter().filter(|(_, set)| *set && plan.data.task != TaskKind::Classification) {
            let message = format!("`{key}` goes by class, but `data.task` = {task} has none");
            self.broken(message, &[key, "data.task"], "remove it");
        }
        if let Some(Resample::Over(share) | Resample::Under(share)) = plan.train.resample
            && !(share > 0.0 && share <= 1.0)
        {
            let message = format!("`train.resample` must be a share in (0, 1], found {share}");
            self.broken(message, &["train.resample"], "1.0 draws all classes equally often");
        }
        let Some(format) = plan.data.format else { return };
        let pictures = matches!(format, Format::Idx | Format::Images);
        if text != (format == Format::Text) || pictures && plan.data.task == TaskKind::Regression {
            let message = format!("`data.format` = {} does not go with `data.task` = {task}", word(&format));
            let next = "use `text` for language models, `idx` or `images` for classification, tables for it and for regression";
            self.broken(message, &["data.format", "data.task"], next);
        }
    }

    /// A column of texts takes models of texts, and the other way round.
    fn texts(&mut self, plan: &Plan) {
        let (kind, keys) = (plan.model.name(), ["data.text", "model.kind"]);
        match &plan.data.text {
            Some(_) if plan.data.task == TaskKind::LanguageModel => {
                let message = "`data.text` names a column of texts, but a language model reads files of text";
                self.broken(message, &["data.text", "data.task"], "remove `text`, or choose another `data.task`");
            }
            Some(_) if !plan.model.reads_texts() => {
                let message = format!("`data.text` gives texts, which `model.kind` = \"{kind}\" does not read");
                let next =
                    "set `model.kind` to `encoder`, `lstm`, `gru`, `embedding-bag` or `linear`, or remove `text`";
                self.broken(message, &keys, next);
            }
            Some(_) if !plan.data.features.is_empty() || !plan.data.columns.is_empty() => {
                let message =
                    "`data.text` is the only feature: `data.features` and `data.columns` do nothing beside it";
                self.broken(message, &["data.text", "data.features", "data.columns"], "remove them");
            }
            None if plan.model.reads_texts() && !matches!(plan.model, ModelConfig::Linear(_)) => {
                let message = format!("`model.kind` = \"{kind}\" reads texts, and `data.text` names no column of them");
                self.broken(message, &keys, "add the column, as in `text = \"review\"` in [data]");
            }
            _ => {}
        }
        let pretrained = matches!(&plan.model, ModelConfig::Encoder(encoder) if encoder.pretrained.is_some());
        if pretrained && plan.data.tokenizer.is_some() {
            let message = "`model.pretrained` brings its own tokenizer";
            self.broken(message, &["model.pretrained", "data.tokenizer"], "remove `data.tokenizer`");
        }
    }

    fn model(&mut self, plan: &Plan) {
        match &plan.model {
            ModelConfig::Linear(_) => {}
            ModelConfig::Mlp(mlp) => {
                if mlp.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.below_one(&[("model.dropout", mlp.dropout)]);
            }
            ModelConfig::Cnn(cnn) => {
                self.at_least_one(&[("model.depth", cnn.depth)]);
                self.below_one(&[("model.dropout", cnn.dropout)]);
            }
            ModelConfig::Gpt(gpt) => {
                self.transformer(gpt.layers, gpt.heads, gpt.width, gpt.dropout);
                if gpt.kv_heads > 0 && !gpt.heads.is_multiple_of(gpt.kv_heads) {
                    let message =
                        format!("`model.kv_heads` = {} does not divide `model.heads` = {}", gpt.kv_heads, gpt.heads);
                    self.broken(message, &["model.kv_heads", "model.heads"], "change one of the two");
                }
                let head = gpt.width.checked_div(gpt.heads).unwrap_or(0);
                if gpt.position == PositionKind::Rope && gpt.width == head * gpt.heads && head % 2 == 1 {
                    let message = format!(
                        "`model.position` = \"rope\" turns pairs, but `model.width` = {} over `model.heads` = {} is odd: {head}",
                        gpt.width, gpt.heads
                    );
                    self.broken(
                        message,
                        &["model.position", "model.width", "model.heads"],
                        "make the head's width even",
                    );
                }
            }
            ModelConfig::Conv1d(conv) => {
                self.at_least_one(&[("model.layers", conv.layers), ("model.width", conv.width)]);
                self.below_one(&[("model.dropout", conv.dropout)]);
                if conv.kernel % 2 == 0 {
                    let message = format!("`model.kernel` must be odd, found {}", conv.kernel);
                    self.broken(message, &["model.kernel"], format!("give {}", conv.kernel + 1));
                }
            }
            ModelConfig::SeriesGru(gru) => {
                self.at_least_one(&[("model.layers", gru.layers), ("model.width", gru.width)]);
                self.below_one(&[("model.dropout", gru.dropout)]);
            }
            ModelConfig::SeriesTransformer(model) => {
                self.transformer(model.layers, model.heads, model.width, model.dropout);
            }
            ModelConfig::Autoencoder(AutoencoderConfig { hidden, code, dropout, .. })
            | ModelConfig::Vae(VaeConfig { hidden, code, dropout, .. }) => {
                self.at_least_one(&[("model.code", *code)]);
                self.below_one(&[("model.dropout", *dropout)]);
                if hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                if let ModelConfig::Vae(vae) = &plan.model {
                    self.not_negative(&[("model.beta", vae.beta)]);
                }
            }
            ModelConfig::MatrixFactorization(factors) => self.at_least_one(&[("model.width", factors.width)]),
            ModelConfig::Neumf(neumf) => {
                self.at_least_one(&[("model.width", neumf.width)]);
                self.below_one(&[("model.dropout", neumf.dropout)]);
                if neumf.hidden.is_empty() || neumf.hidden.contains(&0) {
                    let message = "`model.hidden` needs at least one layer, none of width 0";
                    self.broken(message, &["model.hidden"], "give positive widths");
                }
            }
            ModelConfig::TwoTower(towers) => {
                self.at_least_one(&[("model.width", towers.width)]);
                self.below_one(&[("model.dropout", towers.dropout)]);
                self.positive(&[("model.temperature", towers.temperature)]);
                if towers.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
            }
            ModelConfig::Vit(vit) => {
                self.at_least_one(&[("model.patch", vit.patch)]);
                self.transformer(vit.layers, vit.heads, vit.width, vit.dropout);
            }
            ModelConfig::FtTransformer(ft) => {
                self.transformer(ft.layers, ft.heads, ft.width, ft.dropout);
                let dropouts =
                    [("model.attention_dropout", ft.attention_dropout), ("model.hidden_dropout", ft.hidden_dropout)];
                self.below_one(&dropouts);
            }
            ModelConfig::WideAndDeep(deep) => {
                if deep.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.below_one(&[("model.dropout", deep.dropout)]);
            }
            ModelConfig::EmbeddingBag(bag) => {
                if bag.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.at_least_one(&[("model.width", bag.width)]);
                self.below_one(&[("model.dropout", bag.dropout)]);
            }
            ModelConfig::Lstm(own) | ModelConfig::Gru(own) => {
                let sizes =
                    [("model.embedding", own.embedding), ("model.width", own.width), ("model.layers", own.layers)];
                self.at_least_one(&sizes);
                self.below_one(&[("model.dropout", own.dropout)]);
            }
            ModelConfig::Encoder(own) => self.transformer(own.layers, own.heads, own.width, own.dropout),
        }
    }

    fn transformer(&mut self, layers: usize, heads: usize, width: usize, dropout: f64) {
        self.at_least_one(&[("model.layers", layers), ("model.heads", heads), ("model.width", width)]);
        self.below_one(&[("model.dropout", dropout)]);
        if heads > 0 && !width.is_multiple_of(heads) {
            let message = format!("`model.heads` = {heads} does not divide `model.width` = {width}");
            let next = format!("make `width` a multiple of {heads}, or change `heads`");
            self.broken(message, &["model.heads", "model.width"], next);
        }
    }
}

/// A unit variant as it is written in a config, in quotes.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

mod tasks;
mod tune;

#[cfg(test)]
mod tests;
