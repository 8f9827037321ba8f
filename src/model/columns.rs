//! The features of a table by their sort: numbers, and codes of categories to embed.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Categories, InputShape, Signature, rules};
use crate::error::{Error, Result};

/// Which features are numbers and which are codes.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    /// Indices of the numbers; empty where all features are.
    numbers: Vec<i32>,
    codes: Vec<Categories>,
    features: usize,
}

impl Columns {
    /// Of what the data gives; a picture is all numbers.
    pub(super) fn of(kind: &str, sig: &Signature) -> Result<Self> {
        let InputShape::Mixed { features, codes } = &sig.input else {
            return Ok(Self { features: rules::features(kind, sig)?, ..Self::default() });
        };
        let is_code = |feature: usize| codes.iter().any(|code| code.feature == feature);
        let numbers = (0..*features).filter(|feature| !is_code(*feature)).map(|feature| feature as i32).collect();
        Ok(Self { numbers, codes: codes.clone(), features: *features })
    }

    /// Features that are numbers.
    pub(super) fn numbers(&self) -> usize {
        self.features - self.codes.len()
    }

    /// How many codes every column of categories has.
    pub(super) fn codes(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.codes.iter().map(|code| code.codes)
    }

    /// `x` `[b, features]` to its numbers, `[b, numbers]`.
    pub(super) fn take_numbers(&self, x: &Tensor<2>) -> Tensor<2> {
        if self.codes.is_empty() {
            return x.clone();
        }
        x.clone().select(1, indices(&self.numbers, &x.device()))
    }

    /// `x` `[b, features]` to the codes of its categories, `[b, columns]`.
    pub(super) fn take_codes(&self, x: &Tensor<2>) -> Tensor<2, Int> {
        let places: Vec<i32> = self.codes.iter().map(|code| code.feature as i32).collect();
        x.clone().select(1, indices(&places, &x.device())).int()
    }

    /// The same as rows of one table that holds all columns' one after the other; a code too high is the column's last.
    pub(super) fn take_rows(&self, x: &Tensor<2>) -> Tensor<2, Int> {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        let mut next = 0;
        for codes in self.codes() {
            first.push(next as i32);
            next += codes;
            last.push(next as i32 - 1);
        }
        let row = |values: Vec<i32>| indices(&values, &x.device()).unsqueeze::<2>();
        let rows = self.take_codes(x).clamp_min(0) + row(first);
        rows.min_pair(row(last))
    }
}

fn indices(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

/// Refuses codes for a model that takes them for amounts.
pub(super) fn no_codes(kind: &str, sig: &Signature) -> Result<()> {
    match &sig.input {
        InputShape::Mixed { .. } => Err(Error::input(format!(
            "`model.kind` = \"{kind}\" takes numbers, but a column's `encode` = \"embedding\" gives codes to embed"
        ))
        .next("set `model.kind` to \"mlp\", \"ft-transformer\" or \"wide-and-deep\", or choose another `encode`")),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_codes_are_told_apart_and_stay_in_range() {
        let codes = vec![Categories { feature: 0, codes: 3 }, Categories { feature: 2, codes: 2 }];
        let sig = Signature { input: InputShape::Mixed { features: 4, codes }, outputs: 1 };
        let columns = Columns::of("mlp", &sig).unwrap();
        let x = Tensor::<2>::from_data([[2.0, 0.5, 1.0, -1.0], [9.0, 0.1, -4.0, 3.0]], &Device::flex());
        let numbers = columns.take_numbers(&x).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!((columns.numbers(), numbers), (2, vec![0.5, -1.0, 0.1, 3.0]));
        let rows = columns.take_rows(&x).into_data().convert::<i64>().try_into_vec::<i64>().unwrap();
        assert_eq!(rows, [2, 4, 2, 3]);
    }
}
