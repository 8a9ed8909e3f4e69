//! From JSON text to protobuf, field by field as the schema says.
//!
//! A wrong field rejects the innermost *unit* around it: the record, or the metric, scope or resource whose
//! own field it is. The unit's bytes are taken back, its records counted, and reading goes on behind it.

use std::borrow::Cow;
use std::fmt::Write as _;

use skein_event::limits::{NESTING_DEPTH_MAX, REJECTIONS_PER_REQUEST_MAX};
use skein_event::rejection::{ReasonCode, Rejection};

use super::cursor::{Cursor, Type, unescape};
use super::number;
use super::rebase::DroppedFrom;
use super::schema::{Cardinality, Field, Kind, Role, Schema};
use super::syntax::malformed;
use crate::door::Rejected;
use crate::error::DoorError;

/// What became of the text.
#[derive(Debug)]
pub(super) struct Transcoded {
    pub(super) protobuf: Vec<u8>,
    pub(super) rejected: Rejected,
    /// What is missing in `protobuf`, as far as rejections are kept.
    pub(super) dropped: Vec<DroppedFrom>,
}

/// Transcodes well-formed JSON text.
pub(super) fn transcode(text: &str, schema: &'static Schema) -> Result<Transcoded, DoorError> {
    let mut transcoder = Transcoder {
        cursor: Cursor::new(text),
        out: Vec::with_capacity(text.len() / 2),
        path: Vec::new(),
        depth: 0,
        rejected: Rejected::default(),
        dropped: Vec::new(),
    };
    match transcoder.message(schema) {
        Ok(()) => Ok(Transcoded {
            protobuf: transcoder.out,
            rejected: transcoder.rejected,
            dropped: transcoder.dropped,
        }),
        Err(fault) => {
            let mut error = malformed(text.as_bytes(), transcoder.cursor.offset(), &fault.message);
            if !fault.path.is_empty() {
                error.path = fault.path;
            }
            Err(error)
        }
    }
}

/// Why a unit is rejected.
#[derive(Debug)]
struct Fault {
    reason: ReasonCode,
    path: String,
    message: String,
}

/// A step of the path to the value being read.
#[derive(Clone, Copy, Debug)]
struct Step {
    key: &'static str,
    /// Its place in the list: in the text, and among those written.
    index: Option<(u32, u32)>,
}

struct Transcoder<'a> {
    cursor: Cursor<'a>,
    out: Vec<u8>,
    path: Vec<Step>,
    /// Levels of `AnyValue` that are open.
    depth: usize,
    rejected: Rejected,
    dropped: Vec<DroppedFrom>,
}

type Outcome = Result<(), Box<Fault>>;

impl<'a> Transcoder<'a> {
    // === messages ===

