//! Classification: accuracy, top-k, precision, recall, F1, confusion, AUROC, average precision, log loss.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{curves, defined, ratio, weighted_mean};
use crate::error::{Error, Result};

/// More classes than this and the confusion matrix, quadratic in them, is left out.
const MAX_CONFUSION: usize = 1024;

/// Streams class probabilities.
///
/// AUROC and average precision need every score: 4 bytes a row and class are kept until [`Classification::finish`].
#[derive(Debug, Clone)]
pub struct Classification {
    classes: usize,
    /// `[rows, classes]`
    scores: Vec<f32>,
    targets: Vec<u32>,
    counts: Vec<Counts>,
    confusion: Option<Vec<Vec<u64>>>,
    in_top: u64,
    log_loss: f64,
    non_finite: u64,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    hits: u64,
    predicted: u64,
    support: u64,
}

/// Precision, recall and F1, averaged over the classes that occur as a target or a prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Averages {
    /// True positives among those predicted.
    pub precision: Option<f64>,
    /// True positives among those there are.
    pub recall: Option<f64>,
    /// Harmonic mean of the two, averaged after it is taken.
    pub f1: Option<f64>,
}

/// Figures of one class against the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// Rows of the class.
    pub support: u64,
    /// 0 where the class is never predicted; `None` where it also never occurs.
    pub precision: Option<f64>,
    /// 0 where the class never occurs but is predicted; `None` where it isn't either.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Area under the ROC curve.
    pub auroc: Option<f64>,
    /// Step-wise area under the precision-recall curve.
    pub average_precision: Option<f64>,
}

/// How often the target is among the `k` most probable classes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopK {
    /// 5, or one less than the classes where that is fewer.
    pub k: usize,
    /// The share of rows.
    pub accuracy: Option<f64>,
}

/// Figures over a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassificationReport {
    /// Rows seen.
    pub rows: u64,
    /// Rows with a probability that isn't finite.
    pub non_finite: u64,
    /// Share of rows whose most probable class, the first among equals, is the target.
    pub accuracy: Option<f64>,
    /// From three classes on.
    pub top_k: Option<TopK>,
    /// Mean of -ln p(target), p held within f64's epsilon of 0 and 1.
    pub log_loss: Option<f64>,
    /// Of class 1 with two classes, else the plain mean over classes against the rest, where defined.
    pub auroc: Option<f64>,
    /// As `auroc`, weighted by support; from three classes on.
    pub auroc_weighted: Option<f64>,
    /// Of class 1 with two classes, else the plain mean over classes that occur.
    pub average_precision: Option<f64>,
    /// Plain mean over classes.
    #[serde(rename = "macro")]
    pub macro_average: Averages,
    /// From counts summed over classes.
    pub micro: Averages,
    /// Mean over classes weighted by support.
    pub weighted: Averages,
    /// Class by class.
    pub per_class: Vec<ClassReport>,
    /// `[target][predicted]`, up to 1,024 classes.
    pub confusion: Option<Vec<Vec<u64>>>,
}

type Figure = fn(&ClassReport) -> Option<f64>;

impl Classification {
    /// For `classes` classes; two for a binary target.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            scores: Vec::new(),
            targets: Vec::new(),
            counts: vec![Counts::default(); classes],
            confusion: (classes <= MAX_CONFUSION).then(|| vec![vec![0; classes]; classes]),
            in_top: 0,
            log_loss: 0.0,
            non_finite: 0,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Adds a batch of any number of rows: probabilities `[rows, classes]`, targets `[rows]`.
    ///
    /// # Errors
    /// The two don't fit each other, or a target is no class. Nothing of the batch is then added.
    pub fn add(&mut self, probabilities: &[f32], targets: &[u32]) -> Result<()> {
        let classes = self.classes;
        if targets.len().checked_mul(classes) != Some(probabilities.len()) {
            let (p, t) = (probabilities.len(), targets.len());
            return Err(Error::failed(format!("{p} probabilities for {t} rows of {classes} classes")));
        }
        if let Some(target) = targets.iter().find(|t| **t as usize >= classes) {
            return Err(Error::failed(format!("target {target} is none of the {classes} classes")));
        }
        for (row, &target) in probabilities.chunks_exact(classes.max(1)).zip(targets) {
            self.add_row(row, target as usize);
        }
        self.scores.extend_from_slice(probabilities);
        self.targets.extend_from_slice(targets);
        Ok(())
    }

