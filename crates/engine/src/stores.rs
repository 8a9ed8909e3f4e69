//! The states of one calculation over all slots, and the loops that feed them.
//!
//! A count of events that stand for themselves is one number; everything else is a [`State`]. Percentiles of the same
//! values keep them once.

use skein_query::aggregate::{Contributions, Draw, Remarks, State};
use skein_query::plan::{Calculation, Column, Operation};
use skein_query::result::Cell;

use crate::column::cells::{Cells, Shape};
use crate::local::Slots;
use crate::mask::Mask;

/// The states of a calculation by slot.
#[derive(Debug)]
pub(crate) enum Store {
    /// COUNT, while every weight is 1.
    Counts(Vec<u64>),
    States(Vec<State>),
    /// Percentiles of the values that another calculation has: its place.
    Shared(usize),
}

/// Whether two calculations are of the same values.
fn same_values(a: &Calculation, b: &Calculation) -> bool {
    let same_column = |a: &Column, b: &Column| {
        (&a.name, a.scope, &a.references, &a.calculated) == (&b.name, b.scope, &b.references, &b.calculated)
    };
    let columns = match (&a.column, &b.column) {
        (Some(a), Some(b)) => same_column(a, b),
        _ => false,
    };
    // Filters name where they stand in the question: those of two calculations are never equal.
    let plain = |calculation: &Calculation| {
        calculation.filter.is_none() && calculation.related.is_empty() && calculation.derived.is_none()
    };
    columns && plain(a) && plain(b)
}

fn is_percentile(calculation: &Calculation) -> bool {
    matches!(calculation.operation, Operation::Percentile(_))
}

