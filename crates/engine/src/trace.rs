//! Whole traces by id, whatever their time: the index of ids leads to the rows, nothing is scanned.

use skein_event::ids::Environment;
use skein_query::result::{Meta, SegmentCounts, TraceRows};
use skein_query::{QueryError, RunContext};

use crate::flat::flat_rows;
use crate::scan::Failure;
use crate::snapshot::SnapshotView;
use crate::trace_columns;

/// Bytes that a flat row takes, about: thirty fields with their values.
const FLAT_ROW_BYTES: usize = 2_048;

/// Gathers a trace's rows: from the segments of its partition whose filters let it pass, and from the heads. With a
/// span, only what belongs to that.
pub(crate) fn trace(
    view: &SnapshotView,
    excluded: &[usize],
    environment: &Environment,
    (trace_id, span_id): ([u8; 16], Option<[u8; 8]>),
    context: &RunContext<'_>,
) -> Result<TraceRows, Failure> {
    let mut rows = Vec::new();
    let mut segments = SegmentCounts { considered: view.segments.len() as u64, ..SegmentCounts::default() };
    for place in view.segments.of_trace(environment, &trace_id) {
        context.check()?;
        let Some(handle) = view.segments.get(place).filter(|_| !excluded.contains(&place)) else { continue };
        let failed = |error| Failure::Segment(place, error);
        let segment = handle.open().map_err(failed)?;
        let mut found = segment.rows_of_trace(&trace_id).map_err(failed)?;
        if let Some(span_id) = span_id {
            found = trace_columns::rows_of_span(&segment, &found, span_id).map_err(failed)?;
        }
        if found.is_empty() {
            continue;
        }
        segments.scanned += 1;
        if (rows.len() + found.len()) * FLAT_ROW_BYTES > context.memory_bytes_max {
            let message = format!("the trace has more than {} events", rows.len());
            return Err(QueryError::limit(message)
                .hint("query its rows with a filter on trace.trace_id")
                .into());
        }
        rows.extend(flat_rows(&segment.gather_values(&found).map_err(failed)?));
    }
    segments.pruned = segments.considered.saturating_sub(segments.scanned + excluded.len() as u64);
    let scanned = rows.len() as u64;
    let meta = Meta {
        rows_scanned: scanned,
        rows_matched: scanned,
        segments,
        complete_to_ns: view.complete_to_ns,
        snapshot: view.name.clone(),
        ..Meta::default()
    };
    Ok(TraceRows { trace_id, rows, complete_to_ns: view.complete_to_ns, meta })
}
