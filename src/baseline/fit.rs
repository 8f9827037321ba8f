//! Fits the classic models and finds the best of them.

use std::time::Instant;

use kiln_classic::Model;
use serde::{Deserialize, Serialize};

use super::{
    BaselineConfig, BaselineKind, When,
    rows::{Table, classic_rows, predictions_of, shape},
};
use crate::{
    data::{Dataset, InputSchema, Split},
    error::Result,
    metric::{Counted, Headline},
};

/// One of the classic models, as it was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which one.
    pub kind: BaselineKind,
    /// Its figure on the validation rows; `None` where it could not be fitted or has none.
    pub value: Option<f64>,
    /// Why it could not be fitted, if it could not.
    pub fault: Option<String>,
    /// Seconds that fitting took.
    pub seconds: f64,
}

/// The classic models of a run, judged on its validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The data that they were fitted on.
    pub dataset: String,
    /// What they were asked for.
    pub config: BaselineConfig,
    /// The figure that they were chosen by.
    pub figure: Headline,
    /// Training rows that they were fitted on.
    pub rows: usize,
    /// Training rows that there are.
    pub of: u64,
    /// Every one of them, in the order of the config.
    pub candidates: Vec<Candidate>,
    /// The best one.
    pub best: BaselineKind,
    /// Which a run serves where the network fails.
    pub model: Model,
}

impl Gate {
    /// Whether it stands for these data under this config.
    pub fn stands_for(&self, config: &BaselineConfig, dataset: &Dataset) -> bool {
        self.config == *config && self.dataset == dataset.fingerprint()
    }
}

/// Whether a run over these data has a gate at all.
pub fn applies(config: &BaselineConfig, dataset: &Dataset) -> bool {
    let wanted = match config.on {
        When::Never => false,
        When::Tables => matches!(dataset.schema().input, InputSchema::Table { .. }),
        When::Always => true,
    };
    wanted && !config.models.is_empty() && shape(dataset.schema()).is_some() && !dataset.is_empty(Split::Validation)
}

/// Fits every model of the config on the training split and judges it by `figure` on the validation split; `None` where
/// the config or the data have no gate, or where none of the models could be fitted.
///
/// # Errors
/// A damaged shard.
pub fn fit_gate(
    config: &BaselineConfig,
    dataset: &Dataset,
    figure: Headline,
    seed: u64,
    say: &dyn Fn(&str),
) -> Result<Option<Gate>> {
    if !applies(config, dataset) {
        return Ok(None);
    }
    let table = classic_rows(dataset, Split::Train, config.rows, seed)?;
    if (table.len() as u64) < table.of {
        say(&format!("baselines are fitted on {} of {} training rows, drawn at random", table.len(), table.of));
    }
    let mut candidates = Vec::new();
    let mut best: Option<(f64, BaselineKind, Model)> = None;
    for &kind in &config.models {
        let (candidate, model) = judge(kind, &table, dataset, figure, seed)?;
        if let (Some(value), Some(model)) = (candidate.value, model) {
            let merit = if figure.higher_is_better() { value } else { -value };
            if best.as_ref().is_none_or(|(least, ..)| merit > *least) {
                best = Some((merit, kind, model));
            }
        }
        candidates.push(candidate);
    }
    let Some((_, best, model)) = best else {
        for candidate in candidates {
            say(&format!("baseline {}: {}", candidate.kind.name(), candidate.fault.unwrap_or_default()));
        }
        return Ok(None);
    };
    let dataset = dataset.fingerprint().to_string();
    Ok(Some(Gate { dataset, config: config.clone(), figure, rows: table.len(), of: table.of, candidates, best, model }))
}

fn judge(
    kind: BaselineKind,
    table: &Table,
    dataset: &Dataset,
    figure: Headline,
    seed: u64,
) -> Result<(Candidate, Option<Model>)> {
    let clock = Instant::now();
    let fitted = kiln_classic::fit(kind, table.rows(), table.targets(), seed);
    let seconds = clock.elapsed().as_secs_f64();
    Ok(match fitted {
        Err(fault) => (Candidate { kind, value: None, fault: Some(fault.0), seconds }, None),
        Ok(model) => {
            let predictions = predictions_of(&model, dataset, Split::Validation)?;
            let value = Counted::new(&predictions).whole().get(&figure).copied();
            let fault = value.is_none().then(|| format!("its {} is not defined on the validation rows", figure.name()));
            (Candidate { kind, value, fault, seconds }, Some(model))
        }
    })
}
