//! The parts of a logical column: the places of a segment where a reference finds its values.

use std::sync::Arc;

use skein_event::batch::{ColumnKey, Origin, Physical};
use skein_event::columns::{Fixed, Level, overflow_prefix};
use skein_query::names::{ATTRIBUTE_ORIGINS, Reference};
use skein_store::Error;
use skein_store::segment::{ColumnInfo, ColumnReader, RowField, Segment};

use super::{Form, Part, RowCursor, Source};
use crate::overflow::has_overflow;
use crate::relation::keys::{RowKeys, Wanted};

/// Adds the parts of a reference, in order of precedence.
pub(super) fn push_parts<'a>(
    segment: &'a Segment,
    reference: &Reference,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Error> {
    let plain = |source, form| Part::plain(segment, source, form);
    match reference {
        Reference::Timestamp => {
            parts.push(plain(Source::Time(segment.field(RowField::Time)?, Vec::new()), Form::Time));
        }
        Reference::IngestTime => {
            parts.push(plain(Source::Time(segment.field(RowField::IngestTime)?, Vec::new()), Form::Time));
        }
        Reference::EventId => parts.push(plain(Source::RowNumber, Form::EventId)),
        Reference::IsRoot => {
            let keys = RowKeys::bind(segment, Wanted { span: true, parent: true })?;
            parts.push(plain(Source::IsRoot(Box::new(keys)), Form::Bool));
        }
        Reference::Event => parts.push(plain(Source::RowNumber, Form::Event)),
        Reference::Fixed(fixed) => {
            push_fixed(segment, ColumnKey::fixed(*fixed), parts)?;
            if *fixed == Fixed::Body {
                push_fixed(segment, ColumnKey::fixed(Fixed::BodyValue), parts)?;
            }
            if fixed.physical() == Physical::Text {
                // Text that was not UTF-8 is in a column of bytes of the same name.
                let key = ColumnKey { physical: Physical::Bytes, ..ColumnKey::fixed(*fixed) };
                push_fixed(segment, key, parts)?;
            }
        }
        Reference::Attribute(name) => {
            let infos = segment.by_name(name)?;
            for origin in ATTRIBUTE_ORIGINS {
                push_origin(segment, &infos, origin, parts)?;
                // What the record itself has hides what its scope and resource have, wherever it is kept.
                if has_overflow(origin) {
                    push_overflow(segment, origin, name, parts)?;
                }
            }
        }
        Reference::Origin(origin, name) => {
            push_origin(segment, &segment.by_name(name)?, *origin, parts)?;
            if has_overflow(*origin) {
                push_overflow(segment, *origin, name, parts)?;
            }
        }
    }
    Ok(())
}

fn push_fixed<'a>(segment: &'a Segment, key: ColumnKey, parts: &mut Vec<Part<'a>>) -> Result<(), Error> {
    if let Some(reader) = segment.column_of(&key)? {
        parts.push(part_of_reader(segment, reader));
    }
    Ok(())
}

fn push_origin<'a>(
    segment: &'a Segment,
    infos: &[ColumnInfo],
    origin: Origin,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Error> {
    let mut infos: Vec<&ColumnInfo> = infos.iter().filter(|info| info.key.origin == origin).collect();
    infos.sort_by_key(|info| info.key.physical);
    for info in infos {
        parts.push(part_of_reader(segment, segment.column(info.id)?));
    }
    Ok(())
}

fn push_overflow<'a>(
    segment: &'a Segment,
    origin: Origin,
    name: &str,
    parts: &mut Vec<Part<'a>>,
) -> Result<(), Error> {
    if let Some(reader) = segment.column_of(&ColumnKey::fixed(Fixed::Overflow))? {
        let mut part = part_of_reader(segment, reader);
        part.form = Form::Overflow(Arc::from(format!("{}{name}", overflow_prefix(origin))));
        let codes = 0..part.dictionary_len().unwrap_or_default() as u64;
        let holds = codes.map(|code| part.with_value(code, |value| value.is_some()));
        let holds = holds.collect::<Result<Vec<bool>, Error>>()?;
        if holds.contains(&true) {
            part.holds = Some(holds);
            parts.push(part);
        }
    }
    Ok(())
}

fn part_of_reader<'a>(segment: &'a Segment, reader: ColumnReader<'a>) -> Part<'a> {
    let form = match reader.info().key.physical {
        Physical::Bool => Form::Bool,
        Physical::I64 => Form::I64,
        Physical::F64 => Form::F64,
        Physical::Text => Form::Text,
        Physical::Bytes => Form::Bytes,
        Physical::Json => Form::Json,
        Physical::TraceId => Form::TraceId,
        Physical::SpanId => Form::SpanId,
        Physical::DurationNs => Form::Milliseconds,
    };
    let source = if reader.info().level == Level::Row {
        Source::Rows(RowCursor::new(reader))
    } else {
        let bits: Vec<Option<u64>> =
            (0..segment.contexts()).map(|context| context_bits(&reader, context)).collect();
        let code = |bits: &Option<u64>| u32::try_from((*bits)?).ok();
        let is_codes = reader.info().distinct.is_some();
        let all_codes = if is_codes { bits.iter().map(code).collect() } else { None };
        Source::Contexts {
            reader,
            any: bits.iter().any(Option::is_some),
            until: ends_of_runs(&bits),
            bits,
            all_codes,
        }
    };
    Part::plain(segment, source, form)
}

/// Of each element the first place after it that has another value.
pub(crate) fn ends_of_runs<T: PartialEq>(values: &[T]) -> Vec<u32> {
    let mut ends = vec![0; values.len()];
    let mut end = u32::try_from(values.len()).unwrap_or(u32::MAX);
    for (place, value) in values.iter().enumerate().rev() {
        if values.get(place + 1).is_some_and(|next| next != value) {
            end = u32::try_from(place + 1).unwrap_or(u32::MAX);
        }
        if let Some(of_place) = ends.get_mut(place) {
            *of_place = end;
        }
    }
    ends
}

fn context_bits(reader: &ColumnReader<'_>, context: u32) -> Option<u64> {
    let value = reader.present().value_of(context)?;
    match reader.info().key.physical {
        Physical::Bool | Physical::I64 | Physical::DurationNs => reader.i64_at(value).map(i64::cast_unsigned),
        Physical::F64 => reader.f64_at(value).map(f64::to_bits),
        Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => {
            reader.code_at(value).map(u64::from)
        }
        Physical::SpanId => reader.span_id_at(value).map(u64::from_be_bytes),
    }
}
