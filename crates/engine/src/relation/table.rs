//! The events that a prefix stands for, by what leads a row to them.

use std::collections::HashMap;

use skein_event::ids::EventId;
use skein_query::number::ValueRef;
use skein_query::plan::{Column, Scope};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::Block;
use crate::column::{BoundColumn, MISSING};
use crate::relation::ids::{NO_TRACE, SpanHash, SpanKey, TraceNumbers};
use crate::relation::kept::{Kept, Texts};
use crate::relation::keys::{RowKeys, Wanted};
use crate::scan::{BlockError, Sink};

/// Which values of the events behind one key are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Remember {
    /// That of the first event that has one.
    First,
    /// Those of all.
    All,
}

/// No entry.
const NOTHING: u32 = u32::MAX;

/// Leads from a key to the first of its entries.
#[derive(Debug)]
enum Index {
    /// By the number of a trace.
    Traces(Vec<u32>),
    Spans(HashMap<SpanKey, u32, SpanHash>),
}

/// Events that a prefix stands for.
#[derive(Debug)]
pub(crate) struct Table {
    scope: Scope,
    index: Index,
    /// Of each entry its value; without values, keys alone are remembered.
    values: Vec<Kept>,
    /// Of each entry the next with its key.
    next: Vec<u32>,
    texts: Texts,
}

impl Table {
    fn new(scope: Scope) -> Table {
        let index = match scope {
            Scope::Parent | Scope::Child => Index::Spans(HashMap::default()),
            _ => Index::Traces(Vec::new()),
        };
        Table { scope, index, values: Vec::new(), next: Vec::new(), texts: Texts::default() }
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) fn texts(&self) -> &Texts {
        &self.texts
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let index = match &self.index {
            Index::Traces(heads) => heads.capacity() * size_of::<u32>(),
            Index::Spans(heads) => heads.capacity() * (size_of::<(SpanKey, u32)>() + 1),
        };
        let entries = self.values.capacity() * size_of::<Kept>() + self.next.capacity() * size_of::<u32>();
        index + entries + self.texts.heap_bytes()
    }

    /// The ids that a row at hand is looked up by.
    pub(crate) fn wanted_of_rows(&self) -> Wanted {
        Wanted { span: self.scope == Scope::Child, parent: self.scope == Scope::Parent }
    }

    /// The first entry for a row at hand.
    fn head(&self, keys: &RowKeys<'_>, row: usize) -> Option<u32> {
        let trace = keys.traces.get(row).copied().filter(|&trace| trace != NO_TRACE)?;
        let head = match &self.index {
            Index::Traces(heads) => heads.get(trace as usize).copied(),
            Index::Spans(heads) => {
                let ids = if self.scope == Scope::Child { &keys.spans } else { &keys.parents };
                let id = ids.get(row).copied().flatten()?;
                heads.get(&(trace, id)).copied()
            }
        };
        head.filter(|&head| head != NOTHING)
    }

    /// Whether the prefix stands for any event at a row.
    pub(crate) fn has(&self, keys: &RowKeys<'_>, row: usize) -> bool {
        self.head(keys, row).is_some()
    }

    /// The first value at a row.
    pub(crate) fn first(&self, keys: &RowKeys<'_>, row: usize) -> Option<Kept> {
        self.values.get(self.head(keys, row)? as usize).copied()
    }

    /// Hands out every value at a row.
    pub(crate) fn for_each(&self, keys: &RowKeys<'_>, row: usize, mut take: impl FnMut(ValueRef<'_>)) {
        let mut entry = self.head(keys, row);
        while let Some(place) = entry {
            let value = self.values.get(place as usize).and_then(|&kept| self.texts.value(kept));
            value.into_iter().for_each(&mut take);
            entry = self.next.get(place as usize).copied().filter(|&next| next != NOTHING);
        }
    }

    /// The slot of a key, for its first entry.
    fn slot(&mut self, trace: u32, span: Option<u64>) -> Option<&mut u32> {
        match &mut self.index {
            Index::Traces(heads) => {
                let place = trace as usize;
                if place >= heads.len() {
                    heads.resize(place + 1, NOTHING);
                }
                heads.get_mut(place)
            }
            Index::Spans(heads) => Some(heads.entry((trace, span?)).or_insert(NOTHING)),
        }
    }
}

/// Fills a table.
pub(crate) struct Collector<'c> {
    table: Table,
    numbers: TraceNumbers,
    wanted: Option<(&'c Column, Remember)>,
    /// With [`Remember::First`]: the place of each entry's event in their order.
    order: Vec<(i64, EventId)>,
}

/// What a collector binds to a segment.
pub(crate) struct BoundCollector<'s> {
    segment: &'s Segment,
    keys: RowKeys<'s>,
    column: Option<BoundColumn<'s>>,
    /// By part and code: the value, once it was kept.
    known: Vec<Vec<Option<Kept>>>,
}

