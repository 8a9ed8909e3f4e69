//! Reads metric data points of all five kinds.
//!
//! A number is a number. A histogram, exponential histogram or summary becomes one json value: a kvlist with
//! the names of the protocol's fields (`count`, `sum`, `min`, `max`, `bucket_counts`, `explicit_bounds`,
//! `scale`, `zero_count`, `zero_threshold`, `positive` and `negative` with `offset` and `bucket_counts`,
//! `quantile_values` with `quantile` and `value`), so that the export can build the point again. Doubles
//! are there when they came (so that −0 is not lost), integers when they are not 0. Unsigned numbers are i64 of the same bits.
//!
//! Exemplars are an array of kvlists: `filtered_attributes` (a kvlist as it came), `time_unix_nano`, `value`
//! (integer or double), `span_id` and `trace_id` in hex.

use skein_event::ids::encode_hex;

use crate::any_value::{array, double, integer, kvlist, push_bytes_field, push_element, push_entry, text};
use crate::attribute::{Attribute, Inspection, read_attribute};
use crate::wire::{Field, Malformed, Reader, SEVERAL_PIECES, as_sint32, as_u32};

/// The kinds of metric data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) enum PointKind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl PointKind {
    /// The field of `Metric` that holds this kind.
    pub(crate) fn from_field(number: u32) -> Option<PointKind> {
        match number {
            5 => Some(PointKind::Gauge),
            7 => Some(PointKind::Sum),
            9 => Some(PointKind::Histogram),
            10 => Some(PointKind::ExponentialHistogram),
            11 => Some(PointKind::Summary),
            _ => None,
        }
    }

    /// The number of that field.
    pub(crate) fn field_number(self) -> u32 {
        match self {
            PointKind::Gauge => 5,
            PointKind::Sum => 7,
            PointKind::Histogram => 9,
            PointKind::ExponentialHistogram => 10,
            PointKind::Summary => 11,
        }
    }

    /// The name of that field in OTLP/JSON.
    pub(crate) fn field_name(self) -> &'static str {
        match self {
            PointKind::Gauge => "gauge",
            PointKind::Sum => "sum",
            PointKind::Histogram => "histogram",
            PointKind::ExponentialHistogram => "exponentialHistogram",
            PointKind::Summary => "summary",
        }
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, PointKind::Gauge | PointKind::Sum)
    }

    /// Field numbers of attributes, exemplars and flags.
    fn field_numbers(self) -> (u32, u32, u32) {
        match self {
            PointKind::Gauge | PointKind::Sum => (7, 5, 8),
            PointKind::Histogram => (9, 8, 10),
            PointKind::ExponentialHistogram => (1, 11, 10),
            PointKind::Summary => (7, 0, 8),
        }
    }

    /// The highest field number of the data point message.
    fn last_field(self) -> u32 {
        match self {
            PointKind::Gauge | PointKind::Sum | PointKind::Summary => 8,
            PointKind::Histogram => 12,
            PointKind::ExponentialHistogram => 14,
        }
    }
}

/// The value of a data point.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum PointValue {
    /// No recorded value.
    #[default]
    None,
    I64(i64),
    F64(f64),
    /// The `AnyValue` message of a histogram or summary.
    Json(Vec<u8>),
}

/// A data point.
#[derive(Debug, Default)]
pub(crate) struct Point {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) flags: u32,
    pub(crate) value: PointValue,
    /// Elements of the array of exemplars.
    pub(crate) exemplars: Vec<u8>,
    pub(crate) count: u64,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// Parts of a histogram that only its json value has.
#[derive(Default)]
struct Parts {
    scale: i32,
    zero_count: u64,
    zero_threshold: Option<f64>,
    bucket_counts: Vec<u8>,
    explicit_bounds: Vec<u8>,
    positive: Option<Vec<u8>>,
    negative: Option<Vec<u8>>,
    quantile_values: Vec<u8>,
}

