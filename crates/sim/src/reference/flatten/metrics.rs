//! Metric points, those of one moment together.

use skein_event::value::Value;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::metrics::{Metric, NumberDataPoint, metric, number_data_point};

use super::super::event::{Event, Place};
use super::{Context, add_all, length, set_time};

/// The events of a metric request of gauges and sums: points of equal resource, scope, attributes, start time
/// and time form one event; points of an equal name stay apart.
pub fn metrics(request: &ExportMetricsServiceRequest, arrival_ns: i64) -> Vec<Event> {
    let mut events = Vec::new();
    for group in &request.resource_metrics {
        for scope in &group.scope_metrics {
            let context = Context {
                signal: "metric",
                resource: group.resource.as_ref(),
                resource_schema: &group.schema_url,
                scope: scope.scope.as_ref(),
                scope_schema: &scope.schema_url,
            };
            let mut open: Vec<(&NumberDataPoint, Vec<(&Metric, &NumberDataPoint)>)> = Vec::new();
            for (metric, point) in scope.metrics.iter().flat_map(points) {
                let same = |(first, members): &&mut (&NumberDataPoint, Vec<(&Metric, &NumberDataPoint)>)| {
                    first.attributes == point.attributes
                        && first.time_unix_nano == point.time_unix_nano
                        && first.start_time_unix_nano == point.start_time_unix_nano
                        && members.iter().all(|(other, _)| other.name != metric.name)
                };
                match open.iter_mut().find(same) {
                    Some((_, members)) => members.push((metric, point)),
                    None => open.push((point, vec![(metric, point)])),
                }
            }
            events.extend(
                open.iter().map(|(first, members)| metric_event(&context, first, members, arrival_ns)),
            );
        }
    }
    events
}

fn points(metric: &Metric) -> Vec<(&Metric, &NumberDataPoint)> {
    let points = match &metric.data {
        Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
        Some(metric::Data::Sum(sum)) => &sum.data_points,
        other => unreachable!("the reference reads gauges and sums only: {other:?}"),
    };
    points.iter().map(|point| (metric, point)).collect()
}

fn metric_event(
    context: &Context<'_>,
    first: &NumberDataPoint,
    members: &[(&Metric, &NumberDataPoint)],
    arrival_ns: i64,
) -> Event {
    let mut event = context.event();
    add_all(&mut event, Place::Item, &first.attributes);
    set_time(&mut event, first.time_unix_nano, 0, arrival_ns);
    event.fix("meta.metric.points", Value::I64(length(members.len())));
    if first.start_time_unix_nano != 0 {
        let start = i64::try_from(first.start_time_unix_nano).unwrap_or(i64::MAX);
        event.fix("meta.metric.start_time", Value::I64(start));
    }
    for (metric, point) in members {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => Value::F64(value),
            Some(number_data_point::Value::AsInt(value)) => Value::I64(value),
            None => continue,
        };
        event.add(Place::Metric, &metric.name, value);
    }
    event
}
