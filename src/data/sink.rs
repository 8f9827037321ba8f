//! What a reader of examples hands to the shards.

use super::{InputSchema, Split, TableSchema, TargetSchema, Tokenizer};
use crate::error::Result;

/// One example's features, as they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Features<'a> {
    /// Pixels, `[channels, height, width]`.
    U8(&'a [u8]),
    /// Features of a table.
    F32(&'a [f32]),
    /// A text: as many ids as the longest may have, padded with the size of the vocabulary.
    Tokens {
        /// The ids.
        ids: &'a [u32],
        /// Number of ids beside the padding's.
        vocab: usize,
    },
}

/// One example's target.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// An index into the classes' names.
    Class(u32),
    /// Real values.
    Values(&'a [f32]),
}

/// Takes examples in the order of the source; every one has the same shape.
pub trait RecordSink {
    /// Stores one example. `split` is the source's own; `None` leaves it to the holdout.
    fn push(&mut self, split: Option<Split>, features: Features<'_>, target: Target<'_>) -> Result<()>;
}

/// What a reader found; it knows the classes' names only after the last row.
#[derive(Debug, Clone)]
pub struct Records {
    /// The shape of one example's input.
    pub input: InputSchema,
    /// The shape of one example's target.
    pub target: TargetSchema,
    /// Tables: what was learned of the columns.
    pub table: Option<TableSchema>,
    /// Texts: what made tokens of them.
    pub tokenizer: Option<Tokenizer>,
}