impl Store {
    /// Those of some calculations.
    pub(crate) fn of(calculations: &[Calculation]) -> Vec<Store> {
        let store = |(place, calculation): (usize, &Calculation)| {
            let earlier = calculations.iter().take(place);
            let shared = earlier.enumerate().find(|(_, other)| {
                is_percentile(calculation) && is_percentile(other) && same_values(calculation, other)
            });
            match shared {
                Some((other, _)) => Store::Shared(other),
                None if calculation.operation == Operation::Count => Store::Counts(Vec::new()),
                None => Store::States(Vec::new()),
            }
        };
        calculations.iter().enumerate().map(store).collect()
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Store::Shared(_))
    }

    pub(crate) fn grow(&mut self, slots: usize, state: impl FnMut() -> State) {
        match self {
            Store::Counts(counts) => counts.resize(slots, 0),
            Store::States(states) => states.resize_with(slots, state),
            Store::Shared(_) => {}
        }
    }

    /// The states, even of counts.
    pub(crate) fn states(&mut self) -> &mut Vec<State> {
        if let Store::Counts(counts) = self {
            *self = Store::States(counts.iter().map(|&count| State::of_count(count)).collect());
        }
        match self {
            Store::States(states) => states,
            // Nobody feeds what another has; whatever is put here is never read.
            Store::Counts(_) | Store::Shared(_) => {
                *self = Store::States(Vec::new());
                self.states()
            }
        }
    }

    pub(crate) fn state_mut(&mut self, slot: usize) -> Option<&mut State> {
        self.states().get_mut(slot)
    }

    /// Counts so many rows of one slot.
    pub(crate) fn count_rows(&mut self, rows: usize, slot: u32) {
        match self {
            Store::Counts(counts) => {
                if let Some(count) = counts.get_mut(slot as usize) {
                    *count += rows as u64;
                }
            }
            store => {
                if let Some(state) = store.states().get_mut(slot as usize) {
                    (0..rows).for_each(|_| state.add_event(1.0));
                }
            }
        }
    }

    /// Counts rows.
    pub(crate) fn count(&mut self, mask: &Mask, slots: Slots<'_>) {
        match (self, slots) {
            (Store::Counts(counts), Slots::One(slot)) => {
                if let Some(count) = counts.get_mut(slot as usize) {
                    *count += mask.count() as u64;
                }
            }
            (Store::Counts(counts), Slots::Each(slots)) => mask.for_each(|place| {
                if let Some(count) = counts.get_mut(slots[place] as usize) {
                    *count += 1;
                }
            }),
            (store, slots) => {
                let states = store.states();
                mask.for_each(|place| {
                    if let Some(state) = states.get_mut(slots.at(place) as usize) {
                        state.add_event(Draw::Certain);
                    }
                });
            }
        }
    }

    pub(crate) fn make_sketches(&mut self) {
        if let Store::States(states) = self {
            states.iter_mut().for_each(State::make_sketch);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Store::Counts(counts) => counts.capacity() * size_of::<u64>(),
            Store::States(states) => states.capacity() * size_of::<State>(),
            Store::Shared(_) => 0,
        }
    }

    /// What the states keep beside themselves.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Store::States(states) => states.iter().map(State::heap_bytes).sum(),
            Store::Counts(_) | Store::Shared(_) => 0,
        }
    }

    pub(crate) fn any_overflow(&self) -> bool {
        match self {
            Store::States(states) => states.iter().any(State::overflows),
            Store::Counts(_) | Store::Shared(_) => false,
        }
    }

    /// Takes over the states of another's slots.
    pub(crate) fn absorb(&mut self, other: &mut Store, slots: impl Iterator<Item = (u32, u32)>) {
        match (self, other) {
            (Store::Shared(_), _) | (_, Store::Shared(_)) => {}
            (Store::Counts(counts), Store::Counts(more)) => {
                for (from, to) in slots {
                    if let (Some(count), Some(more)) = (counts.get_mut(to as usize), more.get(from as usize))
                    {
                        *count += more;
                    }
                }
            }
            (store, other) => {
                let (states, more) = (store.states(), other.states());
                for (from, to) in slots {
                    if let (Some(state), Some(more)) = (states.get_mut(to as usize), more.get(from as usize))
                    {
                        state.merge(more);
                    }
                }
            }
        }
    }

    /// The state of a slot.
    pub(crate) fn state(stores: &[Store], calculation: usize, slot: usize) -> Option<State> {
        match stores.get(calculation)? {
            Store::Counts(counts) => counts.get(slot).map(|&count| State::of_count(count)),
            Store::States(states) => states.get(slot).cloned(),
            Store::Shared(other) => Store::state(stores, *other, slot),
        }
    }

    /// The cell of a slot.
    pub(crate) fn finish(
        stores: &[Store],
        calculations: &[Calculation],
        calculation: usize,
        slot: usize,
    ) -> (Cell, Remarks) {
        let Some(operation) = calculations.get(calculation).map(|calculation| calculation.operation) else {
            return State::of_count(0).finish();
        };
        let place = match stores.get(calculation) {
            Some(Store::Shared(other)) => *other,
            _ => calculation,
        };
        match stores.get(place) {
            Some(Store::Counts(counts)) => State::of_count(counts.get(slot).copied().unwrap_or(0)).finish(),
            Some(Store::States(states)) => match states.get(slot) {
                Some(state) => state.finish_as(operation),
                None => State::new(operation, true).finish(),
            },
            _ => State::new(operation, true).finish(),
        }
    }

    /// Whether the COUNT of a slot is 0.
    pub(crate) fn counts_nothing(stores: &[Store], calculation: usize, slot: usize) -> bool {
        match stores.get(calculation) {
            Some(Store::Counts(counts)) => counts.get(slot) == Some(&0),
            Some(Store::States(states)) => states.get(slot).is_some_and(State::counts_nothing),
            Some(Store::Shared(_)) | None => false,
        }
    }

    /// What traces contribute to the cell of a slot, if that is known.
    pub(crate) fn contributions(stores: &[Store], calculation: usize, slot: usize) -> Option<Contributions> {
        match stores.get(calculation)? {
            Store::Counts(_) => State::of_count(0).contributions(),
            Store::States(states) => states.get(slot)?.contributions(),
            Store::Shared(other) => Store::contributions(stores, *other, slot),
        }
    }

    /// A state that has seen what some slots have.
    pub(crate) fn merged(
        stores: &[Store],
        calculations: &[Calculation],
        calculation: usize,
        mut slots: impl Iterator<Item = usize>,
    ) -> State {
        match stores.get(calculation) {
            Some(Store::Counts(counts)) => State::of_count(slots.filter_map(|slot| counts.get(slot)).sum()),
            Some(Store::States(states)) => {
                let first = slots.find_map(|slot| states.get(slot)).cloned();
                let operation = calculations.get(calculation).map_or(Operation::Count, |c| c.operation);
                let mut merged = first.unwrap_or_else(|| State::new(operation, true));
                slots.filter_map(|slot| states.get(slot)).for_each(|state| merged.merge(state));
                merged
            }
            Some(Store::Shared(other)) => Store::merged(stores, calculations, *other, slots),
            None => State::of_count(0),
        }
    }
}

/// Hands out the place and the value of each row of a mask that has one.
#[inline(always)]
pub(crate) fn feed<V: Copy>(cells: &Cells, values: &[V], mask: &Mask, mut take: impl FnMut(usize, V)) {
    if let Shape::Sparse(_) = cells.shape {
        for (&place, &value) in cells.places.iter().zip(values) {
            let place = usize::from(place);
            if mask.has(place) {
                take(place, value);
            }
        }
    } else {
        mask.for_each(|place| {
            if let Some(&value) = values.get(place) {
                take(place, value);
            }
        });
    }
}
