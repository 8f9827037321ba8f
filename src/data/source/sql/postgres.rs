//! PostgreSQL, over its own protocol; the rows are streamed.

use std::time::Duration;

use postgres::config::SslMode;
use postgres::error::{ErrorPosition, SqlState};
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use postgres::{Client, Config, NoTls, Row};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Fault;
use super::snapshot::{Kind, Snapshot};
use crate::data::cell::Cell;
use crate::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(15);

/// Reads the query's rows within a read-only transaction.
///
/// The server casts every column to one of five types, so whatever type it has (`numeric`, `uuid`, an enum) arrives as
/// what it is for a model.
pub(super) fn read<'a>(
    address: &str,
    query: &str,
    new: &dyn Fn(Vec<(String, Kind)>) -> Result<Snapshot<'a>>,
) -> Result<Snapshot<'a>, Fault> {
    let mut client = connect(address)?;
    let mut transaction = client.build_transaction().read_only(true).start().map_err(fault)?;
    let statement = transaction.prepare(query).map_err(fault)?;
    if statement.columns().is_empty() || !statement.params().is_empty() {
        return Err(Error::input("`data.source.query` is not a query for rows").next("give one SELECT").into());
    }
    let columns = statement.columns().iter().map(|column| (column.name().to_owned(), column.type_().clone()));
    let columns = columns.collect::<Vec<_>>();
    let kinds = columns.iter().map(|(name, of)| kind(name, of)).collect::<Result<Vec<_>>>()?;
    let mut snapshot = new(columns.iter().map(|(name, _)| name.clone()).zip(kinds.iter().copied()).collect())?;
    let casts = columns.iter().map(|(name, of)| cast(name, of)).collect::<Vec<_>>().join(", ");
    // The line breaks end a comment in the query's last line.
    let query = format!("SELECT {casts} FROM (\n{query}\n) AS kiln_rows");
    let mut rows = transaction.query_raw(&query, std::iter::empty::<&str>()).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        for (column, kind) in kinds.iter().enumerate() {
            snapshot.value(column, cell(&row, column, *kind).map_err(fault)?)?;
        }
        snapshot.end_row()?;
    }
    Ok(snapshot)
}

pub(super) fn connect(address: &str) -> Result<Client, Fault> {
    let mut config: Config = address.parse().map_err(|e: postgres::Error| {
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), |source| source.to_string());
        Error::input(format!("`data.source.sql` is no address of a PostgreSQL database: {why}"))
            .next("write it as in `postgres://user@host/database`")
    })?;
    config.connect_timeout(CONNECT).application_name("kiln");
    if let Some(password) = std::env::var_os("PGPASSWORD") {
        config.password(password.into_encoded_bytes());
    }
    // Without an `sslmode` the server is the user's own; who asks for TLS gets a certificate that is checked.
    match config.get_ssl_mode() {
        SslMode::Require => config.connect(tls()?),
        _ => config.connect(NoTls),
    }
    .map_err(fault)
}

fn tls() -> Result<MakeRustlsConnect> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::failed(format!("TLS is not available: {e}")))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn kind(name: &str, of: &Type) -> Result<Kind> {
    Ok(match *of {
        Type::BOOL => Kind::Bool,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => Kind::Integer,
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC | Type::MONEY => Kind::Number,
        Type::DATE | Type::TIMESTAMP | Type::TIMESTAMPTZ => Kind::Time,
        Type::BYTEA => {
            return Err(Error::input(format!("column `{name}` of `data.source.query` holds bytes"))
                .next("leave it out, or decode it in the query"));
        }
        _ => Kind::Text,
    })
}

/// The column as one of the five types; a time as microseconds since 1970.
fn cast(name: &str, of: &Type) -> String {
    let name = format!("\"{}\"", name.replace('"', "\"\""));
    match *of {
        Type::BOOL => name,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => format!("{name}::int8"),
        Type::MONEY => format!("{name}::numeric::float8"),
        Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => format!("{name}::float8"),
        Type::DATE | Type::TIMESTAMP => format!("(extract(epoch FROM {name}::timestamp) * 1000000)::int8"),
        Type::TIMESTAMPTZ => format!("(extract(epoch FROM {name}) * 1000000)::int8"),
        _ => format!("{name}::text"),
    }
}

fn cell(row: &Row, column: usize, kind: Kind) -> Result<Cell<'_>, postgres::Error> {
    Ok(match kind {
        Kind::Bool => row.try_get::<_, Option<bool>>(column)?.map_or(Cell::Missing, Cell::Bool),
        Kind::Integer => row.try_get::<_, Option<i64>>(column)?.map_or(Cell::Missing, Cell::Integer),
        Kind::Number => row.try_get::<_, Option<f64>>(column)?.map_or(Cell::Missing, Cell::Number),
        Kind::Time => row.try_get::<_, Option<i64>>(column)?.map_or(Cell::Missing, Cell::Time),
        Kind::Text => row.try_get::<_, Option<&str>>(column)?.map_or(Cell::Missing, Cell::Text),
    })
}

#[allow(clippy::needless_pass_by_value)] // for `map_err(fault)`
fn fault(e: postgres::Error) -> Fault {
    let Some(answer) = e.as_db_error() else {
        // The connection: no server, no such host, a broken line.
        let why = std::error::Error::source(&e).map_or_else(|| e.to_string(), |source| format!("{e}: {source}"));
        return match why.contains("password") || why.contains("authentication") {
            true => Fault::Wrong(Error::input(format!("the database refuses the login: {why}")).next(LOGIN)),
            false => Fault::Refused(Error::failed(format!("the database cannot be reached: {why}"))),
        };
    };
    let (code, message) = (answer.code(), answer.message());
    // Too many connections, starting or stopping, a conflict with another transaction.
    if ["08", "53", "57P", "40"].iter().any(|class| code.code().starts_with(class)) {
        return Fault::Refused(Error::failed(format!("the database refuses: {message}")));
    }
    Fault::Wrong(match *code {
        _ if code.code().starts_with("28") => {
            Error::input(format!("the database refuses the login: {message}")).next(LOGIN)
        }
        SqlState::INVALID_CATALOG_NAME => {
            Error::input(format!("the database says: {message}")).next("check the name at the end of `data.source.sql`")
        }
        _ => {
            let at = match answer.position() {
                Some(ErrorPosition::Original(at)) => format!(" at character {at}"),
                _ => String::new(),
            };
            let hint = answer.hint().map_or_else(|| "correct the query".to_owned(), str::to_owned);
            Error::input(format!("the database does not take `data.source.query`{at}: {message}")).next(hint)
        }
    })
}

const LOGIN: &str = "check the user in `data.source.sql`, and the password in the environment variable PGPASSWORD";
