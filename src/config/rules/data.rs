//! Rules of `[data]`: sources, columns, what is held out.

use super::{Rules, word};
use crate::{
    config::Plan,
    data::{
        CleanConfig, ColumnConfig, Fold, FoldBy, Format, HoldoutBy, Impute, IsolationConfig, Outliers, Source,
        TaskKind, TextConfig, TokenizerKind, check_expression, check_sql, is_object,
    },
};

impl Rules<'_> {
    pub(super) fn data(&mut self, plan: &Plan) {
        let data = &plan.data;
        if data.holdout.validation + data.holdout.test >= 1.0 {
            let message = format!(
                "`data.holdout.validation` = {} and `data.holdout.test` = {} leave nothing to train on",
                data.holdout.validation, data.holdout.test
            );
            self.broken(message, &["data.holdout.validation", "data.holdout.test"], "let them sum to less than 1");
        }
        if let Some(fold) = &data.fold {
            self.fold(fold, data.task);
        }
        if let Some(TokenizerKind::Words(size)) = data.tokenizer
            && !(2..=10_000_000).contains(&size)
        {
            let message = format!("`data.tokenizer.words` must be in 2..=10000000, found {size}");
            self.broken(message, &["data.tokenizer.words"], "give some thousands");
        }
        if let Some(TokenizerKind::Bpe(size)) = data.tokenizer
            && !(257..=1_000_000).contains(&size)
        {
            let message = format!("`data.tokenizer.bpe` must be in 257..=1000000, found {size}");
            self.broken(message, &["data.tokenizer.bpe"], "256 bytes and at least one merge make 257");
        }
        if !matches!(data.channels, 1 | 3) {
            let message = format!("`data.channels` must be 1 or 3, found {}", data.channels);
            self.broken(message, &["data.channels"], "write 1 for grey, 3 for RGB");
        }
        if !data.delimiter.is_ascii() {
            let message = format!("`data.delimiter` must be ASCII, found `{}`", data.delimiter);
            self.broken(message, &["data.delimiter"], "use `,`, `;`, `|` or `\\t`");
        }
        if let Source::Sql(source) = &data.source {
            self.database(&source.sql, "data.source.sql");
            if data.format.is_some() {
                let message = "`data.format` is how files are laid out, but `data.source` is a query";
                self.broken(message, &["data.format", "data.source"], "remove `format`");
            }
        }
        if let Some(sum) = &data.sha256 {
            if sum.len() != 64 || !sum.chars().all(|digit| digit.is_ascii_hexdigit()) {
                let message = "`data.sha256` must be 64 hexadecimal digits";
                self.broken(message, &["data.sha256"], "take it from `sha256sum FILE`");
            }
            if !matches!(&data.source, Source::Url(url) if !is_object(url)) {
                let message = "`data.sha256` checks a download, but `data.source` is no `url` of one file";
                let next = "remove `sha256`, or give an https address";
                self.broken(message, &["data.sha256", "data.source"], next);
            }
        }
    }

    /// An address of a database that may be stored with a run.
    pub(super) fn database(&mut self, address: &str, key: &str) {
        if let Err(error) = check_sql(address) {
            let next = error.action().unwrap_or("correct it").to_owned();
            self.broken(format!("`{key}`: {}", error.message()), &[key], next);
        }
    }

    fn fold(&mut self, fold: &Fold, task: TaskKind) {
        if !(2..=1000).contains(&fold.of) || fold.index >= fold.of {
            let message = format!("`data.fold` is number {} of {}", fold.index, fold.of);
            let next = "let `of` be in 2..=1000 and `index` below it, counted from 0";
            self.broken(message, &["data.fold.index", "data.fold.of"], next);
        }
        let by_column = matches!(fold.by, FoldBy::Grouped | FoldBy::Time);
        if by_column == fold.column.is_empty() {
            let (message, next) = match by_column {
                true => ("needs a `column`", "name a feature column"),
                false => ("has no use for a `column`", "remove `column`, or set `by` to `grouped` or `time`"),
            };
            let keys = ["data.fold.by", "data.fold.column"];
            self.broken(format!("`data.fold.by` = {} {message}", word(&fold.by)), &keys, next);
        }
        if task == TaskKind::LanguageModel {
            let message = "`data.fold` shares out rows, but `data.task` = \"language-model\" has none";
            self.broken(message, &["data.fold", "data.task"], "remove `fold`");
        }
    }

    pub(super) fn table(&mut self, plan: &Plan) {
        let data = &plan.data;
        let by_column = matches!(data.holdout.by, HoldoutBy::Group | HoldoutBy::Time);
        let keys = ["data.holdout.by", "data.holdout.column"];
        match (&data.holdout.column, by_column) {
            (None, true) => {
                let message = format!("`data.holdout.by` = {} needs `data.holdout.column`", word(&data.holdout.by));
                self.broken(message, &keys[..1], "name the column, as in `column = \"date\"`");
            }
            (Some(column), false) => {
                let message = format!("`data.holdout.column` = \"{column}\" does nothing without `by`");
                self.broken(message, &keys, "add `by = \"time\"` or `by = \"group\"`");
            }
            _ => {}
        }
        if data.holdout.by == HoldoutBy::Class && data.task != TaskKind::Classification {
            let message =
                format!("`data.holdout.by` = \"class\" needs classes, but `data.task` = {}", word(&data.task));
            self.broken(message, &["data.holdout.by", "data.task"], "remove `by`");
        }
        let pictures = matches!(data.format, Some(Format::Idx | Format::Images));
        if data.holdout.by != HoldoutBy::Row && (data.task == TaskKind::LanguageModel || pictures) {
            self.broken("`data.holdout.by` is for tables", &["data.holdout.by"], "remove `by`");
        }
        for (name, says) in &data.derive {
            if let Err(wrong) = check_expression(says, &data.derive) {
                let message = format!("`data.derive.{name}`, character {}: {}", wrong.at, wrong.what);
                let key = format!("data.derive.{name}");
                self.broken(message, &[&key], "write it as SQL does, a column's name bare or in double quotes");
            }
        }
        if !data.derive.is_empty() && (data.task == TaskKind::LanguageModel || pictures) {
            self.broken("`data.derive` is for tables", &["data.derive"], "remove it");
        }
        if let Some(isolation) = &data.isolation_forest {
            self.isolation(isolation);
        }
        self.columns("data.clean", &data.clean);
        for (name, column) in &data.columns {
            if let ColumnConfig::Table(own) = column {
                self.columns(&format!("data.columns.{name}"), own);
            }
        }
    }

    /// The ranges of a column's keys.
    fn columns(&mut self, at: &str, own: &CleanConfig) {
        let key = |name: &str| format!("{at}.{name}");
        let sizes = [("buckets", own.buckets, 1 << 16), ("most", own.most, 100_000)];
        for (name, size, most) in sizes.into_iter().filter_map(|(name, size, most)| Some((name, size?, most))) {
            self.at_least_one(&[(&key(name), size)]);
            self.at_most(&[(&key(name), size, most)]);
        }
        self.not_negative(&[(&key("smooth"), own.smooth.unwrap_or(0.0))]);
        if let Some(text) = &own.text {
            self.text(&key("text"), text);
        }
        if let Some(Impute::Knn(k)) = own.impute
            && !(1..=1000).contains(&k)
        {
            let message = format!("`{}` must be in 1..=1000, found {k}", key("impute.knn"));
            self.broken(message, &[&key("impute")], "5 is usual");
        }
        match own.outliers {
            Some(Outliers::Iqr(times) | Outliers::ZScore(times)) => self.positive(&[(&key("outliers"), times)]),
            Some(Outliers::Quantile(share)) if !(0.0..0.5).contains(&share) => {
                let message = format!("`{}` must be in [0, 0.5), found {share}", key("outliers.quantile"));
                self.broken(message, &[&key("outliers")], "0.01 bounds the outer 1 % on both sides");
            }
            _ => {}
        }
    }

    fn isolation(&mut self, isolation: &IsolationConfig) {
        let key = |name: &str| format!("data.isolation_forest.{name}");
        let sizes = [(&*key("trees"), isolation.trees), (&*key("rows"), isolation.rows)];
        self.at_least_one(&sizes);
        self.at_most(&[(sizes[0].0, isolation.trees, 1000), (sizes[1].0, isolation.rows, 4096)]);
        self.below_one(&[(&key("share"), isolation.share)]);
    }

    fn text(&mut self, at: &str, text: &TextConfig) {
        let key = |name: &str| format!("{at}.{name}");
        let [least, longest] = text.ngrams;
        if least == 0 || longest < least || longest > 16 {
            let message = format!(
                "`{}` must be two lengths in 1..=16, the shorter first, found {:?}",
                key("ngrams"),
                text.ngrams
            );
            self.broken(message, &[&key("ngrams")], "write `[1, 2]` for single words and pairs");
        }
        self.at_least_one(&[(&key("most"), text.most)]);
        self.at_most(&[(&key("most"), text.most, 1 << 16)]);
        if !(text.max_share > 0.0 && text.max_share <= 1.0) {
            let message = format!("`{}` must be in (0, 1], found {}", key("max_share"), text.max_share);
            self.broken(message, &[&key("max_share")], "0.5 leaves out what more than half of the rows have");
        }
    }
}
