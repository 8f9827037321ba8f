//! Rows in batches, and what a model says of them.

use serde_json::json;

use super::{
    model::Model,
    writer::{Line, Writer},
};
use crate::{
    data::{HostInput, InputSchema, PADDING, Scale, Schema, TargetSchema},
    error::Result,
};

/// Rows that are computed together.
const BATCH: usize = 256;

/// Collects rows into batches and writes what the model says of them, in order.
pub(super) struct Rows<'a> {
    schema: &'a Schema,
    model: Model<'a>,
    writer: Writer,
    values: Vec<f32>,
    texts: Vec<Vec<u32>>,
    /// The row's number in its file, or a picture's name.
    names: Vec<(usize, Option<String>)>,
    count: usize,
    /// Anomalies: the score from which a row is told to be one.
    threshold: Option<f64>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(schema: &'a Schema, model: Model<'a>, writer: Writer, threshold: Option<f64>) -> Self {
        let (values, texts, names) = (Vec::new(), Vec::new(), Vec::new());
        Self { schema, model, writer, values, texts, names, count: 0, threshold }
    }

    pub(super) fn schema(&self) -> &'a Schema {
        self.schema
    }

    /// Adds one row: the features of a table, or a picture's pixels unscaled.
    pub(super) fn push(&mut self, row: &[f32], number: usize, name: Option<String>) -> Result<()> {
        match &self.schema.scale {
            Some(scale) => self.values.extend(standardized(row, scale)),
            None => self.values.extend_from_slice(row),
        }
        self.names.push((number, name));
        if self.names.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Adds one text.
    pub(super) fn push_text(&mut self, ids: Vec<u32>) -> Result<()> {
        self.texts.push(ids);
        self.names.push((self.count + self.names.len(), None));
        if self.names.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let n = self.names.len();
        if n == 0 {
            return Ok(());
        }
        let values = std::mem::take(&mut self.values);
        let input = match &self.schema.input {
            InputSchema::Image { channels, height, width } => {
                HostInput::Floats { values, shape: vec![*channels, *height, *width] }
            }
            InputSchema::Windows { columns, length, .. } => {
                HostInput::Floats { values, shape: vec![*length, columns.len()] }
            }
            InputSchema::Tokens { .. } => padded(&std::mem::take(&mut self.texts)),
            InputSchema::Table { .. } | InputSchema::Choices { .. } => {
                HostInput::Floats { shape: vec![values.len() / n], values }
            }
        };
        let outputs = self.model.outputs(self.schema, input, n)?;
        let v = outputs.len() / n;
        for (outputs, (number, name)) in outputs.chunks(v.max(1)).zip(std::mem::take(&mut self.names)) {
            let mut line = describe(&self.schema.target, outputs, number, name, self.threshold);
            line.extend(self.model.intervals(&self.schema.target, outputs));
            self.writer.write(&line)?;
            self.count += 1;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<usize> {
        self.flush()?;
        self.writer.finish()?;
        Ok(self.count)
    }
}

/// Texts as long as the longest of them.
fn padded(texts: &[Vec<u32>]) -> HostInput {
    let context = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let row = |text: &Vec<u32>| {
        let padding = std::iter::repeat_n(PADDING, context - text.len());
        text.iter().map(|id| id.cast_signed()).chain(padding).collect::<Vec<_>>()
    };
    HostInput::Tokens { ids: texts.iter().flat_map(row).collect(), context }
}

/// `(x - mean) / std` per channel of a picture.
fn standardized(row: &[f32], scale: &Scale) -> Vec<f32> {
    let each = (row.len() / scale.mean.len().max(1)).max(1);
    let scaled = row.chunks(each).zip(scale.mean.iter().zip(&scale.std));
    scaled.flat_map(|(values, (mean, std))| values.iter().map(move |x| (x - mean) / std)).collect()
}

/// The class with its probability and everyone's, the values by name, or the score and whether it is past the threshold.
fn describe(target: &TargetSchema, outputs: &[f32], row: usize, name: Option<String>, threshold: Option<f64>) -> Line {
    let mut line = vec![match name {
        Some(name) => ("file".to_string(), json!(name)),
        None => ("row".to_string(), json!(row)),
    }];
    match target {
        TargetSchema::Classes { names } => {
            let best = outputs.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
            line.push(("prediction".into(), json!(names.get(best))));
            line.push(("probability".into(), json!(outputs.get(best))));
            line.extend(names.iter().zip(outputs).map(|(name, p)| (format!("p_{name}"), json!(p))));
        }
        TargetSchema::Values { names } => {
            line.extend(names.iter().zip(outputs).map(|(name, y)| (name.clone(), json!(y))))
        }
        TargetSchema::Itself { .. } => {
            line.push(("score".into(), json!(outputs.first())));
            let flag = threshold.zip(outputs.first()).map(|(threshold, score)| f64::from(*score) >= threshold);
            line.extend(flag.map(|flag| ("anomaly".into(), json!(flag))));
        }
        TargetSchema::NextToken | TargetSchema::Items => {}
    }
    line
}
