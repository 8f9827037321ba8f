//! A column of numbers (or of true and false): filled, fenced and scaled.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Cell, CleanConfig, ColumnType, Constant, Fault, Fence, Impute, OnOutlier, Outliers, Scaler, Scaling,
    impute::{boolean, mode},
    sample::{Moments, Sample},
};

/// Distinct values among which the most frequent one is looked for.
const DISTINCT: usize = 100_000;

/// What the training split showed of a column.
pub(super) struct NumberProfile {
    pub(super) missing: u64,
    scaling: Scaling,
    observed: Moments,
    /// Of what the scale takes moments of.
    inner: Moments,
    ends: (f64, f64),
    sample: Sample,
    counts: Option<HashMap<u64, u64>>,
}

impl NumberProfile {
    pub(super) fn new(kind: ColumnType, settings: &CleanConfig, columns: usize) -> Self {
        let counted = kind == ColumnType::Boolean || settings.impute == Some(Impute::Mode);
        Self {
            missing: 0,
            scaling: scaling(kind, settings),
            observed: Moments::default(),
            inner: Moments::default(),
            ends: (f64::INFINITY, f64::NEG_INFINITY),
            sample: Sample::new(columns),
            counts: counted.then(HashMap::new),
        }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.observed.add(value);
        let inner = self.scaling.inner(value);
        if inner.is_finite() {
            self.inner.add(inner);
        }
        self.ends = (self.ends.0.min(value), self.ends.1.max(value));
        self.sample.add(value);
        if let Some(counts) = &mut self.counts
            && (counts.len() < DISTINCT || counts.contains_key(&value.to_bits()))
        {
            *counts.entry(value.to_bits()).or_default() += 1;
        }
    }

    fn fill(&self, kind: ColumnType, impute: Option<&Impute>) -> f64 {
        let impute = impute.filter(|impute| impute.fits(kind));
        match (impute, &self.counts) {
            (Some(Impute::Constant(Constant::Number(value))), _) => *value,
            (Some(Impute::Constant(Constant::Text(text))), _) => f64::from(u8::from(boolean(text) == Some(true))),
            (Some(Impute::Mean | Impute::Knn(_)), _) => self.observed.mean(),
            (Some(Impute::Mode) | None, Some(counts)) => {
                let mut counts: Vec<(f64, u64)> = counts.iter().map(|(v, n)| (f64::from_bits(*v), *n)).collect();
                counts.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                mode(counts.into_iter()).unwrap_or(0.0)
            }
            _ => super::sample::quantile(&self.sample.sorted(0.0, 0), 0.5),
        }
    }
}

fn scaling(kind: ColumnType, settings: &CleanConfig) -> Scaling {
    match kind {
        ColumnType::Boolean => Scaling::None,
        _ => settings.scale.unwrap_or(Scaling::Standard),
    }
}

/// A column of numbers as it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// What takes the place of a missing value.
    pub fill: f64,
    /// So many nearest rows fill a missing value instead, where there are any; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub neighbours: usize,
    /// A further feature tells where the value was missing.
    pub indicator: bool,
    /// Bounds of outliers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// How it was asked to be scaled.
    pub scaling: Scaling,
    /// The learned scale.
    pub scaler: Scaler,
}

impl Number {
    pub(super) fn fit(profile: &NumberProfile, kind: ColumnType, settings: &CleanConfig) -> Self {
        let fill = profile.fill(kind, settings.impute.as_ref());
        let outliers = settings.outliers.filter(|_| kind == ColumnType::Numeric).unwrap_or(Outliers::None);
        let then = settings.on_outlier.unwrap_or(OnOutlier::Clip);
        let fence = outliers.fence(&profile.observed, &profile.sample.sorted(0.0, 0), then);
        let through = |value: f64| fence.map_or(value, |fence| fence.apply(value));
        // What neighbours fill differs from row to row: the scale's quantiles then come from the values that are there.
        let fills = if matches!(settings.impute, Some(Impute::Knn(_))) { 0 } else { profile.missing };
        let mut sorted = profile.sample.sorted(fill, fills);
        sorted.iter_mut().for_each(|value| *value = through(*value));
        let mut moments = profile.inner;
        let filled = profile.scaling.inner(fill);
        if filled.is_finite() {
            moments.add_many(filled, profile.missing);
        }
        let (low, high) = profile.ends;
        let ends = if profile.missing > 0 { (low.min(fill), high.max(fill)) } else { (low, high) };
        let scaler = profile.scaling.fit(&moments, &sorted, (through(ends.0), through(ends.1)));
        let indicator = settings.indicator.unwrap_or(profile.missing > 0);
        let neighbours = match settings.impute {
            Some(Impute::Knn(k)) if kind == ColumnType::Numeric => k,
            _ => 0,
        };
        Self { fill, neighbours, indicator, fence, scaling: profile.scaling, scaler }
    }

