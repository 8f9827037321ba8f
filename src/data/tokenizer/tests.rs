use super::*;

const TEXT: &str = "fn main() {\n    println!(\"naïve 🦀 <|endoftext|>\");\n\n}\n";

fn all() -> Vec<Tokenizer> {
    let mut alphabet = Alphabet::default();
    alphabet.add(TEXT);
    vec![
        Tokenizer::Bytes,
        Tokenizer::Char(Arc::new(alphabet.characters())),
        Tokenizer::gpt2(),
        Tokenizer::train_bpe(300, [Ok(TEXT.repeat(3))].into_iter()).unwrap(),
    ]
}

#[test]
fn text_survives_the_round_trip_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    for tokenizer in all() {
        let ids = tokenizer.encode(TEXT).unwrap();
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab()));
        assert_eq!(tokenizer.decode(&ids).unwrap(), TEXT, "{tokenizer:?}");
        tokenizer.save(&path).unwrap();
        let loaded = Tokenizer::load(&path).unwrap();
        assert_eq!(loaded.encode(TEXT).unwrap(), ids);
        assert_eq!(loaded.vocab(), tokenizer.vocab());
        assert!(loaded.decode(&[u32::MAX]).unwrap_err().to_string().contains("outside the vocabulary"));
    }
}

#[test]
fn gpt2_is_gpt2() {
    // From openai/gpt-2's own encoder.
    let gpt2 = Tokenizer::gpt2();
    assert_eq!(gpt2.encode("Hello, world!").unwrap(), [15496, 11, 995, 0]);
    assert_eq!(gpt2.decode(&[GPT2_END_OF_TEXT]).unwrap(), "<|endoftext|>");
}

#[test]
fn cutting_before_a_lone_blank_keeps_the_tokens() {
    let (left, right) = TEXT.split_at(TEXT.find(" {").unwrap());
    for tokenizer in all() {
        let cut = [tokenizer.encode(left).unwrap(), tokenizer.encode(right).unwrap()].concat();
        assert_eq!(cut, tokenizer.encode(TEXT).unwrap());
    }
}

#[test]
fn trained_merges_are_reproducible_and_byte_level() {
    let texts = || ["the cat the dog the cow ", "then there them"].map(|t| Ok(t.to_owned()));
    let a = Tokenizer::train_bpe(259, texts().into_iter()).unwrap();
    let b = Tokenizer::train_bpe(259, texts().into_iter()).unwrap();
    assert_eq!(a.vocab(), 259);
    assert_eq!(a.encode("the unseen ☃").unwrap(), b.encode("the unseen ☃").unwrap());
    assert_eq!(a.decode(&a.encode("the unseen ☃").unwrap()).unwrap(), "the unseen ☃");
    assert!(a.encode("the").unwrap().len() < 3);
    assert!(Tokenizer::train_bpe(100, texts().into_iter()).unwrap_err().to_string().contains("data.tokenizer"));
    let broken = [Err(Error::input("broken"))];
    assert_eq!(Tokenizer::train_bpe(300, broken.into_iter()).unwrap_err().message(), "broken");
}

#[test]
fn foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json");
    for text in ["", "{}", "{\"kind\":\"hf\",\"tokenizer\":\"{}\"}", "{\"kind\":\"other\"}"] {
        std::fs::write(&path, text).unwrap();
        assert!(Tokenizer::load(&path).unwrap_err().to_string().contains("t.json"));
        assert!(Tokenizer::from_hf_file(&path).is_err());
    }
}
