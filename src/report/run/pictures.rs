//! The charts of a run.

use super::{
    super::charts::{self, Axes, bounds},
    Chart,
};
use crate::{
    error::Result,
    eval::residuals,
    judge::Found,
    metric::{Predictions, Truth},
    track::Event,
};

pub(super) fn pictures(found: &Found, events: &[Event], names: &[String]) -> Result<Vec<Chart>> {
    let mut all = Vec::new();
    let predictions = found.predictions.as_ref().filter(|p| p.is_finite());
    if let Some((roc, pr)) = predictions.map(charts::ranking_curves).transpose()?.flatten() {
        let note = match names {
            [zero, one] => format!("{one} against {zero}."),
            _ => "Every class against the rest, in the order of the classes.".to_string(),
        };
        all.push(Chart { title: "ROC", note: note.clone(), svg: roc });
        all.push(Chart { title: "Precision and recall", note, svg: pr });
    }
    if let Some(assessment) = &found.assessment
        && let Some(plain) = &assessment.calibration
    {
        let scaled = assessment.calibrated.as_ref();
        let temperature = assessment.adjusted.as_ref().and_then(|a| a.temperature);
        let after = scaled.zip(temperature).map(|(c, t)| format!("; orange: {:.4} with temperature {:.2}", c.ece, t.0));
        let note = format!("Calibration error {:.4}{}.", plain.ece, after.unwrap_or_default());
        all.push(Chart { title: "Reliability", note, svg: charts::reliability(plain, scaled)? });
    }
    if let Some((truth, errors)) = predictions.and_then(first_target) {
        all.push(Chart {
            title: "Prediction and truth",
            note: "A dot a row, on the dashed line where both agree.".into(),
            svg: truth_chart(&truth)?,
        });
        all.push(Chart {
            title: "Errors",
            note: "The truth less the prediction.".into(),
            svg: charts::histogram(&errors, "error")?,
        });
    }
    let (train, validation) = losses(events);
    if train.len() > 1 {
        let note = "Blue: training, a step each. Orange: validation.".into();
        all.push(Chart { title: "Training", note, svg: charts::training(train, validation)? });
    }
    Ok(all)
}

/// Prediction and truth of the first target column, at most some thousand rows, and all its errors.
fn first_target(predictions: &Predictions) -> Option<(Points, Vec<f64>)> {
    const SEEN: usize = 2000;
    let Truth::Values(truth) = &predictions.truth else { return None };
    let every = predictions.len().div_ceil(SEEN).max(1) * predictions.width;
    let pairs = predictions.outputs.iter().zip(truth).step_by(every);
    let points = pairs.map(|(p, t)| (f64::from(*p), f64::from(*t))).collect();
    Some((points, residuals(predictions).into_iter().next()?))
}

fn truth_chart(points: &[(f64, f64)]) -> Result<String> {
    let (low, high) = bounds(points.iter().flat_map(|p| [p.0, p.1]));
    let room = 0.04 * (high - low);
    let span = (low - room, high + room);
    charts::scatter(&Axes { x: span, y: span, x_name: "prediction", y_name: "truth" }, points)
}

type Points = Vec<(f64, f64)>;

fn losses(events: &[Event]) -> (Points, Points) {
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::Step { step, loss, .. } if loss.is_finite() => train.push((*step as f64, *loss)),
            Event::Eval { step, split, metrics } if split == "validation" => {
                let loss = metrics.get("loss").filter(|loss| loss.is_finite());
                validation.extend(loss.map(|loss| (*step as f64, *loss)));
            }
            _ => {}
        }
    }
    (train, validation)
}
