//! What is unusual in a range of time: operations whose own work became slower, or failed more often, than in the rest of
//! the range.
//!
//! An operation that waits for another that is slow is slow itself, so that a list by duration names everybody who waits.
//! Time is told apart here by who called whom: of every pair of caller and called the spans are counted and summed up,
//! and what an operation's spans took less what the spans took that they called is its own. The sums are over all spans,
//! so that nothing depends on which traces were looked at. [`graph`] adds up, [`window`] finds since when and until when.
//!
//! What it refuses: to call anything a cause, to tell of what is as it was in the rest of the range, and to say anything
//! where the rest of the range is too short to compare with. docs/reference/unusual.md has the method.

mod graph;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use skein_query::result::Groups;

use self::graph::{Entry, Graph, Series};
use self::window::{Window, window};

/// A failed call counts as much as so many milliseconds of waiting: findings of both kinds stand in one list.
pub const FAILURE_MS: f64 = 1_000.0;

/// So many standard errors away from the rest of the range: some hundred operations are looked at, each over every
/// stretch of some hundred buckets, and the noise of a bucket is not normal.
pub const SCORE_MIN: f64 = 6.0;

/// Buckets of an operation are joined until one has so many calls in the middle.
const CALLS_MIN: f64 = 10.0;

/// Extra failures below this are no finding.
const FAILURES_MIN: f64 = 5.0;

/// An operation: the spans of one name in one service that are called from elsewhere.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Operation {
    /// The service.
    pub service: Arc<str>,
    /// The name of its spans.
    pub name: Arc<str>,
}

/// What is unusual about an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Its own work takes longer.
    Slower,
    /// It fails more often, and not because another failed.
    Failing,
}

/// How calls of an operation went, over a stretch of time.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Rates {
    /// How many there were.
    pub calls: f64,
    /// Mean of its own time: without that of other operations it called.
    pub own_ms: f64,
    /// Mean of its whole time.
    pub duration_ms: f64,
    /// Share that failed, 0 to 1.
    pub failed: f64,
}

/// An operation that is unusual for a stretch of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// Which.
    pub operation: Operation,
    /// How.
    pub kind: Kind,
    /// Start of its first unusual bucket, epoch nanoseconds.
    pub start_ns: i64,
    /// End of its last one.
    pub end_ns: i64,
    /// The last bucket with calls of it is among them.
    pub ongoing: bool,
    /// While it is unusual.
    pub within: Rates,
    /// In the rest of the range.
    pub before: Rates,
    /// Milliseconds of its own work beyond what so many calls take in the rest of the range.
    pub extra_ms: f64,
    /// Failures of its own beyond those.
    pub extra_failures: f64,
    /// Between usual and unusual durations, and the longest.
    pub slow_ms: f64,
    /// The longest.
    pub longest_ms: f64,
    /// The span of its own work in which most of the extra is, when that is not the operation's span itself.
    pub mostly: Option<Arc<str>>,
    /// Standard errors between the two stretches.
    pub score: f64,
}

/// What is unusual, and how much was looked at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Unusual {
    /// What hurts most first.
    pub findings: Vec<Finding>,
    /// Operations that were looked at.
    pub operations: usize,
}

/// Names of the breakdowns that [`unusual`] reads, in this order.
pub const BREAKDOWNS: [&str; 4] = ["parent.service.name", "parent.name", "service.name", "name"];

/// Finds what is unusual in an answer whose breakdowns are [`BREAKDOWNS`] and whose calculations are the number of spans,
/// the sum and the maximum of their durations and, if there is such a thing, the number of those that failed; over time
/// in buckets of `step_ns`.
pub fn unusual(groups: &Groups, step_ns: i64, limit: usize) -> Unusual {
    let graph = Graph::of(groups, step_ns);
    let entries = graph.entries();
    let mut findings: Vec<Finding> =
        entries.iter().filter_map(|entry| finding(&graph, entry, step_ns)).collect();
    let hurt = |finding: &Finding| finding.extra_ms.max(0.0) + FAILURE_MS * finding.extra_failures.max(0.0);
    findings.sort_by(|a, b| hurt(b).total_cmp(&hurt(a)).then_with(|| a.operation.cmp(&b.operation)));
    findings.truncate(limit);
    Unusual { findings, operations: entries.len() }
}

