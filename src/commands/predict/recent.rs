//! Windows out of the rows of a file, in their order.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
};

use crate::{
    data::{
        InputSchema, Schema, WindowConfig,
        source::{self, table::Layout},
    },
    error::Result,
};

/// The last rows of every group of a file, as many as a window has.
pub(super) struct Recent {
    length: usize,
    /// The group of every row; none where all are one.
    groups: Option<Vec<String>>,
    rows: HashMap<String, VecDeque<Vec<f32>>>,
}

impl Recent {
    /// `None` for data that are no windows.
    pub(super) fn new(
        schema: &Schema,
        asked: Option<&WindowConfig>,
        input: &Path,
        layout: &Layout,
    ) -> Result<Option<Self>> {
        let InputSchema::Windows { length, .. } = &schema.input else { return Ok(None) };
        let column = asked.and_then(|asked| asked.group.as_ref());
        let groups = column.map(|column| source::table::read_column(input, layout, column)).transpose()?;
        Ok(Some(Self { length: *length, groups, rows: HashMap::new() }))
    }

    /// The window that a row ends, if there are rows enough of its group.
    pub(super) fn add(&mut self, row: &[f32], number: usize) -> Option<Vec<f32>> {
        let group = self.groups.as_ref().and_then(|groups| groups.get(number)).cloned().unwrap_or_default();
        let rows = self.rows.entry(group).or_default();
        rows.push_back(row.to_vec());
        if rows.len() > self.length {
            rows.pop_front();
        }
        (rows.len() == self.length).then(|| rows.iter().flatten().copied().collect())
    }
}
