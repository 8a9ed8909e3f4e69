//! Completion: what may stand at a place of a question that somebody is writing.
//!
//! What may stand there is decided by the text before the place alone ([`Place`]); what of it there is comes from the store:
//! columns with their types, and the most frequent values of a column. Whoever answers asks [`Place::needs_columns`] and
//! [`Place::values`] first, so that nothing is looked up that nobody would see.
//!
//! What it refuses: to judge the text. A question that is wrong so far is completed like any other, or not at all.

mod rank;

#[cfg(test)]
mod tests;

use skein_event::ids::Environment;
use skein_event::limits::COMPLETIONS_TYPED_BYTES_MAX;

use crate::plan::{
    Calculation, Column, Direction, Filter, FilterSet, GroupPlan, Named, Operation, Order, OrderBy, Output,
    Plan, Test, TextTest, TimeRange,
};
use crate::result::{ColumnInfo, DatasetInfo, ValueCount};
use crate::text::Span;

pub use rank::Known;

/// What is asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    /// In which language.
    pub subject: Subject,
    /// The text.
    pub text: String,
    /// The byte before which it is completed, between two characters.
    pub position: usize,
    /// Datasets; empty means all.
    pub datasets: Vec<Named>,
    /// What the question is of; columns that nobody sent then come last.
    pub time_range: TimeRange,
    /// How many.
    pub limit: usize,
}

/// What is written.
#[derive(Clone, PartialEq, Debug)]
pub enum Subject {
    /// A query in Logs Insights.
    Insights,
    /// The name of a column.
    ColumnName,
    /// A value of a column.
    ValueOf(Column),
}

/// Something that may stand at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What is shown.
    pub label: String,
    /// What it is.
    pub kind: ItemKind,
    /// A line about it.
    pub detail: String,
    /// What is written.
    pub insert: String,
}

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemKind {
    /// A command.
    Command,
    /// A function.
    Function,
    /// A column, or a name that the query gave.
    Column,
    /// A value of a column, or a dataset.
    Value,
    /// Any other word.
    Keyword,
}

impl ItemKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            ItemKind::Command => "command",
            ItemKind::Function => "function",
            ItemKind::Column => "column",
            ItemKind::Value => "value",
            ItemKind::Keyword => "keyword",
        }
    }
}

/// What may stand at a place, before anything is looked up.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    /// The bytes that an item takes the place of.
    pub replaced: Span,
    /// What is written there already.
    pub typed: String,
    /// What may stand there, the likeliest first.
    pub wants: Vec<Want>,
    /// Values as they are compared with; otherwise as they are written in a query.
    pub plain: bool,
}

/// A kind of thing that may stand at a place.
#[derive(Clone, PartialEq, Debug)]
pub enum Want {
    /// These.
    Items(Vec<Item>),
    /// A column of events.
    Columns,
    /// A value of a column.
    Values(Column),
    /// A dataset.
    Datasets,
}

/// What may stand at the place of a question.
pub fn place(question: &Question) -> Place {
    let Question { subject, text, position, .. } = question;
    let plain = |want: Want| Place {
        replaced: Span { start: 0, end: text.len() },
        typed: text.get(..*position).unwrap_or_default().to_owned(),
        wants: vec![want],
        plain: true,
    };
    match subject {
        Subject::Insights => crate::insights::complete::place(text, *position),
        Subject::ColumnName => plain(Want::Columns),
        Subject::ValueOf(column) => plain(Want::Values(column.clone())),
    }
}

impl Place {
    /// Whether columns are to be looked up.
    pub fn needs_columns(&self) -> bool {
        self.wants.contains(&Want::Columns)
    }

    /// Whether datasets are.
    pub fn needs_datasets(&self) -> bool {
        self.wants.contains(&Want::Datasets)
    }

