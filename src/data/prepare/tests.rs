use std::cell::RefCell;

use super::{
    super::{HostInput, HostTarget, IGNORE},
    *,
};

fn config(extra: &str) -> DataConfig {
    let base = "task = \"language-model\"\nsource = { path = \"t.txt\" }\ncontext = 8\ncache = \"cache\"\n";
    toml::from_str(&format!("{base}{extra}")).unwrap()
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.txt"), text).unwrap();
    folder
}

fn lines(n: usize) -> String {
    (0..n).map(|i| format!("{i} bottles of beer\n")).collect()
}

/// Every id and target of a split in row order, without padding.
fn pairs(dataset: &Dataset, split: Split, epoch: u64) -> (Vec<i32>, Vec<i32>) {
    let rows: Vec<u64> = (0..dataset.len(split)).collect();
    let batch = dataset.batch(split, &rows, epoch).unwrap();
    let (HostInput::Tokens { ids, context }, HostTarget::Classes(targets)) = (&batch.input, &batch.target) else {
        panic!()
    };
    assert_eq!((ids.len(), targets.len()), (rows.len() * context, rows.len() * context));
    ids.iter().zip(targets).filter(|(_, t)| **t != IGNORE).unzip()
}

#[test]
fn every_tokenizer_prepares_and_reads_back() {
    let text = lines(300);
    let folder = folder(&text);
    for tokenizer in ["\"bytes\"", "\"char\"", "\"gpt2\"", "{ bpe = 300 }"] {
        let config = config(&format!("tokenizer = {tokenizer}\n[holdout]\nvalidation = 0.2\ntest = 0.1"));
        let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
        let mut parts = Vec::new();
        for split in Split::ALL {
            let tokens = dataset.tokens(split).unwrap();
            assert!(tokens > 8);
            if split != Split::Train {
                // Evaluation sees every token but the first exactly once.
                let (ids, targets) = pairs(&dataset, split, 3);
                assert_eq!(targets.len() as u64, tokens - 1);
                assert_eq!(ids[1..], targets[..targets.len() - 1]);
                let first = ids.first().copied().into_iter().chain(targets);
                let ids: Vec<u32> = first.map(i32::cast_unsigned).collect();
                parts.push(dataset.tokenizer().unwrap().decode(&ids).unwrap());
            }
        }
        assert!(text.ends_with(&parts.concat()), "{tokenizer}");
        assert!(dataset.describe(Split::Test, 0).unwrap().starts_with(&parts[1][..8]));
        let per_token = dataset.schema().bytes_per_token.unwrap();
        let expected = parts[0].len() as f64 / dataset.tokens(Split::Validation).unwrap() as f64;
        assert!((per_token - expected).abs() < 1e-9);
    }
}

#[test]
fn epochs_cut_training_text_at_other_places() {
    let folder = folder(&lines(300));
    let dataset = prepare(&config(""), folder.path(), 1, &|_| {}).unwrap();
    let (ids, targets) = pairs(&dataset, Split::Train, 0);
    assert_eq!(ids[1..], targets[..targets.len() - 1]);
    assert_eq!(ids.len() as u64, dataset.len(Split::Train) * 8);
    let firsts: std::collections::BTreeSet<Vec<i32>> =
        (0..50).map(|epoch| pairs(&dataset, Split::Train, epoch).0[..8].to_vec()).collect();
    assert_eq!(firsts.len(), 8);
    assert_eq!(pairs(&dataset, Split::Validation, 0), pairs(&dataset, Split::Validation, 1));
}

#[test]
fn prepared_once_whatever_the_context() {
    let folder = folder(&lines(300));
    let prepared = RefCell::new(0);
    let get = |extra: &str, seed: u64| {
        let count = |line: &str| *prepared.borrow_mut() += usize::from(line.starts_with("preparing"));
        let dataset = prepare(&config(extra), folder.path(), seed, &count).unwrap();
        (dataset.fingerprint().to_owned(), *prepared.borrow())
    };
    let (first, n) = get("", 1);
    assert_eq!(n, 1);
    assert_eq!(get("standardize = false\nworkers = 3", 2), (first.clone(), 1));
    let (other, n) = get("limit = 3000", 1);
    assert_eq!(n, 2);
    assert_ne!(first, other);
    // The same text in another place is the same data.
    std::fs::rename(folder.path().join("t.txt"), folder.path().join("u.txt")).unwrap();
    std::fs::copy(folder.path().join("u.txt"), folder.path().join("t.txt")).unwrap();
    assert_eq!(get("", 1), (first, 2));
}

#[test]
fn short_splits_and_contradictions_name_their_keys() {
    let small = folder("just a few words here\n");
    let error = |extra: &str| prepare(&config(extra), small.path(), 1, &|_| {}).unwrap_err().to_string();
    let short = error("");
    assert!(short.contains("data.context") && short.contains("data.holdout.validation"), "{short}");
    assert!(error("[holdout]\nvalidation = 0.6\ntest = 0.5").contains("data.holdout.test"));
    assert!(error("format = \"csv\"").contains("data.format"));
    assert!(error("tokenizer = { file = \"none.json\" }").contains("none.json"));
    let empty = folder("");
    assert!(prepare(&config(""), empty.path(), 1, &|_| {}).unwrap_err().to_string().contains("empty"));
    std::fs::remove_file(empty.path().join("t.txt")).unwrap();
    assert!(prepare(&config(""), empty.path(), 1, &|_| {}).unwrap_err().to_string().contains("t.txt"));
}

#[test]
fn bytes_take_anything_and_the_rest_wants_utf8() {
    let folder = folder("");
    let bytes: Vec<u8> = (0..3000u32).map(|i| (i * 7 % 256) as u8).collect();
    std::fs::write(folder.path().join("t.txt"), bytes).unwrap();
    let dataset = prepare(&config(""), folder.path(), 1, &|_| {}).unwrap();
    assert_eq!(dataset.tokens(Split::Train).unwrap() + dataset.tokens(Split::Validation).unwrap(), 3000);
    let error = prepare(&config("tokenizer = \"char\""), folder.path(), 1, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("UTF-8") && error.contains("bytes"), "{error}");
}

#[test]
fn gpt2_separates_documents() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("t.txt")).unwrap();
    for name in ["a", "b", "c", "d", "e"] {
        std::fs::write(folder.path().join("t.txt").join(name), "one two three four five").unwrap();
    }
    let config = config("tokenizer = \"gpt2\"\n[holdout]\nvalidation = 0.0");
    let dataset = prepare(&config, folder.path(), 1, &|_| {}).unwrap();
    let text = dataset.describe(Split::Train, 0).unwrap() + &dataset.describe(Split::Train, 1).unwrap();
    assert_eq!(dataset.tokens(Split::Train), Some(29));
    assert!(text.contains("five<|endoftext|>one"), "{text}");
    assert!(dataset.is_empty(Split::Validation));
}
