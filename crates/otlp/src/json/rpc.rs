//! JSON of `google.rpc.Status`, by the rules of proto3 JSON for `Any` and `Duration`.

use std::fmt::Write as _;

use prost::Message as _;

use super::{Object, ToJson, write_base64, write_string};
use crate::rpc::{Any, BadRequest, Detail as _, FieldViolation, RetryInfo, Status};

impl ToJson for Status {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.narrow("code", self.code);
        object.text("message", &self.message);
        object.list("details", &self.details);
        object.close();
    }
}

/// A detail of a known type is written with its fields, another one with its bytes.
impl ToJson for Any {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        write_string(&self.type_url, object.key("@type"));
        if self.type_url == RetryInfo::TYPE_URL {
            write_delay(RetryInfo::decode(self.value.as_slice()).unwrap_or_default(), &mut object);
        } else if self.type_url == BadRequest::TYPE_URL {
            let request = BadRequest::decode(self.value.as_slice()).unwrap_or_default();
            object.list("fieldViolations", &request.field_violations);
        } else {
            write_base64(&self.value, object.key("value"));
        }
        object.close();
    }
}

fn write_delay(info: RetryInfo, object: &mut Object<'_>) {
    let Some(delay) = info.retry_delay else { return };
    let out = object.key("retryDelay");
    let fraction = format!("{:09}", delay.nanos.unsigned_abs());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    // Writing to a String cannot fail.
    write!(out, "\"{}{point}{fraction}s\"", delay.seconds).unwrap_or_default();
}

impl ToJson for FieldViolation {
    fn write_json(&self, out: &mut String) {
        let mut object = Object::open(out);
        object.text("field", &self.field);
        object.text("description", &self.description);
        object.close();
    }
}
