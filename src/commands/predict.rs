//! `kiln predict`: a prediction for every row of a file, or for every picture.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use burn::tensor::activation;
use serde::Serializer;
use serde_json::{Value, json};

use super::{Console, Trained, recommend::recommend};
use crate::{
    data::{
        DataConfig, HostInput, InputSchema, PADDING, Scale, Schema, TableSchema, TargetSchema, TextEncoder,
        WindowConfig,
        source::{self, table::Layout},
    },
    error::{Error, IoContext, Result},
    eval::Adjusted,
    model::{Input, Outputs},
    task::{anomaly_scores, host, upload_input},
    train::{INFERENCE, Ready},
};

/// Rows that are computed together.
const BATCH: usize = 256;

/// Predicts for `input` and writes CSV or JSONL to `output`, or to stdout.
///
/// A recommender writes the `top` items of every user.
pub fn predict(trained: &Trained, input: &Path, output: Option<&Path>, top: usize, console: &Console) -> Result<()> {
    let ready = trained.ready()?;
    if let InputSchema::Choices { .. } = &ready.task.schema().input {
        return recommend(trained, &ready, input, output, top, console);
    }
    let threshold = Adjusted::load(trained.dir.path(), ready.step).and_then(|adjusted| adjusted.threshold);
    if threshold.is_none() && matches!(ready.task.schema().target, TargetSchema::Itself { .. }) {
        let run = trained.dir.path().display();
        console.say(&format!(
            "scores only: `kiln eval {run} --split train` learns from which one a row is told an anomaly"
        ));
    }
    let mut rows = Rows::new(&ready, Writer::new(output, console.is_json())?, threshold);
    match &ready.task.schema().input {
        InputSchema::Tokens { context, .. } => {
            let Some(column) = trained.plan.data.text.clone() else {
                return Err(Error::input(format!("run `{}` is a language model", trained.dir.name()))
                    .next("use `kiln generate` for it"));
            };
            let encoder = TextEncoder::new(&trained.tokenizer()?, *context)?;
            let layout =
                layout(input, std::slice::from_ref(&column), ready.task.schema().target.names(), &trained.plan.data)?;
            source::table::read_texts(input, &column, &layout, &mut |text| rows.push_text(encoder.encode(text)?))?;
        }
        InputSchema::Choices { .. } => {
            return Err(Error::failed("choices are not predicted row by row"));
        }
        InputSchema::Table { .. } | InputSchema::Windows { .. } => {
            let schema = ready.task.schema();
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
                let pixels = source::images::read_one(&picture, ready.task.schema())?;
                let values: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
                rows.push(&values, 0, Some(picture.display().to_string()))?;
            }
        }
    }
    let count = rows.finish()?;
    if let Some(output) = output {
        console.say(&format!("{count} predictions are in {}", output.display()));
    }
    Ok(())
}

/// The layout of a table to predict for: its own file may use another delimiter than the training data did, and may
/// have a header, or lack the targets, where that had none.
pub(super) fn layout(input: &Path, needed: &[String], targets: &[String], config: &DataConfig) -> Result<Layout> {
    let unnamed = needed.iter().all(|name| name.strip_prefix('c').is_some_and(|n| n.parse::<usize>().is_ok()));
    // A file of the data's own form has the same lines before its table; another has none.
    let first = [0, config.skip].map(|skip| (skip, line(input, skip)));
    let delimiters = [config.delimiter, ',', ';', '\t'];
    let named = first.iter().find_map(|(skip, line)| {
        let names = |delimiter: &&char| {
            let cells = cells(line, **delimiter);
            needed.iter().all(|name| cells.contains(&name.as_str()))
        };
        delimiters.iter().find(names).map(|delimiter| (*skip, *delimiter))
    });
    let (skip, delimiter) = named.unwrap_or((config.skip, config.delimiter));
    let mut layout = Layout { format: None, header: config.header && !unnamed, delimiter, names: Vec::new(), skip };
    let given = source::names(config)?;
    if !given.is_empty() {
        layout.header = named.is_some();
        layout.names = given;
        let [_, (_, line)] = &first;
        if !layout.header && cells(line, delimiter).len() < layout.names.len() {
            layout.names.retain(|name| !targets.contains(name) && !config.target.contains(name));
        }
    }
    Ok(layout)
}

/// The line of a file after so many, in part if it is longer than 1 MiB; what cannot be read fails with its place in the
/// reader.
fn line(input: &Path, after: u64) -> String {
    let mut line = String::new();
    let Ok(file) = File::open(input) else { return line };
    let mut file = BufReader::new(file);
    for _ in 0..after {
        if !file.skip_until(b'\n').is_ok_and(|read| read > 0) {
            return line;
        }
    }
    let _ = file.take(1 << 20).read_line(&mut line);
    line
}

fn cells(line: &str, delimiter: char) -> Vec<&str> {
    line.trim_end().split(delimiter).map(|cell| cell.trim().trim_matches('"')).collect()
}

/// The last rows of every group of a file, as many as a window has.
struct Recent {
    length: usize,
    /// The group of every row; none where all are one.
    groups: Option<Vec<String>>,
    rows: HashMap<String, VecDeque<Vec<f32>>>,
}

impl Recent {
    /// `None` for data that are no windows.
    fn new(schema: &Schema, asked: Option<&WindowConfig>, input: &Path, layout: &Layout) -> Result<Option<Self>> {
        let InputSchema::Windows { length, .. } = &schema.input else { return Ok(None) };
        let column = asked.and_then(|asked| asked.group.as_ref());
        let groups = column.map(|column| source::table::read_column(input, layout, column)).transpose()?;
        Ok(Some(Self { length: *length, groups, rows: HashMap::new() }))
    }

