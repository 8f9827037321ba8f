//! The figures that models are compared by, on any resample of the same rows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Predictions, Truth, USER_FIGURES,
    curves::{Ranking, areas_counted},
    predictions::argmax,
    ratio, weighted_mean,
};

/// A figure that models are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Headline {
    /// Share of rows whose most probable class is the target.
    Accuracy,
    /// Area under the ROC curve.
    Auroc,
    /// Step-wise area under the precision-recall curve.
    AveragePrecision,
    /// F1, averaged over classes.
    F1Macro,
    /// Mean of -ln p(target).
    LogLoss,
    /// Root of the mean squared error.
    Rmse,
    /// Mean absolute error.
    Mae,
    /// Coefficient of determination.
    R2,
    /// Share of the items that a user chose which are among the first 10.
    #[serde(rename = "recall@10")]
    Recall,
    /// Normalised discounted cumulative gain of the first 10 items.
    #[serde(rename = "ndcg@10")]
    Ndcg,
    /// Mean over users of one over the place of the highest item that they chose.
    Mrr,
    /// Share of users of whose items one is among the first 10.
    #[serde(rename = "hit@10")]
    Hit,
}

impl Headline {
    /// Every one, classification's first.
    pub const ALL: [Self; 12] = [
        Self::Accuracy,
        Self::Auroc,
        Self::AveragePrecision,
        Self::F1Macro,
        Self::LogLoss,
        Self::Rmse,
        Self::Mae,
        Self::R2,
        Self::Recall,
        Self::Ndcg,
        Self::Mrr,
        Self::Hit,
    ];

    /// As reports and configs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Auroc => "auroc",
            Self::AveragePrecision => "average_precision",
            Self::F1Macro => "f1_macro",
            Self::LogLoss => "log_loss",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::R2 => "r2",
            Self::Recall => "recall@10",
            Self::Ndcg => "ndcg@10",
            Self::Mrr => "mrr",
            Self::Hit => "hit@10",
        }
    }

    /// Whether it is a figure of classes.
    pub fn of_classes(self) -> bool {
        !self.of_values() && !self.of_users()
    }

    /// Whether it is a figure of values.
    pub fn of_values(self) -> bool {
        matches!(self, Self::Rmse | Self::Mae | Self::R2)
    }

    /// Whether it is a figure of what is recommended to users.
    pub fn of_users(self) -> bool {
        matches!(self, Self::Recall | Self::Ndcg | Self::Mrr | Self::Hit)
    }

    /// Whether it is a figure of scores of anomalies.
    pub fn of_scores(self) -> bool {
        matches!(self, Self::Auroc | Self::AveragePrecision)
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::Rmse | Self::Mae)
    }

    /// The one to compare by where none is asked for: AUROC of two classes or of anomalies, accuracy of more,
    /// RMSE of values, NDCG of recommendations.
    pub fn usual(predictions: &Predictions) -> Self {
        match (&predictions.truth, predictions.width) {
            (Truth::Values(_), _) => Self::Rmse,
            (Truth::Users(_), _) => Self::Ndcg,
            (Truth::Classes(_), 2) | (Truth::Anomalies(_), _) => Self::Auroc,
            _ => Self::Accuracy,
        }
    }
}

/// Figures by name; one that isn't defined is absent.
pub type Figures = BTreeMap<Headline, f64>;

/// More classes than this and the ranking figures, which need an order of the rows for each, are left out.
const MAX_RANKED: usize = 64;

/// A model's predictions, sorted once, so that a resample of the rows costs one pass.
pub struct Counted {
    rows: usize,
    kind: Kind,
}

enum Kind {
    /// Outputs that are not finite have no figures.
    Undefined,
    Classes {
        classes: usize,
        targets: Vec<u32>,
        predicted: Vec<u32>,
        nats: Vec<f64>,
        rankings: Vec<Ranking>,
    },
    /// For every target column: truth, error.
    Values(Vec<Vec<(f64, f64)>>),
    Anomalies(Ranking),
    /// The figures of every user.
    Users(Vec<f32>),
}

impl Counted {
    /// Sorts the rows by every class's probability.
    pub fn new(predictions: &Predictions) -> Self {
        let rows = predictions.len();
        if !predictions.is_finite() {
            return Self { rows, kind: Kind::Undefined };
        }
        let width = predictions.width;
        let kind = match &predictions.truth {
            Truth::Values(values) => {
                Kind::Values((0..width).map(|c| column(&predictions.outputs, values, width, c)).collect())
            }
            Truth::Anomalies(flags) => Kind::Anomalies(Ranking::new(
                predictions.outputs.iter().zip(flags).map(|(score, flag)| (*score, *flag)),
            )),
            Truth::Users(_) => Kind::Users(predictions.outputs.clone()),
            Truth::Classes(ids) => {
                let ranked = if width == 2 { 1..2 } else { 0..if width > MAX_RANKED { 0 } else { width } };
                let rank = |class: usize| {
                    let scores = predictions.outputs.iter().skip(class).step_by(width);
                    Ranking::new(scores.zip(ids).map(|(p, id)| (*p, *id as usize == class)))
                };
                let nats = |(row, id): (&[f32], &u32)| {
                    let p = row.get(*id as usize).copied().unwrap_or(0.0);
                    -f64::from(p).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
                };
                Kind::Classes {
                    classes: width,
                    targets: ids.clone(),
                    predicted: predictions.rows().map(|row| argmax(row) as u32).collect(),
                    nats: predictions.rows().zip(ids).map(nats).collect(),
                    rankings: ranked.map(rank).collect(),
                }
            }
        };
        Self { rows, kind }
    }

