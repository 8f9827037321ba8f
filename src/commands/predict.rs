//! `kiln predict`: a prediction for every row of a file, or for every picture.

mod layout;
mod model;
mod recent;
mod rows;
mod writer;

use std::path::{Path, PathBuf};

use super::{Console, Trained, recommend::recommend};
use crate::{
    data::{InputSchema, TableSchema, TargetSchema, TextEncoder, source},
    error::{Error, IoContext, Result},
    eval::Adjusted,
    train::Ready,
};
pub(super) use layout::layout;
use model::{Model, calibration, classic};
use recent::Recent;
use rows::Rows;
pub(super) use writer::Writer;

/// Whose word is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Says {
    /// The network's.
    #[default]
    Network,
    /// The network's, by what the validation rows taught of it: probabilities by the temperature, values with bounds.
    Calibrated,
    /// That of the best classic model, which the run keeps; the network is not even loaded.
    Baseline,
}

/// What to predict for.
#[derive(Debug, Clone)]
pub struct PredictArgs {
    /// A table, a picture or a folder of pictures.
    pub input: PathBuf,
    /// CSV or JSONL; stdout if there is none.
    pub output: Option<PathBuf>,
    /// A recommender's items for every user.
    pub top: usize,
    /// Who says it.
    pub says: Says,
}

/// Predicts for every row.
///
/// # Errors
/// A file that is not of the run's kind, values that it does not take, or a model that is not there.
pub fn predict(trained: &Trained, args: &PredictArgs, console: &Console) -> Result<()> {
    let PredictArgs { output, says, .. } = args;
    let writer = || Writer::new(output.as_deref(), console.is_json());
    let count = if *says == Says::Baseline {
        let (schema, gate) = (trained.schema()?, classic(trained)?);
        console.say(&format!("predictions of the classic model: {}", gate.best.name()));
        read(trained, &args.input, Rows::new(&schema, Model::Classic(Box::new(gate)), writer()?, None), console)?
    } else {
        let ready = trained.ready()?;
        let schema = ready.task.schema();
        if let InputSchema::Choices { .. } = &schema.input {
            return recommend(trained, &ready, &args.input, output.as_deref(), args.top, console);
        }
        let calibrated = (*says == Says::Calibrated).then(|| calibration(trained, &ready)).transpose()?;
        let threshold = threshold(trained, &ready, console);
        read(
            trained,
            &args.input,
            Rows::new(schema, Model::Network(&ready, calibrated), writer()?, threshold),
            console,
        )?
    };
    if let Some(output) = output {
        console.say(&format!("{count} predictions are in {}", output.display()));
    }
    Ok(())
}

/// The score from which a row is told to be an anomaly.
fn threshold(trained: &Trained, ready: &Ready, console: &Console) -> Option<f64> {
    let threshold = Adjusted::load(trained.dir.path(), ready.step).and_then(|adjusted| adjusted.threshold);
    if threshold.is_none() && matches!(ready.task.schema().target, TargetSchema::Itself { .. }) {
        let run = trained.dir.path().display();
        console.say(&format!(
            "scores only: `kiln eval {run} --split train` learns from which one a row is told an anomaly"
        ));
    }
    threshold
}

/// Predicts for all of `input`; how many there were.
fn read(trained: &Trained, input: &Path, mut rows: Rows<'_>, console: &Console) -> Result<usize> {
    let schema = rows.schema();
    match &schema.input {
        InputSchema::Tokens { context, .. } => {
            let Some(column) = trained.plan.data.text.clone() else {
                return Err(Error::input(format!("run `{}` is a language model", trained.dir.name()))
                    .next("use `kiln generate` for it"));
            };
            let encoder = TextEncoder::new(&trained.tokenizer()?, *context)?;
            let layout = layout(input, std::slice::from_ref(&column), schema.target.names(), &trained.plan.data)?;
            source::table::read_texts(input, &column, &layout, &mut |text| rows.push_text(encoder.encode(text)?))?;
        }
        InputSchema::Choices { .. } => {
            return Err(
                Error::input("a recommender's users are predicted by its network alone").next("leave --baseline out")
            );
        }
        InputSchema::Table { .. } | InputSchema::Windows { .. } => {
            let needed = schema.table.as_ref().map(TableSchema::needed).unwrap_or_default();
            let layout = layout(input, &needed, schema.target.names(), &trained.plan.data)?;
            // All faults are told before anything is written.
            let read = source::table::read_rows(input, schema, &layout, &mut |_| Ok(()))?;
            read.told.iter().for_each(|line| console.say(line));
            let mut windows = Recent::new(schema, trained.plan.data.window.as_ref(), input, &layout)?;
            let mut number = 0;
            source::table::read_rows(input, schema, &layout, &mut |row| {
                number += 1;
                match &mut windows {
                    None => rows.push(row, number - 1, None),
                    Some(windows) => windows.add(row, number - 1).map_or(Ok(()), |w| rows.push(&w, number - 1, None)),
                }
            })?;
        }
        InputSchema::Image { .. } => {
            for picture in pictures(input)? {
                let pixels = source::images::read_one(&picture, schema)?;
                let values: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
                rows.push(&values, 0, Some(picture.display().to_string()))?;
            }
        }
    }
    rows.finish()
}

/// One picture, or every png and jpeg right in a folder, by name.
fn pictures(input: &Path) -> Result<Vec<PathBuf>> {
    if !input.is_dir() {
        return Ok(vec![input.to_path_buf()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(input).io("read", input)? {
        let path = entry.io("read", input)?.path();
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if ["png", "jpg", "jpeg"].contains(&ending.as_str()) {
            found.push(path);
        }
    }
    if found.is_empty() {
        return Err(Error::input(format!("{} holds no png or jpeg file", input.display())));
    }
    found.sort();
    Ok(found)
}
