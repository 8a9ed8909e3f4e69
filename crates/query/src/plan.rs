//! The plan: a question with typed literals and names that are lists of places to look.
//!
//! Every language ends here and both engines start here. A plan belongs to one environment (invariant I10);
//! it cannot be built without one.

use std::sync::Arc;

use skein_event::ids::{Environment, EventId};

use crate::error::Location;
use crate::expression::Program;
pub use crate::formula::Formula;
use crate::names::{self, Reference};
pub use crate::operation::{OPERATIONS, Operation, Percentile};
pub use crate::related::{Derived, Related, Scope};
use crate::result::Warning;

/// A question, ready to run.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Whose data.
    pub environment: Environment,
    /// Datasets; empty means all.
    pub datasets: Vec<Named>,
    /// Time of the events.
    pub time_range: TimeRange,
    /// Which events, by themselves.
    pub filter: FilterSet,
    /// Which events, by others of their traces: all of these hold.
    pub related: Vec<Related>,
    /// How far beyond the range of time others of a trace are looked for.
    pub trace_slack_ns: i64,
    /// What to make of them.
    pub output: Output,
    /// Answer the same question of a range so much earlier as well; of aggregates only.
    pub compare_offset_ns: Option<i64>,
    /// Ignore sample rates: every event counts once.
    pub usage_mode: bool,
    /// Answer only what would be scanned.
    pub dry_run: bool,
    /// What planning has to say, e.g. a granularity that was moved to its bound.
    pub warnings: Vec<Warning>,
}

impl Plan {
    /// Whether other events of a row's trace have to be known for it.
    pub fn is_relational(&self) -> bool {
        let scoped = |column: &Column| column.scope != Scope::Own;
        let of_others = |groups: &GroupPlan| {
            let calculation =
                |c: &Calculation| c.column.as_ref().is_some_and(scoped) || !c.related.is_empty();
            groups.breakdowns.iter().any(scoped) || groups.calculations.iter().any(calculation)
        };
        !self.related.is_empty() || matches!(&self.output, Output::Groups(groups) if of_others(groups))
    }

    /// The same question of the range that is compared with.
    pub fn earlier(&self) -> Option<Plan> {
        let offset_ns = self.compare_offset_ns?;
        let TimeRange { start_ns, end_ns } = self.time_range;
        let time_range = TimeRange {
            start_ns: start_ns.saturating_sub(offset_ns),
            end_ns: end_ns.saturating_sub(offset_ns),
        };
        Some(Plan { time_range, compare_offset_ns: None, warnings: Vec::new(), ..self.clone() })
    }
}

/// A name with its place in the question, for errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub location: Location,
}

/// A half-open range of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeRange {
    /// First nanosecond, epoch.
    pub start_ns: i64,
    /// One past the last nanosecond.
    pub end_ns: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: TimeRange = TimeRange { start_ns: i64::MIN, end_ns: i64::MAX };

    /// Whether a time lies in it.
    pub fn contains(self, time_ns: i64) -> bool {
        self.start_ns <= time_ns && self.ends_after(time_ns)
    }

    /// Whether any time from `first_ns` to `last_ns`, both included, lies in it. This is the pruning test of
    /// zone maps, whose bounds are included.
    pub fn overlaps(self, first_ns: i64, last_ns: i64) -> bool {
        self.start_ns <= last_ns && self.ends_after(first_ns)
    }

    /// The end is exclusive. The last time that there is stands for no end: an event may have that time, and
    /// nothing but all of time would hold it.
    fn ends_after(self, time_ns: i64) -> bool {
        time_ns < self.end_ns || self.end_ns == i64::MAX
    }

    /// Its length.
    pub fn length_ns(self) -> u64 {
        self.end_ns.abs_diff(self.start_ns)
    }

    /// Its length in seconds.
    #[expect(clippy::cast_precision_loss, reason = "a length of time")]
    pub fn seconds(self) -> f64 {
        self.length_ns() as f64 / 1e9
    }
}

/// What a question wants of the events.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Aggregates, by group and by time.
    Groups(GroupPlan),
    /// The events themselves.
    Rows(RowPlan),
}

/// Aggregates.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupPlan {
    /// At least one.
    pub calculations: Vec<Calculation>,
    /// Numbers made of those of a group's calculations; shown instead of what they are made of.
    pub formulas: Vec<Formula>,
    /// Group by these; none is one group of everything.
    pub breakdowns: Vec<Column>,
    /// Order of the results; what they leave equal is ordered by the canonical text of the groups.
    pub orders: Vec<Order>,
    /// Which groups are shown.
    pub havings: Vec<Having>,
    /// Number of groups shown.
    pub limit: usize,
    /// Length of a series' buckets, which begin at multiples of it since the epoch. `None`: no series.
    pub granularity_ns: Option<i64>,
}

