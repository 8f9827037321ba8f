//! Did-you-mean.

/// The candidate that `word` most likely meant, if any is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    let slips = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let plain = candidate.to_lowercase().replace('-', "_");
            let prefix = word.len() >= 3 && (plain.starts_with(&word) || word.starts_with(&plain) && plain.len() >= 3);
            let distance = if prefix { 0 } else { strsim::damerau_levenshtein(&word, &plain) };
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and so on, each in backquotes.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let keys = ["steps", "epochs", "batch", "label_smoothing"];
        assert_eq!(nearest("stpes", keys), Some("steps"));
        assert_eq!(nearest("step", keys), Some("steps"));
        assert_eq!(nearest("batch_size", keys), Some("batch"));
        assert_eq!(nearest("label-smoothing", keys), Some("label_smoothing"));
        assert_eq!(nearest("zzz", keys), None);
        assert_eq!(nearest("", keys), None);
    }
}
