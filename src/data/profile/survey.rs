//! The pass itself: rows go in, the profile comes out.

use std::collections::HashMap;

use super::{
    Class, ColumnProfile, Profile, Target, TargetProfile, alone,
    column::{Look, Numbers},
    findings,
    sketch::{Repeats, RowSample, hash, row_hash},
};
use crate::data::clean::{CleanConfig, ColumnType};
use crate::data::{Split, cell::Cell};

/// Numbers of the sample of rows, and rows of it at most.
const SAMPLED: usize = 4 << 20;
const SAMPLED_ROWS: usize = 20_000;
/// Classes that are told apart.
const CLASSES: usize = 10_000;
/// Correlation from which on two columns are named.
const ALIKE: f64 = 0.9;

/// What the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum TargetKind {
    Classes,
    Values,
}

/// Looks at a table row by row.
pub(in crate::data) struct Survey<'a> {
    names: &'a [String],
    settings: &'a [CleanConfig],
    /// Which columns the config drops.
    left_out: &'a [bool],
    looks: Vec<Look>,
    target: TargetLook,
    sample: RowSample,
    repeats: Repeats,
    rows: [u64; 3],
}

struct TargetLook {
    name: String,
    kind: TargetKind,
    ids: HashMap<String, usize>,
    counts: Vec<[u64; 3]>,
    numbers: Look,
    unusable: u64,
}

impl<'a> Survey<'a> {
    /// Of the feature columns `names` of these types, and of a target.
    pub(in crate::data) fn new(
        names: &'a [String],
        kinds: &[ColumnType],
        settings: &'a [CleanConfig],
        target: (&str, TargetKind),
        left_out: &'a [bool],
    ) -> Self {
        let like = match target.1 {
            TargetKind::Classes => Target::Class(0),
            TargetKind::Values => Target::Value(0.0),
        };
        let width = names.len() + 1;
        Self {
            names,
            settings,
            left_out,
            looks: kinds.iter().map(|kind| Look::new(*kind, like, names.len())).collect(),
            target: TargetLook {
                name: target.0.to_owned(),
                kind: target.1,
                ids: HashMap::new(),
                counts: Vec::new(),
                numbers: Look::new(ColumnType::Numeric, Target::Value(0.0), names.len()),
                unusable: 0,
            },
            sample: RowSample::new(width, (SAMPLED / width).clamp(1, SAMPLED_ROWS)),
            repeats: Repeats::default(),
            rows: [0; 3],
        }
    }

    pub(in crate::data) fn add(&mut self, split: Split, features: &[Cell<'_>], target: &Cell<'_>) {
        let at = Split::ALL.iter().position(|s| *s == split).unwrap_or(0);
        self.rows.get_mut(at).into_iter().for_each(|rows| *rows += 1);
        let told = self.target.add(at, target);
        let cells = self.looks.iter().zip(features).zip(self.left_out);
        let told_apart = cells.filter(|((look, _), out)| look.kind != ColumnType::Identifier && !**out);
        self.repeats.add(row_hash(told_apart.map(|((_, cell), _)| cell)), hash(target), split);
        if split != Split::Train {
            return;
        }
        for ((look, cell), own) in self.looks.iter_mut().zip(features).zip(self.settings) {
            look.add(cell, told, own);
        }
        let Self { sample, looks, settings, .. } = self;
        sample.offer(|row| {
            let cells = looks.iter().zip(features).zip(settings.iter()).map(|((look, cell), own)| look.code(cell, own));
            row.iter_mut().zip(cells.chain([alone::code(told)])).for_each(|(slot, value)| *slot = value);
        });
    }

    pub(in crate::data) fn finish(self, source: String) -> Profile {
        let classes = match self.target.kind {
            TargetKind::Classes => self.target.counts.len(),
            TargetKind::Values => 0,
        };
        let told: Vec<(String, ColumnType)> =
            self.names.iter().cloned().zip(self.looks.iter().map(|look| look.kind)).collect();
        let columns: Vec<ColumnProfile> = told
            .iter()
            .zip(&self.looks)
            .zip(self.left_out)
            .enumerate()
            .map(|(at, (((name, kind), look), left_out))| {
                let (unique, unique_exact) = look.distinct.count();
                ColumnProfile {
                    name: name.clone(),
                    kind: *kind,
                    left_out: *left_out,
                    rows: look.rows,
                    missing: look.missing,
                    bad: look.bad,
                    // An estimate may pass what there is.
                    unique: unique.min(look.rows - look.missing),
                    unique_exact,
                    numbers: look.numbers(),
                    common: look.common(),
                    relation: look.relation(),
                    alone: alone::alone(&self.sample, at, *kind, classes),
                }
            })
            .collect();
        let mut profile = Profile {
            source,
            rows: self.rows,
            target: self.target.finish(),
            pairs: alone::pairs(&self.sample, &told, ALIKE),
            columns,
            repeated: self.repeats.count(),
            sampled: self.sample.rows().len(),
            findings: Vec::new(),
        };
        profile.findings = findings::of(&profile);
        profile
    }
}

impl TargetLook {
    fn add(&mut self, split: usize, cell: &Cell<'_>) -> Option<Target> {
        let found = match self.kind {
            TargetKind::Values => cell.number().ok().map(Target::Value),
            TargetKind::Classes => cell.class().ok().and_then(|name| self.id(&name)).map(Target::Class),
        };
        self.unusable += u64::from(found.is_none());
        match found {
            Some(Target::Class(id)) => {
                let count = self.counts.get_mut(id).and_then(|counts| counts.get_mut(split));
                count.into_iter().for_each(|count| *count += 1);
            }
            Some(Target::Value(_)) if split == 0 => self.numbers.add(cell, None, &CleanConfig::default()),
            _ => {}
        }
        found
    }

    fn id(&mut self, name: &str) -> Option<usize> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let id = self.counts.len();
        if id >= CLASSES {
            return None;
        }
        self.counts.push([0; 3]);
        self.ids.insert(name.to_owned(), id);
        Some(id)
    }

    fn finish(self) -> TargetProfile {
        let rows = |id: &usize| self.counts.get(*id).copied().unwrap_or_default();
        let mut classes: Vec<Class> =
            self.ids.iter().map(|(name, id)| Class { name: name.clone(), rows: rows(id) }).collect();
        classes.sort_by(|a, b| b.rows[0].cmp(&a.rows[0]).then(a.name.cmp(&b.name)));
        let numbers: Option<Numbers> = self.numbers.numbers();
        TargetProfile { name: self.name, unusable: self.unusable, classes, numbers }
    }
}
