//! A worker: claims a trial, runs it in a process of its own, records how it ended, and goes on with the next.
//!
//! A trial's process is `kiln trial FOLDER`: starting it costs a tenth of a second, and neither a crash nor the system's
//! killer of large processes takes the search along.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{End, Journal, Search, State, Trial, Values, ask};
use crate::{
    error::{Error, IoContext, Result},
    train::{Interrupt, RunDir},
};

/// How often a worker looks after its trial.
const LOOK: Duration = Duration::from_millis(10);

/// How often it says that it lives.
const BEAT: Duration = Duration::from_secs(2);

/// How often a worker without a trial looks for one.
const WAIT: Duration = Duration::from_millis(200);

/// Trials that may end without a value before the search gives up, when none has one.
const HOPELESS: usize = 10;

/// What a worker needs to know.
#[derive(Debug, Clone)]
pub struct Worker<'a> {
    /// The search.
    pub search: &'a Search,
    /// Whether somebody asked to stop.
    pub stop: &'a Interrupt,
    /// When the budget is spent.
    pub deadline: Option<Instant>,
    /// kiln's own binary.
    pub exe: PathBuf,
    /// Threads that a trial may use; `None` leaves it all of them.
    pub threads: Option<usize>,
}

/// What to do next.
enum Next {
    Trial(u64, Values),
    /// Another worker was faster.
    Again,
    /// Others still work.
    Wait,
    Done,
}

impl Worker<'_> {
    /// Works until every trial has ended, the budget is spent, or somebody asks to stop.
    ///
    /// # Errors
    /// The journal can't be read or written, a process can't be started, or no trial gets anywhere.
    pub fn work(&self) -> Result<()> {
        let mut journal = self.search.journal()?;
        while !self.over() {
            let trials = journal.trials()?;
            worth_going_on(&trials)?;
            match self.next(&mut journal, &trials)? {
                Next::Trial(number, values) => self.attempt(&journal, number, &values)?,
                Next::Again => {}
                Next::Wait => std::thread::sleep(WAIT),
                Next::Done => break,
            }
        }
        Ok(())
    }

    fn over(&self) -> bool {
        self.stop.raised() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// A trial that its worker left behind, else a new one.
    fn next(&self, journal: &mut Journal, trials: &[Trial]) -> Result<Next> {
        let open: Vec<&Trial> = trials.iter().filter(|trial| trial.state() == State::Running).collect();
        for trial in &open {
            // Its end may have come since it was listed.
            if journal.take_over(trial.number)? && !journal.ended(trial.number)? {
                return Ok(Next::Trial(trial.number, trial.values.clone()));
            }
        }
        let search = self.search;
        let number = trials.last().map_or(0, |trial| trial.number) + 1;
        if number <= search.trials
            && let Some(values) = ask(&search.plan.tune, &search.space, &search.objectives, trials, number)
        {
            return Ok(if journal.claim(number, &values)? { Next::Trial(number, values) } else { Next::Again });
        }
        Ok(if open.is_empty() { Next::Done } else { Next::Wait })
    }

    fn attempt(&self, journal: &Journal, number: u64, values: &Values) -> Result<()> {
        let run = self.search.run(number);
        match self.search.trial_plan(number, values) {
            Ok(plan) => run.store_plan(&plan)?,
            Err(refused) => {
                let reason = refused.message().lines().next().unwrap_or_default();
                return journal.end(number, &End::without_value(State::Invalid, reason));
            }
        }
        let mut child = self.start(&run)?;
        let status = self.look_after(journal, number, &mut child)?;
        if journal.ended(number)? {
            return Ok(());
        }
        // A process that somebody stopped has saved: whoever comes next goes on with it.
        if self.over() || status.code() == Some(3) {
            return journal.release(number);
        }
        journal.end(number, &failure(&run, status))
    }

    fn start(&self, run: &RunDir) -> Result<Child> {
        let path = said(run);
        let words = OpenOptions::new().create(true).append(true).open(&path).io("open", &path)?;
        let mut command = Command::new(&self.exe);
        command.arg("trial").arg(run.path()).arg("--quiet");
        // The pipe tells the trial when its worker is no more.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(words);
        if let Some(threads) = self.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        command.spawn().map_err(|e| Error::failed(format!("cannot start a trial: {e}")))
    }

    fn look_after(&self, journal: &Journal, number: u64, child: &mut Child) -> Result<ExitStatus> {
        let (mut beats, mut last) = (0u64, Instant::now());
        loop {
            let ended = child.try_wait().map_err(|e| Error::failed(format!("cannot wait for trial {number}: {e}")))?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if self.over() {
                drop(child.stdin.take());
            }
            if last.elapsed() >= BEAT {
                (beats, last) = (beats + 1, Instant::now());
                journal.beat(number, &beats.to_string())?;
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// What a trial's processes said.
fn said(run: &RunDir) -> PathBuf {
    run.path().join("stderr.txt")
}

/// A search in which nothing works ends early, with the reason of the first trial.
fn worth_going_on(trials: &[Trial]) -> Result<()> {
    let ended = || trials.iter().filter_map(|trial| Some((trial.number, trial.end.as_ref()?)));
    let useful = ended().any(|(_, end)| matches!(end.state, State::Complete | State::Pruned));
    let count = ended().count();
    let Some((number, first)) = ended().next().filter(|_| count >= HOPELESS && !useful) else { return Ok(()) };
    Err(Error::failed(format!("none of the first {count} trials has a value; trial {number}: {}", first.reason))
        .next("mend the config, then begin again with --fresh"))
}

/// Why a trial's process ended without recording an end of its own.
fn failure(run: &RunDir, status: ExitStatus) -> End {
    let state = if status.code() == Some(2) { State::Invalid } else { State::Failed };
    let error = last_words(&said(run)).unwrap_or_default();
    let error = error.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default().to_string();
    let reason = match (signal(status), error.as_str()) {
        (Some(9), _) => "killed by signal 9: the machine ran out of memory, most likely".into(),
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, "") => format!("ended with {status}"),
        _ => error.chars().take(400).collect(),
    };
    End::without_value(state, reason)
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The end of a file, of at most 16 KiB.
fn last_words(path: &std::path::Path) -> std::io::Result<String> {
    const MOST: u64 = 16 << 10;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
