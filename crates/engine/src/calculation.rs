//! One calculation bound to a segment: what its values are worth.

use skein_event::hash::HashKey;
use skein_query::aggregate::{Draw, State};
use skein_query::number::{Number, Type, ValueRef};
use skein_query::plan::Operation;
use skein_store::Error;

use crate::aggregate::{Coercions, NO_SLOT};
use crate::block::Block;
use crate::column::cells::{Cells, Lane, Shape};
use crate::column::{BoundColumn, MISSING};
use crate::distinct::SeenCodes;
use crate::filter::BoundFilters;
use crate::flat;
use crate::local::Slots;
use crate::mask::Mask;
use crate::relation::bound::{BoundConditions, BoundTable};
use crate::stores::{Store, feed};

/// A calculation bound to one segment.
pub(crate) struct BoundCalculation<'a> {
    pub(crate) column: Option<BoundColumn<'a>>,
    pub(crate) cells: Cells,
    pub(crate) filter: Option<BoundFilters<'a>>,
    /// On other events.
    pub(crate) conditions: Option<BoundConditions<'a>>,
    /// Where its values are, when they are those of other events.
    pub(crate) table: Option<BoundTable<'a>>,
    /// Per part with a dictionary: what each code is worth.
    pub(crate) known: Vec<Vec<Option<Worth>>>,
    /// Per part: the codes that slots have seen.
    pub(crate) seen: Vec<SeenCodes>,
}

/// What a value is worth to its calculation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worth {
    Present,
    Hash(u64),
    Number { number: Number, coerced: bool },
    NoNumber,
    Missing,
}

/// Makes sure that a row's value is found by its place.
pub(crate) fn column_as_cells(bound: &mut BoundCalculation<'_>, block: &Block<'_>) -> Result<(), Error> {
    match &mut bound.column {
        Some(column) if bound.cells.shape != Shape::Mixed => column.fill(block.rows),
        _ => Ok(()),
    }
}

impl Worth {
    pub(crate) fn add_to(
        self,
        state: &mut State,
        draw: Draw,
        operation: Operation,
        coercions: &mut Coercions,
    ) {
        match self {
            Worth::Missing => {}
            Worth::Present => state.add_event(draw),
            Worth::Hash(hash) => state.add_hash(hash, draw),
            Worth::NoNumber => coercions.left_out += 1,
            Worth::Number { number, coerced } => {
                coercions.coerced += u64::from(coerced);
                if operation == Operation::Heatmap && !number.to_f64().is_finite() {
                    coercions.unplaced += 1;
                }
                state.add_number(number, draw);
            }
        }
    }
}

