//! Windows over the rows of a table in the order of time: as many rows as the config says, and what follows them.

use std::collections::{HashMap, VecDeque};

use super::Place;
use crate::data::{Features, Forecast, RecordSink, Scale, Split, Target, WindowConfig, clean::Moments};
use crate::error::{Error, Result};

/// One row on its way into windows.
pub(super) struct Step<'r> {
    pub place: Place<'r>,
    pub split: Split,
    /// Rows of one group make windows among themselves.
    pub group: String,
    /// Never before that of the group's row before.
    pub time: Option<f64>,
    pub values: &'r [f32],
    pub target: Target<'r>,
}

/// Makes windows of rows, none over the border of a split or of a group.
pub(super) struct Windows<'a> {
    asked: &'a WindowConfig,
    horizon: usize,
    groups: HashMap<String, Open>,
    /// Of every target's training values.
    moments: Vec<Moments>,
    /// Sums over training of how far every target is from its value a season before, and of how many.
    naive: (Vec<f64>, u64),
    made: u64,
}

/// The last rows of a group.
struct Open {
    split: Split,
    time: f64,
    rows: VecDeque<Kept>,
    /// Targets of a season.
    season: VecDeque<Vec<f32>>,
    /// Windows that began since the split did, whether they were kept or passed over.
    begun: u64,
}

struct Kept {
    values: Vec<f32>,
    class: u32,
    targets: Vec<f32>,
}

impl<'a> Windows<'a> {
    /// `horizon` rows after a window are its target; of classes, the last of them.
    pub(super) fn new(asked: &'a WindowConfig, horizon: usize) -> Self {
        Self { asked, horizon, groups: HashMap::new(), moments: Vec::new(), naive: (Vec::new(), 0), made: 0 }
    }

    /// Adds a row, and gives the window that it completes to `sink`.
    ///
    /// # Errors
    /// A row that is earlier than the one before it in its group.
    pub(super) fn add(&mut self, step: Step<'_>, sink: &mut dyn RecordSink) -> Result<()> {
        let Step { place, split, group, time, values, target } = step;
        let (class, targets) = match target {
            Target::Class(class) => (class, Vec::new()),
            Target::Values(values) => (0, values.to_vec()),
        };
        let open = self.groups.entry(group).or_insert_with(|| Open {
            split,
            time: f64::NEG_INFINITY,
            rows: VecDeque::new(),
            season: VecDeque::new(),
            begun: 0,
        });
        let time = time.unwrap_or(open.time);
        if time < open.time {
            return Err(Error::input(format!("{place}: the row is earlier than the one before it"))
                .next("sort the file by `data.window.time`, or name the column that tells its series apart in `data.window.group`"));
        }
        if open.split != split {
            (open.begun, open.split) = (0, split);
            open.rows.clear();
            open.season.clear();
        }
        open.time = time;
        if split == Split::Train {
            let season = self.asked.season.unwrap_or(1);
            learn(&mut self.moments, &mut self.naive, open, &targets, season);
        }
        open.rows.push_back(Kept { values: values.to_vec(), class, targets });
        if open.rows.len() == self.asked.length + self.horizon {
            if open.begun.is_multiple_of(self.asked.stride as u64) {
                emit(open, self.asked.length, target, sink)?;
                self.made += 1;
            }
            open.begun += 1;
            open.rows.pop_front();
        }
        Ok(())
    }

    /// What was learned of the targets, whose past is at these places of a row.
    ///
    /// # Errors
    /// No window at all.
    pub(super) fn finish(self, past: Vec<usize>) -> Result<Forecast> {
        let (length, horizon) = (self.asked.length, self.horizon);
        if self.made == 0 {
            return Err(Error::input(format!(
                "no window of {length} rows, and {horizon} after them, fits into the data"
            ))
            .next("lower `data.window.length`, or check `data.window.group`"));
        }
        let each = |of: fn(&Moments) -> f64| {
            let once: Vec<f32> = self.moments.iter().map(|moments| of(moments) as f32).collect();
            once.repeat(horizon)
        };
        let (sums, count) = &self.naive;
        Ok(Forecast {
            past,
            season: self.asked.season.unwrap_or(1),
            naive: sums.iter().map(|sum| sum / (*count).max(1) as f64).collect(),
            scale: Scale { mean: each(Moments::mean), std: each(Moments::deviation) },
        })
    }
}

