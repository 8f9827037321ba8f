//! Rows of prepared data as classic models read them: flat, in memory, bounded.

use kiln_classic::{Model, Rows, Targets};

use super::{Gate, texts::Terms, users};
use crate::{
    data::{Codes, Dataset, HostInput, HostTarget, InputSchema, Sampler, Schema, Split, TableSchema, TargetSchema},
    error::{Error, Result},
    metric::{Predictions, Truth},
};

/// Numbers that are held at most, so that wide rows are fewer: 32 MiB of them, and some seconds for each model.
const MAX_NUMBERS: usize = 8 << 20;

/// Codes of a column of categories, at most, that become a column each.
const ONE_HOT: usize = 65;

/// Rows that are read together.
const BATCH: usize = 1024;

/// Feature rows with their targets.
#[derive(Debug, Clone)]
pub struct Table {
    /// `[rows, columns]`
    pub values: Vec<f32>,
    /// Numbers of a row.
    pub columns: usize,
    /// Classes, or target columns.
    pub outputs: usize,
    /// Their targets.
    pub truth: Truth,
    /// Rows that the split has; those of the table are drawn from them at random where they are fewer.
    pub of: u64,
}

impl Table {
    /// Rows that were read.
    pub fn len(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { values: &self.values, columns: self.columns }
    }

    pub(super) fn targets(&self) -> Targets<'_> {
        match &self.truth {
            Truth::Classes(ids) => Targets::Classes { ids, classes: self.outputs },
            Truth::Values(values) => Targets::Values { values, width: self.outputs },
            Truth::Anomalies(_) | Truth::Users(_) => Targets::Values { values: &[], width: 1 },
        }
    }
}

/// Columns and outputs of a row; `None` for tokens.
pub(super) fn shape(schema: &Schema) -> Option<(usize, usize)> {
    let columns = match &schema.input {
        InputSchema::Table { columns } => columns.len(),
        InputSchema::Image { channels, height, width } => channels * height * width,
        InputSchema::Windows { columns, length, .. } => length * columns.len(),
        InputSchema::Tokens { .. } | InputSchema::Choices { .. } => return None,
    };
    match &schema.target {
        TargetSchema::Classes { names } | TargetSchema::Values { names } => Some((columns, names.len())),
        TargetSchema::Itself { .. } => Some((columns, 1)),
        TargetSchema::NextToken | TargetSchema::Items => None,
    }
}

/// Reads a split, or `most` rows of it drawn by `seed`, in the order of the split; 0 reads all of it.
///
/// # Errors
/// Data that are no rows of numbers, or a damaged shard.
pub fn read_rows(dataset: &Dataset, split: Split, most: usize, seed: u64) -> Result<Table> {
    let (columns, outputs) =
        shape(dataset.schema()).ok_or_else(|| Error::failed("tokens are not rows that a classic model reads"))?;
    read(dataset, split, (most, seed), (columns, outputs), &|input, values| {
        if let HostInput::Floats { values: read, .. } = input {
            values.extend(read);
        }
    })
}

/// Reads a split, or `most` rows of it drawn by `seed`; `write` appends `columns` numbers for each example of a batch.
fn read(
    dataset: &Dataset,
    split: Split,
    (most, seed): (usize, u64),
    (columns, outputs): (usize, usize),
    write: &dyn Fn(HostInput, &mut Vec<f32>),
) -> Result<Table> {
    let of = dataset.len(split);
    let mut rows: Vec<u64> = match most {
        0 => (0..of).collect(),
        most => {
            let most = (most.min(MAX_NUMBERS / columns.max(1)).max(1) as u64).min(of);
            // The sampler's first epoch is a random order of the split.
            Sampler::new(seed, of).rows(0, most as usize).into_iter().map(|(_, row)| row).collect()
        }
    };
    rows.sort_unstable();
    let (mut values, mut ids, mut reals) = (Vec::with_capacity(rows.len() * columns), Vec::new(), Vec::new());
    let mut flags = Vec::new();
    for some in rows.chunks(BATCH) {
        let batch = dataset.batch(split, some, 0)?;
        write(batch.input, &mut values);
        match batch.target {
            HostTarget::Classes(read) => ids.extend(read.into_iter().filter_map(|id| u32::try_from(id).ok())),
            HostTarget::Values { values, .. } => reals.extend(values),
            HostTarget::Itself { anomalies } => flags.extend(anomalies),
            HostTarget::Items(_) => {}
        }
    }
    let truth = match dataset.schema().target {
        TargetSchema::Classes { .. } => Truth::Classes(ids),
        TargetSchema::Itself { .. } => Truth::Anomalies(flags),
        _ => Truth::Values(reals),
    };
    Ok(Table { values, columns, outputs, truth, of })
}

