//! Examples as a person reads them.

use super::{Dataset, HostInput, HostTarget, InputSchema, Split, TargetSchema, Wanted};
use crate::error::Result;

/// Shades of a pixel, from dark to bright.
const SHADES: &[u8] = b" .:-=+*#%@";
/// Characters that a picture is drawn across.
const PICTURE_WIDTH: usize = 56;

impl Dataset {
    /// One row for a person: the decoded text, the picture in characters with its class, or the columns by name (in
    /// the units of the source) with their target.
    ///
    /// # Errors
    /// A row outside the split, or a damaged shard.
    pub fn describe(&self, split: Split, row: u64) -> Result<String> {
        let batch = self.batch(split, &[row], 0)?;
        let schema = self.schema();
        Ok(match (&batch.input, &schema.input) {
            (HostInput::Tokens { ids, .. }, _) => {
                let next = schema.target == TargetSchema::NextToken;
                let valid = if next { batch.valid() } else { ids.len() };
                let ids: Vec<u32> = ids.iter().take(valid).filter_map(|&id| id.try_into().ok()).collect();
                let text = self.tokenizer().map_or_else(|| Ok(format!("{ids:?}")), |t| t.decode(&ids))?;
                if next { text } else { format!("{text}: {}", self.target(&batch.target)) }
            }
            (HostInput::Floats { values, .. }, InputSchema::Image { channels, height, width }) => {
                let raw = self.unscaled(values);
                let picture = picture(&raw, *channels, *height, *width);
                format!("{picture}{channels}x{height}x{width}: {}", self.target(&batch.target))
            }
            (HostInput::Floats { values, .. }, InputSchema::Table { .. }) => {
                let named = schema.table.as_ref().map(|table| table.describe(values)).unwrap_or_default();
                format!("{}: {}", named.join(", "), self.target(&batch.target))
            }
            (HostInput::Floats { values, .. }, InputSchema::Windows { columns, length, .. }) => {
                let last = values.get((length - 1) * columns.len()..).unwrap_or_default();
                let named = schema.table.as_ref().map(|table| table.describe(last)).unwrap_or_default();
                format!("{length} rows to {}: {}", named.join(", "), self.target(&batch.target))
            }
            (HostInput::Choices { users, items, .. }, InputSchema::Choices { users: people, items: things }) => {
                let named = |names: &[String], id: Option<&i32>| {
                    id.and_then(|&id| names.get(usize::try_from(id).ok()?)).cloned().unwrap_or_default()
                };
                let chosen = match &batch.target {
                    HostTarget::Items(Wanted::Ranked { relevant, .. }) => {
                        let ids = relevant.iter().flatten().map(|&id| id as i32);
                        ids.map(|id| named(things, Some(&id))).collect::<Vec<_>>().join(", ")
                    }
                    _ => named(things, items.first()),
                };
                format!("{} chose {chosen}", named(people, users.first()))
            }
            (other, _) => format!("{other:?}"),
        })
    }

    fn unscaled(&self, values: &[f32]) -> Vec<f32> {
        let Some(scale) = &self.schema().scale else { return values.to_vec() };
        let channel = (values.len() / scale.mean.len().max(1)).max(1);
        let channels = values.chunks(channel).zip(scale.mean.iter().zip(&scale.std));
        channels.flat_map(|(values, (mean, std))| values.iter().map(move |v| v * std + mean)).collect()
    }

    fn target(&self, target: &HostTarget) -> String {
        match (target, &self.schema().target) {
            (HostTarget::Classes(ids), TargetSchema::Classes { names }) => {
                let name = |&id: &i32| usize::try_from(id).ok().and_then(|id| names.get(id)).cloned();
                ids.iter().filter_map(name).collect::<Vec<_>>().join(", ")
            }
            (HostTarget::Values { values, .. }, TargetSchema::Values { names }) => {
                let named = names.iter().zip(values).map(|(name, v)| format!("{name} = {v}"));
                named.collect::<Vec<_>>().join(", ")
            }
            (HostTarget::Itself { anomalies }, TargetSchema::Itself { labelled: true }) => {
                if anomalies.contains(&true) { "an anomaly".into() } else { "normal".into() }
            }
            (HostTarget::Itself { .. }, _) => "no label".into(),
            (other, _) => format!("{other:?}"),
        }
    }
}

/// Pixels in `[0, 1]`, `[channels, height, width]`, as lines of characters; a character is twice as high as wide.
fn picture(pixels: &[f32], channels: usize, height: usize, width: usize) -> String {
    let columns = width.saturating_mul(2).clamp(1, PICTURE_WIDTH);
    let lines = (height * columns / (2 * width.max(1))).max(1);
    let mut out = String::new();
    for line in 0..lines {
        for column in 0..columns {
            let at = line * height / lines * width + column * width / columns;
            let sum: f32 = (0..channels).filter_map(|c| pixels.get(c * height * width + at)).sum();
            let shade = (sum / channels.max(1) as f32 * (SHADES.len() - 1) as f32).round() as usize;
            out.push(char::from(SHADES.get(shade).copied().unwrap_or(b'@')));
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        assert_eq!(picture(&[0.0, 1.0, 1.0, 0.0], 1, 2, 2), "  @@\n@@\n");
        assert_eq!(picture(&[0.0; 128 * 128 * 3], 3, 128, 128).lines().count(), 28);
    }
}
