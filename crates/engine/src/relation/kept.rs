//! Values of events that are remembered beyond their segment.

use std::collections::HashMap;

use skein_event::value::Value;
use skein_query::number::{Type, ValueRef};

/// A remembered value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kept {
    Bool(bool),
    I64(i64),
    F64(f64),
    /// Text, bytes or json, by its place in [`Texts`].
    Other(u32),
}

/// The values of a table that are no numbers, each once.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    places: HashMap<(Type, Box<[u8]>), u32>,
    values: Vec<Value>,
    heap_bytes: usize,
}

impl Texts {
    pub(crate) fn keep(&mut self, value: ValueRef<'_>) -> Kept {
        let bytes = match value {
            ValueRef::Bool(value) => return Kept::Bool(value),
            ValueRef::I64(value) => return Kept::I64(value),
            ValueRef::F64(value) => return Kept::F64(value),
            ValueRef::Text(text) => text.as_bytes(),
            ValueRef::Bytes(bytes) | ValueRef::Json(bytes) => bytes,
        };
        let key = (value.value_type(), Box::from(bytes));
        if let Some(&place) = self.places.get(&key) {
            return Kept::Other(place);
        }
        let place = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.heap_bytes += 2 * bytes.len() + 128;
        self.values.push(value.to_value());
        self.places.insert(key, place);
        Kept::Other(place)
    }

    pub(crate) fn value(&self, kept: Kept) -> Option<ValueRef<'_>> {
        Some(match kept {
            Kept::Bool(value) => ValueRef::Bool(value),
            Kept::I64(value) => ValueRef::I64(value),
            Kept::F64(value) => ValueRef::F64(value),
            Kept::Other(place) => ValueRef::from(self.values.get(place as usize)?),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}
