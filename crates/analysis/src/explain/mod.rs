//! What is different about some events: counts of two sets become ranked findings, each a statement with an interval.
//!
//! The steps: count every column ([`skein_query::explain::Passes::counts`]); make candidates of values, ranges and
//! presence ([`candidates`]); count the best of them with their traces; keep what is no accident ([`rates`]), by a
//! test that knows traces ([`difference`]); gather what is the same cause told twice, and find pairs that say more than
//! either half ([`groups`]). docs/reference/explain.md has the method with its sources.
//!
//! What it refuses: to call anything a cause, to report what may be an accident, and to depend on the order of
//! anything but the counts.
//!
//! Reading order: [`Explanation`], [`candidates`], [`difference`], [`normal`], [`tails`], [`rates`], [`groups`].

mod candidates;
pub(crate) mod difference;
mod groups;
pub(crate) mod normal;
pub(crate) mod rates;
mod tails;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use skein_event::limits::EXPLAIN_CANDIDATES_MAX;
use skein_event::value::Value;
use skein_query::QueryError;
use skein_query::explain::{Clusters, Condition, Counts, Passes, Tally};

use self::candidates::Candidate;
pub use self::difference::Difference;
use self::difference::Population;

/// The false discovery rate: of the answers that report anything, how many report an accident at most, whatever the
/// dependence between columns.
pub const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// Smaller effects are left out, however sure they are: half of what Cohen calls small, measured at the lower end of
/// the interval.
pub const STRENGTH_MIN: f64 = 0.1;

/// What is different.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Explanation {
    /// All events of both sides.
    pub total: Tally,
    /// Traces of each side, about.
    pub traces: [f64; 2],
    /// The statements that were tested.
    pub tested: usize,
    /// The best first.
    pub findings: Vec<Finding>,
    /// Columns with more values than were kept apart.
    pub truncated: Vec<Arc<str>>,
}

impl Explanation {
    /// Whether intervals may be relied on: nothing was sampled, or each side has so many traces.
    pub fn reliable(&self, traces_min: f64) -> bool {
        let whole = |side: usize| self.total.squares[side] <= self.total.weight[side];
        (whole(0) && whole(1)) || self.traces.iter().all(|traces| *traces >= traces_min)
    }
}

/// One cause, as far as the events tell.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// What holds of the events: one term, or two that hold together.
    pub terms: Vec<Term>,
    /// How the sides differ in it.
    pub difference: Difference,
    /// The events of which it holds.
    pub tally: Tally,
    /// Its false discovery rate (Benjamini and Yekutieli).
    pub q: f64,
    /// Statements that follow from it or say the same.
    pub members: Vec<Member>,
}

/// A statement that belongs to another's cause.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// What holds.
    pub term: Term,
    /// How it belongs there.
    pub kind: Kinship,
    /// How the sides differ in it.
    pub difference: Difference,
}

/// How a statement belongs to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kinship {
    /// It holds of nearly the same events, or of nearly all others.
    Same,
    /// Where the other holds, and where it does not, it makes no difference any more.
    Follows,
    /// It is one half of a pair, and makes no difference where the pair does not hold.
    Part,
}

/// What holds of an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Term {
    /// The column.
    pub column: Arc<str>,
    /// What holds of its value.
    pub what: What,
}

/// What holds of a value.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// It is there, or it is missing.
    Exists(bool),
    /// It is this one.
    Value(Value),
    /// It is a number from the first to below the second.
    Range(Option<f64>, Option<f64>),
}

/// A statement with its counts, tested.
#[derive(Clone, Debug)]
struct Tested {
    condition: Condition,
    difference: Difference,
    tally: Tally,
    q: f64,
}

/// Explains what is different about the selection.
pub fn explain(passes: &mut dyn Passes, limit: usize) -> Result<Explanation, QueryError> {
    let counts = passes.counts()?;
    let truncated = counts.columns.iter().filter(|column| column.truncated);
    let mut explanation = Explanation {
        total: counts.total,
        truncated: truncated.map(|column| Arc::clone(&column.name)).collect(),
        ..Explanation::default()
    };
    if counts.total.rows.contains(&0) {
        return Ok(explanation);
    }
    let (candidates, tests) = candidates::candidates(&counts);
    explanation.tested = tests;
    let chosen = candidates::choose(candidates, EXPLAIN_CANDIDATES_MAX);
    if chosen.is_empty() {
        return Ok(explanation);
    }
    let conditions: Vec<Condition> = chosen.iter().map(|candidate: &Candidate| candidate.condition).collect();
    let clusters = passes.clusters(&conditions)?;
    explanation.traces = [0, 1].map(|side| clusters.total.traces(side));
    let population = Population::new(&clusters.total);
    let tested = test(&conditions, &clusters, &population, tests);
    let (groups, pairs_tested) = groups::gather(passes, &population, tested, tests)?;
    explanation.tested += pairs_tested;
    for group in groups.into_iter().take(limit) {
        explanation.findings.push(group.finding(passes, &counts)?);
    }
    Ok(explanation)
}

/// Tests each condition, keeps what is no accident and large enough, the strongest first.
fn test(
    conditions: &[Condition],
    clusters: &Clusters,
    population: &Population<'_>,
    tests: usize,
) -> Vec<Tested> {
    let differences = clusters.met.iter().map(|sums| population.difference(sums));
    let differences: Vec<Option<Difference>> = differences.collect();
    let chances: Vec<f64> = differences.iter().map(|d| d.as_ref().map_or(1.0, |d| d.chance)).collect();
    let rates = rates::rates(&chances, tests);
    let mut tested: Vec<Tested> = Vec::new();
    for (((condition, difference), sums), q) in
        conditions.iter().zip(differences).zip(&clusters.met).zip(rates)
    {
        if let Some(difference) = difference.filter(|difference| difference.strength >= STRENGTH_MIN)
            && q <= FALSE_DISCOVERY_RATE
        {
            tested.push(Tested { condition: *condition, difference, tally: sums.tally, q });
        }
    }
    tested.sort_by(|a, b| a.difference.rank(&b.difference).then(a.condition.cmp(&b.condition)));
    tested
}

/// A condition in words, and how the sides differ in it. That a column is seldom there is said as that it is missing.
fn term(
    passes: &mut dyn Passes,
    counts: &Counts,
    condition: Condition,
    difference: Difference,
) -> Result<(Term, Difference), QueryError> {
    let column = counts.columns.get(condition.column());
    let column = column.map_or_else(|| Arc::from(""), |column| Arc::clone(&column.name));
    let (what, difference) = match condition {
        Condition::Exists { .. } if difference.effect < 0.0 => {
            (What::Exists(false), difference.of_the_rest())
        }
        Condition::Exists { .. } => (What::Exists(true), difference),
        Condition::Value { column, key } => {
            let value = passes.value(column, key)?;
            (What::Value(value.unwrap_or_else(|| Value::Text(String::new()))), difference)
        }
        Condition::Range { from, to, .. } => {
            (What::Range(from.map(|cell| cell.low()), to.map(|cell| cell.low())), difference)
        }
    };
    Ok((Term { column, what }, difference))
}
