//! JSON of the export services' requests and responses.

use super::{Object, ToJson, write_quoted};
use crate::collector::logs::{ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse};
use crate::collector::metrics::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use crate::collector::trace::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};

impl ToJson for ExportTraceServiceRequest {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("resourceSpans", &self.resource_spans);
        object.close();
    }
}

impl ToJson for ExportLogsServiceRequest {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("resourceLogs", &self.resource_logs);
        object.close();
    }
}

impl ToJson for ExportMetricsServiceRequest {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.list("resourceMetrics", &self.resource_metrics);
        object.close();
    }
}

impl ToJson for ExportTraceServiceResponse {
    fn write_json(&self, out: &mut String) {
        write_response(self.partial_success.as_ref(), out);
    }
}

impl ToJson for ExportLogsServiceResponse {
    fn write_json(&self, out: &mut String) {
        write_response(self.partial_success.as_ref(), out);
    }
}

impl ToJson for ExportMetricsServiceResponse {
    fn write_json(&self, out: &mut String) {
        write_response(self.partial_success.as_ref(), out);
    }
}

impl ToJson for ExportTracePartialSuccess {
    fn write_json(&self, out: &mut String) {
        write_partial("rejectedSpans", self.rejected_spans, &self.error_message, out);
    }
}

impl ToJson for ExportLogsPartialSuccess {
    fn write_json(&self, out: &mut String) {
        write_partial("rejectedLogRecords", self.rejected_log_records, &self.error_message, out);
    }
}

impl ToJson for ExportMetricsPartialSuccess {
    fn write_json(&self, out: &mut String) {
        write_partial("rejectedDataPoints", self.rejected_data_points, &self.error_message, out);
    }
}

fn write_response<T: ToJson>(partial_success: Option<&T>, out: &mut String) {
    let mut object = Object::open(out);
    object.optional("partialSuccess", partial_success);
    object.close();
}

fn write_partial(name: &str, rejected: i64, message: &str, out: &mut String) {
    let mut object = Object::open(out);
    if rejected != 0 {
        write_quoted(rejected, object.key(name));
    }
    object.text("errorMessage", message);
    object.close();
}
