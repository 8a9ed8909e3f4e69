//! Names against a snapshot: a column or dataset that nothing has is an error with candidates, before a row is
//! read (docs/adr/0012-unknown-columns.md).

use std::collections::BTreeSet;
use std::sync::Arc;

use skein_event::batch::Origin;
use skein_event::columns::{Fixed, Level};
use skein_query::insights::InsightsPlan;
use skein_query::names::{ALWAYS, Reference, display_name};
use skein_query::plan::{Calculation, Column, Derived, Filter, Output, Plan, Scope, Test};
use skein_query::result::Warning;
use skein_query::{QueryError, RunContext, suggest};
use skein_store::segment::{RowField, Segment};
use skein_store::{Error, SegmentHandle};

use crate::catalog;
use crate::column::BLOCK_ROWS;
use crate::scan::Failure;
use crate::snapshot::SnapshotView;

/// Checks every name of a plan. A column that is only tested for its presence may be unknown: then a warning
/// says so.
pub(crate) fn check(
    plan: &Plan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(), Failure> {
    if view.segments.iter().all(|segment| segment.rows() == 0) {
        return Ok(());
    }
    check_datasets(plan, view, excluded)?;
    let mut presence = Vec::new();
    let mut columns = Vec::new();
    split_filters(&plan.filter.filters, &mut presence, &mut columns);
    for related in &plan.related {
        split_filters(&related.filters, &mut presence, &mut columns);
    }
    if let Output::Groups(groups) = &plan.output {
        groups.breakdowns.iter().for_each(|column| split_column(column, &mut presence, &mut columns));
        for calculation in &groups.calculations {
            of_calculation(calculation, &mut presence, &mut columns);
        }
    }
    for column in columns {
        if !is_known(column, view, excluded)? {
            return Err(unknown_column(column, view, excluded, context)?.into());
        }
    }
    for column in presence {
        if !is_known(column, view, excluded)? {
            let message = format!("no event of this environment has a column `{}`", column.name);
            warnings.push(Warning { code: "unknown_column", message });
        }
    }
    Ok(())
}

/// Checks the datasets of a query in Logs Insights, where a field that no event has is missing, and a warning says so.
pub(crate) fn check_insights(
    plan: &InsightsPlan,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(), Failure> {
    if view.segments.iter().all(|segment| segment.rows() == 0) {
        return Ok(());
    }
    check_datasets(&plan.base, view, excluded)?;
    let mut told = BTreeSet::new();
    for column in plan.fields() {
        // What begins with @ is a field of the system, whether or not an event has it.
        let is_new = !column.name.starts_with('@') && told.insert(Arc::clone(&column.name));
        if !is_new || is_known(column, view, excluded)? {
            continue;
        }
        let unknown = unknown_column(column, view, excluded, context)?;
        let mut message = format!("no event of this environment has a field `{}`", column.name);
        if let Some(candidate) = unknown.candidate_list().first() {
            message += &format!("; did you mean `{candidate}`?");
        }
        warnings.push(Warning { code: "unknown_column", message });
    }
    Ok(())
}

fn of_calculation<'a>(
    calculation: &'a Calculation,
    presence: &mut Vec<&'a Column>,
    others: &mut Vec<&'a Column>,
) {
    calculation.column.iter().for_each(|column| split_column(column, presence, others));
    let own = calculation.filter.iter().flat_map(|set| &set.filters);
    split_filters(
        own.chain(calculation.related.iter().flat_map(|related| &related.filters)),
        presence,
        others,
    );
    match &calculation.derived {
        None => {}
        Some(Derived::PerTrace(inner)) => of_calculation(inner, presence, others),
        Some(Derived::Interval { from, to, by }) => {
            split_column(by, presence, others);
            split_filters(from.filters.iter().chain(&to.filters), presence, others);
        }
        Some(Derived::InFlight { filter }) => split_filters(&filter.filters, presence, others),
        Some(Derived::Increase { column, filter, .. }) => {
            split_column(column, presence, others);
            split_filters(&filter.filters, presence, others);
        }
    }
}

fn split_filters<'a>(
    filters: impl IntoIterator<Item = &'a Filter>,
    presence: &mut Vec<&'a Column>,
    others: &mut Vec<&'a Column>,
) {
    for filter in filters {
        match filter.test {
            Test::Exists | Test::DoesNotExist if filter.column.calculated.is_none() => {
                presence.push(&filter.column);
            }
            _ => split_column(&filter.column, presence, others),
        }
    }
}

/// Of a calculated column those that it reads.
fn split_column<'a>(column: &'a Column, presence: &mut Vec<&'a Column>, others: &mut Vec<&'a Column>) {
    let Some(program) = &column.calculated else { return others.push(column) };
    for (column, required) in program.columns() {
        if required { others.push(column) } else { presence.push(column) }
    }
}

fn check_datasets(plan: &Plan, view: &SnapshotView, excluded: &[usize]) -> Result<(), Failure> {
    // Most often the first segments have them all.
    let mut missing: Vec<&str> = plan.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    let segments = || view.segments.iter().enumerate().filter(|(place, _)| !excluded.contains(place));
    for (place, segment) in segments() {
        if missing.is_empty() {
            return Ok(());
        }
        let mut still_missing = Vec::new();
        for name in missing {
            if !has_dataset(segment, name).map_err(|error| Failure::Segment(place, error))? {
                still_missing.push(name);
            }
        }
        missing = still_missing;
    }
    let mut known = BTreeSet::new();
    for (place, segment) in segments().filter(|_| !missing.is_empty()) {
        known.extend(dataset_names(segment).map_err(|error| Failure::Segment(place, error))?);
    }
    for dataset in &plan.datasets {
        if missing.contains(&dataset.name.as_str()) {
            let candidates = suggest::candidates(&dataset.name, known.iter().map(String::as_str));
            let error = QueryError::invalid(format!("there is no dataset `{}`", dataset.name));
            let error = error.at(dataset.location.clone()).candidates(candidates);
            return Err(error.hint("GET /api/v1/datasets lists the datasets of this environment").into());
        }
    }
    Ok(())
}

