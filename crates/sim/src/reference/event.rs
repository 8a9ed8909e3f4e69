//! An event as a map: the form that the rest of Skein avoids and that is easiest to believe.

use std::collections::BTreeMap;

use skein_event::value::Value;

use crate::random::data::{BAD_TEXT, wire_bytes};

/// Where a value of an event comes from, in the order in which equal names hide each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// A column with a fixed meaning.
    Fixed,
    /// An attribute of the record itself.
    Item,
    /// A metric's value.
    Metric,
    /// A field of a JSON log body.
    Body,
    /// Computed by Skein.
    Derived,
    /// An attribute of the instrumentation scope.
    Scope,
    /// An attribute of the resource.
    Resource,
}

impl Place {
    /// The places of attributes, in the order in which equal names hide each other.
    pub const ATTRIBUTES: [Place; 6] =
        [Place::Item, Place::Metric, Place::Body, Place::Derived, Place::Scope, Place::Resource];
}

/// One event.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// `timestamp`, epoch nanoseconds.
    pub time_ns: i64,
    /// Every value it has, by place and name.
    values: BTreeMap<Place, BTreeMap<String, Value>>,
    /// The calculated fields of the question at hand; one that is null hides a column of its name all the same.
    pub calculated: BTreeMap<String, Option<Value>>,
}

impl Event {
    /// An event without a value.
    pub fn new(time_ns: i64) -> Event {
        Event { time_ns, values: BTreeMap::new(), calculated: BTreeMap::new() }
    }

    /// Every value, in the order of places and names.
    pub fn values(&self) -> impl Iterator<Item = (Place, &String, &Value)> {
        self.values
            .iter()
            .flat_map(|(place, values)| values.iter().map(move |(name, value)| (*place, name, value)))
    }

    /// Sets a column with a fixed meaning.
    pub fn fix(&mut self, name: &str, value: Value) {
        self.values.entry(Place::Fixed).or_default().insert(name.to_owned(), value);
    }

    /// Takes a column with a fixed meaning away.
    pub fn unfix(&mut self, name: &str) {
        self.values.entry(Place::Fixed).or_default().remove(name);
    }

    /// Sets a fixed text, unless it is empty: protobuf does not tell empty from absent. Text that is not UTF-8
    /// is bytes, and flagged.
    pub fn fix_text(&mut self, name: &str, text: &str) {
        if text.contains(BAD_TEXT) {
            self.fix(name, Value::Bytes(wire_bytes(text.as_bytes())));
            self.fix("meta.invalid_utf8", Value::Bool(true));
        } else if !text.is_empty() {
            self.fix(name, Value::Text(text.to_owned()));
        }
    }

    /// Adds an attribute; of a key that came twice the first counts.
    pub fn add(&mut self, place: Place, name: &str, value: Value) {
        self.values.entry(place).or_default().entry(name.to_owned()).or_insert(value);
    }

    /// The value of one place.
    pub fn at(&self, place: Place, name: &str) -> Option<&Value> {
        self.values.get(&place)?.get(name)
    }

    /// A fixed text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.at(Place::Fixed, name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// How many events this one stands for.
    pub fn weight(&self) -> f64 {
        match self.at(Place::Fixed, "sample_rate") {
            Some(Value::F64(rate)) => *rate,
            _ => 1.0,
        }
    }
}
