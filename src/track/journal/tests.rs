use std::{collections::BTreeMap, fs};

use super::*;

fn step(step: u64, loss: f64) -> Event {
    Event::Step { step, epoch: 0.5, loss, lr: 1e-3, norm: 1.0, rate: 9.0, seconds: 0.1, batch: String::new() }
}

fn fault(step: u64, action: &str) -> Event {
    let (reason, action) = ("loss is NaN".into(), action.into());
    Event::Fault { step, reason, action, rows: vec![3, 1], loss: f64::NAN, norm: f64::INFINITY }
}

fn steps(path: &Path) -> Vec<u64> {
    read(path).unwrap().iter().filter_map(Event::step).collect()
}

#[test]
fn events_survive_the_file_even_when_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let metrics = BTreeMap::from([("loss".into(), f64::NEG_INFINITY), ("accuracy".into(), 0.5)]);
    let events = vec![
        Event::Started {
            time: 1,
            version: "0".into(),
            device: "flex".into(),
            params: 2,
            plan_hash: "a".into(),
            dataset: "b".into(),
            class_weights: BTreeMap::from([("a".into(), 2.0)]),
        },
        Event::Compiled { seconds: 2.0 },
        step(1, 0.1),
        Event::Eval { step: 1, split: "validation".into(), metrics },
        Event::Saved { step: 1, path: "step-00000001".into() },
        Event::Resumed { step: 1, from: "step-00000001".into(), device: "flex".into() },
        Event::Finished { step: 1, reason: "done".into(), seconds: 1e-9 },
    ];
    let mut journal = Journal::open(&path, 0).unwrap();
    events.iter().for_each(|e| journal.append(e).unwrap());
    assert_eq!(read(&path).unwrap(), events);
    journal.append(&fault(2, "halt")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with(r#"{"event":"fault""#) && last.contains(r#""loss":"NaN","norm":"inf""#), "{last}");
    let Event::Fault { loss, norm, rows, .. } = read(&path).unwrap().pop().unwrap() else { unreachable!() };
    assert!(loss.is_nan() && norm == f64::INFINITY && rows == [3, 1]);
}

#[test]
fn steps_are_buffered_and_other_events_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::open(&path, 0).unwrap();
    journal.append(&step(1, 1.0)).unwrap();
    assert!(steps(&path).is_empty());
    journal.append(&Event::Saved { step: 1, path: String::new() }).unwrap();
    assert_eq!(steps(&path), [1, 1]);
    journal.flushed = Instant::now().checked_sub(FLUSH_EVERY).unwrap();
    journal.append(&step(2, 1.0)).unwrap();
    assert_eq!(steps(&path), [1, 1, 2]);
    journal.append(&step(3, 1.0)).unwrap();
    drop(journal);
    assert_eq!(steps(&path), [1, 1, 2, 3]);
}

#[test]
fn resuming_moves_later_steps_aside_but_keeps_rollbacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::open(&path, 0).unwrap();
    (1..=4).for_each(|n| journal.append(&step(n, 1.0)).unwrap());
    journal.append(&fault(5, "skip")).unwrap();
    journal.append(&fault(6, "rollback")).unwrap();
    journal.append(&step(5, 1.0)).unwrap();
    journal.rewind(3).unwrap();
    journal.append(&step(4, 2.0)).unwrap();
    drop(journal);
    assert_eq!(steps(&path), [1, 2, 3, 6, 4]);
    assert_eq!(steps(&folder.path().join("journal.discarded.jsonl")), [4, 5, 5]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_keeps_the_line_for_the_next_try() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::open(&path, 0).unwrap();
    let disk = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
    let error = journal.append(&Event::Compiled { seconds: 1.0 }).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl: the disk is full"), "{error}");
    journal.file = disk;
    journal.append(&Event::Compiled { seconds: 2.0 }).unwrap();
    assert_eq!(read(&path).unwrap(), [1.0, 2.0].map(|seconds| Event::Compiled { seconds }));
}

#[test]
fn a_torn_last_line_is_ignored_then_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let line = serde_json::to_string(&step(1, 1.0)).unwrap();
    for cut in (0..line.len()).step_by(17) {
        fs::write(&path, format!("{line}\n{}", &line[..cut])).unwrap();
        assert_eq!(steps(&path), [1]);
        drop(Journal::open(&path, 9).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{line}\n"), "cut at {cut}");
    }
    // Whole but for its newline: kept, and the next line doesn't stick to it.
    fs::write(&path, &line).unwrap();
    Journal::open(&path, 9).unwrap().append(&Event::Compiled { seconds: 1.0 }).unwrap();
    assert_eq!(read(&path).unwrap().len(), 2);
}

#[test]
fn damage_before_the_end_names_the_line_and_long_lines_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let line = serde_json::to_string(&step(1, 1.0)).unwrap();
    fs::write(&path, format!("{line}\n\0\0\n{line}\n")).unwrap();
    let error = read(&path).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl:2: the journal is damaged"), "{error}");
    fs::write(&path, format!("{line}\n{}\n{line}\n", "x".repeat(2 * MAX_LINE))).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("longer than"));
    drop(Journal::open(&path, 9).unwrap());
    assert_eq!(steps(&path), [1, 1]);
}
