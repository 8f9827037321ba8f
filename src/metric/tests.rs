#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;

use super::*;

const FIXTURE: &str = include_str!("../../tests/fixtures/metrics.json");

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Same names, same values: both missing and surplus figures fail.
pub(super) fn close(ours: &Value, theirs: &Value, place: &str) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{place}");
            a.iter().for_each(|(key, value)| close(value, &b[key], &format!("{place}: {key}")));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{place}");
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| close(a, b, &format!("{place}[{i}]")));
        }
        (Value::Null, Value::Null) => {}
        (a, b) => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { panic!("{place}: {a} is not {b}") };
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1.0), "{place}: {a} is not {b}");
        }
    }
}

#[test]
fn classification_agrees_with_scikit_learn_whatever_the_batches() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    for case in fixture["classification"].as_array().unwrap() {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let (p, y) = (numbers::<f32>(&case["probabilities"]), numbers::<u32>(&case["targets"]));
        for batch in [1, 7, 14, 1000] {
            let mut metric = Classification::new(classes);
            for (p, y) in p.chunks(batch * classes).zip(y.chunks(batch)) {
                metric.add(p, y).unwrap();
            }
            let report = metric.finish();
            let place = format!("{} by {batch}", case["name"]);
            close(&serde_json::to_value(report.metrics()).unwrap(), &case["metrics"], &place);
            close(&serde_json::to_value(&report.per_class).unwrap(), &case["per_class"], &place);
            close(&serde_json::to_value(&report.confusion).unwrap(), &case["confusion"], &place);
        }
    }
}

#[test]
fn regression_agrees_with_scikit_learn_whatever_the_batches() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    for case in fixture["regression"].as_array().unwrap() {
        let columns = case["columns"].as_u64().unwrap() as usize;
        let (p, y) = (numbers::<f32>(&case["predictions"]), numbers::<f32>(&case["targets"]));
        for batch in [1, 7, 1000] {
            let mut metric = Regression::new(columns);
            for (p, y) in p.chunks(batch * columns).zip(y.chunks(batch * columns)) {
                metric.add(p, y).unwrap();
            }
            let report = metric.finish();
            close(&serde_json::to_value(report.metrics()).unwrap(), &case["metrics"], &case["name"].to_string());
            for (ours, theirs) in report.per_target.iter().zip(case["per_target"].as_array().unwrap()) {
                let figures = defined([("mse", ours.mse), ("mae", ours.mae), ("rmse", ours.rmse), ("r2", ours.r2)]);
                close(&serde_json::to_value(figures).unwrap(), theirs, &case["name"].to_string());
            }
        }
    }
}

#[test]
fn language_agrees_with_numpy() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let mut metric = Language::new();
    for (nats, tokens, bytes) in numbers::<(f64, u64, u64)>(&fixture["language"]["batches"]) {
        metric.add(nats, tokens, bytes);
    }
    close(&serde_json::to_value(metric.finish().metrics()).unwrap(), &fixture["language"]["metrics"], "language");
}

#[test]
fn rankings_agree_with_scikit_learn() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let mut metric = Ranked::default();
    for user in fixture["recommendation"]["users"].as_array().unwrap() {
        let scores = numbers::<f32>(&user["scores"]);
        let places = places(&scores, &numbers::<u32>(&user["seen"]), &numbers::<u32>(&user["chosen"])).unwrap();
        let mut one = Ranked::default();
        one.add(Some(&places));
        close(&serde_json::to_value(one.finish().figures).unwrap(), &user["figures"], "a user");
        for (ours, name) in user_figures(&places).iter().zip(["recall@10", "ndcg@10", "mrr", "hit@10"]) {
            assert!((f64::from(*ours) - user["figures"][name].as_f64().unwrap()).abs() < 1e-6, "{name}");
        }
        metric.add(Some(&places));
    }
    close(&serde_json::to_value(metric.finish().figures).unwrap(), &fixture["recommendation"]["metrics"], "users");
}

#[test]
fn equal_scores_stand_in_the_order_of_their_ids_and_what_was_chosen_before_stands_nowhere() {
    assert_eq!(places(&[1.0, 2.0, 2.0, 2.0], &[1], &[3, 0]), Some(vec![2, 3]));
    assert_eq!(places(&[1.0, f32::NAN], &[], &[0]), None);
    assert_eq!(top(&[1.0, 2.0, 2.0, 5.0], &[3], 2), [1, 2]);
    let mut undefined = Ranked::default();
    undefined.add(Some(&[1]));
    undefined.add(None);
    assert!(undefined.finish().figures.is_empty());
}

#[test]
fn scores_of_anomalies_agree_with_scikit_learn() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let case = &fixture["anomalies"];
    let (scores, flags) = (numbers::<f32>(&case["scores"]), numbers::<bool>(&case["flags"]));
    let mut metric = Anomalies::new(true);
    scores.chunks(7).zip(flags.chunks(7)).for_each(|(scores, flags)| metric.add(scores, flags));
    close(&serde_json::to_value(metric.figures()).unwrap(), &case["metrics"], "anomalies");
    let threshold = score_threshold(&numbers::<f32>(&case["training"]), 0.95).unwrap();
    close(&threshold.into(), &case["threshold"], "threshold");
    let cut = flagged(&metric.predictions().unwrap(), threshold).unwrap();
    let figures = defined([("precision", cut.precision), ("recall", cut.recall), ("f1", cut.f1)]);
    close(&serde_json::to_value(figures).unwrap(), &case["cut"], "cut");
    let mut unlabelled = Anomalies::new(false);
    unlabelled.add(&[1.0, 3.0], &[false, false]);
    assert_eq!(unlabelled.figures().into_iter().collect::<Vec<_>>(), [("loss".to_string(), 2.0)]);
}

#[test]
fn scaled_errors_agree_with_numpy() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let case = &fixture["forecasts"];
    let mut metric = Regression::new(6);
    metric.add(&numbers::<f32>(&case["predictions"]), &numbers::<f32>(&case["targets"])).unwrap();
    let mase = metric.finish().mase(&numbers::<f64>(&case["naive"])).unwrap();
    close(&mase.into(), &case["mase"], "mase");
}

#[test]
fn nothing_and_non_finite_predictions_are_undefined_not_nan() {
    assert!(Classification::new(3).finish().metrics().is_empty());
    assert!(Regression::new(1).finish().metrics().is_empty());
    assert!(Language::new().finish().metrics().is_empty());

    let mut metric = Classification::new(2);
    metric.add(&[0.5, 0.5, f32::NAN, 0.5], &[0, 1]).unwrap();
    let report = metric.finish();
    assert!(report.metrics().is_empty() && report.non_finite == 1 && report.rows == 2);
    let mut metric = Regression::new(1);
    metric.add(&[1.0, f32::INFINITY], &[1.0, 1.0]).unwrap();
    assert!(metric.finish().metrics().is_empty());
    let mut metric = Language::new();
    metric.add(1000.0, 1, 0);
    assert_eq!(metric.clone().finish().metrics().into_keys().collect::<Vec<_>>(), ["loss"], "perplexity overflows");
    metric.add(f64::NAN, 1, 0);
    assert!(metric.finish().metrics().is_empty());
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(Classification::new(3).add(&[0.5; 4], &[0]).is_err());
    assert!(Classification::new(3).add(&[0.5; 3], &[3]).unwrap_err().to_string().contains("target 3 is none of"));
    assert!(Regression::new(2).add(&[0.5; 3], &[0.5; 3]).is_err());
    assert!(Classification::new(2000).finish().confusion.is_none());
}
