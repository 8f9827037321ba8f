//! A table whose rows are texts with a class or values: a tokenizer learned on the training split, then every text as
//! tokens, cut or padded to one length.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::prepare::{Table, ids};
use super::{Cell, Layout, columns, each_row, plan};
use crate::data::clean::Report;
use crate::data::split::Splitter;
use crate::data::{
    Alphabet, Features, InputSchema, RecordSink, Records, Split, Target, TargetSchema, TextEncoder, Tokenizer,
    TokenizerKind, WordCounts,
};
use crate::error::{Error, Result};

/// Bytes of training text that a byte-pair vocabulary is learned from at most.
const LEARNED_FROM: usize = 64 << 20;

/// Pushes the texts of all rows as tokens.
///
/// # Errors
/// A tokenizer that cannot be read; a target that is none, all in one report.
pub(super) fn read(table: &Table<'_>, splitter: &Splitter, sink: &mut dyn RecordSink) -> Result<Records> {
    let context = table.config().context;
    (table.progress())(&format!(
        "texts of at most {context} tokens from column `{}`",
        table.text().unwrap_or_default()
    ));
    let (tokenizer, target) = learn(table, splitter)?;
    let encoder = TextEncoder::new(&tokenizer, context)?;
    let vocab = tokenizer.vocab();
    let (labels, ids_of) = (table.labels(), ids(&target));
    let (mut report, mut reals) = (Report::default(), Vec::new());
    let (mut cut, mut empty, mut rows) = (0u64, 0u64, 0u64);
    table.each(splitter, &mut |row| {
        reals.clear();
        let mut tokens = row.features.first().map_or_else(|| Ok(Vec::new()), |cell| encoder.encode(&text(cell)))?;
        rows += 1;
        cut += u64::from(tokens.len() == context);
        empty += u64::from(tokens.is_empty());
        tokens.resize(context, vocab as u32);
        let features = Features::Tokens { ids: &tokens, vocab };
        match labels.of(&row, &target, &ids_of, &mut reals) {
            Err((column, fault)) => report.add_target(row.place, column, fault),
            Ok(_) if !report.is_empty() => {}
            Ok(Some(id)) => sink.push(Some(row.split), features, Target::Class(id))?,
            Ok(None) => sink.push(Some(row.split), features, Target::Values(&reals))?,
        }
        Ok(ControlFlow::Continue(()))
    })?;
    report.finish()?;
    let share = 100.0 * cut as f64 / rows.max(1) as f64;
    (table.progress())(&format!(
        "vocabulary of {vocab}; {share:.0} % of {rows} texts fill {context} tokens or were cut"
    ));
    if empty > 0 {
        (table.progress())(&format!("{empty} texts have no tokens"));
    }
    Ok(Records { input: InputSchema::Tokens { vocab, context }, target, table: None, tokenizer: Some(tokenizer) })
}

/// The cell as text; nothing of a missing one.
fn text<'a>(cell: &Cell<'a>) -> std::borrow::Cow<'a, str> {
    match cell {
        Cell::Text(text) => (*text).into(),
        other => other.name().unwrap_or_default(),
    }
}

/// The tokenizer, and the classes or the values' names.
fn learn(table: &Table<'_>, splitter: &Splitter) -> Result<(Tokenizer, TargetSchema)> {
    let kind = table.config().tokenizer_kind();
    let (mut alphabet, mut counts, mut texts) = (Alphabet::default(), WordCounts::default(), Vec::new());
    let mut kept = 0;
    let target = table.targets(splitter, &mut |batch| {
        let training = batch.rows().filter(|row| row.split == Split::Train);
        for text in training.filter_map(|row| row.features.first()).map(text) {
            match kind {
                TokenizerKind::Char => alphabet.add(&text),
                TokenizerKind::Words(_) => counts.add(&text),
                TokenizerKind::Bpe(_) if kept < LEARNED_FROM => {
                    kept += text.len();
                    texts.push(text.into_owned());
                }
                _ => {}
            }
        }
    })?;
    let tokenizer = match kind {
        TokenizerKind::Bytes => Tokenizer::Bytes,
        TokenizerKind::Gpt2 => Tokenizer::gpt2(),
        TokenizerKind::Char => Tokenizer::Char(Arc::new(alphabet.characters())),
        TokenizerKind::Words(size) => Tokenizer::Words(Arc::new(counts.words(size))),
        TokenizerKind::Bpe(size) => {
            (table.progress())("learning the byte-pair vocabulary on the training split");
            Tokenizer::train_bpe(size, texts.into_iter().map(Ok))?
        }
        TokenizerKind::File(path) => Tokenizer::from_hf_file(&path)?,
    };
    if tokenizer.vocab() == 0 {
        return Err(Error::input("the training split's texts are all empty")
            .next("check `data.text`, which names the column of texts"));
    }
    Ok((tokenizer, target))
}

/// Calls `each` with the text of every row of a file to predict for; how many there are.
///
/// # Errors
/// No such column, or a file that cannot be read.
pub fn read_texts(path: &Path, column: &str, layout: &Layout, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<u64> {
    let names = [column.to_owned()];
    plan::resolve(path, &columns(path, layout)?, &names)?;
    let mut count = 0;
    each_row(path, layout, &names, &mut |_, cells| {
        count += 1;
        each(&cells.first().map(text).unwrap_or_default())?;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}