/// The events themselves.
#[derive(Clone, PartialEq, Debug)]
pub struct RowPlan {
    /// Number of events.
    pub limit: usize,
    /// By (timestamp, event.id).
    pub direction: Direction,
    /// Continue after this event.
    pub after: Option<Cursor>,
}

/// The place of an event in the order of raw rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// Its timestamp.
    pub time_ns: i64,
    /// Its identity.
    pub event_id: EventId,
}

/// One aggregate.
#[derive(Clone, PartialEq, Debug)]
pub struct Calculation {
    /// Its key in the answer: the given name, `OP` or `OP(column)`.
    pub name: String,
    /// What is computed.
    pub operation: Operation,
    /// Of what; every operation but COUNT has one.
    pub column: Option<Column>,
    /// Over which of the query's events, by themselves.
    pub filter: Option<FilterSet>,
    /// Over which of them, by others of their traces: all of these hold.
    pub related: Vec<Related>,
    /// The values that `operation` is of, where events do not have them themselves; then there is no `column`.
    pub derived: Option<Derived>,
}

/// A logical column: a name and where to look for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// The name as asked; the key in answers.
    pub name: Arc<str>,
    /// Whose value it is.
    pub scope: Scope,
    /// Places in order: an event's value is that of the first it has. None of a calculated column.
    pub references: Vec<Reference>,
    /// How it is computed; `None` of a stored column.
    pub calculated: Option<Arc<Program>>,
    /// Where it stands in the question.
    pub location: Location,
}

impl Column {
    /// The event's own value under a name.
    pub fn stored(name: &str, location: Location) -> Column {
        let references = names::references(name);
        Column { name: Arc::from(name), scope: Scope::Own, references, calculated: None, location }
    }

    /// What a program makes of the event.
    pub fn calculated(name: &str, program: Arc<Program>, location: Location) -> Column {
        let (scope, references) = (Scope::Own, Vec::new());
        Column { name: Arc::from(name), scope, references, calculated: Some(program), location }
    }
}

/// Several filters.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FilterSet {
    /// How they combine.
    pub combination: Combination,
    /// Without any, every event passes, whatever the combination.
    pub filters: Vec<Filter>,
}

/// How filters combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Combination {
    /// All hold.
    #[default]
    All,
    /// At least one holds.
    Any,
}

/// A test of one column.
#[derive(Clone, PartialEq, Debug)]
pub struct Filter {
    /// What is tested.
    pub column: Column,
    /// How.
    pub test: Test,
}

/// How a value is tested. What each means is in [`crate::test`].
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// The event has the column.
    Exists,
    /// The event lacks it.
    DoesNotExist,
    /// Equals one of these; `=` has one.
    In(Vec<Literal>),
    /// Equals none of these; matches a missing column.
    NotIn(Vec<Literal>),
    /// `<` and friends. A boolean literal is refused before.
    Compare(Comparison, Literal),
    /// A test of the canonical text.
    Text(TextTest, String),
    /// Its negation; matches a missing column.
    NotText(TextTest, String),
}

/// An ordering comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A test of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextTest {
    /// `starts-with`
    StartsWith,
    /// `ends-with`
    EndsWith,
    /// `contains`
    Contains,
}

/// A typed literal.
#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    /// `true`, `false`.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// Any other number; never NaN.
    F64(f64),
    /// Text; also stands for bytes and json values, by their canonical text.
    Text(String),
}

/// One key of the order of results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// What is compared.
    pub by: OrderBy,
    /// Which way.
    pub direction: Direction,
}

/// What results are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderBy {
    /// Place of the calculation in the plan, or behind them of the formula.
    Calculation(usize),
    /// Place of the breakdown in the plan.
    Breakdown(usize),
}

/// Which way an order goes. NaN and missing values come last either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A condition on an aggregate. An aggregate without a value meets none but `!=`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Having {
    /// Place of the calculation in the plan, or behind them of the formula.
    pub calculation: usize,
    /// How.
    pub operator: HavingOperator,
    /// With what.
    pub value: f64,
}

/// How an aggregate is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HavingOperator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<` and friends.
    Compare(Comparison),
}
