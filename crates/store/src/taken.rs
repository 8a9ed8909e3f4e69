//! Which rows erasures take: of a segment, of a record of the log. Filters are evaluated by a [`RowMatcher`]; which
//! events are older is told by their offsets.
//!
//! What it refuses: to guess. Without a matcher, or with a filter that it cannot read, the answer is an error.

use std::collections::BTreeSet;
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::ids::Offset;
use skein_log::DurableRecord;

use crate::erasure_file::StoredErasure;
use crate::error::{Error, ErrorKind};
use crate::head::{self, HeadKey};
use crate::segment::{Compression, RowField, Segment};

/// Evaluates the filters of erasures. The store knows rows, not what is asked of them.
pub trait RowMatcher: Send + Sync {
    /// The rows of a segment that an erasure's filter matches, and those that have no life without them (the
    /// events of a span), rising.
    ///
    /// POST: depends on the filter and the segment's events alone.
    fn matches(&self, filter: &str, segment: &Segment) -> Result<Vec<u32>, MatchFailure>;
}

/// Why a filter was not evaluated.
#[derive(Debug)]
pub enum MatchFailure {
    /// The filter is none that this version understands.
    Filter(String),
    /// The segment cannot be read.
    Segment(Error),
}

/// The rows of a log record that some erasures take, rising.
pub(crate) fn rows_taken(
    matcher: Option<Arc<dyn RowMatcher>>,
    erasures: &[Arc<StoredErasure>],
    record: &DurableRecord,
    hash_key: HashKey,
) -> Result<Vec<u32>, Error> {
    if erasures.is_empty() || record.batch.is_empty() {
        return Ok(Vec::new());
    }
    let key = HeadKey { environment: record.environment.clone(), day: head::day_of(record.append_time_ns) };
    let target = head::target(hash_key, record.partition, &key, Compression::None);
    let part = head::Part {
        batch: Arc::clone(&record.batch),
        offset: record.offset,
        append_time_ns: record.append_time_ns,
        indexes: None,
    };
    let segment = head::encode_parts(&[part], &target)?;
    erased_rows(matcher, erasures, &segment)
}

/// The rows of a segment that some erasures take, rising. The segment has all its rows.
pub(crate) fn erased_rows(
    matcher: Option<Arc<dyn RowMatcher>>,
    erasures: &[Arc<StoredErasure>],
    segment: &Segment,
) -> Result<Vec<u32>, Error> {
    if erasures.is_empty() {
        return Ok(Vec::new());
    }
    let Some(matcher) = matcher else {
        let message = "there are erasures, and nobody here can evaluate their filters";
        return Err(Error::new(ErrorKind::Erasure, message));
    };
    let offsets = segment.field(RowField::Offset)?;
    let mut rows = BTreeSet::new();
    for stored in erasures {
        let matched = matcher.matches(&stored.erasure.filter, segment).map_err(|failure| match failure {
            MatchFailure::Segment(error) => error,
            MatchFailure::Filter(reason) => {
                let id = stored.erasure.id;
                let message =
                    format!("erasure {id:032x} has a filter that this version cannot read: {reason}");
                Error::new(ErrorKind::Erasure, message)
            }
        })?;
        let older = |row: &u32| {
            let offset = Offset(offsets.get(*row as usize).cast_unsigned());
            stored.erasure.is_older(segment.partition(), offset)
        };
        rows.extend(matched.into_iter().filter(older));
    }
    Ok(rows.into_iter().collect())
}
