//! The real binary in a temporary folder.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A temporary folder to run kiln in, with a cache that all tests share.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

/// What a finished kiln said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A language model that trains in well under a second a step count, on a text of its own.
pub const TINY: &str = r#"
[data]
task = "language-model"
source = { path = "text.txt" }
tokenizer = "char"
context = 8

[model]
kind = "gpt"
layers = 1
heads = 2
width = 16

[train]
steps = 6
batch = 4
device = "flex"

[optim]
schedule = { warmup = 2 }

[checkpoint]
every = 3
"#;

/// A classifier of a table of its own: `kind` is `up` where `a` is above `b`.
pub const TABLE: &str = r#"
[data]
task = "classification"
source = { path = "rows.csv" }
target = ["kind"]

[model]
kind = "mlp"
hidden = [8]

[train]
steps = 6
batch = 16
device = "flex"
"#;

impl Bench {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// On the disk that the build lies on: the usual temporary folder may lie in memory.
    pub fn on_disk() -> Self {
        Self { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder") }
    }

    /// With `tiny.toml` and its text.
    pub fn tiny() -> Self {
        let bench = Self::new();
        let text: String = (0..400).map(|i| format!("line {i} of a text that repeats itself\n")).collect();
        bench.write("text.txt", &text);
        bench.write("tiny.toml", TINY);
        bench
    }

    /// With `table.toml` and its rows.
    pub fn table() -> Self {
        let bench = Self::new();
        bench.write("rows.csv", &rows());
        bench.write("table.toml", TABLE);
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(args).current_dir(self.dir.path());
        command.env("KILN_CACHE", cache()).env_remove("RUST_BACKTRACE");
        command
    }

    pub fn kiln(&self, args: &[&str]) -> Said {
        Said::from(self.command(args).output().expect("kiln starts"))
    }

    /// Runs and expects success; stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.kiln(args);
        assert_eq!(said.code, 0, "kiln {args:?}\n{}\n{}", said.out, said.err);
        said.out
    }

    /// Runs with `--json` and expects success.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json", "--quiet"]).collect();
        let out = self.ok(&args);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("kiln {args:?} printed no JSON: {e}\n{out}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Says on the terminal what a test could not try here, past the harness, which keeps a passing test's words to itself.
pub fn skip(what: &str) {
    say(&format!("SKIPPED {what}"));
}

/// The devices whose tensors kiln's kernels for the host take, as far as they are in this build.
pub fn host_devices() -> &'static [&'static str] {
    if cfg!(feature = "tch") {
        return &["flex", "tch"];
    }
    say("SKIPPED tch: not compiled in");
    &["flex"]
}

/// Says a figure on the terminal, past the harness.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// 200 rows of `a,b,kind`.
pub fn rows() -> String {
    let mut text = String::from("a,b,kind\n");
    for i in 0..200 {
        let (a, b) = (f64::from(i * 37 % 101) / 100.0, f64::from(i * 53 % 97) / 100.0);
        text.push_str(&format!("{a},{b},{}\n", if a > b { "up" } else { "down" }));
    }
    text
}

/// One cache for all tests of this checkout, so that data is prepared once.
pub fn cache() -> PathBuf {
    match std::env::var_os("KILN_CACHE") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    }
}

/// `(step, loss, batch)` of every step line of a journal.
pub fn steps(journal: &Path) -> Vec<(u64, f64, String)> {
    let text = fs::read_to_string(journal).expect("a journal");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a whole line"));
    let steps = lines.filter(|line| line["event"] == "step");
    steps
        .map(|l| {
            let loss = l["loss"].as_f64().expect("a loss");
            (l["step"].as_u64().expect("a step"), loss, l["batch"].as_str().expect("a batch").to_string())
        })
        .collect()
}
