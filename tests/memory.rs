//! Flat memory: data four times as large as the memory that kiln may use are prepared, trained on and evaluated.
//!
//! The limit is a control group's, which counts page cache too; that can be reclaimed, so what decides is the anonymous
//! memory. Seen on two busy cores, preparation and all evaluations included:
//!
//! | data | limit | in all | rows a second in training | anonymous memory |
//! |---|---|---|---|---|
//! | 400 MB of text, characters | 100 MB | 12 s | 7,000 windows of 32 | 36 MB |
//! | 160 MB of CSV, 20 columns | 40 MB | 10 s | 10,700 | 31 MB, of which 16 MB are samples for medians |
//!
//! With the system's read-ahead, which the training shard turns off, it was 107 and 293 rows a second.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{Bench, say, skip};

const STEPS: u64 = 300;

/// A control group that holds its processes to so many bytes of memory.
struct Limit(PathBuf);

impl Limit {
    /// Why not, where this machine lets nobody make one.
    fn new(name: &str, bytes: u64) -> Result<Self, String> {
        let first = Path::new("/sys/fs/cgroup/memory");
        let (root, key) = match first.join("memory.limit_in_bytes").exists() {
            true => (first, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let limit = Self(root.join(format!("kiln-test-{name}-{}", std::process::id())));
        let told = |e: std::io::Error| format!("{}: {e}", limit.0.display());
        fs::create_dir(&limit.0).map_err(told)?;
        if !limit.0.join(key).exists() {
            return Err(format!("{} has no {key}", limit.0.display()));
        }
        fs::write(limit.0.join(key), bytes.to_string()).map_err(told)?;
        // Swap would hide what does not fit; a kernel without these keys has none to turn off.
        let _ = fs::write(limit.0.join("memory.swappiness"), "0");
        let _ = fs::write(limit.0.join("memory.swap.max"), "0");
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Writes about `size` bytes of pseudo-random pieces, so many a line.
fn fill(path: &Path, size: u64, pieces: &[String], joiner: &str, per_line: u64) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let (mut state, mut written, mut count) = (0x9e37_79b9_7f4a_7c15_u64, 0, 0);
    while written < size || count % per_line != 0 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        count += 1;
        let piece = &pieces[(state >> 20) as usize % pieces.len()];
        let end = if count % per_line == 0 { "\n" } else { joiner };
        out.write_all(piece.as_bytes()).unwrap();
        out.write_all(end.as_bytes()).unwrap();
        written += (piece.len() + end.len()) as u64;
    }
    out.into_inner().unwrap().sync_all().unwrap();
    // The pages that this test wrote are not in kiln's group: drop them, so that kiln has to read them itself.
    let of = format!("of={}", path.display());
    let _ = Command::new("dd").args([&of, "oflag=nocache", "conv=notrunc", "count=0", "status=none"]).status();
}

/// Trains under the limit; the most anonymous memory that was seen, in bytes.
fn train(bench: &Bench, name: &str, limit: u64) -> u64 {
    let group = Limit::new(name, limit);
    if let Err(why) = &group {
        skip(&format!("the limit on memory, for there is no control group ({why}); its own memory is still watched"));
    }
    let procs = group.as_ref().map_or(PathBuf::from("/dev/null"), |group| group.0.join("cgroup.procs"));
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(procs);
    command.args([env!("CARGO_BIN_EXE_kiln"), "train", &format!("{name}.toml")]);
    command.current_dir(bench.dir.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(anonymous(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    most
}

fn anonymous(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Trains on `file` under a quarter of its size, and says the figures.
fn flat(bench: &Bench, name: &str, file: &str, batch: u64) {
    let size = fs::metadata(bench.path(file)).unwrap().len();
    let limit = size / 4;
    let started = Instant::now();
    let most = train(bench, name, limit);
    let seconds = started.elapsed().as_secs_f64();
    let journal = fs::read_to_string(bench.path(&format!("checkpoints/{name}/journal.jsonl"))).unwrap();
    let mut lines = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let last = lines.next_back().unwrap();
    assert_eq!((last["event"].as_str(), last["step"].as_u64()), (Some("finished"), Some(STEPS)), "{last}");
    let rate = (STEPS * batch) as f64 / last["seconds"].as_f64().unwrap();
    say(&format!(
        "{file}: {} MB under {} MB: {seconds:.1} s in all, {rate:.0} rows/s in training, at most {:.1} MB anonymous",
        size / 1_000_000,
        limit / 1_000_000,
        most as f64 / 1e6
    ));
    assert!(most > 0 && most < limit, "{most} bytes of anonymous memory");
}

#[test]
fn a_corpus_four_times_the_memory_trains() {
    let bench = Bench::on_disk();
    let words: Vec<String> = (0..4096_u32).map(word).collect();
    fill(&bench.path("corpus.txt"), 400_000_000, &words, " ", 12);
    bench.write(
        "text.toml",
        &format!(
            "[data]\ntask = \"language-model\"\nsource = {{ path = \"corpus.txt\" }}\ntokenizer = \"char\"\n\
             context = 32\ncache = \"cache\"\nholdout = {{ validation = 0.001 }}\n\
             [model]\nkind = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 16\n\
             [train]\nsteps = {STEPS}\nbatch = 16\ndevice = \"flex\"\n[eval]\nevery = 100\nbatches = 10\n"
        ),
    );
    flat(&bench, "text", "corpus.txt", 16);
}

/// A pronounceable word for a number.
fn word(n: u32) -> String {
    let syllable = |n: u32| {
        format!("{}{}", char::from(b"bdfgklmnprstvwxz"[n as usize % 16]), ["a", "e", "i", "o"][n as usize / 16 % 4])
    };
    let (low, high) = (syllable(n), syllable(n / 64));
    if n.is_multiple_of(3) { low + "n" } else { low + &high }
}

#[test]
fn a_table_four_times_the_memory_trains() {
    let bench = Bench::on_disk();
    let numbers: Vec<String> = (0..4096).map(|n| format!("{:.5}", f64::from(n) * 0.731 - 1500.0)).collect();
    fill(&bench.path("table.csv"), 160_000_000, &numbers, ",", 20);
    bench.write(
        "table.toml",
        &format!(
            "[data]\ntask = \"regression\"\nsource = {{ path = \"table.csv\" }}\nheader = false\ncache = \"cache\"\n\
             holdout = {{ validation = 0.01 }}\n[model]\nkind = \"mlp\"\nhidden = [16]\n\
             [train]\nsteps = {STEPS}\nbatch = 64\ndevice = \"flex\"\n[eval]\nevery = 100\nbatches = 10\n\
             [baseline]\non = \"never\"\n" // classic models hold the rows that they are fitted on
        ),
    );
    flat(&bench, "table", "table.csv", 64);
}
