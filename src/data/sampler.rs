//! The order in which rows are drawn: one keyed permutation per epoch, computed instead of stored.

/// Draws every row of a split once an epoch, in an order that is a pure function of `(seed, epoch, index)`.
///
/// The permutation is a Feistel network over the next power of four with cycle walking (Black and Rogaway, "Ciphers
/// with Arbitrary Finite Domains", 2002), so any position is reached in O(1) time and no memory: a resumed run seeks
/// to its step instead of replaying the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    seed: u64,
    len: u64,
    half_bits: u32,
}

/// Four rounds make a Feistel network a strong pseudo-random permutation (Luby and Rackoff, 1988); two more cover the
/// small domains.
const ROUNDS: u64 = 6;

impl Sampler {
    /// Over `len` rows; an empty split behaves as one row.
    pub fn new(seed: u64, len: u64) -> Self {
        let len = len.max(1);
        let bits = u64::BITS - (len - 1).leading_zeros();
        Self { seed, len, half_bits: bits.div_ceil(2).max(1) }
    }

    /// Rows in one epoch.
    pub fn epoch_len(&self) -> u64 {
        self.len
    }

    /// The `(epoch, row)` drawn at `position`, counted from 0 over the whole run.
    pub fn at(&self, position: u64) -> (u64, u64) {
        let epoch = position / self.len;
        let key = mix(mix(self.seed) ^ epoch);
        let mut row = self.permute(key, position % self.len);
        // The domain is less than four times `len`, so this takes four turns or fewer on average.
        while row >= self.len {
            row = self.permute(key, row);
        }
        (epoch, row)
    }

    /// The `(epoch, row)` pairs of `n` positions from `position` on.
    pub fn rows(&self, position: u64, n: usize) -> Vec<(u64, u64)> {
        (position..position.saturating_add(n as u64)).map(|p| self.at(p)).collect()
    }

    /// A bijection of `0..4^half_bits`.
    fn permute(&self, key: u64, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ (mix(key ^ mix(right | round << 56)) & mask));
        }
        left << self.half_bits | right
    }
}

/// SplitMix64's step (Steele, Lea and Flood 2014): a bijection of 64 bits whose outputs look random.
pub(super) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(sampler: &Sampler, epoch: u64) -> Vec<u64> {
        let len = sampler.epoch_len();
        sampler
            .rows(epoch * len, len as usize)
            .into_iter()
            .map(|(e, row)| {
                assert_eq!(e, epoch);
                row
            })
            .collect()
    }

    #[test]
    fn every_epoch_is_a_permutation() {
        for len in (1..70).chain([255, 256, 257, 1000, 1023, 1024, 1025, 4097, 10_007]) {
            let sampler = Sampler::new(7, len);
            for e in [0, 1, 99] {
                let mut rows = epoch(&sampler, e);
                rows.sort_unstable();
                assert!(rows.iter().copied().eq(0..len), "len {len} epoch {e}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_differ() {
        let a = Sampler::new(1, 1000);
        assert_ne!(epoch(&a, 0), epoch(&a, 1));
        assert_ne!(epoch(&a, 0), epoch(&Sampler::new(2, 1000), 0));
        assert_eq!(epoch(&a, 3), epoch(&Sampler::new(1, 1000), 3));
    }

    #[test]
    fn order_looks_random() {
        // A uniform permutation has one fixed point on average, and its mean absolute move is len / 3.
        let rows = epoch(&Sampler::new(3, 9000), 0);
        let fixed = rows.iter().enumerate().filter(|&(i, &r)| i as u64 == r).count();
        let moved: u64 = rows.iter().enumerate().map(|(i, &r)| (i as u64).abs_diff(r)).sum();
        assert!(fixed < 8, "{fixed} fixed points");
        assert!((2800..3200).contains(&(moved / 9000)), "mean move {}", moved / 9000);
    }

    #[test]
    fn far_positions_and_huge_splits_seek() {
        let sampler = Sampler::new(5, 1 << 40);
        assert!(sampler.at(u64::MAX).1 < 1 << 40);
        assert_eq!(Sampler::new(5, 0).at(3), (3, 0));
    }
}
