//! Categories and words spread over a fixed number of features by a hash: no state at all.

/// Features by default.
pub(super) const BUCKETS: usize = 32;

/// Features at most; the config's rules say the same.
pub(super) const MOST_BUCKETS: usize = 1 << 16;

/// The feature of `name` among `buckets`, and its sign, which makes collisions cancel on average (Weinberger et al.
/// 2009); MurmurHash3 as scikit-learn's `FeatureHasher` uses it.
pub(super) fn place(name: &str, buckets: usize) -> (usize, f32) {
    let hash = murmur3(name.as_bytes()).cast_signed();
    let sign = if hash >= 0 { 1.0 } else { -1.0 };
    (hash.unsigned_abs() as usize % buckets.max(1), sign)
}

/// The words of a text: runs of two or more letters, digits or `_`, in lower case.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let runs = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    runs.filter(|word| word.chars().nth(1).is_some()).map(str::to_lowercase)
}

/// MurmurHash3, 32 bits, seed 0 (Appleby 2011).
fn murmur3(bytes: &[u8]) -> u32 {
    let scramble = |k: u32| k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (chunks, rest) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for chunk in chunks {
        hash = (hash ^ scramble(u32::from_le_bytes(*chunk))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let tail = rest.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
    hash ^= if rest.is_empty() { 0 } else { scramble(tail) };
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(murmur3(b""), 0);
        assert_eq!(murmur3(b"test"), 0xba6b_d213);
        assert_eq!(murmur3(b"Hello, world!"), 0xc036_3e43);
        assert_eq!(murmur3(b"The quick brown fox jumps over the lazy dog"), 0x2e4f_f723);
    }

    #[test]
    fn words_are_runs_of_two_letters_or_more() {
        assert_eq!(words("A red-hot Ångström, x2!").collect::<Vec<_>>(), ["red", "hot", "ångström", "x2"]);
    }
}
