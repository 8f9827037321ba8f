//! Text as a bag of its terms: words, characters, or runs of either, counted or weighted.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Categories, hash};

/// Terms that are counted at once. Beyond them the rarest are let go of, again and again (Manku and Motwani 2002,
/// "lossy counting"), so that memory does not grow with the rows.
const COUNTED: usize = 1 << 20;

/// Terms kept at most, whatever the config says.
pub(super) const MOST_TERMS: usize = 1 << 16;

/// What a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextKind {
    /// Counts of terms, each weighted by how few rows have it, scaled to length 1 (Salton and Buckley 1988).
    #[default]
    TfIdf,
    /// Counts of terms.
    Bag,
    /// Words hashed to `buckets` features, without a vocabulary.
    Hash,
}

/// What a text's terms are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextUnit {
    /// Runs of two or more letters, digits or `_`, in lower case.
    #[default]
    Words,
    /// Characters, in lower case.
    Characters,
    /// Characters within words, each word with a blank on either side.
    CharactersInWords,
}

/// A text column's vocabulary and weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// What a text becomes; `tf-idf` by default, `hash` where `buckets` is set.
    pub kind: TextKind,
    /// What terms are made of.
    pub unit: TextUnit,
    /// The shortest and the longest run of units that is a term: `[1, 2]` takes single words and pairs.
    pub ngrams: [usize; 2],
    /// Training rows that must have a term.
    pub min_rows: u64,
    /// Share of the training rows that may have a term: 0.5 leaves out what more than half of them have.
    pub max_share: f64,
    /// Terms kept, those that occur most often; each is a feature of 4 bytes in every row.
    pub most: usize,
    /// `1 + ln(count)` instead of the count.
    pub sublinear: bool,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            kind: TextKind::TfIdf,
            unit: TextUnit::Words,
            ngrams: [1, 1],
            min_rows: 2,
            max_share: 1.0,
            most: 2000,
            sublinear: false,
        }
    }
}

/// What the training split showed of a column of text.
pub(super) struct TextProfile {
    pub(super) missing: u64,
    rows: u64,
    /// Of every term, the rows that have it and its occurrences.
    terms: HashMap<String, (u64, u64)>,
    /// Terms of at most so many rows were let go of.
    gone: u64,
    scratch: HashMap<String, u32>,
}

impl TextProfile {
    pub(super) fn new() -> Self {
        Self { missing: 0, rows: 0, terms: HashMap::new(), gone: 0, scratch: HashMap::new() }
    }

    /// Adds a training row's text, or none.
    pub(super) fn add(&mut self, text: Option<&str>, config: &TextConfig) {
        self.rows += 1;
        if config.kind == TextKind::Hash {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        count(text.unwrap_or_default(), config.unit, config.ngrams, &mut scratch);
        for (term, times) in scratch.drain() {
            let sums = self.terms.entry(term).or_default();
            *sums = (sums.0 + 1, sums.1 + u64::from(times));
        }
        self.scratch = scratch;
        while self.terms.len() > COUNTED {
            self.gone += 1;
            let gone = self.gone;
            self.terms.retain(|_, sums| sums.0 > gone);
        }
    }
}

/// A column of text as it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bag {
    /// The vocabulary, in order.
    pub terms: Categories,
    /// The weight of every term: `ln((1 + rows) / (1 + rows that have it)) + 1`; none of plain counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// What terms are made of.
    pub unit: TextUnit,
    /// The shortest and the longest run of units that is a term.
    pub ngrams: [usize; 2],
    /// `1 + ln(count)` instead of the count.
    pub sublinear: bool,
}

impl Bag {
    pub(super) fn fit(profile: &TextProfile, config: &TextConfig) -> Self {
        let most = config.max_share * profile.rows as f64;
        let fits = |rows: u64| rows >= config.min_rows && rows as f64 <= most;
        let mut terms: Vec<(&String, &(u64, u64))> = profile.terms.iter().filter(|(_, sums)| fits(sums.0)).collect();
        terms.sort_unstable_by(|a, b| b.1.1.cmp(&a.1.1).then(a.0.cmp(b.0)));
        terms.truncate(config.most.min(MOST_TERMS));
        terms.sort_unstable_by_key(|(term, _)| *term);
        let weight = |rows: u64| ((1.0 + profile.rows as f64) / (1.0 + rows as f64)).ln() + 1.0;
        let weights = match config.kind {
            TextKind::TfIdf => terms.iter().map(|(_, sums)| weight(sums.0)).collect(),
            _ => Vec::new(),
        };
        let terms: Vec<String> = terms.into_iter().map(|(term, _)| term.clone()).collect();
        Self { terms: terms.into(), weights, unit: config.unit, ngrams: config.ngrams, sublinear: config.sublinear }
    }