impl BoundCalculation<'_> {
    /// The rows that pass the calculation's own filter; `None` without one.
    pub(crate) fn narrow(&mut self, block: &Block<'_>) -> Result<Option<Mask>, Error> {
        if self.filter.is_none() && self.conditions.is_none() {
            return Ok(None);
        }
        let mut mask = block.mask.clone();
        if let Some(filter) = &mut self.filter {
            filter.apply(block.rows, &mut mask)?;
        }
        if let Some(conditions) = &mut self.conditions {
            conditions.apply(block.rows, &mut mask)?;
        }
        Ok(Some(mask))
    }

    /// Adds values that come as slices and stand for themselves; false when they must go row by row.
    pub(crate) fn add_slices(
        &mut self,
        store: &mut Store,
        mask: &Mask,
        slots: Slots<'_>,
        operation: Operation,
        coercions: &mut Coercions,
    ) -> bool {
        let cells = &self.cells;
        let number = match cells.shape {
            Shape::Dense(number) | Shape::Sparse(number) | Shape::Constant(number, _) => usize::from(number),
            Shape::Empty | Shape::Mixed => return false,
        };
        let Some(part) = self.column.as_ref().and_then(|column| column.parts.get(number)) else {
            return false;
        };
        match operation {
            Operation::Count => {
                if let (Shape::Sparse(_), Slots::One(slot), true) = (cells.shape, slots, mask.is_all()) {
                    store.count_rows(cells.len(), slot);
                } else if let Shape::Sparse(_) = cells.shape {
                    let mut present = Mask::none(mask.len());
                    cells.places.iter().for_each(|&place| present.add(usize::from(place)));
                    present.keep(mask);
                    store.count(&present, slots);
                } else {
                    store.count(mask, slots);
                }
                true
            }
            Operation::CountDistinct => {
                let seen = self.seen.get_mut(number).filter(|_| part.has_hashes());
                seen.is_some_and(|seen| add_codes(cells, mask, slots, seen))
            }
            _ if !part.is_numeric() || matches!(cells.shape, Shape::Constant(..)) => false,
            _ => {
                let milliseconds = part.is_milliseconds();
                let states = store.states();
                match cells.lane {
                    Lane::Integers if milliseconds => {
                        let number = |value| Number::F64(flat::milliseconds(value));
                        add_numbers(cells, &cells.integers, mask, slots, states, number);
                    }
                    Lane::Integers => add_numbers(cells, &cells.integers, mask, slots, states, Number::I64),
                    Lane::Doubles => {
                        if operation == Operation::Heatmap {
                            coercions.unplaced += count_unplaced(cells, mask, slots);
                        }
                        add_numbers(cells, &cells.doubles, mask, slots, states, Number::F64);
                    }
                    Lane::Codes => return false,
                }
                true
            }
        }
    }

    pub(crate) fn worth(
        &mut self,
        row: usize,
        operation: Operation,
        hash_key: HashKey,
    ) -> Result<Worth, Error> {
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

/// Notes the codes that slots have seen; false when the values are no codes.
fn add_codes(cells: &Cells, mask: &Mask, slots: Slots<'_>, seen: &mut SeenCodes) -> bool {
    match (cells.shape, cells.lane, slots) {
        (Shape::Constant(_, bits), _, slots) => {
            let code = u32::try_from(bits).unwrap_or(u32::MAX);
            match slots {
                Slots::One(slot) => seen.add(slot, code),
                Slots::Each(slots) => mask.for_each(|place| seen.add(slots[place], code)),
            }
        }
        (_, Lane::Codes, Slots::One(slot)) if mask.is_all() => {
            cells.codes.iter().for_each(|&code| seen.add(slot, code));
        }
        (_, Lane::Codes, slots) => feed(cells, &cells.codes, mask, |place, code| {
            let slot = slots.at(place);
            if slot != NO_SLOT {
                seen.add(slot, code);
            }
        }),
        _ => return false,
    }
    true
}

/// NaN and infinities, which a HEATMAP has no place for.
fn count_unplaced(cells: &Cells, mask: &Mask, slots: Slots<'_>) -> u64 {
    if mask.is_all() && matches!(slots, Slots::One(_)) {
        return cells.doubles.iter().filter(|value| !value.is_finite()).count() as u64;
    }
    let mut unplaced = 0;
    feed(cells, &cells.doubles, mask, |place, value: f64| {
        unplaced += u64::from(!value.is_finite() && slots.at(place) != NO_SLOT);
    });
    unplaced
}

/// Adds numbers to the states of their slots.
#[inline(always)]
fn add_numbers<V: Copy>(
    cells: &Cells,
    values: &[V],
    mask: &Mask,
    slots: Slots<'_>,
    states: &mut [State],
    number: impl Fn(V) -> Number,
) {
    match slots {
        Slots::One(slot) => {
            let Some(state) = states.get_mut(slot as usize) else { return };
            if mask.is_all() {
                state.add_each(values.iter().map(|&value| number(value)));
            } else {
                feed(cells, values, mask, |_, value| state.add_plain(number(value)));
            }
        }
        Slots::Each(slots) => feed(cells, values, mask, |place, value| {
            if let Some(state) = slots.get(place).and_then(|&slot| states.get_mut(slot as usize)) {
                state.add_plain(number(value));
            }
        }),
    }
}

pub(crate) fn worth_of(value: Option<ValueRef<'_>>, operation: Operation, hash_key: HashKey) -> Worth {
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
