//! Rules of `[model]`: sizes.

use super::Rules;
use crate::{
    config::Plan,
    model::{AutoencoderConfig, ModelConfig, PositionKind, VaeConfig},
};

impl Rules<'_> {
    pub(super) fn model(&mut self, plan: &Plan) {
        match &plan.model {
            ModelConfig::Linear(_) => {}
            ModelConfig::Mlp(mlp) => {
                if mlp.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.below_one(&[("model.dropout", mlp.dropout)]);
            }
            ModelConfig::Cnn(cnn) => {
                self.at_least_one(&[("model.depth", cnn.depth)]);
                self.below_one(&[("model.dropout", cnn.dropout)]);
            }
            ModelConfig::Gpt(gpt) => {
                self.transformer(gpt.layers, gpt.heads, gpt.width, gpt.dropout);
                if gpt.kv_heads > 0 && !gpt.heads.is_multiple_of(gpt.kv_heads) {
                    let message =
                        format!("`model.kv_heads` = {} does not divide `model.heads` = {}", gpt.kv_heads, gpt.heads);
                    self.broken(message, &["model.kv_heads", "model.heads"], "change one of the two");
                }
                let head = gpt.width.checked_div(gpt.heads).unwrap_or(0);
                if gpt.position == PositionKind::Rope && gpt.width == head * gpt.heads && head % 2 == 1 {
                    let message = format!(
                        "`model.position` = \"rope\" turns pairs, but `model.width` = {} over `model.heads` = {} is odd: {head}",
                        gpt.width, gpt.heads
                    );
                    self.broken(
                        message,
                        &["model.position", "model.width", "model.heads"],
                        "make the head's width even",
                    );
                }
            }
            ModelConfig::Conv1d(conv) => {
                let sizes =
                    [("model.embedding", conv.embedding), ("model.layers", conv.layers), ("model.width", conv.width)];
                self.at_least_one(&sizes);
                self.below_one(&[("model.dropout", conv.dropout)]);
                if conv.kernel % 2 == 0 {
                    let message = format!("`model.kernel` must be odd, found {}", conv.kernel);
                    self.broken(message, &["model.kernel"], format!("give {}", conv.kernel + 1));
                }
            }
            ModelConfig::SeriesTransformer(model) => {
                self.transformer(model.layers, model.heads, model.width, model.dropout);
            }
            ModelConfig::Autoencoder(AutoencoderConfig { hidden, code, dropout, .. })
            | ModelConfig::Vae(VaeConfig { hidden, code, dropout, .. }) => {
                self.at_least_one(&[("model.code", *code)]);
                self.below_one(&[("model.dropout", *dropout)]);
                if hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                if let ModelConfig::Vae(vae) = &plan.model {
                    self.not_negative(&[("model.beta", vae.beta)]);
                }
            }
            ModelConfig::MatrixFactorization(factors) => self.at_least_one(&[("model.width", factors.width)]),
            ModelConfig::Neumf(neumf) => {
                self.at_least_one(&[("model.width", neumf.width)]);
                self.below_one(&[("model.dropout", neumf.dropout)]);
                if neumf.hidden.is_empty() || neumf.hidden.contains(&0) {
                    let message = "`model.hidden` needs at least one layer, none of width 0";
                    self.broken(message, &["model.hidden"], "give positive widths");
                }
            }
            ModelConfig::TwoTower(towers) => {
                self.at_least_one(&[("model.width", towers.width)]);
                self.below_one(&[("model.dropout", towers.dropout)]);
                self.positive(&[("model.temperature", towers.temperature)]);
                if towers.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
            }
            ModelConfig::Vit(vit) => {
                self.at_least_one(&[("model.patch", vit.patch)]);
                self.transformer(vit.layers, vit.heads, vit.width, vit.dropout);
            }
            ModelConfig::FtTransformer(ft) => {
                self.transformer(ft.layers, ft.heads, ft.width, ft.dropout);
                let dropouts =
                    [("model.attention_dropout", ft.attention_dropout), ("model.hidden_dropout", ft.hidden_dropout)];
                self.below_one(&dropouts);
            }
            ModelConfig::WideAndDeep(deep) => {
                if deep.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.below_one(&[("model.dropout", deep.dropout)]);
            }
            ModelConfig::EmbeddingBag(bag) => {
                if bag.hidden.contains(&0) {
                    self.broken("`model.hidden` has a layer of width 0", &["model.hidden"], "give positive widths");
                }
                self.at_least_one(&[("model.width", bag.width)]);
                self.below_one(&[("model.dropout", bag.dropout)]);
            }
            ModelConfig::Lstm(own) | ModelConfig::Gru(own) => {
                let sizes =
                    [("model.embedding", own.embedding), ("model.width", own.width), ("model.layers", own.layers)];
                self.at_least_one(&sizes);
                self.below_one(&[("model.dropout", own.dropout)]);
            }
            ModelConfig::Encoder(own) => self.transformer(own.layers, own.heads, own.width, own.dropout),
        }
    }

    fn transformer(&mut self, layers: usize, heads: usize, width: usize, dropout: f64) {
        self.at_least_one(&[("model.layers", layers), ("model.heads", heads), ("model.width", width)]);
        self.below_one(&[("model.dropout", dropout)]);
        if heads > 0 && !width.is_multiple_of(heads) {
            let message = format!("`model.heads` = {heads} does not divide `model.width` = {width}");
            let next = format!("make `width` a multiple of {heads}, or change `heads`");
            self.broken(message, &["model.heads", "model.width"], next);
        }
    }
}
