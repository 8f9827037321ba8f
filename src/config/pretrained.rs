//! Pretrained weights: found on this machine, or fetched, before a model is made.

use std::path::PathBuf;

use super::Plan;
use crate::{
    data::fetch,
    error::Result,
    model::{ModelConfig, Pretrained},
};

/// The tokenizer's file in a pretrained model's folder.
const TOKENIZER: &str = "tokenizer.json";

impl Plan {
    /// The folder of the weights that the model starts from, fetched if need be; `None` of one that starts from scratch.
    ///
    /// # Errors
    /// An unknown name, or a download that fails.
    pub fn pretrained(&self, progress: &dyn Fn(&str)) -> Result<Option<PathBuf>> {
        let ModelConfig::Encoder(encoder) = &self.model else { return Ok(None) };
        Ok(match &encoder.pretrained {
            None => None,
            Some(Pretrained::Path(path)) => Some(path.clone()),
            Some(Pretrained::Dataset(name)) => Some(fetch::named(name, progress)?.folder),
        })
    }

    /// With the sizes and the tokenizer of the weights that the model starts from.
    ///
    /// # Errors
    /// As [`Plan::pretrained`]; a folder that holds no BERT-family encoder.
    pub fn with_pretrained(mut self, progress: &dyn Fn(&str)) -> Result<Self> {
        let Some(folder) = self.pretrained(progress)? else { return Ok(self) };
        if let ModelConfig::Encoder(encoder) = &mut self.model {
            *encoder = encoder.sized_by(&folder)?;
        }
        self.data.pretrained_tokenizer = Some(folder.join(TOKENIZER));
        Ok(self)
    }
}