    pub(super) fn is_sound(&self) -> bool {
        let terms = self.terms.names().len();
        let [least, longest] = self.ngrams;
        terms <= MOST_TERMS && (self.weights.is_empty() || self.weights.len() == terms) && least > 0 && longest <= 16
    }

    /// Appends the features of a text.
    pub(super) fn write(&self, text: &str, out: &mut Vec<f32>) {
        let start = out.len();
        out.resize(start + self.terms.names().len(), 0.0);
        let mut counts = HashMap::new();
        count(text, self.unit, self.ngrams, &mut counts);
        // In the order of the terms, whatever the map's: the sum of squares depends on it.
        let mut found: Vec<(usize, f64)> =
            counts.iter().filter_map(|(term, times)| Some((self.terms.code(term)?, f64::from(*times)))).collect();
        found.sort_unstable_by_key(|(code, _)| *code);
        for (code, value) in &mut found {
            if self.sublinear {
                *value = 1.0 + value.ln();
            }
            *value *= self.weights.get(*code).copied().unwrap_or(1.0);
        }
        let length = found.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        let scale = if self.weights.is_empty() || length == 0.0 { 1.0 } else { length };
        for (code, value) in found {
            if let Some(feature) = out.get_mut(start + code) {
                *feature = (value / scale) as f32;
            }
        }
    }

    pub(super) fn outputs(&self, name: &str) -> Vec<String> {
        self.terms.names().iter().map(|term| format!("{name}:{term}")).collect()
    }

    /// What it becomes, in words.
    pub(super) fn becomes(&self) -> String {
        let kind = if self.weights.is_empty() { "counts" } else { "tf-idf" };
        let unit = match self.unit {
            TextUnit::Words => "words",
            TextUnit::Characters => "characters",
            TextUnit::CharactersInWords => "characters in words",
        };
        let [least, longest] = self.ngrams;
        let runs = if (least, longest) == (1, 1) { String::new() } else { format!(", runs of {least} to {longest}") };
        format!("{kind} of {} terms: {unit}{runs}", self.terms.names().len())
    }
}

/// Counts the terms of a text into `counts`, as scikit-learn's analyzers `word`, `char` and `char_wb` tell them.
fn count(text: &str, unit: TextUnit, [least, longest]: [usize; 2], counts: &mut HashMap<String, u32>) {
    let mut add = |term: &str| match counts.get_mut(term) {
        Some(times) => *times += 1,
        None => drop(counts.insert(term.to_owned(), 1)),
    };
    match unit {
        TextUnit::Words => {
            let words: Vec<String> = hash::words(text).collect();
            for n in least..=longest {
                match n {
                    1 => words.iter().for_each(|word| add(word)),
                    n => words.windows(n).for_each(|run| add(&run.join(" "))),
                }
            }
        }
        TextUnit::Characters => {
            let text = blanks(&text.to_lowercase());
            let ends = ends(&text);
            (least..=longest).for_each(|n| runs(&text, &ends, n).for_each(&mut add));
        }
        TextUnit::CharactersInWords => {
            for word in text.to_lowercase().split_whitespace() {
                let word = format!(" {word} ");
                let ends = ends(&word);
                for n in least..=longest {
                    if n >= ends.len() - 1 {
                        add(&word); // a short word counts once
                        break;
                    }
                    runs(&word, &ends, n).for_each(&mut add);
                }
            }
        }
    }
}

/// Runs of two or more blanks of any kind as one blank.
fn blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_whitespace() => run.push(c),
            c => {
                match run.chars().nth(1) {
                    Some(_) => out.push(' '),
                    None => out.push_str(&run),
                }
                run.clear();
                out.extend(c);
            }
        }
    }
    out
}

/// Where every character begins, and where the last one ends.
fn ends(text: &str) -> Vec<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).collect()
}

fn runs<'a>(text: &'a str, ends: &'a [usize], n: usize) -> impl Iterator<Item = &'a str> {
    ends.iter().zip(ends.iter().skip(n)).filter_map(|(from, to)| text.get(*from..*to))
}

#[cfg(test)]
mod tests;
