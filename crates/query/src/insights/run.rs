//! Runs the stages of a plan over rows.
//!
//! Rows are pushed in and go from stage to stage; those that need all of them keep what they need, and go on when the last
//! was pushed. So an aggregation holds its groups and not its rows, and an order with a limit only its first ones.
//!
//! What it refuses: to hold more than it may. [`Pipeline::memory_bytes`] says what it holds, and whoever pushes compares.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use skein_event::ids::{EventId, Offset, Partition};
use skein_event::limits::INSIGHTS_ELEMENTS_MAX;

use super::datum::Datum;
use super::extract;
use super::grouping::Grouping;
use super::patterns::Miner;
use super::plan::Stage;
use super::series::{Runner, Whole};

/// A row under way.
#[derive(Clone, Debug)]
pub struct Row {
    /// Values by slot.
    pub values: Vec<Datum>,
    /// How many events it stands for.
    pub weight: f64,
    /// The event it is of; of a row that was made, whatever.
    pub time_ns: i64,
    /// Likewise.
    pub id: EventId,
    /// It is of the range that is compared with.
    pub earlier: bool,
}

impl Row {
    /// A row of no event.
    pub(super) fn made(values: Vec<Datum>) -> Row {
        let id = EventId { partition: Partition(0), offset: Offset(0), index: 0 };
        Row { values, weight: 1.0, time_ns: 0, id, earlier: false }
    }

    pub(super) fn get(&self, slot: usize) -> &Datum {
        self.values.get(slot).unwrap_or(&Datum::Missing)
    }

    /// Puts a value into a slot.
    pub fn set(&mut self, slot: usize, value: Datum) {
        if self.values.len() <= slot {
            self.values.resize(slot + 1, Datum::Missing);
        }
        self.values[slot] = value;
    }

    fn heap_bytes(&self) -> usize {
        size_of::<Row>()
            + self.values.iter().map(|value| size_of::<Datum>() + value.heap_bytes()).sum::<usize>()
    }
}

/// The stages of a plan with what they hold.
pub struct Pipeline<'p> {
    nodes: Vec<Held<'p>>,
    /// What came out of the last.
    done: Vec<Row>,
    bytes: usize,
    inputs: Vec<Datum>,
    scratch: Vec<Datum>,
    pushed: u64,
}