    /// Whether its moments must be taken again, of what the fence lets through.
    pub(super) fn refines(&self, rows_are_dropped: bool) -> bool {
        let clipped = self.fence.is_some_and(|fence| fence.then == OnOutlier::Clip);
        self.scaling.needs_moments() && (clipped || rows_are_dropped || self.neighbours > 0)
    }

    /// Adds what reaches the scale.
    pub(super) fn observe(&self, value: Option<f64>, fill: Option<f64>, moments: &mut Moments) {
        let value = value.or(fill).unwrap_or(self.fill);
        let inner = self.scaling.inner(self.fence.map_or(value, |fence| fence.apply(value)));
        if inner.is_finite() {
            moments.add(inner);
        }
    }

    pub(super) fn refine(&mut self, moments: &Moments) {
        self.scaler = self.scaling.fit(moments, &[], (0.0, 0.0));
    }

    pub(super) fn outputs(&self, name: &str) -> Vec<String> {
        let marked = self.fence.is_some_and(|fence| fence.then == OnOutlier::Mark);
        let further = [(self.indicator, "missing"), (marked, "outlier")];
        let further = further.into_iter().filter(|(there, _)| *there).map(|(_, what)| format!("{name}:{what}"));
        [name.to_owned()].into_iter().chain(further).collect()
    }

    /// Appends the outputs; whether the value is an outlier. `fill` is what neighbours say of a missing one.
    ///
    /// # Errors
    /// A value without a logarithm under [`Scaler::Log1p`].
    pub(super) fn write(&self, value: Option<f64>, fill: Option<f64>, out: &mut Vec<f32>) -> Result<bool, Fault> {
        let x = value.or(fill).unwrap_or(self.fill);
        let outside = value.is_some() && self.fence.is_some_and(|fence| fence.is_outside(x));
        let fenced = self.fence.map_or(x, |fence| fence.apply(x));
        let scaled =
            self.scaler.apply(fenced).ok_or_else(|| Fault::Bad(x.to_string(), "above -1, as `log1p` needs"))?;
        out.push(scaled as f32);
        if self.indicator {
            out.push(f32::from(u8::from(value.is_none())));
        }
        if self.fence.is_some_and(|fence| fence.then == OnOutlier::Mark) {
            out.push(f32::from(u8::from(outside)));
        }
        Ok(outside)
    }

    /// What it becomes, in words.
    pub(super) fn becomes(&self) -> String {
        let scale = serde_json::to_string(&self.scaling).unwrap_or_default();
        let mut text = format!("scale {}, missing as {}", scale.trim_matches('"'), self.filled_by());
        if let Some(Fence { low, high, then }) = self.fence {
            let then = match then {
                OnOutlier::Clip => "clipped to",
                OnOutlier::Mark => "marked outside",
                OnOutlier::Drop => "rows dropped outside",
            };
            text.push_str(&format!(", {then} {}..{}", low as f32, high as f32));
        }
        text
    }

    /// What fills a missing value, in words.
    pub(super) fn filled_by(&self) -> String {
        match self.neighbours {
            0 => format!("{}", self.fill as f32),
            k => format!("the mean of {k} neighbours"),
        }
    }

    /// The value for a person.
    pub(super) fn describe(&self, values: &[f32]) -> String {
        match values {
            [_, missing, ..] if self.indicator && *missing > 0.5 => "missing".into(),
            // The fifth decimal is about where 32 bits end.
            [value, ..] => format!("{}", (self.scaler.invert(f64::from(*value)) * 1e5).round() as f32 / 1e5),
            [] => String::new(),
        }
    }
}

fn is_zero(k: &usize) -> bool {
    *k == 0
}

/// The number in a cell of this type.
pub(in crate::data) fn value(kind: ColumnType, cell: &Cell<'_>) -> Result<f64, Fault> {
    match kind {
        ColumnType::Boolean => cell.boolean().map(|value| f64::from(u8::from(value))),
        _ => cell.number(),
    }
}