    /// The figures of every row once.
    pub fn whole(&self) -> Figures {
        self.figures(&vec![1; self.rows])
    }

    /// The figures of a resample, in which row `i` stands `counts[i]` times.
    pub fn figures(&self, counts: &[u32]) -> Figures {
        let figures = match &self.kind {
            Kind::Undefined => Vec::new(),
            Kind::Classes { classes, targets, predicted, nats, rankings } => {
                let n = f64::from(counts.iter().sum::<u32>());
                let mut cells = vec![Cell::default(); *classes];
                let mut hits = 0.0;
                for ((&target, &guess), &count) in targets.iter().zip(predicted).zip(counts) {
                    let count = f64::from(count);
                    hits += if target == guess { count } else { 0.0 };
                    add(&mut cells, target, |cell| cell.support += count);
                    add(&mut cells, guess, |cell| cell.predicted += count);
                    add(&mut cells, target, |cell| cell.hits += if target == guess { count } else { 0.0 });
                }
                let nats = nats.iter().zip(counts).map(|(v, c)| v * f64::from(*c)).sum::<f64>();
                let areas: Vec<_> = rankings.iter().map(|ranking| areas_counted(ranking, counts)).collect();
                vec![
                    (Headline::Accuracy, ratio(hits, n)),
                    (Headline::Auroc, weighted_mean(areas.iter().map(|a| (a.0, 1.0)))),
                    (Headline::AveragePrecision, weighted_mean(areas.iter().map(|a| (a.1, 1.0)))),
                    (Headline::F1Macro, weighted_mean(cells.iter().map(|cell| (cell.f1(), 1.0)))),
                    (Headline::LogLoss, ratio(nats, n)),
                ]
            }
            Kind::Anomalies(ranking) => {
                let (auroc, precision) = areas_counted(ranking, counts);
                vec![(Headline::Auroc, auroc), (Headline::AveragePrecision, precision)]
            }
            Kind::Users(figures) => {
                let n = f64::from(counts.iter().sum::<u32>());
                let mean = |place: usize| {
                    let own = figures.iter().skip(place).step_by(USER_FIGURES).zip(counts);
                    ratio(own.map(|(v, count)| f64::from(*v) * f64::from(*count)).sum(), n)
                };
                let names = [Headline::Recall, Headline::Ndcg, Headline::Mrr, Headline::Hit];
                names.into_iter().enumerate().map(|(place, name)| (name, mean(place))).collect()
            }
            Kind::Values(columns) => {
                let each: Vec<[Option<f64>; 3]> = columns.iter().map(|rows| errors(rows, counts)).collect();
                let mean =
                    |i: usize| weighted_mean(each.iter().map(|figures| (figures.get(i).copied().flatten(), 1.0)));
                vec![(Headline::Rmse, mean(0)), (Headline::Mae, mean(1)), (Headline::R2, mean(2))]
            }
        };
        figures.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[derive(Clone, Default)]
struct Cell {
    hits: f64,
    predicted: f64,
    support: f64,
}

impl Cell {
    /// Undefined for a class that neither occurs nor is predicted.
    fn f1(&self) -> Option<f64> {
        ratio(2.0 * self.hits, self.predicted + self.support)
    }
}

fn add(cells: &mut [Cell], class: u32, how: impl FnOnce(&mut Cell)) {
    if let Some(cell) = cells.get_mut(class as usize) {
        how(cell);
    }
}

fn column(outputs: &[f32], values: &[f32], width: usize, column: usize) -> Vec<(f64, f64)> {
    let pairs = outputs.iter().zip(values).skip(column).step_by(width.max(1));
    pairs.map(|(p, t)| (f64::from(*t), f64::from(*p) - f64::from(*t))).collect()
}

/// RMSE, MAE and R² of one target column.
fn errors(rows: &[(f64, f64)], counts: &[u32]) -> [Option<f64>; 3] {
    let each = || rows.iter().zip(counts).map(|((truth, error), count)| (*truth, *error, f64::from(*count)));
    let n: f64 = each().map(|(.., count)| count).sum();
    let squared: f64 = each().map(|(_, error, count)| error * error * count).sum();
    let absolute: f64 = each().map(|(_, error, count)| error.abs() * count).sum();
    let mean = each().map(|(truth, _, count)| truth * count).sum::<f64>() / n.max(1.0);
    let spread: f64 = each().map(|(truth, _, count)| (truth - mean).powi(2) * count).sum();
    let r2 = match ratio(squared, spread) {
        Some(unexplained) => 1.0 - unexplained,
        None => f64::from(u8::from(squared == 0.0)),
    };
    [ratio(squared, n).map(f64::sqrt), ratio(absolute, n), (n >= 2.0).then_some(r2)]
}
