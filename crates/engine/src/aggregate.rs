//! Feeds the rows of a block to the states of their slots: a slot is a group, or a group in a bucket of time.
//!
//! Values come as slices of one type ([`crate::column::cells`]) and go through one loop per calculation and type. What
//! is not a number as it is stored, or has a weight, goes row by row through [`Worth`].

use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_query::aggregate::{Contributions, Draw, Remarks, State};
use skein_query::plan::{Calculation, Operation, Scope};
use skein_query::result::Cell;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::calculation::{BoundCalculation, column_as_cells, worth_of};
use crate::column::cells::{Cells, Shape};
use crate::column::{BoundColumn, Part};
use crate::distinct::SeenCodes;
use crate::filter::BoundFilters;
use crate::local::Slots;
use crate::relation::Relations;
use crate::relation::bound::{BoundConditions, BoundTable};
use crate::scan::Reading;
use crate::stores::Store;
use crate::unseen::Unseen;
use crate::weights::{BlockDraws, Weights};

/// A row that belongs to no slot.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// What a calculation had to do to its values.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Coercions {
    /// Texts that were wholly numbers and counted as such.
    pub(crate) coerced: u64,
    /// Values that are no numbers and were left out.
    pub(crate) left_out: u64,
    /// NaN and infinities that a HEATMAP has no place for.
    pub(crate) unplaced: u64,
}

/// States by calculation and slot.
pub(crate) struct Accumulator<'p> {
    pub(crate) calculations: &'p [Calculation],
    stores: Vec<Store>,
    slots: usize,
    pub(crate) coercions: Vec<Coercions>,
    /// A count of the rows of each slot that whoever feeds this keeps anyway.
    counted_outside: Option<usize>,
    /// Whether percentiles keep every value.
    exact: bool,
    /// What sampled events were searched, where a COUNT is 0.
    pub(crate) unseen: Option<Unseen>,
    /// Heap of the states when it was last summed, and rows added since.
    heap_bytes: usize,
    rows_since_sum: usize,
}

/// Calculations bound to one segment.
pub(crate) struct BoundCalculations<'a> {
    calculations: Vec<BoundCalculation<'a>>,
    weights: Option<Weights<'a>>,
    hash_key: HashKey,
}

impl<'a> BoundCalculations<'a> {
    pub(crate) fn bind(
        segment: &'a Segment,
        calculations: &[Calculation],
        reading: Reading<'_>,
    ) -> Result<BoundCalculations<'a>, Error> {
        let bind = |(place, calculation): (usize, &Calculation)| -> Result<BoundCalculation<'a>, Error> {
            let own = calculation.column.as_ref().filter(|column| column.scope == Scope::Own);
            let column = own.map(|column| BoundColumn::bind(segment, column));
            let of_others = |related: &Arc<Relations>| -> Result<_, Error> {
                let conditions = BoundConditions::of_calculation(segment, related, place)?;
                Ok((conditions, BoundTable::of_calculation(segment, related, place)?))
            };
            let (conditions, table) = reading.related.map(of_others).transpose()?.unwrap_or_default();
            let filter = calculation.filter.as_ref().map(|filter| BoundFilters::bind(segment, filter));
            let (column, filter) = (column.transpose()?, filter.transpose()?);
            let parts = column.as_ref().map_or(&[][..], |column| &column.parts);
            let len = |part: &Part<'_>| part.dictionary_len().unwrap_or_default();
            // What has its hash stored need not be remembered.
            let is_distinct = calculation.operation == Operation::CountDistinct;
            let known_len = |part: &Part<'_>| if is_distinct && part.has_hashes() { 0 } else { len(part) };
            let known = parts.iter().map(|part| vec![None; known_len(part)]).collect();
            let seen = parts.iter().map(|part| SeenCodes::new(len(part))).collect();
            Ok(BoundCalculation { column, cells: Cells::default(), filter, conditions, table, known, seen })
        };
        let weights = if reading.weighted { Some(Weights::bind(segment)?) } else { None };
        Ok(BoundCalculations {
            calculations: calculations.iter().enumerate().map(bind).collect::<Result<_, _>>()?,
            weights,
            hash_key: segment.header().hash_key,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        let of = |c: &BoundCalculation<'a>| {
            c.column.as_ref().map_or(0, BoundColumn::bytes) + c.filter.as_ref().map_or(0, BoundFilters::bytes)
        };
        self.calculations.iter().map(of).sum::<u64>() + self.weights.as_ref().map_or(0, Weights::bytes)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let seen = |c: &BoundCalculation<'a>| c.seen.iter().map(SeenCodes::heap_bytes).sum::<usize>();
        self.calculations.iter().map(seen).sum()
    }

    /// Adds the hashes of the codes that slots have seen.
    pub(crate) fn flush(&mut self, accumulator: &mut Accumulator<'_>) -> Result<(), Error> {
        for (bound, store) in self.calculations.iter_mut().zip(&mut accumulator.stores) {
            let (Some(column), Store::States(states)) = (&mut bound.column, store) else { continue };
            for (part, seen) in column.parts.iter_mut().zip(&mut bound.seen) {
                let codes = seen.codes();
                if codes.is_empty() {
                    continue;
                }
                let mut hashes = vec![0; part.dictionary_len().unwrap_or_default()];
                for (&code, hash) in codes.iter().zip(part.hashes_of(&codes)?) {
                    if let Some(of_code) = hashes.get_mut(code as usize) {
                        *of_code = hash;
                    }
                }
                seen.drain(|slot, code| {
                    let hash = hashes.get(code as usize);
                    if let (Some(&hash), Some(state)) = (hash, states.get_mut(slot as usize)) {
                        state.add_hash(hash, Draw::Certain);
                    }
                });
            }
        }
        Ok(())
    }
}

