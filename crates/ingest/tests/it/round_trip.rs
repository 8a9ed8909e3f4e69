//! Decode, split over eight partitions, export, compare.

use skein_event::Environment;
use skein_event::hash::HashKey;
use skein_event::split::split;
use skein_ingest::export::model::Model;
use skein_ingest::{Decoded, DoorContext, Signal, decode_json, decode_protobuf, export};
use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::json::ToJson as _;

/// When the requests arrive: 2023-01-29T09:00:00Z.
pub(crate) const ARRIVAL_NS: i64 = 1_674_982_800_000_000_000;

const KEY: HashKey = HashKey(0x5ce1);

pub(crate) const CONTEXT: DoorContext = DoorContext { hash_key: KEY, arrival_ns: ARRIVAL_NS };

/// A request of any signal.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Request {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Request {
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Request::Traces(_) => Signal::Traces,
            Request::Logs(_) => Signal::Logs,
            Request::Metrics(_) => Signal::Metrics,
        }
    }

    pub(crate) fn protobuf(&self) -> Vec<u8> {
        match self {
            Request::Traces(request) => request.encode_to_vec(),
            Request::Logs(request) => request.encode_to_vec(),
            Request::Metrics(request) => request.encode_to_vec(),
        }
    }

    pub(crate) fn json(&self) -> String {
        match self {
            Request::Traces(request) => request.to_json(),
            Request::Logs(request) => request.to_json(),
            Request::Metrics(request) => request.to_json(),
        }
    }

    pub(crate) fn model(&self) -> Model {
        let mut model = Model::default();
        match self {
            Request::Traces(request) => model.add_traces(request),
            Request::Logs(request) => model.add_logs(request),
            Request::Metrics(request) => model.add_metrics(request),
        }
        model
    }
}

/// The model of what is stored, by way of the partitions.
pub(crate) fn exported(decoded: Decoded) -> Model {
    let mut model = Model::default();
    let rows = decoded.batch.rows();
    let parts = split(decoded.batch, &Environment::default_environment(), 7, 8, KEY);
    assert_eq!(parts.iter().map(|(_, part)| part.rows()).sum::<usize>(), rows);
    for (_, part) in parts {
        part.validate().expect("a valid part");
        let exported = export(&part).expect("no damage");
        assert_eq!(exported.orphans, 0);
        model.add_traces(&exported.traces);
        model.add_logs(&exported.logs);
        model.add_metrics(&exported.metrics);
    }
    model
}

/// Sends a request through the protobuf door and, as JSON, through the JSON door.
pub(crate) fn check(request: &Request) {
    let model = request.model();
    let protobuf = decode_protobuf(request.signal(), &request.protobuf(), &CONTEXT).expect("protobuf");
    check_decoded(&model, protobuf, "protobuf", request);
    let json = decode_json(request.signal(), request.json().as_bytes(), &CONTEXT).expect("JSON");
    check_decoded(&model, json, "JSON", request);
}

fn check_decoded(model: &Model, decoded: Decoded, door: &str, request: &Request) {
    assert_eq!(decoded.batch.validate(), Ok(()), "{door}");
    assert_eq!(decoded.rejected.kept, [], "{door} {}", request.json());
    if let Some(difference) = model.difference(&exported(decoded)) {
        panic!(
            "{door}: {} records missing, {} too many\n{}",
            difference.missing,
            difference.surplus,
            difference.examples.join("\n")
        );
    }
}
