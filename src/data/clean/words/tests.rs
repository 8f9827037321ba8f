use super::*;

fn terms(text: &str, unit: TextUnit, ngrams: [usize; 2]) -> Vec<(String, u32)> {
    let mut counts = HashMap::new();
    count(text, unit, ngrams, &mut counts);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort();
    counts
}

#[test]
fn terms_are_scikit_learns() {
    let names = |counts: Vec<(String, u32)>| counts.into_iter().map(|(term, _)| term).collect::<Vec<_>>();
    let words = terms("The cat, the CAT sat.", TextUnit::Words, [1, 2]);
    assert_eq!(names(words.clone()), ["cat", "cat sat", "cat the", "sat", "the", "the cat"]);
    assert_eq!(words[0].1, 2);
    assert_eq!(names(terms("a \n b", TextUnit::Characters, [2, 2])), [" b", "a "]);
    assert_eq!(names(terms("ab c", TextUnit::CharactersInWords, [3, 4])), [" ab", " ab ", " c ", "ab "]);
}

#[test]
fn rare_terms_give_way_in_bounded_memory() {
    let config = TextConfig { min_rows: 1, most: 10, ..TextConfig::default() };
    let mut profile = TextProfile::new();
    let rows = 6000;
    for row in 0..rows {
        let text: String = (0..200).map(|i| format!("w{} ", row * 200 + i)).collect();
        profile.add(Some(&format!("common {text}")), &config);
    }
    assert!(profile.terms.len() <= COUNTED && profile.gone > 0);
    assert_eq!(profile.terms.get("common"), Some(&(rows, rows)));
}
