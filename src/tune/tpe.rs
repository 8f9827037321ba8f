//! The tree-structured Parzen estimator, multivariate: a density of the good trials over one of the others.
//!
//! Bergstra et al. 2011, with the choices that Watanabe 2023 found to matter: one kernel a trial over all dimensions at
//! once (Falkner et al. 2018), a uniform prior kernel, a bandwidth by Scott's rule, old trials fading.

use super::random::Random;

/// One dimension, mapped onto the unit interval or onto numbered kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Axis {
    /// A number; `cells` of equal width where it is discrete.
    Line {
        /// How many values there are, if they can be counted.
        cells: Option<u64>,
    },
    /// One of several values without an order.
    Kinds(usize),
}

/// A trial on every axis: a place in [0, 1], or the number of a kind; `None` where the dimension was not in play.
pub type Point = Vec<Option<f64>>;

/// Candidates that are drawn from the good density for every suggestion.
const CANDIDATES: usize = 24;

/// Trials beyond these begin to fade.
const FRESH: usize = 25;

/// How many of `n` trials are good.
pub fn good_of(n: usize) -> usize {
    n.div_ceil(10).min(25)
}

/// The place that promises most: the largest ratio of the good density to the bad one among a few draws from the good.
///
/// Both lists are in the order of the trials. `settle` says what place a draw comes down to, if it is worth a trial.
pub fn suggest(
    axes: &[Axis],
    good: &[Point],
    bad: &[Point],
    settle: &dyn Fn(Point) -> Option<Point>,
    random: &mut Random,
) -> Option<Point> {
    let (good, bad) = (Density::new(axes, good), Density::new(axes, bad));
    let mut best: Option<(f64, Point)> = None;
    for _ in 0..CANDIDATES {
        let Some(point) = settle(good.draw(random)) else { continue };
        let promise = good.log_at(&point) - bad.log_at(&point);
        if best.as_ref().is_none_or(|(most, _)| promise > *most) {
            best = Some((promise, point));
        }
    }
    best.map(|(_, point)| point)
}

/// A place anywhere.
pub fn uniform(axes: &[Axis], random: &mut Random) -> Point {
    axes.iter().map(|axis| Some(axis.anywhere(random))).collect()
}

impl Axis {
    fn anywhere(self, random: &mut Random) -> f64 {
        match self {
            Self::Line { .. } => self.snapped(random.unit()),
            Self::Kinds(count) => random.below(count) as f64,
        }
    }

    /// The middle of its cell.
    fn snapped(self, x: f64) -> f64 {
        match self {
            Self::Line { cells: Some(cells) } => {
                let cells = cells.max(1) as f64;
                ((x * cells).floor().min(cells - 1.0) + 0.5) / cells
            }
            _ => x,
        }
    }
}

/// A mixture of one kernel a trial and a uniform one, the prior.
struct Density<'a> {
    axes: &'a [Axis],
    centres: &'a [Point],
    /// Of the centres in their order, then of the prior; they sum to 1.
    weights: Vec<f64>,
    deviation: f64,
}

impl<'a> Density<'a> {
    fn new(axes: &'a [Axis], centres: &'a [Point]) -> Self {
        let n = centres.len();
        let mut weights: Vec<f64> = (0..n).map(|i| freshness(i, n)).chain([1.0]).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        // Scott's rule for the unit cube, wide while there are few trials. A floor of 1/(n + 2),
        // the usual one, found worse values on every function of benches/tune.rs.
        let scott = 0.05 * (n.max(1) as f64).powf(-1.0 / (axes.len() as f64 + 4.0));
        let deviation = scott.max((n as f64 + 2.0).powf(-1.3));
        Self { axes, centres, weights, deviation }
    }

    fn draw(&self, random: &mut Random) -> Point {
        let mut left = random.unit();
        let picked = self.weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let centre = picked.and_then(|i| self.centres.get(i));
        let coordinate = |(i, axis): (usize, &Axis)| {
            let at = centre.and_then(|point| point.get(i).copied().flatten());
            match (at, axis) {
                (None, axis) => axis.anywhere(random),
                (Some(at), Axis::Line { .. }) => axis.snapped(random.normal_in_unit(at, self.deviation)),
                (Some(at), Axis::Kinds(count)) => {
                    let stay = 1.0 - self.spread(*count) * count.saturating_sub(1) as f64;
                    if random.unit() < stay { at } else { other(at, *count, random) }
                }
            }
        };
        self.axes.iter().enumerate().map(coordinate).map(Some).collect()
    }

    fn log_at(&self, x: &Point) -> f64 {
        let prior = self.axes.iter().map(|axis| axis.log_uniform()).sum::<f64>();
        let kernels = self.centres.iter().map(|centre| {
            let parts = self.axes.iter().zip(centre).zip(x);
            parts.map(|((axis, centre), x)| self.log_kernel(*axis, *centre, *x)).sum::<f64>()
        });
        let logs: Vec<f64> = kernels.chain([prior]).zip(&self.weights).map(|(log, weight)| log + weight.ln()).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
    }

