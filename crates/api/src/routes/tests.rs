//! Golden answers and errors of every route, over an engine that answers what it is told.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use event::Environment;
use event::flow::{Append, AppendFuture, Appended, EventSink};
use event::hash::HashKey;
use event::ids::{EventId, Offset, Partition};
use event::observe::{Clock, Observation, Observer};
use event::rejection::ReasonCode;
use event::value::Value;
use http::{Method, Request};
use query::insights::{Answer, Datum, InsightsPlan};
use query::plan::TimeRange;
use query::result::{
    Cell, CellValue, ColumnInfo, Data, DatasetInfo, FlatRow, GroupRow, Groups, Meta, QueryResult, Rows,
    ScanBatch, SegmentCounts, Stats, TraceRows, ValueCount, Warning,
};
use query::{ErrorKind, Plan};
use serde_json::{Value as Json, json};
use skein_event as event;
use skein_query as query;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::*;
use crate::budget::Budget;
use crate::cpu::CpuPool;
use crate::door::{Door, OtlpDecoder};
use crate::findings::Finding;
use crate::gate::Gate;
use crate::jobs::Jobs;
use crate::metrics::{Gauges, Metric, Metrics, Sample};
use crate::rejections::{Entry, Rejections};
use crate::state::{Exporter, NoDemo, NoKeeper, QueryLimits};

mod compare;
mod exports;
mod health;
mod insights;
mod kept;
mod own;
mod traces;

/// 2023-11-14T22:13:20Z.
const NOW_NS: i64 = 1_700_000_000_000_000_000;

/// What the engine does with a plan.
#[derive(Clone)]
enum Run {
    Answer(Box<QueryResult>),
    Fail(QueryError),
    /// Tells of half the work and of what it found there, then waits for another order.
    Wait,
    Panic,
}

struct Told {
    run: watch::Sender<Run>,
    trace: Mutex<Vec<FlatRow>>,
    plans: Mutex<Vec<Plan>>,
    now_ns: AtomicI64,
    observed: Mutex<Vec<&'static str>>,
}

impl Clock for Told {
    fn now_ns(&self) -> i64 {
        self.now_ns.load(Ordering::Relaxed)
    }
}

impl Observer for Told {
    fn observe(&self, observation: Observation) {
        self.observed.lock().unwrap().push(observation.name);
    }
}

impl Gauges for Told {
    fn samples(&self) -> Vec<Sample> {
        let labels = |environment: &str| {
            vec![("environment", environment.to_owned()), ("kind", "segments".to_owned())]
        };
        vec![
            Sample::new(Metric::StorageBytes, labels("default"), 100.0),
            Sample::new(Metric::StorageBytes, labels("skein"), 7.0),
            Sample::new(Metric::StorageBytes, vec![("kind", "log".to_owned())], 30.0),
        ]
    }

    fn findings(&self) -> Vec<Finding> {
        let found = |environment, path: &str| Finding {
            environment: Some(environment),
            kind: "set_aside",
            path: path.to_owned(),
            events: Some(5),
            message: "damaged".to_owned(),
        };
        vec![found(Environment::default_environment(), "q/1.seg"), found(Environment::skein(), "q/2.seg")]
    }
}

impl EventSink for Told {
    fn append(&self, append: Append) -> AppendFuture<'_> {
        Box::pin(async move { Ok(Appended { duplicate: false, reply: append.reply }) })
    }
}

impl Exporter for Told {
    fn lines(&self, batch: &ScanBatch) -> Result<Vec<u8>, String> {
        Ok(format!("{{\"partition\":{}}}\n", batch.partition.0).into_bytes())
    }

    fn events(&self, batch: ScanBatch) -> Vec<FlatRow> {
        vec![row(u32::from(batch.partition.0), &[("name", Value::Text("n".repeat(1 << 10)))]); 2_000]
    }
}

