#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::*;

const SHORT: Patience = Patience { tries: 3, pause: Duration::from_millis(5) };

fn filled(folder: &Path, statements: &str) -> String {
    let path = folder.join("rows.db");
    Connection::open(&path).unwrap().execute_batch(statements).unwrap();
    format!("sqlite:{}", path.display())
}

fn ask_in(folder: &Path, address: &str, query: &str) -> Result<PathBuf> {
    rows_into(address, query, &folder.join("downloads"), SHORT, &|_| {})
}

#[test]
fn columns_keep_what_their_values_are() {
    let folder = tempfile::tempdir().unwrap();
    let address = filled(
        folder.path(),
        "create table t (i, f, s, n, z);
         insert into t values (1, 1, 'one', null, '007'), (2, 2.5, 2, null, '010'), (null, null, null, null, null);",
    );
    let file = ask_in(folder.path(), &address, "select * from t order by i nulls last; ").unwrap();
    let file =
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file).unwrap());
    let file = file.unwrap();
    let kinds: Vec<String> = file.schema().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    assert_eq!(kinds, ["i Int64", "f Float64", "s Utf8", "n Utf8", "z Utf8"]);
    let batch = file.build().unwrap().next().unwrap().unwrap();
    let shown = arrow::util::display::array_value_to_string(batch.column(4), 0).unwrap();
    assert_eq!((batch.num_rows(), shown.as_str()), (3, "007"));
}

#[test]
fn rows_are_read_once_and_again_when_the_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let address = filled(folder.path(), "create table t (x); insert into t values (1);");
    let first = ask_in(folder.path(), &address, "select x from t").unwrap();
    assert_eq!(ask_in(folder.path(), &address, "select x from t").unwrap(), first);
    filled(
        folder.path(),
        "insert into t select x + 1 from t; create table u (y); insert into u values (zeroblob(9000));",
    );
    assert_ne!(ask_in(folder.path(), &address, "select x from t").unwrap(), first);
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let address = filled(folder.path(), "create table t (x, b); insert into t values (1, x'00');");
    let says = |query: &str| ask_in(folder.path(), &address, query).unwrap_err().to_string();
    assert!(says("select y from t").contains("no such column: y"));
    assert!(says("delete from t").contains("one SELECT"));
    assert!(says("select x from t where x = ?").contains("one SELECT"));
    assert!(says("select x from t where x > 5").contains("no rows"));
    assert!(says("select b from t").contains("`b`"));
    assert!(says("select x, x from t").contains("two columns named `x`"));
    let elsewhere = |address: &str| ask_in(folder.path(), address, "select 1").unwrap_err().to_string();
    assert!(elsewhere("mysql://localhost/x").contains("postgres://"));
    assert!(elsewhere("postgres://me:secret@localhost/x").contains("PGPASSWORD"));
    assert!(!elsewhere("postgres://me:secret@localhost/x").contains("secret"));
    assert!(elsewhere("sqlite:none.db").contains("none.db"));
    std::fs::write(folder.path().join("text.db"), "not a database, but long enough to be read as one").unwrap();
    assert!(elsewhere(&format!("sqlite:{}/text.db", folder.path().display())).contains("not a whole SQLite database"));
    assert_eq!(std::fs::read_dir(folder.path().join("downloads")).unwrap().flatten().filter(is_rows).count(), 0);
}

fn is_rows(entry: &std::fs::DirEntry) -> bool {
    entry.path().extension().is_some_and(|ending| ending == "parquet")
}

#[test]
fn a_server_that_refuses_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = RefCell::new(Vec::new());
    let start = Instant::now();
    let address = format!("postgres://me@127.0.0.1:{port}/x");
    let tell = |line: &str| said.borrow_mut().push(line.to_owned());
    let error = rows_into(&address, "select 1", folder.path(), SHORT, &tell).unwrap_err().to_string();
    assert!(error.contains("cannot be reached") && error.contains("asked 3 times"), "{error}");
    assert_eq!(said.borrow().iter().filter(|line| line.contains("asking again")).count(), 2);
    assert!(start.elapsed() >= Duration::from_millis(15));
}
