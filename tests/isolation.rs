//! The isolation forest beside scikit-learn's, on the shuttle's sensors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use kiln::{
    data::{DataConfig, HostInput, HostTarget, Split, prepare},
    metric::areas,
};

/// Ten forests of scikit-learn's, 100 trees of 256 rows each: `benches/peers/isolation_sklearn.py`.
const AUROC: (f64, f64, f64) = (0.9962, 0.9970, 0.9975);

/// Forests differ by what they draw; this is four times the spread of those ten.
const TOLERANCE: f64 = 0.005;

#[test]
fn anomalies_are_found_as_well_as_by_scikit_learn() {
    let cache = tempfile::tempdir().unwrap();
    let says = "task = 'classification'\nsource = { dataset = 'shuttle' }\nholdout = { validation = 0.0 }\n\
                isolation_forest = { share = 0.07 }\n";
    let mut config: DataConfig = toml::from_str(says).unwrap();
    config.cache = Some(cache.path().to_path_buf());
    let dataset = match prepare(&config, cache.path(), 1, &|_| {}) {
        Ok(dataset) => dataset,
        Err(e) => {
            let fetch = ["which is not installed", "could not fetch", "did not fetch", "cannot run"];
            assert!(fetch.iter().any(|reason| e.to_string().contains(reason)), "{e}");
            eprintln!("skipped: {e}");
            return;
        }
    };
    let rows: Vec<u64> = (0..dataset.len(Split::Train)).collect();
    assert_eq!(rows.len(), 49_097);
    let batch = dataset.batch(Split::Train, &rows, 0).unwrap();
    let (HostInput::Floats { values, shape }, HostTarget::Classes(ids)) = (&batch.input, &batch.target) else {
        panic!("a table of classes")
    };
    assert_eq!(dataset.schema().table.as_ref().unwrap().outputs().last().unwrap(), "isolation:score");
    let scores = values.chunks(shape[0]).map(|row| *row.last().unwrap());
    let (auroc, precision) = areas(scores.zip(ids.iter().map(|id| *id == 1)));
    let (auroc, precision) = (auroc.unwrap(), precision.unwrap());
    eprintln!("AUROC {auroc:.4} (scikit-learn {:.4}), average precision {precision:.4}", AUROC.1);
    assert!((auroc - AUROC.1).abs() <= TOLERANCE, "AUROC {auroc} is not within {TOLERANCE} of {}", AUROC.1);
    let marked = values.chunks(shape[0]).filter(|row| row[shape[0] - 2] == 1.0).count() as f64;
    assert!((marked / 49_097.0 - 0.07).abs() < 0.01, "{marked} rows are marked");
}
