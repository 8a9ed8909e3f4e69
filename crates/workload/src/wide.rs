//! Wide events by the number: the default data of the benchmarks (CONTRACT.md, "Benchmarks"), as OTLP requests.
//!
//! Services with operations; traces of ten spans through them, and now and then one of a hundred thousand;
//! log records in the spans' context; exceptions. One dataset fills three hundred columns in an event, the
//! others twenty-five to sixty. Values follow users, operations and columns; nothing here is causal
//! ([`crate::simulation`] is).
//!
//! The same options give the same bytes, whatever order requests are made in: every request draws from a stream
//! of its own, so that threads can share the work, and a request can be made again instead of kept.

mod column;
mod draw;
mod request;
mod schema;
mod text;
mod write;

use draw::{Curves, Draw};
use request::Request;
use schema::Schema;

use crate::export::unsigned;

/// Spans of a trace that is not: an import, a report, a loop gone wrong.
const LONG_TRACE_SPANS: usize = 100_000;

/// There is one of those for so many rows.
const ROWS_PER_LONG_TRACE: usize = 2_500_000;

/// What the events look like.
#[derive(Clone, Debug, PartialEq)]
pub struct WideConfig {
    /// The same seed gives the same bytes.
    pub seed: u64,
    /// Events in all: spans, span events, log records.
    pub rows: usize,
    /// Different attributes over all events, those of resources included.
    pub columns: usize,
    /// The share of the attributes of its dataset that an event fills, in (0, 1].
    pub filled: f64,
    /// 0: all values of an attribute are equally frequent; the larger, the more the first ones prevail.
    pub skew: f64,
    /// Services. One of them is the wide one.
    pub datasets: usize,
    /// Events of one request.
    pub rows_per_request: usize,
    /// Time of the first event, epoch nanoseconds.
    pub start_ns: i64,
    /// The events are spread over this time.
    pub duration_ns: i64,
}

impl Default for WideConfig {
    /// The data that the goals are stated for.
    fn default() -> WideConfig {
        WideConfig {
            seed: 1,
            rows: 10_000_000,
            columns: 500,
            filled: 0.8,
            skew: 1.0,
            datasets: 30,
            rows_per_request: 1_000,
            // 2026-01-01, 06:00 to 12:00 UTC.
            start_ns: 1_767_247_200_000_000_000,
            duration_ns: 6 * 3_600_000_000_000,
        }
    }
}

/// One request for each signal; a body without records is empty.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WideRequest {
    /// An `ExportTraceServiceRequest` in protobuf.
    pub traces: Vec<u8>,
    /// An `ExportLogsServiceRequest` in protobuf.
    pub logs: Vec<u8>,
    /// Spans.
    pub spans: usize,
    /// Events of these spans; each is an event of its own.
    pub span_events: usize,
    /// Log records.
    pub log_records: usize,
    /// An ordinary trace that begins here.
    pub trace_id: [u8; 16],
    /// The long trace that has spans here.
    pub long_trace_id: Option<[u8; 16]>,
}

/// Makes the requests of a configuration.
#[derive(Clone, Debug)]
pub struct Wide {
    config: WideConfig,
    schema: Schema,
    curves: Curves,
}

// === impl WideConfig ===

impl WideConfig {
    /// Prepares what all requests share.
    pub fn generator(&self) -> Wide {
        Wide { config: self.clone(), schema: Schema::new(self), curves: Curves::new(self.skew) }
    }

    /// The dataset that fills most columns: its place among the services.
    pub fn widest_dataset(&self) -> usize {
        self.datasets / 4
    }
}

// === impl WideRequest ===

impl WideRequest {
    /// Events in all.
    pub fn rows(&self) -> usize {
        self.spans + self.span_events + self.log_records
    }
}

// === impl Wide ===

impl Wide {
    /// How many requests it takes.
    pub fn requests(&self) -> usize {
        self.config.rows.div_ceil(self.per_request())
    }

    /// The name of a dataset by its place.
    pub fn dataset(&self, place: usize) -> String {
        schema::service_name(place)
    }

    /// One request; the same for the same index.
    pub fn request(&self, index: usize) -> WideRequest {
        let mut draw = Draw::new(self.config.seed, 1 << 32 | unsigned(index));
        let mut request = Request::new(self, index, &mut draw);
        let long = self.long_trace(index);
        if let Some(long_trace) = long {
            request.long_trace(long_trace, &mut draw);
        }
        let mut trace_id = None;
        while request.has_room() {
            let id = request.trace(&mut draw);
            trace_id.get_or_insert(id);
        }
        let mut finished = request.finish();
        finished.trace_id = trace_id.unwrap_or_default();
        finished.long_trace_id = long.map(|long| self.long_trace_id(long));
        finished
    }

    fn per_request(&self) -> usize {
        self.config.rows_per_request.max(1)
    }

    /// The long trace that has half of a request's rows: its place among them.
    fn long_trace(&self, index: usize) -> Option<usize> {
        let traces = (self.config.rows / ROWS_PER_LONG_TRACE).max(1);
        let stride = self.requests() / traces;
        // Small data has shorter ones: a twenty-fifth of all rows lies in them.
        let spans = LONG_TRACE_SPANS.min(self.config.rows / traces / 25);
        let requests = spans / (self.per_request() / 2).max(1);
        let (place, within) = (index / stride.max(1), index % stride.max(1));
        (place < traces && within < requests).then_some(place)
    }

