//! Train, validation and test are disjoint, complete, and the same wherever they are prepared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use kiln::data::{Dataset, HostInput, Split, prepare};

const ROWS: usize = 300;

/// Prepares in a cache of its own.
fn prepared(base: &Path, config: &str, seed: u64) -> (tempfile::TempDir, Dataset) {
    let cache = tempfile::tempdir().unwrap();
    let mut config: kiln::data::DataConfig =
        toml::from_str(&format!("{config}\nholdout = {{ validation = 0.2, test = 0.1 }}")).unwrap();
    config.cache = Some(PathBuf::from(cache.path()));
    let dataset = prepare(&config, base, seed, &|_| {}).unwrap();
    (cache, dataset)
}

/// The rows of every split, each by what `name` makes of its values.
fn rows<T: Ord>(dataset: &Dataset, name: impl Fn(&[f32]) -> T) -> [Vec<T>; 3] {
    Split::ALL.map(|split| {
        let all: Vec<u64> = (0..dataset.len(split)).collect();
        let batch = dataset.batch(split, &all, 0).unwrap();
        let HostInput::Floats { values, shape } = batch.input else { panic!("these are no tokens") };
        values.chunks(shape.iter().product()).map(&name).collect()
    })
}

/// Every row is in one split, about as many as asked for; another folder gives the same, another seed does not.
fn holds(base: &Path, config: &str, name: impl Fn(&[f32]) -> usize) {
    let (_cache, first) = prepared(base, config, 1);
    let (_cache, again) = prepared(base, config, 1);
    let (_cache, other) = prepared(base, config, 2);
    let splits = rows(&first, &name);
    assert_eq!(splits, rows(&again, &name));
    assert_eq!(first.fingerprint(), again.fingerprint());
    assert_ne!(splits, rows(&other, &name));
    let all: BTreeSet<usize> = splits.iter().flatten().copied().collect();
    assert!(all.into_iter().eq(0..ROWS), "every row is somewhere");
    assert_eq!(splits.iter().map(Vec::len).sum::<usize>(), ROWS, "and nowhere twice");
    let [train, validation, test] = splits.map(|rows| rows.len());
    assert!(validation.abs_diff(60) < 30 && test.abs_diff(30) < 20, "{train} {validation} {test}");
}

#[test]
fn of_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let table: String = (0..ROWS).map(|i| format!("{i},{}\n", i % 7)).collect();
    fs::write(folder.path().join("t.csv"), "x,y\n".to_string() + &table).unwrap();
    let config = "task = \"regression\"\nsource = { path = \"t.csv\" }\nstandardize = false";
    holds(folder.path(), config, |row| row[0] as usize);
}

#[test]
fn of_pictures() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..ROWS {
        let class = folder.path().join("p").join(["a", "b"][i % 2]);
        fs::create_dir_all(&class).unwrap();
        // Its number in two pixels, so that every picture is another.
        let picture = image::GrayImage::from_raw(2, 1, vec![(i / 20) as u8, (i % 20) as u8]).unwrap();
        picture.save(class.join(format!("{i}.png"))).unwrap();
    }
    let config =
        "task = \"classification\"\nsource = { path = \"p\" }\nimage_size = [1, 2]\nchannels = 1\nstandardize = false";
    let byte = |v: f32| (v * 255.0).round() as usize;
    holds(folder.path(), config, |row| 20 * byte(row[0]) + byte(row[1]));
}

#[test]
fn of_text() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..3000).map(|i| format!("line {i}\n")).collect();
    fs::write(folder.path().join("t.txt"), &text).unwrap();
    let config = "task = \"language-model\"\nsource = { path = \"t.txt\" }\ntokenizer = \"char\"\ncontext = 16";
    let (_cache, first) = prepared(folder.path(), config, 1);
    let (_cache, again) = prepared(folder.path(), config, 1);
    let (_cache, other) = prepared(folder.path(), config, 2);
    let mut seen = Vec::new();
    for split in Split::ALL {
        let all: Vec<u64> = (0..first.len(split)).collect();
        assert_eq!(first.batch(split, &all, 0).unwrap(), again.batch(split, &all, 0).unwrap());
        assert_eq!(first.tokens(split), other.tokens(split), "text is split by position, whatever the seed");
        let texts = all.iter().map(|&row| first.describe(split, row).unwrap()).collect::<String>();
        let lines = texts.lines().filter_map(|line| line.strip_prefix("line ")?.parse::<usize>().ok());
        seen.push(lines.collect::<BTreeSet<usize>>());
    }
    let tokens: u64 = Split::ALL.iter().filter_map(|&split| first.tokens(split)).sum();
    assert_eq!(tokens, text.len() as u64, "every character is in one split");
    // A window may begin or end within a line, whose number is then cut; only the first and last of a split can be.
    let [train, validation, test] = &seen[..] else { panic!() };
    let last = |lines: &BTreeSet<usize>| lines.iter().next_back().copied().unwrap();
    assert!(train.len() > 2000 && validation.iter().skip(1).all(|line| *line > last(train)), "{:?}", last(train));
    assert!(test.iter().skip(1).all(|line| *line > last(validation)));
}
