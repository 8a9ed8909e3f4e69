//! An aggregation as the engine's own: groups by columns, stored or calculated, and by buckets of time.

use super::aggregates::{Aggregate, of_cell};
use super::datum::Datum;
use super::grouping::sort_groups;
use super::program::{Arena, Node};
use super::run::Row;
use super::stats::{Key, Wanted};
use crate::number::ValueRef;
use crate::plan::{Calculation, GroupPlan, Operation};
use crate::result::{Cell, Groups};

/// How the engine's groups become rows.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupsHead {
    keys: Vec<KeyPlace>,
    /// Whether each calculation's value is a time.
    times: Vec<bool>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum KeyPlace {
    /// The bucket of time.
    Bucket,
    /// A breakdown, and whether it is a time.
    Breakdown(usize, bool),
}

/// The engine's plan of an aggregation.
pub(super) fn lower(arena: &Arena, keys: &[Key], wanted: &[Wanted]) -> (GroupsHead, GroupPlan) {
    let mut places = Vec::new();
    let mut breakdowns = Vec::new();
    let mut granularity_ns = None;
    for key in keys {
        if let (None, Some(length)) = (granularity_ns, bucket(arena, key.node)) {
            granularity_ns = Some(length);
            places.push(KeyPlace::Bucket);
            continue;
        }
        places.push(KeyPlace::Breakdown(breakdowns.len(), arena.is_time(key.node)));
        breakdowns.push(arena.column(key.node, &key.name, key.span));
    }
    let calculation = |wanted: &Wanted| {
        let operation = match wanted.aggregate {
            Aggregate::Shared(operation) => operation,
            _ => Operation::Count,
        };
        Calculation {
            name: wanted.name.clone(),
            operation,
            column: wanted.argument.map(|node| arena.column(node, &wanted.name, wanted.span)),
            filter: None,
            related: Vec::new(),
            derived: None,
        }
    };
    let is_time = |wanted: &Wanted| {
        let keeps = matches!(
            wanted.aggregate,
            Aggregate::Shared(Operation::Min | Operation::Max | Operation::Percentile(_))
        );
        keeps && wanted.argument.is_some_and(|node| arena.is_time(node))
    };
    let plan = GroupPlan {
        calculations: wanted.iter().map(calculation).collect(),
        formulas: Vec::new(),
        breakdowns,
        orders: Vec::new(),
        havings: Vec::new(),
        // What follows may want any group; memory bounds them.
        limit: usize::MAX,
        granularity_ns,
    };
    (GroupsHead { keys: places, times: wanted.iter().map(is_time).collect() }, plan)
}

/// The length of the buckets of time that a step is the beginning of.
fn bucket(arena: &Arena, node: Node) -> Option<i64> {
    arena.bin_period(node)?.epoch_aligned_ns()
}

impl GroupsHead {
    /// The rows of the engine's answer, ordered by their keys.
    pub fn rows(&self, groups: &Groups) -> Vec<Row> {
        let row = |time_ns: Option<i64>, group: usize, cells: &[Cell]| {
            let key = groups.results.get(group).map_or(&[][..], |row| row.key.as_slice());
            let of_key = |place: &KeyPlace| match place {
                KeyPlace::Bucket => time_ns.map_or(Datum::Missing, Datum::Time),
                KeyPlace::Breakdown(place, is_time) => {
                    let value = key.get(*place).and_then(Option::as_ref);
                    time(value.map_or(Datum::Missing, |value| Datum::from(ValueRef::from(value))), *is_time)
                }
            };
            let of_cell = |(cell, is_time): (&Cell, &bool)| time(of_cell(&cell.value), *is_time);
            let values = self.keys.iter().map(of_key).chain(cells.iter().zip(&self.times).map(of_cell));
            Row::made(values.collect())
        };
        let mut rows: Vec<Row> = match &groups.series {
            Some(series) if self.keys.contains(&KeyPlace::Bucket) => {
                series.iter().map(|entry| row(Some(entry.time_ns), entry.group, &entry.cells)).collect()
            }
            _ => groups
                .results
                .iter()
                .enumerate()
                .map(|(place, group)| row(None, place, &group.cells))
                .collect(),
        };
        sort_groups(&mut rows, self.keys.len());
        rows
    }
}

fn time(value: Datum, is_time: bool) -> Datum {
    match value {
        Datum::I64(time_ns) if is_time => Datum::Time(time_ns),
        other => other,
    }
}
