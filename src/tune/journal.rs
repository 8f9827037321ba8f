//! The search's journal: small files in one folder (or rows of one table), each written once and whole, so that any number
//! of processes on any number of machines that share them work on one search without a lock.
//!
//! ```text
//! 0007.trial.json           what trial 7 sets, and its owner; who creates the file first has claimed it
//! 0007.owner-1.json         who took it over from a worker that died; 2 from that one, and so on
//! 0007.beat                 the owner's heartbeat: another text every few seconds
//! 0007.rung-00000050.json   an evaluation
//! 0007.end.json             how it ended
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{Claim, End, Owner, Rung, Store, Trial, Values};
use crate::{
    checkpoint,
    error::{Error, Result},
};

/// A worker whose heartbeat stood still for this long, as seen by the one who looks, is dead.
pub const STALE: Duration = Duration::from_secs(30);

/// The text of a heartbeat whose owner let go of the trial in good order.
const RELEASED: &str = "released";

impl Owner {
    /// This process.
    pub fn here() -> Self {
        Self { host: sysinfo::System::host_name().unwrap_or_default(), pid: std::process::id() }
    }

    /// Whether it surely is no more: a process of this machine that does not run.
    fn gone(&self, here: &Self) -> bool {
        self.host == here.host && self.pid != here.pid && !checkpoint::alive(self.pid)
    }
}

/// The journal of one search, as one worker sees it.
#[derive(Debug)]
pub struct Journal {
    store: Store,
    here: Owner,
    /// Files that never change, by name.
    claims: HashMap<String, Claim>,
    owners: HashMap<String, Owner>,
    rungs: HashMap<String, Rung>,
    ends: HashMap<String, End>,
    /// The last heartbeat seen of each trial, and since when it has been that.
    beats: HashMap<u64, (String, Instant)>,
}

/// A part of a trial's file name.
enum Part {
    Claim,
    Owner(u64),
    Rung,
    End,
}

