#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;

use super::*;

fn fixture() -> Value {
    let all: Value = serde_json::from_str(include_str!("../../tests/fixtures/evaluation.json")).unwrap();
    all["classic"].clone()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Friedman's first function (1991) of ten columns, of which five matter, with noise; a seeded generator of its own.
fn friedman(rows: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let x: Vec<f32> = (0..rows * 10).map(|_| uniform()).collect();
    let y = x.chunks(10).map(|x| {
        let noise: f32 = (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
        10.0 * (std::f32::consts::PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + noise
    });
    (x.clone(), y.collect())
}

fn rows(values: &[f32], columns: usize) -> Rows<'_> {
    Rows { values, columns }
}

fn near(ours: &[f32], theirs: &[f64], within: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((f64::from(*a) - b).abs() <= within * b.abs().max(1.0), "{what}[{i}]: {a} is not {b}");
    }
}

#[test]
fn closed_forms_agree_with_scikit_learn() {
    let fixture = fixture();
    let x: Vec<f32> = numbers(&fixture["rows"]);
    let (seen, new) = x.split_at(70 * 4);
    let bands: Vec<u32> = numbers(&fixture["classes"]);
    let values: Vec<f32> = numbers(&fixture["values"]);
    let three = Targets::Classes { ids: &bands[..70], classes: 3 };
    let two: Vec<u32> = bands[..70].iter().map(|&band| u32::from(band > 0)).collect();
    let two = Targets::Classes { ids: &two, classes: 2 };
    let reals = Targets::Values { values: &values[..140], width: 2 };
    // Predictions are f32, so nothing is nearer than 1e-7 of a value.
    let cases = [
        (Kind::Linear, reals, "ridge", 1e-6),
        (Kind::Linear, three, "logistic3", 1e-6),
        (Kind::Linear, two, "logistic2", 1e-6),
        (Kind::Knn, three, "knn", 1e-6),
        (Kind::Knn, reals, "knn_values", 1e-6),
    ];
    for (kind, targets, name, within) in cases {
        let model = fit(kind, rows(seen, 4), targets, 1).unwrap();
        near(&model.predict(rows(new, 4)).unwrap(), &numbers::<f64>(&fixture[name]), within, name);
    }
}

fn r2(model: &Model, x: &[f32], y: &[f32]) -> f64 {
    let p = model.predict(rows(x, 10)).unwrap();
    let mean = y.iter().sum::<f32>() / y.len() as f32;
    let squared: f32 = p.iter().zip(y).map(|(p, y)| (p - y).powi(2)).sum();
    f64::from(1.0 - squared / y.iter().map(|y| (y - mean).powi(2)).sum::<f32>())
}

#[test]
fn every_kind_learns_and_is_a_function_of_its_seed() {
    let (x, y) = friedman(600, 1);
    let (new, truth) = friedman(400, 2);
    // scikit-learn 1.9.1 reaches 0.747, 0.679, 0.829, 0.898 and 0.716 on these rows, with the same sizes.
    let floors =
        [(Kind::Linear, 0.74), (Kind::Tree, 0.66), (Kind::Forest, 0.81), (Kind::Boosted, 0.86), (Kind::Knn, 0.71)];
    for (kind, least) in floors {
        let targets = Targets::Values { values: &y, width: 1 };
        let model = fit(kind, rows(&x, 10), targets, 7).unwrap();
        let found = r2(&model, &new, &truth);
        assert!(found > least, "{kind:?} explains {found}");
        assert_eq!(model, fit(kind, rows(&x, 10), targets, 7).unwrap(), "{kind:?}");
        if kind == Kind::Forest {
            assert_ne!(model, fit(kind, rows(&x, 10), targets, 8).unwrap(), "another seed grows another forest");
        }
        let text = serde_json::to_vec(&model).unwrap();
        let read: Model = serde_json::from_slice(&text).unwrap();
        read.check().unwrap();
        assert_eq!(read.predict(rows(&new, 10)).unwrap(), model.predict(rows(&new, 10)).unwrap(), "{kind:?}");
    }
}

#[test]
fn every_kind_gives_probabilities() {
    let (x, y) = friedman(500, 3);
    let (new, truth) = friedman(300, 4);
    for classes in [2, 3] {
        let band = |y: &f32| u32::from(*y > 12.0) + u32::from(classes == 3 && *y > 17.0);
        let (ids, truth): (Vec<u32>, Vec<u32>) = (y.iter().map(band).collect(), truth.iter().map(band).collect());
        let most = (0..classes as u32).map(|c| truth.iter().filter(|&&t| t == c).count()).max().unwrap();
        for kind in Kind::SUPERVISED {
            let model = fit(kind, rows(&x, 10), Targets::Classes { ids: &ids, classes }, 7).unwrap();
            let p = model.predict(rows(&new, 10)).unwrap();
            let mut right = 0;
            for (p, &t) in p.chunks(classes).zip(&truth) {
                assert!(
                    (p.iter().sum::<f32>() - 1.0).abs() < 1e-5 && p.iter().all(|p| (0.0..=1.0).contains(p)),
                    "{p:?}"
                );
                right += usize::from((0..classes).all(|c| p[c] <= p[t as usize]));
            }
            assert!(
                right as f64 > most as f64 * 1.1,
                "{kind:?} of {classes}: {right} of 300, the largest class {most}"
            );
        }
    }
}

#[test]
fn a_class_without_rows_is_never_predicted() {
    let (x, y) = friedman(200, 5);
    let ids: Vec<u32> = y.iter().map(|y| 2 * u32::from(*y > 14.0)).collect();
    for kind in Kind::SUPERVISED {
        let model = fit(kind, rows(&x, 10), Targets::Classes { ids: &ids, classes: 3 }, 7).unwrap();
        let p = model.predict(rows(&x, 10)).unwrap();
        assert!(p.chunks(3).all(|p| p[1] < 1e-6 && p[0] + p[2] > 0.999), "{kind:?}");
    }
}

#[test]
fn odd_columns_are_no_trouble() {
    // A constant column, a column of ties, one of huge values, one that is the target.
    let x: Vec<f32> = (0..60).flat_map(|i| [1.0, (i % 2) as f32, 1e30 * i as f32, (i % 3) as f32]).collect();
    let ids: Vec<u32> = (0..60).map(|i| u32::from(i % 3 == 0)).collect();
    for kind in [Kind::Tree, Kind::Forest, Kind::Boosted] {
        let model = fit(kind, rows(&x, 4), Targets::Classes { ids: &ids, classes: 2 }, 7).unwrap();
        let p = model.predict(rows(&x, 4)).unwrap();
        assert!(p.chunks(2).zip(&ids).all(|(p, &id)| (p[1] > 0.5) == (id == 1)), "{kind:?}: {p:?}");
    }
}

#[test]
fn what_cannot_be_fitted_says_why() {
    let x = [0.0, 1.0, 2.0, f32::NAN];
    let one = Targets::Classes { ids: &[1, 1, 1], classes: 2 };
    let said = |found: Result<Model, Fault>| found.unwrap_err().0;
    assert_eq!(said(fit(Kind::Tree, rows(&x[..3], 1), one, 1)), "every training row is of one class");
    assert!(said(fit(Kind::Tree, rows(&x, 1), Targets::Values { values: &x, width: 1 }, 1)).contains("feature"));
    assert!(
        said(fit(Kind::Tree, rows(&x[..3], 1), Targets::Values { values: &x[..2], width: 1 }, 1))
            .contains("for 2 targets")
    );
    assert!(
        said(fit(Kind::Linear, rows(&x[..3], 3), Targets::Values { values: &x[..1], width: 1 }, 1)).contains("too few")
    );
    let model = fit(Kind::Knn, rows(&x[..3], 1), Targets::Values { values: &x[..3], width: 1 }, 1).unwrap();
    assert!(said(model.predict(rows(&x[..2], 2)).map(|_| model.clone())).contains("reads 1 columns"));
}

#[test]
fn a_damaged_model_is_refused() {
    let (x, y) = friedman(100, 6);
    let model = fit(Kind::Tree, rows(&x, 10), Targets::Values { values: &y, width: 1 }, 1).unwrap();
    let whole = serde_json::to_value(&model).unwrap();
    let damaged = |path: &str, value: Value| {
        let mut other = whole.clone();
        *other.pointer_mut(path).unwrap_or_else(|| panic!("{path} in {whole}")) = value;
        serde_json::from_value::<Model>(other).map_err(fault).and_then(|model| model.check())
    };
    let tree = "/form/trees/trees/0/1";
    assert!(damaged("/columns", 10.into()).is_ok(), "the same again");
    for (path, value) in [
        ("/columns", 3.into()),
        ("/outputs", 2.into()),
        (&format!("{tree}/left/0"), 4_000_000.into()),
        (&format!("{tree}/right/0"), 0.into()),
        (&format!("{tree}/column/0"), 10.into()),
        (&format!("{tree}/values/0"), Value::Null),
        (&format!("{tree}/values"), Value::Array(vec![])),
        ("/form/trees/trees/0/0", 5.into()),
    ] {
        assert!(damaged(path, value.clone()).is_err(), "{path} = {value}");
    }
}

#[test]
fn items_are_scored_by_what_was_chosen_together() {
    let users: [&[u32]; 4] = [&[0, 1], &[0, 1, 2], &[1, 2], &[3]];
    let fit = |kind| fit_items(kind, Histories { users: &users, items: 4 }).unwrap();
    let popular = fit(Kind::Popularity);
    assert_eq!(popular.recommend(&[]).unwrap(), [2.0, 3.0, 2.0, 1.0]);
    let scores = fit(Kind::ItemKnn).recommend(&[0]).unwrap();
    // Of item 0's two users both chose item 1 (of three), and one item 2 (of two).
    assert_eq!(scores, [0.0, (2.0 / 6f32.sqrt()), 0.5, 0.0]);
    assert!(fit_items(Kind::Tree, Histories { users: &users, items: 4 }).is_err());
    assert!(fit_items(Kind::ItemKnn, Histories { users: &users, items: 3 }).is_err());
    assert!(popular.predict(Rows { values: &[0.0; 4], columns: 4 }).is_err());
}

#[test]
fn rows_unlike_the_others_score_high() {
    // Points on a line in three columns, in two clumps.
    let values: Vec<f32> = (0..60)
        .flat_map(|i| {
            let at = if i % 2 == 0 { 0.0 } else { 50.0 } + i as f32 * 0.1;
            [at, 2.0 * at, 3.0 - at]
        })
        .collect();
    let rows = Rows { values: &values, columns: 3 };
    let odd = Rows { values: &[25.0, 150.0, 3.0], columns: 3 };
    for kind in [Kind::KMeans, Kind::Pca] {
        let model = fit_rows(kind, rows, 1).unwrap();
        assert_eq!(model, fit_rows(kind, rows, 1).unwrap(), "equal rows give equal models");
        let most = model.predict(rows).unwrap().into_iter().fold(0.0, f32::max);
        let score = model.predict(odd).unwrap()[0];
        assert!(score > 4.0 * most, "{kind:?}: {score} beside {most}");
        let text = serde_json::to_string(&model).unwrap();
        let again: Model = serde_json::from_str(&text).unwrap();
        again.check().unwrap();
        assert!(model.predict(Rows { values: &[1.0, 2.0], columns: 2 }).is_err());
    }
    let pca = fit_rows(Kind::Pca, rows, 1).unwrap();
    assert!(pca.predict(rows).unwrap().iter().all(|score| *score < 1e-6), "one component holds a line");
}

#[test]
fn naive_forecasts_repeat_a_column() {
    let outputs = vec![Repeat { column: 1, scale: 2.0, shift: 10.0 }, Repeat { column: 0, scale: 1.0, shift: 0.0 }];
    let model = repeat(Kind::Last, 2, outputs.clone()).unwrap();
    assert_eq!(model.predict(Rows { values: &[1.0, 2.0, 3.0, 4.0], columns: 2 }).unwrap(), [14.0, 1.0, 18.0, 3.0]);
    assert!(repeat(Kind::Last, 1, outputs.clone()).is_err());
    assert!(repeat(Kind::Linear, 2, outputs).is_err());
}
