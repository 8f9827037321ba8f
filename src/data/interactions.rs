//! Who chose what: the columns of such a table, its splits by user, and what every user chose.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    HostInput, HostTarget, Split, Wanted,
    sampler::mix,
    shard::{Element, Layout, Shard, ShardWriter, TargetKind},
};
use crate::error::{Error, Result};

/// `[data.interactions]`: a table of who chose what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InteractionsConfig {
    /// The column of who chose.
    pub user: String,
    /// The column of what was chosen.
    pub item: String,
    /// The column of how much it was liked, for `least`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<String>,
    /// Rows with a rating below this are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The column of when, a date or a number; the order of the rows by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Which of a user's choices are held out.
    #[serde(default)]
    pub split: SplitPerUser,
    /// What training lowers.
    #[serde(default)]
    pub loss: RankingLoss,
    /// Items beside each chosen one, drawn at random among those that the user did not choose.
    #[serde(default = "one")]
    pub negatives: usize,
}

/// Which of a user's choices, in the order of time, are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitPerUser {
    /// The last one for test, the one before it for validation; users with fewer than three are for training.
    #[default]
    LeaveOneOut,
    /// The last shares that `data.holdout` says, for every user.
    Time,
}

/// The loss of a recommender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RankingLoss {
    /// Bayesian personalised ranking (Rendle et al. 2009): the chosen item above each drawn one.
    #[default]
    Bpr,
    /// Softmax over the chosen item and the drawn ones.
    Softmax,
    /// Whether each item was chosen, by itself (He et al. 2017).
    Logistic,
    /// Softmax over the items of the batch, less the logarithm of how often each is there (Yi et al. 2019); nothing is
    /// drawn.
    InBatch,
}

fn one() -> usize {
    1
}

impl InteractionsConfig {
    /// What decides the prepared bytes: the rest is left at its default.
    pub(super) fn prepared(&self) -> Self {
        Self { loss: RankingLoss::default(), negatives: one(), ..self.clone() }
    }

    /// Items drawn for each chosen one; none where the batch's own take their place.
    pub(super) fn drawn(&self) -> Option<usize> {
        (self.loss != RankingLoss::InBatch).then_some(self.negatives)
    }
}

/// A user's index and an item's.
pub(super) type Choice = (u32, u32);

/// A shard's rows: user, item.
pub(super) const LAYOUT: Layout = Layout { element: Element::U32, width: 2, target: TargetKind::None, targets: 0 };

/// Writes the three shards of `choices`, each user's in the order of time.
pub(super) fn write(folder: &Path, choices: &[Vec<Choice>; 3]) -> Result<()> {
    for (split, choices) in Split::ALL.into_iter().zip(choices) {
        let mut writer = ShardWriter::create(&super::cache::shard_path(folder, split), LAYOUT)?;
        for (user, item) in choices {
            let mut row = [0; 8];
            row[..4].copy_from_slice(&user.to_le_bytes());
            row[4..].copy_from_slice(&item.to_le_bytes());
            writer.row(&row, &[])?;
        }
        writer.finish()?;
    }
    Ok(())
}

/// Shares out the choices of every user, `by_user` each in the order of time.
pub(super) fn shared_out(by_user: &[Vec<u32>], split: SplitPerUser, shares: (f64, f64)) -> [Vec<Choice>; 3] {
    let mut parts: [Vec<Choice>; 3] = Default::default();
    let [train, validation, test] = &mut parts;
    for (items, user) in by_user.iter().zip(0u32..) {
        let n = items.len();
        let (held, tested) = match split {
            SplitPerUser::LeaveOneOut if n < 3 => (0, 0),
            SplitPerUser::LeaveOneOut => (1, 1),
            SplitPerUser::Time => {
                let share = |share: f64| (share * n as f64).round() as usize;
                let (held, tested) = (share(shares.0), share(shares.1));
                if held + tested < n { (held, tested) } else { (0, 0) } // something must be known of the user
            }
        };
        for (place, &item) in items.iter().enumerate() {
            let part = match place {
                place if place >= n - tested => &mut *test,
                place if place >= n - tested - held => &mut *validation,
                _ => &mut *train,
            };
            part.push((user, item));
        }
    }
    parts
}

/// What every user chose, in memory: 4 bytes a choice.
#[derive(Debug)]
pub(super) struct Histories {
    items: usize,
    /// Of every split, each user's items in ascending order.
    splits: [Lists; 3],
    /// The users that validation and test ask for.
    asked: [Vec<u32>; 2],
    /// How often every item was chosen in training.
    counts: Vec<u32>,
}

#[derive(Debug)]
struct Lists {
    starts: Vec<usize>,
    items: Vec<u32>,
}

impl Lists {
    fn read(shard: &Shard, users: usize, items: usize) -> Result<Self> {
        let mut choices = Vec::with_capacity(shard.rows() as usize);
        for row in 0..shard.rows() {
            choices.push(choice(shard, row, users, items)?);
        }
        choices.sort_unstable();
        let mut starts = vec![0; users + 1];
        for (user, _) in &choices {
            starts.iter_mut().skip(*user as usize + 1).take(1).for_each(|n| *n += 1);
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Ok(Self { starts, items: choices.into_iter().map(|(_, item)| item).collect() })
    }

    fn of(&self, user: usize) -> &[u32] {
        let ends = self.starts.get(user).zip(self.starts.get(user + 1));
        ends.and_then(|(from, to)| self.items.get(*from..*to)).unwrap_or_default()
    }
}

fn choice(shard: &Shard, row: u64, users: usize, items: usize) -> Result<Choice> {
    let (bytes, _) = shard.row(row)?;
    let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes);
    let (user, item) = (word(0), word(4));
    if user as usize >= users || item as usize >= items {
        return Err(Error::input(format!("{} is damaged: its row {row} names none of them", shard.path().display()))
            .next("delete its folder; the data will be prepared again"));
    }
    Ok((user, item))
}

