//! The groups with the most events, without a name for all the others.
//!
//! Of a column with a dictionary a part is a count by code. A group that belongs to the first K of all has, in some
//! segment, at least that segment's share of the K-th count: so few codes are candidates (the bound of TPUT, Cao and
//! Wang, PODC 2004, with thresholds by the size of each segment). Only their hashes are looked up in the other segments.
//! Where counts are so even that the bound rules out little, all hashes are brought together instead.
//!
//! What it refuses: weights, values outside of one dictionary per segment, dictionaries in which two texts share a hash.
//! Whoever asks gets nothing then, and goes through all groups ([`crate::first_pass`]).

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use skein_event::hash::HashKey;
use skein_event::limits::{QUERY_TOP_CANDIDATES_MAX, QUERY_TOP_ROWS_MAX};
use skein_query::plan::{Direction, GroupPlan, OrderBy, Scope};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::is_count_of_rows;
use crate::block::Block;
use crate::column::BoundColumn;
use crate::column::cells::{Cells, Lane, Shape};
use crate::first_pass::FirstPass;
use crate::group::Groups;
use crate::hashing::ByHash;
use crate::mask::Mask;
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, Failure, Reading, Scan};
use crate::snapshot::SnapshotView;
use crate::weights::Weights;

/// What is done with each part.
pub(crate) struct TopJob<'p> {
    plan: &'p GroupPlan,
    weighted: bool,
    key: OnceLock<HashKey>,
    /// A segment was found for which this does not work.
    unsuitable: AtomicBool,
}

/// A part under way.
pub(crate) struct BoundTop<'s> {
    column: BoundColumn<'s>,
    cells: Cells,
    counts: Vec<u32>,
    missing: u64,
}

/// What was found in a part: rows by code, and rows without a value.
pub(crate) struct TopPart {
    counts: Vec<u32>,
    missing: u64,
}

/// What all parts have found, by the place of their segment.
#[derive(Default)]
pub(crate) struct TopPass {
    segments: BTreeMap<usize, Vec<u32>>,
    missing: u64,
}

/// A value of the dictionary of a segment.
#[derive(Clone, Copy, Debug)]
struct Found {
    hash: u64,
    rows: u64,
    /// Where its text is.
    place: usize,
    code: u32,
}

impl<'p> TopJob<'p> {
    /// `None` where the question is another one.
    pub(crate) fn new(plan: &'p GroupPlan, scan: &Scan<'_>, reading: Reading<'p>) -> Option<TopJob<'p>> {
        let ([column], [calculation], [order]) = (&*plan.breakdowns, &*plan.calculations, &*plan.orders)
        else {
            return None;
        };
        let is_stored = column.scope == Scope::Own && column.calculated.is_none();
        let by_count = order.by == OrderBy::Calculation(0) && order.direction == Direction::Descending;
        let rows: u64 = scan.view.segments.iter().map(|handle| u64::from(handle.rows())).sum();
        let suits = is_stored
            && by_count
            && is_count_of_rows(calculation)
            && plan.formulas.is_empty()
            && plan.havings.is_empty()
            && reading.related.is_none()
            && !reading.texts_at_once
            && plan.limit <= QUERY_TOP_CANDIDATES_MAX
            && rows <= QUERY_TOP_ROWS_MAX;
        let unsuitable = AtomicBool::new(false);
        suits.then_some(TopJob { plan, weighted: reading.weighted, key: OnceLock::new(), unsuitable })
    }

    pub(crate) fn is_unsuitable(&self) -> bool {
        self.unsuitable.load(Ordering::Relaxed)
    }

    fn suits(&self, segment: &Segment, column: &BoundColumn<'_>) -> Result<bool, Error> {
        let key = *self.key.get_or_init(|| segment.header().hash_key);
        let of_one_dictionary = match &*column.parts {
            [] => true,
            [part] => part.is_of_rows() && part.has_hashes(),
            _ => false,
        };
        let weighted = self.weighted && !Weights::bind(segment)?.are_one();
        Ok(of_one_dictionary
            && !weighted
            && segment.header().hash_key == key
            && !segment.has_hash_collision())
    }
}

impl Job for TopJob<'_> {
    type Bound<'s> = BoundTop<'s>;
    type Part = TopPart;

