//! Where a journal's small texts lie: the files of a folder, or the rows of a table in PostgreSQL.
//!
//! Both promise the same: a text is there whole or not at all, and of many who create one name exactly one succeeds.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

#[cfg(feature = "sql")]
use super::database::Database;
use crate::{
    error::{IoContext, Result},
    track::atomic,
};

/// The largest text that is read, in bytes.
const MOST: u64 = 1 << 20;

/// A place of named texts.
#[derive(Debug)]
pub enum Store {
    /// Files of a folder that all workers share.
    Folder(PathBuf),
    /// Rows of a database that all workers reach.
    #[cfg(feature = "sql")]
    Database(Box<Database>),
}

impl Store {
    /// A folder, which is created if absent.
    ///
    /// # Errors
    /// It can't be created.
    pub fn folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).io("create", folder)?;
        Ok(Self::Folder(folder.into()))
    }

    /// The texts of `search` in the PostgreSQL database at `address`.
    ///
    /// # Errors
    /// A database that cannot be reached or that refuses; a build without databases.
    #[cfg(feature = "sql")]
    pub fn database(address: &str, search: &str) -> Result<Self> {
        Database::open(address, search).map(Box::new).map(Self::Database)
    }

    /// See the other one.
    ///
    /// # Errors
    /// Always: this build has no databases.
    #[cfg(not(feature = "sql"))]
    pub fn database(_: &str, _: &str) -> Result<Self> {
        Err(crate::error::Error::input("this build reaches no databases, and `tune.journal` names one")
            .next("add them with `cargo build --release --features sql`"))
    }

    /// Every name, in no order.
    ///
    /// # Errors
    /// The folder or the table can't be read.
    pub fn names(&self) -> Result<Vec<String>> {
        match self {
            Self::Folder(folder) => {
                let entries = fs::read_dir(folder).io("read", folder)?;
                entries.map(|entry| Ok(entry.io("read", folder)?.file_name().to_string_lossy().into_owned())).collect()
            }
            #[cfg(feature = "sql")]
            Self::Database(database) => database.names(),
        }
    }

    /// A new text under this name; `false` when there is one already, whoever wrote it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn create(&self, name: &str, text: &str) -> Result<bool> {
        match self {
            Self::Folder(folder) => atomic::create(&folder.join(name), text.as_bytes()),
            #[cfg(feature = "sql")]
            Self::Database(database) => database.create(name, text),
        }
    }

    /// The text under this name, new or in place of the old one.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        match self {
            Self::Folder(folder) => atomic::write(&folder.join(name), text.as_bytes()),
            #[cfg(feature = "sql")]
            Self::Database(database) => database.write(name, text),
        }
    }

    /// The text under this name, if there is one.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let mut text = String::new();
                match File::open(&path).and_then(|file| file.take(MOST).read_to_string(&mut text)) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    read => read.io("read", &path).map(|_| Some(text)),
                }
            }
            #[cfg(feature = "sql")]
            Self::Database(database) => database.read(name),
        }
    }

    /// Removes the text, if it is there.
    ///
    /// # Errors
    /// The database refuses. A file that stays does no harm.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Self::Folder(folder) => {
                let _ = fs::remove_file(folder.join(name));
                Ok(())
            }
            #[cfg(feature = "sql")]
            Self::Database(database) => database.remove(name),
        }
    }

    /// Sets a search's texts aside under another name; a folder's move with the search's own.
    ///
    /// # Errors
    /// The database refuses.
    pub fn set_aside(&self) -> Result<()> {
        match self {
            Self::Folder(_) => Ok(()),
            #[cfg(feature = "sql")]
            Self::Database(database) => database.set_aside(),
        }
    }

    /// What a message calls the text.
    pub fn place(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            #[cfg(feature = "sql")]
            Self::Database(_) => format!("`{name}` in the table kiln_journal"),
        }
    }
}
