//! A column of dates: time that went by, and what comes around again.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, Timelike};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::cell::date,
    CleanConfig, Impute,
    sample::{Moments, Sample, quantile},
};

const DAY: f64 = 86_400e6;

/// What a date is taken apart into, beside the time that went by (standardised days).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DateParts {
    /// Sine and cosine of month, day, weekday and hour, so that December is next to January.
    Cycles,
    /// Year, month, day, weekday, hour and minute, each from 0 to 1 over the training split.
    Parts,
}

/// The parts' names, their first value and how many there are before they come around again.
const PARTS: [(&str, u32, u32); 6] =
    [("year", 0, 0), ("month", 1, 12), ("day", 1, 31), ("weekday", 0, 7), ("hour", 0, 24), ("minute", 0, 60)];

/// Sine and cosine of every part's values, from the first.
static TURNS: LazyLock<[Vec<[f32; 2]>; 6]> = LazyLock::new(|| {
    PARTS.map(|(_, _, period)| {
        let turn = |value: u32| f64::from(value) / f64::from(period) * TAU;
        (0..period).map(|value| [turn(value).sin() as f32, turn(value).cos() as f32]).collect()
    })
});

fn parts(micros: i64) -> [i32; 6] {
    let Some(time) = DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc()) else { return [0; 6] };
    let weekday = time.weekday().num_days_from_monday();
    let rest = [time.month(), time.day(), weekday, time.hour(), time.minute()].map(u32::cast_signed);
    let [month, day, weekday, hour, minute] = rest;
    [time.year(), month, day, weekday, hour, minute]
}

/// What the training split showed of a column.
pub(super) struct DateProfile {
    pub(super) missing: u64,
    moments: Moments,
    sample: Sample,
    ends: [(i32, i32); 6],
}

impl DateProfile {
    pub(super) fn new(columns: usize) -> Self {
        Self { missing: 0, moments: Moments::default(), sample: Sample::new(columns), ends: [(i32::MAX, i32::MIN); 6] }
    }

    pub(super) fn add(&mut self, micros: i64) {
        let days = micros as f64 / DAY;
        self.moments.add(days);
        self.sample.add(days);
        for (ends, part) in self.ends.iter_mut().zip(parts(micros)) {
            *ends = (ends.0.min(part), ends.1.max(part));
        }
    }
}

/// A column of dates as it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Date {
    /// What takes the place of a missing date: microseconds since 1970.
    pub fill: i64,
    /// A further feature tells where the date was missing.
    pub indicator: bool,
    /// The format, other than ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What it is taken apart into.
    pub into: DateParts,
    /// Mean and deviation of the days since 1970.
    pub days: (f64, f64),
    /// The first and last year, month, day, weekday, hour and minute; a part that never changes is left out.
    pub ends: [(i32, i32); 6],
}

impl Date {
    pub(super) fn fit(profile: &DateProfile, settings: &CleanConfig) -> Self {
        let days = match settings.impute {
            Some(Impute::Mean) => profile.moments.mean(),
            _ => quantile(&profile.sample.sorted(0.0, 0), 0.5),
        };
        let mut moments = profile.moments;
        moments.add_many(days, profile.missing);
        Self {
            fill: (days * DAY).round() as i64,
            indicator: settings.indicator.unwrap_or(profile.missing > 0),
            format: settings.format.clone(),
            into: settings.dates.unwrap_or(DateParts::Cycles),
            days: (moments.mean(), moments.deviation()),
            ends: profile.ends,
        }
    }

    /// The parts that are features: index, name, first value.
    fn kept(&self) -> impl Iterator<Item = (usize, &'static str, u32)> {
        let into = self.into;
        let varies = self.ends.map(|(low, high)| low < high);
        PARTS.into_iter().enumerate().map(|(i, (name, first, _))| (i, name, first)).filter(move |part| {
            let cycles = into == DateParts::Cycles;
            varies.get(part.0) == Some(&true) && !(cycles && matches!(part.1, "year" | "minute"))
        })
    }

    pub(super) fn outputs(&self, name: &str) -> Vec<String> {
        let mut outputs = vec![format!("{name}:elapsed")];
        for (_, part, ..) in self.kept() {
            match self.into {
                DateParts::Parts => outputs.push(format!("{name}:{part}")),
                DateParts::Cycles => outputs.extend(["sin", "cos"].map(|f| format!("{name}:{part}_{f}"))),
            }
        }
        outputs.extend(self.indicator.then(|| format!("{name}:missing")));
        outputs
    }

    pub(super) fn write(&self, micros: Option<i64>, out: &mut Vec<f32>) {
        let at = micros.unwrap_or(self.fill);
        out.push(((at as f64 / DAY - self.days.0) / self.days.1) as f32);
        let parts = parts(at);
        for (i, _, first) in self.kept() {
            let (Some(part), Some((low, high))) = (parts.get(i), self.ends.get(i)) else { continue };
            match self.into {
                DateParts::Parts => out.push((f64::from(part - low) / f64::from(high - low)) as f32),
                DateParts::Cycles => {
                    let turns = TURNS.get(i).and_then(|turns| turns.get((part - first.cast_signed()) as usize));
                    out.extend(turns.copied().unwrap_or_default());
                }
            }
        }
        if self.indicator {
            out.push(f32::from(u8::from(micros.is_none())));
        }
    }

    /// The date for a person, to the minute: 32 bits keep no more over some years.
    pub(super) fn describe(&self, values: &[f32]) -> String {
        let days = values.first().map_or(0.0, |v| f64::from(*v) * self.days.1 + self.days.0);
        date((days * 1440.0).round() as i64 * 60_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_changes_is_no_feature() {
        let mut profile = DateProfile::new(1);
        for day in [0, 31, 59] {
            profile.add(day * 86_400_000_000); // the first of January, February and March 1970
        }
        let date = Date::fit(&profile, &CleanConfig::default());
        assert_eq!(date.outputs("d"), ["d:elapsed", "d:month_sin", "d:month_cos", "d:weekday_sin", "d:weekday_cos"]);
        let mut out = Vec::new();
        date.write(Some(31 * 86_400_000_000), &mut out);
        let expected = [
            (31.0 - 30.0) / 24.1,
            0.5,
            0.866_025_4,
            f32::sin(6.0 / 7.0 * 6.283_185_5),
            f32::cos(6.0 / 7.0 * 6.283_185_5),
        ];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{out:?} is not {expected:?}");
        assert_eq!(date.describe(&out).get(..10), Some("1970-02-01"));
        out.clear();
        date.write(None, &mut out);
        assert_eq!(out.len(), 5, "the median takes the place of a missing date");
    }
}
