//! Reads and inspects attributes before anything of their record is written.
//!
//! A record is written only once it is known to be whole: every nested length fits, nothing is nested too
//! deep, no value is too large. So no half-written row has ever to be taken back. Malformed protobuf refuses
//! the request; what breaks a limit is a [`Problem`] of the record alone.

use skein_event::limits::{FLATTEN_DEPTH_MAX, NESTING_DEPTH_MAX, RECORD_ATTRIBUTES_MAX, VALUE_BYTES_MAX};
use skein_event::rejection::ReasonCode;

use crate::wire::{Field, Malformed, Reader, SEVERAL_PIECES};

/// An attribute, borrowed from the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: &'a [u8],
    /// The `AnyValue` message as it came.
    pub(crate) message: &'a [u8],
    pub(crate) value: Value<'a>,
}

/// An attribute's value, borrowed from the body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// No `AnyValue` message at all.
    Absent,
    /// An `AnyValue` message without a value.
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    I64(i64),
    F64(f64),
    /// The `ArrayValue` message.
    Array(&'a [u8]),
    /// The `KeyValueList` message.
    Map(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Why a record cannot be stored.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) reason: ReasonCode,
    /// The field within the record.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// What the inspection of a record found.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// The first problem.
    pub(crate) problem: Option<Box<Problem>>,
    /// Attributes and entries of kvlists that the record may still have.
    attributes_left: usize,
}

impl Inspection {
    pub(crate) fn new() -> Inspection {
        Inspection { problem: None, attributes_left: RECORD_ATTRIBUTES_MAX }
    }

    /// Notes a problem, unless there is one already.
    #[cold]
    pub(crate) fn refuse(&mut self, reason: ReasonCode, path: &str, message: impl Into<String>) {
        if self.problem.is_none() {
            let problem = Problem { reason, path: path.to_owned(), message: message.into() };
            self.problem = Some(Box::new(problem));
        }
    }

    /// Refuses text or bytes beyond the limit.
    #[inline]
    pub(crate) fn check_size(&mut self, path: &'static str, bytes: &[u8]) {
        if bytes.len() > VALUE_BYTES_MAX {
            self.too_large(path, bytes.len());
        }
    }

    #[cold]
    fn too_large(&mut self, path: &str, length: usize) {
        let message = format!("a value of {length} bytes; the limit is {VALUE_BYTES_MAX}");
        self.refuse(ReasonCode::ValueTooLarge, path, message);
    }

    /// Runs one part of the inspection; a problem found in it gets `segment` before its path.
    pub(crate) fn inside<T>(
        &mut self,
        segment: impl Fn() -> String,
        part: impl FnOnce(&mut Inspection) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let before = self.problem.is_some();
        let result = part(self);
        if !before && let Some(problem) = &mut self.problem {
            let separator = if problem.path.is_empty() { "" } else { "." };
            problem.path = format!("{}{separator}{}", segment(), problem.path);
        }
        result.map_err(|malformed| malformed.within(segment()))
    }

    /// Counts an attribute; false when there are too many.
    #[inline]
    fn count_attribute(&mut self) -> bool {
        if self.attributes_left == 0 {
            self.too_many();
            return false;
        }
        self.attributes_left -= 1;
        true
    }

    #[cold]
    fn too_many(&mut self) {
        let message = format!("more than {RECORD_ATTRIBUTES_MAX} attributes and kvlist entries");
        self.refuse(ReasonCode::TooLarge, "", message);
    }
}

/// Reads one `KeyValue` message into a record's list, and inspects its value. Returns its key and value for
/// a look in passing.
#[inline]
pub(crate) fn read_attribute<'a>(
    entry: &'a [u8],
    list: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<(), Malformed> {
    if let Some(attribute) = read_simple(entry)
        && inspection.attributes_left > 0
    {
        inspection.attributes_left -= 1;
        list.push(attribute);
        return Ok(());
    }
    read_any(entry, list, inspection)
}

/// The usual attribute: a key under 128 bytes, then a scalar value under 126, in that order and nothing else.
#[inline]
fn read_simple(entry: &[u8]) -> Option<Attribute<'_>> {
    let [0x0a, key_length @ 0..0x80, rest @ ..] = entry else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_length))?;
    let [0x12, length @ 0..0x80, message @ ..] = rest else { return None };
    if usize::from(*length) != message.len() {
        return None;
    }
    let value = match message {
        [0x0a, length, text @ ..] if usize::from(*length) == text.len() => Value::Text(text),
        [0x18, number @ 0..0x80] => Value::I64(i64::from(*number)),
        [0x18, low @ 0x80..=0xff, high @ 0..0x80] => {
            Value::I64(i64::from(*low & 0x7f) | i64::from(*high) << 7)
        }
        [0x10, bit @ 0..2] => Value::Bool(*bit == 1),
        [0x21, number @ ..] => Value::F64(f64::from_le_bytes(number.try_into().ok()?)),
        _ => return None,
    };
    Some(Attribute { key, message, value })
}

