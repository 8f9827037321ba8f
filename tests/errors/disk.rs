//! A full disk while checkpointing: nothing that was saved is lost, and the run goes on once there is space.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    common::{Bench, skip, steps},
    refused,
};

/// A small file system of its own, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    /// Writes zeros into `ballast` until nothing more fits, then gives `spare` bytes back.
    fn fill(&self, spare: u64) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        file.set_len(file.metadata().unwrap().len() - spare).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_run_goes_on_after() {
    let bench = Bench::tiny();
    let Some(disk) = Disk::mount(bench.path("disk"), "size=8m") else {
        skip("a full disk: no right to mount a small one here; run as root");
        return;
    };
    // Weights and two moments of 64 wide are some 600 kB a checkpoint.
    let wide = ["--set", "run.dir=disk", "--set", "model.width=64"];
    let train: Vec<&str> = ["train", "tiny.toml", "--quiet"].into_iter().chain(wide).collect();
    bench.ok(&train);
    let ballast = disk.fill(200 << 10);
    let on = ["resume", "disk/tiny", "--quiet", "--set", "train.steps=12"];
    let said = bench.kiln(&[&on[..], &["--set", "checkpoint.wait_for_space="]].concat());
    refused(&said, 1, &["disk/tiny", "the disk is full", "free some space", "`kiln resume`"]);
    assert_eq!(folders(&disk.0.join("tiny")), ["step-00000003", "step-00000006"], "no torn folder is left");
    bench.ok(&["inspect", "disk/tiny/step-00000006"]);

    let patient = [&on[..], &["--set", "checkpoint.wait_for_space=5m"]].concat();
    let mut child = bench.command(&patient).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("paused at step 9") && line.contains("the disk is full; waiting for space"), "{line}");
    fs::remove_file(ballast).unwrap();
    assert!(child.wait().unwrap().success(), "it goes on by itself");
    assert_eq!(steps(&disk.0.join("tiny/journal.jsonl")).len(), 12, "every step is in the journal once");
}

fn folders(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> =
        entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
