//! Rows of a real PostgreSQL server and of an SQLite file, through the real binary.
//!
//! The server comes from Debian's `postgresql` package; without one these tests say that they were skipped.
#![cfg(feature = "sql")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Bench, Said, TABLE};
use serde_json::Value;

const PASSWORD: &str = "a secret";

/// A server of its own folder and port.
struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// A new cluster, not started yet; none where PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
        let bin = versions.filter(|bin| bin.join("initdb").is_file()).max()?;
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { bin, folder, port, running: None };
        let word = server.folder.path().join("password");
        fs::write(&word, PASSWORD).unwrap();
        if is_root() {
            Command::new("chown").arg("-R").arg("postgres").arg(server.folder.path()).status().unwrap();
        }
        let data = server.folder.path().join("data");
        let mut command = server.command("initdb");
        command.args(["-U", "kiln", "-A", "scram-sha-256", "--no-sync", "--pwfile"]).arg(word).arg("-D").arg(data);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(server)
    }

    /// PostgreSQL refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() { Command::new("runuser") } else { Command::new(&program) };
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(program);
        }
        command.current_dir(self.folder.path());
        command
    }

    fn start(&mut self) {
        let (folder, port) = (self.folder.path(), self.port.to_string());
        let mut command = self.command("postgres");
        command.args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.arg("-k").arg(folder).arg("-D").arg(folder.join("data"));
        self.running = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    fn wait(&self) {
        let start = Instant::now();
        while !self.psql("select 1").status.success() {
            assert!(start.elapsed() < Duration::from_secs(30), "the server does not start");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn stop(&mut self) {
        let data = self.folder.path().join("data");
        let Some(mut child) = self.running.take() else { return };
        // A server that has only just been started can't be stopped yet.
        for _ in 0..100 {
            let stop = self.command("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(&data).output().unwrap();
            if stop.status.success() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        child.wait().unwrap();
    }

    fn psql(&self, statements: &str) -> std::process::Output {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "kiln", "-d", "postgres"]);
        command.args(["-q", "-v", "ON_ERROR_STOP=1", "-c", statements]).env("PGPASSWORD", PASSWORD).output().unwrap()
    }

    fn run(&self, statements: &str) {
        let output = self.psql(statements);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn address(&self) -> String {
        format!("postgres://kiln@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0"
}

fn server() -> Option<Server> {
    let server = Server::new();
    if server.is_none() {
        common::skip("PostgreSQL: no server is installed (Debian: `apt-get install postgresql`)");
    }
    server
}

/// The table's config with its rows from a query.
fn config(address: &str, query: &str) -> String {
    TABLE.replace("{ path = \"rows.csv\" }", &format!("{{ sql = \"{address}\", query = '''{query}''' }}"))
}

/// With a cache of its own: the server's port, and so the address, may come again.
fn kiln(bench: &Bench, args: &[&str], password: &str) -> Said {
    let mut command = bench.command(args);
    command.env("KILN_CACHE", bench.path("cache")).env("PGPASSWORD", password).output().unwrap().into()
}

fn shown(bench: &Bench, config: &str) -> Value {
    let said = kiln(bench, &["data", "show", config, "--rows", "100", "--json"], PASSWORD);
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn a_table_on_a_server_trains_as_its_file_does() {
    let Some(mut server) = server() else { return };
    server.start();
    server.wait();
    let bench = Bench::table();
    server.run("create table t (id serial, a float8, b float8, kind text)");
    server.run(&inserts(&bench.path("rows.csv")));
    bench.write("sql.toml", &config(&server.address(), "select a, b, kind from t order by id -- as in the file"));
    let (file, rows) = (shown(&bench, "table.toml"), shown(&bench, "sql.toml"));
    assert_eq!(file["splits"], rows["splits"]);

    let said = kiln(&bench, &["train", "sql.toml"], PASSWORD);
    assert_eq!(said.code, 0, "{}", said.err);
    let plan = fs::read_to_string(bench.path("checkpoints/sql/plan.toml")).unwrap();
    assert!(plan.contains("postgres://kiln@") && !plan.contains(PASSWORD));

    // The rows stay what they were until somebody asks for new ones.
    server.run("delete from t where id > 100");
    let kept = shown(&bench, "sql.toml");
    assert_eq!(kept["fingerprint"], rows["fingerprint"]);
    let said = kiln(&bench, &["data", "fetch", "sql.toml", "--refresh"], PASSWORD);
    assert_eq!(said.code, 0, "{}", said.err);
    let fewer = shown(&bench, "sql.toml");
    let count =
        |shown: &Value| shown["splits"].as_array().unwrap().iter().map(|s| s["rows"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(count(&fewer), 100);
}

fn inserts(csv: &Path) -> String {
    let rows = fs::read_to_string(csv).unwrap();
    let rows = rows.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("({}, {}, '{}')", cells[0], cells[1], cells[2])
    });
    format!("insert into t (a, b, kind) values {}", rows.collect::<Vec<_>>().join(", "))
}

#[test]
fn every_type_becomes_what_it_is_for_a_model() {
    let Some(mut server) = server() else { return };
    server.start();
    server.wait();
    server.run(
        "create type size as enum ('small', 'large');
         create table t (\"a \"\"name\"\"\" numeric(9, 2), big int8, yes bool, day date, at timestamptz, name uuid,
                         how size, notes varchar(9), list int[], kind text);
         insert into t select n / 4.0, n, n % 2 = 0, date '2024-02-28' + n % 3, timestamptz '2024-01-01 12:00+02' + n * interval '1 hour', gen_random_uuid(),
             case n % 2 when 0 then 'small' else 'large' end::size, nullif('n' || n % 3, 'n1'), array[n, n % 5],
             case when n % 3 = 0 then 'up' else 'down' end from generate_series(1, 200) as n",
    );
    let bench = Bench::new();
    bench.write(
        "sql.toml",
        &config(&server.address(), "select \"a \"\"name\"\"\", big, yes, day, at, how, notes, kind from t"),
    );
    let shown = shown(&bench, "sql.toml");
    let kind = |name: &str| {
        let columns = shown["schema"]["table"]["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["name"] == name).unwrap();
        (column["type"].as_str().unwrap().to_owned(), column["missing"].as_u64().unwrap_or(0) > 0)
    };
    let found = ["a \"name\"", "big", "yes", "day", "at", "how", "notes"].map(kind);
    let expected = ["numeric", "numeric", "boolean", "date", "date", "categorical", "categorical"];
    assert_eq!(found.clone().map(|(kind, _)| kind), expected);
    assert_eq!(found.map(|(_, missing)| missing), [false, false, false, false, false, false, true]);
}

#[test]
fn refusals_are_waited_for_and_mistakes_are_named() {
    let Some(mut server) = server() else { return };
    let bench = Bench::table();
    bench.write(
        "sql.toml",
        &config(&server.address(), "select n as a, n % 7 as b, n % 2 > 0 as kind from generate_series(1, 200) as n"),
    );
    // The server is started while kiln already asks for it.
    let waiting = {
        let mut command = bench.command(&["data", "fetch", "sql.toml"]);
        command.env("KILN_CACHE", bench.path("cache")).env("PGPASSWORD", PASSWORD);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    thread::sleep(Duration::from_millis(700));
    server.start();
    let said = Said::from(waiting.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("asking again"), "{}", said.err);

    server.wait();
    let says = |query: &str, password: &str| {
        bench.write("bad.toml", &config(&server.address(), query));
        let said = kiln(&bench, &["data", "fetch", "bad.toml"], password);
        assert_eq!(said.code, 2, "{}", said.err);
        said.err
    };
    let wrong = says("select 1 as a, 2 as b", "not the password");
    assert!(wrong.contains("refuses the login") && wrong.contains("PGPASSWORD"), "{wrong}");
    let wrong = says("select nothing from t", PASSWORD);
    assert!(wrong.contains("\"t\" does not exist") && wrong.contains("at character 21"), "{wrong}");
    let wrong = says("create table made (x int)", PASSWORD);
    assert!(wrong.contains("one SELECT"), "{wrong}");
    server.run("create sequence s");
    let wrong = says("select 1 as a, nextval('s') as b", PASSWORD);
    assert!(wrong.contains("read-only"), "{wrong}");

    server.stop();
    let mut command = bench.command(&["data", "fetch", "sql.toml", "--refresh"]);
    let start = Instant::now();
    let said: Said = command.env("KILN_CACHE", bench.path("cache")).output().unwrap().into();
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("cannot be reached") && said.err.contains("asked 6 times"), "{}", said.err);
    assert!(start.elapsed() > Duration::from_secs(10));
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
}

/// The space of a search of 8 short trials.
const SEARCH: &str = r#"
[tune]
metric = "log_loss"
trials = 8
startup = 4
journal = "ADDRESS"

[tune.space]
"optim.lr" = { log = [1e-4, 1e-1] }
"model.hidden" = { choice = [[4], [8, 4]] }
"#;

#[test]
fn machines_without_a_common_folder_share_a_search() {
    let Some(mut server) = server() else { return };
    server.start();
    server.wait();
    let machines: Vec<Bench> = (0..2).map(|_| Bench::table()).collect();
    let start = |bench: &Bench| {
        let config =
            fs::read_to_string(bench.path("table.toml")).unwrap() + &SEARCH.replace("ADDRESS", &server.address());
        bench.write("t.toml", &config.replace("steps = 6", "steps = 40"));
        let mut command = bench.command(&["tune", "t.toml", "--json", "--quiet"]);
        command.env("PGPASSWORD", PASSWORD).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let working: Vec<Child> = machines.iter().map(start).collect();
    let results: Vec<Value> = working
        .into_iter()
        .map(|child| {
            let said = Said::from(child.wait_with_output().unwrap());
            assert_eq!(said.code, 0, "{}", said.err);
            serde_json::from_str(&said.out).unwrap()
        })
        .collect();
    // Each machine ran some of the trials, none ran one twice, and both know them all.
    let runs: Vec<Vec<u64>> = machines.iter().map(trials_of).collect();
    let mut all = runs.concat();
    all.sort_unstable();
    assert_eq!(all, (1..=8).collect::<Vec<_>>());
    assert!(runs.iter().all(|runs| !runs.is_empty()), "{runs:?}");
    assert_eq!(results[0]["best"]["trial"], results[1]["best"]["trial"]);
    assert_eq!(results[0]["trials"].as_array().unwrap().len(), 8);

    // Another config under the same name is refused, and a fresh start sets the old search aside.
    let again = |args: &[&str]| -> Said {
        let mut command = machines[0].command(args);
        command.env("PGPASSWORD", PASSWORD).output().unwrap().into()
    };
    fs::remove_dir_all(machines[0].path("checkpoints")).unwrap();
    let said = again(&["tune", "t.toml", "--set", "train.batch=32"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("another config"), "{}", said.err);
    let said = again(&["tune", "t.toml", "--set", "train.batch=32", "--set", "tune.trials=1", "--fresh"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let output = server.psql("select distinct search from kiln_journal order by 1");
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(names.contains(" t-tune\n") && names.contains(" t-tune.old-1\n"), "{names}");
}

fn trials_of(bench: &Bench) -> Vec<u64> {
    let runs = fs::read_dir(bench.path("checkpoints/t-tune")).unwrap().flatten();
    runs.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("trial-")?.parse().ok()).collect()
}

#[test]
fn a_table_in_a_file_trains_too() {
    let bench = Bench::table();
    let connection = rusqlite::Connection::open(bench.path("rows.db")).unwrap();
    connection.execute_batch("create table t (a, b, kind)").unwrap();
    connection.execute_batch(&inserts(&bench.path("rows.csv"))).unwrap();
    bench.write("sql.toml", &config("sqlite:rows.db", "select * from t"));
    assert_eq!(shown(&bench, "table.toml")["splits"], shown(&bench, "sql.toml")["splits"]);
    let said = kiln(&bench, &["train", "sql.toml"], "");
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn a_config_says_where_the_query_is_wrong() {
    let bench = Bench::new();
    let says = |source: &str| {
        bench.write("bad.toml", &TABLE.replace("{ path = \"rows.csv\" }", source));
        let said = bench.kiln(&["check", "bad.toml"]);
        assert_eq!(said.code, 2, "{}", said.err);
        said.err
    };
    assert!(says("{ sql = \"sqlite:x.db\" }").contains("has no `query`"));
    assert!(says("{ sql = \"sqlite:x.db\", query = \"select 1\", path = \"x\" }").contains("`path`"));
    assert!(says("{ sql = \"postgres://me:word@host/x\", query = \"select 1\" }").contains("PGPASSWORD"));
    assert!(says("{ sql = \"oracle:x\", query = \"select 1\" }").contains("sqlite:"));
}