impl QueryEngine for Told {
    fn run(&self, plan: &Plan, context: &RunContext<'_>) -> Result<QueryResult, QueryError> {
        self.plans.lock().unwrap().push(plan.clone());
        let mut order = self.run.subscribe();
        loop {
            match order.borrow_and_update().clone() {
                Run::Answer(result) => return Ok(*result),
                Run::Fail(error) => return Err(error),
                Run::Panic => panic!("as told"),
                Run::Wait => {
                    (context.progress)(0.5);
                    if let Some(partial) = context.partial {
                        partial(answer());
                    }
                }
            }
            context.check()?;
            std::thread::yield_now();
        }
    }

    fn insights(
        &self,
        plan: &InsightsPlan,
        context: &RunContext<'_>,
        _partial: &query::engine::InsightsPartial<'_>,
    ) -> Result<Answer, QueryError> {
        let meta = self.run(&plan.base, context)?.meta;
        let rows = vec![vec![Datum::from("x"), Datum::Missing]];
        let columns = vec![("a".to_owned(), "text"), ("b".to_owned(), "i64")];
        Ok(Answer { columns, rows, events: None, meta })
    }

    fn trace(
        &self,
        _environment: &Environment,
        trace_id: [u8; 16],
        _context: &RunContext<'_>,
    ) -> Result<TraceRows, QueryError> {
        let rows = if trace_id == [1; 16] { self.trace.lock().unwrap().clone() } else { Vec::new() };
        Ok(TraceRows { trace_id, rows, complete_to_ns: NOW_NS, meta: Meta::default() })
    }

    fn cohorts(
        &self,
        plan: &query::cohorts::CohortsPlan,
        _: &RunContext<'_>,
    ) -> Result<query::cohorts::Cohorts, QueryError> {
        Ok(compare::cohorts(plan))
    }

    fn templates(
        &self,
        plan: &query::templates::TemplatesPlan,
        _: &RunContext<'_>,
    ) -> Result<query::templates::Collected, QueryError> {
        Ok(compare::collected(plan))
    }

    fn datasets(&self, _: &Environment, _: &RunContext<'_>) -> Result<Vec<DatasetInfo>, QueryError> {
        Ok(vec![DatasetInfo { name: "cart".into(), events: 3, first_ns: 0, last_ns: NOW_NS }])
    }

    fn columns(
        &self,
        _environment: &Environment,
        dataset: Option<&str>,
        _context: &RunContext<'_>,
    ) -> Result<Vec<ColumnInfo>, QueryError> {
        Ok(vec![ColumnInfo {
            name: dataset.unwrap_or("of all").to_owned(),
            types: vec![("i64", 2), ("text", 1)],
            scopes: vec!["attributes"],
            first_ns: 0,
            last_ns: 1,
            distinct_estimate: 2,
        }])
    }

    fn values(
        &self,
        _environment: &Environment,
        _dataset: Option<&str>,
        column: &str,
        prefix: &str,
        limit: usize,
        _context: &RunContext<'_>,
    ) -> Result<Vec<ValueCount>, QueryError> {
        assert_eq!(limit, 100);
        Ok(vec![ValueCount { value: Value::Text(format!("{column}:{prefix}")), count: 4 }])
    }