fn is_known(column: &Column, view: &SnapshotView, excluded: &[usize]) -> Result<bool, Failure> {
    // What every version of the event has a meaning for is known, even while no event has it.
    let meaningful = |reference: &Reference| {
        let service = |name: &str| name == "service.name";
        match reference {
            Reference::Origin(Origin::Resource, name) => service(name),
            Reference::Origin(..) | Reference::Attribute(_) => false,
            _ => true,
        }
    };
    if column.references.iter().any(meaningful) {
        return Ok(true);
    }
    for (place, segment) in view.segments.iter().enumerate().filter(|(place, _)| !excluded.contains(place)) {
        let known = column.references.iter().map(|reference| -> Result<bool, Error> {
            let (name, origin) = match reference {
                Reference::Attribute(name) => (name, None),
                Reference::Origin(origin, name) => (name, Some(*origin)),
                _ => return Ok(true),
            };
            let fits = |found: Origin| found != Origin::Fixed && origin.is_none_or(|wanted| wanted == found);
            if segment.columns_named(name)?.iter().any(|(found, _)| fits(*found))
                && is_seen(segment, name, fits)?
            {
                return Ok(true);
            }
            // An overflow map may hold any name.
            Ok(has_overflow(segment)?
                && is_seen(segment, Fixed::Overflow.name(), |origin| origin == Origin::Fixed)?)
        });
        for known in known {
            if known.map_err(|error| Failure::Segment(place, error))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether an event that may be seen belongs to a dataset.
fn has_dataset(handle: &Arc<SegmentHandle>, name: &str) -> Result<bool, Error> {
    if !handle.has_erasures() {
        return handle.has_dataset(name);
    }
    Ok(dataset_names(handle)?.iter().any(|found| found == name))
}

/// The names of the datasets that an event that may be seen belongs to.
fn dataset_names(handle: &Arc<SegmentHandle>) -> Result<Vec<String>, Error> {
    if !handle.has_erasures() {
        return handle.dataset_names();
    }
    let segment = handle.open()?;
    let names = segment.context_datasets()?;
    let used = visible_contexts(&segment)?;
    let is_used = |context: usize| used.get(context).copied().unwrap_or_default();
    let named = names.into_iter().enumerate().filter(|(context, _)| is_used(*context));
    Ok(named.filter_map(|(_, name)| name).collect())
}

/// Whether a column of this name and of fitting origin, which a segment has, has a value that may be seen: the name of
/// one whose events are all erased tells of them.
fn is_seen(handle: &Arc<SegmentHandle>, name: &str, fits: impl Fn(Origin) -> bool) -> Result<bool, Error> {
    if !handle.has_erasures() {
        return Ok(true);
    }
    let segment = handle.open()?;
    if !segment.has_erased() {
        return Ok(true);
    }
    for info in segment.by_name(name)?.iter().filter(|info| fits(info.key.origin)) {
        let column = segment.column(info.id)?;
        let mut holders = Vec::new();
        column.present().rows_of(0, info.present, &mut holders);
        let seen = if info.level == Level::Row {
            holders.into_iter().any(|row| segment.is_visible(row))
        } else {
            let used = visible_contexts(&segment)?;
            holders.into_iter().any(|context| used.get(context as usize).copied().unwrap_or_default())
        };
        if seen {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The contexts that an event that may be seen has.
fn visible_contexts(segment: &Segment) -> Result<Vec<bool>, Error> {
    let mut used = vec![!segment.has_erased(); segment.contexts() as usize];
    if segment.has_erased() {
        let contexts = segment.field(RowField::Context)?;
        let mut of_block = Vec::new();
        for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
            contexts.decode_u32((start / BLOCK_ROWS) as usize, &mut of_block);
            for (row, &context) in (start..).zip(&of_block) {
                if let Some(used) = used.get_mut(context as usize).filter(|used| !**used) {
                    *used = segment.is_visible(row);
                }
            }
        }
    }
    Ok(used)
}

/// Whether events have an overflow map, erased ones included.
pub(crate) fn has_overflow(segment: &Arc<SegmentHandle>) -> Result<bool, Error> {
    let found = segment.columns_named(Fixed::Overflow.name())?;
    Ok(found.iter().any(|(origin, _)| *origin == Origin::Fixed))
}

fn unknown_column(
    column: &Column,
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
) -> Result<QueryError, Failure> {
    let mut known: BTreeSet<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    known.extend(Fixed::ALL.iter().filter(|f| !f.is_hidden()).map(|fixed| fixed.name().to_owned()));
    for merged in catalog::summaries(view, excluded, context)? {
        for column in merged.columns().iter().filter(|column| column.origin != Origin::Fixed) {
            known
                .insert(display_name(column.origin, &column.name).unwrap_or_else(|| column.name.to_string()));
        }
    }
    // Candidates have the prefix that the name has.
    let name = if column.scope == Scope::Own { &column.name } else { Scope::of_name(&column.name).1 };
    let prefix = column.name.strip_suffix(name).unwrap_or_default();
    let candidates = suggest::candidates(name, known.iter().map(String::as_str));
    let candidates = candidates.iter().map(|candidate| format!("{prefix}{candidate}")).collect();
    let error = QueryError::invalid(format!("no event of this environment has a column `{name}`"));
    let error = error.at(column.location.clone()).candidates(candidates);
    Ok(error.hint("GET /api/v1/datasets/{dataset}/columns lists the columns of a dataset"))
}
