//! A batch on the host, before a task uploads it.

/// The inputs of a batch, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum HostInput {
    /// Token ids, `[rows, context]`.
    Tokens {
        /// `rows * context` ids; [`PADDING`] after a text that is shorter than the longest of the batch.
        ids: Vec<i32>,
        /// Tokens a row.
        context: usize,
    },
    /// Standardised features or pixels, `[rows, ..shape]`: `[columns]` for tables, `[c, h, w]` for images.
    Floats {
        /// `rows * product(shape)` values.
        values: Vec<f32>,
        /// The shape of one row.
        shape: Vec<usize>,
    },
    /// Users with items to score for them.
    Choices {
        /// One a row.
        users: Vec<i32>,
        /// `rows * each` items, or a list for all rows.
        items: Vec<i32>,
        /// Items of a row; 0 where all rows share one list.
        each: usize,
    },
}

/// The targets of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum HostTarget {
    /// Class or token ids: `[rows]`, or `[rows * context]` for tokens; [`IGNORE`] has no loss.
    Classes(Vec<i32>),
    /// Real targets, `[rows, width]`.
    Values {
        /// `rows * width` values.
        values: Vec<f32>,
        /// Targets a row.
        width: usize,
    },
    /// Which items should be scored highest.
    Items(Wanted),
    /// The input itself.
    Itself {
        /// Whether each row is an anomaly; it takes no part in the loss.
        anomalies: Vec<bool>,
    },
}

/// Which items of [`HostInput::Choices`] should be scored highest.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The first of every row's own.
    First,
    /// Of the shared list, the one in the place of the row; `offsets`, `[rows, rows]`, are added to the scores first.
    Shared {
        /// Row-major.
        offsets: Vec<f32>,
    },
    /// Of all items, those that the user chose later; what was chosen before is left out of the ranking.
    Ranked {
        /// Ascending, a list a row.
        relevant: Vec<Vec<u32>>,
        /// A list a row.
        seen: Vec<Vec<u32>>,
    },
}

/// In the place of a token where a text has ended.
pub const PADDING: i32 = -1;

/// A target that takes no part in the loss.
pub const IGNORE: i32 = -1;

/// Rows that were drawn together.
#[derive(Debug, Clone, PartialEq)]
pub struct HostBatch {
    /// The index of every row within its split, for the journal and for `verify-resume`.
    pub rows: Vec<u64>,
    /// What goes in.
    pub input: HostInput,
    /// What should come out.
    pub target: HostTarget,
}

impl HostBatch {
    /// Number of targets that take part in the loss: valid tokens, or rows.
    pub fn valid(&self) -> usize {
        match &self.target {
            HostTarget::Classes(ids) => ids.iter().filter(|&&id| id != IGNORE).count(),
            HostTarget::Values { .. } | HostTarget::Items(_) | HostTarget::Itself { .. } => self.rows.len(),
        }
    }
}
