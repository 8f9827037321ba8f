use super::*;

#[test]
fn the_last_choices_are_held_out() {
    let by_user = [vec![5, 3, 9, 1], vec![2, 4], (0..10).collect()];
    let [train, validation, test] = shared_out(&by_user, SplitPerUser::LeaveOneOut, (0.0, 0.0));
    assert_eq!((&validation[..], &test[..]), (&[(0, 9), (2, 8)][..], &[(0, 1), (2, 9)][..]));
    assert_eq!(train.len(), 16 - 4);
    assert!(train.contains(&(1, 2)) && train.contains(&(1, 4)), "two choices are too few to hold any out");
    let [train, validation, test] = shared_out(&by_user, SplitPerUser::Time, (0.2, 0.1));
    assert_eq!(validation, [(0, 1), (2, 7), (2, 8)]);
    assert_eq!(test, [(2, 9)]);
    assert_eq!(train.len(), 12);
}

fn folder() -> (tempfile::TempDir, [Shard; 3], Histories) {
    let folder = tempfile::tempdir().unwrap();
    let by_user: Vec<Vec<u32>> = (0..20).map(|user| (0..6).map(|i| (user * 3 + i * 5) % 30).collect()).collect();
    write(folder.path(), &shared_out(&by_user, SplitPerUser::LeaveOneOut, (0.0, 0.0))).unwrap();
    let shards = Split::ALL.map(|split| Shard::open(&super::super::cache::shard_path(folder.path(), split)).unwrap());
    let histories = Histories::read(&shards, 20, 30).unwrap();
    (folder, shards, histories)
}

#[test]
fn negatives_are_a_function_of_seed_epoch_and_row_and_never_a_training_item() {
    let (_folder, [train, ..], histories) = folder();
    let draw = |seed, epoch, row| {
        let (input, _) = histories.with_negatives(&train, &[(epoch, row)], 8, seed).unwrap();
        let HostInput::Choices { users, items, each: 9 } = input else { panic!() };
        (users[0] as u32, items)
    };
    for row in 0..train.rows() {
        let (user, items) = draw(7, 2, row);
        assert_eq!(draw(7, 2, row), (user, items.clone()));
        let own = histories.of(Split::Train, user);
        assert!(own.contains(&(items[0] as u32)));
        assert!(items[1..].iter().all(|item| !own.contains(&(*item as u32))));
        assert_ne!(draw(7, 3, row).1[1..], items[1..]);
        assert_ne!(draw(8, 2, row).1[1..], items[1..]);
    }
    // Every item that the first user did not choose is drawn about as often.
    let own = histories.of(Split::Train, 0).len();
    let mut counts = [0; 30];
    (0..2000).flat_map(|epoch| draw(1, epoch, 0).1[1..].to_vec()).for_each(|item| counts[item as usize] += 1);
    let expected = 16_000 / (30 - own);
    assert!(counts.iter().all(|&n| n == 0 || (n as i64 - expected as i64).abs() < expected as i64 / 4));
    assert_eq!(counts.iter().filter(|&&n| n > 0).count(), 30 - own);
}

#[test]
fn a_batch_hides_its_users_other_items_and_corrects_for_popularity() {
    let (_folder, [train, ..], histories) = folder();
    let rows: Vec<(u64, u64)> = (0..8).map(|row| (0, row)).collect(); // two users, four choices each
    let (input, target) = histories.in_batch(&train, &rows).unwrap();
    let (HostInput::Choices { users, items, .. }, HostTarget::Items(Wanted::Shared { offsets })) = (input, target)
    else {
        panic!()
    };
    for (i, row) in offsets.chunks(8).enumerate() {
        for (j, offset) in row.iter().enumerate() {
            let count = histories.counts[items[j] as usize];
            let own = histories.of(Split::Train, users[i] as u32).contains(&(items[j] as u32));
            let expected = if i != j && own { HIDDEN } else { -(f64::from(count) / 80.0).ln() as f32 };
            assert_eq!(*offset, expected, "{i} {j}");
        }
    }
}

#[test]
fn a_ranking_leaves_out_what_was_chosen_before() {
    let (_folder, _, histories) = folder();
    let (HostInput::Choices { users, items, each: 0 }, HostTarget::Items(Wanted::Ranked { relevant, seen })) =
        histories.ranked(Split::Test, &[0, 3])
    else {
        panic!()
    };
    assert_eq!((users, items.len()), (vec![0, 3], 30));
    assert_eq!(relevant[0], [25], "the last of user 0's");
    assert_eq!(seen[0].len(), 5, "training's and validation's");
    let HostTarget::Items(Wanted::Ranked { seen, .. }) = histories.ranked(Split::Validation, &[0]).1 else { panic!() };
    assert_eq!(seen[0], [0, 5, 10, 15]);
}
