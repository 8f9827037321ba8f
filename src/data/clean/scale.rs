//! The scale of numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::{Moments, at_rank, quantile};

/// How numbers are scaled; learned on the training split after imputation and clipping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// As they are.
    None,
    /// Mean 0, deviation 1.
    Standard,
    /// Smallest 0, largest 1.
    MinMax,
    /// Median 0, interquartile range 1.
    Robust,
    /// `ln(1 + x)`, then mean 0 and deviation 1: for amounts that span orders of magnitude.
    Log1p,
    /// The share of training values below it, in `[0, 1]`.
    Quantile,
    /// The same, as a normal deviate: mean 0, deviation 1 whatever the distribution was.
    QuantileNormal,
}

/// A learned scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Scaler {
    /// As it is.
    None,
    /// `(x - center) / width`.
    Affine {
        /// What becomes 0.
        center: f64,
        /// What becomes 1 unit; never 0.
        width: f64,
    },
    /// `(ln(1 + x) - center) / width`.
    Log1p {
        /// What becomes 0.
        center: f64,
        /// What becomes 1 unit; never 0.
        width: f64,
    },
    /// By rank among at most 1,000 quantiles, evenly spaced.
    Quantile {
        /// The quantiles, in order.
        quantiles: Vec<f64>,
        /// Mapped on to a normal distribution.
        normal: bool,
    },
}

/// Quantiles that a scale keeps.
const QUANTILES: usize = 1000;

impl Scaling {
    /// Whether it needs mean and deviation of the values as they reach it.
    pub(super) fn needs_moments(self) -> bool {
        matches!(self, Self::Standard | Self::Log1p)
    }

    /// What moments are taken of.
    pub(super) fn inner(self, value: f64) -> f64 {
        if self == Self::Log1p { value.ln_1p() } else { value }
    }

    /// By moments (of [`Scaling::inner`]) and the sorted values as they reach it, whose ends are exact.
    pub(super) fn fit(self, moments: &Moments, sorted: &[f64], ends: (f64, f64)) -> Scaler {
        let width = |width: f64| if width > 0.0 && width.is_finite() { width } else { 1.0 };
        let affine = |center: f64, w: f64| Scaler::Affine { center, width: width(w) };
        match self {
            Self::None => Scaler::None,
            Self::Standard => affine(moments.mean(), moments.deviation()),
            Self::MinMax => affine(ends.0, ends.1 - ends.0),
            Self::Robust => affine(quantile(sorted, 0.5), quantile(sorted, 0.75) - quantile(sorted, 0.25)),
            Self::Log1p => Scaler::Log1p { center: moments.mean(), width: moments.deviation() },
            Self::Quantile | Self::QuantileNormal => {
                let n = sorted.len().clamp(1, QUANTILES);
                // Multiplied before it is divided: a rank that is whole must not fall a hair beside a tie.
                let rank = |i: usize| (i * sorted.len().saturating_sub(1)) as f64 / (n - 1).max(1) as f64;
                let at = |i: usize| at_rank(sorted, rank(i));
                Scaler::Quantile { quantiles: (0..n).map(at).collect(), normal: self == Self::QuantileNormal }
            }
        }
    }
}

impl Scaler {
    /// The scaled value; `None` where there is no logarithm of `1 + x`.
    pub(super) fn apply(&self, x: f64) -> Option<f64> {
        match self {
            Self::None => Some(x),
            Self::Affine { center, width } => Some((x - center) / width),
            Self::Log1p { center, width } => (x > -1.0).then(|| (x.ln_1p() - center) / width),
            Self::Quantile { quantiles, normal } => {
                let share = rank(quantiles, x);
                Some(if *normal { probit(share.clamp(1e-7, 1.0 - 1e-7)) } else { share })
            }
        }
    }

    /// The value that scaled to `y`; for a quantile scale, the nearest of those kept.
    pub(super) fn invert(&self, y: f64) -> f64 {
        match self {
            Self::None => y,
            Self::Affine { center, width } => y * width + center,
            Self::Log1p { center, width } => (y * width + center).exp_m1(),
            Self::Quantile { quantiles, normal } => {
                quantile(quantiles, if *normal { 0.5 * (1.0 + erf(y / std::f64::consts::SQRT_2)) } else { y })
            }
        }
    }
}

/// The share of quantiles below `x`, linear between neighbours; the middle of those that equal it.
fn rank(quantiles: &[f64], x: f64) -> f64 {
    let n = quantiles.len();
    let (Some(first), Some(last)) = (quantiles.first(), quantiles.last()) else { return 0.0 };
    if x <= *first {
        return 0.0;
    }
    if x >= *last {
        return 1.0;
    }
    let share = |i: f64| i / (n - 1).max(1) as f64;
    let (low, high) = (quantiles.partition_point(|q| *q < x), quantiles.partition_point(|q| *q <= x));
    if high > low {
        return 0.5 * (share(low as f64) + share((high - 1) as f64));
    }
    let (Some(below), Some(above)) = (quantiles.get(low.wrapping_sub(1)), quantiles.get(low)) else { return 0.0 };
    share(low as f64 - 1.0 + (x - below) / (above - below))
}

