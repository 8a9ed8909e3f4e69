//! Metric points, those of one moment together.

use skein_event::ids::encode_hex;
use skein_event::value::Value;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue};
use skein_otlp::metrics::exponential_histogram_data_point::Buckets;
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint, SummaryDataPoint,
    exemplar, number_data_point,
};

use super::super::event::{Event, Place};
use super::{Context, Flattened, add, add_all, length, set_time};

/// A point of any kind, as the rules see it.
struct Point<'a> {
    metric: &'a str,
    attributes: &'a [KeyValue],
    start: u64,
    time: u64,
    flags: u32,
    exemplars: &'a [Exemplar],
    /// Its value; of a histogram the whole of it.
    value: Option<AnyValue>,
    /// `.count`, `.sum`, `.min`, `.max` of a histogram.
    parts: Vec<(&'static str, AnyValue)>,
}

/// The events of a metric request: points of equal resource, scope, attributes, start time and time form one
/// event; points of an equal name stay apart.
pub fn metrics(request: &ExportMetricsServiceRequest, arrival_ns: i64) -> Flattened {
    let mut found = Flattened::default();
    for group in &request.resource_metrics {
        for scope in &group.scope_metrics {
            let context = Context {
                signal: "metric",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            let mut open: Vec<Vec<Point<'_>>> = Vec::new();
            for point in scope.metrics.iter().flat_map(points) {
                let same = |members: &&mut Vec<Point<'_>>| {
                    members[0].attributes == point.attributes
                        && members[0].time == point.time
                        && members[0].start == point.start
                        && members.iter().all(|other| other.metric != point.metric)
                };
                match open.iter_mut().find(same) {
                    Some(members) => members.push(point),
                    None => open.push(vec![point]),
                }
            }
            found.events.extend(open.into_iter().map(|members| event(&context, members, arrival_ns)));
        }
    }
    found
}

fn event(context: &Context<'_>, mut members: Vec<Point<'_>>, arrival_ns: i64) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, members[0].attributes);
    set_time(&mut event, members[0].time, 0, arrival_ns);
    event.fix("meta.metric.points", Value::I64(length(members.len())));
    if members[0].start != 0 {
        event.fix("meta.metric.start_time", Value::I64(members[0].start.cast_signed()));
    }
    // A number is before the parts of a histogram that are called like it.
    members.sort_by_key(|point| !point.parts.is_empty());
    for point in &members {
        let mut put = |suffix: &str, value: &AnyValue| {
            // As a value of its own: the kvlist of a histogram makes no columns.
            add(&mut event, Place::Metric, &format!("{}{suffix}", point.metric), value, usize::MAX);
        };
        if point.flags != 0 {
            put(".flags", &AnyValue::from(i64::from(point.flags)));
        }
        if !point.exemplars.is_empty() {
            put(".exemplars", &AnyValue::array(point.exemplars.iter().map(exemplar_value)));
        }
        if let Some(value) = &point.value {
            put("", value);
        }
        point.parts.iter().for_each(|(suffix, value)| put(suffix, value));
    }
    event
}

fn points(metric: &Metric) -> Vec<Point<'_>> {
    match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| number(metric, point)).collect(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| number(metric, point)).collect(),
        Some(Data::Histogram(data)) => data.data_points.iter().map(|p| histogram(metric, p)).collect(),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.iter().map(|point| exponential(metric, point)).collect()
        }
        Some(Data::Summary(data)) => data.data_points.iter().map(|point| summary(metric, point)).collect(),
    }
}

fn number<'a>(metric: &'a Metric, point: &'a NumberDataPoint) -> Point<'a> {
    let value = point.value.as_ref().map(|value| match value {
        number_data_point::Value::AsDouble(value) => AnyValue::from(*value),
        number_data_point::Value::AsInt(value) => AnyValue::from(*value),
    });
    Point {
        metric: &metric.name,
        attributes: &point.attributes,
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        exemplars: &point.exemplars,
        value,
        parts: Vec::new(),
    }
}

