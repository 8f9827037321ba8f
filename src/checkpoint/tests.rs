#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
    process::Command,
};

use burn::tensor::TensorData;

use super::*;
use crate::error::Kind;

fn snapshot(step: u64) -> Snapshot {
    let weights = Tensors::from([
        ("head.bias".into(), TensorData::new(vec![f32::NAN, -0.0, 1.5], [3])),
        ("head.weight".into(), TensorData::new((0..6).map(|i| i as f32).collect(), [2, 3])),
        ("nothing".into(), TensorData::new(Vec::<f32>::new(), [0, 4])),
    ]);
    let optim = Tensors::from([
        ("head.bias.count".into(), TensorData::new(vec![7_i64], [1])),
        ("head.bias.mask".into(), TensorData::new(vec![true, false, true], [3])),
        ("head.bias.moment".into(), TensorData::new(vec![half::bf16::from_f32(0.5); 3], [3])),
    ]);
    let ema = Some(weights.clone());
    let guard = serde_json::json!({"window": [1.5, 2.25], "faults": 1});
    let state = State { step, position: 48, tokens: 96, best: Some(0.75), guard, seconds: 2.5, ..State::default() };
    Snapshot { weights, optim, ema, state }
}

fn run_with(steps: &[u64]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let run = tempfile::tempdir().unwrap();
    let paths = steps.iter().map(|s| save(run.path(), &snapshot(*s)).unwrap()).collect();
    (run, paths)
}

fn listed(run: &Path) -> Vec<u64> {
    list(run).unwrap().iter().map(|e| e.step).collect()
}

fn flip(path: &Path, at: usize) {
    let byte = fs::read(path).unwrap()[at] ^ 1;
    // In place: truncating and writing anew flushes to the disk on some file systems, which takes seconds in all.
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte]).unwrap();
}

#[test]
fn a_snapshot_survives_the_disk_and_equal_ones_give_equal_bytes() {
    let (run, paths) = run_with(&[500]);
    assert_eq!(paths[0], run.path().join("step-00000500"));
    assert_eq!(load(&paths[0]).unwrap(), snapshot(500));
    assert_eq!(latest(run.path()).unwrap(), Some(500));
    let (_other, twin) = run_with(&[500]);
    for file in [WEIGHTS, OPTIM, EMA, STATE, MANIFEST] {
        assert_eq!(fs::read(paths[0].join(file)).unwrap(), fs::read(twin[0].join(file)).unwrap(), "{file}");
    }
    let bytes = fs::read(paths[0].join(OPTIM)).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(theirs.tensor("head.bias.count").unwrap().data(), 7_i64.to_le_bytes());
}

#[test]
fn a_flipped_byte_anywhere_is_found_and_its_file_named() {
    let (_run, paths) = run_with(&[1]);
    for file in [WEIGHTS, OPTIM, EMA, STATE, MANIFEST] {
        let path = paths[0].join(file);
        for at in 0..fs::metadata(&path).unwrap().len() as usize {
            flip(&path, at);
            let error = load(&paths[0]).unwrap_err().to_string();
            // A flip inside a name in the manifest makes a file of another name go missing.
            assert!(file == MANIFEST || error.contains(&format!("{file} is damaged")), "{file} at {at}: {error}");
            assert!(error.contains("manifest.json") || file != MANIFEST, "{file} at {at}: {error}");
            flip(&path, at);
        }
    }
    verify(&paths[0]).unwrap();
}

#[test]
fn a_torn_folder_is_never_taken() {
    for file in [WEIGHTS, OPTIM, EMA, STATE, MANIFEST] {
        for truncate in [false, true] {
            let (run, paths) = run_with(&[1, 2]);
            let path = paths[1].join(file);
            if truncate { fs::write(&path, &fs::read(&path).unwrap()[1..]) } else { fs::remove_file(&path) }.unwrap();
            assert_eq!(listed(run.path()), [1], "{file}");
            let mut told = Vec::new();
            let good = latest_good(run.path(), &mut |e| told.push(e.to_string())).unwrap();
            assert_eq!(good.as_ref(), Some(&paths[0]));
            assert!(told.len() == 1 && told[0].contains(file), "{told:?}");
        }
    }
}

#[test]
fn latest_good_falls_back_over_flipped_bytes_and_renamed_folders() {
    let (run, paths) = run_with(&[1, 2, 3]);
    flip(&paths[2].join(WEIGHTS), 200);
    fs::rename(&paths[1], run.path().join("step-00000009")).unwrap();
    let mut told = Vec::new();
    let good = latest_good(run.path(), &mut |e| told.push(e.to_string())).unwrap();
    assert_eq!(good.as_ref(), Some(&paths[0]));
    assert!(told[0].contains("step 2") && told[1].contains(WEIGHTS), "{told:?}");
    assert_eq!(latest_good(tempfile::tempdir().unwrap().path(), &mut |_| ()).unwrap(), None);
}

