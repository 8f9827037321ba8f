//! Prepared data: its description, and batches of any rows of it.

mod draw;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Fold, HostBatch, HostInput, HostTarget, InputSchema, Schema, Split, TargetSchema, Tokenizer,
    cache::shard_path,
    fold::Folded,
    interactions::{self, Histories},
    shard::{Element, Layout, Shard, TargetKind},
};
use crate::error::{Error, IoContext, Result};

/// Prepared data, memory-mapped; cheap to clone and to share among threads.
#[derive(Debug, Clone)]
pub struct Dataset {
    inner: Arc<Inner>,
    folded: Option<Arc<Folded>>,
    /// The training rows that are drawn, where not all of them once.
    drawn: Option<Arc<[u64]>>,
}

#[derive(Debug)]
struct Inner {
    schema: Schema,
    tokenizer: Option<Tokenizer>,
    shards: [Shard; 3],
    histories: Option<Histories>,
    fingerprint: String,
    folder: PathBuf,
    seed: u64,
    negatives: Option<usize>,
}

pub(super) const SCHEMA_FILE: &str = "schema.json";
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";

/// What the config decides when prepared data is opened, so that changing it prepares nothing again.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub context: usize,
    pub standardize: bool,
    pub seed: u64,
    /// Recommendation: items drawn for each chosen one; none where the batch's own take their place.
    pub negatives: Option<usize>,
}

impl Dataset {
    /// Opens a prepared folder.
    pub(super) fn open(folder: &Path, fingerprint: &str, view: View) -> Result<Self> {
        let path = folder.join(SCHEMA_FILE);
        let text = std::fs::read(&path).io("read", &path)?;
        let mut schema: Schema = serde_json::from_slice(&text)
            .map_err(|e| Error::input(format!("{} is not a schema: {e}", path.display())))?;
        check_table(&schema)?;
        let tokens = matches!(schema.input, InputSchema::Tokens { .. });
        let tokenizer = if tokens { Some(Tokenizer::load(&folder.join(TOKENIZER_FILE))?) } else { None };
        let [train, validation, test] = Split::ALL.map(|split| Shard::open(&shard_path(folder, split)));
        let shards = [train?.drawn_at_random(), validation?, test?];
        for shard in &shards {
            check_layout(&schema, shard)?;
        }
        if let (InputSchema::Tokens { context, .. }, TargetSchema::NextToken) = (&mut schema.input, &schema.target) {
            *context = view.context;
        }
        let histories = match &schema.input {
            InputSchema::Choices { users, items } => Some(Histories::read(&shards, users.len(), items.len())?),
            _ => None,
        };
        if !view.standardize {
            schema.scale = None;
        }
        let fingerprint = fingerprint.to_owned();
        Ok(Self {
            inner: Arc::new(Inner {
                schema,
                tokenizer,
                shards,
                histories,
                fingerprint,
                folder: folder.to_path_buf(),
                seed: view.seed,
                negatives: view.negatives,
            }),
            folded: None,
            drawn: None,
        })
    }

    /// One fold of a cross-validation over the rows of training and validation together, which the test split has no
    /// part in. What is learned of the training rows (the scale) is learned anew on the fold's own.
    ///
    /// # Errors
    /// Text, a column that is not there, or more folds than rows can fill.
    pub fn fold(&self, fold: &Fold) -> Result<Self> {
        let folded = Folded::new(self, fold)?;
        Ok(Self { inner: self.inner.clone(), folded: Some(Arc::new(folded)), drawn: None })
    }

    /// What an example looks like.
    pub fn schema(&self) -> &Schema {
        self.folded.as_ref().map_or(&self.inner.schema, |folded| &folded.schema)
    }

    /// Identifies the prepared data: equal sources and settings give equal fingerprints on every machine.
    pub fn fingerprint(&self) -> &str {
        self.folded.as_ref().map_or(&self.inner.fingerprint, |folded| &folded.fingerprint)
    }

