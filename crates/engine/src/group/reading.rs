//! Reads the values of a part's groups: their hashes, and their texts unless there are too many.

use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::limits::GROUP_TEXTS_AT_ONCE_MAX;
use skein_query::number::{Type, ValueRef};
use skein_store::Error;
use skein_store::segment::{ColumnId, Segment};

use super::{GroupPart, Known, PartValue, ValueReading};
use crate::column::{BoundColumn, Part};
use crate::local::{BoundBreakdowns, LocalColumn, MISSING_VALUE};

/// Reads the values of a part, those of a column together.
pub(crate) fn part_of(
    bound: &mut BoundBreakdowns<'_>,
    rows: &[u64],
    reading: ValueReading,
    segment: &Segment,
) -> Result<GroupPart, Error> {
    let values = bound.columns.iter_mut().map(|column| values_of(column, 0, reading, segment));
    let values = values.collect::<Result<Vec<_>, Error>>()?;
    let mut part = GroupPart { values, groups: Vec::new(), keys: Vec::new(), rows: Vec::new() };
    let mut key = vec![MISSING_VALUE; bound.columns.len()];
    for (group, &rows) in (0_u32..).zip(rows).filter(|(_, rows)| **rows > 0) {
        bound.key(group, &mut key);
        part.groups.push(group);
        part.keys.extend_from_slice(&key);
        part.rows.push(rows);
    }
    Ok(part)
}

/// The values of a column from a number on.
pub(crate) fn values_of(
    column: &mut LocalColumn<'_>,
    from: usize,
    reading: ValueReading,
    segment: &Segment,
) -> Result<Vec<PartValue>, Error> {
    let wanted = column.values.get(from..).unwrap_or(&[]);
    let late = !reading.texts_at_once
        && segment.header().hash_key == reading.key
        && !segment.has_hash_collision()
        && column.values.len() > GROUP_TEXTS_AT_ONCE_MAX;
    let mut found: Vec<Option<PartValue>> = vec![None; wanted.len()];
    // Neighbours of a dictionary are unpacked together.
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_unstable_by_key(|&place| wanted.get(place));
    let mut hashes = if late { hashes_of(column, wanted, &order)? } else { Vec::new() };
    for place in order {
        if let (Some(&(part, code)), Some(slot)) = (wanted.get(place), found.get_mut(place))
            && let Some((id, hashes)) = hashes.get_mut(usize::from(part)).and_then(Option::as_mut)
            && let (Some(hash), Ok(code)) = (hashes.next(), u32::try_from(code))
        {
            *slot = Some(PartValue { hash, kind: Type::Text, known: Known::Later { column: *id, code } });
            continue;
        }
        let (Some(&(part, bits)), Some(slot)) = (wanted.get(place), found.get_mut(place)) else { continue };
        *slot = Some(value_of(&mut column.column, part, bits, reading.key)?);
    }
    Ok(found.into_iter().flatten().collect())
}

/// By part with a dictionary of hashes: its column, and the hashes of the values wanted of it, in their order.
type HashesOfPart = Option<(ColumnId, std::vec::IntoIter<u64>)>;

fn hashes_of(
    column: &LocalColumn<'_>,
    wanted: &[(u8, u64)],
    order: &[usize],
) -> Result<Vec<HashesOfPart>, Error> {
    let of_part = |(number, part): (usize, &Part<'_>)| {
        let Some(id) = part.column_id().filter(|_| part.has_hashes()) else { return Ok(None) };
        let values = order.iter().filter_map(|&place| wanted.get(place));
        let codes = values.filter(|(part, _)| usize::from(*part) == number);
        let codes: Vec<u32> = codes.filter_map(|&(_, code)| u32::try_from(code).ok()).collect();
        Ok(Some((id, part.hashes_of(&codes)?.into_iter())))
    };
    column.column.parts.iter().enumerate().map(of_part).collect()
}

pub(super) fn value_of(
    column: &mut BoundColumn<'_>,
    part: u8,
    bits: u64,
    key: HashKey,
) -> Result<PartValue, Error> {
    let missing = PartValue { hash: 0, kind: Type::Text, known: Known::Missing };
    let Some(part) = column.parts.get_mut(usize::from(part)) else { return Ok(missing) };
    let read = |value: Option<ValueRef<'_>>| {
        value.map(|value| {
            let text: Arc<str> = Arc::from(value.canonical_text().as_ref());
            let hash = key.hash(text.as_bytes());
            let kind = value.value_type();
            PartValue { hash, kind, known: Known::Here(Box::new((text, value.to_value()))) }
        })
    };
    Ok(part.with_value(bits, read)?.unwrap_or(missing))
}
