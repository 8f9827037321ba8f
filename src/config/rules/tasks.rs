//! Rules of `[data.window]`, `[data.anomaly]` and `[data.interactions]`.

use super::{Rules, word};
use crate::{
    config::Plan,
    data::{HoldoutBy, RankingLoss, TaskKind},
};

impl Rules<'_> {
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