    /// Where the prepared shards lie.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// The tokenizer, for text.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.inner.tokenizer.as_ref()
    }

    /// Rows of a split: windows of `context` tokens, images, or table rows; of choices, those to train on, or the users
    /// whose later ones are held out.
    pub fn len(&self, split: Split) -> u64 {
        match &self.drawn {
            Some(drawn) if split == Split::Train => drawn.len() as u64,
            _ => self.undrawn(split),
        }
    }

    fn undrawn(&self, split: Split) -> u64 {
        if let Some(places) = self.folded.as_ref().and_then(|folded| folded.places(split)) {
            return places.len() as u64;
        }
        let stored = self.shard(split).rows();
        match (&self.inner.schema.input, split, self.window()) {
            (_, Split::Train, Some(context)) => train_windows(stored, context as u64),
            (_, _, Some(context)) => stored.saturating_sub(1).div_ceil((context as u64).max(1)),
            (InputSchema::Choices { .. }, Split::Validation | Split::Test, None) => {
                self.inner.histories.as_ref().map_or(0, |h| h.asked(split).len() as u64)
            }
            _ => stored,
        }
    }

    /// Tokens of a window, for a corpus; a text that is one example is none.
    fn window(&self) -> Option<usize> {
        match (&self.inner.schema.input, &self.inner.schema.target) {
            (InputSchema::Tokens { context, .. }, TargetSchema::NextToken) => Some(*context),
            _ => None,
        }
    }

    /// Whether a split has no rows.
    pub fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }

    /// Tokens of a split; `None` unless the data is a corpus.
    pub fn tokens(&self, split: Split) -> Option<u64> {
        self.window().map(|_| self.shard(split).rows())
    }

    /// The batch of these rows of a split, in this order. In training, text is cut at other places every epoch.
    ///
    /// # Errors
    /// A row outside the split, or a damaged shard.
    pub fn batch(&self, split: Split, rows: &[u64], epoch: u64) -> Result<HostBatch> {
        self.draw(split, &rows.iter().map(|&row| (epoch, row)).collect::<Vec<_>>())
    }

    /// As [`Dataset::batch`], with an epoch for every row: `(epoch, row)`.
    pub fn draw(&self, split: Split, rows: &[(u64, u64)]) -> Result<HostBatch> {
        let len = self.len(split);
        if let Some((_, row)) = rows.iter().find(|(_, row)| *row >= len) {
            return Err(Error::failed(format!("row {row} is not among the {len} of the {} split", split.name())));
        }
        let (input, target) = match &self.inner.schema.input {
            InputSchema::Tokens { vocab, context } if self.window().is_some() => {
                self.windows(split, rows, *vocab, *context)?
            }
            InputSchema::Tokens { vocab, context } => self.texts(split, rows, *vocab, *context)?,
            InputSchema::Image { channels, height, width } => {
                self.records(split, rows, &[*channels, *height, *width])?
            }
            InputSchema::Table { columns } => self.records(split, rows, &[columns.len()])?,
            InputSchema::Windows { columns, length, .. } => self.records(split, rows, &[*length, columns.len()])?,
            InputSchema::Choices { .. } => self.choices(split, rows)?,
        };
        Ok(HostBatch { rows: rows.iter().map(|&(_, row)| row).collect(), input, target })
    }

    fn choices(&self, split: Split, rows: &[(u64, u64)]) -> Result<(HostInput, HostTarget)> {
        let histories = self.histories()?;
        match (split, self.inner.negatives) {
            (Split::Train, Some(drawn)) => histories.with_negatives(self.shard(split), rows, drawn, self.inner.seed),
            (Split::Train, None) => histories.in_batch(self.shard(split), rows),
            _ => Ok(histories.ranked(split, &rows.iter().map(|&(_, row)| row).collect::<Vec<_>>())),
        }
    }

    fn histories(&self) -> Result<&Histories> {
        self.inner.histories.as_ref().ok_or_else(|| Error::failed("the data hold no choices of users"))
    }

    /// The items that a user chose in a split, ascending; nothing where the data hold none.
    pub fn chosen(&self, split: Split, user: u32) -> &[u32] {
        self.inner.histories.as_ref().map(|histories| histories.of(split, user)).unwrap_or_default()
    }

    /// Where a row of a split is stored.
    fn place(&self, split: Split, row: u64) -> (Split, u64) {
        let drawn = self.drawn.as_ref().filter(|_| split == Split::Train);
        let row = drawn.and_then(|drawn| drawn.get(row as usize).copied()).unwrap_or(row);
        let places = self.folded.as_ref().and_then(|folded| folded.places(split));
        places.and_then(|places| places.get(row as usize).copied()).unwrap_or((split, row))
    }

    /// The same data with these training rows, by their numbers in this view.
    pub(super) fn drawing(&self, rows: Vec<u64>) -> Self {
        let drawn = self.drawn.as_ref();
        let rows = rows.into_iter().map(|row| drawn.and_then(|d| d.get(row as usize).copied()).unwrap_or(row));
        Self { drawn: Some(rows.collect()), ..self.clone() }
    }

    fn shard(&self, split: Split) -> &Shard {
        let [train, validation, test] = &self.inner.shards;
        match split {
            Split::Train => train,
            Split::Validation => validation,
            Split::Test => test,
        }
    }
}

