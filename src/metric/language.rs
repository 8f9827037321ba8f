//! Language modelling: loss, perplexity, bits per byte.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{defined, ratio};

/// Streams summed losses.
#[derive(Debug, Clone, Default)]
pub struct Language {
    nats: f64,
    tokens: u64,
    bytes: u64,
    non_finite: u64,
}

/// Figures over a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LanguageReport {
    /// Valid targets.
    pub tokens: u64,
    /// Bytes of text that the targets stand for; 0 if not known.
    pub bytes: u64,
    /// Batches whose loss wasn't finite.
    pub non_finite: u64,
    /// Mean cross-entropy, nats per token.
    pub loss: Option<f64>,
    /// e to the power of `loss`; undefined where it overflows.
    pub perplexity: Option<f64>,
    /// Cross-entropy in bits per byte of text, which compares models over different tokenizers.
    pub bits_per_byte: Option<f64>,
}

impl Language {
    /// Nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a batch: its summed cross-entropy in nats, its valid targets, and the bytes of text that they stand for
    /// (0 if not known).
    pub fn add(&mut self, nats: f64, tokens: u64, bytes: u64) {
        if nats.is_finite() {
            self.nats += nats;
        } else {
            self.non_finite += 1;
        }
        self.tokens += tokens;
        self.bytes += bytes;
    }

    /// The figures.
    pub fn finish(self) -> LanguageReport {
        let Self { nats, tokens, bytes, non_finite } = self;
        let per = |count: u64| if non_finite == 0 { ratio(nats, count as f64) } else { None };
        let loss = per(tokens);
        LanguageReport {
            tokens,
            bytes,
            non_finite,
            loss,
            perplexity: loss.map(f64::exp).filter(|p| p.is_finite()),
            bits_per_byte: per(bytes).map(|nats| nats / std::f64::consts::LN_2),
        }
    }
}

impl LanguageReport {
    /// `loss`, `perplexity`, `bits_per_byte`.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        defined([("loss", self.loss), ("perplexity", self.perplexity), ("bits_per_byte", self.bits_per_byte)])
    }
}
