//! JSON of `opentelemetry.proto.logs.v1`.

use super::{Object, ToJson};
use crate::logs::{LogRecord, ResourceLogs, ScopeLogs};

impl ToJson for ResourceLogs {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("resource", self.resource.as_ref());
        object.list("scopeLogs", &self.scope_logs);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for ScopeLogs {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("scope", self.scope.as_ref());
        object.list("logRecords", &self.log_records);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for LogRecord {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.wide("timeUnixNano", self.time_unix_nano);
        object.wide("observedTimeUnixNano", self.observed_time_unix_nano);
        object.narrow("severityNumber", self.severity_number);
        object.text("severityText", &self.severity_text);
        object.optional("body", self.body.as_ref());
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.narrow("flags", self.flags);
        object.hex("traceId", &self.trace_id);
        object.hex("spanId", &self.span_id);
        object.text("eventName", &self.event_name);
        object.close();
    }
}
