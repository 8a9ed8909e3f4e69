//! Everything, for an export: batches of rows in the order of their event ids.

use skein_query::engine::ScanSink;
use skein_query::plan::TimeRange;
use skein_query::result::ScanBatch;
use skein_query::{QueryError, RunContext};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::column::BLOCK_ROWS;
use crate::rows::row_order;
use crate::scan::{BlockReader, Failure, allowed_contexts};
use crate::snapshot::SnapshotView;

/// Rows of one batch: its decoded form stays around 16 MiB for usual events.
const BATCH_ROWS: usize = 8_192;

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
        for chunk in rows.chunks(BATCH_ROWS) {
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

fn rows_of(segment: &Segment, datasets: &[&str], time_range: TimeRange) -> Result<Vec<u32>, Error> {
    let Some(allowed) = allowed_contexts(segment, datasets)? else { return Ok(Vec::new()) };
    let mut reader = BlockReader::open(segment)?;
    let mut rows = Vec::new();
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        reader.read(start);
        let found = (start..).zip(reader.times.iter().zip(&reader.contexts));
        let passes = |(_, (time, context)): &(u32, (&i64, &u32))| {
            time_range.contains(**time) && allowed.get(**context as usize) == Some(&true)
        };
        rows.extend(found.filter(passes).map(|(row, _)| row));
    }
    row_order(segment, &mut rows)?;
    Ok(rows)
}

/// An export never leaves out what it cannot read: a damaged segment ends it.
pub(crate) fn refuse_damage(failure: Failure) -> QueryError {
    match failure {
        Failure::Query(error) => error,
        Failure::Segment(place, error) => QueryError::internal(format!("segment {place}: {error}")),
    }
}
