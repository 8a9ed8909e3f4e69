//! The bodies of the HTTP API, as CONTRACT.md fixes them.
//!
//! Times are RFC 3339 with nine digits. Integers beyond ±(2^53−1) are strings, NaN and infinities too.

use crate::schema::{Object, wire_type};

wire_type! {
    /// The body of every error.
    ErrorBody {
        /// What went wrong.
        error: ErrorDetail,
    }
}

wire_type! {
    /// What went wrong, where, and what to do.
    ErrorDetail {
        /// One of the closed list: invalid_request, unauthenticated, forbidden, not_found, conflict, too_large, limit_exceeded, overloaded, unavailable, internal.
        code: String,
        /// A sentence for a person.
        message: String,
        /// Where in a query text.
        #[serde(skip_serializing_if = "Option::is_none")]
        span: Option<Span>,
        /// Where in a JSON body, as a JSON pointer.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// What was probably meant, best first.
        #[serde(skip_serializing_if = "Option::is_none")]
        candidates: Option<Vec<String>>,
        /// What to do instead.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// When a retry may help.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        /// Names the request in the server's log.
        #[serde(skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
    }
}

wire_type! {
    /// A range of bytes of a query text.
    Span {
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    }
}

wire_type! {
    /// The answer to a query, whole or on its way.
    QueryAnswer {
        /// The answer's immutable id.
        id: String,
        /// Whether this is the whole answer.
        complete: bool,
        /// Fraction done, 0 to 1; left out when complete.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<f64>,
        /// Names the state of the store that was read.
        snapshot: String,
        /// `results`, `series`, `total` and `other` of aggregates, and `compare` with the same of an earlier range if that was asked for; or `rows` and `next`; of Logs Insights `columns` with name and type, and `rows`.
        data: Object,
        /// How the answer came about: elapsed_ms, rows_scanned, bytes_scanned, segments, engine, complete_to, time_range, warnings.
        meta: Object,
    }
}

