//! The filters of erasures: the builder's filter language, evaluated on a segment in its encoded form. The store
//! asks, since it knows which events are older; it does not know filters.
//!
//! What it refuses: a filter without a condition. Whoever wants to erase everything says so by a condition that
//! everything meets.

use std::collections::BTreeSet;

use skein_event::Fixed;
use skein_event::batch::ColumnKey;
use skein_query::plan::FilterSet;
use skein_query::spec;
use skein_store::segment::{RowField, Segment};
use skein_store::{Error, MatchFailure, RowMatcher};

use crate::block::BlockReader;
use crate::column::BLOCK_ROWS;
use crate::filter::BoundFilters;
use crate::mask::Mask;

/// Evaluates filters of the builder language, written as JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilterMatcher;

impl RowMatcher for FilterMatcher {
    fn matches(&self, filter: &str, segment: &Segment) -> Result<Vec<u32>, MatchFailure> {
        let filter = spec::erasure(filter).map_err(|error| MatchFailure::Filter(error.to_string()))?;
        let rows = matching(&filter, segment).map_err(MatchFailure::Segment)?;
        if rows.is_empty() {
            return Ok(rows);
        }
        with_annotations(rows, segment).map_err(MatchFailure::Segment)
    }
}

/// The rows that pass.
fn matching(filter: &FilterSet, segment: &Segment) -> Result<Vec<u32>, Error> {
    let mut filters = BoundFilters::bind(segment, filter)?;
    if segment.rows() == 0 || !filters.may_match_segment() {
        return Ok(Vec::new());
    }
    let mut reader = BlockReader::open(segment)?;
    let mut rows = Vec::new();
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        let end = segment.rows().min(start + BLOCK_ROWS);
        if !filters.may_match_block(start, end) {
            continue;
        }
        reader.read(start);
        let mut mask = Mask::all(reader.len());
        filters.apply(&reader, &mut mask)?;
        rows.extend(mask.places().map(|place| start + u32::try_from(place).unwrap_or_default()));
    }
    Ok(rows)
}

/// Adds the events and links of the spans among some rows: they are part of the span, follow it in its record,
/// and mean nothing without it.
fn with_annotations(rows: Vec<u32>, segment: &Segment) -> Result<Vec<u32>, Error> {
    let Some(column) = segment.column_of(&ColumnKey::fixed(Fixed::AnnotationType))? else { return Ok(rows) };
    let (offsets, indexes) = (segment.field(RowField::Offset)?, segment.field(RowField::Index)?);
    let matched: BTreeSet<u32> = rows.into_iter().collect();
    let records: BTreeSet<i64> = matched.iter().map(|&row| offsets.get(row as usize)).collect();
    // The rows of these records in the order in which they came.
    let mut ordered: Vec<(i64, i64, u32)> = (0..segment.rows())
        .map(|row| (offsets.get(row as usize), indexes.get(row as usize), row))
        .filter(|(offset, ..)| records.contains(offset))
        .collect();
    ordered.sort_unstable();
    let mut taken = matched.clone();
    let mut span: Option<(i64, bool)> = None;
    for (offset, _, row) in ordered {
        if column.present().value_of(row).is_none() {
            span = Some((offset, matched.contains(&row)));
        } else if span == Some((offset, true)) {
            taken.insert(row);
        }
    }
    Ok(taken.into_iter().collect())
}
