//! Metric points of every kind.

use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::common::KeyValue;
use skein_otlp::metrics::exponential_histogram_data_point::Buckets;
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::summary_data_point::ValueAtQuantile;
use skein_otlp::metrics::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};

use super::super::Random;
use super::{Generator, values};

/// What the points of one moment have in common.
struct Moment {
    start: u64,
    time: u64,
}

impl Generator {
    pub(super) fn metrics(&mut self, count: u64) -> ExportMetricsServiceRequest {
        let moment = Moment { start: *self.random.pick(&[0, 1, u64::MAX]), time: self.time() };
        let numbers: Vec<KeyValue> = (0..count).map(|_| self.numbered()).collect();
        let random = &mut self.random;
        let mut metrics: Vec<Metric> = Vec::new();
        // One that is called like a part of another, and one of a name that came before.
        let names =
            ["cpu.load", "memory.used", "latency", "latency.count", "sizes", "rpc", "cpu.load", "name"];
        for name in names.iter().take(3 + usize::try_from(random.below(6)).unwrap_or_default()) {
            // A point that is missing makes the groups of an event unlike each other.
            let some: Vec<&KeyValue> = numbers.iter().filter(|_| !random.once_in(6)).collect();
            // A metric without points is an event without a number; the golden set has it.
            if !some.is_empty() {
                let data = Some(data(random, name, &some, &moment));
                metrics.push(Metric { name: (*name).to_owned(), data, ..Metric::default() });
            }
        }
        let scope_metrics = vec![ScopeMetrics { scope: self.scope(), metrics, schema_url: self.schema() }];
        let group = ResourceMetrics { resource: self.resource(), scope_metrics, schema_url: self.schema() };
        ExportMetricsServiceRequest { resource_metrics: vec![group] }
    }
}

fn data(random: &mut Random, name: &str, numbers: &[&KeyValue], moment: &Moment) -> Data {
    match name {
        "latency" => Data::Histogram(Histogram {
            data_points: numbers.iter().map(|number| histogram(random, number, moment)).collect(),
            aggregation_temporality: 2,
        }),
        "sizes" => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: numbers.iter().map(|number| exponential(random, number, moment)).collect(),
            aggregation_temporality: 1,
        }),
        "rpc" => Data::Summary(Summary {
            data_points: numbers.iter().map(|number| summary(random, number, moment)).collect(),
        }),
        "memory.used" => Data::Sum(Sum {
            data_points: numbers.iter().map(|number| point(random, number, moment)).collect(),
            aggregation_temporality: 2,
            is_monotonic: true,
        }),
        _ => Data::Gauge(Gauge {
            data_points: numbers.iter().map(|number| point(random, number, moment)).collect(),
        }),
    }
}

fn point(random: &mut Random, number: &KeyValue, moment: &Moment) -> NumberDataPoint {
    use number_data_point::Value::{AsDouble, AsInt};
    let value = match random.below(9) {
        0 => None,
        1 => Some(AsDouble(f64::NAN)),
        2 => Some(AsDouble(-0.0)),
        3 => Some(AsInt(i64::MAX)),
        4..6 => Some(AsInt(values::small(random, 9))),
        _ => Some(AsDouble(0.25)),
    };
    NumberDataPoint {
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.time,
        attributes: vec![number.clone()],
        value,
        exemplars: exemplars(random),
        // "No recorded value".
        flags: u32::from(value.is_none()),
    }
}

fn exemplars(random: &mut Random) -> Vec<Exemplar> {
    let one = |random: &mut Random| Exemplar {
        filtered_attributes: if random.once_in(2) {
            vec![KeyValue::new("user", "user-7")]
        } else {
            Vec::new()
        },
        time_unix_nano: *random.pick(&[0, 1_900_000_000_000_000_000]),
        value: *random.pick(&[None, Some(exemplar::Value::AsInt(-1)), Some(exemplar::Value::AsDouble(0.5))]),
        span_id: if random.once_in(2) { vec![1; 8] } else { Vec::new() },
        trace_id: if random.once_in(2) { vec![7; 16] } else { Vec::new() },
    };
    if random.once_in(5) { (0..=random.below(2)).map(|_| one(random)).collect() } else { Vec::new() }
}

fn optional(random: &mut Random) -> Option<f64> {
    *random.pick(&[None, Some(0.0), Some(12.5), Some(-1.0), Some(f64::INFINITY)])
}

fn histogram(random: &mut Random, number: &KeyValue, moment: &Moment) -> HistogramDataPoint {
    let empty = random.once_in(5);
    HistogramDataPoint {
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.time,
        attributes: vec![number.clone()],
        count: *random.pick(&[0, 3, u64::MAX]),
        sum: optional(random),
        bucket_counts: if empty { Vec::new() } else { vec![1, 0, random.below(9)] },
        explicit_bounds: if empty { Vec::new() } else { vec![0.5, 10.0] },
        exemplars: exemplars(random),
        flags: 0,
        min: optional(random),
        max: optional(random),
    }
}

fn exponential(random: &mut Random, number: &KeyValue, moment: &Moment) -> ExponentialHistogramDataPoint {
    let counts = if random.once_in(4) { Vec::new() } else { vec![0, random.below(5), 1 << 40] };
    ExponentialHistogramDataPoint {
        attributes: vec![number.clone()],
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.time,
        count: random.below(3),
        sum: optional(random),
        scale: *random.pick(&[0, -10, 20]),
        zero_count: random.below(2),
        positive: (!random.once_in(3)).then_some(Buckets { offset: -3, bucket_counts: counts }),
        negative: random.once_in(3).then(Buckets::default),
        flags: 0,
        exemplars: exemplars(random),
        min: optional(random),
        max: optional(random),
        zero_threshold: *random.pick(&[None, Some(-0.0), Some(1e-6)]),
    }
}

fn summary(random: &mut Random, number: &KeyValue, moment: &Moment) -> SummaryDataPoint {
    let quantiles = [(None, Some(1.0)), (Some(0.5), None), (Some(0.99), Some(f64::NAN))];
    let some = usize::try_from(random.below(4)).unwrap_or_default();
    SummaryDataPoint {
        attributes: vec![number.clone()],
        start_time_unix_nano: moment.start,
        time_unix_nano: moment.time,
        count: random.below(4),
        sum: *random.pick(&[None, Some(9.5), Some(-0.0)]),
        quantile_values: quantiles[..some]
            .iter()
            .map(|&(quantile, value)| ValueAtQuantile { quantile, value })
            .collect(),
        flags: 0,
    }
}