wire_type! {
    /// A question in Logs Insights.
    InsightsQuery {
        /// The query.
        query: String,
        /// Datasets, unless the query has a SOURCE; all when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        datasets: Option<Vec<String>>,
        /// Epoch seconds; the last 7,200 s when neither is given.
        #[serde(skip_serializing_if = "Option::is_none")]
        start_time: Option<f64>,
        /// Epoch seconds, exclusive.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_time: Option<f64>,
        /// Answer only what would be scanned.
        #[serde(skip_serializing_if = "Option::is_none")]
        dry_run: Option<bool>,
        /// How long the answer is waited for, 10,000 when left out; then 202 with an id.
        #[serde(skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    }
}

wire_type! {
    /// What somebody is writing, and where.
    CompletionQuery {
        /// `insights`, or `builder` for the fields of a specification.
        language: String,
        /// The text.
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<String>,
        /// The place in it, in UTF-16 code units; its end when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
        /// Of `builder`: the text is a value of this column; without it, the name of one.
        #[serde(skip_serializing_if = "Option::is_none")]
        column: Option<String>,
        /// Datasets; all when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        datasets: Option<Vec<String>>,
        /// Epoch seconds; the last 7,200 s when neither is given. Columns that nobody sent in the range come last.
        #[serde(skip_serializing_if = "Option::is_none")]
        start_time: Option<f64>,
        /// Epoch seconds, exclusive.
        #[serde(skip_serializing_if = "Option::is_none")]
        end_time: Option<f64>,
        /// How many, 50 when left out, at most 200.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    }
}

wire_type! {
    /// What may stand at a place.
    Completion {
        /// The first UTF-16 code unit of the text that an item takes the place of.
        from: u64,
        /// One past the last.
        to: u64,
        /// The items, best first.
        items: Vec<CompletionItem>,
    }
}

wire_type! {
    /// Something that may stand at a place.
    CompletionItem {
        /// What is shown.
        label: String,
        /// `command`, `function`, `column`, `value` or `keyword`.
        kind: String,
        /// A line about it.
        detail: String,
        /// What is written.
        insert: String,
    }
}

wire_type! {
    /// What became of a query that was cancelled.
    Cancelled {
        /// The query's id.
        id: String,
        /// Whether it was still running.
        was_running: bool,
    }
}

wire_type! {
    /// One trace.
    Trace {
        /// 32 hex digits.
        trace_id: String,
        /// Whether every span's parent and a root are there.
        complete: bool,
        /// Span ids of the roots.
        root_ids: Vec<String>,
        /// Parent span ids that no span has.
        missing_parents: Vec<String>,
        /// Span ids that occur more than once.
        duplicate_spans: Vec<String>,
        /// Spans with their events and links, flat, in order.
        spans: Vec<Object>,
        /// Log records, flat, in order.
        logs: Vec<Object>,
    }
}

wire_type! {
    /// What belongs to one span of a trace.
    TraceSpan {
        /// 32 hex digits.
        trace_id: String,
        /// 16 hex digits.
        span_id: String,
        /// The span, each of its copies, flat.
        spans: Vec<Object>,
        /// Its events, flat, in order.
        events: Vec<Object>,
        /// Its links, flat.
        links: Vec<Object>,
        /// Its log records, flat, in order.
        logs: Vec<Object>,
    }
}

wire_type! {
    /// A dataset.
    Dataset {
        /// Its name: the service's.
        name: String,
        /// Its events.
        events: u64,
        /// Time of the earliest.
        first_seen: String,
        /// Time of the latest.
        last_seen: String,
    }
}

wire_type! {
    /// A column of a dataset.
    Column {
        /// Its name.
        name: String,
        /// Types with their number of values.
        types: Vec<ColumnType>,
        /// Where it comes from.
        scopes: Vec<String>,
        /// Time of the earliest event that has it.
        first_seen: String,
        /// Time of the latest.
        last_seen: String,
        /// Different values, estimated.
        distinct_estimate: u64,
    }
}

wire_type! {
    /// One type of a column.
    ColumnType {
        /// bool, i64, f64, text, bytes or json.
        name: String,
        /// Number of values.
        count: u64,
    }
}

wire_type! {
    /// A value of a column.
    ColumnValue {
        /// The value.
        value: serde_json::Value,
        /// Events that have it.
        count: u64,
    }
}

wire_type! {
    /// Records or a request that were not stored.
    Rejection {
        /// When.
        time: String,
        /// Which door: otlp_grpc or otlp_http.
        door: String,
        /// The client's Skein-Batch-Id.
        key: Option<String>,
        /// Why: one of the closed list that is also a label of skein_rejected_events_total.
        reason_code: String,
        /// Where in the request the first of them was.
        path: String,
        /// How many.
        count: u64,
        /// The message of the first of them.
        sample: String,
        /// True for a sum of older entries, which are no longer listed one by one; time is that of the latest.
        #[serde(skip_serializing_if = "Option::is_none")]
        summed: Option<bool>,
    }
}

wire_type! {
    /// What is stored.
    Usage {
        /// Events by dataset.
        datasets: Vec<Dataset>,
        /// Events in all.
        events: u64,
        /// Bytes on disk by kind.
        storage_bytes: std::collections::BTreeMap<String, u64>,
        /// Files whose events are missing in answers; usually none.
        findings: Vec<Finding>,
    }
}

wire_type! {
    /// A file that is not served.
    Finding {
        /// set_aside, missing, unreadable, kept_orphan, unknown_file or log_damaged.
        kind: String,
        /// Where it lies.
        path: String,
        /// Events it holds, as far as known.
        #[serde(skip_serializing_if = "Option::is_none")]
        events: Option<u64>,
        /// What was found, and what can be done.
        message: String,
    }
}

wire_type! {
    /// What to export.
    ExportRequest {
        /// otlp (one OTLP/JSON request per line) or ndjson (one flat event per line).
        format: String,
        /// Datasets; all when left out.
        #[serde(default)]
        datasets: Option<Vec<String>>,
        /// Epoch seconds; fractions allowed.
        #[serde(default)]
        start_time: Option<f64>,
        /// Epoch seconds, exclusive.
        #[serde(default)]
        end_time: Option<f64>,
    }
}

wire_type! {
    /// Simulated services that send to an environment of their own.
    DemoStarted {
        /// Where their events are: the header Skein-Environment chooses it.
        environment: String,
        /// False when they were at work already.
        started: bool,
    }
}

wire_type! {
    /// An erasure that is in force.
    Erased {
        /// Its id.
        id: String,
    }
}

wire_type! {
    /// How far an erasure is.
    Erasure {
        /// Its id.
        id: String,
        /// `filters` and `filter_combination`, as they were asked for.
        filter: Object,
        /// When it was asked for; from then on no answer holds what it takes.
        requested: String,
        /// By then it is gone from the segments.
        due: String,
        /// When nothing was left in segments; left out until then.
        #[serde(skip_serializing_if = "Option::is_none")]
        ended: Option<String>,
        /// Where copies may remain that no answer shows.
        copies: ErasureCopies,
    }
}

wire_type! {
    /// Copies of erased events that no answer shows.
    ErasureCopies {
        /// Segments that wait to be rewritten or looked at.
        segments: u64,
        /// Their bytes.
        segment_bytes: u64,
        /// Rows of the heads that are older than the erasure, erased or not; they are gone with the next flush.
        head_rows: u64,
        /// Files of the log, kept as a second copy, that hold events older than the erasure, erased or not.
        log_files: u64,
        /// Their bytes.
        log_bytes: u64,
        /// The last of them goes by then; left out when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        log_until: Option<String>,
        /// Files in quarantine, and files that do not count and are kept; nobody looks into them.
        quarantined_files: u64,
    }
}

wire_type! {
    /// The line that a server prints on stdout when it listens.
    Ready {
        /// Always ready.
        event: String,
        /// Address of the HTTP API.
        http: String,
        /// Address of OTLP over gRPC.
        otlp_grpc: String,
        /// Address of OTLP over HTTP.
        otlp_http: String,
        /// Data directory.
        data: String,
        /// Version of the server.
        version: String,
    }
}
