//! Token-by-token decoding with a cache of keys and values.

use burn::tensor::{FloatDType, Int, Tensor};

use super::Model;
use crate::{
    error::{Error, Result},
    nn::KvCache,
};

/// What a language model remembers of the tokens so far.
///
/// Memory is taken once: `layers * 2 * batch * kv_heads * context * head` f32 values.
#[derive(Debug, Clone)]
pub struct Decoder {
    caches: Vec<KvCache>,
    batch: usize,
    context: usize,
    len: usize,
}

impl Model {
    /// An empty decoder for `batch` sequences of at most `context` tokens.
    ///
    /// # Errors
    /// If the model is no language model, or has learned positions and fewer than `context` of them.
    pub fn decoder(&self, batch: usize, context: usize) -> Result<Decoder> {
        let Model::Gpt(gpt) = self else {
            return Err(Error::input(format!("a model of kind \"{}\" does not generate tokens", self.name()))
                .next("use a run whose `model.kind` is \"gpt\""));
        };
        if let Some(most) = gpt.max_positions().filter(|&most| context > most) {
            return Err(Error::input(format!("{context} tokens are more than the model's context of {most}"))
                .next(format!("ask for at most {most} tokens, prompt included")));
        }
        Ok(Decoder { caches: gpt.caches(batch, context), batch, context, len: 0 })
    }
}

impl Decoder {
    /// Appends tokens `[b, t]` and returns the logits after the last one, `[b, vocab]`, in f32.
    ///
    /// `model` should be the one (gone through `valid()`) that the decoder was made for.
    ///
    /// # Errors
    /// If the tokens don't fit the context any more, or their batch is another one.
    pub fn forward(&mut self, model: &Model, ids: Tensor<2, Int>) -> Result<Tensor<2>> {
        let [b, t] = ids.dims();
        if self.len + t > self.context {
            return Err(Error::input(format!("{} tokens are more than the context of {}", self.len + t, self.context))
                .next("ask for fewer tokens, or start over with the last ones as the prompt"));
        }
        let Model::Gpt(gpt) = model else {
            return Err(Error::failed(format!("a decoder cannot run a model of kind \"{}\"", model.name())));
        };
        if b != self.batch || t == 0 {
            return Err(Error::failed(format!(
                "a decoder of {} sequences was given ids of shape [{b}, {t}]",
                self.batch
            )));
        }
        let tables = gpt.tables();
        let x = gpt.trunk(ids, &tables, self.len, &mut self.caches, FloatDType::F32); // [b, t, c]
        self.len += t;
        Ok(gpt.logits(x.narrow(1, t - 1, 1).squeeze_dim::<2>(1), tables))
    }

    /// Tokens so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
