//! Randomness that is a function of (seed, trial): any worker that asks for the same trial draws the same numbers.

/// SplitMix64 (Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// The stream of trial `number` in a search that began from `seed`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Self(seed);
        random.0 = random.next() ^ number.wrapping_mul(GOLDEN);
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..`count`; 0 for none.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Normal, cut off to [0, 1]; the mean lies in it, so every second draw fits at least.
    pub fn normal_in_unit(&mut self, mean: f64, deviation: f64) -> f64 {
        for _ in 0..64 {
            // Box and Muller 1958.
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let x = mean + deviation * radius * (std::f64::consts::TAU * self.unit()).cos();
            if (0.0..=1.0).contains(&x) {
                return x;
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_apart_and_fair() {
        let draw = |seed, number| Random::new(seed, number).unit();
        assert_eq!(draw(1, 2).to_bits(), draw(1, 2).to_bits());
        assert!(draw(1, 2) != draw(1, 3) && draw(1, 2) != draw(2, 2));
        let mut random = Random::new(7, 7);
        let mean = (0..10_000).map(|_| random.unit()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let mut seen = [0; 3];
        (0..3000).for_each(|_| seen[random.below(3)] += 1);
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&random.normal_in_unit(0.99, 0.5))));
    }
}
