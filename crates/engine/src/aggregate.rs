//! Feeds the rows of a block to the states of their slots: a slot is a group, or a group in a bucket of time.

use skein_event::hash::HashKey;
use skein_query::aggregate::{EXACT_ROWS_MAX, State};
use skein_query::error::Location;
use skein_query::number::{Number, Type, ValueRef};
use skein_query::plan::{Calculation, Column, GroupPlan, Operation};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::column::{BoundColumn, MISSING, Part};
use crate::filter::{BoundFilters, Mask};
use crate::group::{BoundBreakdowns, Groups};
use crate::scan::{Block, BlockError, Sink};

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
    weighted: bool,
    /// Heap of the states when it was last summed, and states added since.
    heap_bytes: usize,
    rows_since_sum: usize,
}

/// Calculations bound to one segment.
pub(crate) struct BoundCalculations<'a> {
    calculations: Vec<BoundCalculation<'a>>,
    weight: Option<BoundColumn<'a>>,
    hash_key: HashKey,
}

struct BoundCalculation<'a> {
    column: Option<BoundColumn<'a>>,
    filter: Option<BoundFilters<'a>>,
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
        weighted: bool,
    ) -> Result<BoundCalculations<'a>, Error> {
        let bind = |calculation: &Calculation| -> Result<BoundCalculation<'a>, Error> {
            let column = calculation.column.as_ref().map(|column| BoundColumn::bind(segment, column));
            let filter = calculation.filter.as_ref().map(|filter| BoundFilters::bind(segment, filter));
            let (column, filter) = (column.transpose()?, filter.transpose()?);
            let parts = column.as_ref().map_or(&[][..], |column| &column.parts);
            let known = parts.iter().map(|p| vec![None; p.dictionary_len().unwrap_or_default()]).collect();
            Ok(BoundCalculation { column, filter, known })
        };
        let weight_column = Column::stored("sample_rate", Location::Path(String::new()));
        let weight = if weighted { Some(BoundColumn::bind(segment, &weight_column)?) } else { None };
        Ok(BoundCalculations {
            calculations: calculations.iter().map(bind).collect::<Result<_, _>>()?,
            weight: weight.filter(|column| !column.parts.is_empty()),
            hash_key: segment.header().hash_key,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        let of = |c: &BoundCalculation<'a>| {
            c.column.as_ref().map_or(0, BoundColumn::bytes) + c.filter.as_ref().map_or(0, BoundFilters::bytes)
        };
        self.calculations.iter().map(of).sum::<u64>() + self.weight.as_ref().map_or(0, BoundColumn::bytes)
    }

    /// The weight of each row of a block.
    fn weights(&mut self, block: &Block<'_>) -> Option<Vec<f64>> {
        let column = self.weight.as_mut()?;
        column.fill(block.start, block.contexts);
        let weight = |(&part, &bits): (&u8, &u64)| {
            let rate = if part == MISSING { 1.0 } else { f64::from_bits(bits) };
            // A rate that is none counts as an event that stands for itself.
            if rate.is_finite() && rate > 0.0 { rate } else { 1.0 }
        };
        Some(column.part_of.iter().zip(&column.bits).map(weight).collect())
    }
}

