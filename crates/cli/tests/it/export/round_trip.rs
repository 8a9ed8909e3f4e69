//! What the golden set needs from its surroundings.

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::collector::trace::ExportTraceServiceRequest;
use skein_otlp::json::ToJson as _;

/// The moment around which its times lie: 2023-01-29T09:00:00Z.
pub(super) const ARRIVAL_NS: i64 = 1_674_982_800_000_000_000;

/// A request of any signal.
pub(super) enum Request {
    Traces(ExportTraceServiceRequest),
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Request {
    pub(super) fn json(&self) -> String {
        match self {
            Request::Traces(request) => request.to_json(),
            Request::Logs(request) => request.to_json(),
            Request::Metrics(request) => request.to_json(),
        }
    }
}
