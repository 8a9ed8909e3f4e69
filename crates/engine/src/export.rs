//! Everything, for an export: batches of rows in the order of their event ids.

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_event::limits::EXPORT_BATCH_ROWS;
use skein_query::engine::ScanSink;
use skein_query::plan::TimeRange;
use skein_query::result::ScanBatch;
use skein_query::{QueryError, RunContext};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::block::BlockReader;
use crate::column::BLOCK_ROWS;
use crate::rows::row_order;
use crate::scan::{Failure, allowed_contexts};
use crate::snapshot::SnapshotView;

pub(crate) fn scan(
    view: &SnapshotView,
    datasets: &[String],
    time_range: TimeRange,
    context: &RunContext<'_>,
    sink: &mut ScanSink<'_>,
) -> Result<(), Failure> {
    let datasets: Vec<&str> = datasets.iter().map(String::as_str).collect();
    let total = view.segments.len();
    for (place, handle) in view.segments.iter().enumerate() {
        let failed = |error| Failure::Segment(place, error);
        let (first, last) = handle.time_range();
        if handle.rows() == 0 || !time_range.overlaps(first, last) {
            continue;
        }
        let segment = &*handle.open().map_err(failed)?;
        let rows = rows_of(segment, &datasets, time_range).map_err(failed)?;
        for chunk in rows.chunks(EXPORT_BATCH_ROWS) {
            context.check()?;
            let gathered = segment.gather(chunk).map_err(failed)?;
            sink(ScanBatch {
                batch: gathered.batch,
                partition: segment.partition(),
                event_ids: gathered.ids,
                ingest_times_ns: gathered.ingest_times,
            })?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
        (context.progress)((place + 1) as f64 / total as f64);
    }
    Ok(())
}

/// Rows in the order of their event ids, so that a span's events and links follow it.
struct Rows {
    rows: Vec<u32>,
    /// Of each row: whether it belongs to the row before.
    follows: Vec<bool>,
}

impl Rows {
    /// Pieces of about so many rows; none separates a span from what belongs to it.
    fn chunks(&self, rows_wanted: usize) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let mut end = (start + rows_wanted).min(self.rows.len());
            while self.follows.get(end) == Some(&true) {
                end += 1;
            }
            let chunk = self.rows.get(start..end).filter(|chunk| !chunk.is_empty())?;
            start = end;
            Some(chunk)
        })
    }
}

/// The rows of a segment that take part. What belongs to a span goes where the span goes, whatever its own time:
/// the time range of an export cuts between spans, never through one.
fn rows_of(segment: &Segment, datasets: &[&str], time_range: TimeRange) -> Result<Rows, Error> {
    let mut found = Rows { rows: Vec::new(), follows: Vec::new() };
    let Some(allowed) = allowed_contexts(segment, datasets)? else { return Ok(found) };
    let mut reader = BlockReader::open(segment)?;
    let mut rows = Vec::new();
    let mut in_range = vec![false; segment.rows() as usize];
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        reader.read(start);
        for (row, (time, context)) in (start..).zip(reader.times().iter().zip(reader.contexts())) {
            let visible = !segment.has_erased() || segment.is_visible(row);
            if visible && allowed.get(*context as usize) == Some(&true) {
                rows.push(row);
                if let Some(flag) = in_range.get_mut(row as usize) {
                    *flag = time_range.contains(*time);
                }
            }
        }
    }
    row_order(segment, &mut rows)?;
    let annotations = segment.column_of(&ColumnKey::fixed(Fixed::AnnotationType))?;
    let belongs =
        |row: u32| annotations.as_ref().is_some_and(|column| column.present().value_of(row).is_some());
    let mut kept = false;
    for (place, row) in rows.into_iter().enumerate() {
        let follows = place > 0 && belongs(row);
        if !follows {
            kept = in_range.get(row as usize) == Some(&true);
        }
        if kept {
            found.rows.push(row);
            found.follows.push(follows);
        }
    }
    Ok(found)
}

/// An export never leaves out what it cannot read: a damaged segment ends it.
pub(crate) fn refuse_damage(failure: Failure) -> QueryError {
    match failure {
        Failure::Query(error) => error,
        Failure::Segment(place, error) => QueryError::internal(format!("segment {place}: {error}")),
    }
}