    fn scan(
        &self,
        _environment: &Environment,
        _datasets: &[String],
        _time_range: TimeRange,
        _context: &RunContext<'_>,
        sink: &mut query::engine::ScanSink<'_>,
    ) -> Result<(), QueryError> {
        for partition in 0..20 {
            let batch = event::EventBatch::default();
            let (event_ids, ingest_times_ns) = (Vec::new(), Vec::new());
            sink(ScanBatch { batch, partition: Partition(partition), event_ids, ingest_times_ns })?;
        }
        match self.run.borrow().clone() {
            Run::Fail(error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn row(index: u32, fields: &[(&str, Value)]) -> FlatRow {
    let mut fields: Vec<(Arc<str>, Value)> =
        fields.iter().map(|(name, value)| (Arc::from(*name), value.clone())).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let event_id = EventId { partition: Partition(3), offset: Offset(9), index };
    FlatRow { time_ns: NOW_NS + 1, ingest_time_ns: NOW_NS + 2, event_id, fields }
}

fn answer() -> QueryResult {
    let stats = Stats { lo95: Some(1.5), hi95: None, exact: true, n_traces: Some(2), reliable: true };
    let cell = |value| Cell { value, stats };
    let groups = Groups {
        breakdowns: vec!["http.route".into()],
        calculations: vec!["COUNT".into(), "P99(duration_ms)".into()],
        results: vec![GroupRow {
            key: vec![Some(Value::Text("/buy".into()))],
            cells: vec![cell(CellValue::I64(3)), cell(CellValue::F64(0.25))],
        }],
        series: None,
        compare: None,
        total: vec![cell(CellValue::I64(3)), cell(CellValue::F64(f64::INFINITY))],
        other: None,
    };
    let meta = Meta {
        elapsed_ns: 1_500_000,
        rows_scanned: 10,
        rows_matched: 3,
        bytes_scanned: 99,
        segments: SegmentCounts { considered: 4, pruned: 3, scanned: 1 },
        complete_to_ns: NOW_NS,
        time_range: Some(TimeRange { start_ns: 0, end_ns: 1 }),
        snapshot: "s1".into(),
        warnings: vec![Warning { code: "coerced", message: "2 values were coerced".into() }],
    };
    QueryResult { data: Data::Groups(groups), meta }
}

struct Server {
    told: Arc<Told>,
    api: Arc<Api>,
    router: Router,
}

fn server() -> Server {
    server_with(crate::patience::Patience::default())
}

fn server_with(patience: crate::patience::Patience) -> Server {
    let told = Arc::new(Told {
        run: watch::Sender::new(Run::Answer(Box::new(answer()))),
        trace: Mutex::default(),
        plans: Mutex::default(),
        now_ns: AtomicI64::new(NOW_NS),
        observed: Mutex::default(),
    });
    let gate = Arc::new(Gate::default());
    gate.set_ready();
    let door = Arc::new(Door {
        sink: Arc::clone(&told) as Arc<dyn EventSink>,
        decoder: Arc::new(OtlpDecoder { hash_key: HashKey(1) }),
        budget: Budget::new(1 << 20),
        cpu: CpuPool::new(1),
        gate,
        rejections: Arc::new(Rejections::default()),
        metrics: Arc::new(Metrics::default()),
        observer: Arc::clone(&told) as Arc<dyn Observer>,
        clock: Arc::clone(&told) as Arc<dyn Clock>,
        request_bytes_max: 1 << 18,
        patience,
    });
    let api = Arc::new(Api {
        engine: Arc::clone(&told) as Arc<dyn QueryEngine>,
        door,
        exporter: Arc::clone(&told) as Arc<dyn Exporter>,
        keeper: Arc::new(NoKeeper),
        registry: Arc::new(skein_registry::SqliteRegistry::in_memory().unwrap()),
        registry_calls: CpuPool::new(2),
        demo: Arc::new(NoDemo),
        jobs: Arc::new(Jobs::default()),
        cpu: CpuPool::new(2),
        exports: CpuPool::new(4),
        gauges: Arc::clone(&told) as Arc<dyn Gauges>,
        clock: Arc::clone(&told) as Arc<dyn Clock>,
        observer: Arc::clone(&told) as Arc<dyn Observer>,
        limits: QueryLimits { memory_bytes_max: 1 << 20, duration_ns_max: 5_000_000_000 },
        loopback_only: true,
        version: "0.0.0",
        id_key: HashKey(2),
        count: AtomicU64::new(0),
    });
    Server { told, router: api_router(Arc::clone(&api)), api }
}

/// A test that fails leaves no query behind, for which its runtime would wait.
impl Drop for Server {
    fn drop(&mut self) {
        self.api.jobs.cancel_all();
    }
}

impl Server {
    async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let (status, body) = self.bytes(method, path, headers, body).await;
        (status, String::from_utf8(body).unwrap())
    }

    async fn bytes(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Vec<u8>) {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, body.to_vec())
    }

    async fn get(&self, path: &str) -> (u16, Json) {
        let (status, body) = self.raw(Method::GET, path, &[], "").await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    async fn post(&self, path: &str, body: Json) -> (u16, Json) {
        let headers = [("content-type", "application/json")];
        let (status, body) = self.raw(Method::POST, path, &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// Polls a query until the engine has told of half of it: with its data.
    async fn half_done(&self, id: &str) -> Json {
        loop {
            let (status, body) = self.get(&format!("/api/v1/query/{id}")).await;
            assert_eq!((status, &body["complete"]), (202, &json!(false)), "{body}");
            if body["data"]["results"][0].is_object() {
                assert_eq!(body["progress"], 0.5);
                return body;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Polls a query until it has ended.
    async fn ended(&self, id: &str) -> (u16, Json) {
        loop {
            let answer = self.get(&format!("/api/v1/query/{id}")).await;
            if answer.0 != 202 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// An error without the request's id, which must be there.
fn error((status, mut body): (u16, Json)) -> (u16, Json) {
    let error = body["error"].as_object_mut().unwrap_or_else(|| panic!("no error: {status}"));
    assert_eq!(error.remove("request_id").unwrap().as_str().unwrap().len(), 16);
    (status, body["error"].take())
}

#[tokio::test]
async fn a_query_is_answered_as_the_contract_says() {
    let server = server();
    let (status, mut body) = server.post("/api/v1/query", json!({"breakdowns": ["http.route"]})).await;
    let id = body["id"].take();
    assert_eq!(id.as_str().unwrap().len(), 16);
    let stats = json!({"lo95": 1.5, "hi95": null, "exact": true, "n_traces": 2, "reliable": true});
    let golden = json!({
        "id": null, "complete": true, "snapshot": "s1",
        "data": {
            "results": [{
                "data": {"http.route": "/buy", "COUNT": 3, "P99(duration_ms)": 0.25},
                "stats": {"COUNT": stats, "P99(duration_ms)": stats},
            }],
            "total": {"COUNT": 3, "P99(duration_ms)": "Infinity"},
            "total_stats": {"COUNT": stats, "P99(duration_ms)": stats},
        },
        "meta": {
            "elapsed_ms": 1.5, "rows_scanned": 10, "rows_matched": 3, "bytes_scanned": 99,
            "segments": {"considered": 4, "pruned": 3, "scanned": 1}, "engine": "native",
            "complete_to": "2023-11-14T22:13:20.000000000Z",
            "time_range": {"start": "1970-01-01T00:00:00.000000000Z", "end": "1970-01-01T00:00:00.000000001Z"},
            "warnings": [{"code": "coerced", "message": "2 values were coerced"}],
        },
    });
    assert_eq!((status, body), (200, golden));
    // Found again under its id, the same bytes.
    let again = server.get(&format!("/api/v1/query/{}", id.as_str().unwrap())).await;
    assert_eq!((again.0, &again.1["data"]["results"][0]["data"]["COUNT"]), (200, &json!(3)));
    assert_eq!(again.1["id"], id);
}

#[tokio::test]
async fn raw_rows_keep_what_json_would_lose() {
    let server = server();
    let wide = row(5, &[("big", Value::I64(i64::MAX)), ("nan", Value::F64(f64::NAN)), ("n", Value::I64(7))]);
    let rows = Rows { rows: vec![wide], next: Some("cursor".into()) };
    server
        .told
        .run
        .send_replace(Run::Answer(Box::new(QueryResult { data: Data::Rows(rows), meta: Meta::default() })));
    let (_, body) = server.post("/api/v1/query", json!({"calculations": []})).await;
    let golden = json!({
        "rows": [{
            "timestamp": "2023-11-14T22:13:20.000000001Z", "event.id": "3-9-5",
            "meta.ingest_time": "2023-11-14T22:13:20.000000002Z",
            "big": "9223372036854775807", "n": 7, "nan": "NaN",
        }],
        "next": "cursor",
    });
    assert_eq!(body["data"], golden);
    let dry = QueryResult { data: Data::Nothing, meta: Meta::default() };
    server.told.run.send_replace(Run::Answer(Box::new(dry)));
    let (status, body) = server.post("/api/v1/query", json!({"dry_run": true})).await;
    assert_eq!((status, &body["data"], body["meta"].is_object()), (200, &json!({}), true));
    assert!(server.told.plans.lock().unwrap().last().unwrap().dry_run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_is_followed_and_cancelled_by_its_id() {
    let server = server();
    server.told.run.send_replace(Run::Wait);
    let (status, body) = server.post("/api/v1/query", json!({"wait_ms": 0})).await;
    assert_eq!((status, &body["complete"]), (202, &json!(false)), "{body}");
    assert!(body["data"]["results"].is_array(), "the shape of the answer to come: {body}");
    let id = body["id"].as_str().unwrap().to_owned();
    server.half_done(&id).await;
    let (status, body) = server.raw(Method::DELETE, &format!("/api/v1/query/{id}"), &[], "").await;
    assert_eq!((status, body), (200, json!({"id": id, "was_running": true}).to_string()));
    let (status, body) = error(server.ended(&id).await);
    assert_eq!((status, &body["code"]), (409, &json!("conflict")));

    // One that ends on its own is found when it has, and can be forgotten.
    let (_, body) = server.post("/api/v1/query", json!({"wait_ms": 0})).await;
    let id = body["id"].as_str().unwrap().to_owned();
    server.told.run.send_replace(Run::Answer(Box::new(answer())));
    assert_eq!(server.ended(&id).await.1["complete"], true);
    let (_, body) = server.raw(Method::DELETE, &format!("/api/v1/query/{id}"), &[], "").await;
    assert_eq!(body, json!({"id": id, "was_running": false}).to_string());
    assert_eq!(error(server.get(&format!("/api/v1/query/{id}")).await).0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_not_done_in_time_answers_what_it_knows() {
    let server = server();
    server.told.run.send_replace(Run::Wait);
    // While all threads are taken, a query has found nothing yet, in the shape of what it will find.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    for _ in 0..2 {
        let (cpu, held) = (server.api.cpu.clone(), Arc::clone(&held));
        let (begun, waits) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let job = move || {
                begun.send(()).unwrap();
                held.lock().unwrap().recv().unwrap_or_default();
            };
            cpu.run(job).await.unwrap();
        });
        if waits.await.is_err() {
            panic!("the thread was not taken");
        }
    }
    let (status, body) = server.post("/api/v1/query", json!({"wait_ms": 0, "calculations": []})).await;
    assert_eq!((status, &body["data"]), (202, &json!({"rows": []})), "{body}");
    assert_eq!(body["meta"]["warnings"][0]["code"], "partial", "{body}");
    drop(release);
    let body = server.half_done(body["id"].as_str().unwrap()).await;
    assert_eq!(body["data"]["results"][0]["data"]["COUNT"], 3);
    assert_eq!((&body["snapshot"], &body["meta"]["rows_scanned"]), (&json!("s1"), &json!(10)), "{body}");
    let id = body["id"].as_str().unwrap().to_owned();

    // The stream sends the same objects.
    let request = Request::builder().uri(format!("/api/v1/query/{id}")).header("host", "localhost");
    let request = request.header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let mut stream = server.router.clone().oneshot(request).await.unwrap().into_body();
    let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(frame.to_vec()).unwrap();
    let (name, data) = text.trim_end().split_once('\n').unwrap();
    assert_eq!(name, "event: progress");
    assert_eq!(serde_json::from_str::<Json>(data.strip_prefix("data: ").unwrap()).unwrap(), body);
    server.told.run.send_replace(Run::Answer(Box::new(answer())));
    assert_eq!(server.ended(&id).await.1["complete"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_answer() {
    let server = server();
    server.told.run.send_replace(Run::Wait);
    let told = Arc::clone(&server.told);
    let end = tokio::spawn(async move {
        while told.plans.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        told.run.send_replace(Run::Answer(Box::new(answer())));
    });
    let headers = [("content-type", "application/json"), ("accept", "text/event-stream")];
    let (status, body) = server.raw(Method::POST, "/api/v1/query", &headers, "{}").await;
    end.await.unwrap();
    let events: Vec<(&str, Json)> = body
        .trim_end()
        .split("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (name.strip_prefix("event: ").unwrap(), data)
        })
        .collect();
    let (last, before) = events.split_last().unwrap();
    assert_eq!((status, last.0, &last.1["complete"]), (200, "answer", &json!(true)), "{body}");
    assert!(before.iter().all(|(name, data)| *name == "progress" && data["complete"] == false), "{body}");
    assert!(events.iter().all(|(_, data)| data["id"] == last.1["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_the_contract() {
    let server = server();
    let limit = QueryError::limit("too many groups").hint("fewer breakdowns");
    let unknown = QueryError::invalid("no column `rout`").at_path("/filters/0/column");
    for (run, expected) in [
        (
            Run::Fail(limit),
            (
                422,
                json!({"code": "limit_exceeded", "message": "too many groups", "hint": "fewer breakdowns"}),
            ),
        ),
        (
            Run::Fail(unknown.candidates(vec!["route".into()])),
            (
                400,
                json!({"code": "invalid_request", "message": "no column `rout`", "path": "/filters/0/column",
                "candidates": ["route"]}),
            ),
        ),
        (
            Run::Fail(QueryError::new(ErrorKind::Unavailable, "not now")),
            (503, json!({"code": "unavailable", "message": "not now", "retry_after_ms": 1000})),
        ),
        (
            Run::Fail(QueryError::internal("block 7 of /data/x.seg")),
            (500, json!({"code": "internal", "message": "the query failed inside the server"})),
        ),
        (Run::Panic, (500, json!({"code": "internal", "message": "the request failed inside the server"}))),
    ] {
        server.told.run.send_replace(run);
        assert_eq!(error(server.post("/api/v1/query", json!({})).await), expected);
    }
    let (status, body) =
        error(server.post("/api/v1/query", json!({"filters": [{"column": "a", "op": "~"}]})).await);
    assert_eq!(
        (status, &body["code"], &body["path"]),
        (400, &json!("invalid_request"), &json!("/filters/0/op")),
        "{body}"
    );
    let (status, body) =
        server.raw(Method::POST, "/api/v1/query", &[("content-type", "application/json")], "{").await;
    assert!(status == 400 && body.contains("not JSON") && body.contains("line 1"), "{body}");
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(JSON_BYTES_MAX));
    let (status, body) =
        server.raw(Method::POST, "/api/v1/query", &[("content-type", "application/json")], &large).await;
    assert!(status == 413 && body.contains("too_large"), "{body}");
    let (status, body) = error(server.get("/api/v1/datsets").await);
    assert_eq!((status, &body["candidates"][0]), (404, &json!("/api/v1/datasets")), "{body}");
    let (status, body) = server.raw(Method::PUT, "/api/v1/datasets", &[], "").await;
    assert!(status == 404 && body.contains("this path takes GET"), "{body}");
}

#[tokio::test]
async fn a_trace_is_assembled_and_cut_to_its_fields() {
    let server = server();
    let text = |value: &str| Value::Text(value.to_owned());
    *server.told.trace.lock().unwrap() = vec![
        row(
            0,
            &[
                ("meta.signal_type", text("trace")),
                ("trace.span_id", text("0000000000000002")),
                ("trace.parent_id", text("0000000000000009")),
                ("name", text("pay")),
                ("duration_ms", Value::F64(1.5)),
            ],
        ),
        row(1, &[("meta.signal_type", text("log")), ("body", text("hello"))]),
    ];
    let id = "01".repeat(16);
    let (status, body) = server.get(&format!("/api/v1/traces/{id}?fields=name")).await;
    let place = |index| json!(format!("3-9-{index}"));
    let golden = json!({
        "trace_id": id, "complete": false, "root_ids": [], "missing_parents": ["0000000000000009"],
        "duplicate_spans": [],
        "spans": [{
            "timestamp": "2023-11-14T22:13:20.000000001Z", "event.id": place(0), "meta.signal_type": "trace",
            "name": "pay", "trace.parent_id": "0000000000000009", "trace.span_id": "0000000000000002",
        }],
        "logs": [{"timestamp": "2023-11-14T22:13:20.000000001Z", "event.id": place(1), "meta.signal_type": "log"}],
    });
    assert_eq!((status, body), (200, golden));
    assert_eq!(server.get("/api/v1/traces/1-01010101-010101010101010101010101").await.0, 200, "X-Ray's form");
    let (status, body) = error(server.get(&format!("/api/v1/traces/{}", "02".repeat(16))).await);
    assert_eq!((status, &body["code"]), (404, &json!("not_found")));
    assert!(
        body["message"].as_str().unwrap().contains("complete to 2023-11-14T22:13:20.000000000Z"),
        "{body}"
    );
    assert_eq!(error(server.get("/api/v1/traces/xyz").await).0, 400);
    let arrow = [("accept", "application/vnd.apache.arrow.stream")];
    let (status, body) = server.raw(Method::GET, &format!("/api/v1/traces/{id}"), &arrow, "").await;
    assert!(status == 404 && body.contains("\"hint\""), "{body}");
}

#[tokio::test]
async fn what_there_is_to_ask_about() {
    let server = server();
    let times = ("1970-01-01T00:00:00.000000000Z", "2023-11-14T22:13:20.000000000Z");
    let cart = json!({"name": "cart", "events": 3, "first_seen": times.0, "last_seen": times.1});
    assert_eq!(server.get("/api/v1/datasets").await, (200, json!([cart])));
    let column = json!({
        "name": "cart", "types": [{"name": "i64", "count": 2}, {"name": "text", "count": 1}],
        "scopes": ["attributes"], "first_seen": times.0,
        "last_seen": "1970-01-01T00:00:00.000000001Z", "distinct_estimate": 2,
    });
    assert_eq!(server.get("/api/v1/datasets/cart/columns").await, (200, json!([column])));
    assert_eq!(server.get("/api/v1/datasets/__all__/columns").await.1[0]["name"], "of all");
    let values = server.get("/api/v1/datasets/cart/columns/http%2Froute/values?prefix=%2Fb").await;
    assert_eq!(values, (200, json!([{"value": "http/route:/b", "count": 4}])));
    let (status, body) = error(server.get("/api/v1/datasets/card/columns").await);
    assert_eq!((status, &body["code"], &body["candidates"]), (404, &json!("not_found"), &json!(["cart"])));
    let usage = json!({"datasets": [cart], "events": 3, "storage_bytes": {"log": 30, "segments": 100},
        "findings": [{"kind": "set_aside", "path": "q/1.seg", "events": 5, "message": "damaged"}]});
    assert_eq!(server.get("/api/v1/usage").await, (200, usage), "bytes of others are not shown");
}

#[tokio::test]
async fn rejections_are_listed() {
    let server = server();
    for (time_ns, environment) in
        [(NOW_NS, Environment::default_environment()), (NOW_NS, Environment::skein())]
    {
        server.api.door.rejections.add(Entry {
            time_ns,
            environment,
            door: "otlp_grpc".into(),
            key: Some("batch-1".into()),
            reason: ReasonCode::InvalidSpanId,
            path: "spans[0].spanId".into(),
            count: 2,
            sample: "must be 8 bytes".into(),
        });
    }
    let golden = json!([{
        "time": "2023-11-14T22:13:20.000000000Z", "door": "otlp_grpc", "key": "batch-1",
        "reason_code": "invalid_span_id", "path": "spans[0].spanId", "count": 2, "sample": "must be 8 bytes",
    }]);
    for since in ["", "?since=1700000000", "?since=2023-11-14T22:13:20Z"] {
        assert_eq!(server.get(&format!("/api/v1/rejections{since}")).await, (200, golden.clone()), "{since}");
    }
    assert_eq!(server.get("/api/v1/rejections?since=1700000000.5").await, (200, json!([])));
    // What falls off the list is summed up, and the sums are told.
    let entry = server.api.door.rejections.since(&Environment::default_environment(), 0).remove(0);
    for _ in 0..event::limits::REJECTIONS_KEPT {
        server.api.door.rejections.add(Entry { time_ns: NOW_NS + 1, ..entry.clone() });
    }
    let (_, listed) = server.get("/api/v1/rejections").await;
    let sum = json!({
        "time": "2023-11-14T22:13:20.000000000Z", "door": "otlp_grpc", "key": null,
        "reason_code": "invalid_span_id", "path": "", "count": 2, "summed": true,
        "sample": "older ones, which are no longer listed one by one; time is that of the latest",
    });
    assert_eq!(listed.as_array().unwrap().last().unwrap(), &sum);
    assert_eq!(error(server.get("/api/v1/rejections?since=yesterday").await).1["path"], "/since");
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_route_is_there() {
    let server = server();
    let (_, document) = server.get("/api/v1/openapi.json").await;
    let mut documented = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let concrete = path.replace(['{', '}'], "");
        for (method, operation) in methods.as_object().unwrap() {
            documented += 1;
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let (status, body) =
                server.raw(method.clone(), &concrete, &[("content-type", "application/json")], "{}").await;
            let is_there = !body.contains("nothing is at") && !body.contains("nothing answers");
            assert!(is_there, "{method} {path}: {status} {body}");
            assert!(operation["operationId"].is_string() && operation["summary"].is_string());
            let later = operation["responses"].get("200").is_none();
            assert_eq!(later, body.contains("does not answer this yet"), "{method} {path}: {body}");
            assert!(!later || (status == 404 && body.contains("\"hint\"")), "{body}");
        }
    }
    assert_eq!(documented, table().len());
    // The page of the reference is this document.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    if std::env::var_os("SKEIN_UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        text,
        "SKEIN_UPDATE=1 writes docs/reference/openapi.json anew"
    );
    // What the contract names is in the table, so that leaving a route out is noticed.
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/query",
        "/api/v1/query/{id}",
        "/api/v1/insights",
        "/api/v1/sql",
        "/api/v1/explain",
        "/api/v1/traces/{id}",
        "/api/v1/datasets",
        "/api/v1/datasets/{dataset}/columns",
        "/api/v1/datasets/{dataset}/columns/{column}/values",
        "/api/v1/rejections",
        "/api/v1/usage",
        "/api/v1/markers",
        "/api/v1/boards",
        "/api/v1/export",
        "/api/v1/erase",
        "/api/v1/compare",
        "/api/v1/map",
        "/api/v1/complete",
        "/api/v1/templates",
        "/api/v1/tail",
        "/api/v1/demo",
        "/api/v1/openapi.json",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test]
async fn the_demo_is_asked_for_as_json_and_has_an_environment_of_its_own() {
    let server = server();
    // Whatever a form of another page can send is refused, as everywhere.
    let (status, _) = server.raw(Method::POST, "/api/v1/demo", &[("content-type", "text/plain")], "{}").await;
    assert_eq!(status, 400);
    let json = [("content-type", "application/json")];
    let (status, body) = server.raw(Method::POST, "/api/v1/demo", &json, "{}").await;
    assert_eq!((status, body.as_str()), (200, r#"{"environment":"demo","started":false}"#));
    let demo = [("skein-environment", "demo")];
    assert_eq!(server.raw(Method::GET, "/api/v1/datasets", &demo, "").await.0, 200);
    let other = [("skein-environment", "elsewhere")];
    assert_eq!(server.raw(Method::GET, "/api/v1/datasets", &other, "").await.0, 404);
}