    fn long_trace_id(&self, place: usize) -> [u8; 16] {
        trace_id(&mut Draw::new(self.config.seed, 2 << 32 | unsigned(place)))
    }
}

fn trace_id(draw: &mut Draw) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&draw.bits().to_be_bytes());
    id[8..].copy_from_slice(&(draw.bits() | 1).to_be_bytes());
    id
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use skein_otlp::Message as _;
    use skein_otlp::collector::logs::ExportLogsServiceRequest;
    use skein_otlp::collector::trace::ExportTraceServiceRequest;

    use super::*;

    fn small() -> WideConfig {
        WideConfig { rows: 20_500, ..WideConfig::default() }
    }

    fn traces(request: &WideRequest) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(request.traces.as_slice()).unwrap()
    }

    /// Events that carry so many attributes on average, with those of the resource: by dataset.
    fn filled(wide: &Wide) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for index in 0..wide.requests() {
            for group in traces(&wide.request(index)).resource_spans {
                let resource = group.resource.unwrap().attributes;
                let name = format!("{:?}", resource[0].value);
                for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
                    let sum = sums.entry(name.clone()).or_default();
                    *sum = (sum.0 + resource.len() + span.attributes.len(), sum.1 + 1);
                }
            }
        }
        sums.into_iter().map(|(name, (sum, count))| (name, sum as f64 / count as f64)).collect()
    }

    #[test]
    fn the_same_options_give_the_same_bytes_in_any_order() {
        let (wide, again) = (small().generator(), small().generator());
        assert_eq!(wide.requests(), 21);
        let last = again.request(20);
        assert_eq!(last.rows(), 500);
        assert_eq!(wide.request(7), again.request(7));
        assert_eq!(wide.request(20), last);
        assert_ne!(WideConfig { seed: 2, ..small() }.generator().request(7).traces, wide.request(7).traces);
    }

    #[test]
    fn the_counts_are_those_of_the_bodies() {
        let wide = small().generator();
        let mut seen = (0, 0, 0);
        for index in 0..wide.requests() {
            let request = wide.request(index);
            let spans: Vec<_> = traces(&request)
                .resource_spans
                .into_iter()
                .flat_map(|group| group.scope_spans)
                .flat_map(|scope| scope.spans)
                .collect();
            let logs = ExportLogsServiceRequest::decode(request.logs.as_slice()).unwrap();
            let logs = logs.resource_logs.iter().flat_map(|group| &group.scope_logs);
            assert_eq!(spans.len(), request.spans);
            assert_eq!(spans.iter().map(|span| span.events.len()).sum::<usize>(), request.span_events);
            assert_eq!(logs.map(|scope| scope.log_records.len()).sum::<usize>(), request.log_records);
            assert!(spans.iter().any(|span| span.trace_id == request.trace_id));
            seen = (seen.0 + request.spans, seen.1 + request.span_events, seen.2 + request.log_records);
        }
        assert_eq!(seen.0 + seen.1 + seen.2, 20_500);
        assert!(seen.1 > 100 && seen.2 > 1_500, "{seen:?}");
    }

    #[test]
    fn one_dataset_is_wide_and_the_others_are_not() {
        let wide = small().generator();
        let mut filled: Vec<f64> = filled(&wide).into_values().collect();
        filled.sort_by(f64::total_cmp);
        assert_eq!(filled.len(), 30);
        assert!((270.0..330.0).contains(&filled[29]), "{}", filled[29]);
        assert!(filled[0] > 22.0 && filled[28] < 66.0, "{filled:?}");
    }

    #[test]
    fn columns_filling_and_datasets_are_as_asked() {
        let config = WideConfig { columns: 200, filled: 0.5, datasets: 5, ..small() };
        let filled = filled(&config.generator());
        assert_eq!(filled.len(), 5);
        let mut names = HashSet::new();
        for index in 0..3 {
            for group in traces(&config.generator().request(index)).resource_spans {
                names.extend(group.resource.unwrap().attributes.into_iter().map(|attribute| attribute.key));
                let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                names.extend(spans.flat_map(|span| span.attributes).map(|attribute| attribute.key));
            }
        }
        assert!((190..=200).contains(&names.len()), "{}", names.len());
    }

    #[test]
    fn traces_have_ten_spans_and_some_have_a_share_of_all() {
        let wide = small().generator();
        let mut spans: HashMap<Vec<u8>, usize> = HashMap::new();
        for index in 0..wide.requests() {
            let groups = traces(&wide.request(index)).resource_spans.into_iter();
            for span in groups.flat_map(|group| group.scope_spans).flat_map(|scope| scope.spans) {
                *spans.entry(span.trace_id).or_default() += 1;
            }
        }
        let long = wide.request(0).long_trace_id.unwrap();
        assert_eq!(spans.remove(long.as_slice()), Some(500));
        let ordinary = spans.values().filter(|&&count| count == 10).count();
        assert!(spans.values().all(|&count| count <= 10) && ordinary * 10 > spans.len() * 9);
    }
}
