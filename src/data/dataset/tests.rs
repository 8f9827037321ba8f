use super::{
    super::{Features, Holdout, RecordSink, RecordWriter, Records, Target},
    *,
};

const VIEW: View = View { context: 4, standardize: true, seed: 1, negatives: None };

fn records(records: &Records, push: impl Fn(&mut RecordWriter)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RecordWriter::new(folder.path(), Holdout::of(0.0, 0.0), 1);
    push(&mut writer);
    let scale = writer.finish(records).unwrap();
    let Records { input, target, table, .. } = records.clone();
    let schema = Schema { input, target, table, scale, bytes_per_token: None };
    std::fs::write(folder.path().join(SCHEMA_FILE), serde_json::to_vec(&schema).unwrap()).unwrap();
    folder
}

fn images() -> tempfile::TempDir {
    let described = Records {
        input: InputSchema::Image { channels: 2, height: 1, width: 1 },
        target: TargetSchema::Classes { names: vec!["cat".into(), "dog".into()] },
        table: None,
        tokenizer: None,
    };
    records(&described, |writer| {
        writer.push(None, Features::U8(&[0, 10]), Target::Class(0)).unwrap();
        writer.push(None, Features::U8(&[255, 10]), Target::Class(1)).unwrap();
        writer.push(Some(Split::Test), Features::U8(&[255, 12]), Target::Class(1)).unwrap();
    })
}

#[test]
fn images_are_standardised_per_channel() {
    let folder = images();
    let dataset = Dataset::open(folder.path(), "f", VIEW).unwrap();
    assert_eq!(Split::ALL.map(|s| dataset.len(s)), [2, 0, 1]);
    let batch = dataset.batch(Split::Train, &[1, 0], 0).unwrap();
    let HostInput::Floats { values, shape } = &batch.input else { panic!() };
    assert_eq!(shape, &[2, 1, 1]);
    assert_eq!(values, &[1.0, 0.0, -1.0, 0.0]);
    assert_eq!(batch.target, HostTarget::Classes(vec![1, 0]));
    assert!(dataset.describe(Split::Test, 0).unwrap().ends_with("2x1x1: dog"));
    let raw = Dataset::open(folder.path(), "f", View { standardize: false, ..VIEW }).unwrap();
    let HostInput::Floats { values, .. } = raw.batch(Split::Test, &[0], 0).unwrap().input else { panic!() };
    assert_eq!(values, [1.0, 12.0 / 255.0]);
    assert!(dataset.batch(Split::Test, &[1], 0).is_err());
}

#[test]
fn tables_keep_their_targets() {
    let described = Records {
        input: InputSchema::Table { columns: vec!["a".into(), "b".into()] },
        target: TargetSchema::Values { names: vec!["y".into(), "z".into()] },
        table: None,
        tokenizer: None,
    };
    let folder = records(&described, |writer| {
        for v in [1.0, 3.0] {
            writer.push(None, Features::F32(&[v, 7.0]), Target::Values(&[v, -v])).unwrap();
        }
    });
    let dataset = Dataset::open(folder.path(), "f", VIEW).unwrap();
    let batch = dataset.batch(Split::Train, &[0, 1], 9).unwrap();
    assert_eq!(batch.input, HostInput::Floats { values: vec![1.0, 7.0, 3.0, 7.0], shape: vec![2] });
    assert_eq!(batch.target, HostTarget::Values { values: vec![1.0, -1.0, 3.0, -3.0], width: 2 });
    assert!(dataset.describe(Split::Train, 1).unwrap().ends_with(": y = 3, z = -3"));
}

#[test]
fn a_shard_that_does_not_fit_its_schema_is_refused() {
    let folder = images();
    let path = folder.path().join(SCHEMA_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"height\":1", "\"height\":2")).unwrap();
    assert!(Dataset::open(folder.path(), "f", VIEW).unwrap_err().to_string().contains("damaged"));
    std::fs::write(&path, text.replace("\"cat\",", "")).unwrap();
    let dataset = Dataset::open(folder.path(), "f", VIEW).unwrap();
    assert!(dataset.batch(Split::Train, &[1], 0).unwrap_err().to_string().contains("class 1"));
    std::fs::write(&path, "{").unwrap();
    assert!(Dataset::open(folder.path(), "f", VIEW).is_err());
}

#[test]
fn training_windows_fit_under_every_shift() {
    for context in 1..20u64 {
        for tokens in 0..200u64 {
            let windows = train_windows(tokens, context);
            assert_eq!(windows == 0, tokens < context + 1);
            let room = tokens.saturating_sub(1 + windows * context);
            let shift = context.min(room + 1) - 1;
            assert!(windows == 0 || shift + windows * context < tokens);
            assert!(tokens < 2 * context + 1 || shift == context - 1);
        }
    }
}