impl<'c> Collector<'c> {
    pub(crate) fn new(
        scope: Scope,
        wanted: Option<(&'c Column, Remember)>,
        numbers: TraceNumbers,
    ) -> Collector<'c> {
        Collector { table: Table::new(scope), numbers, wanted, order: Vec::new() }
    }

    pub(crate) fn finish(self) -> (Table, TraceNumbers) {
        (self.table, self.numbers)
    }

    /// Remembers an event's value.
    fn add(&mut self, trace: u32, span: Option<u64>, value: Kept, order: Option<(i64, EventId)>) {
        let entry = u32::try_from(self.table.values.len()).unwrap_or(NOTHING);
        let Some(slot) = self.table.slot(trace, span) else { return };
        let head = *slot;
        match order {
            None => {
                *slot = entry;
                self.table.values.push(value);
                self.table.next.push(head);
            }
            Some(order) if head == NOTHING => {
                *slot = entry;
                self.table.values.push(value);
                self.order.push(order);
            }
            Some(order) => {
                if let Some(known) = self.order.get_mut(head as usize).filter(|known| order < **known) {
                    *known = order;
                    self.table.values[head as usize] = value;
                }
            }
        }
    }
}

impl Sink for Collector<'_> {
    type Bound<'s> = BoundCollector<'s>;

    fn bind<'s>(&mut self, _place: usize, segment: &'s Segment) -> Result<(BoundCollector<'s>, u64), Error> {
        let scope = self.table.scope;
        let wanted = Wanted {
            span: matches!(scope, Scope::Root | Scope::Parent),
            parent: matches!(scope, Scope::Root | Scope::Child),
        };
        let column = self.wanted.map(|(column, _)| BoundColumn::bind(segment, column)).transpose()?;
        let bytes = column.as_ref().map_or(0, BoundColumn::bytes);
        let parts = column.as_ref().map_or(&[][..], |column| &column.parts);
        let known = parts.iter().map(|part| vec![None; part.dictionary_len().unwrap_or_default()]).collect();
        Ok((BoundCollector { segment, keys: RowKeys::bind(segment, wanted)?, column, known }, bytes))
    }

    fn block(&mut self, bound: &mut BoundCollector<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        bound.keys.fill(block.rows, |id| self.numbers.number(id))?;
        if let Some(column) = &mut bound.column {
            column.fill(block.rows)?;
        }
        let scope = self.table.scope;
        // The rows that the prefix may stand for, and the span that leads to each.
        let span_of = |keys: &RowKeys<'_>, row: usize| -> Option<Option<u64>> {
            match scope {
                Scope::Root => (keys.spans[row].is_some() && keys.parents[row].is_none()).then_some(None),
                Scope::Parent => keys.spans[row].map(Some),
                Scope::Child => keys.parents[row].map(Some),
                _ => Some(None),
            }
        };
        let mut rows = Vec::new();
        for row in block.places().filter(|&row| bound.keys.traces[row] != NO_TRACE) {
            if let Some(span) = span_of(&bound.keys, row)
                && bound.column.as_ref().is_none_or(|column| column.part_of[row] != MISSING)
            {
                rows.push((row, span));
            }
        }
        let Some((_, remember)) = self.wanted else {
            for (row, span) in rows {
                if let Some(slot) = self.table.slot(bound.keys.traces[row], span) {
                    *slot = 0;
                }
            }
            return Ok(());
        };
        let mut ids = Vec::new();
        if remember == Remember::First {
            let of_segment = |&(row, _): &(usize, Option<u64>)| block.row(row);
            ids = bound.segment.event_ids(&rows.iter().map(of_segment).collect::<Vec<u32>>())?;
        }
        for (place, (row, span)) in rows.into_iter().enumerate() {
            let Some(value) = bound.value(row, &mut self.table.texts)? else { continue };
            let order = ids.get(place).map(|&id| (block.times()[row], id));
            self.add(bound.keys.traces[row], span, value, order);
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        let order = self.order.capacity() * size_of::<(i64, EventId)>();
        self.table.memory_bytes() + self.numbers.memory_bytes() + order
    }
}

impl BoundCollector<'_> {
    /// The value of a row.
    fn value(&mut self, row: usize, texts: &mut Texts) -> Result<Option<Kept>, Error> {
        let Some(column) = &mut self.column else { return Ok(None) };
        let number = usize::from(column.part_of[row]);
        let (Some(part), Some(known)) = (column.parts.get_mut(number), self.known.get_mut(number)) else {
            return Ok(None);
        };
        let bits = column.bits[row];
        let slot = usize::try_from(bits).ok().and_then(|code| known.get_mut(code));
        if let Some(Some(kept)) = slot {
            return Ok(Some(*kept));
        }
        let kept = part.with_value(bits, |value| value.map(|value| texts.keep(value)))?;
        if let Some(slot) = slot {
            *slot = kept;
        }
        Ok(kept)
    }
}
