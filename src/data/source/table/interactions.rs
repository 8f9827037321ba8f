//! A table of who chose what, read whole: users and items by name, each user's choices in the order of time.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{Cell, Fault, Layout, each_row};
use crate::data::{DataConfig, InteractionsConfig, clean::Report, split::time};
use crate::error::{Error, Result};

/// What a table of choices holds.
#[derive(Debug, PartialEq)]
pub(in crate::data) struct Choices {
    /// Names, in the order in which they first appear.
    pub users: Vec<String>,
    /// Names, in the order in which they first appear.
    pub items: Vec<String>,
    /// Every user's items from the first chosen on, each once.
    pub by_user: Vec<Vec<u32>>,
}

/// Ids by name, in the order of their first appearance.
#[derive(Default)]
struct Names {
    ids: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn id(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.ids.insert(name.to_string(), id);
        self.names.push(name.to_string());
        id
    }
}

/// One row: its user, its item and its time.
type Row = (u32, u32, f64);

/// Reads all files. An item that a user comes back to counts once, at the first time.
///
/// # Errors
/// An unknown column, or values that are no names, ratings or times, all in one report.
pub(in crate::data) fn read_choices(
    files: &[PathBuf],
    config: &DataConfig,
    asked: &InteractionsConfig,
) -> Result<Choices> {
    let names: Vec<String> = [Some(&asked.user), Some(&asked.item), asked.rating.as_ref(), asked.time.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let (mut users, mut items) = (Names::default(), Names::default());
    let mut rows: Vec<Row> = Vec::new();
    let mut report = Report::default();
    let mut read = 0u64;
    for file in files {
        each_row(file, &Layout::from(config), &names, &mut |place, cells| {
            read += 1;
            match row(cells, asked) {
                Ok(Some((user, item, time))) => {
                    rows.push((users.id(&user), items.id(&item), time.unwrap_or(read as f64)));
                }
                Ok(None) => {}
                Err((column, fault)) => report.add_target(place, column, fault),
            }
            Ok(if read == config.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if config.limit > 0 && read >= config.limit {
            break;
        }
    }
    report.finish().map_err(|e| {
        Error::input(e.message()).next("correct these rows, or name other columns in `data.interactions`")
    })?;
    if rows.is_empty() || rows.len() >= u32::MAX as usize {
        return Err(Error::input(format!("the table holds {} choices", rows.len()))
            .next("check `data.source`, and `data.interactions.least` where it is set"));
    }
    rows.sort_by(|a, b| a.2.total_cmp(&b.2)); // stable: equal times stay in the order of the rows
    let mut by_user = vec![Vec::new(); users.names.len()];
    let mut known = HashSet::with_capacity(rows.len());
    for (user, item, _) in rows {
        if known.insert((user, item)) {
            by_user.get_mut(user as usize).into_iter().for_each(|own: &mut Vec<u32>| own.push(item));
        }
    }
    Ok(Choices { users: users.names, items: items.names, by_user })
}

/// The names in one column of a file, each once, in the order of the rows.
///
/// # Errors
/// No such column, or a row without a name.
pub fn read_names(path: &Path, layout: &Layout, column: &str) -> Result<Vec<String>> {
    let mut names = Names::default();
    for name in read_column(path, layout, column)? {
        names.id(&name);
    }
    Ok(names.names)
}

/// The names in one column of a file, one a row.
///
/// # Errors
/// No such column, or a row without a name.
pub fn read_column(path: &Path, layout: &Layout, column: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    each_row(path, layout, &[column.to_string()], &mut |place, cells| {
        let cell = cells.first().copied().unwrap_or(Cell::Missing);
        let named = if cell.is_missing(&[]) { Err(Fault::Missing) } else { cell.name() };
        let name = named.map_err(|_| {
            Error::input(format!("{place}: column `{column}` has no name")).next("fill or remove such rows")
        })?;
        names.push(name.into_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(names)
}

/// A row's user, item and time.
type Named = (String, String, Option<f64>);

/// The row's user, item and time; nothing of a row that is liked too little.
///
/// # Errors
/// The column at fault.
fn row<'a>(cells: &[Cell<'_>], asked: &'a InteractionsConfig) -> Result<Option<Named>, (&'a str, Fault)> {
    let mut cells = cells.iter();
    let mut next = || cells.next().copied().unwrap_or(Cell::Missing);
    let name = |column: &'a str, cell: Cell<'_>| match cell.is_missing(&[]) {
        true => Err((column, Fault::Missing)),
        false => cell.name().map(std::borrow::Cow::into_owned).map_err(|fault| (column, fault)),
    };
    let (user, item) = (name(&asked.user, next())?, name(&asked.item, next())?);
    if let Some(rating) = &asked.rating {
        let value = next().number().map_err(|fault| (rating.as_str(), fault))?;
        if asked.least.is_some_and(|least| value < least) {
            return Ok(None);
        }
    }
    let at = asked.time.as_ref().map(|column| time(&next()).map_err(|fault| (column.as_str(), fault))).transpose()?;
    Ok(Some((user, item, at)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str, extra: &str) -> Result<Choices> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let toml = format!(
            "task = \"recommendation\"\nsource = {{ path = \"t.csv\" }}\n[interactions]\nuser = \"u\"\nitem = \"i\"\n{extra}"
        );
        let config: DataConfig = toml::from_str(&toml).unwrap();
        read_choices(&[path], &config, config.interactions.as_ref().unwrap())
    }

    #[test]
    fn choices_are_in_the_order_of_time_and_each_once() {
        let text = "i,u,r,t\nx,7,5,30\ny,7,1,10\nz,8,4,5\nx,7,3,40\ny,8,4,5\n";
        let all = read(text, "time = \"t\"").unwrap();
        assert_eq!((all.users, all.items), (vec!["7".into(), "8".into()], vec!["x".into(), "y".into(), "z".into()]));
        assert_eq!(all.by_user, [vec![1, 0], vec![2, 1]]);
        let liked = read(text, "rating = \"r\"\nleast = 4.0").unwrap();
        assert_eq!(liked.by_user, [vec![0], vec![1, 2]]);
    }

    #[test]
    fn faults_name_their_places_together() {
        let shown = read("u,i,t\n1,,3\n2,a,soon\n", "time = \"t\"").unwrap_err().to_string();
        assert!(shown.contains("line 2") && shown.contains("line 3") && shown.contains('t'), "{shown}");
        assert!(read("u,j\n1,2\n", "").unwrap_err().to_string().contains("no column `i`"));
    }
}
