//! Which segments a plan need not open: by environment (a snapshot has one), time range, dataset and the presence of
//! columns, all of it known from the catalog and `footers.cat`.
//!
//! What it refuses: to rule out what might match. Whatever cannot be asked is looked at.

use std::sync::Arc;

use skein_event::batch::Origin;
use skein_query::names::{ATTRIBUTE_ORIGINS, Reference};
use skein_query::plan::{Column, Combination, FilterSet, TimeRange};
use skein_query::test::Matcher;
use skein_store::{Error, SegmentHandle};

use crate::overflow;
use crate::resolve::has_overflow;

/// Whether any row of a segment may take part.
pub(crate) fn may_match(
    segment: &Arc<SegmentHandle>,
    datasets: &[&str],
    time_range: TimeRange,
    filter: &FilterSet,
) -> bool {
    segment.may_hold(datasets, |first, last| time_range.overlaps(first, last))
        && filters_may_match(segment, filter)
}

/// Whether the columns are there that the filters need. Segments in memory find that out themselves.
fn filters_may_match(segment: &Arc<SegmentHandle>, set: &FilterSet) -> bool {
    if set.filters.is_empty() || segment.row().is_none() {
        return true;
    }
    let mut may_pass = set.filters.iter().map(|filter| {
        Matcher::new(&filter.test).matches_missing() || may_have(segment, &filter.column).unwrap_or(true)
    });
    match set.combination {
        Combination::All => may_pass.all(|may_pass| may_pass),
        Combination::Any => may_pass.any(|may_pass| may_pass),
    }
}

/// Whether any event of a segment may have a value in a column.
fn may_have(segment: &Arc<SegmentHandle>, column: &Column) -> Result<bool, Error> {
    // An expression may have a value where everything it reads is missing.
    if column.calculated.is_some() {
        return Ok(true);
    }
    for reference in &column.references {
        let (name, origins): (&str, &[Origin]) = match reference {
            Reference::Timestamp
            | Reference::IngestTime
            | Reference::EventId
            | Reference::Event
            | Reference::IsRoot => {
                return Ok(true);
            }
            Reference::Fixed(fixed) => (fixed.name(), &[Origin::Fixed]),
            Reference::Attribute(name) => (name, &ATTRIBUTE_ORIGINS),
            Reference::Origin(origin, name) => (name, std::slice::from_ref(origin)),
        };
        if segment.columns_named(name)?.iter().any(|(origin, _)| origins.contains(origin)) {
            return Ok(true);
        }
        // An overflow map may hold any attribute's name.
        if origins.iter().any(|&origin| overflow::has_overflow(origin)) && has_overflow(segment)? {
            return Ok(true);
        }
    }
    Ok(false)
}