fn finding(graph: &Graph, entry: &Entry, step_ns: i64) -> Option<Finding> {
    let factor = factor(&entry.calls);
    let joined =
        |series: &Series| -> Vec<f64> { series.chunks(factor).map(|part| part.iter().sum()).collect() };
    let (calls, own, total) = (joined(&entry.calls), joined(&entry.own_ms), joined(&entry.total_ms));
    let (failed, own_failed) = (joined(&entry.failed), joined(&entry.own_failed));
    let usual_ms = total.iter().sum::<f64>() / calls.iter().sum::<f64>().max(1.0);
    let slower =
        window(&calls, &own, |base| 0.5 * base.abs().max(0.1 * usual_ms).max(0.5), window::Noise::Spread);
    let failing = window(&calls, &own_failed, |base| base.abs().max(0.01), window::Noise::Counts)
        .filter(|window| extra(window, &calls, &own_failed) >= FAILURES_MIN);
    let of = |window: &Window, series: &[f64]| extra(window, &calls, series).max(0.0);
    let hurt = |window: &Window| of(window, &own) + FAILURE_MS * of(window, &own_failed);
    let (kind, window) = match (slower, failing) {
        (None, None) => return None,
        (Some(window), None) => (Kind::Slower, window),
        (None, Some(window)) => (Kind::Failing, window),
        (Some(slower), Some(failing)) => {
            let slow_counts_more = of(&slower, &own) >= FAILURE_MS * of(&failing, &own_failed);
            let longer = if hurt(&slower) >= hurt(&failing) { slower } else { failing };
            (if slow_counts_more { Kind::Slower } else { Kind::Failing }, longer)
        }
    };
    let rates = |inside: bool| {
        let calls = window.sum(&calls, inside);
        let each = |series: &[f64]| if calls > 0.0 { window.sum(series, inside) / calls } else { 0.0 };
        Rates { calls, own_ms: each(&own), duration_ms: each(&total), failed: each(&failed) }
    };
    let (within, before) = (rates(true), rates(false));
    let at = |bucket: usize| {
        let buckets = i64::try_from(bucket.saturating_mul(factor)).unwrap_or(i64::MAX);
        graph.start_ns.saturating_add(step_ns.saturating_mul(buckets))
    };
    let last = calls.iter().rposition(|calls| *calls > 0.0).unwrap_or_default();
    Some(Finding {
        operation: entry.operation.clone(),
        kind,
        start_ns: at(window.first),
        end_ns: at(window.last + 1).min(graph.end_ns),
        ongoing: window.last >= last,
        extra_ms: extra(&window, &calls, &own),
        extra_failures: extra(&window, &calls, &own_failed),
        slow_ms: between(before.duration_ms, within.duration_ms),
        longest_ms: entry.longest_ms,
        mostly: mostly(graph, entry, &window, factor, kind),
        score: window.score,
        within,
        before,
    })
}

/// How many buckets are joined so that one has enough calls in the middle of those that have any.
fn factor(calls: &[f64]) -> usize {
    let mut most = 1;
    while most < calls.len() {
        let mut sums: Vec<f64> =
            calls.chunks(most).map(|part| part.iter().sum::<f64>()).filter(|sum| *sum > 0.0).collect();
        sums.sort_by(f64::total_cmp);
        if sums.get(sums.len() / 2).is_some_and(|middle| *middle >= CALLS_MIN) {
            break;
        }
        most *= 2;
    }
    most
}

/// What a stretch has beyond what its calls have elsewhere.
fn extra(window: &Window, calls: &[f64], series: &[f64]) -> f64 {
    let elsewhere = window.sum(calls, false);
    let usual = if elsewhere > 0.0 { window.sum(series, false) / elsewhere } else { 0.0 };
    window.sum(series, true) - usual * window.sum(calls, true)
}

/// A bound between two means of durations, which differ by factors.
fn between(usual_ms: f64, unusual_ms: f64) -> f64 {
    let (low, high) = (usual_ms.max(1e-6), unusual_ms.max(1e-6));
    (low * high).sqrt().max(low)
}

/// The name of the operation's own spans that most of the extra is in.
fn mostly(graph: &Graph, entry: &Entry, window: &Window, factor: usize, kind: Kind) -> Option<Arc<str>> {
    let mut best: Option<(f64, &Operation)> = None;
    for &place in &entry.nodes {
        let node = graph.node(place);
        let series = if kind == Kind::Slower { &node.own_ms } else { &node.own_failed };
        let joined: Vec<f64> = series.chunks(factor).map(|part| part.iter().sum()).collect();
        let calls: Vec<f64> = entry.calls.chunks(factor).map(|part| part.iter().sum()).collect();
        let extra = extra(window, &calls, &joined);
        if extra > 0.0 && best.is_none_or(|(most, _)| extra > most) {
            best = Some((extra, &node.operation));
        }
    }
    best.filter(|(_, operation)| **operation != entry.operation)
        .map(|(_, operation)| Arc::clone(&operation.name))
}
