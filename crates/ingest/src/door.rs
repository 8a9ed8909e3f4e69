//! What every door takes and gives.

use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_event::rejection::{ReasonCode, Rejection};

use crate::context::Contexts;
use crate::error::DoorError;
use crate::logs::LogReader;
use crate::metrics::MetricReader;
use crate::request::walk;
use crate::rows::Rows;
use crate::traces::SpanReader;

/// The three signals of OTLP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Signal {
    /// Spans, with their events and links.
    Traces,
    /// Log records.
    Logs,
    /// Metric points.
    Metrics,
}

impl Signal {
    /// All of them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

    /// The value of `meta.signal_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "trace",
            Signal::Logs => "log",
            Signal::Metrics => "metric",
        }
    }
}

/// What a door needs besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct DoorContext {
    /// The deployment's hash key.
    pub hash_key: HashKey,
    /// When the request arrived, epoch nanoseconds.
    pub arrival_ns: i64,
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The events.
    pub batch: EventBatch,
    /// The records that were not stored: the first of them in full, all of them counted.
    pub rejected: Rejected,
    /// Records that were stored: spans, log records, or metric points.
    pub records: u64,
    /// Whether every stored record brought a time of its own, so that equal bytes are the same batch (I4).
    pub every_record_has_time: bool,
    /// What a person should know about what was stored; at most one of each code.
    pub warnings: Vec<Warning>,
}

/// Rejected records: bounded in memory, complete in number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rejected {
    /// The first ones, at most [`skein_event::limits::REJECTIONS_PER_REQUEST_MAX`].
    pub kept: Vec<Rejection>,
    /// How many for each reason, in order of first appearance.
    pub counts: Vec<(ReasonCode, u64)>,
}

impl Rejected {
    /// How many records were rejected.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Adds one; its text is made only when there is room to keep it.
    pub fn add(&mut self, reason: ReasonCode, rejection: impl FnOnce() -> (String, String)) {
        match self.counts.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((reason, 1)),
        }
        if self.kept.len() < skein_event::limits::REJECTIONS_PER_REQUEST_MAX {
            let (path, message) = rejection();
            self.kept.push(Rejection { reason, path, message });
        }
    }
}

/// Something that was stored in another way than the client may expect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// What.
    pub code: WarningCode,
    /// How often.
    pub count: u64,
    /// The path of the first place.
    pub path: String,
}

/// The closed list of warnings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WarningCode {
    /// Values beyond the column limits went into the overflow map.
    Overflow,
    /// Text that is not UTF-8 was stored as bytes.
    InvalidUtf8,
    /// A time that is out of range.
    TimeOutOfRange,
    /// A span that ends before its start.
    InvalidDuration,
}

impl WarningCode {
    /// The name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            WarningCode::Overflow => "columns_overflow",
            WarningCode::InvalidUtf8 => "invalid_utf8",
            WarningCode::TimeOutOfRange => "time_out_of_range",
            WarningCode::InvalidDuration => "invalid_duration",
        }
    }

    /// A sentence for the person who reads the client's log.
    pub fn message(self) -> &'static str {
        match self {
            WarningCode::Overflow => "attributes beyond the column limits are kept in meta.overflow",
            WarningCode::InvalidUtf8 => "text that is not UTF-8 is kept as bytes",
            WarningCode::TimeOutOfRange => "times out of range are kept and flagged meta.time_out_of_range",
            WarningCode::InvalidDuration => {
                "spans that end before they start are flagged meta.invalid_duration"
            }
        }
    }
}

/// Reads the body of an OTLP `Export*ServiceRequest` in protobuf.
///
/// POST: on `Ok`, the batch passes [`EventBatch::validate`], and every record of the body is either in the
/// batch or counted in `rejected`. The same arguments give the same result.
pub fn decode_protobuf(signal: Signal, body: &[u8], context: &DoorContext) -> Result<Decoded, DoorError> {
    let mut rows = Rows::new(context);
    let mut contexts = Contexts::new(signal, context.hash_key);
    let counts = match signal {
        Signal::Traces => {
            let mut spans = SpanReader::default();
            walk(signal, body, &mut rows, &mut contexts, &mut spans)
                .map(|()| (spans.records, spans.records_without_time))
        }
        Signal::Logs => {
            let mut logs = LogReader::default();
            walk(signal, body, &mut rows, &mut contexts, &mut logs)
                .map(|()| (logs.records, logs.records_without_time))
        }
        Signal::Metrics => {
            let mut metrics = MetricReader::new(context.hash_key);
            walk(signal, body, &mut rows, &mut contexts, &mut metrics)
                .and_then(|()| metrics.finish(&mut rows, &contexts))
                .map(|()| (metrics.records, metrics.records_without_time))
        }
    };
    let (records, records_without_time) = counts.map_err(|malformed| malformed.into_error(body))?;
    Ok(Decoded {
        batch: rows.builder.finish(),
        rejected: rows.rejected,
        records,
        every_record_has_time: records > 0 && records_without_time == 0,
        warnings: rows.warnings,
    })
}