fn read_any<'a>(
    entry: &'a [u8],
    list: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<(), Malformed> {
    let index = list.len();
    inspection.inside(
        || format!("attributes[{index}]"),
        |inspection| {
            let attribute = read_entry(entry)?;
            if !inspection.count_attribute() {
                return Ok(());
            }
            inspect_entry(&attribute, 0, FLATTEN_DEPTH_MAX, inspection)?;
            list.push(attribute);
            Ok(())
        },
    )
}

/// Reads a `KeyValue` message.
pub(crate) fn read_entry(entry: &[u8]) -> Result<Attribute<'_>, Malformed> {
    let mut attribute = Attribute { key: &[], message: &[], value: Value::Absent };
    let mut reader = Reader::new(entry);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(key)) => attribute.key = key,
            (2, Field::Bytes(message)) if attribute.value != Value::Absent => {
                return Err(Malformed::at(message, SEVERAL_PIECES));
            }
            (2, Field::Bytes(message)) => {
                attribute.message = message;
                attribute.value = read_value(message).map_err(|malformed| malformed.within("value"))?;
            }
            (number, _) => reader.pass_unknown(number, 1..=2)?,
        }
    }
    Ok(attribute)
}

/// Reads an `AnyValue` message. Of several values the last counts, as protobuf says of a oneof.
pub(crate) fn read_value(message: &[u8]) -> Result<Value<'_>, Malformed> {
    let mut value = Value::Empty;
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(text)) => value = Value::Text(text),
            (2, Field::Varint(bit)) => value = Value::Bool(bit != 0),
            (3, Field::Varint(bits)) => value = Value::I64(bits.cast_signed()),
            (4, Field::Fixed64(bits)) => value = Value::F64(f64::from_bits(bits)),
            (5, Field::Bytes(array)) if matches!(value, Value::Array(_)) => {
                return Err(Malformed::at(array, SEVERAL_PIECES));
            }
            (6, Field::Bytes(map)) if matches!(value, Value::Map(_)) => {
                return Err(Malformed::at(map, SEVERAL_PIECES));
            }
            (5, Field::Bytes(array)) => value = Value::Array(array),
            (6, Field::Bytes(map)) => value = Value::Map(map),
            (7, Field::Bytes(bytes)) => value = Value::Bytes(bytes),
            (number, _) => reader.pass_unknown(number, 1..=7)?,
        }
    }
    Ok(value)
}

/// The `AnyValue` or `KeyValue` messages of an `ArrayValue` or `KeyValueList` message.
pub(crate) fn for_each_element<'a>(
    list: &'a [u8],
    mut element: impl FnMut(&'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(list);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(message)) => element(message)?,
            (number, _) => reader.pass_unknown(number, 1..=1)?,
        }
    }
    Ok(())
}

fn inspect_entry(
    attribute: &Attribute<'_>,
    depth: usize,
    flatten_left: usize,
    inspection: &mut Inspection,
) -> Result<(), Malformed> {
    inspection.check_size("key", attribute.key);
    inspect_value(attribute.value, attribute.message, depth, flatten_left, inspection)
}

/// Inspects a value at some depth of nesting: reads all of its framing, checks sizes and depth.
///
/// A kvlist is not held to the size of one value while `flatten_left` says that its entries become columns.
pub(crate) fn inspect_value(
    value: Value<'_>,
    message: &[u8],
    depth: usize,
    flatten_left: usize,
    inspection: &mut Inspection,
) -> Result<(), Malformed> {
    let nested = matches!(value, Value::Array(_) | Value::Map(_));
    if nested && depth + 1 >= NESTING_DEPTH_MAX {
        let message = format!("nested deeper than {NESTING_DEPTH_MAX} levels");
        inspection.refuse(ReasonCode::TooDeep, "value", message);
        return Ok(());
    }
    let is_flattened = matches!(value, Value::Map(_)) && flatten_left > 0;
    if !is_flattened {
        inspection.check_size("value", message);
    }
    match value {
        Value::Array(array) => for_each_element(array, |element| {
            let value = read_value(element)?;
            inspect_value(value, element, depth + 1, 0, inspection)
        }),
        Value::Map(map) => for_each_element(map, |entry| {
            let entry = read_entry(entry)?;
            if is_flattened && !inspection.count_attribute() {
                return Ok(());
            }
            inspect_entry(&entry, depth + 1, flatten_left.saturating_sub(1), inspection)
        }),
        _ => Ok(()),
    }
}

/// Whether all text inside a value, keys included, is UTF-8. The value must have passed the inspection.
pub(crate) fn is_all_utf8(value: Value<'_>) -> bool {
    let mut all = true;
    let walked = match value {
        Value::Text(text) => {
            all = crate::wire::is_utf8(text);
            Ok(())
        }
        Value::Array(array) => for_each_element(array, |element| {
            all &= is_all_utf8(read_value(element)?);
            Ok(())
        }),
        Value::Map(map) => for_each_element(map, |entry| {
            let entry = read_entry(entry)?;
            all &= crate::wire::is_utf8(entry.key) && is_all_utf8(entry.value);
            Ok(())
        }),
        _ => Ok(()),
    };
    all && walked.is_ok()
}
