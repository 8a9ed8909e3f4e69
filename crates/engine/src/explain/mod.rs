//! Counts two sets of events over one snapshot, for whoever explains what is different about one of them
//! (docs/reference/explain.md).
//!
//! The rows of a segment are divided once, into selection, baseline and the rest; then each column is walked by
//! itself, from end to end. What is counted is exact: no rows are sampled. The first pass counts values by their
//! hashes, later ones count by text what the analyst has chosen.
//!
//! What it refuses: to judge. That is `skein-analysis`.
//!
//! Reading order: [`classes`], [`counts`], [`conditions`], [`Session`], [`passes`].

mod classes;
mod conditions;
mod counts;
mod passes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use skein_event::batch::Origin;
use skein_event::columns::Fixed;
use skein_event::value::Value;
use skein_query::explain::{Analyst, Clusters, Condition, Counts, Excluded, ExplainPlan, Overlaps, Passes};
use skein_query::names::{aliases, display_name};
use skein_query::plan::{Column, FilterSet, Plan};
use skein_query::result::Meta;
use skein_query::{QueryError, RunContext};
use skein_store::segment::Segment;
use skein_store::{Error, SegmentHandle};

use self::classes::{Classes, classify, nowhere};
use self::counts::Found;
use crate::column::BoundColumn;
use crate::hints::{overflow_warning, where_data_is};
use crate::relation::Relations;
use crate::scan::{BlockError, Counters, Failure};
use crate::snapshot::SnapshotView;
use crate::workers::Workers;
use crate::{prune, resolve};

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
    let of_related = |related: &Option<Arc<Relations>>| related.as_ref().map_or(0, |r| r.memory_bytes());
    let held_bytes = of_related(&related.selection) + of_related(&related.baseline);
    let mut session = Session {
        plan,
        view,
        excluded,
        context,
        related,
        held_bytes,
        counters,
        columns: Vec::new(),
        found: Vec::new(),
        texts: HashMap::new(),
        failure: None,
        passes: 0,
    };
    session.find_columns()?;
    let analysed = analyst(&mut session);
    if let Some(failure) = session.failure {
        return Err(failure);
    }
    analysed?;
    let Session { counters, .. } = session;
    if counters.rows_in_range == 0 {
        warnings.extend(where_data_is(&plan.selection, view, excluded, context)?);
    }
    warnings.extend(overflow_warning(&counters));
    Ok(Meta {
        elapsed_ns: context.clock.now_ns().saturating_sub(start_ns),
        rows_scanned: counters.rows_scanned,
        rows_matched: counters.rows_matched,
        bytes_scanned: counters.bytes_scanned,
        segments: counters.segments,
        complete_to_ns: view.complete_to_ns,
        time_range: Some(plan.selection.time_range),
        snapshot: view.name.clone(),
        warnings,
    })
}

/// The passes over one snapshot.
struct Session<'a> {
    plan: &'a ExplainPlan,
    view: &'a SnapshotView,
    excluded: &'a [usize],
    context: &'a RunContext<'a>,
    related: Related,
    /// Memory that is held all along.
    held_bytes: usize,
    counters: Counters,
    /// By name.
    columns: Vec<Column>,
    /// Where the values of each column are, by hash.
    found: Vec<HashMap<u64, Found>>,
    /// Values that were looked up.
    texts: HashMap<(usize, u64), Option<Value>>,
    /// Why a pass broke off.
    failure: Option<Failure>,
    passes: u32,
}

