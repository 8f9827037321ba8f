//! Recommendation: where the items that a user chose stand among all that it had not chosen before.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ratio;

/// Lengths of the lists that are judged.
const TOPS: [usize; 3] = [5, 10, 20];
/// The length that models are compared at.
const TOP: usize = 10;

/// Figures of every user that a [`super::Predictions`] holds, in this order.
pub const USER_FIGURES: usize = 4;

/// Where the chosen items stand, from 1 for the highest score; `candidates` are all that are not left out.
///
/// Equal scores stand in the order of the items' ids. A score that is not finite gives no places.
pub fn places(scores: &[f32], seen: &[u32], chosen: &[u32]) -> Option<Vec<usize>> {
    if scores.iter().any(|score| !score.is_finite()) {
        return None;
    }
    let mut left_out = vec![false; scores.len()];
    for item in seen {
        left_out.iter_mut().skip(*item as usize).take(1).for_each(|out| *out = true);
    }
    let place = |&item: &u32| {
        let own = *scores.get(item as usize)?;
        let before = |(other, (score, out)): (usize, (&f32, &bool))| {
            !out && (*score > own || *score == own && other < item as usize)
        };
        Some(1 + scores.iter().zip(&left_out).enumerate().filter(|other| before(*other)).count())
    };
    let mut places: Vec<usize> = chosen.iter().filter_map(place).collect();
    places.sort_unstable();
    Some(places)
}

/// The `most` items of the highest scores, without those that were chosen before.
pub fn top(scores: &[f32], seen: &[u32], most: usize) -> Vec<u32> {
    let mut items: Vec<u32> = (0..scores.len() as u32).filter(|item| !seen.contains(item)).collect();
    let score = |item: &u32| scores.get(*item as usize).copied().unwrap_or(f32::NEG_INFINITY);
    items.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    items.truncate(most);
    items
}

/// Share of the chosen items that are among the first `top`.
fn recall(places: &[usize], top: usize) -> f64 {
    hits(places, top) / places.len().max(1) as f64
}

fn hits(places: &[usize], top: usize) -> f64 {
    places.iter().filter(|&&place| place <= top).count() as f64
}

/// Normalised discounted cumulative gain with gains of 0 and 1 (Järvelin and Kekäläinen 2002).
fn ndcg(places: &[usize], top: usize) -> f64 {
    let gain = |place: usize| 1.0 / ((place + 1) as f64).log2();
    let found: f64 = places.iter().filter(|&&place| place <= top).map(|&place| gain(place)).sum();
    let best: f64 = (1..=places.len().min(top)).map(gain).sum();
    ratio(found, best).unwrap_or(0.0)
}

/// One over the place of the highest chosen item, however low.
fn reciprocal(places: &[usize]) -> f64 {
    places.first().map_or(0.0, |&place| 1.0 / place as f64)
}

/// A user's figures that models are compared by: recall@10, NDCG@10, MRR, hit@10.
pub fn user_figures(places: &[usize]) -> [f32; USER_FIGURES] {
    let hit = f64::from(u8::from(hits(places, TOP) > 0.0));
    [recall(places, TOP), ndcg(places, TOP), reciprocal(places), hit].map(|v| v as f32)
}

/// Streams users; memory does not grow with them.
#[derive(Debug, Clone, Default)]
pub struct Ranked {
    users: u64,
    undefined: u64,
    /// Recall, NDCG and hits for each of [`TOPS`], then MRR.
    sums: [[f64; 3]; TOPS.len()],
    reciprocal: f64,
}

/// Figures over a split: means over users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedReport {
    /// Users judged.
    pub users: u64,
    /// Users with a score that isn't finite.
    pub non_finite: u64,
    /// By name: `recall@k`, `ndcg@k`, `hit@k` for k of 5, 10 and 20, and `mrr`.
    pub figures: BTreeMap<String, f64>,
}

impl Ranked {
    /// Adds a user with the places of the items that it chose; no places where its scores have none.
    pub fn add(&mut self, places: Option<&[usize]>) {
        self.users += 1;
        let Some(places) = places else {
            self.undefined += 1;
            return;
        };
        for (sums, top) in self.sums.iter_mut().zip(TOPS) {
            let hit = f64::from(u8::from(hits(places, top) > 0.0));
            sums.iter_mut().zip([recall(places, top), ndcg(places, top), hit]).for_each(|(sum, v)| *sum += v);
        }
        self.reciprocal += reciprocal(places);
    }

    /// The figures.
    pub fn finish(self) -> RankedReport {
        let users = if self.undefined == 0 { self.users as f64 } else { 0.0 };
        let mut figures = BTreeMap::new();
        let mut put = |name: String, sum: f64| figures.extend(ratio(sum, users).map(|mean| (name, mean)));
        for (sums, top) in self.sums.iter().zip(TOPS) {
            for (name, sum) in ["recall", "ndcg", "hit"].iter().zip(sums) {
                put(format!("{name}@{top}"), *sum);
            }
        }
        put("mrr".into(), self.reciprocal);
        RankedReport { users: self.users, non_finite: self.undefined, figures }
    }
}