    /// A dimension that either of the two does not have says nothing: it counts as uniform.
    fn log_kernel(&self, axis: Axis, centre: Option<f64>, x: Option<f64>) -> f64 {
        let (Some(centre), Some(x)) = (centre, x) else { return axis.log_uniform() };
        match axis {
            Axis::Line { .. } => {
                let z = (x - centre) / self.deviation;
                let inside = below(1.0, centre, self.deviation) - below(0.0, centre, self.deviation);
                -0.5 * z * z - (inside * self.deviation * std::f64::consts::TAU.sqrt()).ln()
            }
            Axis::Kinds(count) if x == centre => (1.0 - self.spread(count) * count.saturating_sub(1) as f64).ln(),
            Axis::Kinds(count) => self.spread(count).ln(),
        }
    }

    /// What every kind but a kernel's own gets of its mass: less, the more trials there are.
    fn spread(&self, count: usize) -> f64 {
        let each = 1.0 / self.weights.len() as f64;
        each / (1.0 + count as f64 * each)
    }
}

impl Axis {
    fn log_uniform(self) -> f64 {
        match self {
            Self::Line { .. } => 0.0,
            Self::Kinds(count) => -(count.max(1) as f64).ln(),
        }
    }
}

/// Another kind than `at`.
fn other(at: f64, count: usize, random: &mut Random) -> f64 {
    let kind = random.below(count.saturating_sub(1)) as f64;
    if kind >= at && count > 1 { kind + 1.0 } else { kind }
}

/// The weight of trial `i` of `n`: the newest count in full, older ones less, in a straight line.
fn freshness(i: usize, n: usize) -> f64 {
    let old = n.saturating_sub(FRESH);
    if i >= old { 1.0 } else { (i + 1) as f64 / (old + 1) as f64 }
}

/// The normal distribution function.
fn below(x: f64, mean: f64, deviation: f64) -> f64 {
    0.5 * (1.0 + libm::erf((x - mean) / (deviation * std::f64::consts::SQRT_2)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn densities_integrate_to_one() {
        let axes = [Axis::Line { cells: None }, Axis::Kinds(3)];
        let centres = [vec![Some(0.1), Some(2.0)], vec![Some(0.95), None]];
        let density = Density::new(&axes, &centres);
        let cells = 2000;
        let mass: f64 = (0..cells)
            .flat_map(|i| (0..3).map(move |kind| vec![Some((f64::from(i) + 0.5) / 2000.0), Some(f64::from(kind))]))
            .map(|x| density.log_at(&x).exp() / f64::from(cells))
            .sum();
        assert!((mass - 1.0).abs() < 1e-6, "{mass}");
    }

    #[test]
    fn draws_follow_the_density() {
        let axes = [Axis::Line { cells: None }, Axis::Kinds(3)];
        let centres = vec![vec![Some(0.2), Some(1.0)]; 5];
        let density = Density::new(&axes, &centres);
        let mut random = Random::new(3, 3);
        let draws: Vec<Point> = (0..20_000).map(|_| density.draw(&mut random)).collect();
        let share = |test: &dyn Fn(&Point) -> bool| draws.iter().filter(|point| test(point)).count() as f64 / 2e4;
        let mass = |kind: f64| {
            (0..100)
                .map(|i| density.log_at(&vec![Some(f64::from(i) / 100.0 + 5e-3), Some(kind)]).exp() / 100.0)
                .sum::<f64>()
        };
        for kind in [0.0, 1.0, 2.0] {
            let (drawn, expected) = (share(&|point| point[1] == Some(kind)), mass(kind));
            assert!((drawn - expected).abs() < 0.015, "kind {kind}: {drawn} for {expected}");
        }
        let near = share(&|point| point[0].is_some_and(|x| (x - 0.2).abs() < 0.2));
        assert!(near > 0.6, "{near}");
    }

    #[test]
    fn suggestions_lie_where_the_good_trials_are_and_are_snapped() {
        let axes = [Axis::Line { cells: Some(10) }, Axis::Kinds(2)];
        let good = vec![vec![Some(0.85), Some(1.0)]; 4];
        let bad: Vec<Point> = (0..30).map(|i| vec![Some(f64::from(i % 6) / 10.0 + 0.05), Some(0.0)]).collect();
        let mut random = Random::new(1, 1);
        let hits = (0..100).filter(|_| {
            let point = suggest(&axes, &good, &bad, &Some, &mut random).unwrap();
            let cell = point[0].unwrap() * 10.0 - 0.5;
            assert!((cell - cell.round()).abs() < 1e-9);
            point[0].unwrap() > 0.6 && point[1] == Some(1.0)
        });
        assert!(hits.count() > 90);
        let other = |point: Point| (point[1] == Some(0.0)).then_some(point);
        let draws: Vec<Point> = (0..100).filter_map(|_| suggest(&axes, &good, &bad, &other, &mut random)).collect();
        assert!(!draws.is_empty() && draws.iter().all(|point| point[1] == Some(0.0)), "what is taken is not suggested");
        assert_eq!(suggest(&axes, &good, &bad, &|_| None, &mut random), None);
    }

    #[test]
    fn a_tenth_is_good_and_the_old_fade() {
        assert_eq!([1, 10, 11, 100, 1000].map(good_of), [1, 1, 2, 10, 25]);
        assert_eq!((freshness(0, 10), freshness(9, 10)), (1.0, 1.0));
        assert_eq!((freshness(0, 28), freshness(2, 28), freshness(3, 28)), (0.25, 0.75, 1.0));
    }
}
