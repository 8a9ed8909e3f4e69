//! Commands to a plan: what the engine does with encoded data, and the stages that follow it over rows.
//!
//! Rows have places, called slots, for their values. A field, or what is computed of fields alone, gets a slot that the
//! engine fills, whatever command asks for it, and only for rows that are still there when it is asked. Conditions that come
//! before anything that takes rows away become the engine's filter; an aggregation that comes first becomes its aggregation,
//! if it has the functions.

use skein_event::ids::Environment;

use super::aggregates::Aggregate;
use super::ast::Query;
use super::planner::Planner;
use super::program::{Code, Input};
use super::series::{Running, Whole};
use crate::error::QueryError;
use crate::plan::{Column, Named, Output, Plan, TimeRange};
use crate::text::Problem;

pub use super::groups::GroupsHead;

/// A query, ready to run.
#[derive(Clone, PartialEq, Debug)]
pub struct InsightsPlan {
    /// Which events, and what the engine makes of them if `head` is groups.
    pub base: Plan,
    /// Where rows come from.
    pub head: Head,
    /// What is done with them, in order.
    pub stages: Vec<Stage>,
    /// The columns of the answer: names and slots.
    pub columns: Vec<(String, usize)>,
    /// Whether rows are events, which can be found again.
    pub of_events: bool,
    /// Whether nobody said how many rows there may be.
    pub default_limit: bool,
    /// How much earlier the range is that is looked at as well, of `diff`.
    pub earlier_ns: Option<i64>,
}

/// Where rows come from.
#[derive(Clone, PartialEq, Debug)]
pub enum Head {
    /// From the engine's aggregation.
    Groups(GroupsHead),
    /// From events.
    Rows(RowsHead),
}

/// Rows of events.
#[derive(Clone, PartialEq, Debug)]
pub struct RowsHead {
    /// What is computed of each event.
    pub code: Code,
    /// The slot of each of its results.
    pub slots: Vec<usize>,
    /// Only the first rows are wanted. Rows come in that order then, otherwise in any.
    pub first: Option<First>,
}

/// The first rows in an order.
#[derive(Clone, PartialEq, Debug)]
pub struct First {
    /// What is compared; what is equal in it is ordered by time, the latest first.
    pub keys: Code,
    /// Which way each goes.
    pub descending: Vec<bool>,
    /// How many.
    pub limit: usize,
}

/// Something that is done with rows.
#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// Keeps rows whose slot holds 1.
    Filter(usize),
    /// Fills slots.
    Compute(Code, Vec<usize>),
    /// Orders, and keeps the first.
    Sort {
        /// Slots, and whether the largest comes first.
        keys: Vec<(usize, bool)>,
        /// How many.
        limit: Option<usize>,
    },
    /// Keeps the first.
    Limit(usize),
    /// Keeps the first row of each combination of values.
    Dedup {
        /// Slots.
        keys: Vec<usize>,
        /// Rows come in any order, and the latest is the first.
        by_time: bool,
    },
    /// A row for each group.
    Stats {
        /// Slots of what is grouped by; a group's are its first ones.
        keys: Vec<usize>,
        /// What is computed, of which slot; the slots behind the keys.
        aggregates: Vec<(Aggregate, Option<usize>)>,
    },
    /// A row for each element of a list.
    Unnest {
        /// The list.
        list: usize,
        /// The element.
        into: usize,
    },
    /// A row for each match of a pattern.
    Matches {
        /// The text.
        text: usize,
        /// What matches.
        pattern: Regex,
        /// The groups.
        into: Vec<usize>,
    },
    /// Something that is done with rows one after the other.
    Running(Running),
    /// Something that is done with all of them.
    Whole(Whole),
    /// A row for each template of texts.
    Patterns {
        /// The text.
        text: usize,
        /// Compared with what came earlier.
        diff: bool,
    },
}

/// A regular expression, equal to another of the same text.
#[derive(Clone, Debug)]
pub struct Regex(pub regex::Regex);

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What a plan is made for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose data.
    pub environment: Environment,
    /// Datasets; empty means all, or what `SOURCE` says.
    pub datasets: Vec<Named>,
    /// Time of the events.
    pub time_range: TimeRange,
    /// Answer only what would be scanned.
    pub dry_run: bool,
    /// Now.
    pub now_ns: i64,
}

/// Plans a query.
pub fn plan(query: &Query, text: &str, request: &Request) -> Result<InsightsPlan, QueryError> {
    Planner::new(text, request).query(query, request).map_err(Problem::of_question)
}

impl InsightsPlan {
    /// Every column of events that it reads.
    pub fn fields(&self) -> Vec<&Column> {
        let mut found: Vec<&Column> = Vec::new();
        for filter in &self.base.filter.filters {
            stored(&filter.column, &mut found);
        }
        if let Output::Groups(groups) = &self.base.output {
            let of_calculations = groups.calculations.iter().filter_map(|one| one.column.as_ref());
            groups.breakdowns.iter().chain(of_calculations).for_each(|column| stored(column, &mut found));
        }
        if let Head::Rows(rows) = &self.head {
            let keys = rows.first.iter().flat_map(|first| first.keys.inputs());
            found.extend(rows.code.inputs().iter().chain(keys).filter_map(|input| match input {
                Input::Column(column) => Some(column),
                _ => None,
            }));
        }
        found
    }
}

/// A stored column, or those that a calculated one reads.
fn stored<'p>(column: &'p Column, found: &mut Vec<&'p Column>) {
    match &column.calculated {
        Some(program) => found.extend(program.columns().map(|(column, _)| column)),
        None => found.push(column),
    }
}