    fn add_row(&mut self, row: &[f32], target: usize) {
        if row.iter().any(|p| !p.is_finite()) {
            self.non_finite += 1;
            return;
        }
        let mine = row[target];
        let predicted = row.iter().enumerate().fold(0, |best, (class, p)| if *p > row[best] { class } else { best });
        // The first among equals, so that top-1 is the accuracy.
        let above = row.iter().enumerate().filter(|(class, p)| **p > mine || (**p == mine && *class < target)).count();
        self.in_top += u64::from(above < self.k());
        self.log_loss -= f64::from(mine).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
        self.counts[predicted].predicted += 1;
        self.counts[target].support += 1;
        self.counts[target].hits += u64::from(predicted == target);
        if let Some(confusion) = &mut self.confusion {
            confusion[target][predicted] += 1;
        }
    }

    fn k(&self) -> usize {
        self.classes.saturating_sub(1).min(5)
    }

    /// The figures.
    pub fn finish(self) -> ClassificationReport {
        let rows = if self.non_finite == 0 { self.targets.len() as f64 } else { 0.0 };
        let per_class: Vec<_> = (0..self.classes).map(|class| self.class(class)).collect();
        let binary = if self.classes == 2 { per_class.get(1) } else { None };
        let mean = |of: Figure| weighted_mean(per_class.iter().map(|c| (of(c), 1.0)));
        let weighted = |of: Figure| weighted_mean(per_class.iter().map(|c| (of(c), c.support as f64)));
        let averages = |average: &dyn Fn(Figure) -> Option<f64>| Averages {
            precision: average(|c| c.precision),
            recall: average(|c| c.recall),
            f1: average(|c| c.f1),
        };
        // Every row is predicted once, so the summed false positives are the summed false negatives.
        let accuracy = ratio(self.counts.iter().map(|c| c.hits).sum::<u64>() as f64, rows);
        ClassificationReport {
            rows: self.targets.len() as u64,
            non_finite: self.non_finite,
            accuracy,
            top_k: (self.classes > 2).then(|| TopK { k: self.k(), accuracy: ratio(self.in_top as f64, rows) }),
            log_loss: ratio(self.log_loss, rows),
            auroc: binary.map_or_else(|| mean(|c| c.auroc), |c| c.auroc),
            auroc_weighted: if binary.is_some() { None } else { weighted(|c| c.auroc) },
            average_precision: binary.map_or_else(|| mean(|c| c.average_precision), |c| c.average_precision),
            macro_average: averages(&mean),
            micro: Averages { precision: accuracy, recall: accuracy, f1: accuracy },
            weighted: averages(&weighted),
            per_class,
            confusion: self.confusion.filter(|_| self.non_finite == 0),
        }
    }

    fn class(&self, class: usize) -> ClassReport {
        let Counts { hits, predicted, support } = self.counts[class];
        let occurs = self.non_finite == 0 && predicted + support > 0;
        let share = |of: u64| occurs.then(|| ratio(hits as f64, of as f64).unwrap_or(0.0));
        let (auroc, average_precision) = if self.non_finite == 0 {
            let scores = self.scores.iter().skip(class).step_by(self.classes.max(1));
            curves::areas(scores.zip(&self.targets).map(|(p, t)| (*p, *t as usize == class)))
        } else {
            (None, None)
        };
        ClassReport {
            support,
            precision: share(predicted),
            recall: share(support),
            f1: occurs.then(|| 2.0 * hits as f64 / (predicted + support) as f64),
            auroc,
            average_precision,
        }
    }
}

impl ClassificationReport {
    /// `accuracy`, `top5_accuracy`, `log_loss`, `auroc`, `auroc_weighted`, `average_precision`, and `precision_macro`,
    /// `recall_micro`, `f1_weighted` and so on; with two classes also `precision`, `recall` and `f1` of class 1.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = defined([
            ("accuracy", self.accuracy),
            ("log_loss", self.log_loss),
            ("auroc", self.auroc),
            ("auroc_weighted", self.auroc_weighted),
            ("average_precision", self.average_precision),
        ]);
        if let Some(TopK { k, accuracy: Some(accuracy) }) = self.top_k {
            metrics.insert(format!("top{k}_accuracy"), accuracy);
        }
        let averages = [("_macro", &self.macro_average), ("_micro", &self.micro), ("_weighted", &self.weighted)];
        let figures = averages.map(|(suffix, a)| (suffix, a.precision, a.recall, a.f1));
        let class_1 = match self.per_class.as_slice() {
            [_, one] => Some(("", one.precision, one.recall, one.f1)),
            _ => None,
        };
        for (suffix, precision, recall, f1) in figures.into_iter().chain(class_1) {
            for (name, value) in defined([("precision", precision), ("recall", recall), ("f1", f1)]) {
                metrics.insert(name + suffix, value);
            }
        }
        metrics
    }
}
