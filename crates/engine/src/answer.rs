//! Runs a question for aggregates: the first pass finds groups, the second their series and heatmaps.

use std::sync::Arc;

use skein_query::QueryError;
use skein_query::aggregate::EXACT_ROWS_MAX;
use skein_query::plan::{GroupPlan, Plan};
use skein_query::result::{Data, GroupRow, Groups, SeriesRow, Warning};

use crate::derived::DerivedValues;
use crate::first_pass::{DerivingPass, FirstJob, FirstPass};
use crate::partial::Partials;
use crate::scan::{Counters, Failure, Reading, Scan};
use crate::series::{SecondJob, SecondPass};
use crate::top::{TopJob, TopPass};
use crate::unseen::Unseen;
use crate::{finish, formula};

/// Answers; should texts of equal hash be in the way, once more with all texts at hand.
pub(crate) fn run_groups(
    plan: &Plan,
    groups: &GroupPlan,
    scan: &Scan<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(Data, Counters), Failure> {
    let known = warnings.len();
    for texts_at_once in [false, true] {
        let reading = Reading { weighted: !plan.usage_mode, related: scan.related, texts_at_once };
        if let Some(answer) = answer_groups(plan, groups, scan, reading, warnings)? {
            return Ok(answer);
        }
        // Two texts share a hash. With all texts at hand that is seen in time.
        warnings.truncate(known);
    }
    Err(QueryError::internal("texts of equal hash could not be told apart").into())
}

/// The groups after the first pass, and what was looked at for them.
fn first_pass<'p>(
    groups: &'p GroupPlan,
    scan: &Scan<'_>,
    reading: Reading<'p>,
    partials: &mut Partials<'_>,
) -> Result<(FirstPass<'p>, DerivedValues, Counters), Failure> {
    let passes = if groups.granularity_ns.is_some() { 2.0 } else { 1.0 };
    let so_far = |first: &mut FirstPass<'p>| {
        let mut overflowed = vec![false; groups.calculations.len()];
        let ranked = finish::rank(groups, first, &mut overflowed, scan.view)?;
        Ok(shown(groups, ranked, groups.granularity_ns.map(|_| Vec::new())))
    };
    if groups.calculations.iter().any(|calculation| calculation.derived.is_some()) {
        let mut deriving = DerivingPass::new(groups, scan.time_range, reading);
        let counters = scan.run(&mut deriving, |deriving, counters, fraction| {
            partials.tell(fraction / passes, counters, || so_far(&mut deriving.pass))
        })?;
        let derived = deriving.derive();
        return Ok((deriving.pass, derived, counters));
    }
    if let Some(job) = TopJob::new(groups, scan, reading) {
        let mut top = TopPass::default();
        let counters = scan.run_parts(&job, &mut top, |top, counters, fraction| {
            partials.tell(fraction / passes, counters, || so_far(&mut top.finish(groups, scan.view)?))
        })?;
        if !job.is_unsuitable() {
            return Ok((top.finish(groups, scan.view)?, DerivedValues::default(), counters));
        }
    }
    let mut first = FirstPass::new(groups);
    let counters =
        scan.run_parts(&FirstJob::new(groups, reading), &mut first, |first, counters, fraction| {
            partials.tell(fraction / passes, counters, || so_far(first))
        })?;
    Ok((first, DerivedValues::default(), counters))
}

/// `None`: the texts of some groups differ though their hashes do not.
fn answer_groups(
    plan: &Plan,
    groups: &GroupPlan,
    scan: &Scan<'_>,
    reading: Reading<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Option<(Data, Counters)>, Failure> {
    let mut partials = Partials::new(plan, scan.view, scan.context);
    let mut overflowed = vec![false; groups.calculations.len()];
    let (mut first, derived, counters) = first_pass(groups, scan, reading, &mut partials)?;
    warnings.extend(derived.warnings.iter().cloned());
    let mut unseen = None;
    if reading.weighted && first.accumulator.counts_nothing(0..first.groups.len()) {
        unseen = Some(Unseen::find(scan)?);
        first.accumulator.unseen = unseen.flatten();
    }
    let mut ranked = finish::rank(groups, &mut first, &mut overflowed, scan.view)?;
    let shown_groups = ranked.shown.iter().copied();
    if !first.groups.confirm(shown_groups, &groups.breakdowns, scan.view, scan.excluded)? {
        return Ok(None);
    }
    let mut series = None;
    let coercions = first.accumulator.coercions.clone();
    if let Some(granularity_ns) = groups.granularity_ns {
        let edges = finish::edges(groups, &first);
        let fates = std::mem::take(&mut ranked.fates);
        let exact = counters.rows_matched < EXACT_ROWS_MAX;
        let FirstPass { groups: known, accumulator, .. } = first;
        drop(accumulator);
        let job = SecondJob::new(groups, (&known, &fates), &edges, granularity_ns, exact, reading);
        let mut second = SecondPass::new(&job);
        scan.run_parts(&job, &mut second, |second, _, fraction| {
            partials.tell(0.5 + fraction / 2.0, &counters, || {
                let (mut so_far, mut overflowed) = (ranked.clone(), overflowed.clone());
                let series = finish::series(groups, second, &mut so_far, &mut overflowed);
                Ok(shown(groups, so_far, Some(series)))
            })
        })?;
        second.add_derived(&derived);
        if reading.weighted && second.accumulator.counts_nothing(second.slots()) {
            let found = match unseen {
                Some(found) => found,
                None => Unseen::find(scan)?,
            };
            second.accumulator.unseen = found;
        }
        series = Some(finish::series(groups, &second, &mut ranked, &mut overflowed));
    }
    // A sum may leave 64 bits in a bucket and come back in the whole.
    warnings.extend(finish::value_warnings(groups, &coercions, &overflowed));
    warnings.extend(finish::sampling_warnings(groups, &ranked.results, &ranked.total));
    Ok(Some((shown(groups, ranked, series), counters)))
}

/// A query without breakdowns has one result, even of nothing (CONTRACT.md); with them, none.
fn shown(groups: &GroupPlan, ranked: finish::Ranked, series: Option<Vec<SeriesRow>>) -> Data {
    let cells = |cells| formula::shown_cells(groups, cells);
    let result = |row: GroupRow| GroupRow { cells: cells(row.cells), ..row };
    let entry = |row: SeriesRow| SeriesRow { cells: cells(row.cells), ..row };
    Data::Groups(Groups {
        breakdowns: groups.breakdowns.iter().map(|column| Arc::clone(&column.name)).collect(),
        calculations: groups.shown_names(),
        results: ranked.results.into_iter().map(result).collect(),
        series: series.map(|series| series.into_iter().map(entry).collect()),
        total: cells(ranked.total),
        other: ranked.other.map(cells),
        compare: None,
    })
}
