//! The `kiln` binary: parse, dispatch, print an error, exit code.

mod cli;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use kiln::{
    commands::{self, Console, PredictArgs, Says},
    error::Result,
};

use cli::{Cli, DataVerb, RunsVerb, Verb};

fn main() -> ExitCode {
    kiln_kernels::keep_freed_pages();
    let cli = Cli::parse();
    let console = Console::new(cli.json, cli.quiet, cli.verbose);
    match commands::contained(&console, || run(cli.verb, &console)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(verb: Verb, console: &Console) -> Result<()> {
    match verb {
        Verb::Train { config, fresh } => commands::train(&config.plan()?, fresh, console),
        Verb::Resume { run } => commands::resume(&run.find()?, &run.over.overrides(), console),
        Verb::Eval { run, from, asked } => commands::eval(&run.opened(&from)?, &asked.into(), console),
        Verb::Cv { config, folds } => commands::cv(&config.plan()?, &folds.into(), console),
        Verb::Generate { run, from, sampling } => {
            commands::generate(&run.opened(&from)?, &sampling.resolved()?, console)
        }
        Verb::Predict { run, from, input, output, top, calibrated, baseline } => {
            let says = match (calibrated, baseline) {
                (true, _) => Says::Calibrated,
                (_, true) => Says::Baseline,
                _ => Says::Network,
            };
            commands::predict(&run.opened(&from)?, &PredictArgs { input, output, top, says }, console)
        }
        Verb::Data(DataVerb::Fetch { what, refresh }) => commands::data_fetch(what.as_deref(), refresh, console),
        Verb::Data(DataVerb::Show { config, rows }) => commands::data_show(config.plan()?, rows, console),
        Verb::Data(DataVerb::Profile { config, html }) => {
            commands::data_profile(&config.plan()?, html.as_deref(), console)
        }
        Verb::Check { config } => commands::check(config.plan()?, console),
        Verb::Tune { config, workers, fresh, over } => {
            commands::tune(config.tuned(&over)?, workers.into(), fresh, console)
        }
        Verb::Trial { dir } => commands::trial(&dir, console),
        Verb::Devices => commands::devices(console),
        Verb::Models { kind } => commands::models(kind.as_deref(), console),
        Verb::Runs { verb: None | Some(RunsVerb::List), dir } => commands::runs_list(&dir, console),
        Verb::Runs { verb: Some(RunsVerb::Show { run }), dir } => commands::runs_show(&run, &dir, console),
        Verb::Inspect { checkpoint } => commands::inspect(&checkpoint, console),
        Verb::VerifyResume { config, steps } => commands::verify_resume(config.plan()?, steps, console),
        Verb::Bench { config, steps, warmup } => commands::bench(config.plan()?, warmup, steps, console),
        Verb::Profile { config, steps, warmup } => commands::profile(config.plan()?, warmup, steps, console),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "kiln", &mut std::io::stdout());
            Ok(())
        }
        Verb::Schema => commands::schema(console),
    }
}
