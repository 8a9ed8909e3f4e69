//! Walks the outer messages of a request: resources, their scopes, their records.
//!
//! All three signals nest alike: `Export…ServiceRequest` → `Resource…` → `Scope…` → record, with the same
//! field numbers.

use std::borrow::Cow;
use std::fmt;

use skein_event::limits::BATCH_ROWS_MAX;
use skein_event::rejection::ReasonCode;

use crate::attribute::Problem;
use crate::context::{ContextMessages, Contexts};
use crate::door::Signal;
use crate::rows::Rows;
use crate::wire::{Field, Malformed, Reader};

/// The place of a record in its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) signal: Signal,
    pub(crate) resource: usize,
    pub(crate) scope: usize,
    pub(crate) record: usize,
    /// Index of its context among [`Contexts`].
    pub(crate) context: usize,
}

/// The names of a signal's messages in OTLP/JSON, which paths are written in.
fn names(signal: Signal) -> [&'static str; 3] {
    match signal {
        Signal::Traces => ["resourceSpans", "scopeSpans", "spans"],
        Signal::Logs => ["resourceLogs", "scopeLogs", "logRecords"],
        Signal::Metrics => ["resourceMetrics", "scopeMetrics", "metrics"],
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [resources, scopes, records] = names(self.signal);
        let Place { resource, scope, record, .. } = self;
        write!(f, "{resources}[{resource}].{scopes}[{scope}].{records}[{record}]")
    }
}

/// Reads the records of one signal.
pub(crate) trait RecordReader<'a> {
    /// Reads a record and writes or rejects it; `Err` only when its bytes are no such message.
    fn read(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        place: Place,
        record: &'a [u8],
    ) -> Result<(), Malformed>;
}

/// Rows that a scope's records get room for ahead of them.
const ROWS_AHEAD: usize = 4_096;

/// Walks a request.
pub(crate) fn walk<'a>(
    signal: Signal,
    body: &'a [u8],
    rows: &mut Rows,
    contexts: &mut Contexts,
    records: &mut impl RecordReader<'a>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(body);
    let mut resource = 0;
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(message)) => {
                walk_resource(signal, resource, message, rows, contexts, records)
                    .map_err(|malformed| malformed.within(format!("{}[{resource}]", names(signal)[0])))?;
                resource += 1;
            }
            (number, _) => reader.pass_unknown(number, 1..=1)?,
        }
    }
    Ok(())
}

fn walk_resource<'a>(
    signal: Signal,
    resource: usize,
    message: &'a [u8],
    rows: &mut Rows,
    contexts: &mut Contexts,
    records: &mut impl RecordReader<'a>,
) -> Result<(), Malformed> {
    // The resource may come after its scopes, so the group is read twice.
    let mut messages = ContextMessages::default();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(resource)) => merge(&mut messages.resource, resource),
            (2, Field::Bytes(_)) => {}
            (3, Field::Bytes(url)) => messages.resource_schema_url = url,
            (number, _) => reader.pass_unknown(number, 1..=3)?,
        }
    }
    let mut reader = Reader::new(message);
    let mut scope = 0;
    while let Some(field) = reader.next()? {
        if let (2, Field::Bytes(message)) = field {
            let place = Place { signal, resource, scope, record: 0, context: 0 };
            walk_scope(place, message, &mut messages, rows, contexts, records)
                .map_err(|malformed| malformed.within(format!("{}[{scope}]", names(signal)[1])))?;
            scope += 1;
        }
    }
    Ok(())
}

fn walk_scope<'a>(
    mut place: Place,
    message: &'a [u8],
    messages: &mut ContextMessages<'a>,
    rows: &mut Rows,
    contexts: &mut Contexts,
    records: &mut impl RecordReader<'a>,
) -> Result<(), Malformed> {
    messages.scope = None;
    messages.scope_schema_url = &[];
    let mut count = 0_usize;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(scope)) => merge(&mut messages.scope, scope),
            (2, Field::Bytes(_)) => count += 1,
            (3, Field::Bytes(url)) => messages.scope_schema_url = url,
            (number, _) => reader.pass_unknown(number, 1..=3)?,
        }
    }
    if count == 0 {
        return Ok(());
    }
    // A scope of very many records grows as they come: most of them may be rejected.
    rows.builder.reserve(count.min(ROWS_AHEAD));
    place.context = contexts.index(rows, messages)?;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        if let (2, Field::Bytes(record)) = field {
            let read = records.read(rows, contexts, place, record);
            read.map_err(|malformed| {
                malformed.within(format!("{}[{}]", names(place.signal)[2], place.record))
            })?;
            place.record += 1;
        }
    }
    Ok(())
}

/// A message that comes in several pieces is their concatenation, as protobuf says.
fn merge<'a>(message: &mut Option<Cow<'a, [u8]>>, piece: &'a [u8]) {
    match message {
        None => *message = Some(Cow::Borrowed(piece)),
        Some(message) => message.to_mut().extend_from_slice(piece),
    }
}

/// Rejects a record for a problem of its own.
#[cold]
pub(crate) fn reject(rows: &mut Rows, place: &Place, problem: &Problem) {
    rows.rejected.add(problem.reason, || {
        let separator = if problem.path.is_empty() { "" } else { "." };
        (format!("{place}{separator}{}", problem.path), problem.message.clone())
    });
}

/// Rejects a record because its resource or scope cannot be stored.
#[cold]
pub(crate) fn reject_for_context(rows: &mut Rows, place: &Place, problem: &Problem) {
    rows.rejected.add(problem.reason, || {
        let message = format!("its {} cannot be stored: {}", problem.path, problem.message);
        (place.to_string(), message)
    });
}

/// Rejects a record whose rows would pass the limit of a batch.
#[cold]
pub(crate) fn reject_for_rows(rows: &mut Rows, place: &Place) {
    rows.rejected.add(ReasonCode::TooLarge, || {
        (place.to_string(), format!("the request has more than {BATCH_ROWS_MAX} events"))
    });
}

/// Whether `more` rows fit into the batch.
#[inline]
pub(crate) fn has_room(rows: &Rows, more: usize) -> bool {
    rows.builder.len().saturating_add(more) <= BATCH_ROWS_MAX
}
