//! The first look at a column, over the training split.

use super::{
    super::{
        CleanConfig, OnUnseen, TextKind, category::CategoryProfile, date::DateProfile, number::NumberProfile,
        words::TextProfile,
    },
    Bag, Category, Cell, Column, ColumnType, Date, Number, Policies, Policy, Transform, number,
};
use crate::error::Result;

/// What the training split shows of a column, row by row.
pub(in crate::data) struct Profile {
    kind: ColumnType,
    state: State,
}

enum State {
    Nothing,
    Number(Box<NumberProfile>),
    Category(CategoryProfile),
    Date(Box<DateProfile>),
    Text(Box<TextProfile>),
}

impl Profile {
    pub(in crate::data) fn new(kind: ColumnType, settings: &CleanConfig, columns: usize) -> Self {
        let state = match kind {
            ColumnType::Numeric | ColumnType::Boolean => {
                State::Number(Box::new(NumberProfile::new(kind, settings, columns)))
            }
            ColumnType::Categorical => State::Category(CategoryProfile::new()),
            ColumnType::Date => State::Date(Box::new(DateProfile::new(columns))),
            ColumnType::Text => State::Text(Box::new(TextProfile::new())),
            ColumnType::Identifier | ColumnType::Constant | ColumnType::Drop => State::Nothing,
        };
        Self { kind, state }
    }

    /// Adds a training row's value; one of another type counts as missing where it will be imputed, else it is told of
    /// when the rows are written.
    pub(in crate::data) fn add(&mut self, cell: &Cell<'_>, settings: &CleanConfig) {
        let none = cell.is_missing(settings.markers());
        let imputed = settings.on_bad == Some(Policy::Impute);
        let count = |missing: &mut u64, bad: bool| *missing += u64::from(none || bad && imputed);
        match &mut self.state {
            State::Nothing => {}
            State::Number(profile) => match number::value(self.kind, cell) {
                Ok(value) if !none => profile.add(value),
                _ => count(&mut profile.missing, true),
            },
            State::Category(profile) => match cell.name() {
                Ok(name) if !none => profile.add(&name),
                _ => count(&mut profile.missing, true),
            },
            State::Date(profile) => match cell.time(settings.format.as_deref()) {
                Ok(time) if !none => profile.add(time),
                _ => count(&mut profile.missing, true),
            },
            State::Text(profile) => match cell.name() {
                Ok(text) if !none => profile.add(Some(&text), &settings.text()),
                _ => {
                    profile.add(None, &settings.text());
                    count(&mut profile.missing, false);
                }
            },
        }
    }

    /// The column as far as one look tells; `targets` is the number of values of a target encoding.
    pub(in crate::data) fn fit(&self, name: &str, settings: &CleanConfig, targets: usize) -> Result<Column> {
        let (missing, transform) = match &self.state {
            State::Nothing => (0, Transform::Drop),
            State::Number(profile) => (profile.missing, Transform::Number(Number::fit(profile, self.kind, settings))),
            State::Category(profile) => {
                (profile.missing, Transform::Category(Category::fit(profile, name, settings, targets)?))
            }
            State::Date(profile) => (profile.missing, Transform::Date(Date::fit(profile, settings))),
            State::Text(profile) => match settings.text() {
                text if text.kind == TextKind::Hash => {
                    (profile.missing, Transform::Words { buckets: settings.buckets() })
                }
                text => (profile.missing, Transform::Bag(Bag::fit(profile, &text))),
            },
        };
        let policies = Policies {
            on_missing: settings.on_missing.unwrap_or(Policy::Impute),
            on_unseen: settings.on_unseen.unwrap_or(OnUnseen::Fallback),
            on_bad: settings.on_bad.unwrap_or(Policy::Refuse),
            on_absent: settings.on_absent.unwrap_or(Policy::Refuse),
        };
        let markers = settings.markers().to_vec();
        Ok(Column { name: name.to_owned(), kind: self.kind, missing, markers, policies, transform })
    }
}
