//! Spans of the size that the goal for sustained ingest names (25 attributes, about 830 bytes): OTLP requests,
//! encoded once and sent many times. Nothing here is causal, and nothing is wide: [`crate::wide`] is.
//!
//! Every request is drawn from a stream of its own, so that request `n` is the same whether or not the ones
//! before it were made.

use skein_otlp::Message as _;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{InstrumentationScope, KeyValue};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span, Status};

use crate::export::{key_value, unsigned};
use crate::random::{Random, to_ns};
use crate::telemetry::{Attribute, hex};

/// Spans of one trace.
const TRACE_SPANS: usize = 8;

/// What the events look like.
#[derive(Clone, Debug, PartialEq)]
pub struct NarrowConfig {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Spans in all.
    pub rows: usize,
    /// Different attributes of a span, counted without those of the resource.
    pub columns: usize,
    /// The share of them that one span has, in (0, 1].
    pub filled: f64,
    /// 0: all values of an attribute are equally frequent; the larger, the more the first ones prevail.
    pub skew: f64,
    /// Services.
    pub datasets: usize,
    /// Spans of one request.
    pub spans_per_request: usize,
    /// Time of the first span, epoch nanoseconds.
    pub start_ns: i64,
    /// The spans are spread over this time.
    pub duration_ns: i64,
}

impl Default for NarrowConfig {
    /// The size that the goals are stated for: 25 attributes, about 830 bytes a span.
    fn default() -> NarrowConfig {
        NarrowConfig {
            seed: 1,
            rows: 1_000_000,
            columns: 25,
            filled: 1.0,
            skew: 1.0,
            datasets: 5,
            spans_per_request: 1_000,
            start_ns: 1_767_225_600_000_000_000,
            duration_ns: 600_000_000_000,
        }
    }
}

/// One request, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct NarrowRequest {
    /// An `ExportTraceServiceRequest` in protobuf.
    pub body: Vec<u8>,
    /// The spans in it.
    pub spans: usize,
}

impl NarrowConfig {
    /// How many requests it takes.
    pub fn request_count(&self) -> usize {
        self.rows.div_ceil(self.spans_per_request.max(1))
    }

    /// All requests in order.
    pub fn requests(&self) -> impl Iterator<Item = NarrowRequest> + '_ {
        (0..self.request_count()).map(|index| self.request(index))
    }

    /// One request; the same for the same index.
    pub fn request(&self, index: usize) -> NarrowRequest {
        let per_request = self.spans_per_request.max(1);
        let spans = per_request.min(self.rows.saturating_sub(index * per_request));
        let mut random = Random::new(self.seed, 1_000 + unsigned(index));
        let datasets = self.datasets.max(1);
        let mut by_dataset: Vec<Vec<Span>> = vec![Vec::new(); datasets];
        let mut trace = TraceState::default();
        for row in 0..spans {
            if row % TRACE_SPANS == 0 {
                trace = TraceState { trace_id: random.trace_id().to_vec(), parent: Vec::new() };
            }
            let dataset = random.below(datasets);
            let span = self.span(index * per_request + row, &mut trace, &mut random);
            if let Some(spans) = by_dataset.get_mut(dataset) {
                spans.push(span);
            }
        }
        let resource_spans = by_dataset
            .into_iter()
            .enumerate()
            .filter(|(_, spans)| !spans.is_empty())
            .map(|(dataset, spans)| resource_spans(dataset, spans))
            .collect();
        NarrowRequest { body: ExportTraceServiceRequest { resource_spans }.encode_to_vec(), spans }
    }

    fn span(&self, row: usize, trace: &mut TraceState, random: &mut Random) -> Span {
        let share = row as f64 / self.rows.max(1) as f64;
        let start_ns = self.start_ns + to_ns(share * self.duration_ns as f64);
        let end_ns = start_ns + random.service_time(12e6, 1.2);
        let span_id = random.span_id().to_vec();
        let parent_span_id = trace.parent.clone();
        if trace.parent.is_empty() || random.chance(0.4) {
            trace.parent.clone_from(&span_id);
        }
        let failed = random.chance(0.01);
        Span {
            trace_id: trace.trace_id.clone(),
            span_id,
            parent_span_id,
            name: format!("GET /v{}/items", skewed(random, 12, self.skew)),
            kind: if row.is_multiple_of(2) { 2 } else { 3 },
            start_time_unix_nano: u64::try_from(start_ns).unwrap_or(0),
            end_time_unix_nano: u64::try_from(end_ns).unwrap_or(0),
            attributes: self.attributes(random),
            status: failed.then(|| Status { message: "upstream reset".to_owned(), code: 2 }),
            ..Span::default()
        }
    }

    fn attributes(&self, random: &mut Random) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(self.columns);
        for column in 0..self.columns {
            if self.filled < 1.0 && !random.chance(self.filled) {
                continue;
            }
            let value = column_value(column, random, self.skew);
            match NAMES.get(column) {
                Some(name) => attributes.push(key_value(name, value)),
                None => attributes.push(key_value(&format!("app.field_{column:05}"), value)),
            }
        }
        attributes
    }
}

