//! SQLite: a file, read by SQLite itself.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::Fault;
use super::snapshot::{Kind, Snapshot};
use crate::data::cell::Cell;
use crate::error::{Error, Result};

/// Reads the query's rows; nothing is ever written to the file.
///
/// SQLite's values have types and its columns have none, so a first pass finds what each column holds: text if any
/// value is text, whole numbers if all are.
pub(super) fn read<'a>(
    path: &Path,
    query: &str,
    new: &dyn Fn(Vec<(String, Kind)>) -> Result<Snapshot<'a>>,
) -> Result<Snapshot<'a>, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| fault(path, &e))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(|e| fault(path, &e))?;
    // Both passes see the same rows.
    let transaction = connection.unchecked_transaction().map_err(|e| fault(path, &e))?;
    let mut statement = transaction.prepare(query).map_err(|e| fault(path, &e))?;
    if !statement.readonly() || statement.parameter_count() > 0 {
        return Err(Error::input("`data.source.query` is not a query for rows").next("give one SELECT").into());
    }
    let kinds = kinds(&mut statement, path)?;
    let names = statement.column_names().map(str::to_owned);
    let mut snapshot = new(names.zip(kinds.iter().copied()).collect())?;
    let mut rows = statement.query([]).map_err(|e| fault(path, &e))?;
    while let Some(row) = rows.next().map_err(|e| fault(path, &e))? {
        for (column, kind) in kinds.iter().enumerate() {
            let value = row.get_ref(column).map_err(|e| fault(path, &e))?;
            let text;
            let cell = match (value, kind) {
                (ValueRef::Null, _) => Cell::Missing,
                (ValueRef::Integer(value), Kind::Integer) => Cell::Integer(value),
                (ValueRef::Integer(value), Kind::Number) => Cell::Number(value as f64),
                (ValueRef::Real(value), Kind::Number) => Cell::Number(value),
                (ValueRef::Integer(value), _) => {
                    text = value.to_string();
                    Cell::Text(&text)
                }
                (ValueRef::Real(value), _) => {
                    text = value.to_string();
                    Cell::Text(&text)
                }
                (ValueRef::Text(bytes), _) => std::str::from_utf8(bytes).map_or(Cell::Other("bytes"), Cell::Text),
                (ValueRef::Blob(_), _) => Cell::Other("bytes"),
            };
            snapshot.value(column, cell)?;
        }
        snapshot.end_row()?;
    }
    Ok(snapshot)
}

/// What each column holds, by all of its values.
fn kinds(statement: &mut Statement<'_>, path: &Path) -> Result<Vec<Kind>, Fault> {
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut kinds = vec![None; names.len()];
    let mut rows = statement.query([]).map_err(|e| fault(path, &e))?;
    while let Some(row) = rows.next().map_err(|e| fault(path, &e))? {
        for (column, (kind, name)) in kinds.iter_mut().zip(&names).enumerate() {
            let found = match row.get_ref(column).map_err(|e| fault(path, &e))? {
                ValueRef::Null => continue,
                ValueRef::Integer(_) => Kind::Integer,
                ValueRef::Real(_) => Kind::Number,
                ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_ok() => Kind::Text,
                ValueRef::Text(_) | ValueRef::Blob(_) => {
                    return Err(Error::input(format!("column `{name}` of `data.source.query` holds bytes"))
                        .next("leave it out, or cast it to text or a number in the query")
                        .into());
                }
            };
            *kind = Some(match (*kind, found) {
                (None, found) => found,
                (Some(Kind::Text), _) | (_, Kind::Text) => Kind::Text,
                (Some(Kind::Number), _) | (_, Kind::Number) => Kind::Number,
                _ => Kind::Integer,
            });
        }
    }
    Ok(kinds.into_iter().map(|kind| kind.unwrap_or(Kind::Text)).collect())
}

fn fault(path: &Path, e: &rusqlite::Error) -> Fault {
    let at = path.display();
    match e.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Refused(Error::failed(format!("{at} is locked by another process")))
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Fault::Wrong(Error::input(format!("{at} is not a whole SQLite database: {e}")).next("check the file"))
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Fault::Wrong(Error::input(format!("cannot open {at}: {e}")).next("check the path in `data.source.sql`"))
        }
        _ => {
            Fault::Wrong(Error::input(format!("{at} does not take `data.source.query`: {e}")).next("correct the query"))
        }
    }
}
