//! Metric points: those of one request with the same resource, scope, attributes, start time and time form
//! one event; points of an equal name stay apart (SEMANTICS.md, "Numbers").
//!
//! A point is a `Point` token: its descriptor (the `Metric` message without points) and the column of its
//! value, named like the metric. Flags that are not 0 are in `<name>.flags`, exemplars in `<name>.exemplars`;
//! `.count`, `.sum`, `.min` and `.max` of histograms are derived. What does not fit so (no value, a column
//! that is taken, a name beyond the limits or one that ends like those parts) is an `InlinePoint`: the whole
//! data point message as it came. A metric without points is an event with `meta.metric.points` = 0 and one
//! empty `InlinePoint`.

use std::collections::HashMap;

use skein_event::batch::{Origin, Token, TokenKind};
use skein_event::columns::Fixed;
use skein_event::hash::HashKey;
use skein_event::limits::VALUE_BYTES_MAX;
use skein_event::rejection::ReasonCode;

use crate::any_value::{array, double, integer, push_bytes_field, push_varint_field};
use crate::attribute::{Attribute, Inspection, Value, read_attribute};
use crate::context::Contexts;
use crate::door::WarningCode;
use crate::point_value::{Point, PointKind, PointValue, read_point};
use crate::request::{Place, RecordReader, has_room, reject, reject_for_context, reject_for_rows};
use crate::rows::Rows;
use crate::shape_path::Root;
use crate::times;
use crate::wire::{Field, Malformed, Reader, SEVERAL_PIECES, is_utf8};

/// A metric whose points wait to be written.
#[derive(Debug)]
struct Metric<'a> {
    name: &'a [u8],
    name_code: u32,
    /// Dictionary code of its message without points.
    descriptor: u32,
    kind: PointKind,
    place: Place,
}

/// A point that waits to be written. Kept small: a request may have millions.
#[derive(Clone, Copy, Debug)]
struct Waiting<'a> {
    message: &'a [u8],
    /// Number of its event, by resource, scope, attributes and times.
    group: u32,
    /// How many points of its name came before it in its group: each begins an event of its own.
    occurrence: u32,
    metric: u32,
}

/// Reads metrics; [`MetricReader::finish`] writes their points.
#[derive(Debug)]
pub(crate) struct MetricReader<'a> {
    pub(crate) records: u64,
    pub(crate) records_without_time: u64,
    hash_key: HashKey,
    metrics: Vec<Metric<'a>>,
    waiting: Vec<Waiting<'a>>,
    groups: HashMap<u128, u32>,
    /// Points so far by group and name.
    occurrences: HashMap<(u32, u32), u32>,
    attributes: Vec<Attribute<'a>>,
    identity: Vec<u8>,
}

/// The fields of a `Metric` message.
#[derive(Debug, Default)]
struct Fields<'a> {
    name: &'a [u8],
    description: &'a [u8],
    unit: &'a [u8],
    metadata: Vec<&'a [u8]>,
    data: Option<(PointKind, &'a [u8])>,
}

