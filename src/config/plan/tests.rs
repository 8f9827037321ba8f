use proptest::prelude::*;

use super::*;

const SMALL: &str = "[data]\ntask = 'language-model'\nsource = { path = 'a.txt' }\n[model]\nkind = 'gpt'\n\
                     [train]\nsteps = 10\n[optim]\nschedule = { warmup = 2 }\n";

fn parse(text: &str, overrides: &[&str]) -> Result<Plan> {
    let overrides: Vec<_> = overrides.iter().map(|text| text.to_string()).collect();
    Plan::parse(text, "small.toml", Path::new("/base"), &overrides)
}

#[test]
fn every_config_parses_and_its_stored_plan_is_equal() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    assert!(files.len() >= 8);
    for path in files {
        let plan = Plan::load(&path, &[]).unwrap();
        assert_eq!(plan.run.name, path.file_stem().unwrap().to_str().unwrap());
        let stored = plan.to_toml().unwrap();
        let again = Plan::parse(&stored, "plan.toml", Path::new("/elsewhere"), &[]).unwrap();
        assert_eq!(again.hash().unwrap(), plan.hash().unwrap());
        assert_eq!(Plan { base: plan.base.clone(), typed: plan.typed.clone(), ..again }, plan);
    }
}

#[test]
fn paths_start_from_the_config_and_stay_there() {
    let text = SMALL.replace("{ path = 'a.txt' }", "{ glob = './logs/*.txt' }\ntokenizer = { file = '../t.json' }");
    let plan = parse(&text, &["data.cache=c"]).unwrap();
    assert_eq!(plan.data.source, Source::Glob("/base/logs/*.txt".into()));
    assert_eq!(plan.data.tokenizer, Some(TokenizerKind::File("/base/../t.json".into())));
    assert_eq!(plan.data.cache, Some("/base/c".into()));
    assert_eq!(plan.run.dir, Path::new("checkpoints"));
    assert_eq!(plan.typed, text);
    let again = Plan::parse(&plan.to_toml().unwrap(), "plan.toml", Path::new("/run"), &[]).unwrap();
    assert_eq!(again.data, plan.data);
}

#[test]
fn overrides_and_names_resolve() {
    let plan = parse(SMALL, &["train.steps=7", "optim.schedule.warmup=1", "run.name=x"]).unwrap();
    assert_eq!((plan.train.steps, plan.optim.schedule.warmup), (7, 1));
    assert_eq!(plan.run.name, "x");
    assert_eq!(parse(SMALL, &[]).unwrap().run.name, "small");
    assert_ne!(plan.hash().unwrap(), parse(SMALL, &[]).unwrap().hash().unwrap());
}

#[test]
fn an_empty_config_is_told_where_to_start() {
    let shown = parse("# nothing\n", &[]).unwrap_err().to_string();
    assert_eq!(shown, "small.toml: the config is empty; start from one of the files in configs/");
}

#[test]
fn steps_follow_epochs_rounded_up() {
    let plan = parse(SMALL, &["train.steps=0", "train.epochs=1.5", "train.batch=8", "train.accumulate=2"]).unwrap();
    assert_eq!(plan.steps_for(100).unwrap(), 10); // 150 rows of 16
    assert_eq!(plan.steps_for(1).unwrap(), 1);
    let shown = plan.steps_for(0).unwrap_err().to_string();
    assert_eq!(shown, "`train.epochs` = 1.5 of 0 training rows make no step; give more data, or set `train.steps`");
    assert_eq!(parse(SMALL, &[]).unwrap().steps_for(0).unwrap(), 10);
    let neither = Plan { train: TrainConfig::default(), ..plan };
    let shown = neither.steps_for(5).unwrap_err().to_string();
    assert_eq!(shown, "neither `train.steps` nor `train.epochs` is set; set one of the two");
}

#[test]
fn lengths_of_time() {
    let seconds = |text: &str| parse(SMALL, &[&format!("train.max_time={text}")]).unwrap().max_seconds().unwrap();
    assert_eq!(seconds("90s"), Some(90.0));
    assert_eq!(seconds("1h30m"), Some(5400.0));
    assert_eq!(seconds("1.5h"), Some(5400.0));
    assert_eq!(seconds("2d"), Some(172_800.0));
    assert_eq!(seconds(""), None);
    for bad in ["90", "h", "1x", "0s", "-1s", "1h 30m", "1..5h", "1é"] {
        assert_eq!(duration(bad), None, "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever is typed, the answer is a plan or an error of the user's, never a panic.
    #[test]
    fn nothing_typed_panics(at in 0..SMALL.len(), cut in 0..40usize, put in "\\PC{0,12}", set in "\\PC{0,30}") {
        let end = (at + cut).min(SMALL.len());
        let text = format!("{}{put}{}", &SMALL[..at], &SMALL[end..]);
        for overrides in [&[][..], &[set.as_str()][..]] {
            if let Err(error) = parse(&text, overrides) {
                prop_assert_eq!(error.exit_code(), 2);
            }
        }
    }
}
