//! The answers of `POST /api/v1/compare`, `POST /api/v1/templates` and `POST /api/v1/map`; what is refused here is logic, as
//! in all of this crate.

use crate::schema::{Object, wire_type};

wire_type! {
    /// How two cohorts of events differ.
    Compared {
        /// What was found.
        data: Comparison,
        /// How the answer came about: elapsed_ms, rows_scanned, bytes_scanned, segments, engine, complete_to, time_range, warnings.
        meta: Object,
    }
}

wire_type! {
    /// Operations of two cohorts.
    Comparison {
        /// The columns that make an operation.
        by: Vec<String>,
        /// The first cohort: what was.
        a: ComparedEvents,
        /// The second: what is.
        b: ComparedEvents,
        /// What differs most, and surely, first; what does not differ by its number of events.
        operations: Vec<ComparedOperation>,
        /// Differences that were tested.
        tested: u64,
        /// Operations beyond the limit.
        omitted: u64,
    }
}

wire_type! {
    /// Events of one cohort.
    ComparedEvents {
        /// How many there are, by their sample rates.
        events: f64,
        /// How many were kept.
        rows: u64,
        /// Length of its range of time.
        seconds: f64,
    }
}

wire_type! {
    /// One operation in both cohorts.
    ComparedOperation {
        /// Its columns; one that is missing is left out.
        key: Object,
        /// both, new (in b alone) or vanished (in a alone).
        status: String,
        /// How large its largest sure difference is at least; 0 when none is sure. 0.69 is a doubling.
        score: f64,
        /// Events a second.
        rate: ComparedMeasure,
        /// Share of events that failed, 0 to 1.
        errors: ComparedMeasure,
        /// Median of durations, in milliseconds.
        p50: ComparedMeasure,
        /// Their 99th percentile.
        p99: ComparedMeasure,
    }
}

wire_type! {
    /// A number in both cohorts, with 95 % intervals. An end that cannot be said is null.
    ComparedMeasure {
        /// In the first cohort; null where there is nothing of which it could be one.
        a: Option<f64>,
        /// Lower end.
        a_lo95: Option<f64>,
        /// Upper end.
        a_hi95: Option<f64>,
        /// In the second cohort.
        b: Option<f64>,
        /// Lower end.
        b_lo95: Option<f64>,
        /// Upper end.
        b_hi95: Option<f64>,
        /// The second less the first.
        difference: Option<f64>,
        /// Lower end.
        lo95: Option<f64>,
        /// Upper end.
        hi95: Option<f64>,
        /// The second over the first.
        ratio: Option<f64>,
        /// Whether the intervals may be relied on.
        reliable: bool,
        /// Whether there is a difference, beyond what one of all tested numbers shows by chance.
        sure: bool,
    }
}

wire_type! {
    /// Templates of texts.
    TemplatesAnswer {
        /// What was found.
        data: TemplateList,
        /// How the answer came about.
        meta: Object,
    }
}

wire_type! {
    /// Templates, and what is not among them.
    TemplateList {
        /// The column.
        column: String,
        /// The most frequent first; with a baseline what changed most, and surely.
        templates: Vec<LogTemplate>,
        /// Events with a text, by their sample rates.
        events: f64,
        /// How many of them were kept.
        rows: u64,
        /// Different shapes of texts.
        shapes: u64,
        /// Events without the column.
        without_text: u64,
        /// What is not shown one by one.
        other: TemplatesOther,
        /// The events that were compared with.
        #[serde(skip_serializing_if = "Option::is_none")]
        baseline: Option<TemplatesBaseline>,
    }
}

wire_type! {
    /// Events of the baseline.
    TemplatesBaseline {
        /// With a text, by their sample rates.
        events: f64,
        /// How many of them were kept.
        rows: u64,
        /// Events without the column.
        without_text: u64,
    }
}

wire_type! {
    /// What is not shown one by one: templates beyond the limit, and texts that there was no room for.
    TemplatesOther {
        /// Templates.
        templates: u64,
        /// Events, by their sample rates.
        count: f64,
        /// Events of the baseline.
        baseline_count: f64,
    }
}

wire_type! {
    /// What texts have in common.
    LogTemplate {
        /// Of its text: the same wherever it is found.
        id: String,
        /// The text, with <*> for what differs.
        template: String,
        /// A regular expression that its texts match.
        regex: String,
        /// Events, by their sample rates.
        count: f64,
        /// How many of them were kept.
        rows: u64,
        /// Of all events with a text.
        share: f64,
        /// Time of the first; left out when there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_seen: Option<String>,
        /// Time of the last.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seen: Option<String>,
        /// One of its texts, at most 512 characters of it.
        example: String,
        /// Events of the baseline.
        #[serde(skip_serializing_if = "Option::is_none")]
        baseline_count: Option<f64>,
        /// new, vanished, multiplied or steady.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<String>,
        /// How many times as frequent as in the baseline; left out of what is new.
        #[serde(skip_serializing_if = "Option::is_none")]
        ratio: Option<f64>,
        /// Lower end of its 95 % interval; of what is new, of what it may be.
        #[serde(skip_serializing_if = "Option::is_none")]
        ratio_lo95: Option<f64>,
        /// Upper end.
        #[serde(skip_serializing_if = "Option::is_none")]
        ratio_hi95: Option<f64>,
        /// Whether the change is more than chance, over all templates.
        #[serde(skip_serializing_if = "Option::is_none")]
        sure: Option<bool>,
    }
}

wire_type! {
    /// Who calls whom.
    Mapped {
        /// Services and what they call.
        data: ServiceMap,
        /// How the answer came about; of three questions together.
        meta: Object,
    }
}

wire_type! {
    /// Services and what they call.
    ServiceMap {
        /// By id.
        nodes: Vec<MapNode>,
        /// By the ids of their ends.
        edges: Vec<MapEdge>,
        /// Edges beyond the limit: those with fewest calls.
        omitted: u64,
    }
}

wire_type! {
    /// Somebody who is called or calls.
    MapNode {
        /// Its kind and its name.
        id: String,
        /// service, database, messaging or external.
        kind: String,
        /// Its name.
        name: String,
        /// Which database or queue it is a kind of.
        #[serde(skip_serializing_if = "Option::is_none")]
        system: Option<String>,
        /// Requests, by their sample rates.
        requests: f64,
        /// Of them failed.
        errors: f64,
        /// Median of their durations.
        p50_ms: Option<f64>,
        /// Their 99th percentile.
        p99_ms: Option<f64>,
    }
}

wire_type! {
    /// Calls from one node to another.
    MapEdge {
        /// The caller's id.
        from: String,
        /// The id of who is called.
        to: String,
        /// Calls, by their sample rates.
        calls: f64,
        /// Of them failed.
        errors: f64,
        /// Median of their durations, as the callee saw them where it is a service.
        p50_ms: Option<f64>,
        /// Their 99th percentile.
        p99_ms: Option<f64>,
    }
}
