//! The answer of `POST /api/v1/explain`. A share is 0 to 1; what is refused here is logic, as in all of this crate.

use crate::schema::{Object, wire_type};

wire_type! {
    /// What is different about some events.
    Explained {
        /// The findings and what they are about.
        data: Explanation,
        /// How the answer came about: elapsed_ms, rows_scanned, bytes_scanned, segments, engine, complete_to, time_range, warnings.
        meta: Object,
    }
}

wire_type! {
    /// Findings, and what they are about.
    Explanation {
        /// The best first.
        findings: Vec<ExplainFinding>,
        /// The events that are explained.
        selection: ExplainedEvents,
        /// Those they are compared with.
        baseline: ExplainedEvents,
        /// Statements that were tested.
        tested: u64,
    }
}

wire_type! {
    /// Events of one side.
    ExplainedEvents {
        /// How many there are, by their sample rates.
        events: f64,
        /// How many were kept.
        rows: u64,
    }
}

wire_type! {
    /// One difference: exactly one of value, range and exists says what holds of the column.
    ExplainFinding {
        /// The column.
        column: String,
        /// Its value.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<serde_json::Value>,
        /// Its number lies in this range.
        #[serde(skip_serializing_if = "Option::is_none")]
        range: Option<ExplainRange>,
        /// It is there, or it is missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        exists: Option<bool>,
        /// What holds of another column at the same time.
        #[serde(skip_serializing_if = "Option::is_none")]
        and: Option<ExplainTerm>,
        /// Share of the selection less share of the baseline.
        effect: f64,
        /// Lower end of the effect's 95 % interval; null where it cannot be relied on.
        lo95: Option<f64>,
        /// Upper end.
        hi95: Option<f64>,
        /// Whether the interval may be relied on.
        reliable: bool,
        /// Share of the selection of which it holds, 0 to 1.
        share_selection: f64,
        /// Share of the baseline.
        share_baseline: f64,
        /// Events of the selection of which it holds, by their sample rates.
        n_selection: f64,
        /// Events of the baseline.
        n_baseline: f64,
        /// Cohen's h at the lower end of its interval, by which findings are ranked.
        strength: f64,
        /// False discovery rate.
        q: f64,
        /// Statements that say the same or follow.
        members: Vec<ExplainMember>,
    }
}

wire_type! {
    /// What holds of a column.
    ExplainTerm {
        /// The column.
        column: String,
        /// Its value.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<serde_json::Value>,
        /// Its number lies in this range.
        #[serde(skip_serializing_if = "Option::is_none")]
        range: Option<ExplainRange>,
        /// It is there, or it is missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        exists: Option<bool>,
    }
}

wire_type! {
    /// A statement that belongs to a finding.
    ExplainMember {
        /// The column.
        column: String,
        /// Its value.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<serde_json::Value>,
        /// Its number lies in this range.
        #[serde(skip_serializing_if = "Option::is_none")]
        range: Option<ExplainRange>,
        /// It is there, or it is missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        exists: Option<bool>,
        /// same: it holds of nearly the same events, or of nearly all others; follows: it makes no difference beside the finding; part: it is one half of a pair.
        kind: String,
        /// Share of the selection less share of the baseline.
        effect: f64,
        /// Share of the selection of which it holds, 0 to 1.
        share_selection: f64,
        /// Share of the baseline.
        share_baseline: f64,
    }
}

wire_type! {
    /// Numbers from lo to below hi.
    ExplainRange {
        /// The least; null is no bound.
        lo: Option<f64>,
        /// Beyond the largest; null is no bound.
        hi: Option<f64>,
    }
}