fn learn(moments: &mut Vec<Moments>, naive: &mut (Vec<f64>, u64), open: &mut Open, targets: &[f32], season: usize) {
    if targets.is_empty() {
        return;
    }
    moments.resize_with(targets.len(), Moments::default);
    naive.0.resize(targets.len(), 0.0);
    moments.iter_mut().zip(targets).for_each(|(moments, v)| moments.add(f64::from(*v)));
    if let Some(before) = open.season.front().filter(|_| open.season.len() == season) {
        naive.1 += 1;
        let gaps = targets.iter().zip(before).map(|(now, then)| f64::from((now - then).abs()));
        naive.0.iter_mut().zip(gaps).for_each(|(sum, gap)| *sum += gap);
        open.season.pop_front();
    }
    open.season.push_back(targets.to_vec());
}

/// The first `length` rows, with the targets of those after them; where none come after, the last row's.
fn emit(open: &Open, length: usize, target: Target<'_>, sink: &mut dyn RecordSink) -> Result<()> {
    let values: Vec<f32> = open.rows.iter().take(length).flat_map(|row| row.values.iter().copied()).collect();
    let features = Features::F32(&values);
    match target {
        Target::Class(_) => {
            let class = open.rows.back().map_or(0, |row| row.class);
            sink.push(Some(open.split), features, Target::Class(class))
        }
        Target::Values(_) => {
            let ahead: Vec<f32> = open.rows.iter().skip(length).flat_map(|row| row.targets.iter().copied()).collect();
            sink.push(Some(open.split), features, Target::Values(&ahead))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::source::Kept as Sink;

    fn asked(length: usize, stride: usize) -> WindowConfig {
        WindowConfig { length, horizon: None, stride, time: None, group: None, season: Some(2) }
    }

    /// Rows whose value is their number, from `groups` in turn; the last ones are for test.
    fn windows(asked: &WindowConfig, horizon: usize, groups: usize, rows: usize, test: usize) -> (Sink, Forecast) {
        let mut windows = Windows::new(asked, horizon);
        let mut sink = Sink::default();
        for row in 0..rows {
            let value = [row as f32];
            let step = Step {
                place: Place { file: Path::new("t.csv"), unit: "line", number: row as u64 },
                split: if row >= rows - test { Split::Test } else { Split::Train },
                group: (row % groups).to_string(),
                time: Some(row as f64),
                values: &value,
                target: Target::Values(&value),
            };
            windows.add(step, &mut sink).unwrap();
        }
        (sink, windows.finish(vec![0]).unwrap())
    }

    #[test]
    fn no_window_crosses_a_split_or_a_group() {
        let (sink, _) = windows(&asked(3, 1), 2, 2, 40, 14);
        assert!(!sink.rows.is_empty());
        for (split, features, target) in &sink.rows {
            let all: Vec<f32> = features.iter().chain(target).copied().collect();
            assert_eq!((features.len(), target.len()), (3, 2));
            assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 2.0), "rows of one group, in order: {all:?}");
            assert!(all.iter().all(|v| (*v >= 26.0) == (*split == Some(Split::Test))), "{split:?} {all:?}");
        }
        // 13 training rows and 7 test rows a group, windows of 3 and 2 after them.
        assert_eq!(sink.rows.len(), 2 * (13 - 4) + 2 * (7 - 4));
    }

    #[test]
    fn strides_are_counted_within_a_split() {
        let (sink, forecast) = windows(&asked(3, 4), 1, 1, 20, 8);
        let firsts: Vec<f32> = sink.rows.iter().map(|(_, features, _)| features[0]).collect();
        assert_eq!(firsts, [0.0, 4.0, 8.0, 12.0, 16.0]);
        assert_eq!(forecast.naive, [2.0], "each value is 2 above the one a season of 2 before");
        assert_eq!(forecast.scale.mean, [5.5], "of the twelve training rows alone");
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let asked = asked(2, 1);
        let mut windows = Windows::new(&asked, 0);
        let mut sink = Sink::default();
        let mut add = |time: f64, class: u32| {
            windows.add(
                Step {
                    place: Place { file: Path::new("t.csv"), unit: "line", number: 9 },
                    split: Split::Train,
                    group: String::new(),
                    time: Some(time),
                    values: &[time as f32],
                    target: Target::Class(class),
                },
                &mut sink,
            )
        };
        add(1.0, 0).unwrap();
        add(1.0, 1).unwrap();
        add(2.0, 0).unwrap();
        assert!(add(1.5, 0).unwrap_err().to_string().contains("t.csv, line 9"));
        let found: Vec<_> = sink.rows.iter().map(|(_, features, target)| (features.clone(), target[0])).collect();
        assert_eq!(found, [(vec![1.0, 1.0], 1.0), (vec![1.0, 2.0], 0.0)], "a window is of its last row's class");
    }
}