#[test]
fn a_kill_before_the_rename_leaves_nothing_visible() {
    let (run, paths) = run_with(&[1]);
    // A process that has ended; its id stands for one that was killed.
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let dead = run.path().join(format!(".tmp-step-00000002-{}", child.id()));
    write::stage(&dead, &snapshot(2)).unwrap();
    assert_eq!(listed(run.path()), [1]);
    save(run.path(), &snapshot(3)).unwrap();
    assert!(!dead.exists(), "the next save clears it up");
    // Killed between the two renames of a replacement: the old one comes back.
    fs::rename(&paths[0], run.path().join(format!(".old-step-00000001-{}", child.id()))).unwrap();
    latest_good(run.path(), &mut |_| ()).unwrap();
    assert_eq!(listed(run.path()), [1, 3]);
    // One that still runs keeps its folder.
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let busy = run.path().join(format!(".tmp-step-00000002-{}", child.id()));
    fs::create_dir(&busy).unwrap();
    save(run.path(), &snapshot(4)).unwrap();
    assert!(busy.exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_same_step_is_replaced_and_no_leftover_stays() {
    let (run, paths) = run_with(&[5]);
    let mut newer = snapshot(5);
    newer.state.tokens = 1;
    save(run.path(), &newer).unwrap();
    assert_eq!(load(&paths[0]).unwrap().state.tokens, 1);
    let hidden = fs::read_dir(run.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn prune_keeps_the_newest_the_best_and_the_last_good_one() {
    let (run, paths) = run_with(&[1, 2, 3, 4, 5]);
    mark_best(run.path(), 2).unwrap();
    assert_eq!(best(run.path()).unwrap(), Some(2));
    assert!(prune(run.path(), 5).unwrap().is_empty());
    flip(&paths[4].join(WEIGHTS), 270);
    assert_eq!(prune(run.path(), 0).unwrap(), [1, 3]);
    assert_eq!(listed(run.path()), [2, 4, 5], "best, last good, newest");
    assert!(mark_best(run.path(), 1).is_err());
    fs::write(run.path().join("best"), "../elsewhere").unwrap();
    assert!(best(run.path()).unwrap_err().to_string().contains("names no checkpoint"));
}

#[test]
fn a_full_disk_says_so_and_leaves_older_checkpoints_alone() {
    let mount = tempfile::tempdir().unwrap();
    let tmpfs = |args: &[&str]| {
        Command::new(args[0]).args(&args[1..]).arg(mount.path()).output().is_ok_and(|o| o.status.success())
    };
    if !tmpfs(&["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs"]) {
        eprintln!("SKIPPED: a full disk needs the right to mount a tmpfs");
        return;
    }
    let first = save(mount.path(), &snapshot(1));
    let mut big = snapshot(2);
    big.weights.insert("big".into(), TensorData::new(vec![0_f32; 64 << 10], [64 << 10]));
    let error = save(mount.path(), &big);
    let (left, names) = (latest_good(mount.path(), &mut |_| ()), folder_names(mount.path()));
    assert!(tmpfs(&["umount"]));
    assert_eq!(left.unwrap(), Some(first.unwrap()));
    assert_eq!(names, ["latest", "step-00000001"]);
    let error = error.unwrap_err();
    assert!(error.to_string().contains("weights.safetensors: the disk is full; free some space"), "{error}");
    assert_eq!(error.kind(), Kind::DiskFull);
}

fn folder_names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_hostile_header_or_manifest_is_refused_before_memory_is_taken() {
    let (_run, paths) = run_with(&[1]);
    let path = paths[0].join(WEIGHTS);
    for header in [&b"\xff\xff\xff\xff\xff\xff\xff\xff{}"[..], &b"\x02\0\0\0\0\0\0\0{}surplus"[..], &b"\x01"[..]] {
        fs::write(&path, header).unwrap();
        assert!(tensors::read(&path, true).is_err());
    }
    let files =
        |name: &str| std::collections::BTreeMap::from([(name.into(), FileEntry { bytes: 0, blake3: String::new() })]);
    fs::write(paths[0].join(MANIFEST), Manifest::new(1, files("../state.json")).text()).unwrap();
    assert!(verify(&paths[0]).unwrap_err().to_string().contains("not a plain file name"));
    fs::write(paths[0].join(MANIFEST), r#"{"version": 2, "news": 1}"#).unwrap();
    assert!(verify(&paths[0]).unwrap_err().to_string().contains("version 2 of the format"));
    fs::write(paths[0].join(MANIFEST), vec![b' '; MAX_JSON as usize + 1]).unwrap();
    assert!(verify(&paths[0]).unwrap_err().to_string().contains("more than"));
}

#[test]
fn a_summary_counts_and_names() {
    let (_run, paths) = run_with(&[7]);
    let summary = summary(&paths[0]).unwrap();
    assert_eq!((summary.step, summary.parameters, summary.tensors.len()), (7, 9, 9));
    let count = summary.tensors.iter().find(|t| t.name == "head.bias.count").unwrap();
    assert_eq!((count.file, count.dtype.as_str(), &count.shape[..], count.bytes), (OPTIM, "I64", &[1][..], 8));
    assert_eq!(summary.state, snapshot(7).state);
}

#[test]
fn weights_are_f32() {
    let run = tempfile::tempdir().unwrap();
    let mut half = snapshot(1);
    half.weights.insert("odd".into(), TensorData::new(vec![1_i32], [1]));
    assert!(save(run.path(), &half).unwrap_err().to_string().contains("`odd` is i32"));
    assert!(folder_names(run.path()).is_empty());
}

#[test]
fn a_run_is_held_by_one_at_a_time() {
    let run = tempfile::tempdir().unwrap();
    let lock = RunLock::acquire(run.path()).unwrap();
    let error = RunLock::acquire(run.path()).unwrap_err();
    assert_eq!(error.kind(), Kind::Input);
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(lock);
    RunLock::acquire(run.path()).unwrap();
    assert!(RunLock::acquire(&run.path().join("absent")).is_err());
}
