//! The space: keys of the config and what they may be, as places on axes and back.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use super::tpe::{Axis, Point};
use crate::{
    config::{Domain, Range, TuneConfig},
    error::{Error, Result},
};

/// What a trial sets: keys of the config with their values as TOML.
pub type Values = BTreeMap<String, String>;

/// Everything that may vary.
#[derive(Debug, Clone)]
pub struct Space(Vec<Dim>);

#[derive(Debug, Clone)]
struct Dim {
    key: String,
    domain: Domain,
    /// In play only where each of these dimensions is one of these kinds.
    when: Vec<(usize, Vec<usize>)>,
}

impl Space {
    /// The space of a config that was checked.
    ///
    /// # Errors
    /// There is nothing to search.
    pub fn new(config: &TuneConfig) -> Result<Self> {
        if config.space.is_empty() {
            let error = Error::input("the config has no [tune.space]: there is nothing to search");
            return Err(error.next("add one, as in `[tune.space]` with `\"optim.lr\" = { log = [1e-4, 1e-1] }`"));
        }
        let domain = |key: &str| {
            let unknown = || Error::input(format!("`{key}` is no key of [tune.space]"));
            let dimension = config.space.get(key).ok_or_else(unknown)?;
            dimension.domain().map_err(|(_, what, next)| Error::input(format!("`{key}` {what}")).next(next))
        };
        let keys: Vec<&String> = config.space.keys().collect();
        let mut dims = Vec::with_capacity(keys.len());
        for (key, dimension) in &config.space {
            let mut when = Vec::new();
            for (other, values) in dimension.conditions() {
                let Domain::Choice(all) = domain(other)? else { continue };
                let kinds = all.iter().enumerate().filter(|(_, value)| values.contains(value)).map(|(i, _)| i);
                let index = keys.iter().position(|key| *key == other);
                when.extend(index.map(|index| (index, kinds.collect())));
            }
            dims.push(Dim { key: key.clone(), domain: domain(key)?, when });
        }
        Ok(Self(dims))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|dim| dim.key.as_str())
    }

    /// The axes, one a key.
    pub fn axes(&self) -> Vec<Axis> {
        self.0.iter().map(|dim| dim.axis()).collect()
    }

    /// What a place sets; a dimension that is not in play sets nothing.
    pub fn values(&self, point: &Point) -> Values {
        let kind = |index: usize| point.get(index).copied().flatten().map(|kind| kind as usize);
        let in_play = |dim: &Dim| dim.when.iter().all(|(i, kinds)| kind(*i).is_some_and(|kind| kinds.contains(&kind)));
        let set = self.0.iter().zip(point).filter(|(dim, _)| in_play(dim));
        set.filter_map(|(dim, x)| Some((dim.key.clone(), dim.literal((*x)?)?))).collect()
    }

    /// The place that sets these values.
    pub fn point(&self, values: &Values) -> Point {
        self.0.iter().map(|dim| dim.place(values.get(&dim.key)?)).collect()
    }

    /// How many values a key can have, where they can be counted.
    fn counts(&self) -> Option<Vec<u64>> {
        self.0.iter().map(|dim| dim.count()).collect()
    }

    /// At most how many different trials there are; `None` where any number of them.
    pub fn size(&self) -> Option<u64> {
        self.counts().map(|counts| counts.iter().fold(1, |size: u64, count| size.saturating_mul(*count)))
    }

    /// Every combination, the last key turning fastest; combinations that differ only in what is not in play count once.
    pub fn grid(&self) -> Vec<Values> {
        let counts = self.counts().unwrap_or_default();
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        for index in 0..self.size().unwrap_or(0) {
            let mut rest = index;
            let mut point: Point = counts
                .iter()
                .zip(&self.0)
                .rev()
                .map(|(count, dim)| {
                    let turn = rest % count;
                    rest /= count;
                    Some(dim.nth(turn, *count))
                })
                .collect();
            point.reverse();
            let values = self.values(&point);
            if seen.insert(values.clone()) {
                all.push(values);
            }
        }
        all
    }
}

impl Dim {
    fn axis(&self) -> Axis {
        match &self.domain {
            Domain::Choice(values) => Axis::Kinds(values.len()),
            Domain::Range(range) if range.log && range.points.is_none() => Axis::Line { cells: None },
            Domain::Range(_) => Axis::Line { cells: self.count() },
        }
    }

    fn count(&self) -> Option<u64> {
        match &self.domain {
            Domain::Choice(values) => Some(values.len() as u64),
            Domain::Range(range) => range.points.or(range.whole.then_some((range.high - range.low) as u64 + 1)),
        }
    }

    /// The place of value number `turn` of `count`.
    fn nth(&self, turn: u64, count: u64) -> f64 {
        match &self.domain {
            Domain::Choice(_) => turn as f64,
            Domain::Range(range) if range.log && range.points.is_none() => range.place(range.low + turn as f64),
            Domain::Range(_) => (turn as f64 + 0.5) / count as f64,
        }
    }

    fn literal(&self, x: f64) -> Option<String> {
        Some(match &self.domain {
            Domain::Choice(values) => values.get(x as usize)?.to_string(),
            Domain::Range(range) if range.whole => Value::Integer(range.number(x) as i64).to_string(),
            Domain::Range(range) => Value::Float(range.number(x)).to_string(),
        })
    }

    fn place(&self, literal: &str) -> Option<f64> {
        match &self.domain {
            Domain::Choice(values) => values.iter().position(|value| value.to_string() == literal).map(|i| i as f64),
            Domain::Range(range) => literal.parse().ok().map(|number| range.place(number)),
        }
    }
}

impl Range {
    /// The ends on the scale that is even: integers reach half a step beyond, so that each has as much room.
    fn ends(&self) -> (f64, f64) {
        let room = if self.whole && self.points.is_none() { 0.5 } else { 0.0 };
        (self.scaled(self.low - room), self.scaled(self.high + room))
    }

    fn scaled(&self, number: f64) -> f64 {
        if self.log { number.ln() } else { number }
    }

    /// The number at a place in [0, 1].
    fn number(&self, x: f64) -> f64 {
        let (low, high) = self.ends();
        let share = match self.points {
            Some(points) => (x * points as f64).floor().min((points - 1) as f64) / (points - 1) as f64,
            None => x,
        };
        let even = low + share * (high - low);
        let number = if self.log { even.exp() } else { even };
        let number = if self.whole { number.round() } else { short(number) };
        number.clamp(self.low, self.high)
    }

    /// The place of a number.
    fn place(&self, number: f64) -> f64 {
        let (low, high) = self.ends();
        let share = ((self.scaled(number) - low) / (high - low)).clamp(0.0, 1.0);
        match self.points {
            Some(points) => ((share * (points - 1) as f64).round() + 0.5) / points as f64,
            None => share,
        }
    }
}

/// Five significant digits: finer steps change no training, and a person reads them.
fn short(number: f64) -> f64 {
    format!("{number:.4e}").parse().unwrap_or(number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
