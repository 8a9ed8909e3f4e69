//! OTLP requests as multisets of records, to compare what went in with what came out.
//!
//! A record is a span, a log record or a metric point with its resource, scope, schema URLs and (for a point)
//! its metric's descriptor; a metric without points is one, too. How records were grouped does not matter, attributes are ordered lists, numbers
//! are compared bit for bit.

use std::collections::BTreeMap;

use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::InstrumentationScope;
use skein_otlp::json::ToJson;
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::{ExponentialHistogram, Gauge, Histogram, Metric, Sum, Summary};
use skein_otlp::resource::Resource;

/// Records, each with how often it is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Model {
    records: BTreeMap<Record, i64>,
}

/// A record: its protobuf form decides, its JSON form shows it.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
struct Record {
    protobuf: Vec<u8>,
    json: String,
}

/// What two models do not share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// How many records only the first one has.
    pub missing: u64,
    /// How many records only the second one has.
    pub surplus: u64,
    /// Some of them as JSON, each after `- ` (missing) or `+ ` (surplus).
    pub examples: Vec<String>,
}

/// Examples in a [`Difference`]: enough to see what is wrong.
const EXAMPLES_SHOWN: usize = 6;

impl Model {
    /// Number of records.
    pub fn len(&self) -> u64 {
        self.records.values().map(|count| count.unsigned_abs()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Every record as JSON text, each as often as it is there.
    pub fn to_json_lines(&self) -> Vec<&str> {
        let times = |count: &i64| usize::try_from(*count).unwrap_or_default();
        self.records
            .iter()
            .flat_map(|(r, count)| std::iter::repeat_n(r.json.as_str(), times(count)))
            .collect()
    }

    /// What this model and another do not share; `None` when they are equal.
    pub fn difference(&self, other: &Model) -> Option<Difference> {
        let mut balance = self.records.clone();
        for (record, count) in &other.records {
            *balance.entry(record.clone()).or_default() -= count;
        }
        balance.retain(|_, count| *count != 0);
        let mut difference = Difference::default();
        for (record, count) in &balance {
            let sign = if *count > 0 { '-' } else { '+' };
            let side = if *count > 0 { &mut difference.missing } else { &mut difference.surplus };
            *side += count.unsigned_abs();
            if difference.examples.len() < EXAMPLES_SHOWN {
                difference.examples.push(format!("{sign} {}", record.json));
            }
        }
        (!balance.is_empty()).then_some(difference)
    }

    /// Adds the spans of a request.
    pub fn add_traces(&mut self, request: &ExportTraceServiceRequest) {
        for group in &request.resource_spans {
            for scope in &group.scope_spans {
                let context = Context {
                    resource: group.resource.as_ref(),
                    resource_schema_url: &group.schema_url,
                    scope: scope.scope.as_ref(),
                    scope_schema_url: &scope.schema_url,
                };
                for span in &scope.spans {
                    self.add(&context, None, span);
                }
            }
        }
    }

    /// Adds the log records of a request.
    pub fn add_logs(&mut self, request: &ExportLogsServiceRequest) {
        for group in &request.resource_logs {
            for scope in &group.scope_logs {
                let context = Context {
                    resource: group.resource.as_ref(),
                    resource_schema_url: &group.schema_url,
                    scope: scope.scope.as_ref(),
                    scope_schema_url: &scope.schema_url,
                };
                for record in &scope.log_records {
                    self.add(&context, None, record);
                }
            }
        }
    }

    /// Adds the metric points of a request.
    pub fn add_metrics(&mut self, request: &ExportMetricsServiceRequest) {
        for group in &request.resource_metrics {
            for scope in &group.scope_metrics {
                let context = Context {
                    resource: group.resource.as_ref(),
                    resource_schema_url: &group.schema_url,
                    scope: scope.scope.as_ref(),
                    scope_schema_url: &scope.schema_url,
                };
                for metric in &scope.metrics {
                    self.add_points(&context, metric);
                }
            }
        }
    }

    fn add_points(&mut self, context: &Context<'_>, metric: &Metric) {
        let descriptor = Some(without_points(metric));
        if descriptor.as_ref() == Some(metric) {
            return self.add(context, None, metric);
        }
        match &metric.data {
            None => {}
            Some(Data::Gauge(gauge)) => self.add_all(context, descriptor.as_ref(), &gauge.data_points),
            Some(Data::Sum(sum)) => self.add_all(context, descriptor.as_ref(), &sum.data_points),
            Some(Data::Histogram(histogram)) => {
                self.add_all(context, descriptor.as_ref(), &histogram.data_points);
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                self.add_all(context, descriptor.as_ref(), &histogram.data_points);
            }
            Some(Data::Summary(summary)) => {
                self.add_all(context, descriptor.as_ref(), &summary.data_points);
            }
        }
    }

    fn add_all<R: ToJson + skein_otlp::Message>(
        &mut self,
        context: &Context<'_>,
        descriptor: Option<&Metric>,
        records: &[R],
    ) {
        for record in records {
            self.add(context, descriptor, record);
        }
    }

    fn add<R: ToJson + skein_otlp::Message>(
        &mut self,
        context: &Context<'_>,
        descriptor: Option<&Metric>,
        record: &R,
    ) {
        let mut bytes = Vec::new();
        push_part(&mut bytes, context.resource.map(Resource::encode_to_vec));
        push_part(&mut bytes, Some(context.resource_schema_url.as_bytes().to_vec()));
        push_part(&mut bytes, context.scope.map(InstrumentationScope::encode_to_vec));
        push_part(&mut bytes, Some(context.scope_schema_url.as_bytes().to_vec()));
        push_part(&mut bytes, descriptor.map(Metric::encode_to_vec));
        push_part(&mut bytes, Some(record.encode_to_vec()));
        let json = format!(
            "{} {:?} {} {:?} {} {}",
            json(context.resource),
            context.resource_schema_url,
            json(context.scope),
            context.scope_schema_url,
            json(descriptor),
            record.to_json()
        );
        *self.records.entry(Record { protobuf: bytes, json }).or_default() += 1;
    }
}

struct Context<'a> {
    resource: Option<&'a Resource>,
    resource_schema_url: &'a str,
    scope: Option<&'a InstrumentationScope>,
    scope_schema_url: &'a str,
}

/// Appends a part with its length, and whether it is there at all.
fn push_part(out: &mut Vec<u8>, part: Option<Vec<u8>>) {
    out.push(u8::from(part.is_some()));
    let part = part.unwrap_or_default();
    out.extend_from_slice(&(part.len() as u64).to_le_bytes());
    out.extend(part);
}

fn json(message: Option<&impl ToJson>) -> String {
    message.map_or_else(|| "-".to_owned(), ToJson::to_json)
}

fn without_points(metric: &Metric) -> Metric {
    let data = match metric.data.as_ref() {
        None => None,
        Some(Data::Gauge(_)) => Some(Data::Gauge(Gauge::default())),
        Some(Data::Sum(sum)) => Some(Data::Sum(Sum { data_points: Vec::new(), ..*sum })),
        Some(Data::Histogram(histogram)) => {
            Some(Data::Histogram(Histogram { data_points: Vec::new(), ..*histogram }))
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let data_points = Vec::new();
            Some(Data::ExponentialHistogram(ExponentialHistogram { data_points, ..*histogram }))
        }
        Some(Data::Summary(_)) => Some(Data::Summary(Summary::default())),
    };
    Metric {
        name: metric.name.clone(),
        description: metric.description.clone(),
        unit: metric.unit.clone(),
        data,
        metadata: metric.metadata.clone(),
    }
}
