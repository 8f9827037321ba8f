//! Rows of a database: a query is asked once, its rows are kept as a Parquet file in the cache, and that is the data.
//!
//! A table in a database changes while a run is trained, resumed and judged; the kept rows don't.

#[cfg(feature = "sql")]
mod postgres;
#[cfg(feature = "sql")]
mod snapshot;
#[cfg(feature = "sql")]
mod sqlite;
#[cfg(all(test, feature = "sql"))]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::data::{cache, fetch::downloads_dir};
use crate::error::{Error, IoContext, Result};

/// How often a database that refuses is asked.
#[derive(Debug, Clone, Copy)]
struct Patience {
    tries: u32,
    /// Pause after the first refusal; each further one is twice as long.
    pause: Duration,
}

/// 15 seconds in all: a server that starts anew is back by then.
const PATIENCE: Patience = Patience { tries: 6, pause: Duration::from_millis(500) };

/// Why there are no rows.
enum Fault {
    /// The server can't be reached or is busy, which may pass.
    Refused(Error),
    /// The address or the query is wrong, which won't.
    Wrong(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// Which database an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database<'a> {
    Postgres(&'a str),
    Sqlite(&'a str),
}

fn database(address: &str) -> Result<Database<'_>> {
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Database::Postgres(address));
    }
    match address.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Database::Sqlite(path)),
        _ => Err(Error::input("it is no address of a database")
            .next("write it as in `postgres://user@host/database` or `sqlite:folder/file.db`")),
    }
}

/// Whether an address is one, and safe to keep with every run.
///
/// # Errors
/// Another scheme, or a password in it.
pub fn check(address: &str) -> Result<()> {
    let Database::Postgres(address) = database(address)? else { return Ok(()) };
    let user = address.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    if user.is_some_and(|(user, _)| user.contains(':')) || address.contains("password=") {
        return Err(Error::input("it holds a password, which every run would store")
            .next("take it out of the address, and set the environment variable PGPASSWORD"));
    }
    Ok(())
}

/// The address with the path of an SQLite file made absolute.
pub fn from_base(address: &str, base: &Path) -> String {
    match database(address) {
        Ok(Database::Sqlite(path)) => format!("sqlite:{}", base.join(path).display()),
        _ => address.to_owned(),
    }
}

/// The file that holds the query's rows; they are read if they are not there yet.
///
/// # Errors
/// A server that goes on refusing, an address, a login or a query that is wrong, a full disk.
pub(super) fn rows(address: &str, query: &str, progress: &dyn Fn(&str)) -> Result<PathBuf> {
    rows_into(address, query, &downloads_dir()?, PATIENCE, progress)
}

/// Forgets the query's rows, so that they are read anew.
///
/// # Errors
/// The file can't be removed.
pub(super) fn forget(address: &str, query: &str) -> Result<()> {
    let target = target(address, query, &downloads_dir()?)?;
    match fs::remove_file(&target) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &target, e)),
        _ => Ok(()),
    }
}

fn target(address: &str, query: &str, downloads: &Path) -> Result<PathBuf> {
    let mut key = format!("{address}\n{query}");
    if let Database::Sqlite(path) = database(address)? {
        // What was written to a file since is other data, as with any file.
        let meta = fs::metadata(path).io("open", path)?;
        let time = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        key += &format!("\n{} {time:?}", meta.len());
    }
    let key = blake3::hash(key.as_bytes()).to_hex();
    Ok(downloads.join(format!("sql-{}.parquet", &key[..24])))
}

fn rows_into(
    address: &str,
    query: &str,
    downloads: &Path,
    patience: Patience,
    progress: &dyn Fn(&str),
) -> Result<PathBuf> {
    check(address).map_err(|error| error.at("`data.source.sql`"))?;
    let target = target(address, query, downloads)?;
    fs::create_dir_all(downloads).io("create", downloads)?;
    let _lock = cache::lock(&target.with_extension("lock"), progress)?;
    if let Ok(meta) = target.metadata() {
        if let (Ok(Database::Postgres(_)), Ok(at)) = (database(address), meta.modified()) {
            let at = DateTime::<Utc>::from(at).format("%Y-%m-%d %H:%M");
            progress(&format!(
                "the query's rows are those of {at} UTC; `kiln data fetch CONFIG --refresh` reads them anew"
            ));
        }
        return Ok(target);
    }
    progress("asking the database for the query's rows");
    patiently(patience, progress, || ask(address, query, &target, progress))?;
    Ok(target)
}

/// Asks until there is an answer, or patience is at its end.
fn patiently<T>(patience: Patience, progress: &dyn Fn(&str), mut ask: impl FnMut() -> Result<T, Fault>) -> Result<T> {
    let (mut pause, mut asked) = (patience.pause, 1);
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(Fault::Wrong(error)) => return Err(error),
            Err(Fault::Refused(error)) if asked >= patience.tries => {
                return Err(Error::failed(format!("{} (asked {asked} times)", error.message()))
                    .next("check that the server runs and that it can be reached from here, then try again"));
            }
            Err(Fault::Refused(error)) => {
                progress(&format!("{}; asking again in {:.1} s", error.message(), pause.as_secs_f64()));
                thread::sleep(pause);
                (pause, asked) = (pause * 2, asked + 1);
            }
        }
    }
}

/// A connection to a PostgreSQL server, which is asked again for a while if it refuses.
///
/// # Errors
/// As those of a query.
#[cfg(feature = "sql")]
pub fn connect(address: &str) -> Result<::postgres::Client> {
    patiently(PATIENCE, &|_| {}, || postgres::connect(address))
}

#[cfg(feature = "sql")]
fn ask(address: &str, query: &str, target: &Path, progress: &dyn Fn(&str)) -> Result<(), Fault> {
    let query = query.trim().trim_end_matches(';');
    let new = |columns| snapshot::Snapshot::new(target, columns, progress);
    match database(address)? {
        Database::Postgres(address) => postgres::read(address, query, &new)?.finish()?,
        Database::Sqlite(path) => sqlite::read(Path::new(path), query, &new)?.finish()?,
    }
    Ok(())
}

#[cfg(not(feature = "sql"))]
fn ask(_: &str, _: &str, _: &Path, _: &dyn Fn(&str)) -> Result<(), Fault> {
    let error = Error::input("this build reads no databases");
    Err(error.next("add them with `cargo build --release --features sql`").into())
}
