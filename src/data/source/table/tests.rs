mod blocks;

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use tempfile::TempDir;

use std::path::PathBuf;

use super::*;
use crate::data::source::Kept;
use crate::data::{InputSchema, Records, Schema, TargetSchema};

fn config(more: Value) -> DataConfig {
    let holdout = json!({"validation": 0.0, "test": 0.0});
    let mut config =
        json!({"task": "classification", "source": {"path": "x"}, "standardize": false, "holdout": holdout});
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
        let config = DataConfig { limit, ..config(more) };
        let records = read(&self.files, &config, Request { seed: 1, learned: None, progress: &|_| {} }, &mut kept)?;
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
fn lines_before_the_table_are_left_out_and_counted_in_messages() {
    let case = files(&[("a.csv", "made by hand, on a Monday\n3,1\nx,y\n1,a\n2,b\n3,a\n")]);
    let (records, rows) = case.read(json!({"skip": 2}), 0).unwrap();
    assert_eq!(records.target, classes(&["a", "b"]));
    assert_eq!(rows.iter().map(|row| row.1[0]).collect::<Vec<_>>(), [0.0, 1.0, 0.0]);
    assert_eq!(case.read(json!({"skip": 3, "header": false}), 0).unwrap().1.len(), 3);
    let torn = files(&[("a.csv", "by hand\nx,y\n1,a\n2\n")]).fault(json!({"skip": 1}));
    assert!(torn.contains("a.csv, line 4: it has 1 fields instead of 2"), "{torn}");
    let none = case.fault(json!({"skip": 9}));
    assert!(none.contains("empty after 9 lines") && none.contains("`data.skip`"), "{none}");
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
    let strict = json!({"clean": {"on_missing": "refuse"}});
    let missing = files(&[("a.jsonl", "{\"x\": 1, \"y\": 0}\n{\"y\": 1}\n")]).fault(strict);
    assert!(missing.contains("a.jsonl, line 2: column `x` has no value"), "{missing}");
    let nested =
        files(&[("a.jsonl", "{\"x\": [1], \"z\": 1, \"y\": 0}\n{\"x\": 1, \"z\": 2, \"y\": 1}\n")]).fault(json!({}));
    assert!(nested.contains("column `x` is an array, not a category"), "{nested}");
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
    let missing = case.fault(json!({"features": ["x"], "clean": {"on_missing": "refuse"}}));
    assert!(missing.contains("a.parquet, row 2: column `x` has no value"), "{missing}");
    let text = case.fault(json!({"columns": {"name": "numeric"}}));
    assert!(text.contains("row 1: column `name` is \"n\", not a number") && text.contains("2 values do not"), "{text}");
    let torn = files(&[("a.parquet", "PAR1 but no more")]).fault(json!({}));
    assert!(torn.contains("a.parquet as Parquet"), "{torn}");
}

#[test]
fn csv_faults_name_line_and_column() {
    let fault = |content: &str, more: Value| files(&[("a.csv", content)]).fault(more);
    let bad = fault("x,y\n1,a\n2,b\nthree,a\n", json!({"columns": {"x": "numeric"}}));
    assert!(bad.contains("a.csv, line 4: column `x` is \"three\", not a number"), "{bad}");
    let missing = fault("x,y\n1,a\n,b\n", json!({"columns": {"x": {"on_missing": "refuse"}}}));
    assert!(missing.contains("a.csv, line 3: column `x` has no value; fill"), "{missing}");
    let fields = fault("x,y\n1,a\n1,2,b\n", json!({}));
    assert!(fields.contains("a.csv, line 3: it has 3 fields instead of 2"), "{fields}");
    let utf8 = {
        let case = files(&[("a.csv", "")]);
        fs::write(&case.files[0], b"x,y\n1,\xff\n2,a\n").unwrap();
        case.fault(json!({}))
    };
    assert!(utf8.contains("line 2: column `y` is text that is not UTF-8"), "{utf8}");
    let fraction = fault("x,y\n1,2.5\n2,1\n", json!({}));
    assert!(fraction.contains("column `y` is 2.5, not a class"), "{fraction}");
    let no_number = fault("x,y\n1,a\n2,1\n", json!({"task": "regression"}));
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

/// What a run on `content` learned.
fn learned(content: &str, more: Value) -> Schema {
    let Records { input, target, table, .. } = files(&[("a.csv", content)]).read(more, 0).unwrap().0;
    Schema { input, target, table, scale: None, bytes_per_token: None }
}

fn layout() -> Layout {
    Layout { format: None, header: true, delimiter: ',', names: Vec::new(), skip: 0 }
}

/// The features of a file to predict for, or why there are none.
fn predicted(schema: &Schema, content: &str) -> Result<(Vec<Vec<f32>>, Vec<String>)> {
    let case = files(&[("new.csv", content)]);
    let mut rows = Vec::new();
    let read = read_rows(&case.files[0], schema, &layout(), &mut |row| {
        rows.push(row.to_vec());
        Ok(())
    })?;
    assert_eq!(read.count as usize, rows.len());
    Ok((rows, read.told))
}

const SHOP: &str = "size,city,y\n1,Rome,a\n2,Oslo,b\n3,Rome,a\n4,Oslo,b\n";

#[test]
fn columns_are_read_by_name_for_prediction() {
    let schema = learned(SHOP, json!({}));
    assert_eq!(
        schema.input,
        InputSchema::Table { columns: vec!["size".into(), "city=Oslo".into(), "city=Rome".into()] }
    );
    let (rows, told) = predicted(&schema, "other,city,size\nx,Rome,7\ny,Oslo,8\n").unwrap();
    assert_eq!(rows, [[7.0, 0.0, 1.0], [8.0, 1.0, 0.0]]);
    assert_eq!(told, Vec::<String>::new());
    let stored: Schema = serde_json::from_str(&serde_json::to_string(&schema).unwrap()).unwrap();
    assert_eq!(stored, schema, "what is stored is what was learned");
    assert_eq!(predicted(&stored, "city,size\nRome,7\n").unwrap().0, [[7.0, 0.0, 1.0]]);
}

#[test]
fn what_training_did_not_prepare_for_follows_the_policy() {
    let new = "size,city\n1,Rome\n,Bern\nbig,\n";
    let refused = |more: Value| predicted(&learned(SHOP, more), new).unwrap_err().to_string();
    let bad = refused(json!({}));
    assert!(bad.contains("new.csv, line 4: column `size` is \"big\", not a number") && bad.contains("on_bad"), "{bad}");
    let strict = json!({"clean": {"on_missing": "refuse", "on_unseen": "refuse"}});
    let all = refused(strict);
    for fault in [
        "4 values do not fit",
        "line 3: column `size` has no value",
        "line 3: column `city` is \"Bern\", a category that no training row has",
        "line 4: column `size` is \"big\"",
        "line 4: column `city` has no value",
    ] {
        assert!(all.contains(fault), "no `{fault}` in {all}");
    }
    let lenient = learned(SHOP, json!({"clean": {"on_bad": "impute", "on_unseen": "impute", "impute": "mode"}}));
    let (rows, told) = predicted(&lenient, new).unwrap();
    assert_eq!(rows, [[1.0, 0.0, 1.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]], "1 and Oslo are the first modes");
    assert_eq!(
        told,
        [
            "column `size`: 1 missing, taken as 1; 1 of another type, taken as 1",
            "column `city`: 1 missing, taken as Oslo; 1 of no category that training saw"
        ]
    );
    let (rows, _) = predicted(&learned(SHOP, json!({})), "size,city\n1,Bern\n").unwrap();
    assert_eq!(rows, [[1.0, 0.0, 0.0]], "an unseen category is none of them");
}

#[test]
fn a_column_that_is_gone_is_refused_or_imputed() {
    let gone = predicted(&learned(SHOP, json!({})), "city\nRome\n").unwrap_err().to_string();
    assert!(gone.contains("new.csv has no column `size`"), "{gone}");
    let lenient = learned(SHOP, json!({"columns": {"size": {"on_absent": "impute"}}}));
    let (rows, told) = predicted(&lenient, "city\nRome\nOslo\n").unwrap();
    assert_eq!(rows, [[2.5, 0.0, 1.0], [2.5, 1.0, 0.0]]);
    assert_eq!(told, ["column `size`: 2 missing, taken as 2.5"]);
    // The same when a run is evaluated on another file.
    let case = files(&[("b.csv", "city,y\nOslo,a\n")]);
    let mut kept = Kept::default();
    let request = Request { seed: 1, learned: Some(&lenient), progress: &|_| {} };
    let records = read(&case.files, &config(json!({})), request, &mut kept).unwrap();
    assert_eq!(records.table, lenient.table);
    assert_eq!(kept.rows[0].1, [2.5, 1.0, 0.0]);
    let case = files(&[("b.csv", "city,y\nOslo,c\n")]);
    let other = read(&case.files, &config(json!({})), request, &mut kept).unwrap_err().to_string();
    assert!(other.contains("column `y` is c, a category that no training row has"), "{other}");
}

#[test]
fn outlier_rows_are_dropped_from_training_only_and_do_not_move_the_scale() {
    let rows: String = (0..40).map(|i| format!("{},{}\n", if i == 7 { 1000 } else { i % 5 }, i % 2)).collect();
    let more = json!({"columns": {"x": {"outliers": {"iqr": 1.5}, "on_outlier": "drop", "scale": "standard"}}});
    let (records, rows) = files(&[("a.csv", &format!("x,y\n{rows}"))]).read(more, 0).unwrap();
    assert_eq!(rows.len(), 39);
    let (largest, sum) = rows.iter().fold((0.0f32, 0.0), |(most, sum), row| (row.0[0].abs().max(most), sum + row.0[0]));
    assert!(largest < 2.0 && sum.abs() < 1e-4, "{largest} {sum}");
    let schema = Schema {
        input: records.input,
        target: records.target,
        table: records.table,
        scale: None,
        bytes_per_token: None,
    };
    assert_eq!(predicted(&schema, "x\n1000\n").unwrap().0.len(), 1, "a row to predict for is never dropped");
}

#[test]
fn what_is_said_of_a_column_must_fit_it() {
    let fault = |columns: Value| files(&[("a.csv", SHOP)]).fault(json!({"columns": columns}));
    let near = fault(json!({"ctiy": "categorical"}));
    assert!(near.contains("`data.columns.ctiy`: ") && near.contains("did you mean `city`?"), "{near}");
    assert!(fault(json!({"y": "numeric"})).contains("about the target"));
    let key = fault(json!({"city": {"outliers": {"iqr": 1.5}}}));
    assert!(key.contains("`data.columns.city.outliers` means nothing: column `city` is categorical"), "{key}");
    let impute = fault(json!({"city": {"impute": "mean"}}));
    assert!(impute.contains("does not go with column `city`") && impute.contains("`category`, `mode`"), "{impute}");
    assert!(fault(json!({"city": "drop", "size": "drop"})).contains("no column is left to learn from"));
    let order = fault(json!({"city": {"encode": "ordinal", "order": ["Rome"]}}));
    assert!(order.contains("`data.columns.city.order` lacks `Oslo`"), "{order}");
}

#[test]
fn names_are_given_to_a_file_without_a_header_and_zstandard_is_read() {
    let case = files(&[]);
    let path = case.folder.path().join("a.csv.zst");
    fs::write(&path, zstd::encode_all(&b"1|x\n2|y\n3|x\n"[..], 3).unwrap()).unwrap();
    let case = Case { files: vec![path], ..case };
    let (records, rows) = case.read(json!({"names": ["size", "kind"], "delimiter": "|"}), 0).unwrap();
    assert_eq!(records.input, InputSchema::Table { columns: vec!["size".into()] });
    assert_eq!(rows[2], (vec![3.0], vec![0.0]));
    let few = case.fault(json!({"names": ["size"], "delimiter": "|"}));
    assert!(few.contains("`data.names` has 1 names") && few.contains("has 2 columns"), "{few}");
}