/// What histograms and summaries have in common.
fn parts(count: u64, numbers: &[(&'static str, Option<f64>)]) -> Vec<(&'static str, AnyValue)> {
    let mut parts = vec![(".count", AnyValue::from(count.cast_signed()))];
    parts.extend(numbers.iter().filter_map(|(name, number)| Some((*name, AnyValue::from((*number)?)))));
    parts
}

/// The members of a histogram's value, those that are there.
#[derive(Default)]
struct Members(Vec<KeyValue>);

impl Members {
    fn whole(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.0.push(KeyValue::new(name, value.cast_signed()));
        }
    }

    fn double(&mut self, name: &str, value: Option<f64>) {
        self.0.extend(value.map(|value| KeyValue::new(name, value)));
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = AnyValue>) {
        let values: Vec<AnyValue> = values.collect();
        if !values.is_empty() {
            self.0.push(KeyValue::new(name, AnyValue::array(values)));
        }
    }

    fn wholes(&mut self, name: &str, values: &[u64]) {
        self.list(name, values.iter().map(|value| AnyValue::from(value.cast_signed())));
    }

    fn value(self) -> AnyValue {
        AnyValue::kvlist(self.0)
    }
}

fn histogram<'a>(metric: &'a Metric, point: &'a HistogramDataPoint) -> Point<'a> {
    let mut members = Members::default();
    members.whole("count", point.count);
    members.double("sum", point.sum);
    members.double("min", point.min);
    members.double("max", point.max);
    members.wholes("bucket_counts", &point.bucket_counts);
    members.list("explicit_bounds", point.explicit_bounds.iter().map(|bound| AnyValue::from(*bound)));
    Point {
        metric: &metric.name,
        attributes: &point.attributes,
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        exemplars: &point.exemplars,
        value: Some(members.value()),
        parts: parts(point.count, &[(".sum", point.sum), (".min", point.min), (".max", point.max)]),
    }
}

fn exponential<'a>(metric: &'a Metric, point: &'a ExponentialHistogramDataPoint) -> Point<'a> {
    let mut members = Members::default();
    members.whole("count", point.count);
    members.double("sum", point.sum);
    members.double("min", point.min);
    members.double("max", point.max);
    if point.scale != 0 {
        members.0.push(KeyValue::new("scale", i64::from(point.scale)));
    }
    members.whole("zero_count", point.zero_count);
    members.double("zero_threshold", point.zero_threshold);
    for (name, buckets) in [("positive", &point.positive), ("negative", &point.negative)] {
        members.0.extend(buckets.as_ref().map(|buckets| KeyValue::new(name, buckets_value(buckets))));
    }
    Point {
        metric: &metric.name,
        attributes: &point.attributes,
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        exemplars: &point.exemplars,
        value: Some(members.value()),
        parts: parts(point.count, &[(".sum", point.sum), (".min", point.min), (".max", point.max)]),
    }
}

fn buckets_value(buckets: &Buckets) -> AnyValue {
    let mut members = Members::default();
    if buckets.offset != 0 {
        members.0.push(KeyValue::new("offset", i64::from(buckets.offset)));
    }
    members.wholes("bucket_counts", &buckets.bucket_counts);
    members.value()
}

fn summary<'a>(metric: &'a Metric, point: &'a SummaryDataPoint) -> Point<'a> {
    let mut members = Members::default();
    members.whole("count", point.count);
    members.double("sum", point.sum);
    members.list(
        "quantile_values",
        point.quantile_values.iter().map(|quantile| {
            let mut members = Members::default();
            members.double("quantile", quantile.quantile);
            members.double("value", quantile.value);
            members.value()
        }),
    );
    Point {
        metric: &metric.name,
        attributes: &point.attributes,
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        flags: point.flags,
        exemplars: &[],
        value: Some(members.value()),
        parts: parts(point.count, &[(".sum", point.sum)]),
    }
}

fn exemplar_value(exemplar: &Exemplar) -> AnyValue {
    let mut members = Members::default();
    if !exemplar.filtered_attributes.is_empty() {
        let list = AnyValue::kvlist(exemplar.filtered_attributes.clone());
        members.0.push(KeyValue::new("filtered_attributes", list));
    }
    members.whole("time_unix_nano", exemplar.time_unix_nano);
    match exemplar.value {
        Some(exemplar::Value::AsInt(value)) => members.0.push(KeyValue::new("value", value)),
        Some(exemplar::Value::AsDouble(value)) => members.0.push(KeyValue::new("value", value)),
        None => {}
    }
    for (name, id) in [("span_id", &exemplar.span_id), ("trace_id", &exemplar.trace_id)] {
        if !id.is_empty() {
            members.0.push(KeyValue::new(name, encode_hex(id)));
        }
    }
    members.value()
}
