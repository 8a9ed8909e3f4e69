//! A data directory whose events were multiplied is an ordinary one: sound, and everything is found that is found
//! in the original, so many times.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use skein_event::flow::BatchKey;
use skein_event::ids::{Environment, parse_trace_id};
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::resource::Resource;
use skein_otlp::trace::{ResourceSpans, ScopeSpans, Span};
use skein_sim::deployment::Deployment;
use skein_sim::random::data::{Request, START_S};
use skein_sim::subject::with_context;
use skein_store::copies::{TraceCopies, Wanted, multiply};
use skein_store::upkeep::verify;
use skein_store::{ErrorKind, Readers};

use crate::damage::fresh;

const TIMES: u32 = 5;
const START_NS: u64 = START_S.unsigned_abs() * 1_000_000_000;
const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

fn ours() -> Environment {
    Environment::default_environment()
}

/// Events, whatever their weight.
fn count(deployment: &Deployment) -> u64 {
    let snapshot = deployment.store().snapshot(&ours()).expect("a snapshot");
    snapshot.segments.iter().map(|handle| u64::from(handle.rows())).sum()
}

fn traces(deployment: &Deployment) -> BTreeSet<[u8; 16]> {
    let spec = json!({"calculations": [{"op": "COUNT"}], "breakdowns": ["trace.trace_id"],
                      "filters": [{"column": "trace.trace_id", "op": "exists"}], "limit": 10_000,
                      "start_time": START_S - 100 * 86_400, "end_time": START_S + 86_400});
    let data = deployment.data(&ours(), &spec).expect("answers");
    let rows = data["results"].as_array().expect("results").iter();
    rows.filter_map(|row| parse_trace_id(row["data"]["trace.trace_id"].as_str()?)).collect()
}

/// Events of a trace and the time of its first.
fn trace(deployment: &Deployment, id: [u8; 16]) -> (u64, i64) {
    let found = with_context(|context| deployment.engine().trace(&ours(), id, context)).expect("a trace");
    let first = found.rows.iter().map(|row| row.time_ns).min();
    (found.rows.len() as u64, first.unwrap_or_default())
}

/// Sends spans of twenty traces and some log records.
fn send(deployment: &Deployment, round: u8) {
    let span = |number: u8| Span {
        trace_id: [[round; 8], [number % 20 + 1; 8]].concat(),
        span_id: [[round; 4], [number + 1; 4]].concat(),
        name: format!("work {}", number % 7),
        start_time_unix_nano: START_NS + u64::from(number) * 1_000_003,
        end_time_unix_nano: START_NS + u64::from(number) * 2_000_003,
        attributes: vec![
            text("route", &format!("/{}", number % 9)),
            text("id", &format!("{round}-{number}")),
        ],
        ..Span::default()
    };
    let service = Resource { attributes: vec![text("service.name", "cart")], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: (0..120).map(span).collect(), ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(service), scope_spans, ..ResourceSpans::default() };
    let request = Request::Traces(ExportTraceServiceRequest { resource_spans: vec![group] });
    let key = BatchKey::Client(format!("round {round}").into());
    deployment.append(&ours(), &request, false, key).expect("appends");
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn original(folder: &Path) -> Deployment {
    fresh(folder).expect("a directory");
    let deployment = Deployment::open(folder).expect("opens");
    for round in 0..6 {
        send(&deployment, round);
        deployment.flush().expect("flushes");
        if round == 3 {
            deployment.compact().expect("compacts");
        }
    }
    deployment
}

/// Every checksum holds, every event is there once; the log never had the records of copies, and the check says so.
fn assert_sound_but_for_the_log(folder: &Path) {
    let report = verify(folder, None, &|_| {}).expect("verifies");
    let elsewhere: Vec<_> = report.damage().filter(|remark| !remark.file.starts_with("log")).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert!(report.checked.compared_events > 0 && report.checked.events > report.checked.compared_events);
}

#[test]
fn what_was_multiplied_is_found_so_many_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = original(folder.path());
    let (rows, known) = (count(&deployment), traces(&deployment));
    assert!(rows > 100 && known.len() > 10, "{rows} events, {} traces", known.len());
    let firsts: BTreeMap<_, _> = known.iter().map(|&id| (id, trace(&deployment, id))).collect();
    deployment.stop().expect("stops");

    let mut copies = Vec::new();
    let wanted = Wanted { environment: &ours(), times: TIMES, until_ns: i64::MAX };
    let done = multiply(folder.path(), &wanted, &mut |copy| copies.push(copy)).expect("multiplies");
    assert_eq!((done.rows, copies), (rows * u64::from(TIMES), (1..TIMES).collect()));

    let deployment = Deployment::open(folder.path()).expect("opens");
    // Nothing was made anew: what is derived was written with the rest.
    assert!(deployment.store().findings().is_empty(), "{:?}", deployment.store().findings());
    assert_eq!(count(&deployment), rows * u64::from(TIMES));
    let ours = ours();
    let ids = TraceCopies::of(folder.path(), &ours).expect("a directory");
    for (id, (events, first_ns)) in &firsts {
        for copy in 0..TIMES {
            let shifted = first_ns - i64::from(copy) * DAY_NS;
            assert_eq!(trace(&deployment, ids.id(id, copy)), (*events, shifted), "copy {copy} of {id:?}");
        }
    }
    let all = traces(&deployment);
    assert_eq!(all.len(), known.len() * TIMES as usize);
    deployment.store().attach_readers(Arc::new(Readers::open(folder.path()).expect("readers")));
    assert_sound_but_for_the_log(folder.path());

    // And it goes on like any other.
    send(&deployment, 6);
    let more = count(&deployment);
    assert!(more > rows * u64::from(TIMES));
    let deployment = deployment.reopen().expect("opens again");
    deployment.flush().expect("flushes");
    deployment.compact().expect("compacts");
    assert_eq!(count(&deployment), more);
    assert_sound_but_for_the_log(folder.path());
}

#[test]
fn a_damaged_original_is_not_multiplied() {
    let folder = tempfile::tempdir().expect("a folder");
    original(folder.path()).stop().expect("stops");
    let wanted = Wanted { environment: &ours(), times: 2, until_ns: i64::MAX };
    // Some of the files count no longer; what a copy looks into itself would be noticed without checksums.
    let paths = walk(&folder.path().join("segments/default"));
    let originals: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("reads")).collect();
    for place in 1..12 {
        for (path, bytes) in paths.iter().zip(&originals) {
            let mut bytes = bytes.clone();
            let at = bytes.len() * place / 12;
            bytes[at] ^= 1;
            std::fs::write(path, bytes).expect("writes");
        }
        let refused = multiply(folder.path(), &wanted, &mut |_| {}).expect_err("refuses");
        assert_eq!(refused.kind(), ErrorKind::Damaged, "{place} twelfths: {refused}");
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