impl<'a> RecordReader<'a> for MetricReader<'a> {
    fn read(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        place: Place,
        record: &'a [u8],
    ) -> Result<(), Malformed> {
        let mut inspection = Inspection::new();
        let fields = read_metric(record, &mut self.attributes, &mut inspection)?;
        let context_problem = &contexts.get(place.context).problem;
        if context_problem.is_some() || inspection.problem.is_some() {
            let mut points = 0_u64;
            for_each_point(&fields, |_| {
                points += 1;
                Ok(())
            })?;
            // A metric without points that cannot be stored is told about, too.
            for _ in 0..points.max(1) {
                match (context_problem, &inspection.problem) {
                    (Some(problem), _) => reject_for_context(rows, &place, problem),
                    (None, Some(problem)) => reject(rows, &place, problem),
                    (None, None) => {}
                }
            }
            return Ok(());
        }
        let descriptor = rows.builder.intern(&describe(&fields)?);
        let Some((kind, _)) = fields.data else {
            return self.write_empty(rows, contexts, place, descriptor);
        };
        let metric = u32::try_from(self.metrics.len()).unwrap_or(u32::MAX);
        let name_code = rows.builder.intern(fields.name);
        self.metrics.push(Metric { name: fields.name, name_code, descriptor, kind, place });
        let mut index = 0;
        for_each_point(&fields, |message| {
            let number = index;
            index += 1;
            let segment = || format!("{}.dataPoints[{number}]", kind.field_name());
            self.add_point(rows, kind, metric, message)
                .map_err(|malformed| malformed.within(segment()))?
                .map_or(Ok(()), |mut problem| {
                    let separator = if problem.path.is_empty() { "" } else { "." };
                    problem.path = format!("{}{separator}{}", segment(), problem.path);
                    reject(rows, &place, &problem);
                    Ok(())
                })
        })?;
        if index == 0 {
            self.metrics.pop();
            return self.write_empty(rows, contexts, place, descriptor);
        }
        Ok(())
    }
}

type PointProblem = Option<Box<crate::attribute::Problem>>;

impl<'a> MetricReader<'a> {
    pub(crate) fn new(hash_key: HashKey) -> MetricReader<'a> {
        MetricReader {
            records: 0,
            records_without_time: 0,
            hash_key,
            metrics: Vec::new(),
            waiting: Vec::new(),
            groups: HashMap::new(),
            occurrences: HashMap::new(),
            attributes: Vec::new(),
            identity: Vec::new(),
        }
    }

    /// Inspects a point and finds its event.
    fn add_point(
        &mut self,
        rows: &mut Rows,
        kind: PointKind,
        metric: u32,
        message: &'a [u8],
    ) -> Result<PointProblem, Malformed> {
        let mut inspection = Inspection::new();
        let point = read_point(kind, message, &mut self.attributes, &mut inspection)?;
        let attribute_bytes: usize = self.attributes.iter().map(|a| a.key.len() + a.message.len()).sum();
        if message.len().saturating_sub(attribute_bytes) > VALUE_BYTES_MAX {
            let size = format!("a data point of {} bytes; the limit is {VALUE_BYTES_MAX}", message.len());
            inspection.refuse(ReasonCode::ValueTooLarge, "", size);
        }
        if inspection.problem.is_some() {
            return Ok(inspection.problem);
        }
        let Some(info) = self.metrics.get(metric as usize) else { return Ok(None) };
        if !has_room(rows, self.waiting.len() + 1) {
            reject_for_rows(rows, &info.place);
            return Ok(None);
        }
        self.identity.clear();
        self.identity.extend_from_slice(&info.place.context.to_le_bytes());
        self.identity.extend_from_slice(&point.start.to_le_bytes());
        self.identity.extend_from_slice(&point.time.to_le_bytes());
        for attribute in &self.attributes {
            self.identity.extend_from_slice(&attribute.key.len().to_le_bytes());
            self.identity.extend_from_slice(attribute.key);
            self.identity.push(u8::from(attribute.value == Value::Absent));
            self.identity.extend_from_slice(&attribute.message.len().to_le_bytes());
            self.identity.extend_from_slice(attribute.message);
        }
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = *self.groups.entry(self.hash_key.digest(&self.identity)).or_insert(next);
        let count = self.occurrences.entry((group, info.name_code)).or_insert(0);
        let occurrence = *count;
        *count += 1;
        self.waiting.push(Waiting { message, group, occurrence, metric });
        self.records += 1;
        if point.time == 0 {
            self.records_without_time += 1;
        }
        Ok(None)
    }

    /// Writes the points, an event for each group.
    pub(crate) fn finish(&mut self, rows: &mut Rows, contexts: &Contexts) -> Result<(), Malformed> {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Numbers before the parts derived from histograms: a number keeps its column.
        let is_derived = |point: &Waiting<'_>| {
            self.metrics.get(point.metric as usize).is_some_and(|metric| !metric.kind.is_number())
        };
        waiting.sort_by_key(|point| (point.group, point.occurrence, is_derived(point)));
        for event in waiting.chunk_by(|a, b| (a.group, a.occurrence) == (b.group, b.occurrence)) {
            self.write_event(rows, contexts, event)?;
        }
        Ok(())
    }

    fn write_event(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        points: &[Waiting<'a>],
    ) -> Result<(), Malformed> {
        let Some(first) = points.first() else { return Ok(()) };
        let Some(metric) = self.metrics.get(first.metric as usize) else { return Ok(()) };
        let place = metric.place;
        let context = contexts.get(place.context);
        let point = read_point(metric.kind, first.message, &mut self.attributes, &mut Inspection::new())?;
        let filed = times::file(point.time, 0, rows.arrival_ns);
        let bytes = points.iter().map(|point| point.message.len()).sum();
        let row = rows.begin(&filed, context.id, bytes);
        if filed.out_of_range {
            rows.warn(WarningCode::TimeOutOfRange, || place.to_string());
        }
        rows.fixed_i64(row, Fixed::MetricPoints, i64::try_from(points.len()).unwrap_or(i64::MAX));
        rows.fixed_nonzero(row, Fixed::MetricStartTime, point.start.cast_signed());
        rows.attributes(row, Root::Point, &self.attributes);
        let mut attributes = Vec::new();
        for waiting in points {
            let Some(metric) = self.metrics.get(waiting.metric as usize) else { continue };
            let point = read_point(metric.kind, waiting.message, &mut attributes, &mut Inspection::new())?;
            write_point(rows, row, metric, &point, waiting.message);
        }
        rows.finish_list(row);
        rows.end(row, &context.rest, || place.to_string());
        Ok(())
    }

    /// A metric without points.
    fn write_empty(
        &mut self,
        rows: &mut Rows,
        contexts: &Contexts,
        place: Place,
        descriptor: u32,
    ) -> Result<(), Malformed> {
        if !has_room(rows, self.waiting.len() + 1) {
            reject_for_rows(rows, &place);
            return Ok(());
        }
        let context = contexts.get(place.context);
        let filed = times::file(0, 0, rows.arrival_ns);
        let row = rows.begin(&filed, context.id, 0);
        rows.fixed_i64(row, Fixed::MetricPoints, 0);
        rows.attributes(row, Root::Point, &[]);
        let target = rows.builder.intern(b"");
        rows.push_point(Token { kind: TokenKind::InlinePoint, key: descriptor, target });
        rows.finish_list(row);
        rows.end(row, &context.rest, || place.to_string());
        Ok(())
    }
}