/// A stage with what it holds.
enum Held<'p> {
    Passing(&'p Stage),
    Sort { keys: &'p [(usize, bool)], limit: Option<usize>, rows: BinaryHeap<Sorted<'p>> },
    Limit { left: usize },
    Dedup { keys: &'p [usize], by_time: bool, seen: HashMap<Box<[Arc<str>]>, usize>, rows: Vec<Row> },
    Stats(Grouping<'p>),
    Running(Runner<'p>),
    Whole(&'p Whole, Vec<Row>),
    Patterns { text: usize, diff: bool, miner: Box<Miner> },
}

/// A row by its place in an order. Greater is later in the answer.
struct Sorted<'p> {
    keys: &'p [(usize, bool)],
    row: Row,
    /// In which order rows came, which decides between parts of one event.
    number: u64,
}

impl Ord for Sorted<'_> {
    fn cmp(&self, other: &Sorted<'_>) -> Ordering {
        for (slot, descending) in self.keys {
            let ordering = self.row.get(*slot).sort_order(other.row.get(*slot), *descending);
            if ordering.is_ne() {
                return ordering;
            }
        }
        let by_time = (other.row.time_ns, other.row.id).cmp(&(self.row.time_ns, self.row.id));
        by_time.then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Sorted<'_> {
    fn partial_cmp(&self, other: &Sorted<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sorted<'_> {
    fn eq(&self, other: &Sorted<'_>) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sorted<'_> {}

impl<'p> Pipeline<'p> {
    /// Nothing was pushed yet.
    pub fn new(stages: &'p [Stage]) -> Pipeline<'p> {
        let held = |stage: &'p Stage| match stage {
            Stage::Sort { keys, limit } => Held::Sort { keys, limit: *limit, rows: BinaryHeap::new() },
            Stage::Limit(left) => Held::Limit { left: *left },
            Stage::Dedup { keys, by_time } => {
                Held::Dedup { keys, by_time: *by_time, seen: HashMap::new(), rows: Vec::new() }
            }
            Stage::Stats { keys, aggregates } => Held::Stats(Grouping::new(keys, aggregates)),
            Stage::Running(running) => Held::Running(Runner::new(running)),
            Stage::Whole(whole) => Held::Whole(whole, Vec::new()),
            Stage::Patterns { text, diff } => {
                Held::Patterns { text: *text, diff: *diff, miner: Box::default() }
            }
            Stage::Filter(_) | Stage::Compute(..) | Stage::Unnest { .. } | Stage::Matches { .. } => {
                Held::Passing(stage)
            }
        };
        Pipeline {
            nodes: stages.iter().map(held).collect(),
            done: Vec::new(),
            bytes: 0,
            inputs: Vec::new(),
            scratch: Vec::new(),
            pushed: 0,
        }
    }

    /// Bytes of memory it holds.
    pub fn memory_bytes(&self) -> usize {
        let of_nodes = self.nodes.iter().map(|node| match node {
            Held::Stats(grouping) => grouping.memory_bytes(),
            Held::Patterns { miner, .. } => miner.memory_bytes(),
            Held::Running(runner) => runner.memory_bytes(),
            _ => 0,
        });
        self.bytes + of_nodes.sum::<usize>()
    }

    /// Takes a row.
    pub fn push(&mut self, row: Row) {
        self.push_at(0, row);
    }

    fn push_at(&mut self, from: usize, mut row: Row) {
        for at in from..self.nodes.len() {
            match &mut self.nodes[at] {
                Held::Passing(Stage::Filter(slot)) => {
                    if row.get(*slot).truth() != Some(true) {
                        return;
                    }
                }
                Held::Passing(Stage::Compute(code, slots)) => {
                    code.run_row(&row.values, &mut self.inputs, &mut self.scratch);
                    for (place, slot) in slots.iter().enumerate() {
                        row.set(*slot, code.output(place, &self.scratch).clone());
                    }
                }
                Held::Passing(stage) => {
                    let rows = multiplied(stage, &row);
                    rows.into_iter().for_each(|row| self.push_at(at + 1, row));
                    return;
                }
                Held::Running(runner) => runner.take(&mut row),
                Held::Limit { left } => {
                    if *left == 0 {
                        return;
                    }
                    *left -= 1;
                    row.weight = 1.0;
                }
                held => {
                    self.pushed += 1;
                    self.bytes = self.bytes.saturating_add_signed(held.take(row, self.pushed));
                    return;
                }
            }
        }
        self.bytes += row.heap_bytes();
        self.done.push(row);
    }

    /// Everything was pushed: the rows of the answer. `check` is asked now and then whether to go on.
    pub fn finish<E>(mut self, mut check: impl FnMut(usize) -> Result<(), E>) -> Result<Vec<Row>, E> {
        for at in 0..self.nodes.len() {
            if let Held::Whole(whole, rows) = &self.nodes[at] {
                check(self.memory_bytes() + whole.memory_bytes(rows))?;
            }
            let rows = self.nodes[at].rest();
            for (number, row) in rows.into_iter().enumerate() {
                if number % 1_024 == 0 {
                    check(self.memory_bytes())?;
                }
                self.push_at(at + 1, row);
            }
        }
        Ok(self.done)
    }
}

impl Held<'_> {
    /// Keeps a row, or what it needs of it; says how much more memory that is.
    fn take(&mut self, row: Row, number: u64) -> isize {
        let bytes = |row: &Row| isize::try_from(row.heap_bytes()).unwrap_or(isize::MAX);
        match self {
            Held::Sort { keys, limit, rows } => {
                let mut more = bytes(&row);
                rows.push(Sorted { keys, row, number });
                if limit.is_some_and(|limit| rows.len() > limit) {
                    more -= rows.pop().map_or(0, |sorted| bytes(&sorted.row));
                }
                more
            }
            Held::Dedup { keys, by_time, seen, rows } => {
                let texts = keys.iter().map(|slot| row.get(*slot).key().map(Arc::from));
                let Some(texts) = texts.collect::<Option<Box<[Arc<str>]>>>() else {
                    // A row without one of the values is like no other.
                    let more = bytes(&row);
                    rows.push(row);
                    return more;
                };
                let key_bytes: usize = texts.iter().map(|text| text.len() + 48).sum();
                match seen.get(&texts).and_then(|place| rows.get_mut(*place)) {
                    Some(known) if *by_time && (row.time_ns, row.id) > (known.time_ns, known.id) => {
                        let more = bytes(&row) - bytes(known);
                        *known = row;
                        more
                    }
                    Some(_) => 0,
                    None => {
                        let more = bytes(&row) + isize::try_from(key_bytes).unwrap_or(isize::MAX);
                        seen.insert(texts, rows.len());
                        rows.push(row);
                        more
                    }
                }
            }
            Held::Stats(grouping) => {
                grouping.add(&row);
                0
            }
            Held::Patterns { text, miner, .. } => {
                if let Some(text) = row.get(*text).as_text() {
                    miner.add(&text, row.weight, row.earlier);
                }
                0
            }
            Held::Whole(_, rows) => {
                let more = bytes(&row);
                rows.push(row);
                more
            }
            Held::Passing(_) | Held::Running(_) | Held::Limit { .. } => 0,
        }
    }

    /// What it kept, in order.
    fn rest(&mut self) -> Vec<Row> {
        match self {
            Held::Sort { rows, limit, .. } => {
                let sorted = std::mem::take(rows).into_sorted_vec().into_iter().map(|sorted| sorted.row);
                // A row that was chosen stands for itself from here on.
                let chosen = |row: Row| if limit.is_some() { Row { weight: 1.0, ..row } } else { row };
                sorted.map(chosen).collect()
            }
            Held::Dedup { by_time, rows, .. } => {
                let mut rows = std::mem::take(rows);
                if *by_time {
                    rows.sort_by_key(|row| Reverse((row.time_ns, row.id)));
                }
                // From here on a row stands for its value.
                rows.iter_mut().for_each(|row| row.weight = 1.0);
                rows
            }
            Held::Stats(grouping) => grouping.finish(),
            Held::Patterns { diff, miner, .. } => {
                std::mem::take(miner).finish(*diff).into_iter().map(Row::made).collect()
            }
            Held::Whole(whole, rows) => whole.apply(std::mem::take(rows)),
            Held::Running(runner) => runner.last().into_iter().collect(),
            Held::Passing(_) | Held::Limit { .. } => Vec::new(),
        }
    }
}

/// The rows that a stage makes of one.
fn multiplied(stage: &Stage, row: &Row) -> Vec<Row> {
    let with = |slots: &[usize], values: Vec<Datum>| {
        let mut row = row.clone();
        slots.iter().zip(values).for_each(|(slot, value)| row.set(*slot, value));
        row
    };
    match stage {
        Stage::Unnest { list, into } => match row.get(*list).as_json().as_deref() {
            Some(serde_json::Value::Array(items)) => {
                let items = items.iter().take(INSIGHTS_ELEMENTS_MAX);
                items.map(|item| with(&[*into], vec![Datum::of_json(item)])).collect()
            }
            // Anything else is a list of one.
            _ => vec![with(&[*into], vec![row.get(*list).clone()])],
        },
        Stage::Matches { text, pattern, into } => {
            let text = row.get(*text).as_text();
            let matches = text.map(|text| extract::all_captures(&pattern.0, &text, INSIGHTS_ELEMENTS_MAX));
            match matches.filter(|matches| !matches.is_empty()) {
                Some(matches) => matches.into_iter().map(|values| with(into, values)).collect(),
                None => vec![row.clone()],
            }
        }
        _ => Vec::new(),
    }
}
