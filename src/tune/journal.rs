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
mod tests {
    use super::{super::State, *};

    fn values(x: &str) -> Values {
        Values::from([("optim.lr".to_string(), x.to_string())])
    }

    fn opened(folder: &tempfile::TempDir) -> Journal {
        Journal::new(Store::folder(folder.path()).unwrap())
    }

    #[test]
    fn of_many_workers_one_claims_a_trial() {
        let folder = tempfile::tempdir().unwrap();
        let won = std::thread::scope(|scope| {
            let claim = || opened(&folder).claim(1, &values("0.1")).unwrap();
            let workers: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
        let trials = opened(&folder).trials().unwrap();
        assert_eq!(trials.len(), 1);
        assert_eq!((trials[0].state(), &trials[0].values), (State::Running, &values("0.1")));
    }

    #[test]
    fn a_trial_is_told_from_its_files_and_the_first_record_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = opened(&folder);
        journal.claim(3, &values("0.1")).unwrap();
        let metrics = |loss: f64| BTreeMap::from([("loss".to_string(), loss)]);
        for (step, loss) in [(100, 0.5), (50, f64::NAN), (100, 0.1)] {
            journal.rung(3, &Rung { step, steps: 200, metrics: metrics(loss) }).unwrap();
        }
        let end = |state| End { state, reason: String::new(), step: 200, metrics: metrics(0.25) };
        journal.end(3, &end(State::Complete)).unwrap();
        journal.end(3, &end(State::Failed)).unwrap();
        let trials = journal.trials().unwrap();
        let steps: Vec<u64> = trials[0].rungs.iter().map(|rung| rung.step).collect();
        assert_eq!((steps, trials[0].rungs[1].metrics["loss"]), (vec![50, 100], 0.5));
        assert!(trials[0].rungs[0].metrics["loss"].is_nan());
        assert_eq!((trials[0].state(), trials[0].metric("loss")), (State::Complete, Some(0.25)));
    }

    #[test]
    fn only_a_trial_without_a_living_worker_is_taken_over_and_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = opened(&folder);
        journal.claim(1, &values("1")).unwrap();
        assert!(!journal.take_over(1).unwrap(), "its owner is this process");
        journal.release(1).unwrap();
        let mut other = opened(&folder);
        assert!(journal.take_over(1).unwrap(), "it was let go of");
        assert!(!other.take_over(1).unwrap(), "somebody else was first");
    }

    #[test]
    fn a_process_that_is_no_more_gives_its_trial_away() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let mut dead = opened(&folder);
        dead.here.pid = pid;
        dead.claim(1, &values("1")).unwrap();
        dead.here.host = "elsewhere".into();
        dead.claim(2, &values("2")).unwrap();
        let mut journal = opened(&folder);
        assert!(journal.take_over(1).unwrap());
        assert!(!journal.take_over(2).unwrap(), "of another machine only the heartbeat tells");
        let long_ago = Instant::now() - STALE;
        journal.beats.get_mut(&2).unwrap().1 = long_ago;
        assert!(journal.take_over(2).unwrap(), "it stood still");
        dead.beat(2, "5").unwrap();
        assert!(!journal.take_over(2).unwrap(), "a new owner, a new heartbeat");
    }
}
