use std::io::Write;

use super::*;

const NONE: Holdout = Holdout::of(0.0, 0.0);
const UTF8: Reading = Reading { utf8: true, newlines: true, limit: 0 };

fn files(contents: &[&[u8]]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = contents.iter().enumerate().map(|(i, bytes)| {
        let path = folder.path().join(format!("{i}.txt"));
        std::fs::write(&path, bytes).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

fn splits(corpus: &Corpus) -> [String; 3] {
    let mut out: [String; 3] = Default::default();
    for chunk in corpus.chunks() {
        let chunk = chunk.unwrap();
        out[chunk.split as usize].push_str(std::str::from_utf8(&chunk.bytes).unwrap());
    }
    out
}

#[test]
fn documents_are_joined_and_empty_ones_skipped() {
    let (_folder, paths) = files(&[b"", b"one", b"", b"two\n", b"three"]);
    let corpus = Corpus::open(&paths, UTF8, NONE).unwrap();
    assert_eq!(splits(&corpus)[0], "one\ntwo\n\nthree");
    assert_eq!(corpus.len(), 14);
    let corpus = Corpus::open(&paths, Reading { newlines: false, ..UTF8 }, NONE).unwrap();
    let chunks: Vec<_> = corpus.chunks().map(|c| c.unwrap().separated).collect();
    assert_eq!(chunks, [false, true, true]);
}

#[test]
fn splits_are_disjoint_cover_everything_and_end_on_lines() {
    let text: String = (0..2000).map(|i| format!("line {i} é\n")).collect();
    let (_folder, paths) = files(&[text.as_bytes()]);
    let corpus = Corpus::open(&paths, UTF8, Holdout::of(0.1, 0.05)).unwrap();
    let parts = splits(&corpus);
    assert_eq!(parts.concat(), text);
    assert!(parts[0].ends_with('\n') && parts[1].ends_with('\n'));
    let share = |i: usize| parts[i].len() as f64 / text.len() as f64;
    assert!((share(0) - 0.85).abs() < 0.002 && (share(1) - 0.1).abs() < 0.002);
}

#[test]
fn a_small_split_is_not_swallowed_by_a_long_line() {
    let text = "word ".repeat(20_000) + "\n";
    let (_folder, paths) = files(&[text.as_bytes()]);
    let corpus = Corpus::open(&paths, UTF8, Holdout::of(0.001, 0.0)).unwrap();
    assert_eq!(splits(&corpus)[1].len(), 100);
}

#[test]
fn cuts_never_break_a_character() {
    let text = "é".repeat(1000);
    let (_folder, paths) = files(&[text.as_bytes()]);
    for limit in [1, 2, 999, 1001] {
        let holdout = Holdout::of(0.333, 0.1);
        let corpus = Corpus::open(&paths, Reading { limit, ..UTF8 }, holdout).unwrap();
        assert_eq!(splits(&corpus).concat().len() as u64, limit / 2 * 2);
    }
}

#[test]
fn long_texts_come_in_bounded_chunks() {
    let text = "0123456789 abcdef\n".repeat(200_000);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt.gz");
    std::fs::write(&path, gz.finish().unwrap()).unwrap();
    let corpus = Corpus::open(&[path], UTF8, NONE).unwrap();
    assert_eq!(corpus.len(), text.len() as u64);
    let chunks: Vec<_> = corpus.chunks().map(|c| c.unwrap().bytes).collect();
    assert!(chunks.iter().all(|c| c.len() <= CHUNK + 1));
    assert_eq!(chunks.concat(), text.as_bytes());
}

#[test]
fn invalid_utf8_names_file_and_byte() {
    let (_folder, paths) = files(&[b"fine", b"abc\xff"]);
    let corpus = Corpus::open(&paths, UTF8, NONE).unwrap();
    let error = corpus.chunks().find_map(Result::err).unwrap().to_string();
    assert!(error.contains("1.txt") && error.contains("byte 3"), "{error}");
    assert_eq!(Corpus::open(&paths, Reading { utf8: false, ..UTF8 }, NONE).unwrap().chunks().count(), 2);
}

#[test]
fn cuts_are_between_words() {
    assert_eq!(safe_cut(b"ab cd ef  gh"), 5);
    assert_eq!(safe_cut("ééé".as_bytes()), 4);
    assert_eq!(safe_cut(&[0xff; 5]), 4);
    assert!(Corpus::open(&[], UTF8, NONE).unwrap_err().to_string().contains("empty"));
}
