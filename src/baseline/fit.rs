//! Fits the classic models and finds the best of them.

use std::time::Instant;

use kiln_classic::{Fault, Model};
use serde::{Deserialize, Serialize};

use super::{
    BaselineConfig, BaselineKind, When, naive,
    rows::{classic_rows, predictions_of, shape},
    texts::{Terms, are_texts},
    users,
};
use crate::{
    data::{Dataset, InputSchema, Split, TargetSchema},
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
    /// How it reads texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
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
        When::Tables if are_texts(dataset) => true,
        When::Tables => matches!(
            dataset.schema().input,
            InputSchema::Table { .. } | InputSchema::Windows { .. } | InputSchema::Choices { .. }
        ),
        When::Always => true,
    };
    let known =
        shape(dataset.schema()).is_some() || are_texts(dataset) || dataset.schema().target == TargetSchema::Items;
    wanted && known && !suited(config, dataset).is_empty() && !dataset.is_empty(Split::Validation)
}

/// The config's models that suit the data.
fn suited(config: &BaselineConfig, dataset: &Dataset) -> Vec<BaselineKind> {
    let suits = |kind: &BaselineKind| match dataset.schema().target {
        TargetSchema::Items => matches!(kind, BaselineKind::Popularity | BaselineKind::ItemKnn),
        // Without labels there is nothing to compare by.
        TargetSchema::Itself { labelled } => labelled && matches!(kind, BaselineKind::KMeans | BaselineKind::Pca),
        // Trees and neighbours take minutes over a thousand columns, and rarely beat it there.
        _ if are_texts(dataset) => *kind == BaselineKind::Linear,
        _ => {
            let forecasts = dataset.schema().forecast().is_some();
            BaselineKind::SUPERVISED.contains(kind)
                || forecasts && matches!(kind, BaselineKind::Last | BaselineKind::Seasonal)
        }
    };
    config.models.iter().copied().filter(suits).collect()
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
    if dataset.schema().target == TargetSchema::Items {
        let all = dataset.len(Split::Train);
        let fit = |kind| users::fit(kind, dataset);
        return choose(config, (dataset, None), figure, (all as usize, all), &fit, say);
    }
    let terms = Terms::learn(dataset)?;
    let table = classic_rows(dataset, terms.as_ref(), Split::Train, config.rows, seed)?;
    if (table.len() as u64) < table.of {
        say(&format!("baselines are fitted on {} of {} training rows, drawn at random", table.len(), table.of));
    }
    let unsupervised = matches!(dataset.schema().target, TargetSchema::Itself { .. });
    let fit = |kind| match unsupervised {
        _ if matches!(kind, BaselineKind::Last | BaselineKind::Seasonal) => naive::fit(kind, dataset.schema()),
        true => kiln_classic::fit_rows(kind, table.rows(), seed),
        false => kiln_classic::fit(kind, table.rows(), table.targets(), seed),
    };
    choose(config, (dataset, terms), figure, (table.len(), table.of), &fit, say)
}

/// Fits every model with `fit`, judges it, and keeps the best; `rows` of so many are what they are fitted on.
fn choose(
    config: &BaselineConfig,
    (dataset, terms): (&Dataset, Option<Terms>),
    figure: Headline,
    (rows, of): (usize, u64),
    fit: &dyn Fn(BaselineKind) -> Result<Model, Fault>,
    say: &dyn Fn(&str),
) -> Result<Option<Gate>> {
    let mut candidates = Vec::new();
    let mut best: Option<(f64, BaselineKind, Model)> = None;
    for kind in suited(config, dataset) {
        let (candidate, model) = judge(kind, fit, (dataset, terms.as_ref()), figure)?;
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
    Ok(Some(Gate { dataset, config: config.clone(), figure, rows, of, candidates, best, model, terms }))
}

fn judge(
    kind: BaselineKind,
    fit: &dyn Fn(BaselineKind) -> Result<Model, Fault>,
    (dataset, terms): (&Dataset, Option<&Terms>),
    figure: Headline,
) -> Result<(Candidate, Option<Model>)> {
    let clock = Instant::now();
    let fitted = fit(kind);
    let seconds = clock.elapsed().as_secs_f64();
    Ok(match fitted {
        Err(fault) => (Candidate { kind, value: None, fault: Some(fault.0), seconds }, None),
        Ok(model) => {
            let predictions = predictions_of(&model, terms, dataset, Split::Validation)?;
            let value = Counted::new(&predictions).whole().get(&figure).copied();
            let fault = value.is_none().then(|| format!("its {} is not defined on the validation rows", figure.name()));
            (Candidate { kind, value, fault, seconds }, Some(model))
        }
    })
}
