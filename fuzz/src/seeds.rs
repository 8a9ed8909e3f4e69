//! What mutation starts from: whole inputs of each kind, generated. Segments have theirs in `segments`.

use skein_event::EventBatch;
use skein_ingest::{Signal, decode_protobuf};
use skein_log::codec;

use super::bodies::CONTEXT;
use super::generate::{Random, request};
use super::round_trip::Request;

/// Inputs of the target's kind, for every target the same in every run.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "protobuf_traces" => requests(Signal::Traces, Request::protobuf),
        "protobuf_logs" => requests(Signal::Logs, Request::protobuf),
        "protobuf_metrics" => requests(Signal::Metrics, Request::protobuf),
        "json_traces" => requests(Signal::Traces, |request| request.json().into_bytes()),
        "json_logs" => requests(Signal::Logs, |request| request.json().into_bytes()),
        "json_metrics" => requests(Signal::Metrics, |request| request.json().into_bytes()),
        "log_batch" | "export" => batches().iter().map(encoded).collect(),
        "log_file" => log_files(),
        "query_spec" => SPECS.iter().map(|spec| spec.as_bytes().to_vec()).collect(),
        _ => Vec::new(),
    }
}

fn requests(signal: Signal, form: impl Fn(&Request) -> Vec<u8>) -> Vec<Vec<u8>> {
    let all = (0..200).map(|seed| request(&mut Random::new(seed)));
    let mut requests: Vec<Vec<u8>> =
        all.filter(|request| request.signal() == signal).map(|request| form(&request)).collect();
    // Small ones first: they are quick, and their mutants are more telling.
    requests.sort_by_key(Vec::len);
    requests.truncate(40);
    requests
}

pub(crate) fn batches() -> Vec<EventBatch> {
    let door = |signal: Signal| {
        let bodies = requests(signal, Request::protobuf);
        bodies.into_iter().map(move |body| {
            decode_protobuf(signal, &body, &CONTEXT).expect("a generated request is read").batch
        })
    };
    Signal::ALL.into_iter().flat_map(door).filter(|batch| !batch.is_empty()).collect()
}

fn encoded(batch: &EventBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(batch, &mut bytes);
    bytes
}

/// No file of the log can be made without a disk; its parts are: magic numbers, and bodies of records.
fn log_files() -> Vec<Vec<u8>> {
    let blank = vec![vec![0; 64], vec![0; 8_192], b"SkLr".repeat(64), b"SkLf".repeat(64)];
    let bodies = batches()
        .iter()
        .take(8)
        .map(|batch| [b"SkLr\x01\x01\0\x07".as_slice(), &encoded(batch)].concat())
        .collect();
    [blank, bodies].concat()
}

const SPECS: &[&str] = &[
    r#"{"calculations":[{"op":"COUNT"}]}"#,
    r#"{"calculations":[{"op":"P99","column":"duration_ms"},{"op":"HEATMAP","column":"duration_ms"},{"op":"COUNT_DISTINCT","column":"user.id","name":"users"}],"breakdowns":["service.name","name"],"orders":[{"op":"P99","column":"duration_ms","order":"descending"}],"limit":20,"granularity":60,"havings":[{"calculate_op":"COUNT","op":">","value":5}],"time_range":7200}"#,
    r#"{"calculations":[],"filters":[{"column":"error","op":"exists"},{"column":"http.status_code","op":">=","value":500},{"column":"name","op":"in","value":["a",1,true,null]},{"column":"x","op":"does-not-contain","value":"y"}],"filter_combination":"OR","datasets":["cart"],"start_time":1674982800,"end_time":1674990000.5,"limit":10000,"cursor":"1-2-3"}"#,
    r#"{"calculations":[{"op":"SUM","column":"a","filters":[{"column":"b","op":"=","value":1.5}],"filter_combination":"AND"}],"orders":[{"column":"a","order":"ascending"}],"dry_run":true,"wait_ms":10}"#,
    r#"{"calculations":[{"op":"PER_TRACE","inner":{"op":"SUM","column":"x"},"outer":"P95","name":"n"}],"trace_slack_seconds":600,"calculated_fields":[],"compare_time_offset_seconds":3600}"#,
];
