//! Tables of more rows than a block or a part holds.

use super::*;

const ROWS: usize = 10_000;

fn value(i: usize) -> f64 {
    (i * 7 % 1000) as f64 / 8.0
}

fn town(i: usize) -> String {
    format!("t{}", i * i % 97)
}

fn csv() -> Case {
    let rows: String = (0..ROWS).map(|i| format!("{},{},{}\n", value(i), town(i), i % 11)).collect();
    files(&[("a.csv", &format!("x,town,y\n{rows}"))])
}

fn jsonl() -> Case {
    let row = |i| format!("{}\n", json!({"x": value(i), "town": town(i), "y": i % 11}));
    files(&[("a.jsonl", &(0..ROWS).map(row).collect::<String>())])
}

fn parquet() -> Case {
    let case = files(&[]);
    let path = case.folder.path().join("a.parquet");
    let batch = RecordBatch::try_from_iter([
        ("x", Arc::new(Float32Array::from_iter_values((0..ROWS).map(|i| value(i) as f32))) as _),
        ("town", Arc::new(StringArray::from_iter_values((0..ROWS).map(town))) as _),
        ("y", Arc::new(Int64Array::from_iter_values((0..ROWS).map(|i| (i % 11) as i64))) as _),
    ])
    .unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    Case { files: vec![path], ..case }
}

#[test]
fn every_format_gives_the_same_rows_in_order_whatever_the_threads() {
    // A scale, a target encoding by folds, and values to clip: two looks at the training rows, then the writing.
    let columns = json!({"x": {"outliers": {"quantile": 0.1}}, "town": {"encode": "target"}});
    let more = json!({"task": "regression", "features": ["x", "town"], "target": "y", "columns": columns, "standardize": true});
    let (records, rows) = csv().read(more.clone(), 0).unwrap();
    assert_eq!(rows.len(), ROWS);
    assert!((0..ROWS).all(|i| rows[i].1 == [(i % 11) as f32]));
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for case in [csv(), jsonl(), parquet()] {
            let (other, others) = pool.install(|| case.read(more.clone(), 0)).unwrap();
            let place = format!("{threads} threads, {:?}", case.files);
            assert_eq!(other.table, records.table, "{place}");
            assert_eq!(rows.iter().zip(&others).position(|(a, b)| a != b), None, "{place}");
            assert_eq!(others.len(), ROWS, "{place}");
        }
    }
}

#[test]
fn a_limit_ends_within_a_block_of_the_second_file() {
    let (one, two) = (csv(), csv());
    let case = Case { files: vec![one.files[0].clone(), two.files[0].clone()], folder: one.folder };
    let (_, rows) = case.read(json!({"task": "regression"}), ROWS as u64 + 4_500).unwrap();
    assert_eq!(rows.len(), ROWS + 4_500);
    assert_eq!(rows.last().unwrap().1, [(4_499 % 11) as f32]);
}

#[test]
fn faults_of_many_parts_are_one_report_in_order() {
    let bad = |i: usize| if i % 100 == 50 { "none of it".to_owned() } else { value(i).to_string() };
    let rows: String = (0..ROWS).map(|i| format!("{},{}\n", bad(i), i % 2)).collect();
    let told = files(&[("a.csv", &format!("x,y\n{rows}"))]).fault(json!({"columns": {"x": "numeric"}}));
    assert!(told.contains("100 values do not fit") && told.contains("... and 80 more"), "{told}");
    let lines: Vec<usize> = (0..20).map(|i| i * 100 + 52).collect();
    let places: Vec<usize> = lines.iter().map(|line| told.find(&format!("line {line}: column `x`")).unwrap()).collect();
    assert!(places.is_sorted(), "{told}");
}

#[test]
fn a_torn_line_far_into_a_file_is_named() {
    let torn = |name: &str, head: &str, row: &str, last: &str| {
        files(&[(name, &format!("{head}{}{last}", row.repeat(9_000)))]).fault(json!({}))
    };
    let csv = torn("a.csv", "x,y\n", "1,a\n", "1\n");
    assert!(csv.contains("a.csv, line 9002: it has 1 fields instead of 2"), "{csv}");
    let jsonl = torn("a.jsonl", "", "{\"x\": 1, \"y\": 2}\n", "{\"x\"\n");
    assert!(jsonl.contains("a.jsonl, line 9001: it is not a JSON object"), "{jsonl}");
}

#[test]
fn long_rows_make_short_blocks() {
    let text = "many words ".repeat(200_000);
    let rows: String = (0..6).map(|i| format!("{text}{i},{}\n", i % 2)).collect();
    let case = files(&[("a.csv", &format!("x,y\n{rows}"))]);
    let mut seen = Vec::new();
    let names = ["x".to_owned()];
    each_block(&case.files[0], &layout(), &names, &mut |block| {
        seen.push(block.rows());
        Ok(std::ops::ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(seen, [2, 2, 2], "two rows of 2.2 MB pass 4 MiB");
}