/// The normal distribution's inverse (Wichura 1988, AS 241, double precision).
#[allow(clippy::excessive_precision, clippy::unreadable_literal)]
fn probit(p: f64) -> f64 {
    let poly = |r: f64, c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, c| sum * r + c);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * poly(r, &CENTER.0) / poly(r, &CENTER.1);
    }
    let r = (-(if q < 0.0 { p } else { 1.0 - p }).ln()).sqrt();
    let value = if r <= 5.0 {
        poly(r - 1.6, &MIDDLE.0) / poly(r - 1.6, &MIDDLE.1)
    } else {
        poly(r - 5.0, &TAIL.0) / poly(r - 5.0, &TAIL.1)
    };
    value.copysign(q)
}

type Ratio = ([f64; 8], [f64; 8]);

#[rustfmt::skip]
const CENTER: Ratio = (
    [3.387_132_872_796_366_5, 1.331_416_678_917_843_8e2, 1.971_590_950_306_551_3e3, 1.373_169_376_550_946e4,
     4.592_195_393_154_987e4, 6.726_577_092_700_87e4, 3.343_057_558_358_813e4, 2.509_080_928_730_122_7e3],
    [1.0, 4.231_333_070_160_091e1, 6.871_870_074_920_579e2, 5.394_196_021_424_751e3,
     2.121_379_430_158_659_7e4, 3.930_789_580_009_271e4, 2.872_908_573_572_194_3e4, 5.226_495_278_852_854e3],
);

#[rustfmt::skip]
const MIDDLE: Ratio = (
    [1.423_437_110_749_683_5, 4.630_337_846_156_546, 5.769_497_221_460_691, 3.647_848_324_763_204_5,
     1.270_458_252_452_368_4, 2.417_807_251_774_506e-1, 2.272_384_498_926_918_4e-2, 7.745_450_142_783_414e-4],
    [1.0, 2.053_191_626_637_759, 1.676_384_830_183_803_8, 6.897_673_349_851e-1,
     1.481_039_764_274_800_8e-1, 1.519_866_656_361_645_7e-2, 5.475_938_084_995_345e-4, 1.050_750_071_644_416_9e-9],
);

#[rustfmt::skip]
const TAIL: Ratio = (
    [6.657_904_643_501_103, 5.463_784_911_164_114, 1.784_826_539_917_291_3, 2.965_605_718_285_048_7e-1,
     2.653_218_952_657_612_4e-2, 1.242_660_947_388_078_4e-3, 2.711_555_568_743_487_6e-5, 2.010_334_399_292_288_1e-7],
    [1.0, 5.998_322_065_558_88e-1, 1.369_298_809_227_358e-1, 1.487_536_129_085_061_5e-2,
     7.868_691_311_456_133e-4, 1.846_318_317_510_054_8e-5, 1.421_511_758_316_446e-7, 2.044_263_103_389_939_8e-15],
);

/// The error function, within 1.5e-7 (Abramowitz and Stegun 7.1.26): enough to show a value to a person.
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let sum = series.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_inverse_is_the_published_one() {
        // Wichura 1988, table of check values.
        for (p, z) in
            [(0.25, -0.674_489_750_196_081_7), (0.001, -3.090_232_306_167_814), (1e-20, -9.262_340_089_798_408)]
        {
            assert!((probit(p) - z).abs() < 1e-9, "{p}: {}", probit(p));
        }
        assert_eq!(probit(0.5), 0.0);
    }

    #[test]
    fn every_scale_inverts() {
        let sorted: Vec<f64> = (0..200).map(|i| f64::from(i * i) / 10.0).collect();
        let mut moments = Moments::default();
        let mut logs = Moments::default();
        sorted.iter().for_each(|v| {
            moments.add(*v);
            logs.add(v.ln_1p());
        });
        for scaling in [
            Scaling::None,
            Scaling::Standard,
            Scaling::MinMax,
            Scaling::Robust,
            Scaling::Log1p,
            Scaling::Quantile,
            Scaling::QuantileNormal,
        ] {
            let m = if scaling == Scaling::Log1p { &logs } else { &moments };
            let scaler = scaling.fit(m, &sorted, (0.0, 3960.1));
            for x in [1.6, 40.0, 1000.0] {
                let back = scaler.apply(x).map_or(f64::NAN, |y| scaler.invert(y));
                assert!((back - x).abs() < 1e-3 * x, "{scaling:?}: {x} came back as {back}");
            }
        }
        assert_eq!(Scaler::Log1p { center: 0.0, width: 1.0 }.apply(-1.0), None);
    }

    #[test]
    fn ranks_of_ties_and_beyond_the_ends() {
        let quantiles = [0.0, 1.0, 1.0, 1.0, 3.0];
        assert_eq!(
            [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 9.0].map(|x| rank(&quantiles, x)),
            [0.0, 0.0, 0.125, 0.5, 0.875, 1.0, 1.0]
        );
        assert_eq!(rank(&[], 1.0), 0.0);
    }
}