/// Whether a calculation counts the rows of its group, all of them.
pub(crate) fn is_count_of_rows(calculation: &Calculation) -> bool {
    let plain =
        calculation.filter.is_none() && calculation.related.is_empty() && calculation.derived.is_none();
    calculation.operation == Operation::Count && calculation.column.is_none() && plain
}

impl<'p> Accumulator<'p> {
    pub(crate) fn new(calculations: &'p [Calculation], exact: bool) -> Accumulator<'p> {
        Accumulator {
            calculations,
            stores: Store::of(calculations),
            slots: 0,
            counted_outside: None,
            coercions: vec![Coercions::default(); calculations.len()],
            exact,
            unseen: None,
            heap_bytes: 0,
            rows_since_sum: 0,
        }
    }

    /// Makes sure that there are so many slots, new ones made by `state`.
    pub(crate) fn grow(&mut self, slots: usize, state: impl Fn(usize, &Calculation, bool) -> State) {
        if slots <= self.slots {
            return;
        }
        self.slots = slots;
        for (place, (store, calculation)) in self.stores.iter_mut().zip(self.calculations).enumerate() {
            store.grow(slots, || state(place, calculation, self.exact));
        }
    }

    /// Leaves the count of rows that each stand for themselves to the caller, who gives it to
    /// [`Accumulator::take_counts`] in the end.
    pub(crate) fn count_outside(&mut self, bound: &BoundCalculations<'_>) {
        if bound.weights.as_ref().is_none_or(Weights::are_one) {
            self.counted_outside = self.calculations.iter().position(is_count_of_rows);
        }
    }

    /// Takes the rows of each slot.
    pub(crate) fn take_counts(&mut self, rows: &[u64]) {
        if let Some(place) = self.counted_outside.take() {
            self.set_counts(place, rows);
        }
    }

    /// Makes the rows of each slot what a calculation has counted.
    pub(crate) fn set_counts(&mut self, place: usize, rows: &[u64]) {
        if let Some(store) = self.stores.get_mut(place) {
            *store = Store::Counts(rows.to_vec());
        }
    }

    /// Gives up exact percentiles from now on and for what was gathered.
    pub(crate) fn make_sketches(&mut self) {
        if std::mem::take(&mut self.exact) {
            self.stores.iter_mut().for_each(Store::make_sketches);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.stores.iter().map(Store::memory_bytes).sum::<usize>() + self.heap_bytes
    }

    fn sum_heap(&mut self) {
        self.rows_since_sum = 0;
        self.heap_bytes = self.stores.iter().map(Store::heap_bytes).sum();
    }

    /// The state of a slot.
    pub(crate) fn state(&self, slot: usize, calculation: usize) -> Option<State> {
        Store::state(&self.stores, calculation, slot)
    }

    /// The cell of a slot.
    pub(crate) fn finish(&self, slot: usize, calculation: usize) -> (Cell, Remarks) {
        let (mut cell, remarks) = Store::finish(&self.stores, self.calculations, calculation, slot);
        if let Some(calculation) = self.calculations.get(calculation) {
            Unseen::tell(self.unseen, calculation.operation, &mut cell);
        }
        (cell, remarks)
    }

    /// Whether a COUNT of any of these slots is 0, or that of all of them since there are none.
    pub(crate) fn counts_nothing(&self, slots: std::ops::Range<usize>) -> bool {
        let counts = |(place, calculation): (usize, &Calculation)| {
            calculation.operation == Operation::Count
                && (slots.is_empty()
                    || slots.clone().any(|slot| Store::counts_nothing(&self.stores, place, slot)))
        };
        self.calculations.iter().enumerate().any(counts)
    }

    /// What traces contribute to the cell of a slot, if that is known.
    pub(crate) fn contributions(&self, slot: usize, calculation: usize) -> Option<Contributions> {
        Store::contributions(&self.stores, calculation, slot)
    }

    /// One state for each calculation that has seen what some slots have, in their order.
    pub(crate) fn merged(&self, slots: impl Iterator<Item = usize> + Clone) -> Vec<State> {
        let merged = |calculation| Store::merged(&self.stores, self.calculations, calculation, slots.clone());
        (0..self.calculations.len()).map(merged).collect()
    }

    /// The state that a value of several events goes to.
    pub(crate) fn state_mut(&mut self, slot: usize, calculation: usize) -> Option<&mut State> {
        self.stores.get_mut(calculation)?.state_mut(slot)
    }

    /// Whether any sum of a calculation left 64 bits.
    pub(crate) fn any_overflow(&self, calculation: usize) -> bool {
        self.stores.get(calculation).is_some_and(Store::any_overflow)
    }

    /// Takes over what another has seen later; `slots` has its slots, and ours for them.
    pub(crate) fn absorb(
        &mut self,
        mut other: Accumulator<'_>,
        slots: impl Iterator<Item = (u32, u32)> + Clone,
    ) {
        if !self.exact {
            other.make_sketches();
        }
        for (store, other) in self.stores.iter_mut().zip(&mut other.stores) {
            store.absorb(other, slots.clone());
        }
        for (coercions, more) in self.coercions.iter_mut().zip(&other.coercions) {
            coercions.coerced += more.coerced;
            coercions.left_out += more.left_out;
            coercions.unplaced += more.unplaced;
        }
        self.sum_heap();
    }

    /// Adds a block.
    pub(crate) fn add_block(
        &mut self,
        bound: &mut BoundCalculations<'_>,
        block: &Block<'_>,
        slots: Slots<'_>,
    ) -> Result<(), Error> {
        let BoundCalculations { calculations, weights, hash_key } = bound;
        let draws = match weights {
            Some(weights) => weights.draws(block)?,
            None => BlockDraws::Certain,
        };
        for (place, calculation) in calculations.iter_mut().enumerate() {
            // Its values are known at the end of the pass, or another has the same.
            let own = self.calculations.get(place).is_some_and(|calculation| calculation.derived.is_none());
            if !own
                || self.counted_outside == Some(place)
                || self.stores.get(place).is_none_or(Store::is_shared)
            {
                continue;
            }
            let narrowed = calculation.narrow(block)?;
            let mask = narrowed.as_ref().unwrap_or(block.mask);
            if !mask.is_empty() {
                self.add_calculation(
                    place,
                    calculation,
                    &Block { rows: block.rows, mask },
                    slots,
                    draws,
                    *hash_key,
                )?;
            }
        }
        self.rows_since_sum += block.len();
        // Summing the heap of many states costs as much as adding to each once.
        if self.rows_since_sum > self.slots * self.stores.len() {
            self.sum_heap();
        }
        Ok(())
    }

    fn add_calculation(
        &mut self,
        place: usize,
        bound: &mut BoundCalculation<'_>,
        block: &Block<'_>,
        slots: Slots<'_>,
        draws: BlockDraws<'_>,
        hash_key: HashKey,
    ) -> Result<(), Error> {
        let (Some(calculation), Some(store)) = (self.calculations.get(place), self.stores.get_mut(place))
        else {
            return Ok(());
        };
        let (operation, coercions) = (calculation.operation, &mut self.coercions[place]);
        let plain = matches!(draws, BlockDraws::Certain);
        if let Some(table) = &mut bound.table {
            table.fill(block.rows)?;
        } else if let Some(column) = &mut bound.column {
            column.values(block.rows, &mut bound.cells)?;
            // Of values that all go to one slot nobody needs the places.
            let all_to_one = matches!(slots, Slots::One(_)) && block.mask.is_all();
            if !(plain && all_to_one) {
                column.places(block.rows, &mut bound.cells);
            }
            if bound.cells.shape == Shape::Empty
                || (plain && bound.add_slices(store, block.mask, slots, operation, coercions))
            {
                return Ok(());
            }
            column_as_cells(bound, block)?;
        } else if plain {
            if operation == Operation::Count {
                store.count(block.mask, slots);
            }
            return Ok(());
        }
        let states = store.states();
        for row in block.places() {
            let slot = slots.at(row);
            let draw = draws.of(row);
            let Some(state) = states.get_mut(slot as usize) else { continue };
            if let Some(table) = &bound.table {
                table.for_each(row, |value| {
                    worth_of(Some(value), operation, hash_key).add_to(state, draw, operation, coercions);
                });
                continue;
            }
            bound.worth(row, operation, hash_key)?.add_to(state, draw, operation, coercions);
        }
        Ok(())
    }
}
