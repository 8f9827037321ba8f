use super::{
    super::{DataConfig, prepare},
    *,
};

fn fold(index: usize, of: usize, by: FoldBy) -> Fold {
    Fold { index, of, by, column: String::new(), seed: 5 }
}

fn validated(of: usize, by: FoldBy, keys: &[f64]) -> Vec<Vec<usize>> {
    let rows = |index| roles(&fold(index, of, by), keys).into_iter().enumerate();
    (0..of).map(|index| rows(index).filter(|(_, role)| *role == Role::Validate).map(|(row, _)| row).collect()).collect()
}

#[test]
fn folds_validate_every_row_once_and_share_out_classes() {
    let keys: Vec<f64> = (0..103).map(|i| f64::from(i % 10 == 0)).collect();
    for by in [FoldBy::Stratified, FoldBy::Shuffled, FoldBy::Grouped] {
        let keys = if by == FoldBy::Grouped { (0..103).map(|i| f64::from(i / 4)).collect() } else { keys.clone() };
        let folds = validated(5, by, &keys);
        let mut all: Vec<usize> = folds.concat();
        all.sort_unstable();
        assert_eq!(all, (0..103).collect::<Vec<_>>(), "{by:?}");
        assert!(folds.iter().all(|rows| (19..=24).contains(&rows.len())), "{by:?} {folds:?}");
        if by == FoldBy::Stratified {
            let ones = |rows: &Vec<usize>| rows.iter().filter(|&&row| keys[row] == 1.0).count();
            assert!(folds.iter().all(|rows| (2..=3).contains(&ones(rows))), "11 of them in five folds");
        }
    }
    assert_ne!(
        dealt(&fold(0, 5, FoldBy::Shuffled), &keys),
        dealt(&Fold { seed: 6, ..fold(0, 5, FoldBy::Shuffled) }, &keys)
    );
}

#[test]
fn groups_stay_together() {
    let keys: Vec<f64> = (0..60).map(|i| f64::from(i * i % 7)).collect();
    for rows in validated(3, FoldBy::Grouped, &keys) {
        let inside: Vec<u64> = rows.iter().map(|&row| keys[row].to_bits()).collect();
        assert!((0..60).all(|row| rows.contains(&row) || !inside.contains(&keys[row].to_bits())));
    }
}

#[test]
fn time_never_trains_on_what_comes_later() {
    let keys: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40)).collect();
    for index in 0..3 {
        let roles = roles(&fold(index, 3, FoldBy::Time), &keys);
        let of = |role: Role| keys.iter().zip(&roles).filter(move |(_, r)| **r == role).map(|(key, _)| *key);
        let last = of(Role::Train).fold(f64::MIN, f64::max);
        assert!(of(Role::Validate).all(|key| key > last) && of(Role::Validate).count() == 10);
        assert_eq!(of(Role::Train).count(), 10 * (index + 1));
    }
}

/// The features of a split, row by row.
fn rows(dataset: &Dataset, split: Split) -> Vec<Vec<f32>> {
    let rows: Vec<u64> = (0..dataset.len(split)).collect();
    let HostInput::Floats { values, shape } = dataset.batch(split, &rows, 0).unwrap().input else { panic!() };
    values.chunks(shape[0]).map(<[f32]>::to_vec).collect()
}

#[test]
fn a_fold_of_a_table_learns_on_its_own_rows() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: i32| format!("{},{},{}\n", i * i % 97, i % 3, if i % 4 == 0 { "a" } else { "b" });
    let text: String = (0..120).map(row).collect();
    std::fs::write(folder.path().join("t.csv"), format!("n,m,kind\n{text}")).unwrap();
    let toml = "task = 'classification'\nsource = { path = 't.csv' }\ncache = 'cache'\nholdout = { test = 0.2 }\n\
                columns = { n = 'numeric', m = 'numeric' }\n";
    let config: DataConfig = toml::from_str(toml).unwrap();
    let plain = DataConfig { standardize: false, ..config.clone() };
    let prepared = |config: &DataConfig| prepare(config, folder.path(), 1, &|_| {}).unwrap();
    let whole = prepared(&plain);
    let mut seen = Vec::new();
    for index in 0..4 {
        let fold = Some(fold(index, 4, FoldBy::Stratified));
        let raw = prepared(&DataConfig { fold: fold.clone(), ..plain.clone() });
        assert_eq!(rows(&raw, Split::Test), rows(&whole, Split::Test));
        assert_ne!(raw.fingerprint(), whole.fingerprint());
        assert_eq!(
            raw.len(Split::Train) + raw.len(Split::Validation),
            whole.len(Split::Train) + whole.len(Split::Validation)
        );
        seen.extend(rows(&raw, Split::Validation));
        let scaled = rows(&prepared(&DataConfig { fold, ..config.clone() }), Split::Train);
        for column in 0..2 {
            let n = scaled.len() as f64;
            let mean = scaled.iter().map(|row| f64::from(row[column])).sum::<f64>() / n;
            let square = scaled.iter().map(|row| f64::from(row[column]).powi(2)).sum::<f64>() / n;
            assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
        }
    }
    let mut pool = [rows(&whole, Split::Train), rows(&whole, Split::Validation)].concat();
    for rows in [&mut seen, &mut pool] {
        rows.sort_by(|a, b| {
            a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    assert_eq!(seen, pool, "every row validates once");
    let odd = |fold: Fold| {
        let config = DataConfig { fold: Some(fold), ..config.clone() };
        prepare(&config, folder.path(), 1, &|_| {}).unwrap_err().to_string()
    };
    assert!(odd(fold(4, 4, FoldBy::Stratified)).contains("counted from 0"));
    let unnamed = odd(Fold { column: "k".into(), ..fold(0, 4, FoldBy::Grouped) });
    assert!(unnamed.contains("`data.fold.column`") && unnamed.contains("no column `k`"), "{unnamed}");
    let grouped = Some(Fold { column: "m".into(), ..fold(0, 3, FoldBy::Grouped) });
    let grouped = prepared(&DataConfig { fold: grouped, ..plain });
    let groups =
        |split| rows(&grouped, split).into_iter().map(|row| row[1] as i32).collect::<std::collections::BTreeSet<_>>();
    assert!(groups(Split::Validation).is_disjoint(&groups(Split::Train)) && groups(Split::Validation).len() == 1);
}
