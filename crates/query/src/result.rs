//! Answers. Not serialisable: [`crate::render`] and the API write them as CONTRACT.md says.

use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::ids::{EventId, Partition};
use skein_event::value::Value;

use crate::plan::TimeRange;

/// The answer to a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryResult {
    /// The data; [`Data::Nothing`] for a dry run.
    pub data: Data,
    /// How it came about.
    pub meta: Meta,
}

/// What was asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// A dry run has none.
    Nothing,
    /// Aggregates.
    Groups(Groups),
    /// Events.
    Rows(Rows),
}

/// Aggregates by group.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Groups {
    /// Names of the breakdowns, as asked.
    pub breakdowns: Vec<Arc<str>>,
    /// Keys of the calculations.
    pub calculations: Vec<String>,
    /// The groups shown, in order.
    pub results: Vec<GroupRow>,
    /// Present when a series was asked for: for each group shown and each bucket with events of it, in order of
    /// time, then of `results`.
    pub series: Option<Vec<SeriesRow>>,
    /// Over every event that matched, whatever `havings` and `limit` leave out.
    pub total: Vec<Cell>,
    /// Over the groups that `limit` cut off; `None` when it cut none.
    pub other: Option<Vec<Cell>>,
    /// The answer to the same question of an earlier range, if that was asked for.
    pub compare: Option<Box<Compared>>,
}

/// What an answer is compared with.
#[derive(Clone, PartialEq, Debug)]
pub struct Compared {
    /// The earlier range.
    pub time_range: TimeRange,
    /// Its groups, in their own order.
    pub groups: Groups,
}

/// One group.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupRow {
    /// A value per breakdown; `None` where the events lack the column.
    pub key: Vec<Option<Value>>,
    /// A cell per calculation.
    pub cells: Vec<Cell>,
}

/// One group in one bucket of time.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesRow {
    /// Start of the bucket, epoch nanoseconds.
    pub time_ns: i64,
    /// Place of the group in `results`.
    pub group: usize,
    /// A cell per calculation.
    pub cells: Vec<Cell>,
}

/// One aggregate's value and how sure it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// The value.
    pub value: CellValue,
    /// How sure.
    pub stats: Stats,
}

/// An aggregate's value.
#[derive(Clone, PartialEq, Debug)]
pub enum CellValue {
    /// Nothing to aggregate.
    Missing,
    /// A whole number.
    I64(i64),
    /// A number.
    F64(f64),
    /// A histogram; counts are one fewer than edges.
    Histogram {
        /// Shared by every cell of the calculation.
        edges: Arc<[f64]>,
        /// Weighted counts.
        counts: Vec<f64>,
    },
}

impl CellValue {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "orders and havings compare as doubles")]
            CellValue::I64(value) => Some(*value as f64),
            CellValue::F64(value) => Some(*value),
            CellValue::Missing | CellValue::Histogram { .. } => None,
        }
    }
}

/// How sure a value is (SEMANTICS.md, "Numbers").
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Stats {
    /// Lower end of the 95 % interval; `None` when not known.
    pub lo95: Option<f64>,
    /// Upper end.
    pub hi95: Option<f64>,
    /// Neither sampled nor sketched.
    pub exact: bool,
    /// Kept traces behind the value; `None` when they were not counted.
    pub n_traces: Option<u64>,
    /// Whether the interval may be relied on.
    pub reliable: bool,
}

/// Events, in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// The events.
    pub rows: Vec<FlatRow>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
}

/// An event as a flat list of its present columns.
#[derive(Clone, PartialEq, Debug)]
pub struct FlatRow {
    /// `timestamp`.
    pub time_ns: i64,
    /// `meta.ingest_time`.
    pub ingest_time_ns: i64,
    /// `event.id`.
    pub event_id: EventId,
    /// The other columns by logical name, sorted, each name once.
    pub fields: Vec<(Arc<str>, Value)>,
}

impl FlatRow {
    /// The value of a field; the three columns every event has are fields of their own.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok()?;
        self.fields.get(found).map(|(_, value)| value)
    }

    /// Whether it is this span or something of it: its event, its link, its log record.
    pub fn is_of_span(&self, span_id: &str) -> bool {
        let annotation = self.get("meta.annotation_type").is_some();
        let own = if annotation { "trace.parent_id" } else { "trace.span_id" };
        self.text(own) == Some(span_id)
    }

    /// The text of a text field.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// How an answer came about.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Meta {
    /// Time it took.
    pub elapsed_ns: i64,
    /// Rows looked at, after pruning.
    pub rows_scanned: u64,
    /// Rows that matched time, datasets and filters.
    pub rows_matched: u64,
    /// Encoded bytes of the columns read, as far as the store knows them.
    pub bytes_scanned: u64,
    /// Segments, heads included, of the environment.
    pub segments: SegmentCounts,
    /// What the answer is complete to, epoch nanoseconds (SEMANTICS.md, "Time").
    pub complete_to_ns: i64,
    /// The range that was asked.
    pub time_range: Option<TimeRange>,
    /// Names the state of the store that was read.
    pub snapshot: String,
    /// What a reader of the answer should know.
    pub warnings: Vec<Warning>,
}

/// What became of the segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentCounts {
    /// Looked at.
    pub considered: u64,
    /// Left out by their statistics.
    pub pruned: u64,
    /// Read.
    pub scanned: u64,
}

/// Something a reader of the answer should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// One of a closed list, snake case.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// All events of a trace, unordered; `skein-analysis` makes a tree of them.
#[derive(Clone, PartialEq, Debug)]
pub struct TraceRows {
    /// The trace.
    pub trace_id: [u8; 16],
    /// Its spans, span events, links and logs.
    pub rows: Vec<FlatRow>,
    /// What the answer is complete to.
    pub complete_to_ns: i64,
    /// How it came about.
    pub meta: Meta,
}

/// A dataset of an environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatasetInfo {
    /// Its name.
    pub name: String,
    /// Its events.
    pub events: u64,
    /// Earliest timestamp.
    pub first_ns: i64,
    /// Latest timestamp.
    pub last_ns: i64,
}

/// A logical column of a dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Types (`bool`, `i64`, `f64`, `text`, `bytes`, `json`) with their number of values.
    pub types: Vec<(&'static str, u64)>,
    /// Where it comes from: `fixed`, `attributes`, `metric`, `body`, `derived`, `scope`, `resource`.
    pub scopes: Vec<&'static str>,
    /// Earliest timestamp of the events that have it.
    pub first_ns: i64,
    /// Latest timestamp, likewise.
    pub last_ns: i64,
    /// Different values: exact up to 256, beyond that estimated with a standard error of 3.3 %.
    pub distinct_estimate: u64,
}

/// A value of a column with its number of events.
#[derive(Clone, PartialEq, Debug)]
pub struct ValueCount {
    /// The value.
    pub value: Value,
    /// Events that have it, unweighted.
    pub count: u64,
}

/// Events on their way out of the store.
#[derive(Clone, PartialEq, Debug)]
pub struct ScanBatch {
    /// The events.
    pub batch: EventBatch,
    /// Their partition.
    pub partition: Partition,
    /// Identity of each row.
    pub event_ids: Vec<EventId>,
    /// `meta.ingest_time` of each row.
    pub ingest_times_ns: Vec<i64>,
}
