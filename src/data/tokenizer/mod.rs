//! Text to token ids and back.

mod bpe;
mod chars;
mod rows;
mod words;

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use tiktoken_rs::{CoreBPE, r50k_base_singleton};

pub use chars::{Alphabet, Characters};
pub use rows::TextEncoder;
pub use words::{WordCounts, Words};

use crate::error::{Error, IoContext, Result};

/// GPT-2's `<|endoftext|>`.
const GPT2_END_OF_TEXT: u32 = 50_256;
const GPT2_VOCAB: usize = 50_257;
/// The largest tokenizer file that is read: the largest published ones take some tens of megabytes.
const MAX_FILE: u64 = 256 << 20;

/// Turns text into token ids and back; cheap to clone.
#[derive(Clone)]
pub enum Tokenizer {
    /// One token a byte.
    Bytes,
    /// One token a character.
    Char(Arc<Characters>),
    /// GPT-2's byte-pair encoding (Radford et al. 2019).
    Gpt2(&'static CoreBPE),
    /// Anything that Hugging Face's `tokenizer.json` can describe.
    Hf(Arc<tokenizers::Tokenizer>),
    /// One token a word; spaces are lost.
    Words(Arc<Words>),
}

/// A tokenizer as a file.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Stored {
    Bytes,
    Char { characters: String },
    Gpt2,
    Hf { tokenizer: String },
    Words { words: Vec<String> },
}

impl Tokenizer {
    /// GPT-2's.
    pub fn gpt2() -> Self {
        Self::Gpt2(r50k_base_singleton())
    }

    /// Reads a Hugging Face `tokenizer.json`.
    pub fn from_hf_file(path: &Path) -> Result<Self> {
        Self::from_hf_json(&read(path)?).map_err(|e| e.at(path.display()))
    }

    fn from_hf_json(bytes: &[u8]) -> Result<Self> {
        let mut tokenizer: tokenizers::Tokenizer = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|e| Error::input(format!("not a Hugging Face tokenizer: {e}")).next("check `data.tokenizer`"))?;
        // A file made for classification may cut or pad every text, which would lose or invent tokens.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|e| Error::input(e.to_string()))?;
        Ok(Self::Hf(Arc::new(tokenizer)))
    }

    /// Learns a byte-level byte-pair encoding of at most `size` tokens from `texts`.
    ///
    /// # Errors
    /// The first error of `texts`, or a size that has no room for the 256 bytes.
    pub fn train_bpe(size: usize, texts: impl Iterator<Item = Result<String>> + Send) -> Result<Self> {
        Ok(Self::Hf(Arc::new(bpe::train(size, texts)?)))
    }

    /// Ids of `text`. Nothing is added at its ends.
    ///
    /// # Errors
    /// A character that the corpus never showed (`char`).
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Self::Char(characters) => characters.encode(text),
            Self::Gpt2(bpe) => Ok(bpe.encode_ordinary(text)),
            Self::Hf(hf) => {
                let encoding = hf.encode_fast(text, false);
                Ok(encoding
                    .map_err(|e| Error::input(format!("the tokenizer refused the text: {e}")))?
                    .get_ids()
                    .to_vec())
            }
            Self::Words(words) => Ok(words.encode(text)),
        }
    }

    /// Ids of text that may be no UTF-8 at all, which only `bytes` accepts.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Vec<u32>> {
        match self {
            Self::Bytes => Ok(bytes.iter().copied().map(u32::from).collect()),
            _ => self.encode(std::str::from_utf8(bytes).map_err(|e| Error::input(format!("not UTF-8 text: {e}")))?),
        }
    }

    /// The text of `ids`; bytes that form no character become U+FFFD.
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match self {
            Self::Bytes => {
                let byte = |&id: &u32| u8::try_from(id).map_err(|_| self.unknown(id));
                ids.iter().map(byte).collect::<Result<_>>().map(lossy)
            }
            Self::Char(characters) => characters.decode(ids),
            Self::Gpt2(bpe) => bpe.decode_bytes(ids).map(lossy).map_err(|e| self.unknown(e.token)),
            Self::Hf(hf) => {
                if let Some(&id) = ids.iter().find(|&&id| hf.id_to_token(id).is_none()) {
                    return Err(self.unknown(id));
                }
                hf.decode(ids, false).map_err(|e| Error::failed(format!("the tokens have no text: {e}")))
            }
            Self::Words(words) => words.decode(ids),
        }
    }

    fn unknown(&self, id: u32) -> Error {
        Error::input(format!("token {id} is outside the vocabulary of {} tokens", self.vocab()))
    }

    /// Number of ids: one above the greatest.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Char(characters) => characters.len(),
            Self::Gpt2(_) => GPT2_VOCAB,
            Self::Hf(hf) => hf.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1),
            Self::Words(words) => words.len(),
        }
    }

    /// The token between two documents, where the vocabulary has one; the others put a newline.
    pub fn separator(&self) -> Option<u32> {
        match self {
            Self::Bytes | Self::Char(_) | Self::Words(_) => None,
            Self::Gpt2(_) => Some(GPT2_END_OF_TEXT),
            Self::Hf(hf) => hf.token_to_id("<|endoftext|>"),
        }
    }

    /// Writes everything that [`Tokenizer::load`] needs as one JSON file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let json =
            |e: &dyn fmt::Display| Error::failed(format!("cannot write the tokenizer to {}: {e}", path.display()));
        let stored = match self {
            Self::Bytes => Stored::Bytes,
            Self::Char(characters) => Stored::Char { characters: characters.to_string() },
            Self::Gpt2(_) => Stored::Gpt2,
            Self::Hf(hf) => Stored::Hf { tokenizer: hf.to_string(false).map_err(|e| json(&e))? },
            Self::Words(words) => Stored::Words { words: words.words().to_vec() },
        };
        let text = serde_json::to_string(&stored).map_err(|e| json(&e))?;
        std::fs::write(path, text).io("write", path)
    }

    /// Reads what [`Tokenizer::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let damaged = |e: serde_json::Error| {
            Error::input(format!("{} is damaged: {e}", path.display())).next("`kiln resume` writes it anew")
        };
        match serde_json::from_slice(&read(path)?).map_err(damaged)? {
            Stored::Bytes => Ok(Self::Bytes),
            Stored::Char { characters } => Ok(Self::Char(Arc::new(Characters::new(characters.chars())))),
            Stored::Gpt2 => Ok(Self::gpt2()),
            Stored::Hf { tokenizer } => Self::from_hf_json(tokenizer.as_bytes()).map_err(|e| e.at(path.display())),
            Stored::Words { words } => Ok(Self::Words(Arc::new(Words::new(words)))),
        }
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Bytes => "bytes",
            Self::Char(_) => "char",
            Self::Gpt2(_) => "gpt2",
            Self::Hf(_) => "hf",
            Self::Words(_) => "words",
        };
        write!(f, "Tokenizer({kind}, {} tokens)", self.vocab())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).io("read", path)?.len();
    if size > MAX_FILE {
        return Err(Error::input(format!("{} has {size} bytes, too many for a tokenizer", path.display())));
    }
    std::fs::read(path).io("read", path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