    fn message(&mut self, schema: &'static Schema) -> Outcome {
        self.expect(Type::Object)?;
        self.cursor.enter();
        let start = self.out.len();
        let mut last_number = 0;
        let mut in_order = true;
        while let Some(raw_key) = self.cursor.next_key() {
            // A key with half a surrogate pair is an unknown one.
            let key = unescape(raw_key).unwrap_or(Cow::Borrowed(""));
            let field = schema.field(&key);
            match field {
                Some(field) if self.cursor.peek() != Type::Null => {
                    in_order &= field.number > last_number;
                    last_number = field.number;
                    self.path.push(Step { key: field.key, index: None });
                    self.field(field)?;
                    self.path.pop();
                }
                _ => self.cursor.skip(),
            }
        }
        if schema.role == Role::Entry && !in_order {
            let sorted = sort_entry(self.out.get(start..).unwrap_or_default());
            self.out.truncate(start);
            self.out.extend_from_slice(&sorted);
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field) -> Outcome {
        match field.cardinality {
            Cardinality::Implicit => self.single(field, false),
            Cardinality::Explicit => self.single(field, true),
            Cardinality::List => self.list(field),
            Cardinality::Packed => self.packed(field),
            Cardinality::Units => self.units(field),
        }
    }

    fn list(&mut self, field: &'static Field) -> Outcome {
        self.expect(Type::Array)?;
        self.cursor.enter();
        let mut index = 0;
        while self.cursor.next_element() {
            self.set_index(index, index);
            self.single(field, true)?;
            index += 1;
        }
        Ok(())
    }

    fn packed(&mut self, field: &'static Field) -> Outcome {
        self.expect(Type::Array)?;
        self.cursor.enter();
        let start = self.open(field.number);
        let before = self.out.len();
        let mut index = 0;
        while self.cursor.next_element() {
            self.set_index(index, index);
            let number = self.number(field.kind)?;
            self.write_number(field.kind, number);
            index += 1;
        }
        if self.out.len() == before {
            self.out.truncate(start.tag);
            return Ok(());
        }
        self.close(start);
        Ok(())
    }

    /// A list whose elements are rejected alone.
    fn units(&mut self, field: &'static Field) -> Outcome {
        let Kind::Message(schema) = field.kind else { return self.list(field) };
        self.expect(Type::Array)?;
        self.cursor.enter();
        let (mut index, mut written) = (0, 0);
        let steps = self.path.len();
        while self.cursor.next_element() {
            self.set_index(index, written);
            let begin = self.cursor;
            let length = self.out.len();
            let kept = (self.rejected.kept.len(), self.rejected.counts.clone(), self.dropped.len());
            match self.single(field, true) {
                Ok(()) => written += 1,
                Err(fault) => {
                    // What was rejected inside counts with the whole.
                    self.rejected.kept.truncate(kept.0);
                    self.rejected.counts = kept.1;
                    self.dropped.truncate(kept.2);
                    self.out.truncate(length);
                    self.path.truncate(steps);
                    self.depth = 0;
                    self.cursor = begin;
                    let records = count_records(&mut self.cursor, schema).max(1);
                    self.drop_unit(*fault, index, records);
                }
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn drop_unit(&mut self, fault: Fault, index: u32, records: u64) {
        let reason = fault.reason;
        match self.rejected.counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += records,
            None => self.rejected.counts.push((reason, records)),
        }
        if self.rejected.kept.len() >= REJECTIONS_PER_REQUEST_MAX {
            return;
        }
        self.rejected.kept.push(Rejection { reason, path: fault.path, message: fault.message });
        let list = path_text(&self.path, |_, written| written, true);
        match self.dropped.iter_mut().find(|entry| entry.list == list) {
            Some(entry) => entry.indices.push(index),
            None => self.dropped.push(DroppedFrom { list, indices: vec![index] }),
        }
    }

    // === values ===

    /// One value with its tag; a default value only where `explicit`.
    fn single(&mut self, field: &'static Field, explicit: bool) -> Outcome {
        match field.kind {
            Kind::Message(schema) => self.nested(field.number, schema),
            Kind::Text => {
                let text = self.text()?;
                self.write_bytes(field.number, text.as_bytes(), explicit);
                Ok(())
            }
            Kind::TraceId | Kind::SpanId => {
                let bytes = self.id(field.kind)?;
                self.write_bytes(field.number, &bytes, explicit);
                Ok(())
            }
            Kind::Base64 => {
                let text = self.text()?;
                let bytes = number::base64(&text).ok_or_else(|| self.fault("is not base64"))?;
                self.write_bytes(field.number, &bytes, explicit);
                Ok(())
            }
            kind => {
                let number = self.number(kind)?;
                if explicit || !number.is_default() {
                    self.write_tag(field.number, wire_type(kind));
                    self.write_number(kind, number);
                }
                Ok(())
            }
        }
    }

    fn nested(&mut self, number: u32, schema: &'static Schema) -> Outcome {
        let is_value = schema.role == Role::Value;
        if is_value {
            self.depth += 1;
            // A scalar may lie below the deepest array or kvlist; the protobuf door judges what lies between.
            if self.depth > NESTING_DEPTH_MAX + 1 {
                let message = format!("is nested deeper than {NESTING_DEPTH_MAX} levels");
                return Err(self.fault_with(ReasonCode::TooDeep, &message));
            }
        }
        let place = self.open(number);
        self.message(schema)?;
        self.close(place);
        if is_value {
            self.depth -= 1;
        }
        Ok(())
    }

    fn text(&mut self) -> Result<Cow<'a, str>, Box<Fault>> {
        self.expect(Type::String)?;
        let raw = self.cursor.raw_string();
        unescape(raw).ok_or_else(|| self.fault("has an escape that is half of a surrogate pair"))
    }

    fn id(&mut self, kind: Kind) -> Result<Vec<u8>, Box<Fault>> {
        let (reason, name) = match kind {
            Kind::TraceId => (ReasonCode::InvalidTraceId, "trace id"),
            _ => (ReasonCode::InvalidSpanId, "span id"),
        };
        if self.cursor.peek() != Type::String {
            let found = self.cursor.peek().name();
            return Err(self.fault_with(reason, &format!("is {found}, and a {name} is text of hex digits")));
        }
        let text = self.text()?;
        number::hex(&text)
            .ok_or_else(|| self.fault_with(reason, &format!("is not a {name}: expected pairs of hex digits")))
    }

    fn number(&mut self, kind: Kind) -> Result<Number, Box<Fault>> {
        match kind {
            Kind::Boolean => {
                self.expect(Type::Boolean)?;
                Ok(Number::Varint(u64::from(self.cursor.raw_word() == "true")))
            }
            Kind::Double => {
                let value = match self.cursor.peek() {
                    Type::Number => number::double(self.cursor.raw_word()),
                    Type::String => number::double_in_text(&self.text()?),
                    found => return Err(self.wrong_type(found, "a number")),
                };
                value.map(Number::Double).ok_or_else(|| self.fault("is not a double"))
            }
            Kind::Enumeration(names) => self.enumeration(names),
            kind => self.integer(kind),
        }
    }

    fn enumeration(&mut self, names: &'static [&'static str]) -> Result<Number, Box<Fault>> {
        let value = match self.cursor.peek() {
            Type::Number => {
                number::integer(self.cursor.raw_word()).and_then(|value| i32::try_from(value).ok())
            }
            Type::String => {
                let text = self.text()?;
                names.iter().position(|name| *name == text).and_then(|place| i32::try_from(place).ok())
            }
            found => return Err(self.wrong_type(found, "the number of an enumeration")),
        };
        let value = value.ok_or_else(|| self.fault("is neither a number nor a name of the enumeration"))?;
        Ok(Number::Varint(i64::from(value).cast_unsigned()))
    }

    fn integer(&mut self, kind: Kind) -> Result<Number, Box<Fault>> {
        let value = match self.cursor.peek() {
            Type::Number => number::integer(self.cursor.raw_word()),
            Type::String => number::integer(&self.text()?),
            found => return Err(self.wrong_type(found, "an integer")),
        };
        let fitted = value.and_then(|value| match kind {
            Kind::Unsigned32 => u32::try_from(value).ok().map(|value| Number::Varint(u64::from(value))),
            Kind::Fixed32 => u32::try_from(value).ok().map(Number::Fixed32),
            Kind::Zigzag32 => {
                let value = i32::try_from(value).ok()?;
                Some(Number::Varint(u64::from(((value << 1) ^ (value >> 31)).cast_unsigned())))
            }
            Kind::Signed64 => i64::try_from(value).ok().map(|value| Number::Varint(value.cast_unsigned())),
            Kind::Unsigned64 => u64::try_from(value).ok().map(Number::Varint),
            Kind::SignedFixed64 => {
                i64::try_from(value).ok().map(|value| Number::Fixed64(value.cast_unsigned()))
            }
            _ => match u64::try_from(value) {
                Ok(value) => Some(Number::Fixed64(value)),
                Err(_) => i64::try_from(value).ok().map(|value| Number::Fixed64(value.cast_unsigned())),
            },
        });
        fitted.ok_or_else(|| self.fault("is not an integer of the field's range"))
    }

    // === faults ===

    fn expect(&mut self, expected: Type) -> Outcome {
        let found = self.cursor.peek();
        if found == expected { Ok(()) } else { Err(self.wrong_type(found, expected.name())) }
    }

    fn wrong_type(&self, found: Type, expected: &str) -> Box<Fault> {
        self.fault(&format!("is {}, expected {expected}", found.name()))
    }

    fn fault(&self, what: &str) -> Box<Fault> {
        self.fault_with(ReasonCode::InvalidField, what)
    }

    fn fault_with(&self, reason: ReasonCode, what: &str) -> Box<Fault> {
        let path = path_text(&self.path, |index, _| index, false);
        let subject = self.path.last().map_or("the document", |step| step.key);
        Box::new(Fault { reason, path, message: format!("{subject} {what}") })
    }

    fn set_index(&mut self, index: u32, written: u32) {
        if let Some(step) = self.path.last_mut() {
            step.index = Some((index, written));
        }
    }

    // === writing ===

    /// Begins a message whose length is not known yet.
    fn open(&mut self, number: u32) -> Opened {
        let tag = self.out.len();
        self.write_tag(number, 2);
        self.out.push(0);
        Opened { tag, body: self.out.len() }
    }

    /// Writes the length of a message that ends here. The usual one is below 128 bytes and moves nothing.
    fn close(&mut self, opened: Opened) {
        let length = self.out.len() - opened.body;
        let slot = self.out.get_mut(opened.body - 1);
        if let (Ok(short @ 0..0x80), Some(slot)) = (u8::try_from(length), slot) {
            *slot = short;
            return;
        }
        let mut prefix = Vec::with_capacity(10);
        push_varint(&mut prefix, length as u64);
        self.out.splice(opened.body - 1..opened.body, prefix);
    }

    fn write_tag(&mut self, number: u32, wire_type: u32) {
        push_varint(&mut self.out, u64::from(number << 3 | wire_type));
    }

    fn write_bytes(&mut self, number: u32, bytes: &[u8], explicit: bool) {
        if explicit || !bytes.is_empty() {
            self.write_tag(number, 2);
            push_varint(&mut self.out, bytes.len() as u64);
            self.out.extend_from_slice(bytes);
        }
    }

    fn write_number(&mut self, kind: Kind, number: Number) {
        match (kind, number) {
            (_, Number::Varint(value)) => push_varint(&mut self.out, value),
            (_, Number::Fixed32(value)) => self.out.extend_from_slice(&value.to_le_bytes()),
            (_, Number::Fixed64(value)) => self.out.extend_from_slice(&value.to_le_bytes()),
            (_, Number::Double(value)) => self.out.extend_from_slice(&value.to_le_bytes()),
        }
    }
}

/// A message under construction.
#[derive(Clone, Copy, Debug)]
struct Opened {
    /// Where its tag begins.
    tag: usize,
    /// Where its first field begins, behind one byte for the length.
    body: usize,
}

/// A number in the form it has on the wire.
#[derive(Clone, Copy, Debug)]
enum Number {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Double(f64),
}

impl Number {
    fn is_default(self) -> bool {
        match self {
            Number::Varint(value) | Number::Fixed64(value) => value == 0,
            Number::Fixed32(value) => value == 0,
            // By bits: −0 is no default.
            Number::Double(value) => value.to_bits() == 0,
        }
    }
}

fn wire_type(kind: Kind) -> u32 {
    match kind {
        Kind::Fixed64 | Kind::SignedFixed64 | Kind::Double => 1,
        Kind::Fixed32 => 5,
        Kind::Text | Kind::TraceId | Kind::SpanId | Kind::Base64 | Kind::Message(_) => 2,
        _ => 0,
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The fields of a `KeyValue` in the order of their numbers, each once: the last one counts.
fn sort_entry(entry: &[u8]) -> Vec<u8> {
    let (key, value) = skein_event::any_value::read_entry(entry);
    let has_value = skein_event::any_value::Fields::new(entry).any(|(number, _)| number == 2);
    let mut sorted = Vec::with_capacity(entry.len());
    for (tag, bytes, is_there) in [(10, key, !key.is_empty()), (18, value, has_value)] {
        if is_there {
            sorted.push(tag);
            push_varint(&mut sorted, bytes.len() as u64);
            sorted.extend_from_slice(bytes);
        }
    }
    sorted
}

/// The path as text; `plain_end` leaves out the index of its last step.
fn path_text(path: &[Step], index_of: impl Fn(u32, u32) -> u32, plain_end: bool) -> String {
    let mut text = String::new();
    for (place, step) in path.iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        text.push_str(step.key);
        let is_end = plain_end && place + 1 == path.len();
        if let (Some((index, written)), false) = (step.index, is_end) {
            // Writing to a String cannot fail.
            write!(text, "[{}]", index_of(index, written)).unwrap_or_default();
        }
    }
    text
}

/// Steps behind a unit and counts the records in it: itself, when it holds no units.
fn count_records(cursor: &mut Cursor<'_>, schema: &'static Schema) -> u64 {
    if !holds_units(schema) {
        cursor.skip();
        return 1;
    }
    if cursor.peek() != Type::Object {
        cursor.skip();
        return 0;
    }
    cursor.enter();
    let mut count = 0;
    while let Some(key) = cursor.next_key() {
        match schema.field(key) {
            Some(Field { kind: Kind::Message(inner), cardinality, .. })
                if holds_units(inner) || *cardinality == Cardinality::Units =>
            {
                count += count_in_field(cursor, inner, *cardinality);
            }
            _ => cursor.skip(),
        }
    }
    count
}

fn count_in_field(cursor: &mut Cursor<'_>, schema: &'static Schema, cardinality: Cardinality) -> u64 {
    if cardinality != Cardinality::Units {
        return count_records(cursor, schema);
    }
    if cursor.peek() != Type::Array {
        cursor.skip();
        return 0;
    }
    cursor.enter();
    let mut count = 0;
    while cursor.next_element() {
        count += count_records(cursor, schema);
    }
    count
}

/// Whether records lie below a message. The way down to them is at most five messages long.
fn holds_units(schema: &'static Schema) -> bool {
    schema.fields.iter().any(|field| match field.kind {
        _ if field.cardinality == Cardinality::Units => true,
        // Only a metric has its units one message further down, in `gauge` and the like.
        Kind::Message(inner) => inner.fields.iter().any(|field| field.cardinality == Cardinality::Units),
        _ => false,
    })
}
