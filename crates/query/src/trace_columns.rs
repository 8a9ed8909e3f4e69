//! A trace as columns: for traces too long to be a list of objects.
//!
//! [`TraceColumns::of_rows`] says what each column holds; an engine that reads columns itself gives the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use skein_event::ids::{EventId, parse_span_id};
use skein_event::limits::TRACE_TEXT_BYTES_MAX;
use skein_event::value::Value;

use crate::number::{Number, ValueRef};
use crate::result::{Meta, TraceRows};

/// Where a text is expected and there is none.
pub const NO_TEXT: u32 = u32::MAX;

/// A trace as columns, its events by (timestamp, `event.id`).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TraceColumns {
    /// Timestamp of each event.
    pub times_ns: Vec<i64>,
    /// Its identity.
    pub event_ids: Vec<EventId>,
    /// A column for each that was asked for, in that order.
    pub columns: Vec<TraceColumn>,
    /// What the answer is complete to.
    pub complete_to_ns: i64,
    /// How it came about.
    pub meta: Meta,
}

/// In which form a column is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TraceForm {
    /// Any value, by its canonical text.
    Text,
    /// A number.
    Number,
    /// The id of a span.
    SpanId,
}

/// A column of a trace.
#[derive(Clone, PartialEq, Debug)]
pub enum TraceColumn {
    /// Numbers of texts; [`NO_TEXT`] where there is no value.
    Text {
        /// For each event.
        codes: Vec<u32>,
        /// The texts, each once, as [`shortened`] keeps them.
        texts: Vec<Arc<str>>,
    },
    /// Doubles; NaN where there is no number.
    Number(Vec<f64>),
    /// Ids; 0, which is no valid id, where there is none.
    SpanId(Vec<u64>),
}

/// A text as it is kept: cut where a character ends, and then it says so.
pub fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= TRACE_TEXT_BYTES_MAX {
        return text.into();
    }
    let end = (0..=TRACE_TEXT_BYTES_MAX - 3).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end]).into()
}

/// Texts of a column, each with a number.
#[derive(Default)]
pub struct Texts {
    /// The number of each event's text.
    pub codes: Vec<u32>,
    /// The texts.
    pub texts: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32>,
    bytes: usize,
}

impl Texts {
    /// The number of a text.
    pub fn code(&mut self, text: &str) -> u32 {
        let cut = shortened(text);
        if let Some(&code) = self.known.get(&*cut) {
            return code;
        }
        let text: Arc<str> = Arc::from(cut);
        let code = u32::try_from(self.texts.len()).unwrap_or(NO_TEXT);
        // The text with its counts, the entry of the list and that of the table.
        self.bytes += text.len() + 80;
        self.texts.push(Arc::clone(&text));
        self.known.insert(text, code);
        code
    }

    /// Bytes that the texts take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl TraceColumns {
    /// The columns of some rows.
    pub fn of_rows(trace: TraceRows, columns: &[(&str, TraceForm)]) -> TraceColumns {
        let TraceRows { mut rows, complete_to_ns, meta, .. } = trace;
        rows.sort_unstable_by_key(|row| (row.time_ns, row.event_id));
        let column = |&(name, form): &(&str, TraceForm)| {
            let values = rows.iter().map(|row| row.get(name));
            match form {
                TraceForm::Text => {
                    let mut texts = Texts::default();
                    for value in values {
                        let code = value.map_or(NO_TEXT, |value| texts.code(&value.canonical_text()));
                        texts.codes.push(code);
                    }
                    TraceColumn::Text { codes: texts.codes, texts: texts.texts }
                }
                TraceForm::Number => {
                    let number = |value: &Value| ValueRef::from(value).number().map(Number::to_f64);
                    TraceColumn::Number(
                        values.map(|value| value.and_then(number).unwrap_or(f64::NAN)).collect(),
                    )
                }
                TraceForm::SpanId => {
                    let id = |value: &Value| match value {
                        Value::Text(text) => parse_span_id(text).map(u64::from_be_bytes),
                        _ => None,
                    };
                    TraceColumn::SpanId(values.map(|value| value.and_then(id).unwrap_or(0)).collect())
                }
            }
        };
        TraceColumns {
            columns: columns.iter().map(column).collect(),
            times_ns: rows.iter().map(|row| row.time_ns).collect(),
            event_ids: rows.iter().map(|row| row.event_id).collect(),
            complete_to_ns,
            meta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_where_a_character_ends_and_says_so() {
        let fits = "x".repeat(TRACE_TEXT_BYTES_MAX);
        assert_eq!(shortened(&fits), fits);
        let long = "ü".repeat(TRACE_TEXT_BYTES_MAX);
        let cut = shortened(&long);
        assert!(cut.len() <= TRACE_TEXT_BYTES_MAX && cut.ends_with("ü…"), "{cut}");
    }
}
