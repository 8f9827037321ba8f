//! Where rows come from.

pub mod idx;
pub mod images;
pub mod table;

#[cfg(test)]
pub(crate) use tests::Kept;

#[cfg(test)]
mod tests {
    use crate::data::{Features, RecordSink, Split, Target};
    use crate::error::Result;

    /// A sink that keeps every row in memory as `(split, features, target)`.
    #[derive(Debug, Default)]
    pub(crate) struct Kept {
        pub(crate) rows: Vec<(Option<Split>, Vec<f32>, Vec<f32>)>,
    }

    impl RecordSink for Kept {
        fn push(&mut self, split: Option<Split>, features: Features<'_>, target: Target<'_>) -> Result<()> {
            let features = match features {
                Features::U8(bytes) => bytes.iter().map(|&byte| f32::from(byte)).collect(),
                Features::F32(values) => values.to_vec(),
            };
            let target = match target {
                Target::Class(class) => vec![class as f32],
                Target::Values(values) => values.to_vec(),
            };
            self.rows.push((split, features, target));
            Ok(())
        }
    }
}