/// Draws that are tried for an item that the user did not choose, before any is taken.
const TRIES: u64 = 64;

impl Histories {
    pub fn read(shards: &[Shard; 3], users: usize, items: usize) -> Result<Self> {
        let [train, validation, test] = shards.each_ref().map(|shard| Lists::read(shard, users, items));
        let splits = [train?, validation?, test?];
        let [train, validation, test] = &splits;
        let asked = |lists: &Lists| (0..users as u32).filter(|&u| !lists.of(u as usize).is_empty()).collect();
        let mut counts = vec![0; items];
        for &item in &train.items {
            counts.iter_mut().skip(item as usize).take(1).for_each(|n| *n += 1);
        }
        Ok(Self { items, asked: [asked(validation), asked(test)], counts, splits })
    }

    /// Rows of a held-out split: users.
    pub fn asked(&self, split: Split) -> &[u32] {
        let [validation, test] = &self.asked;
        match split {
            Split::Test => test,
            _ => validation,
        }
    }

    /// The items of a user in a split, ascending.
    pub fn of(&self, split: Split, user: u32) -> &[u32] {
        let [train, validation, test] = &self.splits;
        let lists = match split {
            Split::Train => train,
            Split::Validation => validation,
            Split::Test => test,
        };
        lists.of(user as usize)
    }

    /// Users of a held-out split, with what they chose in it and what they had chosen before.
    pub fn ranked(&self, split: Split, rows: &[u64]) -> (HostInput, HostTarget) {
        let asked = self.asked(split);
        let users: Vec<u32> = rows.iter().filter_map(|&row| asked.get(row as usize).copied()).collect();
        let seen = |&user: &u32| {
            let mut seen = self.of(Split::Train, user).to_vec();
            if split == Split::Test {
                seen.extend(self.of(Split::Validation, user));
            }
            seen
        };
        let target = Wanted::Ranked {
            relevant: users.iter().map(|&user| self.of(split, user).to_vec()).collect(),
            seen: users.iter().map(seen).collect(),
        };
        let items = (0..self.items as i32).collect();
        (HostInput::Choices { users: ids(&users), items, each: 0 }, HostTarget::Items(target))
    }

    /// Choices of training, each with `drawn` items that its user did not choose: a pure function of the seed, the epoch,
    /// the row and the place.
    pub fn with_negatives(
        &self,
        shard: &Shard,
        rows: &[(u64, u64)],
        drawn: usize,
        seed: u64,
    ) -> Result<(HostInput, HostTarget)> {
        let (mut users, mut items) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len() * (1 + drawn)));
        for &(epoch, row) in rows {
            let (user, item) = choice(shard, row, self.users(), self.items)?;
            users.push(user as i32);
            items.push(item as i32);
            let key = mix(mix(mix(seed) ^ epoch) ^ row);
            items.extend((0..drawn as u64).map(|place| self.negative(user, mix(key ^ place)) as i32));
        }
        Ok((HostInput::Choices { users, items, each: 1 + drawn }, HostTarget::Items(Wanted::First)))
    }

    fn negative(&self, user: u32, key: u64) -> u32 {
        let own = self.of(Split::Train, user);
        let draw = |attempt: u64| ((u128::from(mix(key.wrapping_add(attempt))) * self.items as u128) >> 64) as u32;
        (0..TRIES).map(draw).find(|item| own.binary_search(item).is_err()).unwrap_or_else(|| draw(TRIES))
    }

    /// Choices of training; the others' items stand for those that were not chosen. What is added to the scores is the
    /// negative logarithm of the item's share of all choices, and hides items that the user chose elsewhere.
    pub fn in_batch(&self, shard: &Shard, rows: &[(u64, u64)]) -> Result<(HostInput, HostTarget)> {
        let choices = rows.iter().map(|&(_, row)| choice(shard, row, self.users(), self.items));
        let choices = choices.collect::<Result<Vec<Choice>>>()?;
        let all = shard.rows().max(1) as f64;
        let share = |item: u32| f64::from(self.counts.get(item as usize).copied().unwrap_or(1).max(1)) / all;
        let correction: Vec<f32> = choices.iter().map(|(_, item)| -share(*item).ln() as f32).collect();
        let mut offsets = Vec::with_capacity(choices.len() * choices.len());
        for (place, &(user, item)) in choices.iter().enumerate() {
            let own = self.of(Split::Train, user);
            for ((other, &(_, theirs)), correction) in choices.iter().enumerate().zip(&correction) {
                let hidden = other != place && (theirs == item || own.binary_search(&theirs).is_ok());
                offsets.push(if hidden { HIDDEN } else { *correction });
            }
        }
        let (users, items): (Vec<u32>, Vec<u32>) = choices.into_iter().unzip();
        let input = HostInput::Choices { users: ids(&users), items: ids(&items), each: 0 };
        Ok((input, HostTarget::Items(Wanted::Shared { offsets })))
    }

    fn users(&self) -> usize {
        self.splits[0].starts.len() - 1
    }
}

/// A finite number, as not every device promises infinities.
const HIDDEN: f32 = -1e30;

fn ids(ids: &[u32]) -> Vec<i32> {
    ids.iter().map(|&id| id as i32).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
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
        let shards =
            Split::ALL.map(|split| Shard::open(&super::super::cache::shard_path(folder.path(), split)).unwrap());
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
        let HostTarget::Items(Wanted::Ranked { seen, .. }) = histories.ranked(Split::Validation, &[0]).1 else {
            panic!()
        };
        assert_eq!(seen[0], [0, 5, 10, 15]);
    }
}
