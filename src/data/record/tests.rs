use super::{super::shard::Shard, *};

fn table(columns: usize) -> Records {
    Records {
        input: InputSchema::Table { columns: (0..columns).map(|i| format!("c{i}")).collect() },
        target: TargetSchema::Values { names: vec!["y".into()] },
        table: None,
        tokenizer: None,
    }
}

#[test]
fn scale_is_learned_on_the_training_split_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RecordWriter::new(folder.path(), Holdout::of(0.0, 0.0), 1);
    for v in [0, 255] {
        writer.push(None, Features::U8(&[v]), Target::Class(0)).unwrap();
    }
    writer.push(Some(Split::Test), Features::U8(&[77]), Target::Class(1)).unwrap();
    let input = InputSchema::Image { channels: 1, height: 1, width: 1 };
    let target = TargetSchema::Classes { names: vec!["a".into(), "b".into()] };
    let scale = writer.finish(&Records { input, target, table: None, tokenizer: None }).unwrap().unwrap();
    assert_eq!((scale.mean, scale.std), (vec![0.5], vec![0.5]));
}

#[test]
fn pixels_are_scaled_per_channel() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RecordWriter::new(folder.path(), Holdout::of(0.0, 0.0), 1);
    writer.push(None, Features::U8(&[0, 255, 51, 51]), Target::Class(0)).unwrap();
    writer.push(None, Features::U8(&[0, 255, 51, 51]), Target::Class(1)).unwrap();
    let scale = writer
        .finish(&Records {
            input: InputSchema::Image { channels: 2, height: 1, width: 2 },
            target: TargetSchema::Classes { names: vec!["a".into(), "b".into()] },
            table: None,
            tokenizer: None,
        })
        .unwrap()
        .unwrap();
    assert_eq!(scale.mean, [0.5, 0.2]);
    assert_eq!(scale.std, [0.5, 1.0]);
}

#[test]
fn holdout_is_disjoint_and_a_function_of_the_seed() {
    let rows = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = RecordWriter::new(folder.path(), Holdout::of(0.2, 0.1), seed);
        for i in 0..1000u16 {
            writer.push(None, Features::F32(&[f32::from(i)]), Target::Values(&[0.0])).unwrap();
        }
        writer.finish(&table(1)).unwrap();
        Split::ALL.map(|split| {
            let shard = Shard::open(&super::super::cache::shard_path(folder.path(), split)).unwrap();
            (0..shard.rows()).map(|r| shard.row(r).unwrap().0.to_vec()).collect::<Vec<_>>()
        })
    };
    let (a, b) = (rows(1), rows(1));
    assert_eq!(a, b);
    assert_ne!(a, rows(2));
    let [train, validation, test] = &a;
    assert_eq!(train.len() + validation.len() + test.len(), 1000);
    assert!((150..250).contains(&validation.len()) && (60..140).contains(&test.len()));
    assert!(validation.iter().all(|row| !train.contains(row) && !test.contains(row)));
}

#[test]
fn a_source_keeps_its_own_test_split() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = RecordWriter::new(folder.path(), Holdout::of(0.0, 0.5), 1);
    writer.push(Some(Split::Test), Features::F32(&[0.0]), Target::Values(&[0.0])).unwrap();
    for _ in 0..50 {
        writer.push(None, Features::F32(&[1.0]), Target::Values(&[0.0])).unwrap();
    }
    writer.finish(&table(1)).unwrap();
    let shard = Shard::open(&super::super::cache::shard_path(folder.path(), Split::Test)).unwrap();
    assert_eq!(shard.rows(), 1);
}

#[test]
fn misfits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let holdout = Holdout::of(0.0, 0.0);
    let mut writer = RecordWriter::new(folder.path(), holdout.clone(), 1);
    assert!(writer.push(None, Features::F32(&[f32::NAN]), Target::Class(0)).is_err());
    writer.push(None, Features::F32(&[1.0]), Target::Class(0)).unwrap();
    assert!(writer.push(None, Features::F32(&[1.0, 2.0]), Target::Class(0)).is_err());
    assert!(writer.push(None, Features::U8(&[1]), Target::Class(0)).is_err());
    assert!(writer.finish(&table(1)).is_err());
    assert!(RecordWriter::new(folder.path(), holdout, 1).finish(&table(1)).is_err());
    let all = Holdout::of(1.0, 0.0);
    let mut writer = RecordWriter::new(folder.path(), all, 1);
    writer.push(None, Features::F32(&[1.0]), Target::Values(&[0.0])).unwrap();
    assert!(writer.finish(&table(1)).unwrap_err().to_string().contains("holdout"));
}
