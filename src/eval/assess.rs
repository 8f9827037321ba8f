//! What the metrics of a split are worth: intervals, calibration, thresholds, residuals.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    metric::{
        Aim, Calibration, Counted, Cut, Estimate, Interval, Predictions, Resampling, Temperature, Truth, calibration,
        choose_threshold, cut, estimates, fit_temperature, quantile,
    },
    track::atomic,
};

/// What was learned on the validation rows about how far to trust the model; kept as `calibration.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjusted {
    /// The step of the checkpoint that it stands for.
    pub step: u64,
    /// Classes: what scores are divided by before the softmax; absent where no finite temperature is best.
    pub temperature: Option<Temperature>,
    /// Values: for every target column, how far the truth strays from a prediction, with `level` confidence.
    pub half_widths: Vec<f64>,
    /// The confidence of `half_widths`.
    pub level: f64,
    /// Anomalies: the score from which a row is told to be one, by a quantile of the training rows' scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// Fits temperature or interval widths on validation rows.
///
/// The width is the split-conformal one (Lei et al. 2018): the `ceil((n + 1) * level)`-th smallest absolute error, which
/// covers new rows of the same kind at least `level` of the time.
pub fn calibrate(validation: &Predictions, step: u64, level: f64) -> Adjusted {
    let half_widths = match &validation.truth {
        Truth::Classes(_) | Truth::Anomalies(_) | Truth::Users(_) => Vec::new(),
        Truth::Values(_) => residuals(validation).iter().map(|errors| half_width(errors, level)).collect(),
    };
    Adjusted { step, temperature: fit_temperature(validation), half_widths, level, threshold: None }
}

fn half_width(errors: &[f64], level: f64) -> f64 {
    let mut sizes: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let place = ((sizes.len() + 1) as f64 * level).ceil() as usize;
    // Too few rows for so much confidence: the widest is all that is known.
    sizes.get(place.saturating_sub(1)).or(sizes.last()).copied().unwrap_or(f64::NAN)
}

impl Adjusted {
    /// The file's name in a run's folder.
    pub const FILE: &str = "calibration.json";

    /// What a run's folder keeps for the checkpoint of `step`; `None` where there is nothing, or it is of another step.
    pub fn load(folder: &Path, step: u64) -> Option<Self> {
        let text = std::fs::read(folder.join(Self::FILE)).ok().filter(|text| text.len() < 1 << 20)?;
        serde_json::from_slice::<Self>(&text).ok().filter(|adjusted| adjusted.step == step)
    }

    /// Writes it into a run's folder.
    pub fn store(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::failed(format!("cannot write the calibration as JSON: {e}")))?;
        atomic::write(&folder.join(Self::FILE), &json)
    }
}

/// A binary cut, chosen on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cutting {
    /// What it was chosen for.
    pub aim: String,
    /// What it does on the rows that are judged.
    pub cut: Cut,
    /// What those rows cost with it, and with a threshold of 0.5, where prices were given.
    pub cost: Option<(f64, f64)>,
    /// What a threshold of 0.5 does on the same rows.
    pub at_half: Cut,
}

/// The aim of a threshold, with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Aimed {
    /// As a person named it.
    pub name: String,
    /// What to look for.
    pub aim: Aim,
}

/// Errors of one target column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Residuals {
    /// The truth less the prediction: its quantiles, by share.
    pub quantiles: Vec<(f64, f64)>,
    /// Half the width of an interval around every prediction, learned on the validation rows.
    pub half_width: f64,
    /// The share of rows whose truth lies in it.
    pub coverage: f64,
}

/// Everything that is known of a split beyond its metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    /// Figures with their intervals.
    pub figures: BTreeMap<&'static str, Estimate>,
    /// Confidence of the intervals.
    pub level: f64,
    /// Resamples that they come from.
    pub resamples: usize,
    /// How probabilities come true.
    pub calibration: Option<Calibration>,
    /// The same after temperature scaling.
    pub calibrated: Option<Calibration>,
    /// Log loss after temperature scaling.
    pub calibrated_log_loss: Option<f64>,
    /// What was learned on the validation rows, where there are any.
    pub adjusted: Option<Adjusted>,
    /// The cut that was asked for.
    pub threshold: Option<Cutting>,
    /// Errors by target column.
    pub residuals: Vec<Residuals>,
}

/// Shares at which residuals are told.
const SHARES: [f64; 7] = [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975];

/// Judges `predictions`, with what was learned on the validation rows: they themselves, and what [`calibrate`] made of
/// them.
///
/// # Errors
/// A threshold for anything but two classes, or without validation rows to choose it on.
pub fn assess(
    predictions: &Predictions,
    known: Option<(&Predictions, Adjusted)>,
    aim: Option<&Aimed>,
    how: Resampling,
) -> Result<Assessment> {
    let how = how.bounded(predictions.len());
    let (validation, adjusted) = known.unzip();
    let scaled = adjusted.as_ref().and_then(|a| a.temperature).map(|temperature| temperature.apply(predictions));
    let log_loss = |p: &Predictions| Counted::new(p).whole().get(&crate::metric::Headline::LogLoss).copied();
    let widths = adjusted.as_ref().map_or(&[][..], |a| &a.half_widths);
    let residuals = residuals(predictions).into_iter().zip(widths);
    Ok(Assessment {
        figures: estimates(&Counted::new(predictions), predictions.len(), how),
        level: how.level,
        resamples: how.times,
        calibration: calibration(predictions),
        calibrated: scaled.as_ref().and_then(calibration),
        calibrated_log_loss: scaled.as_ref().and_then(log_loss),
        threshold: aim.map(|aim| cutting(predictions, validation, aim)).transpose()?,
        residuals: residuals.map(|(errors, &width)| described(errors, width)).collect(),
        adjusted,
    })
}

