//! From events back to OTLP: the same records that the doors took, whatever their grouping (invariant I3).
//!
//! Every record comes out as it came in: attributes in their order, with their types, nesting and empty
//! values, times that make no sense included. What Skein derived (columns of [`Origin::Body`] and
//! [`Origin::Derived`], ids found in a body, stand-in times) does not come out. What protobuf cannot say is
//! the one difference: text that was not UTF-8 comes out as bytes where a value may be bytes, and with U+FFFD
//! in names.
//!
//! Records of equal resource and scope come out together. A resource or scope without records holds nothing
//! that could come out.
//!
//! [`Origin::Body`]: skein_event::Origin::Body
//! [`Origin::Derived`]: skein_event::Origin::Derived

mod attributes;
mod columns;
mod context;
mod group;
mod logs;
mod metrics;
pub mod model;
mod point;
mod spans;
mod value;

use skein_event::EventBatch;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;

use self::columns::Columns;
use self::context::{Context, contexts};
use self::group::Groups;
use crate::door::Signal;

/// What a batch holds, by signal.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Exported {
    /// Spans with their events and links.
    pub traces: ExportTraceServiceRequest,
    /// Log records.
    pub logs: ExportLogsServiceRequest,
    /// Metric points.
    pub metrics: ExportMetricsServiceRequest,
    /// Rows of span events and links whose span is not in the batch. They cannot be said without it; whoever
    /// cuts events into batches must keep a span and the rows that follow it together.
    pub orphans: u64,
}

/// Stored bytes that are not what their column says: damage, since no door stores such.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("row {row} cannot be exported: {what}")]
pub struct ExportError {
    /// The row of the batch.
    pub row: usize,
    /// What is damaged.
    pub what: &'static str,
}

/// The OTLP records of a batch that passed [`EventBatch::validate`], in the order of its rows.
///
/// POST: on `Ok`, every row is in exactly one record, or counted in `orphans`.
pub fn export(batch: &EventBatch) -> Result<Exported, ExportError> {
    let columns = Columns::new(batch);
    let contexts = contexts(batch);
    let mut spans = spans::SpanWriter::new(Groups::new(&contexts));
    let mut logs = logs::LogWriter::new(Groups::new(&contexts));
    let mut metrics = metrics::MetricWriter::new(Groups::new(&contexts));
    let mut row_of = columns;
    for row in 0..batch.rows() {
        let context = batch.contexts.get(row).copied().unwrap_or_default() as usize;
        let damage = |what| ExportError { row, what };
        let signal = contexts.get(context).map(|context| context.signal).ok_or(damage("no context"))?;
        row_of.go_to(row);
        match signal {
            Signal::Traces => spans.row(&row_of, context),
            Signal::Logs => logs.row(&row_of, context),
            Signal::Metrics => metrics.row(&row_of, context),
        }
        .map_err(damage)?;
    }
    Ok(Exported {
        orphans: spans.orphans(),
        traces: spans.finish(),
        logs: logs.finish(),
        metrics: metrics.finish(),
    })
}

/// What is damaged.
type Damage = &'static str;
