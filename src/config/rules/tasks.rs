//! Rules of what is learned: which model a task takes, `[data.window]`, `[data.anomaly]`, `[data.interactions]`.

use super::{Rules, word};
use crate::{
    config::Plan,
    data::{Format, HoldoutBy, RankingLoss, Resample, TaskKind},
    model::ModelConfig,
};

impl Rules<'_> {
    pub(super) fn task(&mut self, plan: &Plan) {
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
        if data.fold.is_some() {
            let message = "`data.fold` shares out rows, and windows share theirs";
            self.broken(message, &["data.fold", "data.window"], "remove `fold`");
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
