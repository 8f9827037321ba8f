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
