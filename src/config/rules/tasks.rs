//! Rules of what is learned: which model a task takes, `[data.window]`, `[data.anomaly]`, `[data.interactions]`.

use super::{Rules, word};
use crate::{
    config::Plan,
    data::{DataConfig, Format, HoldoutBy, RankingLoss, Resample, TaskKind},
    model::{ModelConfig, Reads},
};

impl Rules<'_> {
    pub(super) fn task(&mut self, plan: &Plan) {
        let text = plan.data.task == TaskKind::LanguageModel;
        let task = word(&plan.data.task);
        self.model_reads(plan);
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

    /// Data of one kind take a model that reads it.
    fn model_reads(&mut self, plan: &Plan) {
        let (given, key) = given(&plan.data);
        let kind = plan.model.name();
        let reads = Reads::of(kind);
        if reads.iter().any(|read| given.contains(read)) {
            return;
        }
        let names = Reads::names(given);
        let gives = match key {
            "data.task" => format!("`data.task` = {} gives {names}", word(&plan.data.task)),
            _ => format!("`{key}` gives {names}"),
        };
        let message = format!("`model.kind` = \"{kind}\" reads {}, but {gives}", Reads::names(reads));
        let other = match reads.first() {
            Some(Reads::Text) => ", or `data.task` to `language-model`",
            Some(Reads::Choices) => ", or `data.task` to `recommendation`",
            Some(Reads::Anomalies) => ", or `data.task` to `anomaly`",
            Some(Reads::Texts) if key == "data.task" => ", or `data.text` to a column of texts",
            Some(Reads::Windows) if key == "data.task" => ", or `data.window.length`",
            _ => "",
        };
        self.broken(message, &[key, "model.kind"], format!("set `model.kind` to {}{other}", Reads::kinds(given)));
    }

    /// What a column of texts does not go with.
    fn texts(&mut self, plan: &Plan) {
        if plan.data.text.is_some() && plan.data.task == TaskKind::LanguageModel {
            let message = "`data.text` names a column of texts, but a language model reads files of text";
            self.broken(message, &["data.text", "data.task"], "remove `text`, or choose another `data.task`");
        } else if plan.data.text.is_some() && !(plan.data.features.is_empty() && plan.data.columns.is_empty()) {
            let message = "`data.text` is the only feature: `data.features` and `data.columns` do nothing beside it";
            self.broken(message, &["data.text", "data.features", "data.columns"], "remove them");
        }
        let pretrained = matches!(&plan.model, ModelConfig::Encoder(encoder) if encoder.pretrained.is_some());
        if pretrained && plan.data.tokenizer.is_some() {
            let message = "`model.pretrained` brings its own tokenizer";
            self.broken(message, &["model.pretrained", "data.tokenizer"], "remove `data.tokenizer`");
        }
    }

    pub(super) fn window(&mut self, plan: &Plan) {
        let data = &plan.data;
        let Some(window) = &data.window else { return };
        if !matches!(data.task, TaskKind::Classification | TaskKind::Regression) {
            let message =
                format!("`data.window` is for classification and regression, but `data.task` = {}", word(&data.task));
            self.broken(message, &["data.window", "data.task"], "remove `window`");
        }
        let horizon = window.horizon(data.task);
        self.at_least_one(&[
            ("data.window.length", window.length),
            ("data.window.stride", window.stride),
            ("data.window.season", window.season.unwrap_or(1)),
            ("data.window.horizon", if data.task == TaskKind::Regression { horizon } else { 1 }),
        ]);
        self.at_most(&[
            ("data.window.length", window.length, 100_000),
            ("data.window.stride", window.stride, 1 << 24),
            ("data.window.horizon", horizon, 10_000),
            ("data.window.season", window.season.unwrap_or(1), 100_000),
        ]);
        if window.time.is_none() && matches!(data.holdout.by, HoldoutBy::Row | HoldoutBy::Class) {
            let message = "`data.window` needs rows that are held out together, by time or by group";
            let next = "name `data.window.time`, or set `data.holdout` to `{ by = \"group\", column = \"...\" }`";
            self.broken(message, &["data.window", "data.holdout.by"], next);
        }
        if window.time.is_some() && data.holdout.by == HoldoutBy::Class {
            let message = "`data.holdout.by` = \"class\" takes windows apart";
            self.broken(message, &["data.holdout.by", "data.window"], "remove `by`");
        }
        if data.fold.as_ref().is_some_and(|fold| !fold.by.leaves_windows_whole(&fold.column, window)) {
            let message = "`data.fold` takes windows apart, which share their rows";
            let next = "let folds go by `data.window.time` or `data.window.group`";
            self.broken(message, &["data.fold", "data.window"], next);
        }
    }

    pub(super) fn anomaly(&mut self, plan: &Plan) {
        let Some(asked) = &plan.data.anomaly else { return };
        if plan.data.task != TaskKind::Anomaly {
            let message = format!("`data.anomaly` is for anomalies, but `data.task` = {}", word(&plan.data.task));
            self.broken(message, &["data.anomaly", "data.task"], "remove `anomaly`");
        }
        if !(asked.quantile > 0.0 && asked.quantile < 1.0) {
            let message = format!("`data.anomaly.quantile` must be between 0 and 1, found {}", asked.quantile);
            self.broken(message, &["data.anomaly.quantile"], "give the share of training rows below the threshold");
        }
        if asked.normal.is_empty() {
            let message = "`data.anomaly.normal` is empty, so no row would be normal";
            self.broken(message, &["data.anomaly.normal"], "list what the target column says of a normal row");
        }
    }

    pub(super) fn interactions(&mut self, plan: &Plan) {
        let data = &plan.data;
        let recommends = data.task == TaskKind::Recommendation;
        let Some(asked) = &data.interactions else {
            if recommends {
                let message = "`data.task` = \"recommendation\" needs `[data.interactions]`";
                let next = "name the columns, as in `interactions = { user = \"user\", item = \"item\" }`";
                self.broken(message, &["data.task"], next);
            }
            return;
        };
        if !recommends {
            let message = format!("`data.interactions` is for recommendation, but `data.task` = {}", word(&data.task));
            self.broken(message, &["data.interactions", "data.task"], "remove `interactions`");
        }
        let draws = asked.loss != RankingLoss::InBatch;
        self.at_least_one(&[("data.interactions.negatives", asked.negatives.max(usize::from(!draws)))]);
        self.at_most(&[("data.interactions.negatives", asked.negatives, 10_000)]);
        if asked.least.is_some() && asked.rating.is_none() {
            let message = "`data.interactions.least` does nothing without `rating`";
            self.broken(message, &["data.interactions.least"], "name the column of the ratings");
        }
        if asked.loss == RankingLoss::InBatch && plan.train.batch < 2 {
            let message =
                "`data.interactions.loss` = \"in-batch\" takes the other rows of a batch for what was not chosen";
            self.broken(message, &["data.interactions.loss", "train.batch"], "set `train.batch` to at least 2");
        }
    }
}

/// What `[data]` gives to a model, and the key that says so.
fn given(data: &DataConfig) -> (&'static [Reads], &'static str) {
    match data.task {
        TaskKind::LanguageModel => (&[Reads::Text], "data.task"),
        TaskKind::Recommendation => (&[Reads::Choices], "data.task"),
        TaskKind::Anomaly => (&[Reads::Anomalies], "data.task"),
        _ if data.text.is_some() => (&[Reads::Texts], "data.text"),
        _ if data.window.is_some() => (&[Reads::Windows], "data.window"),
        TaskKind::Regression => (&[Reads::Tables], "data.task"),
        TaskKind::Classification => match data.format {
            Some(Format::Idx | Format::Images) => (&[Reads::Pictures], "data.format"),
            Some(_) => (&[Reads::Tables], "data.format"),
            None => (&[Reads::Tables, Reads::Pictures], "data.task"),
        },
    }
}
