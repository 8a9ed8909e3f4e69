//! Question and answer of `POST /api/v1/unusual`. What is refused here is logic, as in all of this crate.

use crate::schema::{Object, wire_type};

wire_type! {
    /// Operations whose own work is slower, or fails more often, for a part of the range than in the rest of it.
    Unusual {
        /// The findings.
        data: UnusualData,
        /// How the answer came about: elapsed_ms, rows_scanned, bytes_scanned, segments, engine, complete_to, time_range, warnings.
        meta: Object,
    }
}

wire_type! {
    /// Findings, and how much was looked at.
    UnusualData {
        /// What hurts most first.
        findings: Vec<UnusualOperation>,
        /// Operations that were looked at.
        operations: u64,
        /// Seconds of a bucket.
        step_s: f64,
    }
}

wire_type! {
    /// An operation, and what is unusual about it.
    UnusualOperation {
        /// The service.
        service: String,
        /// The name of the operation's spans.
        name: String,
        /// `slower` or `failing`.
        kind: String,
        /// Since when, RFC 3339.
        start: String,
        /// Until when.
        end: String,
        /// Whether it goes on.
        ongoing: bool,
        /// Calls while it is unusual.
        within: UnusualRates,
        /// Calls in the rest of the range.
        before: UnusualRates,
        /// Milliseconds of its own work beyond what so many calls take otherwise.
        extra_ms: f64,
        /// Failures of its own beyond those.
        extra_failures: f64,
        /// A duration between usual and unusual ones.
        slow_ms: f64,
        /// The longest.
        longest_ms: f64,
        /// The span of its own work that most of it is in, when that is not the operation's span itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        mostly: Option<String>,
        /// Standard errors between the two parts of the range.
        score: f64,
    }
}

wire_type! {
    /// How calls went.
    UnusualRates {
        /// How many, by their sample rates.
        calls: f64,
        /// Mean of the operation's own time: without that of other operations it called.
        own_ms: f64,
        /// Mean of its whole time.
        duration_ms: f64,
        /// Share that failed, 0 to 1.
        failed: f64,
    }
}
