//! Some columns of a whole trace, for its analysis: what a million spans are drawn from.
//!
//! Read block by block in the encoded form, without an object per event: text becomes numbers as it is read, and
//! each text is looked at once per segment. The rows of a trace are found through the index of ids; of a block
//! without any nothing is decoded.

use skein_event::columns::Fixed;
use skein_event::ids::{Environment, EventId};
use skein_event::limits::TRACE_EVENT_BYTES;
use skein_query::error::Location;
use skein_query::number::Number;
use skein_query::plan::Column;
use skein_query::result::{Meta, SegmentCounts};
use skein_query::trace_columns::{NO_TEXT, Texts, TraceColumn, TraceColumns, TraceForm};
use skein_query::{QueryError, RunContext};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::{BLOCK_ROWS, BoundColumn, MISSING, Part};
use crate::scan::Failure;
use crate::snapshot::SnapshotView;

/// A code that was not looked up yet.
const UNKNOWN: u32 = u32::MAX - 1;

/// Reads some columns of a trace.
pub(crate) fn trace(
    view: &SnapshotView,
    excluded: &[usize],
    (environment, trace_id): (&Environment, [u8; 16]),
    columns: &[(&str, TraceForm)],
    context: &RunContext<'_>,
) -> Result<TraceColumns, Failure> {
    let mut gathered = Gathered::new(columns);
    let mut segments = SegmentCounts { considered: view.segments.len() as u64, ..SegmentCounts::default() };
    for place in view.segments.of_trace(environment, &trace_id) {
        let Some(handle) = view.segments.get(place).filter(|_| !excluded.contains(&place)) else { continue };
        let failed = |error| Failure::Segment(place, error);
        let segment = handle.open().map_err(failed)?;
        let rows = segment.rows_of_trace(&trace_id).map_err(failed)?;
        if rows.is_empty() {
            continue;
        }
        segments.scanned += 1;
        let mut reading = gathered.of_segment(&segment, columns).map_err(failed)?;
        for block in rows.chunk_by(|a, b| a / BLOCK_ROWS == b / BLOCK_ROWS) {
            context.check()?;
            reading.block(block).map_err(failed)?;
            let bytes = reading.gathered.bytes();
            if bytes > context.memory_bytes_max {
                let message = format!("the trace has more than {} events", reading.gathered.times.len());
                return Err(QueryError::limit(message)
                    .hint("query its rows with a filter on trace.trace_id, or allow queries more memory")
                    .into());
            }
        }
    }
    segments.pruned = segments.considered.saturating_sub(segments.scanned + excluded.len() as u64);
    let scanned = gathered.times.len() as u64;
    let meta = Meta {
        rows_scanned: scanned,
        rows_matched: scanned,
        segments,
        complete_to_ns: view.complete_to_ns,
        snapshot: view.name.clone(),
        ..Meta::default()
    };
    Ok(gathered.finish(meta))
}

/// Of some rows of a segment those that are a span or belong to it.
pub(crate) fn rows_of_span(segment: &Segment, rows: &[u32], span_id: [u8; 8]) -> Result<Vec<u32>, Error> {
    let wanted = [
        (Fixed::SpanId.name(), TraceForm::SpanId),
        (Fixed::ParentId.name(), TraceForm::SpanId),
        (Fixed::AnnotationType.name(), TraceForm::Text),
    ];
    let mut gathered = Gathered::new(&wanted);
    let mut reading = gathered.of_segment(segment, &wanted)?;
    let mut found = Vec::new();
    for block in rows.chunk_by(|a, b| a / BLOCK_ROWS == b / BLOCK_ROWS) {
        found.extend(reading.block(block)?);
    }
    let id = u64::from_be_bytes(span_id);
    let [Gathering::SpanId(spans), Gathering::SpanId(parents), Gathering::Text(annotations)] =
        &gathered.columns[..]
    else {
        return Ok(Vec::new());
    };
    let owners = spans.iter().zip(parents).zip(&annotations.codes);
    let owner = |((span, parent), code): ((&u64, &u64), &u32)| if *code == NO_TEXT { *span } else { *parent };
    Ok(found
        .into_iter()
        .zip(owners.map(owner))
        .filter(|(_, owner)| *owner == id)
        .map(|(row, _)| row)
        .collect())
}

/// A column under way.
enum Gathering {
    Text(Texts),
    Number(Vec<f64>),
    SpanId(Vec<u64>),
}

/// The number of a part's value. `names` has those of its dictionary that were asked for before.
fn code_of(texts: &mut Texts, part: &mut Part<'_>, bits: u64, names: &mut [u32]) -> Result<u32, Error> {
    let name = usize::try_from(bits).ok().and_then(|code| names.get_mut(code));
    match name.as_deref() {
        Some(&known) if known != UNKNOWN => return Ok(known),
        _ => {}
    }
    let code =
        part.with_value(bits, |value| value.map_or(NO_TEXT, |value| texts.code(&value.canonical_text())))?;
    if let Some(name) = name {
        *name = code;
    }
    Ok(code)
}

struct Gathered {
    times: Vec<i64>,
    ids: Vec<EventId>,
    columns: Vec<Gathering>,
}

