//! The block of a transformer encoder: normalised before or after, its hidden layer gated or not.

use burn::{
    module::Module,
    tensor::{Device, Tensor, activation},
};

use super::{Attention, AttentionConfig, Dropout, DropoutConfig, Linear, LinearConfig, Norm, Sight};

/// What lies between the two linear layers of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    /// GELU by erf, as BERT computes it.
    Gelu,
    /// `a max(0, b)` of the halves of twice as many values (ReGLU, Shazeer 2020).
    Reglu,
}

/// Builds an [`EncoderBlock`].
#[derive(Debug, Clone)]
pub struct EncoderBlockConfig {
    /// Attention; its `dropout` is that of the weights.
    pub attention: AttentionConfig,
    /// Width between the linear layers.
    pub hidden: usize,
    /// What lies between them.
    pub activation: Hidden,
    /// Standard deviation of their weights; PyTorch's default where there is none.
    pub std: Option<f64>,
    /// Normalises sums (Vaswani et al. 2017) instead of what goes into the two parts.
    pub post_norm: bool,
    /// Whether what goes into attention is normalised, where sums are not.
    pub first_norm: bool,
    /// Added to the variance.
    pub epsilon: f64,
    /// Probability of zeroing a value between the linear layers while training.
    pub hidden_dropout: f64,
    /// Probability of zeroing what is added to the stream while training.
    pub dropout: f64,
}

impl EncoderBlockConfig {
    /// Draws the parameters on `device`.
    pub fn init(&self, device: &Device) -> EncoderBlock {
        let width = self.attention.width;
        let norm = || Norm::layer(width, true, self.epsilon, device);
        let linear = |inputs, outputs| {
            let config = LinearConfig::new(inputs, outputs);
            self.std.map_or(config.clone(), |std| config.normal(std)).init(device)
        };
        let columns = if self.activation == Hidden::Reglu { 2 * self.hidden } else { self.hidden };
        EncoderBlock {
            attention_norm: (self.post_norm || self.first_norm).then(norm),
            attention: self.attention.with_output_dropout(self.dropout, device),
            feed_forward_norm: norm(),
            up: linear(width, columns),
            down: linear(self.hidden, width),
            hidden_dropout: DropoutConfig::new(self.hidden_dropout).init(),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
            post_norm: self.post_norm,
        }
    }

    /// Learnable parameters.
    pub fn num_params(&self) -> usize {
        let (width, hidden) = (self.attention.width, self.hidden);
        let columns = if self.activation == Hidden::Reglu { 2 * hidden } else { hidden };
        let norms = if self.post_norm || self.first_norm { 4 * width } else { 2 * width };
        norms + 4 * width * width + 4 * width + width * columns + columns + hidden * width + width
    }
}

/// Attention, then the feed-forward part, each added to the stream.
#[derive(Module, Debug)]
pub struct EncoderBlock {
    attention_norm: Option<Norm>,
    attention: Attention,
    feed_forward_norm: Norm,
    up: Linear,
    down: Linear,
    hidden_dropout: Dropout,
    dropout: Dropout,
    #[module(skip)]
    activation: Hidden,
    post_norm: bool,
}

impl EncoderBlock {
    /// `[b, t, c]` to the same shape and dtype.
    pub fn forward(&self, x: Tensor<3>, sight: &Sight) -> Tensor<3> {
        let normed = |x: Tensor<3>| match &self.attention_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        if self.post_norm {
            let x = normed(x.clone() + self.attention.forward(x, sight, None));
            return self.feed_forward_norm.forward(x.clone() + self.feed_forward(x));
        }
        let x = x.clone() + self.attention.forward(normed(x), sight, None);
        x.clone() + self.feed_forward(self.feed_forward_norm.forward(x))
    }

    fn feed_forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.up.forward(x);
        let hidden = match self.activation {
            Hidden::Gelu => kiln_kernels::gelu_erf(hidden),
            Hidden::Reglu => {
                let half = hidden.dims()[2] / 2;
                hidden.clone().narrow(2, 0, half) * activation::relu(hidden.narrow(2, half, half))
            }
        };
        self.dropout.forward(self.down.forward(self.hidden_dropout.forward(hidden)))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn every_form_has_its_parameters_and_its_scale() {
        let device = Device::flex();
        device.seed(1);
        for (post_norm, first_norm, activation) in
            [(true, true, Hidden::Gelu), (false, true, Hidden::Gelu), (false, false, Hidden::Reglu)]
        {
            let attention = AttentionConfig::full(8, 2, 0.1, 0.0);
            let config = EncoderBlockConfig {
                attention,
                hidden: 12,
                activation,
                std: None,
                post_norm,
                first_norm,
                epsilon: 1e-5,
                hidden_dropout: 0.0,
                dropout: 0.0,
            };
            let block = config.init(&device);
            assert_eq!(block.num_params(), config.num_params());
            let x = Tensor::<3>::random([2, 3, 8], Distribution::Normal(5.0, 1.0), &device);
            let y = block.forward(x, &Sight::full());
            // Only sums that are normalised lose the mean.
            assert_eq!(y.mean().into_scalar::<f32>().abs() < 1e-5, post_norm);
        }
    }
}