/// Reads a data point; its attributes go into `attributes`.
pub(crate) fn read_point<'a>(
    kind: PointKind,
    message: &'a [u8],
    attributes: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<Point, Malformed> {
    attributes.clear();
    let (attributes_field, exemplars_field, flags_field) = kind.field_numbers();
    let mut point = Point::default();
    let mut parts = Parts::default();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match field {
            Field::Bytes(entry) if number == attributes_field => {
                read_attribute(entry, attributes, inspection)?;
            }
            Field::Bytes(exemplar) if number == exemplars_field => {
                let value = read_exemplar(exemplar, inspection).map_err(|m| m.within("exemplars"))?;
                push_element(&mut point.exemplars, &value);
            }
            Field::Varint(flags) if number == flags_field => point.flags = as_u32(flags),
            Field::Fixed64(time) if number == 2 => point.start = time,
            Field::Fixed64(time) if number == 3 => point.time = time,
            field => {
                let known = if kind.is_number() {
                    read_number(number, field, &mut point)
                } else {
                    read_part(kind, number, field, &mut point, &mut parts)?
                };
                if !known {
                    reader.pass_unknown(number, 1..=kind.last_field())?;
                }
            }
        }
    }
    if !kind.is_number() {
        point.value = PointValue::Json(json(&point, &parts));
    }
    Ok(point)
}

fn read_number(number: u32, field: Field<'_>, point: &mut Point) -> bool {
    match (number, field) {
        (4, Field::Fixed64(bits)) => point.value = PointValue::F64(f64::from_bits(bits)),
        (6, Field::Fixed64(bits)) => point.value = PointValue::I64(bits.cast_signed()),
        // Field 1 held labels in old drafts.
        (1, _) => {}
        _ => return false,
    }
    true
}

/// Reads a field of a histogram or summary; false when it is none of them.
fn read_part(
    kind: PointKind,
    number: u32,
    field: Field<'_>,
    point: &mut Point,
    parts: &mut Parts,
) -> Result<bool, Malformed> {
    use PointKind::{ExponentialHistogram, Histogram, Summary};
    match (kind, number, field) {
        (_, 4, Field::Fixed64(count)) => point.count = count,
        (_, 5, Field::Fixed64(bits)) => point.sum = Some(f64::from_bits(bits)),
        (Histogram, 6, field) => {
            return fixed64s(field, |bits| push_element(&mut parts.bucket_counts, &unsigned(bits)));
        }
        (Histogram, 7, field) => {
            let bound = |bits| push_element(&mut parts.explicit_bounds, &double(f64::from_bits(bits)));
            return fixed64s(field, bound);
        }
        (Histogram, 11, Field::Fixed64(bits)) | (ExponentialHistogram, 12, Field::Fixed64(bits)) => {
            point.min = Some(f64::from_bits(bits));
        }
        (Histogram, 12, Field::Fixed64(bits)) | (ExponentialHistogram, 13, Field::Fixed64(bits)) => {
            point.max = Some(f64::from_bits(bits));
        }
        (ExponentialHistogram, 6, Field::Varint(scale)) => parts.scale = as_sint32(scale),
        (ExponentialHistogram, 7, Field::Fixed64(count)) => parts.zero_count = count,
        (ExponentialHistogram, 8, Field::Bytes(buckets)) if parts.positive.is_some() => {
            return Err(Malformed::at(buckets, SEVERAL_PIECES));
        }
        (ExponentialHistogram, 9, Field::Bytes(buckets)) if parts.negative.is_some() => {
            return Err(Malformed::at(buckets, SEVERAL_PIECES));
        }
        (ExponentialHistogram, 8, Field::Bytes(buckets)) => parts.positive = Some(read_buckets(buckets)?),
        (ExponentialHistogram, 9, Field::Bytes(buckets)) => parts.negative = Some(read_buckets(buckets)?),
        (ExponentialHistogram, 14, Field::Fixed64(bits)) => parts.zero_threshold = Some(f64::from_bits(bits)),
        (Summary, 6, Field::Bytes(quantile)) => {
            push_element(&mut parts.quantile_values, &read_quantile(quantile)?);
        }
        // Fields that held labels or were reserved in old drafts.
        (Histogram | Summary, 1, _) => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// A repeated fixed64 or double, packed or not.
fn fixed64s(field: Field<'_>, mut value: impl FnMut(u64)) -> Result<bool, Malformed> {
    match field {
        Field::Fixed64(bits) => value(bits),
        Field::Bytes(packed) => {
            let mut reader = Reader::new(packed);
            while !reader.is_empty() {
                value(reader.fixed64()?);
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_buckets(message: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut offset = 0;
    let mut counts = Vec::new();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Varint(bits)) => offset = as_sint32(bits),
            (2, Field::Varint(count)) => push_element(&mut counts, &unsigned(count)),
            (2, Field::Bytes(packed)) => {
                let mut packed = Reader::new(packed);
                while !packed.is_empty() {
                    push_element(&mut counts, &unsigned(packed.varint()?));
                }
            }
            (number, _) => reader.pass_unknown(number, 1..=2)?,
        }
    }
    let mut entries = Vec::new();
    if offset != 0 {
        push_entry(&mut entries, b"offset", &integer(i64::from(offset)));
    }
    push_list(&mut entries, "bucket_counts", &counts);
    Ok(kvlist(&entries))
}

fn read_quantile(message: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut entries = Vec::new();
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Fixed64(bits)) => push_entry(&mut entries, b"quantile", &double(f64::from_bits(bits))),
            (2, Field::Fixed64(bits)) => push_entry(&mut entries, b"value", &double(f64::from_bits(bits))),
            (number, _) => reader.pass_unknown(number, 1..=2)?,
        }
    }
    Ok(kvlist(&entries))
}