/// Training windows of a corpus: one fewer than would fit, so that every shift below `context` leaves all of them
/// whole.
fn train_windows(tokens: u64, context: u64) -> u64 {
    match tokens.checked_sub(context + 1) {
        Some(_) => ((tokens - context) / context.max(1)).max(1),
        None => 0,
    }
}

fn damaged(shard: &Shard, why: &str) -> Error {
    Error::input(format!("{} is damaged: {why}", shard.path().display()))
        .next("delete its folder; the data will be prepared again")
}

/// The transforms must give the features that the shards hold.
fn check_table(schema: &Schema) -> Result<()> {
    match (&schema.table, &schema.input) {
        (Some(table), InputSchema::Table { columns } | InputSchema::Windows { columns, .. })
            if table.is_sound() && table.outputs() == *columns =>
        {
            Ok(())
        }
        (None, _) => Ok(()),
        _ => Err(Error::input("the schema's columns do not give the features beside them")
            .next("delete its folder; the data will be prepared again")),
    }
}

fn check_layout(schema: &Schema, shard: &Shard) -> Result<()> {
    let layout = shard.layout();
    let (target, targets) = match &schema.target {
        TargetSchema::NextToken | TargetSchema::Items => (TargetKind::None, 0),
        TargetSchema::Classes { .. } | TargetSchema::Itself { .. } => (TargetKind::Class, 1),
        TargetSchema::Values { names } => (TargetKind::Values, names.len() as u64),
    };
    let expected = match &schema.input {
        InputSchema::Tokens { vocab, .. } if schema.target == TargetSchema::NextToken => Layout::tokens(*vocab),
        InputSchema::Tokens { vocab, context } => {
            let element = Layout::tokens(vocab.saturating_add(1)).element;
            Layout { element, width: *context as u64, target, targets }
        }
        InputSchema::Image { channels, height, width } => {
            let width = channels.saturating_mul(*height).saturating_mul(*width) as u64;
            Layout { element: Element::U8, width, target, targets }
        }
        InputSchema::Table { columns } => {
            Layout { element: Element::F32, width: columns.len() as u64, target, targets }
        }
        InputSchema::Windows { columns, length, .. } => {
            let width = length.saturating_mul(columns.len()) as u64;
            Layout { element: Element::F32, width, target, targets }
        }
        InputSchema::Choices { .. } => interactions::LAYOUT,
    };
    if layout == expected { Ok(()) } else { Err(damaged(shard, "its rows do not fit the schema beside it")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
