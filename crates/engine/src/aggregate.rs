//! Feeds the rows of a block to the states of their slots: a slot is a group, or a group in a bucket of time.

use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_query::aggregate::State;
use skein_query::error::Location;
use skein_query::number::{Number, Type, ValueRef};
use skein_query::plan::{Calculation, Column, Operation, Scope};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::column::{BoundColumn, MISSING};
use crate::filter::{BoundFilters, Mask};
use crate::relation::Relations;
use crate::relation::bound::{BoundConditions, BoundTable};
use crate::scan::{Block, Reading};

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

/// States by slot and calculation.
pub(crate) struct Accumulator<'p> {
    pub(crate) calculations: &'p [Calculation],
    /// Slot `s` has its states from `s` times the number of calculations.
    pub(crate) states: Vec<State>,
    pub(crate) coercions: Vec<Coercions>,
    /// Whether percentiles keep every value.
    exact: bool,
    /// Heap of the states when it was last summed, and states added since.
    heap_bytes: usize,
    rows_since_sum: usize,
}

/// Calculations bound to one segment.
pub(crate) struct BoundCalculations<'a> {
    calculations: Vec<BoundCalculation<'a>>,
    weights: Option<Weights<'a>>,
    hash_key: HashKey,
}

struct BoundCalculation<'a> {
    column: Option<BoundColumn<'a>>,
    filter: Option<BoundFilters<'a>>,
    /// On other events.
    conditions: Option<BoundConditions<'a>>,
    /// Where its values are, when they are those of other events.
    table: Option<BoundTable<'a>>,
    /// Per part with a dictionary: what each code is worth.
    known: Vec<Vec<Option<Worth>>>,
}

/// What a value is worth to its calculation.
#[derive(Clone, Copy, Debug)]
enum Worth {
    Present,
    Hash(u64),
    Number { number: Number, coerced: bool },
    NoNumber,
    Missing,
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
            let known = parts.iter().map(|p| vec![None; p.dictionary_len().unwrap_or_default()]).collect();
            Ok(BoundCalculation { column, filter, conditions, table, known })
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
        let weights = self.weights.as_ref().map_or(0, |weights| weights.column.bytes());
        self.calculations.iter().map(of).sum::<u64>() + weights
    }
}

/// How many events each row stands for.
pub(crate) struct Weights<'a> {
    column: BoundColumn<'a>,
    of_block: Vec<f64>,
}

