//! Rows back to metric points, and points of one descriptor to one metric.
//!
//! A point is a number or a kvlist in a column, with its flags and exemplars in columns beside it
//! ([`super::point`]), or a whole data point message in the dictionary.

use std::collections::HashMap;

use skein_event::any_value::{Fields, WireValue};
use skein_event::batch::{Token, TokenKind};
use skein_event::columns::Fixed;
use skein_otlp::Message as _;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::common::KeyValue;
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, SummaryDataPoint,
};

use super::Damage;
use super::columns::Columns;
use super::group::Groups;
use super::point::{Point, Shared};
use super::spans::row_attributes;
use super::value::key_value;

/// Collects metric points.
#[derive(Debug)]
pub(super) struct MetricWriter<'a> {
    groups: Groups<'a, Metric>,
    /// Place of the metric of a context and descriptor among the context's metrics.
    places: HashMap<(usize, u32), usize>,
}

impl<'a> MetricWriter<'a> {
    pub(super) fn new(groups: Groups<'a, Metric>) -> MetricWriter<'a> {
        MetricWriter { groups, places: HashMap::new() }
    }

    pub(super) fn row(&mut self, row: &Columns<'_>, context: usize) -> Result<(), Damage> {
        let shared = Shared {
            attributes: row_attributes(row)?,
            start: row.integer(Fixed::MetricStartTime).unwrap_or_default().cast_unsigned(),
            time: row.own_time()?,
        };
        let has_points = row.integer(Fixed::MetricPoints) != Some(0);
        for token in row.tokens() {
            match token.kind {
                TokenKind::Point => {
                    let point = Point::read(row, token.target, &shared)?;
                    push_point(self.metric(row, context, token)?, point)?;
                }
                TokenKind::InlinePoint if has_points => {
                    let message = row.batch.dictionary.get(token.target);
                    push_message(self.metric(row, context, token)?, message, &shared)?;
                }
                TokenKind::InlinePoint => {
                    let empty = descriptor(row.batch.dictionary.get(token.key))?;
                    self.groups.records(context).push(empty);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The metric of a point's descriptor.
    fn metric(&mut self, row: &Columns<'_>, context: usize, token: &Token) -> Result<&mut Metric, Damage> {
        let metrics = self.groups.records(context);
        let place = match self.places.get(&(context, token.key)) {
            Some(&place) => place,
            None => {
                metrics.push(descriptor(row.batch.dictionary.get(token.key))?);
                self.places.insert((context, token.key), metrics.len() - 1);
                metrics.len() - 1
            }
        };
        metrics.get_mut(place).ok_or("a metric that is not there")
    }

    pub(super) fn finish(self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.groups.by_resource().into_iter().map(|scopes| ResourceMetrics {
            resource: scopes.first().and_then(|(context, _)| context.resource.clone()),
            schema_url: scopes.first().map(|(c, _)| c.resource_schema_url.clone()).unwrap_or_default(),
            scope_metrics: scopes
                .into_iter()
                .map(|(context, metrics)| ScopeMetrics {
                    scope: context.scope.clone(),
                    metrics,
                    schema_url: context.scope_schema_url.clone(),
                })
                .collect(),
        });
        ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
    }
}

fn push_point(metric: &mut Metric, point: Point) -> Result<(), Damage> {
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.push(point.number()?),
        Some(Data::Sum(sum)) => sum.data_points.push(point.number()?),
        Some(Data::Histogram(histogram)) => histogram.data_points.push(point.histogram()?),
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.data_points.push(point.exponential_histogram()?);
        }
        Some(Data::Summary(summary)) => summary.data_points.push(point.summary()?),
        None => return Err("a point in a metric without type"),
    }
    Ok(())
}

macro_rules! point {
    ($type:ty, $rest:expr, $attributes:expr, $exemplars:expr, $shared:expr) => {{
        let mut point = <$type>::decode($rest.as_slice()).map_err(|_| "a damaged data point")?;
        fill(
            (&mut point.attributes, $attributes),
            &mut point.start_time_unix_nano,
            &mut point.time_unix_nano,
            $shared,
        );
        point.exemplars = $exemplars;
        point
    }};
}

fn push_message(metric: &mut Metric, message: &[u8], shared: &Shared) -> Result<(), Damage> {
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.push(number_point(message, shared)?);
        }
        Some(Data::Sum(sum)) => sum.data_points.push(number_point(message, shared)?),
        Some(Data::Histogram(histogram)) => {
            let (rest, attributes, exemplars) = take_apart(message, 9, 8)?;
            let point = point!(HistogramDataPoint, rest, attributes, exemplars, shared);
            histogram.data_points.push(point);
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let (rest, attributes, exemplars) = take_apart(message, 1, 11)?;
            let point = point!(ExponentialHistogramDataPoint, rest, attributes, exemplars, shared);
            histogram.data_points.push(point);
        }
        Some(Data::Summary(summary)) => {
            let (rest, attributes, _) = take_apart(message, 7, 0)?;
            let mut point = SummaryDataPoint::decode(rest.as_slice()).map_err(|_| "a damaged data point")?;
            fill(
                (&mut point.attributes, attributes),
                &mut point.start_time_unix_nano,
                &mut point.time_unix_nano,
                shared,
            );
            summary.data_points.push(point);
        }
        None => return Err("a point in a metric without type"),
    }
    Ok(())
}

fn number_point(message: &[u8], shared: &Shared) -> Result<NumberDataPoint, Damage> {
    let (rest, attributes, exemplars) = take_apart(message, 7, 5)?;
    Ok(point!(NumberDataPoint, rest, attributes, exemplars, shared))
}

/// Gives a point what its row says.
fn fill(attributes: (&mut Vec<KeyValue>, Vec<KeyValue>), start: &mut u64, time: &mut u64, shared: &Shared) {
    let (slot, own) = attributes;
    *slot = if own.is_empty() { shared.attributes.clone() } else { own };
    if *start == 0 {
        *start = shared.start;
    }
    if *time == 0 {
        *time = shared.time;
    }
}

/// A data point message without the fields that hold attribute values, which may be nested deeper than prost
/// reads; its attributes; its exemplars. A number of 0 is no field.
#[expect(clippy::type_complexity, reason = "three parts of one message, used in this file")]
fn take_apart(
    message: &[u8],
    attributes_field: u32,
    exemplars_field: u32,
) -> Result<(Vec<u8>, Vec<KeyValue>, Vec<Exemplar>), Damage> {
    let (mut attributes, mut exemplars) = (Vec::new(), Vec::new());
    let mut rest = Vec::new();
    for (number, value) in Fields::new(message) {
        match value {
            WireValue::Bytes(entry) if number == attributes_field => attributes.push(key_value(entry)?),
            WireValue::Bytes(message) if number == exemplars_field => exemplars.push(exemplar(message)?),
            _ => push_field(&mut rest, number, value),
        }
    }
    Ok((rest, attributes, exemplars))
}

fn exemplar(message: &[u8]) -> Result<Exemplar, Damage> {
    let (rest, attributes, _) = take_apart(message, 7, 0)?;
    let mut exemplar = Exemplar::decode(rest.as_slice()).map_err(|_| "a damaged exemplar")?;
    exemplar.filtered_attributes = attributes;
    Ok(exemplar)
}

/// The metric of a descriptor, without points.
fn descriptor(message: &[u8]) -> Result<Metric, Damage> {
    let (rest, metadata, _) = take_apart(message, 12, 0)?;
    let mut metric = Metric::decode(lossy_texts(&rest).as_slice()).map_err(|_| "a damaged descriptor")?;
    metric.metadata = metadata;
    Ok(metric)
}

/// The message with U+FFFD for what is not UTF-8 in name, description and unit.
fn lossy_texts(message: &[u8]) -> Vec<u8> {
    let mut repaired = Vec::with_capacity(message.len());
    for (number, value) in Fields::new(message) {
        match value {
            WireValue::Bytes(text) if matches!(number, 1..=3) => {
                let text = String::from_utf8_lossy(text);
                push_field(&mut repaired, number, WireValue::Bytes(text.as_bytes()));
            }
            value => push_field(&mut repaired, number, value),
        }
    }
    repaired
}

fn push_field(out: &mut Vec<u8>, number: u32, value: WireValue<'_>) {
    let tag = |wire_type: u64| u64::from(number) << 3 | wire_type;
    // Encoding into a Vec grows it as needed.
    let mut varint = |value: u64| skein_otlp::encode_varint(value, out);
    match value {
        WireValue::Varint(value) => {
            varint(tag(0));
            varint(value);
        }
        WireValue::Fixed64(value) => {
            varint(tag(1));
            out.extend_from_slice(&value.to_le_bytes());
        }
        WireValue::Bytes(bytes) => {
            varint(tag(2));
            varint(bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        WireValue::Fixed32(value) => {
            varint(tag(5));
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}