    /// The window that a row ends, if there are rows enough of its group.
    fn add(&mut self, row: &[f32], number: usize) -> Option<Vec<f32>> {
        let group = self.groups.as_ref().and_then(|groups| groups.get(number)).cloned().unwrap_or_default();
        let rows = self.rows.entry(group).or_default();
        rows.push_back(row.to_vec());
        if rows.len() > self.length {
            rows.pop_front();
        }
        (rows.len() == self.length).then(|| rows.iter().flatten().copied().collect())
    }
}

/// Collects rows into batches and writes what the model says of them, in order.
struct Rows<'a> {
    ready: &'a Ready,
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
    fn new(ready: &'a Ready, writer: Writer, threshold: Option<f64>) -> Self {
        Self { ready, writer, values: Vec::new(), texts: Vec::new(), names: Vec::new(), count: 0, threshold }
    }

    /// Adds one row: the features of a table, or a picture's pixels unscaled.
    fn push(&mut self, row: &[f32], number: usize, name: Option<String>) -> Result<()> {
        match &self.ready.task.schema().scale {
            Some(scale) => self.values.extend(standardized(row, scale)),
            None => self.values.extend_from_slice(row),
        }
        self.names.push((number, name));
        if self.names.len() == BATCH { self.flush() } else { Ok(()) }
    }

    /// Adds one text.
    fn push_text(&mut self, ids: Vec<u32>) -> Result<()> {
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
        let input = match &self.ready.task.schema().input {
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
        let input = upload_input(&input, n, &self.ready.opened.device)?;
        let outputs = self.ready.model.forward(input.clone(), INFERENCE);
        let outputs = match self.ready.task.schema().target {
            TargetSchema::Classes { .. } => activation::softmax(outputs, 1),
            TargetSchema::Itself { .. } => match input {
                Input::Features(x) => anomaly_scores(outputs, x).unsqueeze_dim(1),
                _ => outputs,
            },
            _ => self.ready.task.values(Outputs::Logits(outputs)),
        };
        let [_, v] = outputs.dims();
        for (outputs, (number, name)) in host(outputs)?.chunks(v.max(1)).zip(std::mem::take(&mut self.names)) {
            let line = describe(&self.ready.task.schema().target, outputs, number, name, self.threshold);
            self.writer.write(&line)?;
            self.count += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<usize> {
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

/// One prediction: keys with their values, in the order of the columns.
pub(super) type Line = Vec<(String, Value)>;

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

/// CSV with a header, or one JSON object a line.
pub(super) enum Writer {
    Csv { out: Box<csv::Writer<Box<dyn Write>>>, begun: bool },
    Jsonl(Box<dyn Write>),
}

impl Writer {
    pub(super) fn new(output: Option<&Path>, json: bool) -> Result<Self> {
        let ending = output.and_then(Path::extension).map(|e| e.to_string_lossy().to_lowercase());
        let out: Box<dyn Write> = match output {
            Some(path) => Box::new(BufWriter::new(File::create(path).io("create", path)?)),
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        match ending.as_deref() {
            Some("jsonl") => Ok(Self::Jsonl(out)),
            None if json => Ok(Self::Jsonl(out)),
            None | Some("csv") => Ok(Self::Csv { out: Box::new(csv::Writer::from_writer(out)), begun: false }),
            Some(other) => {
                Err(Error::input(format!("--output ends in .{other}")).next("name a file that ends in .csv or .jsonl"))
            }
        }
    }

    pub(super) fn write(&mut self, line: &Line) -> Result<()> {
        match self {
            Self::Jsonl(out) => {
                let pairs = line.iter().map(|(key, value)| (key, value));
                serde_json::Serializer::new(&mut *out).collect_map(pairs).map_err(cannot_write)?;
                writeln!(out).map_err(cannot_write)
            }
            Self::Csv { out, begun } => {
                if !std::mem::replace(begun, true) {
                    out.write_record(line.iter().map(|(key, _)| key)).map_err(cannot_write)?;
                }
                let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
                out.write_record(line.iter().map(|(_, value)| cell(value))).map_err(cannot_write)
            }
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Jsonl(mut out) => out.flush().map_err(cannot_write),
            Self::Csv { mut out, .. } => out.flush().map_err(cannot_write),
        }
    }
}

fn cannot_write(e: impl std::fmt::Display) -> Error {
    Error::failed(format!("cannot write the predictions: {e}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_the_lines_before_the_table_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = |more: &str| -> DataConfig {
            let base = "task = \"classification\"\nsource = { path = \"t.csv\" }\nskip = 2\n";
            toml::from_str(&format!("{base}{more}")).unwrap()
        };
        let found = |content: &str, more: &str| {
            let path = folder.path().join("new.csv");
            std::fs::write(&path, content).unwrap();
            let needed = ["x".to_owned(), "z".to_owned()];
            let layout = layout(&path, &needed, &["y".to_owned()], &config(more)).unwrap();
            (layout.skip, layout.delimiter, layout.header, layout.names.len())
        };
        assert_eq!(found("by hand\n\nx;y;z\n1;a;2\n", ""), (2, ';', true, 0));
        assert_eq!(found("x,z\n1,2\n", ""), (0, ',', true, 0));
        let names = "header = false\nnames = [\"x\", \"y\", \"z\"]";
        assert_eq!(found("by hand\n\n1,a,2\n", names), (2, ',', false, 3));
        assert_eq!(found("by hand\n\n1,2\n", names), (2, ',', false, 2), "without the target");
        assert_eq!(found("x,z\n1,2\n", names), (0, ',', true, 3));
    }
}
