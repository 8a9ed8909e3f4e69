//! A program bound to one segment: the columns that it reads, and its results for a row.

use std::collections::HashMap;

use skein_event::limits::CALCULATED_TEXTS_KEPT_BYTES_MAX;
use skein_query::error::Location;
use skein_query::insights::{Code, Datum, Input};
use skein_query::names::Reference;
use skein_query::plan::Column;
use skein_query::render;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::{BoundColumn, MISSING};
use crate::flat::flat_rows;

/// A program and the columns that it reads.
pub(crate) struct BoundCode<'a> {
    code: Code,
    inputs: Vec<BoundInput<'a>>,
    segment: &'a Segment,
    values: Vec<Datum>,
    done: Vec<Datum>,
}

struct BoundInput<'a> {
    column: BoundColumn<'a>,
    is_time: bool,
    /// The whole event stands for a missing value; those of the block at hand, by place.
    events: Option<HashMap<usize, Datum>>,
    /// By part and code: the values that were read already.
    read: Vec<Vec<Option<Datum>>>,
    read_bytes: usize,
}

impl<'a> BoundCode<'a> {
    pub(crate) fn bind(segment: &'a Segment, code: &Code) -> Result<BoundCode<'a>, Error> {
        let inputs = code.inputs().iter().map(|input| BoundInput::bind(segment, input));
        let inputs = inputs.collect::<Result<_, Error>>()?;
        Ok(BoundCode { code: code.clone(), inputs, segment, values: Vec::new(), done: Vec::new() })
    }

    /// Encoded bytes of the columns it reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.column.bytes()).sum()
    }

    /// Gets ready for the rows at some places of a block.
    pub(crate) fn fill(&mut self, at: &BlockReader<'_>, places: &[usize]) -> Result<(), Error> {
        for input in &mut self.inputs {
            input.shorten();
            input.column.fill(at)?;
            let BoundInput { column, events: Some(events), .. } = input else { continue };
            events.clear();
            let missing = |place: &&usize| column.part_of.get(**place).is_none_or(|part| *part == MISSING);
            let places: Vec<usize> = places.iter().filter(missing).copied().collect();
            let rows: Vec<u32> =
                places.iter().map(|place| at.start() + u32::try_from(*place).unwrap_or_default()).collect();
            if !rows.is_empty() {
                let rows = flat_rows(&self.segment.gather_values(&rows)?);
                let texts = rows.iter().map(|row| Datum::from(render::row(row).to_string()));
                events.extend(places.into_iter().zip(texts));
            }
        }
        Ok(())
    }

    /// Computes the results for the row at a place.
    pub(crate) fn run(&mut self, place: usize) -> Result<(), Error> {
        self.values.clear();
        for input in &mut self.inputs {
            self.values.push(input.value(place)?);
        }
        self.code.run(&self.values, &mut self.done);
        Ok(())
    }

    /// A result of the last row.
    pub(crate) fn output(&self, place: usize) -> &Datum {
        self.code.output(place, &self.done)
    }

    pub(crate) fn outputs(&self) -> impl Iterator<Item = &Datum> {
        (0..self.code.outputs()).map(|place| self.output(place))
    }
}

impl<'a> BoundInput<'a> {
    fn bind(segment: &'a Segment, input: &Input) -> Result<BoundInput<'a>, Error> {
        let stored = |name: &str| Column::stored(name, Location::Path(String::new()));
        let (column, is_time) = match input {
            Input::Column(column) => (column.clone(), false),
            Input::EventTime => (stored("timestamp"), true),
            Input::IngestTime => (stored("meta.ingest_time"), true),
            // Stages fill slots; events have none.
            Input::Slot(_) => (Column { references: Vec::new(), ..stored("") }, false),
        };
        // The whole event is put together for many rows at once.
        let (events, references): (Vec<Reference>, Vec<Reference>) =
            column.references.iter().cloned().partition(|reference| *reference == Reference::Event);
        let column = BoundColumn::bind(segment, &Column { references, ..column })?;
        let read = column.parts.iter().map(|part| vec![None; part.dictionary_len().unwrap_or_default()]);
        let events = (!events.is_empty()).then(HashMap::new);
        Ok(BoundInput { is_time, events, read: read.collect(), read_bytes: 0, column })
    }

    fn value(&mut self, place: usize) -> Result<Datum, Error> {
        let number = self.column.part_of.get(place).copied().unwrap_or(MISSING);
        if number == MISSING {
            let event = self.events.as_ref().and_then(|events| events.get(&place));
            return Ok(event.cloned().unwrap_or(Datum::Missing));
        }
        let bits = self.column.bits[place];
        if self.is_time {
            return Ok(Datum::Time(bits.cast_signed()));
        }
        let part = &mut self.column.parts[usize::from(number)];
        let read = self.read.get_mut(usize::from(number));
        let slot = read.and_then(|read| read.get_mut(usize::try_from(bits).ok()?));
        if let Some(Some(value)) = &slot {
            return Ok(value.clone());
        }
        let value = part.with_value(bits, |value| value.map_or(Datum::Missing, Datum::from))?;
        if let Some(slot) = slot {
            self.read_bytes += value.heap_bytes() + 16;
            *slot = Some(value.clone());
        }
        Ok(value)
    }

    fn shorten(&mut self) {
        if self.read_bytes > CALCULATED_TEXTS_KEPT_BYTES_MAX {
            self.read.iter_mut().for_each(|part| part.fill(None));
            self.read_bytes = 0;
        }
    }
}