impl Journal {
    /// The journal that lies in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            here: Owner::here(),
            claims: HashMap::new(),
            owners: HashMap::new(),
            rungs: HashMap::new(),
            ends: HashMap::new(),
            beats: HashMap::new(),
        }
    }

    /// Where it lies.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Every trial, by number.
    ///
    /// # Errors
    /// A file can't be read or is none of the journal's.
    pub fn trials(&mut self) -> Result<Vec<Trial>> {
        let mut trials: BTreeMap<u64, Trial> = BTreeMap::new();
        let mut parts: Vec<(u64, Part, String)> = Vec::new();
        for name in self.store.names()? {
            if let Some((number, part)) = parse(&name) {
                parts.push((number, part, name));
            }
        }
        for (number, part, name) in &parts {
            if matches!(part, Part::Claim) {
                let claim = cached(&mut self.claims, &self.store, name)?;
                let trial = Trial { number: *number, values: claim.values.clone(), rungs: Vec::new(), end: None };
                trials.insert(*number, trial);
            }
        }
        for (number, part, name) in &parts {
            let Some(trial) = trials.get_mut(number) else { continue };
            match part {
                Part::Rung => trial.rungs.push(cached(&mut self.rungs, &self.store, name)?.clone()),
                Part::End => trial.end = Some(cached(&mut self.ends, &self.store, name)?.clone()),
                Part::Claim | Part::Owner(_) => {}
            }
        }
        let mut trials: Vec<Trial> = trials.into_values().collect();
        trials.iter_mut().for_each(|trial| trial.rungs.sort_by_key(|rung| rung.step));
        Ok(trials)
    }

    /// Claims trial `number` with these values; `false` when another worker was first.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn claim(&self, number: u64, values: &Values) -> Result<bool> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claim = Claim { number, values: values.clone(), owner: self.here.clone(), time };
        let won = self.create(number, "trial.json", &claim)?;
        if won {
            self.beat(number, "0")?;
        }
        Ok(won)
    }

    /// Takes trial `number` over if its worker is dead or let go of it; `false` when it lives, or another one was first.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub fn take_over(&mut self, number: u64) -> Result<bool> {
        let (turn, owner) = self.owner(number)?;
        let gone = owner.gone(&self.here);
        let text = self.store.read(&name_of(number, "beat"))?.unwrap_or_default();
        // A text that somebody wrote before is not the same beat, whoever owns the trial now.
        let seen = format!("{turn} {text}");
        let since = match self.beats.get(&number) {
            Some((before, since)) if *before == seen => *since,
            _ => {
                self.beats.insert(number, (seen, Instant::now()));
                Instant::now()
            }
        };
        if !gone && text != RELEASED && since.elapsed() < STALE {
            return Ok(false);
        }
        let won = self.create(number, &format!("owner-{}.json", turn + 1), &self.here)?;
        if won {
            self.beat(number, "0")?;
        }
        Ok(won)
    }

    /// The last owner of a trial, and how many it had before.
    fn owner(&mut self, number: u64) -> Result<(u64, Owner)> {
        let mut last: Option<(u64, String)> = None;
        for name in self.store.names()? {
            if let Some((found, Part::Owner(turn))) = parse(&name)
                && found == number
                && last.as_ref().is_none_or(|(most, _)| turn > *most)
            {
                last = Some((turn, name));
            }
        }
        Ok(match last {
            Some((turn, name)) => (turn, cached(&mut self.owners, &self.store, &name)?.clone()),
            None => (0, cached(&mut self.claims, &self.store, &name_of(number, "trial.json"))?.owner.clone()),
        })
    }

    /// Whether somebody seems to work on a trial: neither a dead process of this machine, nor let go of.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn lives(&mut self, number: u64) -> Result<bool> {
        let text = self.store.read(&name_of(number, "beat"))?.unwrap_or_default();
        Ok(text != RELEASED && !self.owner(number)?.1.gone(&self.here))
    }

    /// The owner lives.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn beat(&self, number: u64, text: &str) -> Result<()> {
        self.store.write(&name_of(number, "beat"), text)
    }

    /// The owner lets go of a trial that has not ended: anybody may go on with it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn release(&self, number: u64) -> Result<()> {
        self.beat(number, RELEASED)
    }

    /// Records an evaluation; the first record of a step stays.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn rung(&self, number: u64, rung: &Rung) -> Result<()> {
        self.create(number, &format!("rung-{:08}.json", rung.step), rung).map(drop)
    }

    /// Whether a trial's end is recorded.
    ///
    /// # Errors
    /// The journal can't be read.
    pub fn ended(&self, number: u64) -> Result<bool> {
        Ok(self.store.read(&name_of(number, "end.json"))?.is_some())
    }

    /// Records how a trial ended; the first record stays.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn end(&self, number: u64, end: &End) -> Result<()> {
        self.create(number, "end.json", end)?;
        self.store.remove(&name_of(number, "beat"))
    }

    fn create(&self, number: u64, part: &str, value: &impl Serialize) -> Result<bool> {
        let text = serde_json::to_string(value)
            .map_err(|e| Error::failed(format!("cannot write the search's journal: {e}")))?;
        self.store.create(&name_of(number, part), &format!("{text}\n"))
    }
}

fn name_of(number: u64, part: &str) -> String {
    format!("{number:04}.{part}")
}

/// `0007.rung-00000050.json`: which trial's, and what it tells.
fn parse(name: &str) -> Option<(u64, Part)> {
    let (number, rest) = name.split_once('.')?;
    let part = match rest.strip_suffix(".json")? {
        "trial" => Part::Claim,
        "end" => Part::End,
        rest => match rest.strip_prefix("owner-") {
            Some(turn) => Part::Owner(turn.parse().ok()?),
            None => rest.strip_prefix("rung-").map(|_| Part::Rung)?,
        },
    };
    Some((number.parse().ok()?, part))
}

fn cached<'a, T: DeserializeOwned>(known: &'a mut HashMap<String, T>, store: &Store, name: &str) -> Result<&'a T> {
    if !known.contains_key(name) {
        let text = store.read(name)?.unwrap_or_default();
        let value = serde_json::from_str(&text).map_err(|e| {
            Error::failed(format!("{} is damaged: {e}", store.place(name)))
                .next("remove all files of that trial, and the search makes it anew")
        })?;
        known.insert(name.to_string(), value);
    }
    known.get(name).ok_or_else(|| Error::failed(format!("{name} was read and is not there")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
