//! The body of the analysis of a trace: columns, one entry for each span, record or piece of time.
//!
//! The same body travels as `application/vnd.skein.columns` (docs/formats/columns.md), in which the columns lie
//! behind the other members as they are used.

use crate::schema::wire_type;

wire_type! {
    /// What a trace looks like and where its time went. Times are milliseconds since `start`; numbers of nodes and texts are -1 where there is none.
    TraceAnalysis {
        /// 32 hex digits.
        trace_id: String,
        /// Whether every span's parent and a root are there.
        complete: bool,
        /// What the answer is complete to.
        complete_to: String,
        /// When what is drawn begins.
        start: String,
        /// From there to the end of what is drawn.
        duration_ms: f64,
        /// The node that the critical path is of.
        main_root: i64,
        /// What there is, counted and added up.
        summary: TraceSummary,
        /// By service, the most of the critical path first.
        shares: Vec<TraceShare>,
        /// Clocks that were corrected, only for showing.
        skews: Vec<TraceSkew>,
        /// Names of spans and span events.
        names: Vec<String>,
        /// Services.
        services: Vec<String>,
        /// What names of repeated work are instances of.
        templates: Vec<String>,
        /// Severities of log records.
        severities: Vec<String>,
        /// Bodies of log records, cut to 256 bytes.
        bodies: Vec<String>,
        /// Types of exceptions.
        exception_types: Vec<String>,
        /// What they say, cut likewise.
        exception_messages: Vec<String>,
        /// Trace ids that are linked to.
        linked_traces: Vec<String>,
        /// The spans as nodes, in the order in which they are drawn.
        spans: TraceNodes,
        /// The critical path: pieces in order of time, which cover the main root's duration.
        critical_path: TracePieces,
        /// Stretches in which a span has children and none runs, the long ones.
        gaps: TracePieces,
        /// Repeated work.
        repeats: TraceRepeats,
        /// Span events in order of time.
        events: TraceMarks,
        /// Log records of all services in order of time.
        logs: TraceLogs,
        /// Links to other spans.
        links: TraceLinks,
    }
}

wire_type! {
    /// What there is of a trace.
    TraceSummary {
        /// Spans, each copy counted.
        spans: u64,
        /// Services.
        services: u64,
        /// Spans that failed.
        errors: u64,
        /// Span events.
        events: u64,
        /// Log records.
        logs: u64,
        /// Links.
        links: u64,
        /// Parents that nobody sent.
        missing_parents: u64,
        /// Span ids that came more than once.
        duplicates: u64,
        /// Circles of parents that were cut.
        circles: u64,
        /// Events that are in no picture: metric points, spans without an id.
        others: u64,
        /// Levels of spans.
        depth: u64,
        /// Time in which the trace is under way and no span without children runs.
        idle_ms: f64,
        /// The listed gaps, added up.
        gaps_ms: f64,
    }
}

wire_type! {
    /// What one service has of a trace.
    TraceShare {
        /// Number of the service.
        service: i64,
        /// Its spans.
        spans: u64,
        /// Failed ones.
        errors: u64,
        /// Time in which its spans ran and none of their children, added up.
        self_ms: f64,
        /// Its part of the critical path.
        critical_ms: f64,
    }
}

wire_type! {
    /// A correction of clocks.
    TraceSkew {
        /// Number of the service.
        service: i64,
        /// Spans that were moved.
        spans: u64,
        /// The least shift.
        shift_min_ms: f64,
        /// The greatest.
        shift_max_ms: f64,
    }
}

wire_type! {
    /// Spans as nodes of a tree: what is below a node are the `size - 1` nodes after it.
    TraceNodes {
        /// 16 hex digits.
        span_id: Vec<String>,
        /// The parent node.
        parent: Vec<i64>,
        /// Nodes above it.
        depth: Vec<u64>,
        /// Nodes of its subtree, itself included.
        size: Vec<u64>,
        /// Where it is drawn.
        start_ms: Vec<f64>,
        /// How long it took.
        duration_ms: Vec<f64>,
        /// The part of it in which none of its children ran.
        self_ms: Vec<f64>,
        /// By how much its clock was corrected: its own start is `start_ms` less this.
        shift_ms: Vec<f64>,
        /// Number of its service.
        service: Vec<i64>,
        /// Number of its name.
        name: Vec<i64>,
        /// Spans of its id; 0 for a parent that nobody sent.
        copies: Vec<u64>,
        /// Bits: 1 failed, 2 on the critical path, 4 nobody sent it, 8 came more than once, 16 cut out of a circle, 32 clock corrected, 64 root, 128 repeated work, 256 has events, 512 has an exception, 1024 has links, 2048 has log records, 4096 something below it failed.
        flags: Vec<u64>,
    }
}

wire_type! {
    /// Pieces of time, each of a node.
    TracePieces {
        /// The node.
        node: Vec<i64>,
        /// Where it begins.
        start_ms: Vec<f64>,
        /// Where it ends.
        end_ms: Vec<f64>,
    }
}

wire_type! {
    /// Work that a span does again and again.
    TraceRepeats {
        /// The first node; members and all below them are the `nodes` from there on.
        first: Vec<i64>,
        /// Nodes of all members and what is below them.
        nodes: Vec<u64>,
        /// Members.
        members: Vec<u64>,
        /// Failed ones among them.
        errors: Vec<u64>,
        /// Number of the template of their names.
        template: Vec<i64>,
        /// 0 the same work many times, 1 tried again after failures, 2 a connection opened again.
        kind: Vec<u64>,
        /// Their durations, added up.
        total_ms: Vec<f64>,
        /// Start of the first.
        start_ms: Vec<f64>,
        /// End of the last.
        end_ms: Vec<f64>,
    }
}

wire_type! {
    /// Span events.
    TraceMarks {
        /// Whose.
        node: Vec<i64>,
        /// When.
        time_ms: Vec<f64>,
        /// Number of its name.
        name: Vec<i64>,
        /// Number of the exception's type.
        exception_type: Vec<i64>,
        /// Number of what it says.
        exception_message: Vec<i64>,
    }
}

wire_type! {
    /// Log records.
    TraceLogs {
        /// Whose.
        node: Vec<i64>,
        /// When.
        time_ms: Vec<f64>,
        /// Number of the service.
        service: Vec<i64>,
        /// Number of the severity.
        severity: Vec<i64>,
        /// Number of the body.
        body: Vec<i64>,
        /// Number of the exception's type.
        exception_type: Vec<i64>,
        /// Number of what it says.
        exception_message: Vec<i64>,
    }
}

wire_type! {
    /// Links.
    TraceLinks {
        /// Whose.
        node: Vec<i64>,
        /// Number of the trace that is linked to.
        trace: Vec<i64>,
        /// The span, 16 hex digits.
        span_id: Vec<String>,
        /// Its node, when it is in this trace.
        target: Vec<i64>,
    }
}
