//! What the generator of the round-trip tests needs from its surroundings.

use skein_otlp::Message as _;
use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::json::ToJson as _;

/// When the requests arrive: 2023-01-29T09:00:00Z.
pub(crate) const ARRIVAL_NS: i64 = 1_674_982_800_000_000_000;

/// A request of any signal.
pub(crate) enum Request {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Request {
    pub(crate) fn signal(&self) -> skein_ingest::Signal {
        match self {
            Request::Traces(_) => skein_ingest::Signal::Traces,
            Request::Logs(_) => skein_ingest::Signal::Logs,
            Request::Metrics(_) => skein_ingest::Signal::Metrics,
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
}
