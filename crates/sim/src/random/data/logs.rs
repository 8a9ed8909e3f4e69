//! Log records.

use skein_otlp::collector::logs::ExportLogsServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue};
use skein_otlp::logs::{LogRecord, ResourceLogs, ScopeLogs};

use super::{BAD_TEXT, Generator, traces, values};

impl Generator {
    pub(super) fn logs(&mut self, count: u64) -> ExportLogsServiceRequest {
        let log_records = (0..count).map(|_| self.record()).collect();
        let scope_logs = vec![ScopeLogs { scope: self.scope(), log_records, schema_url: self.schema() }];
        let group = ResourceLogs { resource: self.resource(), scope_logs, schema_url: self.schema() };
        ExportLogsServiceRequest { resource_logs: vec![group] }
    }

    fn record(&mut self) -> LogRecord {
        let mut attributes = vec![self.numbered()];
        attributes.extend(values::attributes(&mut self.random));
        let time = self.time();
        let (own, observed) =
            *self.random.pick(&[(time, 0), (time, time.saturating_add(5)), (0, time), (time, u64::MAX)]);
        let body = self.body();
        let random = &mut self.random;
        if random.once_in(12) {
            attributes.push(found_trace_id(random.below(8)));
        }
        let (trace_id, span_id) = match random.below(16) {
            0 => (traces::trace_id(random), Vec::new()),
            1 => (vec![0; 16], vec![0; 8]),
            2..8 => (traces::usual_trace_id(3).to_vec(), random.bytes::<8>().to_vec()),
            _ => (Vec::new(), Vec::new()),
        };
        LogRecord {
            time_unix_nano: own,
            observed_time_unix_nano: observed,
            severity_number: *random.pick(&[-1, 0, 1, 4, 5, 9, 13, 16, 17, 21, 24, 25]),
            severity_text: (*random.pick(&["", "INFO", "Warn", &format!("bad{BAD_TEXT}")])).to_owned(),
            body,
            attributes,
            dropped_attributes_count: u32::from(random.once_in(20)),
            flags: *random.pick(&[0, 0, 1, u32::MAX]),
            trace_id,
            span_id,
            event_name: (*random.pick(&["", "", "click"])).to_owned(),
        }
    }

    fn body(&mut self) -> Option<AnyValue> {
        let random = &mut self.random;
        Some(match random.below(12) {
            0 => return None,
            1 | 2 => AnyValue::from(format!(
                r#"{{"order":{},"state":"{}","deep":{{"a":1.5}}}}"#,
                random.below(50),
                random.pick(&["new", "paid"])
            )),
            3 => AnyValue::from(r#"{"traceId":"1-5759e988-bd862e3fe1be46a994272793","level":"odd"}"#),
            4 => AnyValue::kvlist([
                KeyValue::new("order", values::mixed(random)),
                KeyValue::new("state", *random.pick(&["kv", &format!("kv{BAD_TEXT}")])),
                KeyValue::new("order", "again"),
                KeyValue::new("nested", values::nested(random)),
            ]),
            5 => AnyValue::from(values::small(random, 5)),
            6 => AnyValue::from(
                r#" {"a":{"b":{"c":{"d":{"e":{"f":{"g":1}}}}}},"list":[1,{"x":null}],"n":null,"big":1e300,
                "u":18446744073709551615,"order":-0} "#,
            ),
            7 => AnyValue::from(format!("not text{BAD_TEXT}")),
            8 => AnyValue::array([AnyValue::from(f64::NAN), AnyValue::default()]),
            _ => {
                AnyValue::from(*random.pick(&["started", "time out after 3 s", "{not json", "", "{}", "[1]"]))
            }
        })
    }
}

/// A trace id where loggers put it.
fn found_trace_id(which: u64) -> KeyValue {
    let hex = "07070707070707070000000000000003";
    match which {
        0 => KeyValue::new("trace_id", hex),
        1 => KeyValue::new("otelTraceID", hex),
        2 => KeyValue::new("dd.trace_id", "3"),
        3 => KeyValue::new("dd.trace_id", 3_i64),
        4 => KeyValue::new("xrayTraceId", "1-07070707-070707070000000000000003"),
        5 => KeyValue::new(
            "X-Amzn-Trace-Id",
            "Self=1; Root=1-07070707-070707070000000000000003;Parent=53995c3f42cd8ad8;Sampled=1",
        ),
        6 => KeyValue::new("traceId", "no id"),
        _ => KeyValue::new("trace_id", "00000000000000000000000000000000"),
    }
}