    /// The column whose values are, and what they begin with.
    pub fn values(&self) -> Option<(&Column, &str)> {
        let column = self.wants.iter().find_map(|want| match want {
            Want::Values(column) => Some(column),
            _ => None,
        })?;
        // Nobody who has typed so much needs to be told the rest.
        (self.typed.len() <= COMPLETIONS_TYPED_BYTES_MAX).then_some((column, self.typed.as_str()))
    }

    /// What there is of it, best first.
    pub fn items(&self, known: &Known<'_>, limit: usize) -> Vec<Item> {
        rank::items(self, known, limit)
    }
}

/// Counts the values of a column that begin with `prefix`, the most frequent first.
pub fn values_plan(
    environment: &Environment,
    datasets: Vec<Named>,
    time_range: TimeRange,
    column: Column,
    prefix: &str,
    limit: usize,
) -> Plan {
    let exists = Filter { column: column.clone(), test: Test::Exists };
    let starts = Filter { column: column.clone(), test: Test::Text(TextTest::StartsWith, prefix.to_owned()) };
    let count = Calculation {
        name: "COUNT".to_owned(),
        operation: Operation::Count,
        column: None,
        filter: None,
        related: Vec::new(),
        derived: None,
    };
    let order = Order { by: OrderBy::Calculation(0), direction: Direction::Descending };
    Plan {
        environment: environment.clone(),
        datasets,
        time_range,
        filter: FilterSet {
            filters: if prefix.is_empty() { vec![exists] } else { vec![starts] },
            ..FilterSet::default()
        },
        related: Vec::new(),
        trace_slack_ns: 0,
        output: Output::Groups(GroupPlan {
            calculations: vec![count],
            formulas: Vec::new(),
            breakdowns: vec![column],
            orders: vec![order],
            havings: Vec::new(),
            limit,
            granularity_ns: None,
        }),
        compare_offset_ns: None,
        usage_mode: true,
        dry_run: false,
        warnings: Vec::new(),
    }
}

/// The values that the answer to [`values_plan`] lists.
pub fn values_of(answer: crate::result::QueryResult) -> Vec<ValueCount> {
    let crate::result::Data::Groups(groups) = answer.data else { return Vec::new() };
    let values = groups.results.into_iter().filter_map(|row| {
        let value = row.key.into_iter().next().flatten()?;
        let count = row.cells.first().and_then(|cell| cell.value.number()).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
        Some(ValueCount { value, count: count as u64 })
    });
    values.collect()
}

/// The columns of several datasets as one list, by name.
pub fn merged(lists: Vec<Vec<ColumnInfo>>) -> Vec<ColumnInfo> {
    let mut found: std::collections::BTreeMap<String, ColumnInfo> = std::collections::BTreeMap::new();
    for info in lists.into_iter().flatten() {
        let Some(known) = found.get_mut(&info.name) else {
            found.insert(info.name.clone(), info);
            continue;
        };
        for (kind, count) in info.types {
            match known.types.iter_mut().find(|(name, _)| *name == kind) {
                Some((_, sum)) => *sum += count,
                None => known.types.push((kind, count)),
            }
        }
        known.first_ns = known.first_ns.min(info.first_ns);
        known.last_ns = known.last_ns.max(info.last_ns);
        known.distinct_estimate = known.distinct_estimate.max(info.distinct_estimate);
    }
    found.into_values().collect()
}

/// A place in UTF-16 code units, as browsers count, in bytes; `None` when it is beyond the end or inside of a character.
pub fn byte_of_utf16(text: &str, position: usize) -> Option<usize> {
    let mut units = 0;
    for (byte, character) in text.char_indices() {
        if units == position {
            return Some(byte);
        }
        units += character.len_utf16();
    }
    (units == position).then_some(text.len())
}

/// A place in bytes, between two characters, in UTF-16 code units.
pub fn utf16_of_byte(text: &str, byte: usize) -> usize {
    text.get(..byte).unwrap_or(text).chars().map(char::len_utf16).sum()
}

/// What is known of a dataset, as a line.
pub(crate) fn dataset_line(info: &DatasetInfo) -> String {
    format!("{} events", info.events)
}
