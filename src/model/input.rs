//! A batch, as a model takes it.

use burn::tensor::{Int, Tensor};

/// A batch on the device, as a model takes it.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // one a step
pub enum Input {
    /// Token ids, `[b, t]`; those of a text are negative at padding.
    Tokens(Tensor<2, Int>),
    /// Standardised features, `[b, f]`.
    Features(Tensor<2>),
    /// Standardised pixels, `[b, channels, height, width]`.
    Image(Tensor<4>),
    /// Standardised values of windows, `[b, t, f]`.
    Sequence(Tensor<3>),
    /// Users and items to score for them.
    Choices(Choices),
}

/// Users and items to score for them.
#[derive(Debug, Clone)]
pub struct Choices {
    /// `[b]`.
    pub users: Tensor<1, Int>,
    /// `[b, m]`, each user's own, or `[1, m]` for all of them.
    pub items: Tensor<2, Int>,
}

impl Choices {
    /// Users `[b, 1]` and items `[b or 1, m]`.
    pub(super) fn places(self) -> (Tensor<2, Int>, Tensor<2, Int>) {
        (self.users.unsqueeze_dim::<2>(1), self.items)
    }
}

impl Input {
    pub(super) fn tokens(self) -> Tensor<2, Int> {
        match self {
            Self::Tokens(ids) => ids,
            _ => unreachable!("`ModelConfig::check` refuses a model of text without tokens"),
        }
    }

    pub(super) fn image(self) -> Tensor<4> {
        match self {
            Self::Image(pixels) => pixels,
            _ => unreachable!("`ModelConfig::check` refuses a model of pictures without pictures"),
        }
    }

    pub(super) fn sequence(self) -> Tensor<3> {
        match self {
            Self::Sequence(steps) => steps,
            _ => unreachable!("`ModelConfig::check` refuses a model of windows without windows"),
        }
    }

    pub(super) fn choices(self) -> Choices {
        match self {
            Self::Choices(choices) => choices,
            _ => unreachable!("`ModelConfig::check` refuses a recommender without users and items"),
        }
    }

    /// `[b, f]`; a picture or a window becomes its values in a row.
    pub(super) fn flat(self) -> Tensor<2> {
        match self {
            Self::Features(x) => x,
            Self::Image(pixels) => pixels.flatten::<2>(1, 3),
            Self::Sequence(steps) => steps.flatten::<2>(1, 2),
            Self::Tokens(_) | Self::Choices(_) => {
                unreachable!("`ModelConfig::check` refuses a model of features with anything else")
            }
        }
    }
}
