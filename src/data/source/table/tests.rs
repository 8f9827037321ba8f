use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::data::source::Kept;

fn config(more: Value) -> DataConfig {
    let mut config = json!({"task": "classification", "source": {"path": "x"}});
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

/// Features and target of every row.
type Rows = Vec<(Vec<f32>, Vec<f32>)>;

struct Case {
    folder: TempDir,
    files: Vec<PathBuf>,
}

fn files(contents: &[(&str, &str)]) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let write = |(name, content): &(&str, &str)| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let files = contents.iter().map(write).collect();
    Case { folder, files }
}

impl Case {
    fn read(&self, more: Value, limit: u64) -> Result<(Records, Rows)> {
        let mut kept = Kept::default();
        let records = read(&self.files, &config(more), limit, &mut kept)?;
        Ok((records, kept.rows.into_iter().map(|(_, features, target)| (features, target)).collect()))
    }

    fn fault(&self, more: Value) -> String {
        self.read(more, 0).unwrap_err().to_string()
    }
}

fn classes(names: &[&str]) -> TargetSchema {
    TargetSchema::Classes { names: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn csv_classes_over_two_files_in_any_column_order() {
    let case = files(&[("a.csv", "x,ok,y\n1,true,b\n2,false,a\n"), ("b.csv", "y,x,ok\n\"c\", 3 ,TRUE\n")]);
    let (records, rows) = case.read(json!({}), 0).unwrap();
    assert_eq!(records.input, InputSchema::Table { columns: vec!["x".into(), "ok".into()] });
    assert_eq!(records.target, classes(&["a", "b", "c"]));
    let expected = [(vec![1.0, 1.0], vec![1.0]), (vec![2.0, 0.0], vec![0.0]), (vec![3.0, 1.0], vec![2.0])];
    assert_eq!(rows, expected);
    assert_eq!(case.read(json!({}), 2).unwrap().1.len(), 2);
}

#[test]
fn csv_without_header_gzipped_with_a_delimiter() {
    let case = files(&[]);
    let path = case.folder.path().join("a.csv.gz");
    let mut gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    gz.write_all(b"1;10\n2;9\n3;10\n").unwrap();
    gz.finish().unwrap();
    let case = Case { files: vec![path], ..case };
    let (records, rows) = case.read(json!({"header": false, "delimiter": ";"}), 0).unwrap();
    assert_eq!(records.input, InputSchema::Table { columns: vec!["c0".into()] });
    assert_eq!(records.target, classes(&["9", "10"]), "integers are sorted as numbers");
    assert_eq!(rows.iter().map(|row| row.1[0]).collect::<Vec<_>>(), [1.0, 0.0, 1.0]);
}

#[test]
fn regression_with_two_targets() {
    let case = files(&[("a.csv", "a,b,c\n1,2,3\n4,5,6\n")]);
    let (records, rows) = case.read(json!({"task": "regression", "target": ["c", "a"]}), 0).unwrap();
    assert_eq!(records.target, TargetSchema::Values { names: vec!["c".into(), "a".into()] });
    assert_eq!(rows, [(vec![2.0], vec![3.0, 1.0]), (vec![5.0], vec![6.0, 4.0])]);
}

#[test]
fn jsonl_keeps_the_order_of_the_first_object() {
    let case =
        files(&[("a.jsonl", "{\"z\": 1, \"b\": true, \"a\": \"u\"}\n\n{\"a\": \"t\", \"b\": false, \"z\": 2.5}\n")]);
    let (records, rows) = case.read(json!({}), 0).unwrap();
    assert_eq!(records.input, InputSchema::Table { columns: vec!["z".into(), "b".into()] });
    assert_eq!(rows, [(vec![1.0, 1.0], vec![1.0]), (vec![2.5, 0.0], vec![0.0])]);
    let missing = files(&[("a.jsonl", "{\"x\": 1, \"y\": 0}\n{\"y\": 1}\n")]).fault(json!({}));
    assert!(missing.contains("a.jsonl, line 2: column `x` has no value"), "{missing}");
    let nested = files(&[("a.jsonl", "{\"x\": [1], \"y\": 0}\n")]).fault(json!({}));
    assert!(nested.contains("column `x` is an array, not a number"), "{nested}");
    let broken = files(&[("a.jsonl", "{\"x\": 1, \"y\": 0}\n[1]\n")]).fault(json!({}));
    assert!(broken.contains("line 2: it is not a JSON object"), "{broken}");
}

fn parquet(compression: Compression, x: Vec<Option<f32>>) -> Case {
    let case = files(&[]);
    let path = case.folder.path().join("a.parquet");
    let rows = x.len();
    let batch = RecordBatch::try_from_iter([
        ("name", Arc::new(StringArray::from(vec!["n"; rows])) as _),
        ("x", Arc::new(Float32Array::from(x)) as _),
        ("n", Arc::new(Int64Array::from_iter_values(0..rows as i64)) as _),
        ("y", Arc::new(BooleanArray::from((0..rows).map(|i| i % 2 == 1).collect::<Vec<_>>())) as _),
    ])
    .unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    Case { files: vec![path], ..case }
}

#[test]
fn parquet_in_batches_with_columns_in_the_asked_order() {
    for compression in [Compression::BROTLI(Default::default()), Compression::SNAPPY] {
        let case = parquet(compression, (0..2500).map(|i| Some(i as f32 / 2.0)).collect());
        let (records, rows) = case.read(json!({"features": ["n", "x"]}), 0).unwrap();
        assert_eq!(records.target, classes(&["false", "true"]));
        assert_eq!(rows[2401], (vec![2401.0, 1200.5], vec![1.0]));
        assert_eq!(rows.len(), 2500);
    }
}

#[test]
fn parquet_faults_name_row_and_column() {
    let case = parquet(Compression::UNCOMPRESSED, vec![Some(1.0), None]);
    let missing = case.fault(json!({"features": ["x"]}));
    assert!(missing.contains("a.parquet, row 2: column `x` has no value"), "{missing}");
    let text = case.fault(json!({}));
    assert!(text.contains("row 1: column `name` is \"n\", not a number") && text.contains("`data.features`"), "{text}");
    let torn = files(&[("a.parquet", "PAR1 but no more")]).fault(json!({}));
    assert!(torn.contains("a.parquet as Parquet"), "{torn}");
}

#[test]
fn csv_faults_name_line_and_column() {
    let fault = |content: &str, more: Value| files(&[("a.csv", content)]).fault(more);
    let bad = fault("x,y\n1,a\n2,b\nthree,a\n", json!({}));
    assert!(bad.contains("a.csv, line 4: column `x` is \"three\", not a number"), "{bad}");
    let missing = fault("x,y\n1,a\n,b\n", json!({}));
    assert!(missing.contains("a.csv, line 3: column `x` has no value; fill"), "{missing}");
    let fields = fault("x,y\n1,a\n1,2,b\n", json!({}));
    assert!(fields.contains("a.csv, line 3: it has 3 fields instead of 2"), "{fields}");
    let utf8 = {
        let case = files(&[("a.csv", "")]);
        fs::write(&case.files[0], b"x,y\n1,\xff\n").unwrap();
        case.fault(json!({}))
    };
    assert!(utf8.contains("line 2: column `y` is text that is not UTF-8"), "{utf8}");
    let fraction = fault("x,y\n1,2.5\n", json!({}));
    assert!(fraction.contains("column `y` is 2.5, not a class"), "{fraction}");
    let no_number = fault("x,y\n1,a\n", json!({"task": "regression"}));
    assert!(no_number.contains("column `y` is \"a\", not a number"), "{no_number}");
}

#[test]
fn wrong_columns_are_named() {
    let fault = |more: Value| files(&[("a.csv", "width,height,kind\n1,2,3\n")]).fault(more);
    let near = fault(json!({"features": ["widht"]}));
    assert!(near.contains("has no column `widht`; did you mean `width`?"), "{near}");
    let far = fault(json!({"target": ["zzz"]}));
    assert!(far.contains("its columns are width, height, kind"), "{far}");
    assert!(fault(json!({"features": ["kind"]})).contains("column `kind` is listed twice"));
    assert!(fault(json!({"target": ["kind", "width"]})).contains("needs one target, not kind, width"));
    assert!(fault(json!({"delimiter": ";"})).contains("has no columns left for features"));
    assert!(fault(json!({"task": "language-model"})).contains("cannot be the data of a language model"));
    let twice = files(&[("a.csv", "a,a\n1,2\n")]).fault(json!({}));
    assert!(twice.contains("has two columns named `a`"), "{twice}");
    assert!(files(&[("a.csv", "")]).fault(json!({})).contains("is empty"));
    assert!(files(&[("a.csv", "a,b\n")]).fault(json!({})).contains("has no rows"));
    assert!(files(&[("a.xyz", "a,b\n")]).fault(json!({})).contains("cannot tell the format"));
}

#[test]
fn too_many_classes_are_refused() {
    let rows: String = (0..=10_000).map(|i| format!("1,{i}\n")).collect();
    let error = files(&[("a.csv", &format!("x,y\n{rows}"))]).fault(json!({}));
    assert!(error.contains("line 10002: column `y` has more than 10000 classes"), "{error}");
}

#[test]
fn features_are_read_by_name_for_prediction() {
    let case = files(&[("a.csv", "other,b,a\ntext,2,1\nmore,4,3\n")]);
    let input = InputSchema::Table { columns: vec!["a".into(), "b".into()] };
    let schema = Schema { input, target: classes(&["u"]), scale: None, bytes_per_token: None };
    let layout = Layout { format: None, header: true, delimiter: ',' };
    let mut rows = Vec::new();
    let count = read_features(&case.files[0], &schema, layout, &mut |row| {
        rows.push(row.to_vec());
        Ok(())
    });
    assert_eq!((count.unwrap(), rows), (2, vec![vec![1.0, 2.0], vec![3.0, 4.0]]));
}
