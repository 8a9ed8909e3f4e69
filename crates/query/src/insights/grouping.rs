//! Groups of rows that the engine's own aggregation cannot have: their keys are texts of values, their aggregates states.
//!
//! A group holds its states and not its rows. Percentiles are exact for as many rows as those of the engine are.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::aggregates::{Aggregate, Aggregated};
use super::datum::Datum;
use super::run::Row;
use crate::aggregate::EXACT_ROWS_MAX;

/// Orders groups by their keys; groups of equal order by the text of these.
pub(super) fn sort_groups(rows: &mut [Row], keys: usize) {
    let texts =
        |row: &Row| row.values.iter().take(keys).map(|v| v.key().map(String::from)).collect::<Vec<_>>();
    rows.sort_by(|a, b| {
        let by_value = (0..keys).map(|key| a.get(key).sort_order(b.get(key), false));
        by_value.fold(Ordering::Equal, Ordering::then).then_with(|| texts(a).cmp(&texts(b)))
    });
}

/// The groups of an aggregation.
pub(super) struct Grouping<'p> {
    keys: &'p [usize],
    aggregates: &'p [(Aggregate, Option<usize>)],
    places: HashMap<Box<[Option<Arc<str>>]>, usize>,
    groups: Vec<(Vec<Spellings>, Vec<Aggregated>)>,
    rows: u64,
    bytes: usize,
    /// Rows since the heap of the states was last summed.
    since_sum: usize,
    state_bytes: usize,
}

impl<'p> Grouping<'p> {
    pub(super) fn new(keys: &'p [usize], aggregates: &'p [(Aggregate, Option<usize>)]) -> Grouping<'p> {
        let mut grouping = Grouping {
            keys,
            aggregates,
            places: HashMap::new(),
            groups: Vec::new(),
            rows: 0,
            bytes: 0,
            since_sum: 0,
            state_bytes: 0,
        };
        if keys.is_empty() {
            // Without groups there is one of everything, even of nothing.
            grouping.group(std::iter::empty(), Box::new([]));
        }
        grouping
    }

    /// Bytes of memory it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.state_bytes
    }

    fn group<'v>(&mut self, values: impl Iterator<Item = &'v Datum>, key: Box<[Option<Arc<str>>]>) -> usize {
        let exact = self.rows < EXACT_ROWS_MAX;
        let states =
            self.aggregates.iter().map(|(aggregate, _)| Aggregated::new(*aggregate, exact)).collect();
        let keys = values.map(|value| Spellings(vec![(value.clone(), 0)])).collect::<Vec<_>>();
        let of_values: usize = keys.iter().map(|key| key.heap_bytes() * 2 + 96).sum();
        self.bytes += of_values + self.aggregates.len() * size_of::<Aggregated>() + 96;
        self.places.insert(key, self.groups.len());
        self.groups.push((keys, states));
        self.groups.len() - 1
    }

    pub(super) fn add(&mut self, row: &Row) {
        self.rows += 1;
        if self.rows == EXACT_ROWS_MAX {
            self.groups.iter_mut().flat_map(|(_, states)| states).for_each(Aggregated::make_sketch);
        }
        let key: Box<[Option<Arc<str>>]> =
            self.keys.iter().map(|slot| row.get(*slot).key().map(|text| Arc::from(&*text))).collect();
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.group(self.keys.iter().map(|slot| row.get(*slot)), key),
        };
        let Some((keys, states)) = self.groups.get_mut(place) else { return };
        for (slot, spellings) in self.keys.iter().zip(keys) {
            spellings.add(row.get(*slot));
        }
        for ((_, argument), state) in self.aggregates.iter().zip(states) {
            state.add(argument.map(|slot| row.get(slot)), row.weight, (row.time_ns, row.id));
        }
        // Summing the heap of many states costs as much as adding to each once.
        self.since_sum += 1;
        if self.since_sum > self.groups.len().max(1_024) {
            self.since_sum = 0;
            let states = self.groups.iter().flat_map(|(_, states)| states);
            self.state_bytes = states.map(Aggregated::heap_bytes).sum();
        }
    }

    /// The rows of all groups, in their order.
    pub(super) fn finish(&mut self) -> Vec<Row> {
        let row = |(keys, states): (Vec<Spellings>, Vec<Aggregated>)| {
            let mut values: Vec<Datum> = keys.iter().map(Spellings::shown).collect();
            values.extend(states.iter().map(Aggregated::finish));
            Row::made(values)
        };
        let mut rows: Vec<Row> = std::mem::take(&mut self.groups).into_iter().map(row).collect();
        sort_groups(&mut rows, self.keys.len());
        rows
    }
}

/// The values of one key of a group: equal in their text, each type with how many rows have it.
struct Spellings(Vec<(Datum, u64)>);

impl Spellings {
    fn add(&mut self, value: &Datum) {
        match self.0.iter_mut().find(|(known, _)| rank(known) == rank(value)) {
            Some((_, count)) => *count += 1,
            None => self.0.push((value.clone(), 1)),
        }
    }

    /// In the type that most rows have; on a tie text.
    fn shown(&self) -> Datum {
        let most = self.0.iter().max_by_key(|(value, count)| (*count, std::cmp::Reverse(rank(value))));
        most.map_or(Datum::Missing, |(value, _)| value.clone())
    }

    fn heap_bytes(&self) -> usize {
        self.0.iter().map(|(value, _)| value.heap_bytes()).sum()
    }
}

/// Types in the order in which a tie is broken.
fn rank(value: &Datum) -> u8 {
    match value {
        Datum::Text(_) | Datum::Json(_) => 0,
        Datum::Bool(_) => 1,
        Datum::I64(_) => 2,
        Datum::F64(_) => 3,
        Datum::Time(_) => 4,
        Datum::Missing => 5,
    }
}
