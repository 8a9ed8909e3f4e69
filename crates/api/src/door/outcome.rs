//! What a client is told about a stored batch, and how that is kept with the batch for a resend.
//!
//! All OTLP signals answer alike: field 1 of the response is a partial success with a count (1) and a
//! message (2). The same bytes are the reply that the log keeps, so a resend gets the first answer (I4).

use event::Rejection;
use event::limits::OUTCOME_MESSAGE_BYTES_MAX;
use prost::Message as _;
use serde_json::{Value, json};
use skein_event as event;
use skein_ingest::Signal;

/// The name of the count of rejected records in JSON, and what the records are called.
fn record_names(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Traces => ("rejectedSpans", "spans"),
        Signal::Logs => ("rejectedLogRecords", "log records"),
        Signal::Metrics => ("rejectedDataPoints", "data points"),
    }
}

/// `ExportXPartialSuccess`. Both fields empty: all was stored.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Outcome {
    #[prost(int64, tag = "1")]
    pub(crate) rejected: i64,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// `ExportXServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<Outcome>,
}

impl Outcome {
    /// Names every rejected record, as far as the message may be long.
    pub(crate) fn of(signal: Signal, rejected: u64, rejections: &[Rejection]) -> Outcome {
        if rejections.is_empty() {
            return Outcome::default();
        }
        let mut message = format!("{rejected} {} rejected; do not send them again", record_names(signal).1);
        for (index, rejection) in rejections.iter().enumerate() {
            let Rejection { reason, path, message: why } = rejection;
            let line = format!("; {path}: {why} ({})", reason.as_str());
            if message.len() + line.len() > OUTCOME_MESSAGE_BYTES_MAX {
                message.push_str(&format!("; and {} more", rejections.len() - index));
                break;
            }
            message.push_str(&line);
        }
        Outcome { rejected: i64::try_from(rejected).unwrap_or(i64::MAX), message }
    }

    /// Adds what the client should know about what was stored.
    pub(crate) fn warn<'a>(&mut self, warnings: impl IntoIterator<Item = &'a str>) {
        for warning in warnings {
            if self.message.len() + warning.len() > OUTCOME_MESSAGE_BYTES_MAX {
                return;
            }
            let separator = if self.message.is_empty() { "warning: " } else { "; warning: " };
            self.message.push_str(separator);
            self.message.push_str(warning);
        }
    }

    /// The reply that the log keeps with the batch.
    pub(crate) fn to_reply(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// The outcome of a reply that was kept; one that cannot be read says nothing.
    pub(crate) fn from_reply(reply: &[u8]) -> Outcome {
        Outcome::decode(reply).unwrap_or_default()
    }

    /// The response message. A partial success without content is left out: some clients take its presence
    /// for a failure.
    pub(crate) fn to_protobuf(&self) -> Vec<u8> {
        let partial_success = (*self != Outcome::default()).then(|| self.clone());
        Response { partial_success }.encode_to_vec()
    }

    /// The same in the JSON mapping of protobuf, where 64-bit integers are text.
    pub(crate) fn to_json(&self, signal: Signal) -> Value {
        if *self == Outcome::default() {
            return json!({});
        }
        let mut partial = serde_json::Map::new();
        if self.rejected != 0 {
            partial.insert(record_names(signal).0.into(), json!(self.rejected.to_string()));
        }
        partial.insert("errorMessage".into(), json!(self.message));
        json!({"partialSuccess": partial})
    }
}

#[cfg(test)]
mod tests {
    use event::rejection::ReasonCode;

    use super::*;

    fn rejection(index: usize) -> Rejection {
        Rejection {
            reason: ReasonCode::InvalidSpanId,
            path: format!("resourceSpans[0].scopeSpans[0].spans[{index}].spanId"),
            message: "must be 8 bytes, is 3".into(),
        }
    }

    #[test]
    fn full_success_has_no_partial_success() {
        let outcome = Outcome::of(Signal::Traces, 0, &[]);
        assert_eq!((outcome.to_protobuf(), outcome.to_json(Signal::Traces)), (Vec::new(), json!({})));
        assert_eq!(Outcome::from_reply(&outcome.to_reply()), outcome);
    }

    #[test]
    fn partial_success_names_each_rejected_record() {
        let outcome = Outcome::of(Signal::Logs, 2, &[rejection(3), rejection(7)]);
        for index in [3, 7] {
            assert!(outcome.message.contains(&rejection(index).path), "{}", outcome.message);
        }
        assert_eq!(outcome.to_json(Signal::Logs)["partialSuccess"]["rejectedLogRecords"], "2");
        assert_eq!(Outcome::from_reply(&outcome.to_reply()), outcome, "a resend gets the first answer");

        let mut warning = Outcome::default();
        warning.warn(["times are odd"]);
        assert_eq!(
            warning.to_json(Signal::Metrics),
            json!({"partialSuccess": {"errorMessage": "warning: times are odd"}})
        );
    }

    #[test]
    fn a_long_message_says_how_many_it_leaves_out() {
        let rejections: Vec<Rejection> = (0..10_000).map(rejection).collect();
        let outcome = Outcome::of(Signal::Traces, 10_000, &rejections);
        assert!(outcome.message.len() < OUTCOME_MESSAGE_BYTES_MAX + 32);
        assert!(outcome.message.ends_with(" more") && outcome.rejected == 10_000);
    }
}
