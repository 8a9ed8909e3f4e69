//! What the simulated services tell about themselves: spans, log records and metric points, in plain types.
//! The simulation knows nothing of a wire format; [`crate::export`] turns these into OTLP.

use std::borrow::Cow;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text.
    Text(Cow<'static, str>),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl From<&'static str> for Attribute {
    fn from(value: &'static str) -> Attribute {
        Attribute::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Attribute {
    fn from(value: String) -> Attribute {
        Attribute::Text(Cow::Owned(value))
    }
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Attribute {
        Attribute::Int(value)
    }
}

impl From<usize> for Attribute {
    fn from(value: usize) -> Attribute {
        Attribute::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Attribute {
    fn from(value: f64) -> Attribute {
        Attribute::Float(value)
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Attribute {
        Attribute::Bool(value)
    }
}

/// Attributes in the order they were set.
pub type Attributes = Vec<(&'static str, Attribute)>;

/// A running copy of a service: what OTLP calls a resource. A deploy makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// `service.name`.
    pub service: &'static str,
    /// Everything that describes it, `service.name` first.
    pub attributes: Attributes,
}

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Serves a call.
    Server,
    /// Makes a call.
    Client,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// Index into the instances.
    pub instance: usize,
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// Its parent; `None` at the root.
    pub parent_span_id: Option<[u8; 8]>,
    /// The operation.
    pub name: Cow<'static, str>,
    /// Which side.
    pub kind: Kind,
    /// Epoch nanoseconds.
    pub start_ns: i64,
    /// Epoch nanoseconds.
    pub end_ns: i64,
    /// Attributes.
    pub attributes: Attributes,
    /// Why it failed, if it did.
    pub error: Option<Cow<'static, str>>,
    /// Things that happened at one moment of it.
    pub events: Vec<SpanEvent>,
}

/// Something that happened at one moment of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanEvent {
    /// Epoch nanoseconds.
    pub time_ns: i64,
    /// Its name.
    pub name: &'static str,
    /// Attributes.
    pub attributes: Attributes,
}

/// How grave a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// As expected.
    Info,
    /// Odd.
    Warn,
    /// Failed.
    Error,
}

impl Severity {
    /// `severityText`.
    pub fn text(self) -> &'static str {
        match self {
            Severity::Info => "INFO",
            Severity::Warn => "WARN",
            Severity::Error => "ERROR",
        }
    }

    /// `severityNumber`.
    pub fn number(self) -> i32 {
        match self {
            Severity::Info => 9,
            Severity::Warn => 13,
            Severity::Error => 17,
        }
    }
}

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// Index into the instances.
    pub instance: usize,
    /// Trace and span, where the service's logger knows them.
    pub context: Option<([u8; 16], [u8; 8])>,
    /// Epoch nanoseconds.
    pub time_ns: i64,
    /// How grave.
    pub severity: Severity,
    /// A line of text, or a JSON object as text.
    pub body: String,
    /// Attributes.
    pub attributes: Attributes,
}

/// What a metric point measures.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A value of this moment.
    Gauge(f64),
    /// A count since the instance started.
    Counter(i64),
    /// Durations in milliseconds since the instance started, counted per bucket.
    Histogram {
        /// Upper bounds, one fewer than counts.
        bounds: &'static [f64],
        /// Counts per bucket.
        counts: Vec<u64>,
        /// Their sum.
        sum: f64,
    },
}

/// A metric point.
#[derive(Clone, Debug, PartialEq)]
pub struct PointRecord {
    /// Index into the instances.
    pub instance: usize,
    /// The metric.
    pub name: &'static str,
    /// Its unit, in UCUM.
    pub unit: &'static str,
    /// When the instance started, epoch nanoseconds.
    pub start_ns: i64,
    /// Epoch nanoseconds.
    pub time_ns: i64,
    /// Attributes.
    pub attributes: Attributes,
    /// The value.
    pub measure: Measure,
}

/// One piece of telemetry.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A finished span.
    Span(Box<SpanRecord>),
    /// A log record.
    Log(Box<LogRecord>),
    /// A metric point.
    Point(Box<PointRecord>),
}

/// Writes attributes as a JSON object, for services that log that way.
pub(crate) fn json_object(fields: &[(&str, Attribute)]) -> String {
    let mut text = String::from("{");
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_json_text(&mut text, name);
        text.push(':');
        match value {
            Attribute::Text(value) => push_json_text(&mut text, value),
            Attribute::Int(value) => text.push_str(&value.to_string()),
            Attribute::Float(value) if value.is_finite() => text.push_str(&value.to_string()),
            Attribute::Float(_) => text.push_str("null"),
            Attribute::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        }
    }
    text.push('}');
    text
}

fn push_json_text(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped() {
        let fields = [
            ("a\"b", Attribute::from("line\nbreak\u{1}\\")),
            ("n", Attribute::Float(f64::NAN)),
            ("b", true.into()),
        ];
        assert_eq!(json_object(&fields), r#"{"a\"b":"line\nbreak\u0001\\","n":null,"b":true}"#);
    }
}
