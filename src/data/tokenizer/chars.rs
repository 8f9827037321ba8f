//! One token per character of the corpus, in the order of their code points.

use std::fmt;

use crate::error::{Error, Result};

/// The set of characters that a corpus shows; a fixed 136 KiB.
pub struct Alphabet {
    seen: Vec<u64>,
}

impl Default for Alphabet {
    fn default() -> Self {
        Self { seen: vec![0; (char::MAX as usize + 1) / 64] }
    }
}

impl Alphabet {
    /// Adds the characters of `text`.
    pub fn add(&mut self, text: &str) {
        for c in text.chars() {
            if let Some(word) = self.seen.get_mut(c as usize / 64) {
                *word |= 1 << (c as usize % 64);
            }
        }
    }

    /// The vocabulary.
    pub fn characters(&self) -> Characters {
        let seen = |c: &char| self.seen.get(*c as usize / 64).is_some_and(|word| word >> (*c as usize % 64) & 1 == 1);
        Characters::new(('\0'..=char::MAX).filter(seen))
    }
}

/// Characters and their ids.
#[derive(Debug)]
pub struct Characters {
    /// Sorted, so the id of a character is its place.
    characters: Vec<char>,
    /// Ids of ASCII, which most text is made of; `u32::MAX` where there is none.
    ascii: [u32; 128],
}

impl Characters {
    /// A vocabulary of these characters, sorted and without repeats.
    pub fn new(characters: impl Iterator<Item = char>) -> Self {
        let mut characters: Vec<char> = characters.collect();
        characters.sort_unstable();
        characters.dedup();
        let mut ascii = [u32::MAX; 128];
        for (id, &c) in characters.iter().enumerate() {
            if let Some(slot) = ascii.get_mut(c as usize) {
                *slot = id as u32;
            }
        }
        Self { characters, ascii }
    }

    /// Number of characters.
    pub fn len(&self) -> usize {
        self.characters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        text.chars().map(|c| self.id(c)).collect()
    }

    /// The ids of the characters that are there.
    pub(super) fn known(&self, text: &str) -> Vec<u32> {
        text.chars().filter_map(|c| self.id(c).ok()).collect()
    }

    fn id(&self, c: char) -> Result<u32> {
        let id = match self.ascii.get(c as usize) {
            Some(&id) => Some(id).filter(|&id| id != u32::MAX),
            None => self.characters.binary_search(&c).ok().map(|id| id as u32),
        };
        id.ok_or_else(|| {
            Error::input(format!(
                "the character {c:?} (U+{:04X}) is not among the {} that the corpus shows",
                c as u32,
                self.len()
            ))
            .next("leave it out, or train with `data.tokenizer = \"bytes\"`, which knows every text")
        })
    }

    pub(super) fn decode(&self, ids: &[u32]) -> Result<String> {
        let character = |&id: &u32| {
            self.characters.get(id as usize).copied().ok_or_else(|| {
                Error::input(format!("token {id} is outside the vocabulary of {} characters", self.len()))
            })
        };
        ids.iter().map(character).collect()
    }
}

impl fmt::Display for Characters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters.iter().try_for_each(|c| write!(f, "{c}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_code_points() {
        let mut alphabet = Alphabet::default();
        alphabet.add("cab");
        alphabet.add("é\u{10ffff}a");
        let characters = alphabet.characters();
        assert_eq!(characters.to_string(), "abcé\u{10ffff}");
        assert_eq!(characters.encode("é\u{10ffff}ba").unwrap(), [3, 4, 1, 0]);
        let error = characters.encode("ab☃").unwrap_err().to_string();
        assert!(error.contains("'☃' (U+2603)"), "{error}");
        assert!(characters.encode("d").is_err());
        assert!(characters.decode(&[5]).is_err());
    }
}