impl Gathered {
    fn new(columns: &[(&str, TraceForm)]) -> Gathered {
        let gathering = |(_, form): &(&str, TraceForm)| match form {
            TraceForm::Text => Gathering::Text(Texts::default()),
            TraceForm::Number => Gathering::Number(Vec::new()),
            TraceForm::SpanId => Gathering::SpanId(Vec::new()),
        };
        Gathered { times: Vec::new(), ids: Vec::new(), columns: columns.iter().map(gathering).collect() }
    }

    fn of_segment<'s>(
        &'s mut self,
        segment: &'s Segment,
        columns: &[(&str, TraceForm)],
    ) -> Result<Reading<'s>, Error> {
        let bind = |(name, _): &(&str, TraceForm)| {
            BoundColumn::bind(segment, &Column::stored(name, Location::Path(String::new())))
        };
        let bound = columns.iter().map(bind).collect::<Result<Vec<_>, Error>>()?;
        let codes = |column: &BoundColumn<'_>| {
            let of_part = |part: &Part<'_>| vec![UNKNOWN; part.dictionary_len().unwrap_or_default()];
            column.parts.iter().map(of_part).collect()
        };
        let names = bound.iter().map(codes).collect();
        Ok(Reading { segment, reader: BlockReader::open(segment)?, bound, names, gathered: self })
    }

    /// What is held, and what an analysis of it will need beside.
    fn bytes(&self) -> usize {
        let of_column = |column: &Gathering| match column {
            Gathering::Text(texts) => self.times.len() * 4 + texts.bytes(),
            Gathering::Number(_) | Gathering::SpanId(_) => self.times.len() * 8,
        };
        let columns: usize = self.columns.iter().map(of_column).sum();
        self.times.len() * (size_of::<i64>() + size_of::<EventId>() + TRACE_EVENT_BYTES) + columns
    }

    /// The columns in order of time.
    fn finish(self, meta: Meta) -> TraceColumns {
        let mut order: Vec<(i64, EventId, usize)> =
            self.times.iter().zip(&self.ids).zip(0..).map(|((&time, &id), row)| (time, id, row)).collect();
        order.sort_unstable();
        let codes_of = |codes: Vec<u32>| order.iter().map(|&(.., row)| codes[row]).collect();
        let columns = self.columns.into_iter().map(|column| match column {
            Gathering::Text(Texts { codes, texts, .. }) => {
                TraceColumn::Text { codes: codes_of(codes), texts }
            }
            Gathering::Number(values) => {
                TraceColumn::Number(order.iter().map(|&(.., row)| values[row]).collect())
            }
            Gathering::SpanId(ids) => TraceColumn::SpanId(order.iter().map(|&(.., row)| ids[row]).collect()),
        });
        TraceColumns {
            columns: columns.collect(),
            times_ns: order.iter().map(|&(time, ..)| time).collect(),
            event_ids: order.iter().map(|&(_, id, _)| id).collect(),
            complete_to_ns: meta.complete_to_ns,
            meta,
        }
    }
}

/// The columns bound to a segment.
struct Reading<'s> {
    segment: &'s Segment,
    reader: BlockReader<'s>,
    bound: Vec<BoundColumn<'s>>,
    /// Of each column and part with a dictionary: what its codes are called here.
    names: Vec<Vec<Vec<u32>>>,
    gathered: &'s mut Gathered,
}

impl Reading<'_> {
    /// Adds rows of one block; returns those that may be seen.
    fn block(&mut self, rows: &[u32]) -> Result<Vec<u32>, Error> {
        let Some(start) = rows.first().map(|row| row - row % BLOCK_ROWS) else { return Ok(Vec::new()) };
        self.reader.read(start);
        let mut visible = vec![true; self.reader.len()];
        self.segment.hide_erased(start, &mut visible);
        let place = |row: u32| (row - start) as usize;
        let rows: Vec<u32> =
            rows.iter().copied().filter(|&row| visible.get(place(row)) == Some(&true)).collect();
        let Gathered { times, ids, columns } = &mut *self.gathered;
        times.extend(rows.iter().map(|&row| self.reader.times()[place(row)]));
        ids.extend(self.segment.event_ids(&rows)?);
        for ((bound, names), gathering) in self.bound.iter_mut().zip(&mut self.names).zip(columns) {
            bound.fill(&self.reader)?;
            for &row in &rows {
                let (number, bits) = (bound.part_of[place(row)], bound.bits[place(row)]);
                let number = usize::from(number);
                let part = bound.parts.get_mut(number).filter(|_| number != usize::from(MISSING));
                match (&mut *gathering, part) {
                    (Gathering::SpanId(ids), part) => ids.push(part.map_or(0, |_| bits)),
                    (Gathering::Number(values), None) => values.push(f64::NAN),
                    (Gathering::Number(values), Some(part)) => {
                        values.push(part.number(bits)?.map_or(f64::NAN, Number::to_f64));
                    }
                    (Gathering::Text(texts), None) => texts.codes.push(NO_TEXT),
                    (Gathering::Text(texts), Some(part)) => {
                        let names = names.get_mut(number).map(Vec::as_mut_slice).unwrap_or_default();
                        let code = code_of(texts, part, bits, names)?;
                        texts.codes.push(code);
                    }
                }
            }
        }
        Ok(rows)
    }
}
