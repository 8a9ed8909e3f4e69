//! Skein observes itself (DESIGN.md §6): each request, batch, flush, compaction and query is one wide event
//! in environment `skein`, and goes the way of everybody's: OTLP bytes, door, log.
//!
//! Observing never blocks and never fails the work it tells about: a full queue drops, and counts. It cannot
//! loop: events go straight to decoder and sink, which observe nothing, and whatever tells of work for
//! environment `skein` is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event::Environment;
use event::flow::{Append, EventSink};
use event::hash::HashKey;
use event::limits::{OBSERVATIONS_BATCH_MAX, OBSERVATIONS_BATCH_WAIT, OBSERVATIONS_QUEUED_MAX};
use event::observe::{Clock, Observation, Observer};
use event::value::Value;
use otlp::Message as _;
use otlp::collector::trace::ExportTraceServiceRequest;
use otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use otlp::resource::Resource;
use otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode};
use skein_api::door::{DecodeRequest, Decoder, Encoding};
use skein_api::metrics::Metrics;
use skein_event as event;
use skein_ingest::Signal;
use skein_otlp as otlp;
use tokio::sync::{mpsc, oneshot};

/// Takes observations and queues them.
#[derive(Clone)]
pub(crate) struct SelfObserver {
    queue: mpsc::Sender<Told>,
    dropped: Arc<AtomicU64>,
    /// The server stops: what is observed from now on has no log to go to.
    finished: Arc<AtomicBool>,
}

enum Told {
    Done(Observation),
    /// Answered when everything before it has been sent.
    Flush(oneshot::Sender<()>),
}

/// The other end: sends what was queued.
pub(crate) struct Reporter {
    queue: mpsc::Receiver<Told>,
    dropped: Arc<AtomicU64>,
    count: u64,
}

/// Where a reporter sends to.
pub(crate) struct Target {
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) sink: Arc<dyn EventSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) hash_key: HashKey,
    pub(crate) version: &'static str,
    pub(crate) metrics: Arc<Metrics>,
}

/// An observer and its reporter.
pub(crate) fn channel() -> (SelfObserver, Reporter) {
    let (sender, receiver) = mpsc::channel(OBSERVATIONS_QUEUED_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let finished = Arc::default();
    let observer = SelfObserver { queue: sender, dropped: Arc::clone(&dropped), finished };
    (observer, Reporter { queue: receiver, dropped, count: 0 })
}

// === impl SelfObserver ===

impl SelfObserver {
    /// How many observations were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The last flush: what is observed afterwards is dropped, and counted.
    pub(crate) async fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.flush().await;
    }

    /// Waits until everything observed so far is durable or given up.
    pub(crate) async fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        if self.queue.send(Told::Flush(answer)).await.is_ok() && answered.await.is_err() {
            tracing::warn!("the last observations were not sent");
        }
    }
}

