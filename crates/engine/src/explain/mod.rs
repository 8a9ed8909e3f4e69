//! Counts two sets of events over one snapshot, for whoever explains what is different about one of them
//! (docs/reference/explain.md).
//!
//! Events are divided once, into selection, baseline and the rest; then each column of each segment is walked by
//! itself, from end to end, several side by side. What is counted is exact: no rows are sampled. The first pass counts
//! values by their hashes, later ones count by text what the analyst has chosen.
//!
//! What it refuses: to judge. That is `skein-analysis`.
//!
//! Reading order: [`sides`], [`rows`], [`slots`], [`counts`], [`conditions`], [`clusters`], [`walk`], [`Session`],
//! [`passes`], [`meeting`].

mod clusters;
mod conditions;
mod counts;
mod meeting;
mod passes;
mod rows;
mod sides;
mod slots;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use skein_event::batch::Origin;
use skein_event::columns::Fixed;
use skein_event::value::Value;
use skein_query::error::Location;
use skein_query::explain::{Analyst, Clusters, Condition, Counts, Excluded, ExplainPlan, Overlaps, Passes};
use skein_query::names::{aliases, display_name};
use skein_query::plan::{Column, Plan};
use skein_query::result::{Meta, SegmentCounts};
use skein_query::{QueryError, RunContext};
use skein_store::Error;

use self::counts::Found;
use self::sides::{Sides, Subject};
use self::walk::Walk;
use crate::column::BoundColumn;
use crate::hashing::ByHash;
use crate::meta::meta;
use crate::relation::Relations;
use crate::resolve;
use crate::scan::{Counters, Failure};
use crate::snapshot::SnapshotView;
use crate::workers::Workers;

/// What is known of other events, for each side.
#[derive(Default)]
struct Related {
    selection: Option<Arc<Relations>>,
    baseline: Option<Arc<Relations>>,
}

/// Lets an analyst count.
pub(crate) fn run(
    plan: &ExplainPlan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    workers: &Workers,
    analyst: &mut Analyst<'_>,
) -> Result<Meta, Failure> {
    let start_ns = context.clock.now_ns();
    let mut warnings = Vec::new();
    let mut counters = Counters::default();
    let mut prepare = |side: &Plan| {
        resolve::check(side, view, excluded, context, &mut warnings)?;
        if !side.is_relational() {
            return Ok(None);
        }
        Relations::collect(side, view, excluded, context, workers, &mut counters).map(Some)
    };
    let related = Related {
        selection: prepare(&plan.selection)?,
        baseline: plan.baseline.as_ref().map(prepare).transpose()?.flatten(),
    };
    let subject = Subject { plan, view, excluded, context, workers };
    let (sides, of_sides) = subject.sides(&related)?;
    counters.add(&of_sides);
    let all = view.segments.len() as u64;
    let scanned = sides.places().len() as u64;
    counters.segments = SegmentCounts { considered: all, pruned: all - scanned, scanned };
    (counters.rows_matched, counters.rows_in_range) = (sides.rows(), sides.rows());
    // What is known of other events is not asked again.
    drop(related);
    let held_bytes = sides.memory_bytes();
    let places = sides.places();
    let mut session = Session {
        subject,
        held_bytes,
        sides,
        places,
        counters,
        columns: Vec::new(),
        found: Vec::new(),
        texts: HashMap::new(),
        failure: None,
    };
    session.find_columns()?;
    let analysed = analyst(&mut session);
    if let Some(failure) = session.failure {
        return Err(failure);
    }
    analysed?;
    let counters = session.counters;
    let meta = meta(&plan.selection, view, excluded, context, &counters, warnings)?;
    Ok(Meta { elapsed_ns: context.clock.now_ns().saturating_sub(start_ns), ..meta })
}

/// The passes over one snapshot.
struct Session<'a> {
    subject: Subject<'a>,
    sides: Sides,
    /// The segments with rows of either side.
    places: Vec<usize>,
    /// Memory that is held all along.
    held_bytes: usize,
    counters: Counters,
    /// By name.
    columns: Vec<Column>,
    /// Where the values of each column are, by hash.
    found: Vec<ByHash<Found>>,
    /// Values that were looked up.
    texts: HashMap<(usize, u64), Option<Value>>,
    /// Why a pass broke off.
    failure: Option<Failure>,
}

