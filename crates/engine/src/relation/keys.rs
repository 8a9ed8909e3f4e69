//! By which ids the rows of a segment are related: their trace, their own span, the span above them.

use skein_event::columns::Fixed;
use skein_query::error::Location;
use skein_query::plan::{Column, Filter, FilterSet, Literal, Test};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::{BoundColumn, MISSING};
use crate::filter::BoundFilters;
use crate::mask::Mask;
use crate::relation::ids::NO_TRACE;

/// Which ids are needed beside the trace's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) span: bool,
    pub(crate) parent: bool,
}

/// A code whose trace was not looked up yet.
const UNKNOWN: u32 = u32::MAX - 1;

/// The ids of the rows of a block, bound to one segment.
pub(crate) struct RowKeys<'a> {
    trace: BoundColumn<'a>,
    span_id: BoundColumn<'a>,
    parent_id: BoundColumn<'a>,
    is_span: Option<BoundFilters<'a>>,
    is_log: Option<BoundFilters<'a>>,
    /// Number of a trace by its code.
    numbers: Vec<u32>,
    /// For each row of the block: the number of its trace, or [`NO_TRACE`].
    pub(crate) traces: Vec<u32>,
    /// Its span id, when it is a span.
    pub(crate) spans: Vec<Option<u64>>,
    /// The span id of what it belongs to.
    pub(crate) parents: Vec<Option<u64>>,
    filled_for: Option<u32>,
}

fn filter(fixed: Fixed, test: Test) -> Filter {
    Filter { column: Column::stored(fixed.name(), Location::Path(String::new())), test }
}

fn all(filters: Vec<Filter>) -> FilterSet {
    FilterSet { filters, ..FilterSet::default() }
}

impl<'a> RowKeys<'a> {
    pub(crate) fn bind(segment: &'a Segment, wanted: Wanted) -> Result<RowKeys<'a>, Error> {
        let column = |fixed: Fixed| {
            BoundColumn::bind(segment, &Column::stored(fixed.name(), Location::Path(String::new())))
        };
        let signals = |names: &[&str]| names.iter().map(|name| Literal::Text((*name).to_owned())).collect();
        let spans = all(vec![
            filter(Fixed::SpanId, Test::Exists),
            filter(Fixed::AnnotationType, Test::DoesNotExist),
            filter(Fixed::SignalType, Test::NotIn(signals(&["log", "metric"]))),
        ]);
        let logs = all(vec![filter(Fixed::SignalType, Test::In(signals(&["log"])))]);
        let trace = column(Fixed::TraceId)?;
        let codes = trace.parts.first().and_then(|part| part.dictionary_len()).unwrap_or_default();
        let bind =
            |wanted: bool, set: &FilterSet| wanted.then(|| BoundFilters::bind(segment, set)).transpose();
        Ok(RowKeys {
            span_id: column(Fixed::SpanId)?,
            parent_id: column(Fixed::ParentId)?,
            is_span: bind(wanted.span, &spans)?,
            is_log: bind(wanted.parent, &logs)?,
            numbers: vec![UNKNOWN; codes],
            trace,
            traces: Vec::new(),
            spans: Vec::new(),
            parents: Vec::new(),
            filled_for: None,
        })
    }

    /// Whether a row of the block is a span of a trace.
    pub(crate) fn is_span(&self, row: usize) -> bool {
        self.has_trace(row) && self.spans.get(row).is_some_and(Option::is_some)
    }

    /// Encoded bytes of the columns it reads.
    pub(crate) fn bytes(&self) -> u64 {
        let columns = [&self.trace, &self.span_id, &self.parent_id];
        columns.iter().map(|column| column.bytes()).sum()
    }

    /// Whether a row of the block has a trace.
    pub(crate) fn has_trace(&self, row: usize) -> bool {
        self.trace.part_of.get(row).is_some_and(|&part| part != MISSING)
    }

    /// Fills the ids of a block; `number` gives the number of a trace.
    pub(crate) fn fill(
        &mut self,
        at: &BlockReader<'_>,
        mut number: impl FnMut([u8; 16]) -> u32,
    ) -> Result<(), Error> {
        let start = at.start();
        if self.filled_for == Some(start) {
            return Ok(());
        }
        self.filled_for = Some(start);
        self.trace.fill(at)?;
        self.traces.clear();
        let BoundColumn { parts, part_of, bits, .. } = &self.trace;
        for (&part, &code) in part_of.iter().zip(bits) {
            let known = usize::try_from(code).ok().and_then(|code| self.numbers.get_mut(code));
            let (Some(known), false) = (known, part == MISSING) else {
                self.traces.push(NO_TRACE);
                continue;
            };
            if *known == UNKNOWN {
                *known = parts[usize::from(part)].trace_id(code).map_or(NO_TRACE, &mut number);
            }
            self.traces.push(*known);
        }
        if let Some(is_span) = &mut self.is_span {
            self.span_id.fill(at)?;
            let mask = passing(is_span, at)?;
            self.spans.clear();
            self.spans.extend(cells(&self.span_id).enumerate().map(|(row, id)| id.filter(|_| mask.has(row))));
        }
        if let Some(is_log) = &mut self.is_log {
            self.span_id.fill(at)?;
            self.parent_id.fill(at)?;
            let mask = passing(is_log, at)?;
            let parents = cells(&self.parent_id).zip(cells(&self.span_id)).enumerate();
            let parent = |(row, (parent, span)): (usize, (Option<u64>, Option<u64>))| {
                let is_log = mask.has(row);
                parent.or(span.filter(|_| is_log))
            };
            self.parents.clear();
            self.parents.extend(parents.map(parent));
        }
        Ok(())
    }
}

fn cells<'c>(column: &'c BoundColumn<'_>) -> impl Iterator<Item = Option<u64>> + 'c {
    column.part_of.iter().zip(&column.bits).map(|(&part, &bits)| (part != MISSING).then_some(bits))
}

fn passing(filters: &mut BoundFilters<'_>, at: &BlockReader<'_>) -> Result<Mask, Error> {
    let mut mask = Mask::all(at.len());
    filters.apply(at, &mut mask)?;
    Ok(mask)
}
