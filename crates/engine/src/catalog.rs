//! What there is: datasets, their columns, the values of a column. All of it is known from the summaries of segments: no
//! row is read but where an erasure takes some, and what is known of a set of files is worked out once for the set.

use std::collections::BTreeMap;
use std::sync::Arc;

use skein_event::batch::{Origin, Physical};
use skein_event::columns::Fixed;
use skein_query::RunContext;
use skein_query::names::{ALWAYS, display_name};
use skein_query::number::Type;
use skein_query::result::{ColumnInfo, DatasetInfo};
use skein_store::footers::{Distinct, Merged, MergedColumn};

use crate::scan::Failure;
use crate::snapshot::SnapshotView;

/// What is known of all segments: of the files, and of the heads.
pub(crate) fn summaries(
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
) -> Result<Vec<Arc<Merged>>, Failure> {
    let files = view.segments.files();
    let mut known = Vec::new();
    let mut rest = Merged::default();
    if excluded.is_empty() {
        known.push(files.merged().map_err(|(place, error)| Failure::Segment(place, error))?);
    }
    let first = if excluded.is_empty() { files.handles().len() } else { 0 };
    for (place, segment) in view.segments.iter().enumerate().skip(first) {
        context.check()?;
        if !excluded.contains(&place) {
            let added = segment.visible_summary().and_then(|summary| rest.add(&summary));
            added.map_err(|error| Failure::Segment(place, error))?;
        }
    }
    known.push(Arc::new(rest));
    Ok(known)
}

/// The datasets with their events and times.
pub(crate) fn datasets(
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
) -> Result<Vec<DatasetInfo>, Failure> {
    let mut found: BTreeMap<String, DatasetInfo> = BTreeMap::new();
    for merged in summaries(view, excluded, context)? {
        for dataset in merged.datasets() {
            let Some(name) = &dataset.name else { continue };
            let info = found.entry(name.to_string()).or_insert_with(|| DatasetInfo {
                name: name.to_string(),
                events: 0,
                first_ns: i64::MAX,
                last_ns: i64::MIN,
            });
            info.events += dataset.rows;
            info.first_ns = info.first_ns.min(dataset.times.0);
            info.last_ns = info.last_ns.max(dataset.times.1);
        }
    }
    Ok(found.into_values().collect())
}

/// A logical column while its physical ones are added up.
struct Collected {
    types: [u64; Type::COUNT],
    scopes: Vec<&'static str>,
    first_ns: i64,
    last_ns: i64,
    distinct: Distinct,
}

impl Default for Collected {
    fn default() -> Collected {
        Collected {
            types: [0; Type::COUNT],
            scopes: Vec::new(),
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            distinct: Distinct::default(),
        }
    }
}

/// The columns of a dataset, or of all.
pub(crate) fn columns(
    view: &SnapshotView,
    excluded: &[usize],
    dataset: Option<&str>,
    context: &RunContext<'_>,
) -> Result<Vec<ColumnInfo>, Failure> {
    const EVENT_ID: &str = ALWAYS[2];
    let mut found: BTreeMap<String, Collected> = BTreeMap::new();
    let mut events = 0;
    for merged in summaries(view, excluded, context)? {
        let is_wanted =
            |name: &Option<Arc<str>>| dataset.is_none_or(|wanted| name.as_deref() == Some(wanted));
        let members: Vec<bool> = merged.datasets().iter().map(|dataset| is_wanted(&dataset.name)).collect();
        for (dataset, _) in merged.datasets().iter().zip(&members).filter(|(_, member)| **member) {
            events += dataset.rows;
            let collected = found.entry(EVENT_ID.to_owned()).or_default();
            add_counts(collected, Type::Text, "fixed", dataset.rows, dataset.times);
        }
        for column in merged.columns() {
            add_column(column, &members, &mut found);
        }
    }
    let info = |(name, collected): (String, Collected)| ColumnInfo {
        // Every event has an id of its own.
        distinct_estimate: if name == EVENT_ID { events } else { collected.distinct.estimate() },
        name,
        types: Type::ALL
            .iter()
            .map(|kind| (kind.name(), collected.types[*kind as usize]))
            .filter(|(_, count)| *count > 0)
            .collect(),
        scopes: collected.scopes,
        first_ns: collected.first_ns,
        last_ns: collected.last_ns,
    };
    Ok(found.into_iter().map(info).collect())
}

fn add_column(column: &MergedColumn, members: &[bool], found: &mut BTreeMap<String, Collected>) {
    let is_fixed = column.origin == Origin::Fixed;
    let hidden = |fixed: &Fixed| fixed.is_hidden() && fixed.name() == &*column.name;
    if is_fixed && Fixed::ALL.iter().any(hidden) {
        return;
    }
    let is_member = |dataset: u32| members.get(dataset as usize).copied().unwrap_or_default();
    let mut cells = column.cells.iter().filter(|cell| is_member(cell.dataset)).peekable();
    if cells.peek().is_none() {
        return;
    }
    let name = display_name(column.origin, &column.name).unwrap_or_else(|| column.name.to_string());
    // Times are shown as text.
    let is_time = is_fixed && ALWAYS.contains(&&*column.name);
    let kind = if is_time { Type::Text } else { type_of(column.physical) };
    let collected = found.entry(name).or_default();
    for cell in cells {
        add_counts(collected, kind, scope_of(column.origin), cell.count, cell.times);
        collected.distinct.add(cell);
    }
}

fn add_counts(collected: &mut Collected, kind: Type, scope: &'static str, count: u64, times: (i64, i64)) {
    collected.types[kind as usize] += count;
    if !collected.scopes.contains(&scope) {
        collected.scopes.push(scope);
    }
    collected.first_ns = collected.first_ns.min(times.0);
    collected.last_ns = collected.last_ns.max(times.1);
}

fn type_of(physical: Physical) -> Type {
    match physical {
        Physical::Bool => Type::Bool,
        Physical::I64 => Type::I64,
        Physical::F64 | Physical::DurationNs => Type::F64,
        Physical::Text | Physical::TraceId | Physical::SpanId => Type::Text,
        Physical::Bytes => Type::Bytes,
        Physical::Json => Type::Json,
    }
}

fn scope_of(origin: Origin) -> &'static str {
    match origin {
        Origin::Fixed => "fixed",
        Origin::Item => "attributes",
        Origin::Metric => "metric",
        Origin::Body => "body",
        Origin::Derived => "derived",
        Origin::Scope => "scope",
        Origin::Resource => "resource",
    }
}
