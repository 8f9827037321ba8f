//! A training step copies no parameter, gradient, moment or average: burn keeps no second handle on any of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Bench, host_devices};
use kiln::{
    commands::Console,
    config::Plan,
    train::{Run, Setup},
};
use kiln_kernels::profile;

#[test]
fn a_step_changes_everything_in_place() {
    let kinds = ["adamw", "sgd", "lion", "muon"];
    for (device, kind) in host_devices().iter().flat_map(|device| kinds.map(|kind| (device, kind))) {
        let bench = Bench::tiny();
        let base = bench.dir.path();
        let kind = format!("optim.kind=\"{kind}\"");
        let run = format!("run.dir={:?}", base.join("checkpoints"));
        let on = format!("train.device=\"{device}\"");
        let keys = [&kind, &run, &on, "optim.ema=0.9", "train.accumulate=2", "model.dropout=0.1", "optim.clip=0.01"];
        let plan = Plan::parse(common::TINY, "tiny.toml", base, &keys.map(str::to_string)).unwrap();
        let console = Console::new(false, true, false);
        let setup = Setup::new(plan, &|_| {}).unwrap();
        let mut run = Run::resume_or_fresh(setup, &mut console.progress()).unwrap();
        // The average's first value is the parameter itself, so the second step copies.
        for _ in 0..2 {
            (run, _) = run.measured_step().unwrap();
        }
        let device = run.setup.device.clone();
        profile::start(&device);
        for _ in 0..3 {
            (run, _) = run.measured_step().unwrap();
        }
        let ops = profile::stop();
        assert_eq!(
            (ops["optimizer"].calls, ops["accumulate"].calls, ops["gradient norm"].calls),
            (3, 3, 3),
            "{on} {kind}"
        );
        assert!(!ops.contains_key("copy"), "{on} {kind}: {:?}", ops["copy"]);
    }
}
