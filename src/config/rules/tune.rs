//! Rules of `[tune]`: every key of the space is one of the config, and every value it may take is of that key's type.

use toml::Value;

use super::Rules;
use crate::config::{
    Domain, Plan, PrunerKind, SamplerKind,
    fault::Fault,
    schema, set, shape,
    tree::{Data, Node},
    tune::{Dimension, MOST},
};
use crate::data::TaskKind;

/// Sections that a trial's own place depends on.
const FIXED: [&str; 4] = ["run.name", "run.dir", "tune", "data.cache"];

impl Rules<'_> {
    pub(super) fn tune(&mut self, plan: &Plan) {
        let tune = &plan.tune;
        if tune.is_default() {
            return;
        }
        self.at_least_one(&[("tune.startup", tune.startup), ("tune.warmup", tune.warmup)]);
        self.at_most(&[("tune.trials", tune.trials, MOST as usize)]);
        if tune.reduction < 2 {
            self.broken("`tune.reduction` must be at least 2", &["tune.reduction"], "3 is usual: one of three goes on");
        }
        self.objectives(plan);
        self.journal(plan);
        self.folds(plan);
        for (key, dimension) in &tune.space {
            if let Some(fault) = self.dimension(plan, key, dimension) {
                self.faults.push(fault);
            }
        }
        if tune.sampler == SamplerKind::Grid {
            self.grid(plan);
        }
    }

    fn objectives(&mut self, plan: &Plan) {
        let tune = &plan.tune;
        if !tune.metric.is_empty() && !tune.metrics.is_empty() {
            self.broken("`tune.metric` and `tune.metrics` are both set", &["tune.metric", "tune.metrics"], "keep one");
        }
        let (several, each) = (tune.metrics.len(), tune.directions.len());
        if each > 0 && each != several {
            let message = format!("`tune.directions` has {each} entries for {several} `tune.metrics`");
            self.broken(message, &["tune.directions", "tune.metrics"], "give one direction for each metric");
        }
        if several > 0 && tune.direction.is_some() {
            let keys = ["tune.direction", "tune.metrics"];
            self.broken("`tune.direction` is for one metric", &keys, "write `directions`, one for each metric");
        }
        if tune.pruner == PrunerKind::None {
            return;
        }
        if several > 1 {
            let message = "`tune.pruner` stops by one metric, but `tune.metrics` has several";
            self.broken(message, &["tune.pruner", "tune.metrics"], "set `pruner` to `none`, or give one metric");
        }
        if plan.eval.every == 0 && !tune.space.contains_key("eval.every") {
            let message = "`tune.pruner` judges evaluations, but `eval.every` = 0 makes none while training";
            self.broken(message, &["tune.pruner", "eval.every"], "set `eval.every`, or `tune.pruner` to \"none\"");
        }
    }

    fn journal(&mut self, plan: &Plan) {
        match plan.tune.journal.as_str() {
            "" => {}
            address if address.starts_with("postgres") => self.database(address, "tune.journal"),
            _ => {
                let next = "write it as in `postgres://user@host/database`, or leave it out for the search's folder";
                self.broken("`tune.journal` is no address of a PostgreSQL database", &["tune.journal"], next);
            }
        }
    }

    fn folds(&mut self, plan: &Plan) {
        let tune = &plan.tune;
        if tune.folds < 2 {
            return;
        }
        self.at_most(&[("tune.folds", tune.folds, 1000)]);
        if tune.pruner != PrunerKind::None {
            let message = "`tune.pruner` judges evaluations of one training, but `tune.folds` trains several";
            self.broken(message, &["tune.pruner", "tune.folds"], "keep one of them");
        }
        if plan.data.task == TaskKind::LanguageModel || plan.data.fold.is_some() {
            let message = "`tune.folds` shares out rows, which `data.task` or `data.fold` rules out";
            self.broken(message, &["tune.folds", "data.task"], "remove `folds`");
        }
    }

    /// What is wrong with one dimension, if anything is.
    fn dimension(&self, plan: &Plan, key: &str, dimension: &Dimension) -> Option<Fault> {
        let node = self.root.find("tune.space").and_then(|space| space.get(key)).unwrap_or(self.root);
        let keys = schema::keys();
        let inside = |section: &str| key == section || key.starts_with(&format!("{section}."));
        if let Some(fixed) = FIXED.into_iter().find(|section| inside(section)) {
            let fault = Fault::new(format!("`{key}` cannot be searched: `{fixed}` is the search's own"), "remove it");
            return Some(fault.mark(&node.key, ""));
        }
        if !keys.iter().any(|known| known == key) || set::is_table(key) && !key.contains('.') {
            let (label, next) = match set::meant(key, &keys) {
                Some(meant) => (format!("did you mean `{meant}`?"), format!("rename it to \"{meant}\"")),
                None => (String::new(), "`kiln schema` lists every key".into()),
            };
            return Some(Fault::new(format!("unknown key `{key}` in [tune.space]"), next).mark(&node.key, label));
        }
        let domain = match dimension.domain() {
            Ok(domain) => domain,
            Err((part, what, next)) => {
                let fault = Fault::new(format!("`{key}` in [tune.space] {what}"), next);
                return Some(match node.get(part) {
                    Some(part) => fault.mark(&part.value, ""),
                    None => fault.mark(&node.key, ""),
                });
            }
        };
        self.condition(plan, key, dimension, node).or_else(|| self.values(key, dimension, &domain, node))
    }

    /// A condition names another key of the space and values that it can have.
    fn condition(&self, plan: &Plan, key: &str, dimension: &Dimension, node: &Node) -> Option<Fault> {
        for (other, values) in dimension.conditions() {
            let place = node.get("when").and_then(|when| when.get(other)).unwrap_or(node);
            let domain =
                plan.tune.space.get(other).filter(|d| other != key && d.when.is_empty()).map(Dimension::domain);
            let Some(Ok(Domain::Choice(all))) = domain else {
                let message =
                    format!("`{key}` in [tune.space] depends on `{other}`, which is no `choice` of the space");
                let next = "name a key of [tune.space] that is a `choice` without a condition of its own";
                return Some(Fault::new(message, next).mark(&place.key, ""));
            };
            if let Some(never) = values.iter().find(|value| !all.contains(value)) {
                let list = all.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
                let message = format!("`{key}` in [tune.space] depends on `{other}` being {never}, which it never is");
                return Some(Fault::new(message, format!("use one of {list}")).mark(&place.value, ""));
            }
        }
        None
    }

    /// Both ends of a range, and every choice, must be of the key's type in this config.
    fn values(&self, key: &str, dimension: &Dimension, domain: &Domain, node: &Node) -> Option<Fault> {
        let given = ["uniform", "log", "int", "choice"]
            .iter()
            .find_map(|kind| node.get(kind).filter(|kind| matches!(kind.data, Data::Array(_))));
        let tried: Vec<Value> = match domain {
            Domain::Choice(values) => values.clone(),
            Domain::Range(range) if range.whole => {
                vec![Value::Integer(range.low as i64), Value::Integer(range.high as i64)]
            }
            Domain::Range(range) => vec![Value::Float(range.low), Value::Float(range.high)],
        };
        let conditions: Vec<String> =
            dimension.conditions().filter_map(|(other, values)| Some(format!("{other}={}", values.first()?))).collect();
        for (index, value) in tried.iter().enumerate() {
            let assignments = conditions.iter().cloned().chain([format!("{key}={value}")]);
            if let Some(why) = self.refused(assignments) {
                let place = match given.map(|given| &given.data) {
                    Some(Data::Array(items)) => items.get(index).or(given),
                    _ => given,
                };
                let fault = Fault::new(format!("`{key}` cannot be {value}: {why}"), "give values of the key's type");
                return Some(fault.mark(&place.unwrap_or(node).value, ""));
            }
        }
        None
    }

    /// What the shape of the config would be at fault with after these.
    fn refused(&self, assignments: impl Iterator<Item = String>) -> Option<String> {
        let mut root = self.root.clone();
        for assignment in assignments {
            if let Err(fault) = set::apply(&mut root, &assignment, 0) {
                return Some(fault.message().to_string());
            }
        }
        shape::check(&root).first().map(|fault| fault.message().to_string())
    }

    /// A grid has a countable number of combinations.
    fn grid(&mut self, plan: &Plan) {
        let mut combinations = 1u64;
        for (key, dimension) in &plan.tune.space {
            let values = match dimension.domain() {
                Ok(Domain::Choice(values)) => Some(values.len() as u64),
                Ok(Domain::Range(range)) => {
                    range.points.or_else(|| range.whole.then_some((range.high - range.low) as u64 + 1))
                }
                Err(_) => Some(1),
            };
            let Some(values) = values else {
                let message = format!("`tune.sampler` = \"grid\" needs to know how many values of `{key}` to try");
                let node = self.root.find("tune.space").and_then(|space| space.get(key)).unwrap_or(self.root);
                let fault =
                    Fault::new(message, "add `points = 5` to it, or choose another sampler").mark(&node.key, "");
                self.faults.push(fault);
                continue;
            };
            combinations = combinations.saturating_mul(values);
        }
        if combinations > MOST {
            let message = format!("the grid has {combinations} combinations");
            self.broken(message, &["tune.sampler"], "give fewer `points`, or choose another sampler");
        }
    }
}
