//! `kiln eval`: a checkpoint over a whole split.

use serde_json::json;

use super::{Console, Trained, console::table, trained::INFERENCE};
use crate::{
    data::Split,
    error::{Error, Result},
    eval::{Pass, evaluate},
    train::Setup,
};

/// Measures a checkpoint over `split`.
pub fn eval(trained: &Trained, split: &str, console: &Console) -> Result<()> {
    let split: Split = split.parse()?;
    let plan = trained.plan.clone();
    let batch = if plan.eval.batch > 0 { plan.eval.batch } else { plan.train.batch };
    // What the run learned of its columns is applied as it is, whatever the source holds now.
    let setup = Setup::of_run(plan, &trained.schema()?, &|text| console.detail(text))?;
    if setup.dataset.len(split) == 0 {
        return Err(Error::input(format!("the data have no {split} split"))
            .next(format!("set `data.holdout.{split}`, or evaluate another --split")));
    }
    let (model, step) = trained.weights(&setup.task, &setup.device)?;
    let pass = Pass { split, batch, batches: 0 };
    let report = evaluate(&model, &setup.task, &setup.dataset, pass, &setup.device, INFERENCE)?;
    let result = json!({
        "run": trained.dir.path(), "step": step, "split": split, "count": report.count,
        "metrics": report.metrics, "detail": report.detail,
    });
    console.say(&format!("{} at step {step}: {split}, {} {}", trained.dir.name(), report.count, setup.task.unit()));
    console.result(&result, || {
        let rows: Vec<_> =
            report.metrics.iter().map(|(name, value)| vec![name.clone(), format!("{value:.6}")]).collect();
        table(&rows)
    })
}