/// The rows as classic models read them: texts as the weighted counts that `terms` tell, and a code of few categories becomes a column a category, since codes are no
/// amounts. A tree takes the codes of many as they are.
///
/// # Errors
/// As [`read_rows`].
pub(super) fn classic_rows(
    dataset: &Dataset,
    terms: Option<&Terms>,
    split: Split,
    most: usize,
    seed: u64,
) -> Result<Table> {
    if let Some(terms) = terms {
        let shape = (terms.columns(), dataset.schema().target.names().len());
        return read(dataset, split, (most, seed), shape, &|input, values| terms.write(input, values));
    }
    let few = Few::of(dataset.schema());
    let columns = shape(dataset.schema()).map_or(1, |(columns, _)| columns);
    let fits = MAX_NUMBERS / few.columns(columns).max(1);
    let table = read_rows(dataset, split, if most == 0 { 0 } else { most.min(fits).max(1) }, seed)?;
    Ok(Table { values: few.apart(table.values, columns), columns: few.columns(columns), ..table })
}

/// Codes of few categories, each of which becomes a column: codes are no amounts.
struct Few(Vec<Codes>);

impl Few {
    fn of(schema: &Schema) -> Self {
        let codes = schema.table.as_ref().map(TableSchema::codes).unwrap_or_default();
        Self(codes.into_iter().filter(|codes| codes.codes <= ONE_HOT).collect())
    }

    /// Columns of what has `columns`.
    fn columns(&self, columns: usize) -> usize {
        columns + self.0.iter().map(|codes| codes.codes).sum::<usize>() - self.0.len()
    }

    /// Rows of `columns` with a column a category.
    fn apart(&self, values: Vec<f32>, columns: usize) -> Vec<f32> {
        if self.0.is_empty() {
            return values;
        }
        let mut apart = Vec::with_capacity(values.len() / columns.max(1) * self.columns(columns));
        for (at, value) in values.iter().enumerate() {
            match self.0.iter().find(|codes| codes.feature == at % columns.max(1)) {
                Some(codes) => apart.extend((0..codes.codes).map(|code| f32::from(u8::from(*value == code as f32)))),
                None => apart.push(*value),
            }
        }
        apart
    }
}

impl Gate {
    /// What its best model says of examples as a data set gives them: probabilities or values, `[examples, outputs]`.
    ///
    /// # Errors
    /// Examples of another shape.
    pub fn predict(&self, schema: &Schema, input: HostInput) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        match (&self.terms, input) {
            (Some(terms), input) => terms.write(input, &mut values),
            (None, HostInput::Floats { values: read, shape }) => {
                values = Few::of(schema).apart(read, shape.iter().product());
            }
            (None, _) => {}
        }
        let rows = Rows { values: &values, columns: self.model.columns() };
        self.model.predict(rows).map_err(|e| Error::failed(format!("the baseline cannot predict: {e}")))
    }
}

/// What a classic model says of a whole split, read in parts.
///
/// # Errors
/// A model of other columns, or a damaged shard.
pub fn predictions_of(model: &Model, terms: Option<&Terms>, dataset: &Dataset, split: Split) -> Result<Predictions> {
    if dataset.schema().target == TargetSchema::Items {
        return users::predictions_of(model, dataset, split);
    }
    let table = classic_rows(dataset, terms, split, 0, 0)?;
    let outputs =
        model.predict(table.rows()).map_err(|e| Error::failed(format!("the baseline cannot predict: {e}")))?;
    Predictions::new(outputs, model.outputs(), table.truth)
}
