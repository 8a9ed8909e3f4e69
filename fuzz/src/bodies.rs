//! What must hold for any bytes: nothing panics, what is accepted is valid, and what comes out goes in again.

use skein_event::hash::HashKey;
use skein_event::{Environment, EventBatch};
use skein_ingest::export::model::Model;
use skein_ingest::{Decoded, DoorContext, DoorError, Exported, Signal, decode_json, decode_protobuf};
use skein_log::codec;
use skein_otlp::Message as _;
use skein_otlp::json::ToJson as _;

use super::round_trip::ARRIVAL_NS;

pub(crate) const KEY: HashKey = HashKey(0x5ce1);

pub(crate) const CONTEXT: DoorContext = DoorContext { hash_key: KEY, arrival_ns: ARRIVAL_NS };

/// The protobuf door for traces.
pub fn protobuf_traces(data: &[u8]) {
    door(Signal::Traces, data, decode_protobuf(Signal::Traces, data, &CONTEXT));
}

/// The protobuf door for logs.
pub fn protobuf_logs(data: &[u8]) {
    door(Signal::Logs, data, decode_protobuf(Signal::Logs, data, &CONTEXT));
}

/// The protobuf door for metrics.
pub fn protobuf_metrics(data: &[u8]) {
    door(Signal::Metrics, data, decode_protobuf(Signal::Metrics, data, &CONTEXT));
}

/// The JSON door for traces.
pub fn json_traces(data: &[u8]) {
    door(Signal::Traces, data, decode_json(Signal::Traces, data, &CONTEXT));
}

/// The JSON door for logs.
pub fn json_logs(data: &[u8]) {
    door(Signal::Logs, data, decode_json(Signal::Logs, data, &CONTEXT));
}

/// The JSON door for metrics.
pub fn json_metrics(data: &[u8]) {
    door(Signal::Metrics, data, decode_json(Signal::Metrics, data, &CONTEXT));
}

/// What a door accepted is a valid batch, survives the log's encoding, and comes out as a model that goes in
/// and comes out again unchanged, by way of either form.
fn door(signal: Signal, data: &[u8], decoded: Result<Decoded, DoorError>) {
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(error) => {
            assert!(error.offset <= data.len(), "{error}");
            return;
        }
    };
    assert_eq!(decoded.batch.validate(), Ok(()));
    let (protobuf, json, model) = exported(signal, &decoded.batch);
    let read = codec_round_trip(&decoded.batch);
    assert_eq!(exported(signal, &read).2.difference(&model), None, "by way of the log");
    let again = decode_protobuf(signal, &protobuf, &CONTEXT).expect("what was exported is protobuf");
    assert_eq!(again.rejected.kept, [], "what was exported is accepted");
    assert_eq!(model.difference(&exported(signal, &again.batch).2), None, "by way of protobuf");
    let again = decode_json(signal, json.as_bytes(), &CONTEXT).expect("what was exported is JSON");
    assert_eq!(again.rejected.kept, [], "what was exported is accepted");
    // JSON has one NaN and shares it with none of protobuf's.
    if !json.contains("NaN") {
        assert_eq!(model.difference(&exported(signal, &again.batch).2), None, "by way of JSON");
    }
}

fn codec_round_trip(batch: &EventBatch) -> EventBatch {
    let mut bytes = Vec::new();
    codec::encode(batch, &mut bytes);
    codec::decode(&bytes, KEY).expect("what was encoded decodes")
}

fn exported(signal: Signal, batch: &EventBatch) -> (Vec<u8>, String, Model) {
    let exported = skein_ingest::export(batch).expect("what a door made can be exported");
    assert_eq!(exported.orphans, 0);
    let (protobuf, json) = match signal {
        Signal::Traces => (exported.traces.encode_to_vec(), exported.traces.to_json()),
        Signal::Logs => (exported.logs.encode_to_vec(), exported.logs.to_json()),
        Signal::Metrics => (exported.metrics.encode_to_vec(), exported.metrics.to_json()),
    };
    (protobuf, json, model(&exported))
}

fn model(exported: &Exported) -> Model {
    let mut model = Model::default();
    model.add_traces(&exported.traces);
    model.add_logs(&exported.logs);
    model.add_metrics(&exported.metrics);
    model
}

/// The body of a log record: what decodes is valid and encodes again to the same events.
pub fn log_batch(data: &[u8]) {
    if let Ok(batch) = codec::decode(data, KEY) {
        assert_eq!(batch.validate(), Ok(()));
        assert!(codec_round_trip(&batch) == batch);
    }
}

/// A file of the log, as recovery reads it.
pub fn log_file(data: &[u8]) {
    skein_log::scan_bytes(data);
}

/// A query in the builder's language.
pub fn query_spec(data: &[u8]) {
    let Ok(spec) = serde_json::from_slice(data) else { return };
    match skein_query::spec::parse(&spec, &Environment::default_environment(), ARRIVAL_NS) {
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The export of any valid batch, made by a door or not.
pub fn export(data: &[u8]) {
    if let Ok(batch) = codec::decode(data, KEY) {
        skein_ingest::export(&batch).ok();
    }
}
