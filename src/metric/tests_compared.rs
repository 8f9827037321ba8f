//! Resampled figures, calibration, thresholds and tests, beside scikit-learn's and scipy's.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};

use super::{tests::close, *};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/evaluation.json")).unwrap()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

fn classes(case: &Value) -> Predictions {
    let truth = Truth::Classes(numbers(&case["targets"]));
    Predictions::new(numbers(&case["probabilities"]), case["classes"].as_u64().unwrap() as usize, truth).unwrap()
}

fn values(case: &Value) -> Predictions {
    let truth = Truth::Values(numbers(&case["targets"]));
    Predictions::new(numbers(&case["predictions"]), case["columns"].as_u64().unwrap() as usize, truth).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    fixture()[kind].as_array().unwrap().clone()
}

fn json_of(figures: &Figures) -> Value {
    figures
        .iter()
        .map(|(name, value)| (name.name().to_string(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
fn resampled_figures_agree_with_scikit_learn() {
    let all = cases("classification").into_iter().map(|case| (classes(&case), case));
    for (predictions, case) in all.chain(cases("regression").into_iter().map(|case| (values(&case), case))) {
        let counted = Counted::new(&predictions);
        let resampled = &case["resampled"];
        close(&json_of(&counted.whole()), &resampled["whole"], &case["name"].to_string());
        let mut drawn: std::collections::BTreeMap<&str, Vec<f64>> = Default::default();
        let counts: Vec<Vec<u32>> = numbers(&resampled["counts"]);
        assert!(counts.len() >= 50);
        for (counts, theirs) in counts.iter().zip(resampled["figures"].as_array().unwrap()) {
            let figures = counted.figures(counts);
            close(&json_of(&figures), theirs, &format!("a resample of {}", case["name"]));
            figures.iter().for_each(|(name, value)| drawn.entry(name.name()).or_default().push(*value));
        }
        for (name, values) in drawn {
            let interval = percentile_interval(&values, 0.9).unwrap();
            close(&serde_json::to_value(interval).unwrap(), &resampled["intervals90"][name], name);
        }
    }
}

#[test]
fn resamples_are_seeded_and_draw_every_row_alike() {
    let how = Resampling { times: 2000, level: 0.95, seed: 3 };
    let draw = |how: Resampling| {
        let mut all = Vec::new();
        resamples(10, how, |counts| all.push(counts.to_vec()));
        all
    };
    let drawn = draw(how);
    assert_eq!(drawn, draw(how));
    assert_ne!(drawn, draw(Resampling { seed: 4, ..how }));
    assert!(drawn.iter().all(|counts| counts.iter().sum::<u32>() == 10));
    for row in 0..10 {
        let mean = drawn.iter().map(|counts| f64::from(counts[row])).sum::<f64>() / 2000.0;
        assert!((mean - 1.0).abs() < 0.1, "row {row} is drawn {mean} times");
    }
    assert_eq!(how.bounded(1_000_000_000).times, 200);
}

#[test]
fn a_model_beside_itself_is_no_better() {
    let predictions = classes(&cases("classification")[0]);
    let counted = Counted::new(&predictions);
    let how = Resampling { times: 100, level: 0.95, seed: 1 };
    let both = paired(&counted, &counted, Headline::Auroc, predictions.len(), how).unwrap();
    let none = &both.difference;
    assert_eq!(both.ours, both.theirs);
    assert_eq!((none.value, none.interval), (0.0, Some(Interval { low: 0.0, high: 0.0 })));
    assert!(paired(&counted, &counted, Headline::Rmse, predictions.len(), how).is_none());
    let all = estimates(&counted, predictions.len(), how);
    let auroc = &all["auroc"];
    let interval = auroc.interval.unwrap();
    assert!(interval.low < auroc.value && auroc.value < interval.high, "{auroc:?}");
    assert!(Counted::new(&Predictions { outputs: vec![f32::NAN; 160], ..predictions }).whole().is_empty());
}

#[test]
fn calibration_agrees_with_numpy_and_scipy() {
    for case in cases("classification") {
        let predictions = classes(&case);
        let found = calibration(&predictions).unwrap();
        let theirs = &case["calibration"];
        for (key, ours) in [("ece", json!(found.ece)), ("mce", json!(found.mce)), ("bins", json!(found.bins))] {
            close(&ours, &theirs[key], key);
        }
        let temperature = fit_temperature(&predictions).unwrap();
        close(&json!(temperature.0), &theirs["temperature"], "temperature");
        // It is the best one: the log loss is no less on either side.
        let loss = |t: f64| Counted::new(&Temperature(t).apply(&predictions)).whole()[&Headline::LogLoss];
        assert!(loss(temperature.0) <= loss(temperature.0 * 1.05) && loss(temperature.0) <= loss(temperature.0 * 0.95));
    }
    let sure = Predictions::new(vec![1.0, 0.0, 0.0, 1.0], 2, Truth::Classes(vec![0, 1])).unwrap();
    assert!(fit_temperature(&sure).is_none(), "no finite temperature is best for rows that are all right");
}

#[test]
fn thresholds_agree_with_a_search_over_scikit_learns_scores() {
    let binary: Vec<Value> = cases("classification").into_iter().filter(|case| case["classes"] == 2).collect();
    assert_eq!(binary.len(), 2);
    for case in binary {
        let scored = classes(&case).binary().unwrap();
        let aims = [
            ("f1", Aim::F1),
            ("accuracy", Aim::Accuracy),
            ("balanced_accuracy", Aim::BalancedAccuracy),
            ("cost 5 1", Aim::Cost(5.0, 1.0)),
        ];
        for (name, aim) in aims {
            let best = choose_threshold(&scored, aim).unwrap();
            let merit = match aim {
                Aim::F1 => best.f1.unwrap(),
                Aim::Accuracy => best.accuracy.unwrap(),
                Aim::BalancedAccuracy => best.balanced_accuracy.unwrap(),
                Aim::Cost(a, b) => -best.cost(a, b),
            };
            let place = format!("{name} of {}", case["name"]);
            close(&json!(merit), &case["thresholds"][name]["merit"], &place);
            close(&json!(best.threshold), &case["thresholds"][name]["threshold"], &place);
            assert_eq!(cut(&scored, best.threshold), best, "{place}: the same rows on either side");
        }
        let points = Ranking::new(scored.iter().copied()).points();
        let &(_, positives, negatives) = points.last().unwrap();
        let rates = |of: fn(&(f32, u64, u64)) -> u64, all: u64| -> Vec<f64> {
            points.iter().map(|p| of(p) as f64 / all as f64).collect()
        };
        close(&json!(rates(|p| p.2, negatives)), &case["roc"]["fpr"], "fpr");
        close(&json!(rates(|p| p.1, positives)), &case["roc"]["tpr"], "tpr");
    }
}

#[test]
fn the_corrected_t_test_agrees_with_scipy() {
    for case in cases("corrected_t") {
        let number = |key: &str| case[key].as_f64().unwrap();
        let test = corrected_t(&numbers::<f64>(&case["differences"]), number("train"), number("test"), 0.95).unwrap();
        let figures = [
            ("mean", test.mean),
            ("t", test.t),
            ("p", test.p),
            ("low", test.interval.low),
            ("high", test.interval.high),
        ];
        for (key, ours) in figures {
            close(&json!(ours), &case[key], &format!("{key} of {}", case["name"]));
        }
    }
    assert!(corrected_t(&[0.1], 8.0, 2.0, 0.95).is_none());
    assert!(corrected_t(&[0.1, 0.1], 8.0, 2.0, 0.95).is_none());
}

#[test]
fn quantiles_agree_with_numpy() {
    let fixture = fixture();
    let mut sorted: Vec<f64> = numbers(&fixture["quantiles"]["values"]);
    sorted.sort_by(f64::total_cmp);
    let ours: Vec<_> =
        numbers::<f64>(&fixture["quantiles"]["at"]).into_iter().map(|at| quantile(&sorted, at)).collect();
    close(&json!(ours), &fixture["quantiles"]["are"], "quantiles");
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn what_does_not_fit_is_no_prediction() {
    assert!(Predictions::new(vec![0.5; 4], 2, Truth::Classes(vec![0])).is_err());
    assert!(Predictions::new(vec![0.5; 2], 2, Truth::Classes(vec![2])).is_err());
    assert!(Predictions::new(vec![0.5; 2], 0, Truth::Values(vec![])).is_err());
    let two = Predictions::new(vec![0.1, 0.9, 0.8, 0.2], 2, Truth::Classes(vec![1, 0])).unwrap();
    assert_eq!(two.only(&[1, 7]).outputs, [0.8, 0.2]);
}
