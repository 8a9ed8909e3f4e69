//! What a plan says about other events of a row's trace: docs/reference/relational.md has the rules.

use crate::plan::{Calculation, Column, Filter, FilterSet};

/// Whose value a name with a relational prefix means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Scope {
    /// The event itself.
    #[default]
    Own,
    /// `root.`: the spans of its trace that have no parent.
    Root,
    /// `parent.`: the span that it names as its parent, or that a log record was written in.
    Parent,
    /// `child.`: the events whose parent it is.
    Child,
    /// `any.`, `any2.`, `any3.`: the events of its trace; each number is an event of its own.
    Any(u8),
    /// `none.`: no event of its trace.
    None,
}

impl Scope {
    /// The scopes by their prefixes.
    pub const PREFIXES: [(&'static str, Scope); 7] = [
        ("root.", Scope::Root),
        ("parent.", Scope::Parent),
        ("child.", Scope::Child),
        ("any.", Scope::Any(1)),
        ("any2.", Scope::Any(2)),
        ("any3.", Scope::Any(3)),
        ("none.", Scope::None),
    ];

    /// The scope that a name states, and the rest of it.
    pub fn of_name(name: &str) -> (Scope, &str) {
        let stated = |(prefix, scope)| Some((scope, name.strip_prefix(prefix)?));
        Scope::PREFIXES.into_iter().find_map(stated).unwrap_or((Scope::Own, name))
    }
}

/// Filters that one event of a trace meets together.
#[derive(Clone, PartialEq, Debug)]
pub struct Related {
    /// Which event; never the one at hand.
    pub scope: Scope,
    /// All hold of it. At least one.
    pub filters: Vec<Filter>,
}

/// A value of several events.
#[derive(Clone, PartialEq, Debug)]
pub enum Derived {
    /// Of each trace with matching events the value of a calculation over these.
    PerTrace(Box<Calculation>),
    /// Of each value of `by` the milliseconds from its first event that meets `from` to the first other one, not
    /// earlier, that meets `to`.
    Interval {
        /// Where an interval begins.
        from: FilterSet,
        /// Where it ends.
        to: FilterSet,
        /// What it is of.
        by: Column,
    },
    /// Spans in flight: of each moment the spans that have begun and not ended (docs/reference/over-time.md).
    InFlight {
        /// Of which events.
        filter: FilterSet,
    },
    /// By how much a counter rose from one point of a series to the next, resets taken into account.
    Increase {
        /// The counter.
        column: Column,
        /// Of which events.
        filter: FilterSet,
        /// Divided by the seconds of the bucket, or of the range.
        per_second: bool,
    },
}