impl<'a> Weights<'a> {
    pub(crate) fn bind(segment: &'a Segment) -> Result<Weights<'a>, Error> {
        let column = Column::stored("sample_rate", Location::Path(String::new()));
        Ok(Weights { column: BoundColumn::bind(segment, &column)?, of_block: Vec::new() })
    }

    /// The weight of each row of a block.
    pub(crate) fn of_block(&mut self, block: &Block<'_>) -> Result<&[f64], Error> {
        self.column.fill(block.start, block.contexts)?;
        let weight = |(&part, &bits): (&u8, &u64)| {
            let rate = if part == MISSING { 1.0 } else { f64::from_bits(bits) };
            // A rate that is none counts as an event that stands for itself.
            if rate.is_finite() && rate > 0.0 { rate } else { 1.0 }
        };
        self.of_block.clear();
        self.of_block.extend(self.column.part_of.iter().zip(&self.column.bits).map(weight));
        Ok(&self.of_block)
    }
}

impl<'p> Accumulator<'p> {
    pub(crate) fn new(calculations: &'p [Calculation], exact: bool) -> Accumulator<'p> {
        Accumulator {
            calculations,
            states: Vec::new(),
            coercions: vec![Coercions::default(); calculations.len()],
            exact,
            heap_bytes: 0,
            rows_since_sum: 0,
        }
    }

    /// Makes sure that there are so many slots, new ones made by `state`.
    pub(crate) fn grow(&mut self, slots: usize, state: impl Fn(usize, &Calculation, bool) -> State) {
        let exact = self.exact;
        while self.states.len() < slots * self.calculations.len() {
            let new = self.calculations.iter().enumerate().map(|(place, c)| state(place, c, exact));
            self.states.extend(new);
        }
    }

    /// The states of a slot.
    pub(crate) fn slot(&self, slot: usize) -> &[State] {
        let width = self.calculations.len();
        self.states.get(slot * width..(slot + 1) * width).unwrap_or(&[])
    }

    /// Gives up exact percentiles from now on and for what was gathered.
    pub(crate) fn make_sketches(&mut self) {
        if !std::mem::take(&mut self.exact) {
            return;
        }
        self.states.iter_mut().for_each(State::make_sketch);
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.states.capacity() * size_of::<State>() + self.heap_bytes
    }

    /// Adds a block; `slots` has the slot of each row.
    pub(crate) fn add_block(
        &mut self,
        bound: &mut BoundCalculations<'_>,
        block: &Block<'_>,
        slots: &[u32],
    ) -> Result<(), Error> {
        let BoundCalculations { calculations, weights, hash_key } = bound;
        let weights = weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        for (place, calculation) in calculations.iter_mut().enumerate() {
            let narrowed = calculation.narrow(block)?;
            let mask = narrowed.as_ref().unwrap_or(block.mask);
            self.add_calculation(place, calculation, block, mask, slots, weights, *hash_key)?;
        }
        self.rows_since_sum += block.contexts.len();
        // Summing the heap of many states costs as much as adding to each once.
        if self.rows_since_sum > self.states.len() {
            self.rows_since_sum = 0;
            self.heap_bytes = self.states.iter().map(State::heap_bytes).sum();
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename the arguments")]
    fn add_calculation(
        &mut self,
        place: usize,
        bound: &mut BoundCalculation<'_>,
        block: &Block<'_>,
        mask: &Mask,
        slots: &[u32],
        weights: Option<&[f64]>,
        hash_key: HashKey,
    ) -> Result<(), Error> {
        let Some(calculation) = self.calculations.get(place) else { return Ok(()) };
        if calculation.derived.is_some() {
            // Its values are known at the end of the pass.
            return Ok(());
        }
        let (operation, width) = (calculation.operation, self.calculations.len());
        if let Some(table) = &mut bound.table {
            table.fill(block.start, block.contexts)?;
        }
        if let Some(column) = &mut bound.column {
            column.fill(block.start, block.contexts)?;
        }
        for row in mask.iter().enumerate().filter(|(_, keep)| **keep).map(|(row, _)| row) {
            let slot = slots[row];
            if slot == NO_SLOT {
                continue;
            }
            let weight = weights.map_or(1.0, |weights| weights[row]);
            let Some(state) = self.states.get_mut(slot as usize * width + place) else { continue };
            let coercions = &mut self.coercions[place];
            if let Some(table) = &bound.table {
                table.for_each(row, |value| {
                    worth_of(Some(value), operation, hash_key).add_to(state, weight, operation, coercions);
                });
                continue;
            }
            bound.worth(row, operation, hash_key)?.add_to(state, weight, operation, coercions);
        }
        Ok(())
    }
}

impl Worth {
    fn add_to(self, state: &mut State, weight: f64, operation: Operation, coercions: &mut Coercions) {
        match self {
            Worth::Missing => {}
            Worth::Present => state.add_event(weight),
            Worth::Hash(hash) => state.add_hash(hash, weight),
            Worth::NoNumber => coercions.left_out += 1,
            Worth::Number { number, coerced } => {
                coercions.coerced += u64::from(coerced);
                if operation == Operation::Heatmap && !number.to_f64().is_finite() {
                    coercions.unplaced += 1;
                }
                state.add_number(number, weight);
            }
        }
    }
}

impl BoundCalculation<'_> {
    /// The rows that pass the calculation's own filter; `None` without one.
    fn narrow(&mut self, block: &Block<'_>) -> Result<Option<Mask>, Error> {
        if self.filter.is_none() && self.conditions.is_none() {
            return Ok(None);
        }
        let mut mask = block.mask.clone();
        if let Some(filter) = &mut self.filter {
            filter.apply(block.start, block.contexts, &mut mask)?;
        }
        if let Some(conditions) = &mut self.conditions {
            conditions.apply(block.start, block.contexts, &mut mask)?;
        }
        Ok(Some(mask))
    }

    fn worth(&mut self, row: usize, operation: Operation, hash_key: HashKey) -> Result<Worth, Error> {
        let Some(column) = &mut self.column else { return Ok(Worth::Present) };
        let number = column.part_of[row];
        if number == MISSING {
            return Ok(Worth::Missing);
        }
        if operation == Operation::Count {
            return Ok(Worth::Present);
        }
        let bits = column.bits[row];
        let part = &mut column.parts[usize::from(number)];
        let known = &mut self.known[usize::from(number)];
        let slot = usize::try_from(bits).ok().and_then(|code| known.get_mut(code));
        if let Some(Some(worth)) = slot {
            return Ok(*worth);
        }
        let hash = if operation == Operation::CountDistinct { part.stored_hash(bits)? } else { None };
        let worth = match hash {
            Some(hash) => Worth::Hash(hash),
            None => part.with_value(bits, |value| worth_of(value, operation, hash_key))?,
        };
        if let Some(slot) = slot {
            *slot = Some(worth);
        }
        Ok(worth)
    }
}

fn worth_of(value: Option<ValueRef<'_>>, operation: Operation, hash_key: HashKey) -> Worth {
    let Some(value) = value else { return Worth::Missing };
    match operation {
        Operation::Count => Worth::Present,
        Operation::CountDistinct => Worth::Hash(hash_key.hash(value.canonical_text().as_bytes())),
        _ => match value.number() {
            Some(number) => Worth::Number { number, coerced: value.value_type() == Type::Text },
            None => Worth::NoNumber,
        },
    }
}