fn cutting(predictions: &Predictions, validation: Option<&Predictions>, aimed: &Aimed) -> Result<Cutting> {
    let validation = validation.ok_or_else(|| {
        Error::input("a threshold is chosen on validation rows, and the data have none")
            .next("set `data.holdout.validation`")
    })?;
    let (Some(rows), Some(known)) = (predictions.binary(), validation.binary()) else {
        return Err(Error::input("a threshold cuts one score, and this run does not have two classes")
            .next("leave out --threshold and --cost"));
    };
    let chosen = choose_threshold(&known, aimed.aim).ok_or_else(|| {
        Error::input(format!("no threshold can be chosen for {}: the validation rows are of one class", aimed.name))
            .next("hold more rows out for validation")
    })?;
    let (cut, at_half) = (cut(&rows, chosen.threshold), cut(&rows, 0.5));
    let cost = match aimed.aim {
        Aim::Cost(a, b) => Some((cut.cost(a, b), at_half.cost(a, b))),
        _ => None,
    };
    Ok(Cutting { aim: aimed.name.clone(), cut, cost, at_half })
}

/// The truth less the prediction, column by column; nothing for classes.
pub fn residuals(predictions: &Predictions) -> Vec<Vec<f64>> {
    let Truth::Values(truth) = &predictions.truth else { return Vec::new() };
    let column = |c: usize| {
        let pairs = truth.iter().zip(&predictions.outputs).skip(c).step_by(predictions.width);
        pairs.map(|(t, p)| f64::from(*t) - f64::from(*p)).collect()
    };
    (0..predictions.width).map(column).collect()
}

fn described(mut errors: Vec<f64>, half_width: f64) -> Residuals {
    let inside = errors.iter().filter(|e| e.abs() <= half_width).count() as f64;
    let coverage = inside / errors.len().max(1) as f64;
    errors.sort_by(f64::total_cmp);
    let quantiles = SHARES.iter().filter_map(|&share| Some((share, quantile(&errors, share)?))).collect();
    Residuals { quantiles, half_width, coverage }
}

/// An interval in brackets, for a person.
impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{:.4}, {:.4}]", self.low, self.high)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn values(errors: &[f32]) -> Predictions {
        let truth = Truth::Values(errors.to_vec());
        Predictions::new(vec![0.0; errors.len()], 1, truth).unwrap()
    }

    #[test]
    fn conformal_widths_cover_what_they_promise() {
        let errors: Vec<f32> = (1..=99).map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) }).collect();
        let adjusted = calibrate(&values(&errors), 7, 0.9);
        assert_eq!(adjusted.half_widths, [90.0], "the 90th of 99 errors, since 100 * 0.9 = 90");
        assert_eq!(
            calibrate(&values(&[1.0, -3.0]), 7, 0.95).half_widths,
            [3.0],
            "two rows know no more than the widest"
        );
        let how = Resampling { times: 0, level: 0.9, seed: 1 };
        let judged = assess(&values(&errors), Some((&values(&errors), adjusted)), None, how).unwrap();
        let residuals = &judged.residuals[0];
        assert!((residuals.coverage - 90.0 / 99.0).abs() < 1e-12);
        assert_eq!(residuals.quantiles[3], (0.5, -1.0));
        assert!(judged.figures["rmse"].interval.is_none(), "no resamples, no intervals");
    }

    #[test]
    fn a_cut_is_chosen_on_validation_and_judged_elsewhere() {
        let of = |scores: &[f32], ids: &[u32]| {
            let outputs = scores.iter().flat_map(|p| [1.0 - p, *p]).collect();
            Predictions::new(outputs, 2, Truth::Classes(ids.to_vec())).unwrap()
        };
        let known = of(&[0.1, 0.3, 0.35, 0.9], &[0, 1, 0, 1]);
        let new = of(&[0.2, 0.32, 0.6], &[0, 1, 0]);
        let aimed = Aimed { name: "cost 1,5".into(), aim: Aim::Cost(1.0, 5.0) };
        let found = cutting(&new, Some(&known), &aimed).unwrap();
        assert!((found.cut.threshold - 0.3).abs() < 1e-6, "a false negative costs five times as much");
        assert_eq!(found.cost, Some((1.0, 6.0)));
        let error = cutting(&values(&[1.0]), Some(&values(&[1.0])), &aimed).unwrap_err();
        assert!(error.to_string().contains("does not have two classes"), "{error}");
    }
}
