//! What a model is fitted to.

/// Feature rows, `[rows, columns]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Row-major.
    pub values: &'a [f32],
    /// Columns of a row, at least 1.
    pub columns: usize,
}

impl<'a> Rows<'a> {
    /// Number of rows.
    pub fn len(self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.columns.max(1))
    }

    pub(crate) fn column(self, column: usize) -> impl Iterator<Item = f64> + 'a {
        self.values.iter().skip(column).step_by(self.columns.max(1)).map(|&v| f64::from(v))
    }
}

/// What the rows stand for.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// One class a row.
    Classes {
        /// Ids below `classes`.
        ids: &'a [u32],
        /// Number of classes, at least 2.
        classes: usize,
    },
    /// `width` real values a row.
    Values {
        /// `[rows, width]`
        values: &'a [f32],
        /// Values of a row, at least 1.
        width: usize,
    },
}

impl Targets<'_> {
    /// Probabilities or values that a model gives for a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Values { width, .. } => *width,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Classes { ids, .. } => ids.len(),
            Self::Values { values, width } => values.len() / (*width).max(1),
        }
    }
}
