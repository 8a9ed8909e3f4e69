//! JSON of `opentelemetry.proto.trace.v1`.

use super::{Object, ToJson};
use crate::trace::span::{Event, Link};
use crate::trace::{ResourceSpans, ScopeSpans, Span, Status};

impl ToJson for ResourceSpans {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("resource", self.resource.as_ref());
        object.list("scopeSpans", &self.scope_spans);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for ScopeSpans {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.optional("scope", self.scope.as_ref());
        object.list("spans", &self.spans);
        object.text("schemaUrl", &self.schema_url);
        object.close();
    }
}

impl ToJson for Span {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.hex("traceId", &self.trace_id);
        object.hex("spanId", &self.span_id);
        object.text("traceState", &self.trace_state);
        object.hex("parentSpanId", &self.parent_span_id);
        object.narrow("flags", self.flags);
        object.text("name", &self.name);
        object.narrow("kind", self.kind);
        object.wide("startTimeUnixNano", self.start_time_unix_nano);
        object.wide("endTimeUnixNano", self.end_time_unix_nano);
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.list("events", &self.events);
        object.narrow("droppedEventsCount", self.dropped_events_count);
        object.list("links", &self.links);
        object.narrow("droppedLinksCount", self.dropped_links_count);
        object.optional("status", self.status.as_ref());
        object.close();
    }
}

impl ToJson for Event {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.wide("timeUnixNano", self.time_unix_nano);
        object.text("name", &self.name);
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.close();
    }
}

impl ToJson for Link {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.hex("traceId", &self.trace_id);
        object.hex("spanId", &self.span_id);
        object.text("traceState", &self.trace_state);
        object.list("attributes", &self.attributes);
        object.narrow("droppedAttributesCount", self.dropped_attributes_count);
        object.narrow("flags", self.flags);
        object.close();
    }
}

impl ToJson for Status {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.text("message", &self.message);
        object.narrow("code", self.code);
        object.close();
    }
}
