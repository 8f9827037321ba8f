//! Turns a corpus into shards of tokens, with flat memory.

use std::{path::Path, sync::Arc};

use super::{
    InputSchema, Schema, Split, TargetSchema, Tokenizer, TokenizerKind, cache,
    dataset::TOKENIZER_FILE,
    prepare::write_schema,
    shard::{Layout, ShardWriter},
    source::{Chunk, Corpus, Reading, Resolved},
    tokenizer::Alphabet,
};
use crate::error::{Error, Result};

/// Writes the tokenizer, the shards and the schema into `folder`. `given` is the file of a ready tokenizer.
pub(super) fn build(source: &Resolved, given: Option<&Path>, folder: &Path, progress: &dyn Fn(&str)) -> Result<()> {
    let config = &source.config;
    let kind = config.tokenizer_kind();
    let utf8 = kind != TokenizerKind::Bytes;
    let corpus = |separator: bool| {
        let reading = Reading { utf8, newlines: !separator, limit: config.limit };
        Corpus::open(&source.files, reading, config.holdout.clone())
    };
    let joined = corpus(false)?;
    progress(&format!("preparing {} of text", size(joined.len())));
    let tokenizer = match (&kind, given) {
        (_, Some(file)) => Tokenizer::from_hf_file(file)?,
        (TokenizerKind::Char, _) => Tokenizer::Char(Arc::new(alphabet(&joined)?.characters())),
        (TokenizerKind::Gpt2, _) => Tokenizer::gpt2(),
        (TokenizerKind::Bpe(size), _) => {
            progress("learning the byte-pair vocabulary on the training split");
            Tokenizer::train_bpe(*size, training_texts(&joined))?
        }
        (TokenizerKind::Words(_), _) => {
            return Err(Error::input(
                "`data.tokenizer.words` loses the spaces between words, which a language model needs",
            )
            .next("use `{ bpe = 8000 }`"));
        }
        (TokenizerKind::Bytes | TokenizerKind::File(_), _) => Tokenizer::Bytes,
    };
    let corpus = if tokenizer.separator().is_some() { corpus(true)? } else { joined };
    tokenizer.save(&folder.join(TOKENIZER_FILE))?;
    let bytes_per_token = write_tokens(&corpus, &tokenizer, folder, progress)?;
    // The context is the config's when the data is opened.
    let input = InputSchema::Tokens { vocab: tokenizer.vocab(), context: config.context };
    write_schema(folder, &Schema { input, target: TargetSchema::NextToken, table: None, scale: None, bytes_per_token })
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{:.1} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

fn alphabet(corpus: &Corpus) -> Result<Alphabet> {
    let mut alphabet = Alphabet::default();
    for chunk in corpus.chunks() {
        alphabet.add(&text(chunk?)?);
    }
    Ok(alphabet)
}

fn training_texts(corpus: &Corpus) -> impl Iterator<Item = Result<String>> + Send + use<> {
    let training = |chunk: &Result<Chunk>| chunk.as_ref().map_or(true, |c| c.split == Split::Train);
    corpus.chunks().take_while(training).map(|chunk| text(chunk?))
}

fn text(chunk: Chunk) -> Result<String> {
    String::from_utf8(chunk.bytes).map_err(|e| Error::input(format!("not UTF-8 text: {e}")))
}

/// Writes every split's tokens; returns the bytes that a token of the validation split (or else of the whole corpus)
/// stands for.
///
/// As many chunks as there are cores are tokenized at once, and written in order.
fn write_tokens(corpus: &Corpus, tokenizer: &Tokenizer, folder: &Path, progress: &dyn Fn(&str)) -> Result<Option<f64>> {
    let layout = Layout::tokens(tokenizer.vocab());
    let [train, validation, test] = Split::ALL.map(|s| ShardWriter::create(&cache::shard_path(folder, s), layout));
    let mut writers = [train?, validation?, test?];
    let mut bytes = [0u64; 3];
    let (mut done, mut told) = (0u64, 0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut chunks = corpus.chunks();
    loop {
        let group = chunks.by_ref().take(cores).collect::<Result<Vec<_>>>()?;
        if group.is_empty() {
            break;
        }
        for (chunk, ids) in group.iter().zip(encode(tokenizer, &group)) {
            let (writer, bytes) = match chunk.split {
                Split::Train => (&mut writers[0], &mut bytes[0]),
                Split::Validation => (&mut writers[1], &mut bytes[1]),
                Split::Test => (&mut writers[2], &mut bytes[2]),
            };
            writer.tokens(&ids?)?;
            *bytes += chunk.bytes.len() as u64;
            done += chunk.bytes.len() as u64;
        }
        let tenth = done * 10 / corpus.len().max(1);
        if tenth > told && corpus.len() > 50_000_000 {
            told = tenth;
            progress(&format!("tokenized {:.0} of {:.0} MB", done as f64 / 1e6, corpus.len() as f64 / 1e6));
        }
    }
    let [train, validation, test] = writers.map(ShardWriter::finish);
    let tokens = [train?, validation?, test?];
    Ok(match tokens[1] {
        0 => Some(bytes.iter().sum::<u64>() as f64 / tokens.iter().sum::<u64>().max(1) as f64),
        validation => Some(bytes[1] as f64 / validation as f64),
    })
}

fn encode(tokenizer: &Tokenizer, chunks: &[Chunk]) -> Vec<Result<Vec<u32>>> {
    let one = |chunk: &Chunk| {
        let mut ids: Vec<u32> = tokenizer.separator().filter(|_| chunk.separated).into_iter().collect();
        ids.extend(tokenizer.encode_bytes(&chunk.bytes)?);
        Ok(ids)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = chunks.iter().map(|chunk| scope.spawn(move || one(chunk))).collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, Result<Vec<u32>>>| {
            t.join().unwrap_or_else(|_| Err(Error::failed("the tokenizer stopped on this text")))
        };
        threads.into_iter().map(join).collect()
    })
}
