//! What there is: datasets, their columns, the values of a column.

use std::collections::BTreeMap;

use skein_event::batch::{Origin, Physical};
use skein_event::columns::{Fixed, Level};
use skein_query::RunContext;
use skein_query::names::{ALWAYS, display_name};
use skein_query::number::Type;
use skein_query::result::{ColumnInfo, DatasetInfo};
use skein_store::Error;
use skein_store::segment::{self, Segment, Zone};

use crate::column::BLOCK_ROWS;
use crate::scan::{BlockReader, Failure, allowed_contexts, context_datasets};
use crate::snapshot::SnapshotView;

/// The datasets with their events and times.
pub(crate) fn datasets(
    view: &SnapshotView,
    excluded: &[usize],
    context: &RunContext<'_>,
) -> Result<Vec<DatasetInfo>, Failure> {
    let mut found = BTreeMap::new();
    for (place, segment) in view.segments.iter().enumerate().filter(|(place, _)| !excluded.contains(place)) {
        context.check()?;
        segment
            .open()
            .and_then(|segment| add_datasets(&segment, &mut found))
            .map_err(|error| Failure::Segment(place, error))?;
    }
    Ok(found.into_values().collect())
}

fn add_datasets(segment: &Segment, found: &mut BTreeMap<String, DatasetInfo>) -> Result<(), Error> {
    if segment.rows() == 0 {
        return Ok(());
    }
    let names = context_datasets(segment)?;
    let mut by_context: Vec<Option<(u64, i64, i64)>> = vec![None; names.len()];
    let mut reader = BlockReader::open(segment)?;
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        reader.read(start);
        for (&time, &context) in reader.times.iter().zip(&reader.contexts) {
            if let Some(slot) = by_context.get_mut(context as usize) {
                let (events, first, last) = slot.unwrap_or((0, i64::MAX, i64::MIN));
                *slot = Some((events + 1, first.min(time), last.max(time)));
            }
        }
    }
    for (name, counted) in names.into_iter().zip(by_context) {
        let (Some(name), Some((events, first_ns, last_ns))) = (name, counted) else { continue };
        let info = found.entry(name.clone()).or_insert(DatasetInfo {
            name,
            events: 0,
            first_ns: i64::MAX,
            last_ns: i64::MIN,
        });
        info.events += events;
        info.first_ns = info.first_ns.min(first_ns);
        info.last_ns = info.last_ns.max(last_ns);
    }
    Ok(())
}

/// A logical column while its segments are added up.
struct Collected {
    types: [u64; Type::COUNT],
    scopes: Vec<&'static str>,
    first_ns: i64,
    last_ns: i64,
    distinct: u64,
}

/// The columns of a dataset, or of all.
pub(crate) fn columns(
    view: &SnapshotView,
    excluded: &[usize],
    dataset: Option<&str>,
    context: &RunContext<'_>,
) -> Result<Vec<ColumnInfo>, Failure> {
    let mut found = BTreeMap::new();
    for (place, segment) in view.segments.iter().enumerate().filter(|(place, _)| !excluded.contains(place)) {
        context.check()?;
        segment
            .open()
            .and_then(|segment| add_columns(&segment, dataset, &mut found))
            .map_err(|error| Failure::Segment(place, error))?;
    }
    let info = |(name, collected): (String, Collected)| ColumnInfo {
        name,
        types: Type::ALL
            .iter()
            .map(|kind| (kind.name(), collected.types[*kind as usize]))
            .filter(|(_, count)| *count > 0)
            .collect(),
        scopes: collected.scopes,
        first_ns: collected.first_ns,
        last_ns: collected.last_ns,
        distinct_estimate: collected.distinct,
    };
    Ok(found.into_iter().map(info).collect())
}

/// Which rows of a segment belong to a dataset.
struct Membership {
    contexts: Vec<bool>,
    /// Number of rows per context; zero for contexts of other datasets.
    rows_of_context: Vec<u64>,
    /// Per row; `None` when all rows belong to it.
    rows: Option<Vec<bool>>,
    count: u64,
}