impl Session<'_> {
    /// Collects the names of all columns that may explain something.
    fn find_columns(&mut self) -> Result<(), Failure> {
        if !self.plan.columns.is_empty() {
            self.columns.clone_from(&self.plan.columns);
            self.columns.sort_by(|a, b| a.name.cmp(&b.name));
            return Ok(());
        }
        let mut names: BTreeSet<String> = BTreeSet::new();
        self.each_segment(|_, place, segment, _| {
            let failed = |error: Error| Failure::Segment(place, error);
            for info in segment.columns() {
                let key = info.map_err(failed)?.key;
                let name = display_name(key.origin, &key.name);
                let hidden = key.origin == Origin::Fixed
                    && Fixed::ALL.iter().any(|fixed| fixed.is_hidden() && fixed.name() == &*key.name);
                if !hidden {
                    names.insert(name.unwrap_or_else(|| key.name.to_string()));
                }
            }
            Ok(())
        })?;
        let excluded = Excluded::of(self.plan);
        // Of names with one meaning the newest stands for all: each would say the same.
        let shadowed = |name: &str| {
            let first = aliases(name).into_iter().next();
            first.is_some_and(|first| {
                names.contains(first) && aliases(first).contains(&name) && precedes(first, name)
            })
        };
        let wanted = names.iter().filter(|name| !excluded.has(name) && !shadowed(name));
        self.columns = wanted.map(|name| Column::stored(name, nowhere())).collect();
        Ok(())
    }

    /// Visits the segments that may have rows of either side, in the order of the snapshot.
    fn each_segment(
        &mut self,
        mut visit: impl FnMut(&mut Self, usize, &Segment, f64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let view = self.view;
        let total = view.segments.len().max(1);
        for (place, handle) in view.segments.iter().enumerate() {
            self.context.check()?;
            if self.excluded.contains(&place) || !self.may_matter(handle) {
                continue;
            }
            let segment = handle.open().map_err(|error| Failure::Segment(place, error))?;
            #[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
            let fraction = (place + 1) as f64 / total as f64;
            visit(self, place, &segment, fraction)?;
        }
        Ok(())
    }

    fn may_matter(&self, handle: &Arc<SegmentHandle>) -> bool {
        let plan = self.plan;
        let nothing = FilterSet::default();
        // The events that the filters do not match are wanted, too.
        let of_rest = plan.baseline.is_none() && plan.rect.is_none();
        let sides = [Some((&plan.selection, of_rest)), plan.baseline.as_ref().map(|plan| (plan, false))];
        sides.into_iter().flatten().any(|(side, unfiltered)| {
            let datasets: Vec<&str> = side.datasets.iter().map(|named| named.name.as_str()).collect();
            let filter = if unfiltered { &nothing } else { &side.filter };
            prune::may_match(handle, &datasets, side.time_range, filter)
        })
    }

    /// Visits the segments that do have rows of either side, with these rows.
    fn each_classified(
        &mut self,
        mut visit: impl FnMut(&mut Self, usize, &Segment, &Classes) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut counters = Counters::default();
        self.passes += 1;
        let passes = f64::from(self.passes.min(4) - 1);
        self.each_segment(|session, place, segment, fraction| {
            counters.segments.considered += 1;
            let context = session.context;
            let check = || context.check().map_err(BlockError::Query);
            let classes = classify(segment, session.plan, &session.related, &mut counters, check);
            match classes {
                Ok(Some(classes)) => {
                    counters.segments.scanned += 1;
                    counters.rows_matched += classes.total.all_rows();
                    visit(session, place, segment, &classes)?;
                }
                Ok(None) => counters.segments.pruned += 1,
                Err(BlockError::Query(error)) => return Err(Failure::Query(error)),
                Err(BlockError::Segment(error)) => return Err(Failure::Segment(place, error)),
            }
            (context.progress)((passes + fraction) / 4.0);
            Ok(())
        })?;
        counters.rows_in_range = counters.rows_matched;
        counters.bytes_scanned = self.counters.bytes_scanned;
        counters.segments_overflowed = self.counters.segments_overflowed;
        let all = self.view.segments.len() as u64;
        counters.segments.pruned += all.saturating_sub(counters.segments.considered);
        counters.segments.considered = all;
        self.counters = counters;
        Ok(())
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
                let Some(handle) = self.view.segments.get(at) else { return Ok(None) };
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
