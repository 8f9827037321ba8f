//! Who chose what: the columns of such a table, its splits by user, and what every user chose.

mod config;

use std::path::Path;

use super::{
    HostInput, HostTarget, Split, Wanted,
    sampler::mix,
    shard::{Element, Layout, Shard, ShardWriter, TargetKind},
};
use crate::error::{Error, Result};
pub use config::{InteractionsConfig, RankingLoss, SplitPerUser};

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
mod tests;
