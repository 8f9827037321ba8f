//! Texts that are one example each: whole, cut to a length, with the tokens that the tokenizer puts around them.

use tokenizers::{TruncationParams, TruncationStrategy};

use super::Tokenizer;
use crate::error::{Error, Result};

/// Encodes one text an example.
pub struct TextEncoder {
    tokenizer: Tokenizer,
    most: usize,
}

impl TextEncoder {
    /// Of at most `most` tokens a text, what is put around it included.
    ///
    /// # Errors
    /// No room beside the tokenizer's own marks.
    pub fn new(tokenizer: &Tokenizer, most: usize) -> Result<Self> {
        let tokenizer = match tokenizer {
            Tokenizer::Hf(hf) => {
                let mut hf = tokenizers::Tokenizer::clone(hf);
                let cut = TruncationParams {
                    max_length: most,
                    strategy: TruncationStrategy::LongestFirst,
                    ..TruncationParams::default()
                };
                hf.with_truncation(Some(cut)).map_err(|e| {
                    Error::input(format!("`data.context` = {most} has no room for the tokenizer's marks: {e}"))
                        .next("raise `data.context`")
                })?;
                Tokenizer::Hf(hf.into())
            }
            other => other.clone(),
        };
        Ok(Self { tokenizer, most })
    }

    /// The ids of `text`; characters that a `char` vocabulary does not have are left out.
    ///
    /// # Errors
    /// A text that the tokenizer refuses.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = match &self.tokenizer {
            Tokenizer::Hf(hf) => {
                let encoding = hf.encode_fast(text, true);
                let refused = |e| Error::input(format!("the tokenizer refused the text: {e}"));
                encoding.map_err(refused)?.get_ids().to_vec()
            }
            Tokenizer::Char(characters) => characters.known(text),
            other => other.encode(text)?,
        };
        ids.truncate(self.most);
        Ok(ids)
    }
}