    fn bind<'s>(&self, _place: usize, segment: &'s Segment) -> Result<(BoundTop<'s>, u64), Error> {
        let columns = self.plan.breakdowns.first().map(|column| BoundColumn::bind(segment, column));
        let column = columns.transpose()?.unwrap_or_else(|| BoundColumn::of_parts(Vec::new()));
        if !self.suits(segment, &column)? {
            self.unsuitable.store(true, Ordering::Relaxed);
        }
        let codes = column.parts.first().and_then(|part| part.dictionary_len()).unwrap_or_default();
        let bytes = column.bytes();
        Ok((BoundTop { column, cells: Cells::default(), counts: vec![0; codes], missing: 0 }, bytes))
    }

    fn wants(&self, _times: (i64, i64)) -> bool {
        !self.is_unsuitable()
    }

    fn block(&self, bound: &mut BoundTop<'_>, block: &Block<'_>) -> Result<(), BlockError> {
        let BoundTop { column, cells, counts, missing } = bound;
        column.values(block.rows, cells)?;
        let rows = block.mask.count() as u64;
        match (cells.shape, cells.lane) {
            (Shape::Empty, _) => *missing += rows,
            (Shape::Dense(_), Lane::Codes) => {
                block.mask.for_each(|place| count(counts, cells.codes[place]));
            }
            (Shape::Sparse(_), Lane::Codes) if block.mask.is_all() => {
                cells.codes.iter().for_each(|&code| count(counts, code));
                *missing += rows - cells.codes.len() as u64;
            }
            (Shape::Sparse(_), Lane::Codes) => {
                column.places(block.rows, cells);
                *missing += rows - count_sparse(counts, cells, block.mask);
            }
            _ => self.unsuitable.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    fn bound_bytes(&self, bound: &BoundTop<'_>) -> usize {
        bound.counts.capacity() * size_of::<u32>()
    }

    fn part(&self, bound: BoundTop<'_>) -> Result<TopPart, BlockError> {
        Ok(TopPart { counts: bound.counts, missing: bound.missing })
    }
}

#[inline(always)]
fn count(counts: &mut [u32], code: u32) {
    if let Some(count) = counts.get_mut(code as usize) {
        *count += 1;
    }
}

/// Counts the values of a mask; answers how many those are.
fn count_sparse(counts: &mut [u32], cells: &Cells, mask: &Mask) -> u64 {
    let mut found = 0;
    for (&place, &code) in cells.places.iter().zip(&cells.codes) {
        if mask.has(usize::from(place)) {
            count(counts, code);
            found += 1;
        }
    }
    found
}

impl Gather<TopPart> for TopPass {
    fn absorb(&mut self, place: usize, part: TopPart) -> Result<(), BlockError> {
        self.missing += part.missing;
        match self.segments.entry(place) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(part.counts);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                entry.get_mut().iter_mut().zip(&part.counts).for_each(|(sum, count)| *sum += count);
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.segments.values().map(|counts| counts.capacity() * size_of::<u32>()).sum()
    }
}

impl TopPass {
    /// The groups that may be shown, with all of their rows, and the rest as a number of rows.
    pub(crate) fn finish<'p>(
        &self,
        plan: &'p GroupPlan,
        view: &SnapshotView,
    ) -> Result<FirstPass<'p>, Failure> {
        let found = match self.by_bound(plan, view)? {
            Some(found) => found,
            None => self.all(plan, view)?,
        };
        let valued: u64 = self.segments.values().flatten().map(|&count| u64::from(count)).sum();
        let mut shown = largest(found, plan.limit);
        // In an order that is that of no segment: the same every time.
        shown.sort_unstable_by_key(|found| (found.place, found.code));
        let named: u64 = shown.iter().map(|found| found.rows).sum();
        let mut groups = Groups::new(1);
        let mut rows = Vec::with_capacity(shown.len() + 1);
        if self.missing > 0 {
            groups.add_missing(self.missing);
            rows.push(self.missing);
        }
        let column = GroupColumn { plan, view };
        for Found { hash, rows: of_group, place, code } in shown {
            if let Some(id) =
                column.of_segment(place, |_, bound| Ok(bound.parts.first().and_then(|p| p.column_id())))?
            {
                groups.add_later(hash, (place, id, code), of_group);
                rows.push(of_group);
            }
        }
        Ok(FirstPass::of_counts(plan, groups, &rows, valued - named))
    }

    /// The candidates by the bound, with all of their rows; `None` when it leaves too many.
    fn by_bound(&self, plan: &GroupPlan, view: &SnapshotView) -> Result<Option<Vec<Found>>, Failure> {
        let column = GroupColumn { plan, view };
        let wanted = plan.limit.max(1);
        let total: u64 = self.segments.values().flatten().map(|&count| u64::from(count)).sum();
        let mut sums: ByHash<u64> = ByHash::default();
        for (&place, counts) in &self.segments {
            let mut codes = codes_from(counts, 1);
            if codes.len() > wanted {
                codes
                    .select_nth_unstable_by_key(wanted - 1, |&code| std::cmp::Reverse(rows_of(counts, code)));
                codes.truncate(wanted);
                codes.sort_unstable();
            }
            column.hashes(place, &codes, |code, hash| {
                *sums.entry(hash).or_default() += rows_of(counts, code)
            })?;
        }
        let mut lower: Vec<u64> = sums.into_values().collect();
        let least = if lower.len() < wanted {
            1
        } else {
            let (_, &mut least, _) =
                lower.select_nth_unstable_by_key(wanted - 1, |&rows| std::cmp::Reverse(rows));
            least
        };
        let mut candidates: BTreeMap<u64, Found> = BTreeMap::new();
        for (&place, counts) in &self.segments {
            let of_segment: u64 = counts.iter().map(|&count| u64::from(count)).sum();
            // Of groups with `least` rows each has its share in one segment at least, rounded up.
            let share = u128::from(least) * u128::from(of_segment);
            let threshold =
                u64::try_from(share.div_ceil(u128::from(total.max(1)))).unwrap_or(u64::MAX).max(1);
            let codes = codes_from(counts, threshold);
            if candidates.len() + codes.len() > QUERY_TOP_CANDIDATES_MAX {
                return Ok(None);
            }
            column.hashes(place, &codes, |code, hash| {
                candidates.entry(hash).or_insert(Found { hash, rows: 0, place, code });
            })?;
        }
        for (&place, counts) in &self.segments {
            column.of_segment(place, |_, bound| {
                for part in &bound.parts {
                    for found in candidates.values_mut() {
                        let codes = part.codes_of_hash(found.hash)?;
                        found.rows += codes.iter().map(|&code| rows_of(counts, code)).sum::<u64>();
                    }
                }
                Ok(())
            })?;
        }
        Ok(Some(candidates.into_values().collect()))
    }

    /// Every value with all of its rows.
    fn all(&self, plan: &GroupPlan, view: &SnapshotView) -> Result<Vec<Found>, Failure> {
        let column = GroupColumn { plan, view };
        let mut all: Vec<Found> = Vec::new();
        for (&place, counts) in &self.segments {
            let codes = codes_from(counts, 1);
            let mut of_segment = Vec::with_capacity(codes.len());
            column.hashes(place, &codes, |code, hash| {
                of_segment.push(Found { hash, rows: rows_of(counts, code), place, code });
            })?;
            // Dictionaries are in the order of their hashes, most of them.
            if !of_segment.is_sorted_by_key(|found| found.hash) {
                of_segment.sort_unstable_by_key(|found| found.hash);
            }
            all = merged(&all, &of_segment);
        }
        Ok(all)
    }
}

