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
            HostTarget::Values { .. } => self.rows.len(),
        }
    }
}