fn membership(segment: &Segment, dataset: Option<&str>) -> Result<Option<Membership>, Error> {
    let wanted: Vec<&str> = dataset.into_iter().collect();
    let Some(contexts) = allowed_contexts(segment, &wanted)? else { return Ok(None) };
    let mut reader = BlockReader::open(segment)?;
    let mut rows_of_context = vec![0_u64; contexts.len()];
    let mut rows = Vec::with_capacity(segment.rows() as usize);
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        reader.read(start);
        for &context in &reader.contexts {
            let member = contexts.get(context as usize) == Some(&true);
            rows.push(member);
            if let Some(count) = rows_of_context.get_mut(context as usize) {
                *count += u64::from(member);
            }
        }
    }
    let count: u64 = rows_of_context.iter().sum();
    let rows = if count == u64::from(segment.rows()) { None } else { Some(rows) };
    Ok((count > 0).then_some(Membership { contexts, rows_of_context, rows, count }))
}

fn add_columns(
    segment: &Segment,
    dataset: Option<&str>,
    found: &mut BTreeMap<String, Collected>,
) -> Result<(), Error> {
    let Some(members) = membership(segment, dataset)? else { return Ok(()) };
    let times = segment.time_range();
    for name in ALWAYS {
        add(found, name.to_owned(), Type::Text, "fixed", members.count, times, members.count);
    }
    for info in segment.columns() {
        let info = info?;
        let key = &info.key;
        let hidden = |fixed: &Fixed| fixed.is_hidden() && fixed.name() == &*key.name;
        if key.origin == Origin::Fixed && Fixed::ALL.iter().any(hidden) {
            continue;
        }
        let count = values_of(segment, &info, &members)?;
        if count > 0 {
            let name = display_name(key.origin, &key.name).unwrap_or_else(|| key.name.to_string());
            let distinct = distinct(&info).min(count);
            add(found, name, type_of(key.physical), scope_of(key.origin), count, times, distinct);
        }
    }
    Ok(())
}

fn add(
    found: &mut BTreeMap<String, Collected>,
    name: String,
    kind: Type,
    scope: &'static str,
    count: u64,
    (first, last): (i64, i64),
    distinct: u64,
) {
    let collected = found.entry(name).or_insert_with(|| Collected {
        types: [0; Type::COUNT],
        scopes: Vec::new(),
        first_ns: i64::MAX,
        last_ns: i64::MIN,
        distinct: 0,
    });
    collected.types[kind as usize] += count;
    if !collected.scopes.contains(&scope) {
        collected.scopes.push(scope);
    }
    collected.first_ns = collected.first_ns.min(first);
    collected.last_ns = collected.last_ns.max(last);
    collected.distinct = collected.distinct.max(distinct);
}

/// How many events of the dataset have a value in a column.
fn values_of(segment: &Segment, info: &segment::ColumnInfo, members: &Membership) -> Result<u64, Error> {
    if info.level == Level::Row && members.rows.is_none() {
        return Ok(u64::from(info.present));
    }
    let column = segment.column(info.id)?;
    let (mut list, mut count) = (Vec::new(), 0);
    column.present().rows_of(0, info.present, &mut list);
    for row in list {
        count += match (&members.rows, info.level) {
            (_, Level::Context) => match members.contexts.get(row as usize) {
                Some(true) => members.rows_of_context.get(row as usize).copied().unwrap_or_default(),
                _ => 0,
            },
            (Some(rows), Level::Row) => u64::from(rows.get(row as usize) == Some(&true)),
            (None, Level::Row) => 1,
        };
    }
    Ok(count)
}

/// Different values of a column in a segment: exact with a dictionary, otherwise at most what the zone allows.
fn distinct(info: &segment::ColumnInfo) -> u64 {
    match (info.distinct, info.zone) {
        (Some(distinct), _) => u64::from(distinct),
        (None, Zone::I64(min, max)) => u64::from(info.present).min(max.abs_diff(min).saturating_add(1)),
        (None, _) => u64::from(info.present),
    }
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