fn read_exemplar(message: &[u8], inspection: &mut Inspection) -> Result<Vec<u8>, Malformed> {
    let mut attributes = Vec::new();
    let mut filtered = Vec::new();
    let mut entries = Vec::new();
    let mut value = None;
    let (mut time, mut trace_id, mut span_id): (u64, &[u8], &[u8]) = (0, &[], &[]);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.next()? {
        match field {
            (7, Field::Bytes(entry)) => {
                read_attribute(entry, &mut attributes, inspection)?;
                push_bytes_field(&mut filtered, 1, entry);
            }
            (2, Field::Fixed64(bits)) => time = bits,
            (3, Field::Fixed64(bits)) => value = Some(double(f64::from_bits(bits))),
            (6, Field::Fixed64(bits)) => value = Some(integer(bits.cast_signed())),
            (4, Field::Bytes(id)) => span_id = id,
            (5, Field::Bytes(id)) => trace_id = id,
            (1, _) => {} // labels of old drafts
            (number, _) => reader.pass_unknown(number, 1..=7)?,
        }
    }
    if !filtered.is_empty() {
        push_entry(&mut entries, b"filtered_attributes", &kvlist(&filtered));
    }
    if time != 0 {
        push_entry(&mut entries, b"time_unix_nano", &unsigned(time));
    }
    if let Some(value) = value {
        push_entry(&mut entries, b"value", &value);
    }
    for (key, id) in [("span_id", span_id), ("trace_id", trace_id)] {
        if !id.is_empty() {
            push_entry(&mut entries, key.as_bytes(), &text(encode_hex(id).as_bytes()));
        }
    }
    Ok(kvlist(&entries))
}

fn json(point: &Point, parts: &Parts) -> Vec<u8> {
    let mut entries = Vec::new();
    push_nonzero(&mut entries, "count", point.count);
    for (key, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
        if let Some(value) = value {
            push_entry(&mut entries, key.as_bytes(), &double(value));
        }
    }
    push_list(&mut entries, "bucket_counts", &parts.bucket_counts);
    push_list(&mut entries, "explicit_bounds", &parts.explicit_bounds);
    if parts.scale != 0 {
        push_entry(&mut entries, b"scale", &integer(i64::from(parts.scale)));
    }
    push_nonzero(&mut entries, "zero_count", parts.zero_count);
    if let Some(threshold) = parts.zero_threshold {
        push_entry(&mut entries, b"zero_threshold", &double(threshold));
    }
    for (key, buckets) in [("positive", &parts.positive), ("negative", &parts.negative)] {
        if let Some(buckets) = buckets {
            push_entry(&mut entries, key.as_bytes(), buckets);
        }
    }
    push_list(&mut entries, "quantile_values", &parts.quantile_values);
    kvlist(&entries)
}

fn push_nonzero(entries: &mut Vec<u8>, key: &str, value: u64) {
    if value != 0 {
        push_entry(entries, key.as_bytes(), &unsigned(value));
    }
}

fn push_list(entries: &mut Vec<u8>, key: &str, elements: &[u8]) {
    if !elements.is_empty() {
        push_entry(entries, key.as_bytes(), &array(elements));
    }
}

fn unsigned(bits: u64) -> Vec<u8> {
    integer(bits.cast_signed())
}
