//! `kiln generate`: sampling from a language model with a key-value cache.

use std::io::Write;

use burn::{prelude::*, tensor::TensorData};
use serde_json::json;

use super::{Console, Trained};
use crate::{
    data::InputSchema,
    error::{Error, Result},
    task::host,
};

/// How to sample text.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// The text to continue.
    pub prompt: String,
    /// Tokens to generate.
    pub tokens: usize,
    /// 0 always takes the likeliest token.
    pub temperature: f64,
    /// 0 means all tokens.
    pub top_k: usize,
    /// Probability mass to sample from, `(0, 1]`.
    pub top_p: f64,
    /// Seed of the sampling.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { prompt: "\n".into(), tokens: 256, temperature: 0.8, top_k: 0, top_p: 1.0, seed: 1 }
    }
}

impl Sampling {
    /// Refuses values that no distribution has.
    pub fn checked(self) -> Result<Self> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(Error::input(format!("--temperature {} is not a number from 0 up", self.temperature))
                .next("give 0 for the likeliest text, or about 0.8 for a lively one"));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(Error::input(format!("--top-p {} is not within (0, 1]", self.top_p))
                .next("give 1 to sample among all tokens, or about 0.9 to cut the unlikely ones"));
        }
        if self.prompt.is_empty() {
            return Err(Error::input("--prompt is empty").next("give at least one character to continue"));
        }
        Ok(self)
    }
}

/// Continues a prompt, streaming the text to stdout.
pub fn generate(trained: &Trained, sampling: &Sampling, console: &Console) -> Result<()> {
    let mut stream = |piece: &str| {
        if !console.is_json() {
            let mut out = std::io::stdout();
            // A closed pipe only ends the show.
            let _ = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
        }
        Ok(())
    };
    let text = continue_text(trained, sampling, &mut stream)?;
    if console.is_json() {
        let result = json!({ "prompt": sampling.prompt, "text": text, "checkpoint": trained.checkpoint });
        return console.result(&result, String::new);
    }
    stream("\n")
}

/// The generated text without its prompt; `stream` gets the prompt, then every piece once its characters are whole.
pub(super) fn continue_text(
    trained: &Trained,
    sampling: &Sampling,
    stream: &mut dyn FnMut(&str) -> Result<()>,
) -> Result<String> {
    let tokenizer = trained.tokenizer()?;
    let ready = trained.ready()?;
    let InputSchema::Tokens { context, .. } = ready.task.schema().input else {
        return Err(Error::input("this run is no language model").next("use `kiln predict` for it"));
    };
    let mut ids = tokenizer.encode(&sampling.prompt)?;
    stream(&sampling.prompt)?;
    let mut random = SplitMix(sampling.seed);
    let mut text = String::new();
    let mut pending = Vec::new();
    let mut decoder = ready.model.decoder(1, context)?;
    let mut cached = ids.len().saturating_sub(context); // ids before this one are in the cache, or forgotten
    for _ in 0..sampling.tokens {
        if decoder.len() + (ids.len() - cached) > context {
            // A full cache slides: the newest half of the context is read again.
            decoder = ready.model.decoder(1, context)?;
            cached = ids.len() - (context / 2).max(1);
        }
        let new = &ids[cached..];
        let logits = decoder.forward(&ready.model, tokens(new, &ready.opened.device))?; // [1, vocab]
        cached = ids.len();
        let next = sample(&host(logits)?, sampling, &mut random);
        ids.push(next);
        pending.push(next);
        let piece = tokenizer.decode(&pending)?;
        // A character of several bytes may still lack its end.
        if !piece.ends_with(char::REPLACEMENT_CHARACTER) || pending.len() >= 4 {
            stream(&piece)?;
            text.push_str(&piece);
            pending.clear();
        }
    }
    Ok(text)
}

fn tokens(ids: &[u32], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| i32::try_from(id).unwrap_or(i32::MAX)).collect();
    let shape = [1, ids.len()];
    Tensor::from_data(TensorData::new(ids, shape), device)
}

/// Draws a token from `softmax(logits / temperature)`, cut to the top k and to the top p (Holtzman et al. 2019).
fn sample(logits: &[f32], sampling: &Sampling, random: &mut SplitMix) -> u32 {
    let mut ranked: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&l| f64::from(l))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some(&(likeliest, peak)) = ranked.first() else { return 0 };
    if sampling.temperature == 0.0 {
        return likeliest;
    }
    if sampling.top_k > 0 {
        ranked.truncate(sampling.top_k);
    }
    let weight = |logit: f64| ((logit - peak) / sampling.temperature).exp();
    let total: f64 = ranked.iter().map(|r| weight(r.1)).sum();
    let mut kept = 0.0;
    let nucleus = ranked.iter().take_while(|r| {
        let before = kept;
        kept += weight(r.1) / total;
        before < sampling.top_p
    });
    let nucleus: Vec<(u32, f64)> = nucleus.map(|r| (r.0, weight(r.1))).collect();
    let mut left = random.uniform() * nucleus.iter().map(|r| r.1).sum::<f64>();
    for &(id, weight) in &nucleus {
        left -= weight;
        if left <= 0.0 {
            return id;
        }
    }
    nucleus.last().map_or(likeliest, |r| r.0)
}

/// SplitMix64 (Steele et al. 2014).
struct SplitMix(u64);

impl SplitMix {
    /// A number in `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
        let mut random = SplitMix(7);
        (0..400).map(|_| sample(logits, sampling, &mut random)).collect()
    }

    #[test]
    fn zero_temperature_takes_the_likeliest() {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        assert!(draws(&sampling, &[0.1, 3.0, 2.9]).iter().all(|&id| id == 1));
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let ones = draws(&sampling, &[0.0, (3.0f32).ln()]).iter().filter(|&&id| id == 1).count();
        assert!((260..=340).contains(&ones), "{ones} of 400 at probability 3/4");
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [2.0, 1.9, 1.8, -1.0];
        let top_k = Sampling { temperature: 1.0, top_k: 2, ..Sampling::default() };
        assert!(draws(&top_k, &logits).iter().all(|&id| id < 2));
        let top_p = Sampling { temperature: 1.0, top_p: 0.3, ..Sampling::default() };
        assert!(draws(&top_p, &logits).iter().all(|&id| id == 0));
    }
}