/// Writes one point of an event.
fn write_point(rows: &mut Rows, row: u32, metric: &Metric<'_>, point: &Point, message: &[u8]) {
    let column = if names_a_column(metric.name) { write_value(rows, row, metric.name, point) } else { None };
    let token = match column {
        Some(target) => Token { kind: TokenKind::Point, key: metric.descriptor, target },
        None => {
            let target = rows.builder.intern(message);
            Token { kind: TokenKind::InlinePoint, key: metric.descriptor, target }
        }
    };
    rows.push_point(token);
}

/// Whether a metric's value can have a column of its name: parts of other metrics end like this.
fn names_a_column(name: &[u8]) -> bool {
    !name.is_empty() && is_utf8(name) && !name.ends_with(b".flags") && !name.ends_with(b".exemplars")
}

/// Writes a point's value and parts; the column of the value, or `None` when the point must be kept whole.
fn write_value(rows: &mut Rows, row: u32, name: &[u8], point: &Point) -> Option<u32> {
    let mut part = |suffix: &str, value: Value<'_>, message: &[u8]| {
        let name = [name, suffix.as_bytes()].concat();
        rows.derived(row, Origin::Metric, &name, value, message)
    };
    let mut is_whole = true;
    if point.flags != 0 {
        let flags = i64::from(point.flags);
        is_whole &= part(".flags", Value::I64(flags), &integer(flags)).is_some();
    }
    if !point.exemplars.is_empty() {
        let message = array(&point.exemplars);
        is_whole &= message.len() <= VALUE_BYTES_MAX;
        is_whole = is_whole && part(".exemplars", Value::Array(&point.exemplars), &message).is_some();
    }
    let column = match &point.value {
        _ if !is_whole => None,
        PointValue::None => None,
        PointValue::I64(value) => part("", Value::I64(*value), &integer(*value)),
        PointValue::F64(value) => part("", Value::F64(*value), &double(*value)),
        PointValue::Json(message) if message.len() > VALUE_BYTES_MAX => None,
        PointValue::Json(message) => part("", Value::Map(&[]), message),
    };
    if matches!(point.value, PointValue::Json(_)) {
        let count = point.count.cast_signed();
        part(".count", Value::I64(count), &integer(count));
        for (suffix, value) in [(".sum", point.sum), (".min", point.min), (".max", point.max)] {
            if let Some(value) = value {
                part(suffix, Value::F64(value), &double(value));
            }
        }
    }
    column.map(|column| column.0)
}

