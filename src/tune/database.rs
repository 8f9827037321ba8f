//! A journal in PostgreSQL: one table, one statement for whatever is done, no lock and no transaction held.

use std::sync::{Mutex, MutexGuard, PoisonError};

use postgres::Client;
use postgres::error::SqlState;
use postgres::types::ToSql;

use crate::{
    data::connect,
    error::{Error, Result},
};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS kiln_journal (
    search text NOT NULL, name text NOT NULL, body text NOT NULL, PRIMARY KEY (search, name))";

/// The texts of one search.
pub struct Database {
    address: String,
    search: String,
    client: Mutex<Client>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("address", &self.address).field("search", &self.search).finish_non_exhaustive()
    }
}

impl Database {
    /// Connects, and creates the table if absent.
    pub fn open(address: &str, search: &str) -> Result<Self> {
        let mut client = connect(address)?;
        // Two who create it at once: the slower one is told that a type of the table's name is there.
        let races = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
        match client.batch_execute(TABLE) {
            Err(e) if !e.code().is_some_and(|code| races.contains(code)) => Err(refused(&e)),
            _ => Ok(Self { address: address.into(), search: search.into(), client: Mutex::new(client) }),
        }
    }

    pub fn names(&self) -> Result<Vec<String>> {
        let rows = self.query("SELECT name FROM kiln_journal WHERE search = $1", &[&self.search])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub fn create(&self, name: &str, text: &str) -> Result<bool> {
        let statement = "INSERT INTO kiln_journal VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING name";
        Ok(!self.query(statement, &[&self.search, &name, &text])?.is_empty())
    }

    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let statement = "INSERT INTO kiln_journal VALUES ($1, $2, $3)
            ON CONFLICT (search, name) DO UPDATE SET body = excluded.body";
        self.query(statement, &[&self.search, &name, &text]).map(drop)
    }

    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let statement = "SELECT body FROM kiln_journal WHERE search = $1 AND name = $2";
        let rows = self.query(statement, &[&self.search, &name])?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    pub fn remove(&self, name: &str) -> Result<()> {
        self.query("DELETE FROM kiln_journal WHERE search = $1 AND name = $2", &[&self.search, &name]).map(drop)
    }

    /// Gives the search's rows the first free name of `search.old-1`, `search.old-2` and so on.
    pub fn set_aside(&self) -> Result<()> {
        for number in 1.. {
            let aside = format!("{}.old-{number}", self.search);
            if self.query("SELECT 1 FROM kiln_journal WHERE search = $1 LIMIT 1", &[&aside])?.is_empty() {
                let statement = "UPDATE kiln_journal SET search = $2 WHERE search = $1";
                return self.query(statement, &[&self.search, &aside]).map(drop);
            }
        }
        Ok(())
    }

    /// A line that broke, as when the server starts anew, is mended once: every statement may be said twice.
    fn query(&self, statement: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<postgres::Row>> {
        let mut client = self.client();
        match client.query(statement, values) {
            Err(e) if e.as_db_error().is_none_or(|answer| answer.code().code().starts_with("57P")) => {
                *client = connect(&self.address)?;
                client.query(statement, values).map_err(|e| refused(&e))
            }
            answer => answer.map_err(|e| refused(&e)),
        }
    }

    fn client(&self) -> MutexGuard<'_, Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(e: &postgres::Error) -> Error {
    let why = e.as_db_error().map_or_else(|| e.to_string(), |answer| answer.message().to_owned());
    Error::failed(format!("the database of `tune.journal` refuses: {why}"))
        .next("check that its user may create and change the table kiln_journal")
}