#[derive(Default)]
struct TraceState {
    trace_id: Vec<u8>,
    parent: Vec<u8>,
}

/// Names of the first columns, from the semantic conventions and from what applications add.
const NAMES: [&str; 25] = [
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.path",
    "app.budget",
    "user.id",
    "app.request.id",
    "app.cached",
    "db.query.text",
    "http.response.body.size",
    "server.address",
    "app.plan",
    "app.tenant",
    "user_agent.original",
    "app.score",
    "session.id",
    "app.job.id",
    "app.sampled",
    "db.query.summary",
    "thread.id",
    "client.address",
    "app.build",
    "cloud.availability_zone",
    "app.referrer",
    "app.cart.value",
];

/// The value of a column: ten kinds of column in turn, from a handful of values to all different.
fn column_value(column: usize, random: &mut Random, skew: f64) -> Attribute {
    match column % 10 {
        0 => ["GET", "POST", "PUT", "DELETE"][skewed(random, 4, skew).min(3)].into(),
        1 => Attribute::Int([200, 200, 204, 404, 500][skewed(random, 5, skew).min(4)]),
        2 => format!("/v{}/items/{{id}}", skewed(random, 60, skew)).into(),
        3 => format!("/v1/items/{}", skewed(random, 20_000, skew)).into(),
        4 => Attribute::Float((random.unit() * 10_000.0).round() / 100.0),
        5 => format!("user-{:06}", skewed(random, 100_000, skew)).into(),
        6 => hex(&random.span_id()).into(),
        7 => random.chance(0.3).into(),
        8 => format!("SELECT * FROM items_{} WHERE id = $1", skewed(random, 40, skew)).into(),
        _ => Attribute::Int(random.service_time(9_000.0, 1.0)),
    }
}

fn skewed(random: &mut Random, bound: usize, skew: f64) -> usize {
    let position = random.unit().powf(1.0 + skew.max(0.0));
    usize::try_from(to_ns(position * bound as f64)).unwrap_or(0).min(bound.saturating_sub(1))
}

fn resource_spans(dataset: usize, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![
        key_value("service.name", format!("service-{dataset:03}").into()),
        key_value("service.version", "4.2.0".into()),
        key_value("k8s.pod.name", format!("service-{dataset:03}-5f7d9c-x2{dataset}").into()),
        key_value("cloud.region", "eu-west-1".into()),
    ];
    let scope = InstrumentationScope {
        name: "skein.narrow".to_owned(),
        version: "1.0.0".to_owned(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> NarrowConfig {
        NarrowConfig { rows: 2_500, ..NarrowConfig::default() }
    }

    fn spans(request: &NarrowRequest) -> Vec<Span> {
        let decoded = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        let scopes = decoded.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    #[test]
    fn the_same_options_give_the_same_bytes_in_any_order() {
        let config = small();
        let all: Vec<NarrowRequest> = config.requests().collect();
        assert_eq!(all.iter().map(|request| request.spans).collect::<Vec<_>>(), [1_000, 1_000, 500]);
        assert_eq!(config.request(1), all[1]);
        assert_ne!(NarrowConfig { seed: 2, ..config }.request(1), all[1]);
    }

    #[test]
    fn a_span_is_as_large_as_the_goal_says() {
        let request = small().request(0);
        let bytes = request.body.len() / request.spans;
        assert!((780..=880).contains(&bytes), "{bytes} bytes a span");
        assert!(spans(&request).iter().all(|span| span.attributes.len() == 25));
    }

    #[test]
    fn width_filling_and_datasets_are_as_asked() {
        let config = NarrowConfig { columns: 200, filled: 0.1, datasets: 3, ..small() };
        let request = config.request(0);
        let mean = spans(&request).iter().map(|span| span.attributes.len()).sum::<usize>() / request.spans;
        assert!((15..=25).contains(&mean), "{mean}");
        let decoded = ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap();
        assert_eq!(decoded.resource_spans.len(), 3);
    }

    #[test]
    fn skew_makes_the_first_values_prevail() {
        let most = |skew| {
            let mut random = Random::new(1, 0);
            (0..10_000).filter(|_| skewed(&mut random, 100, skew) < 10).count()
        };
        assert!(most(0.0) < 1_200 && most(2.0) > 4_000, "{} {}", most(0.0), most(2.0));
    }
}