fn read_metric<'a>(
    message: &'a [u8],
    attributes: &mut Vec<Attribute<'a>>,
    inspection: &mut Inspection,
) -> Result<Fields<'a>, Malformed> {
    let mut fields = Fields::default();
    attributes.clear();
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => fields.name = text,
            (2, Field::Bytes(text)) => fields.description = text,
            (3, Field::Bytes(text)) => fields.unit = text,
            (12, Field::Bytes(entry)) => {
                inspection.inside(
                    || "metadata".to_owned(),
                    |inspection| read_attribute(entry, attributes, inspection),
                )?;
                fields.metadata.push(entry);
            }
            (number, Field::Bytes(data)) => match PointKind::from_field(number) {
                Some(_) if fields.data.is_some() => return Err(Malformed::at(data, SEVERAL_PIECES)),
                Some(kind) => fields.data = Some((kind, data)),
                // 4, 6 and 8 held kinds of old drafts.
                None if matches!(number, 4 | 6 | 8) => {}
                None => reader.pass_unknown(number, 1..=12)?,
            },
            (number, _) => reader.pass_unknown(number, 1..=12)?,
        }
    }
    for (path, text) in [("name", fields.name), ("description", fields.description), ("unit", fields.unit)] {
        inspection.check_size(path, text);
    }
    Ok(fields)
}

/// Calls `each` with every data point message.
fn for_each_point<'a>(
    fields: &Fields<'a>,
    mut each: impl FnMut(&'a [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let Some((kind, data)) = fields.data else { return Ok(()) };
    let mut reader = Reader::new(data);
    while let Some(field) = reader.next()? {
        match field {
            (1, Field::Bytes(point)) => each(point)?,
            // Aggregation temporality and monotonicity are part of the descriptor.
            (2 | 3, Field::Varint(_)) => {}
            (number, _) => reader.pass_unknown(number, 1..=3).map_err(|m| m.within(kind.field_name()))?,
        }
    }
    Ok(())
}

/// The `Metric` message without points.
fn describe(fields: &Fields<'_>) -> Result<Vec<u8>, Malformed> {
    let mut message = Vec::new();
    for (number, text) in [(1, fields.name), (2, fields.description), (3, fields.unit)] {
        if !text.is_empty() {
            push_bytes_field(&mut message, number, text);
        }
    }
    if let Some((kind, data)) = fields.data {
        let mut rest = Vec::new();
        let mut reader = Reader::new(data);
        while let Some(field) = reader.next()? {
            if let (number @ (2 | 3), Field::Varint(value)) = field {
                push_varint_field(&mut rest, number, value);
            }
        }
        push_bytes_field(&mut message, kind.field_number(), &rest);
    }
    for entry in &fields.metadata {
        push_bytes_field(&mut message, 12, entry);
    }
    Ok(message)
}