impl Observer for SelfObserver {
    fn observe(&self, observation: Observation) {
        if is_own(&observation) {
            return;
        }
        let finished = self.finished.load(Ordering::Acquire);
        if finished || self.queue.try_send(Told::Done(observation)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether it tells of work for environment `skein`.
fn is_own(observation: &Observation) -> bool {
    let own = |(name, value): &(&str, Value)| {
        *name == "skein.environment" && matches!(value, Value::Text(name) if name == Environment::SKEIN)
    };
    observation.fields.iter().any(own)
}

// === impl Reporter ===

impl Reporter {
    /// Sends batches until every observer is gone.
    pub(crate) async fn run(mut self, target: Target) {
        loop {
            let mut batch = Vec::new();
            let mut flushes = Vec::new();
            let Some(first) = self.queue.recv().await else { return };
            let until = tokio::time::Instant::now() + OBSERVATIONS_BATCH_WAIT;
            let mut next = Some(first);
            while let Some(told) = next {
                match told {
                    Told::Done(observation) => batch.push(observation),
                    Told::Flush(answer) => flushes.push(answer),
                }
                if batch.len() >= OBSERVATIONS_BATCH_MAX || !flushes.is_empty() {
                    break;
                }
                next = tokio::time::timeout_at(until, self.queue.recv()).await.unwrap_or_default();
            }
            self.send(&target, batch).await;
            for answer in flushes {
                // Who asked may have given up waiting.
                if answer.send(()).is_err() {
                    tracing::debug!("nobody waits for the flush");
                }
            }
        }
    }

    async fn send(&mut self, target: &Target, batch: Vec<Observation>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let arrival_ns = target.clock.now_ns();
        let body = self.request(target, batch).encode_to_vec();
        let environment = Environment::skein();
        self.count += 1;
        let request = DecodeRequest {
            environment: &environment,
            signal: Signal::Traces,
            encoding: Encoding::Protobuf,
            body: &body,
            batch_id: None,
            arrival_ns,
            unique: u128::from(arrival_ns.cast_unsigned()) << 64 | u128::from(self.count) << 32,
        };
        let decoded = match target.decoder.decode(&request) {
            Ok(decoded) => decoded,
            Err(error) => {
                tracing::error!(%error, "own events could not be decoded");
                self.dropped.fetch_add(count, Ordering::Relaxed);
                return;
            }
        };
        if decoded.batch.is_empty() {
            return;
        }
        let append = Append { environment, key: decoded.key, batch: decoded.batch, reply: Vec::new() };
        match target.sink.append(append).await {
            Ok(_appended) => {
                let taken_ns = target.clock.now_ns().saturating_sub(arrival_ns);
                target.metrics.visible(&Environment::skein(), taken_ns);
            }
            Err(error) => {
                tracing::warn!(%error, "own events were not stored");
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn request(&mut self, target: &Target, batch: Vec<Observation>) -> ExportTraceServiceRequest {
        let spans = batch.into_iter().map(|observation| self.span(target.hash_key, observation)).collect();
        let scope = InstrumentationScope {
            name: "skein".to_owned(),
            version: target.version.to_owned(),
            ..InstrumentationScope::default()
        };
        let attributes = vec![
            attribute("service.name", &Value::Text("skein".to_owned())),
            attribute("service.version", &Value::Text(target.version.to_owned())),
        ];
        let resource = Resource { attributes, ..Resource::default() };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }],
                schema_url: String::new(),
            }],
        }
    }

    /// A span of its own trace. Its ids are hashes of time and number under the deployment's key.
    fn span(&mut self, key: HashKey, observation: Observation) -> Span {
        let Observation { name, start_ns, duration_ns, error, fields } = observation;
        self.count += 1;
        let mut seed = [0_u8; 24];
        seed[..8].copy_from_slice(&self.count.to_le_bytes());
        seed[8..16].copy_from_slice(&start_ns.to_le_bytes());
        seed[16..].copy_from_slice(&duration_ns.to_le_bytes());
        // The lowest bit set: an id of zeros is none.
        let trace_id = key.digest(&seed) | 1;
        let span_id = key.hash(&seed) | 1;
        let end_ns = start_ns.saturating_add(duration_ns.max(0));
        let status = error.map(|message| Status { message, code: StatusCode::Error.into() });
        Span {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: span_id.to_be_bytes().to_vec(),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: u64::try_from(start_ns).unwrap_or_default(),
            end_time_unix_nano: u64::try_from(end_ns).unwrap_or_default(),
            attributes: fields.iter().map(|(name, value)| attribute(name, value)).collect(),
            status,
            ..Span::default()
        }
    }
}

fn attribute(name: &str, value: &Value) -> KeyValue {
    let value = match value {
        Value::Bool(bit) => any_value::Value::BoolValue(*bit),
        Value::I64(number) => any_value::Value::IntValue(*number),
        Value::F64(number) => any_value::Value::DoubleValue(*number),
        Value::Text(text) => any_value::Value::StringValue(text.clone()),
        Value::Bytes(bytes) => any_value::Value::BytesValue(bytes.clone()),
        Value::Json(_) => any_value::Value::StringValue(value.canonical_text().into_owned()),
    };
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(environment: &str) -> Observation {
        Observation {
            name: "flush",
            start_ns: 5,
            duration_ns: 7,
            error: None,
            fields: vec![("skein.environment", Value::Text(environment.to_owned()))],
        }
    }

    #[test]
    fn work_for_its_own_environment_is_not_observed() {
        let (observer, mut reporter) = channel();
        observer.observe(observation("skein"));
        observer.observe(observation("default"));
        assert!(matches!(reporter.queue.try_recv(), Ok(Told::Done(told)) if told == observation("default")));
        assert!(reporter.queue.try_recv().is_err(), "one event at most");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (observer, _reporter) = channel();
        for _ in 0..OBSERVATIONS_QUEUED_MAX + 3 {
            observer.observe(observation("default"));
        }
        assert_eq!(observer.dropped(), 3);
    }

    #[test]
    fn equal_observations_are_different_spans() {
        let (_, mut reporter) = channel();
        let spans = [0, 1].map(|_| reporter.span(HashKey(1), observation("default")));
        assert_ne!(spans[0].trace_id, spans[1].trace_id);
        assert_eq!((spans[0].start_time_unix_nano, spans[0].end_time_unix_nano), (5, 12));
    }
}