impl Session<'_> {
    /// Collects the names of all columns that may explain something.
    fn find_columns(&mut self) -> Result<(), Failure> {
        if !self.subject.plan.columns.is_empty() {
            self.columns.clone_from(&self.subject.plan.columns);
            self.columns.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok(());
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        for &place in &self.places {
            self.subject.context.check()?;
            let Some(handle) = self.subject.view.segments.get(place) else { continue };
            let failed = |error: Error| Failure::Segment(place, error);
            let segment = handle.open().map_err(failed)?;
            for info in segment.columns() {
                let key = info.map_err(failed)?.key;
                let name = display_name(key.origin, &key.name);
                let hidden = key.origin == Origin::Fixed
                    && Fixed::ALL.iter().any(|fixed| fixed.is_hidden() && fixed.name() == &*key.name);
                if !hidden {
                    names.insert(name.unwrap_or_else(|| key.name.to_string()));
                }
            }
        }
        let excluded = Excluded::of(self.subject.plan);
        // Of names with one meaning the newest stands for all: each would say the same.
        let shadowed = |name: &str| {
            let first = aliases(name).into_iter().next();
            first.is_some_and(|first| {
                names.contains(first) && aliases(first).contains(&name) && precedes(first, name)
            })
        };
        let wanted = names.iter().filter(|name| !excluded.has(name) && !shadowed(name));
        self.columns = wanted.map(|name| Column::stored(name, Location::Path(String::new()))).collect();
        Ok(())
    }

    /// Whether events stand for what their sample rates say.
    fn weighted(&self) -> bool {
        !self.subject.plan.selection.usage_mode
    }

    fn walk<W: Walk>(
        &self,
        pass: &W,
        columns: Vec<W::Column>,
        progress: (f64, f64),
    ) -> Result<(Vec<W::Column>, u64), Failure> {
        walk::walk(pass, self.subject, &self.places, columns, self.held_bytes, progress)
    }

    /// Looks up the value behind a hash.
    fn look_up(&mut self, column: usize, key: u64) -> Result<Option<Value>, Failure> {
        if let Some(known) = self.texts.get(&(column, key)) {
            return Ok(known.clone());
        }
        let found = self.found.get(column).and_then(|found| found.get(&key)).copied();
        let value = match (found, self.columns.get(column)) {
            (Some(Found::Whole(value)), _) => Some(Value::I64(value)),
            (Some(Found::At(place)), Some(column)) => {
                let at = place.segment as usize;
                let failed = |error: Error| Failure::Segment(at, error);
                let Some(handle) = self.subject.view.segments.get(at) else { return Ok(None) };
                let segment = handle.open().map_err(failed)?;
                let mut bound = BoundColumn::bind(&segment, column).map_err(failed)?;
                let part = bound.parts.get_mut(place.part as usize);
                let read =
                    part.map(|part| part.with_value(place.bits, |value| value.map(|value| value.to_value())));
                read.transpose().map_err(failed)?.flatten()
            }
            _ => None,
        };
        self.texts.insert((column, key), value.clone());
        Ok(value)
    }

    /// Keeps why a pass broke off, for [`run`].
    fn keep<T>(&mut self, done: Result<T, Failure>) -> Result<T, QueryError> {
        done.map_err(|failure| match failure {
            Failure::Query(error) => error,
            failure @ Failure::Segment(..) => {
                self.failure = Some(failure);
                QueryError::internal("a segment could not be read")
            }
        })
    }
}

/// Whether of two names with one meaning the first is the one to show.
fn precedes(first: &str, name: &str) -> bool {
    let lists = skein_query::names::CONVENTIONS.iter();
    let place = |names: &[&str], wanted: &str| names.iter().position(|known| *known == wanted);
    lists.filter_map(|names| Some((place(names, first)?, place(names, name)?))).any(|(a, b)| a < b)
}

// === impl Passes for Session ===

impl Passes for Session<'_> {
    fn counts(&mut self) -> Result<Counts, QueryError> {
        let done = self.count();
        self.keep(done)
    }

    fn clusters(&mut self, conditions: &[Condition]) -> Result<Clusters, QueryError> {
        let done = self.sums(conditions);
        self.keep(done)
    }

    fn overlaps(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, QueryError> {
        let done = self.overlap(conditions, pairs);
        self.keep(done)
    }

    fn value(&mut self, column: usize, key: u64) -> Result<Option<Value>, QueryError> {
        let done = self.look_up(column, key);
        self.keep(done)
    }
}