impl<'p> Accumulator<'p> {
    pub(crate) fn new(calculations: &'p [Calculation], exact: bool, weighted: bool) -> Accumulator<'p> {
        Accumulator {
            calculations,
            states: Vec::new(),
            coercions: vec![Coercions::default(); calculations.len()],
            exact,
            weighted,
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
    fn make_sketches(&mut self) {
        self.exact = false;
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
        let weights = if self.weighted { bound.weights(block) } else { None };
        let hash_key = bound.hash_key;
        for (place, calculation) in bound.calculations.iter_mut().enumerate() {
            let narrowed = calculation.narrow(block)?;
            let mask = narrowed.as_ref().unwrap_or(block.mask);
            self.add_calculation(place, calculation, block, mask, slots, weights.as_deref(), hash_key)?;
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
        let (operation, width) = (calculation.operation, self.calculations.len());
        if let Some(column) = &mut bound.column {
            column.fill(block.start, block.contexts);
        }
        for row in mask.iter().enumerate().filter(|(_, keep)| **keep).map(|(row, _)| row) {
            let slot = slots[row];
            if slot == NO_SLOT {
                continue;
            }
            let worth = bound.worth(row, operation, hash_key)?;
            let weight = weights.map_or(1.0, |weights| weights[row]);
            let Some(state) = self.states.get_mut(slot as usize * width + place) else { continue };
            match worth {
                Worth::Missing => {}
                Worth::Present => state.add_event(weight),
                Worth::Hash(hash) => state.add_hash(hash, weight),
                Worth::NoNumber => self.coercions[place].left_out += 1,
                Worth::Number { number, coerced } => {
                    self.coercions[place].coerced += u64::from(coerced);
                    if operation == Operation::Heatmap && !number.to_f64().is_finite() {
                        self.coercions[place].unplaced += 1;
                    }
                    state.add_number(number, weight);
                }
            }
        }
        Ok(())
    }
}

impl BoundCalculation<'_> {
    /// The rows that pass the calculation's own filter; `None` without one.
    fn narrow(&mut self, block: &Block<'_>) -> Result<Option<Mask>, Error> {
        let Some(filter) = &mut self.filter else { return Ok(None) };
        let mut mask = block.mask.clone();
        filter.apply(block.start, block.contexts, &mut mask)?;
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
        let worth = worth_of(part, bits, operation, hash_key)?;
        if let Some(slot) = slot {
            *slot = Some(worth);
        }
        Ok(worth)
    }
}

fn worth_of(part: &mut Part<'_>, bits: u64, operation: Operation, hash_key: HashKey) -> Result<Worth, Error> {
    if operation == Operation::CountDistinct {
        if let Some(hash) = part.stored_hash(bits)? {
            return Ok(Worth::Hash(hash));
        }
        let hash = |value: ValueRef<'_>| Worth::Hash(hash_key.hash(value.canonical_text().as_bytes()));
        return part.with_value(bits, |value| value.map_or(Worth::Missing, hash));
    }
    part.with_value(bits, |value| match value {
        None => Worth::Missing,
        Some(value) => match value.number() {
            Some(number) => Worth::Number { number, coerced: value.value_type() == Type::Text },
            None => Worth::NoNumber,
        },
    })
}

// === impl FirstPass ===

/// The first pass over the rows: every group, all of time.
pub(crate) struct FirstPass<'p> {
    plan: &'p GroupPlan,
    pub(crate) groups: Groups,
    pub(crate) accumulator: Accumulator<'p>,
    matched: u64,
    slots: Vec<u32>,
}

impl<'p> FirstPass<'p> {
    pub(crate) fn new(plan: &'p GroupPlan, weighted: bool) -> FirstPass<'p> {
        let mut pass = FirstPass {
            plan,
            groups: Groups::new(plan.breakdowns.len()),
            accumulator: Accumulator::new(&plan.calculations, true, weighted),
            matched: 0,
            slots: Vec::new(),
        };
        pass.accumulator.grow(pass.groups.len(), |_, c, exact| State::new(c.operation, exact));
        pass
    }
}

impl Sink for FirstPass<'_> {
    type Bound<'s> = (BoundBreakdowns<'s>, BoundCalculations<'s>);

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(Self::Bound<'s>, u64), Error> {
        let breakdowns = BoundBreakdowns::bind(segment, &self.plan.breakdowns)?;
        let weighted = self.accumulator.weighted;
        let calculations = BoundCalculations::bind(segment, &self.plan.calculations, weighted)?;
        let bytes = breakdowns.bytes() + calculations.bytes();
        Ok(((breakdowns, calculations), bytes))
    }

    fn block(&mut self, bound: &mut Self::Bound<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        self.matched += block.places().count() as u64;
        if self.matched >= EXACT_ROWS_MAX && self.accumulator.exact {
            self.accumulator.make_sketches();
        }
        let mut slots = std::mem::take(&mut self.slots);
        self.groups.of_block(&mut bound.0, block, true, &mut slots)?;
        self.accumulator.grow(self.groups.len(), |_, c, exact| State::new(c.operation, exact));
        self.accumulator.add_block(&mut bound.1, block, &slots)?;
        self.slots = slots;
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.groups.heap_bytes() + self.accumulator.memory_bytes()
    }
}
