//! Where rows come from, and how they are laid out.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where rows come from: exactly one of the keys `dataset`, `path`, `glob`, `url`, or `sql` with its `query`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = exactly_one)]
pub enum Source {
    /// A named data set of the fetch manifest (`kiln data fetch --help` lists them).
    Dataset(String),
    /// A file or a folder, relative to the config file.
    Path(PathBuf),
    /// Several files by a pattern such as `logs/*.txt`, relative to the config file.
    Glob(String),
    /// A file to download once into the cache; with the feature `object-store` also objects, as in
    /// `s3://bucket/folder/*.parquet` (`gs://`, `az://`).
    Url(String),
    /// A database to ask once; the rows are kept in the cache.
    #[serde(untagged)]
    Sql(SqlSource),
}

/// schemars takes an untagged variant to overlap with the others, and this one does not.
fn exactly_one(schema: &mut schemars::Schema) {
    if let Some(choices) = schema.remove("anyOf") {
        schema.insert("oneOf".into(), choices);
    }
}

/// A query to a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlSource {
    /// The database: `postgres://user@host/database`, its password in the environment variable PGPASSWORD, or
    /// `sqlite:file.db`, relative to the config file.
    pub sql: String,
    /// One SELECT.
    pub query: String,
}

/// How the source is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// UTF-8 text; every file is one document.
    Text,
    /// A folder with the four `{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]` files.
    Idx,
    /// A folder with one folder of png or jpeg files per class.
    Images,
    /// Comma-separated values, optionally gzipped.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    Jsonl,
    /// A folder with folders of text files: a table with a row a file, of its `text` and its `folder`.
    Documents,
}

impl Format {
    /// Whether rows of columns are read from it.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet | Self::Jsonl | Self::Documents)
    }
}