/// Two lists in the order of hashes as one.
fn merged(a: &[Found], b: &[Found]) -> Vec<Found> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let mut rest = b;
    for first in a {
        let before = rest.iter().take_while(|second| second.hash < first.hash).count();
        let (smaller, others) = rest.split_at(before);
        out.extend_from_slice(smaller);
        // A segment has each hash once.
        let equal = others.first().filter(|second| second.hash == first.hash);
        out.push(Found { rows: first.rows + equal.map_or(0, |second| second.rows), ..*first });
        rest = others.get(usize::from(equal.is_some())..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
    out
}

/// Those with the most rows, and all that have as many as the last of them.
fn largest(mut found: Vec<Found>, limit: usize) -> Vec<Found> {
    if found.len() <= limit {
        return found;
    }
    let (_, last, _) =
        found.select_nth_unstable_by_key(limit.saturating_sub(1), |found| std::cmp::Reverse(found.rows));
    let least = last.rows;
    found.retain(|found| found.rows >= least);
    found
}

/// The codes with so many rows or more.
fn codes_from(counts: &[u32], least: u64) -> Vec<u32> {
    (0_u32..).zip(counts).filter(|(_, count)| u64::from(**count) >= least).map(|(code, _)| code).collect()
}

fn rows_of(counts: &[u32], code: u32) -> u64 {
    counts.get(code as usize).map_or(0, |&count| u64::from(count))
}

/// The column of the question in each segment.
struct GroupColumn<'a> {
    plan: &'a GroupPlan,
    view: &'a SnapshotView,
}

impl GroupColumn<'_> {
    fn of_segment<T: Default>(
        &self,
        place: usize,
        run: impl FnOnce(&Segment, &mut BoundColumn<'_>) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let failed = |error| Failure::Segment(place, error);
        let (Some(handle), Some(column)) = (self.view.segments.get(place), self.plan.breakdowns.first())
        else {
            return Ok(T::default());
        };
        let segment = handle.open().map_err(failed)?;
        let mut bound = BoundColumn::bind(&segment, column).map_err(failed)?;
        run(&segment, &mut bound).map_err(failed)
    }

    /// Calls back with the hash of each of some codes.
    fn hashes(&self, place: usize, codes: &[u32], mut take: impl FnMut(u32, u64)) -> Result<(), Failure> {
        self.of_segment(place, |_, bound| {
            let Some(part) = bound.parts.first() else { return Ok(()) };
            codes.iter().zip(part.hashes_of(codes)?).for_each(|(&code, hash)| take(code, hash));
            Ok(())
        })
    }
}
