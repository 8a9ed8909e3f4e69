//! The second pass over the rows: the groups that are shown, by bucket of time, and the counts of heatmaps,
//! whose edges the first pass has found.

use std::sync::{Arc, OnceLock};

use skein_event::hash::HashKey;
use skein_query::aggregate::State;
use skein_query::plan::{Calculation, GroupPlan, Operation};
use skein_store::Error;
use skein_store::segment::Segment;

use crate::aggregate::{Accumulator, BoundCalculations, NO_SLOT};
use crate::block::Block;
use crate::derived::{DerivedValues, Over};
use crate::group::{self, Groups, PartValue, ValueReading};
use crate::hashing::ByNumber;
use crate::local::{BoundBreakdowns, Slots};
use crate::mask::Mask;
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, Reading};

/// What becomes of a group's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// Shown at this place of the results.
    Shown(u32),
    /// Beyond the limit.
    Other,
    /// Left out by a having.
    Excluded,
}

/// Slot of the rows of groups beyond the limit, and of those that a having leaves out: only their heatmaps
/// matter, for `other` and `total`.
pub(crate) const OTHER_SLOT: usize = 0;
pub(crate) const EXCLUDED_SLOT: usize = 1;

/// Slots that are always there.
const FIXED_SLOTS: usize = 2;

/// What is done with each part.
pub(crate) struct SecondJob<'p> {
    plan: &'p GroupPlan,
    groups: &'p Groups,
    fates: &'p [Fate],
    /// Edges per calculation; only HEATMAPs have any.
    edges: &'p [Arc<[f64]>],
    granularity_ns: i64,
    exact: bool,
    /// Whether rows of groups that are not shown matter.
    needs_others: bool,
    reading: Reading<'p>,
    key: OnceLock<HashKey>,
}

/// A part under way.
pub(crate) struct BoundSecond<'s, 'p> {
    segment: &'s Segment,
    breakdowns: BoundBreakdowns<'s>,
    calculations: BoundCalculations<'s>,
    accumulator: Accumulator<'p>,
    /// By column and number in the part.
    values: Vec<Vec<PartValue>>,
    /// By group of the part.
    fates: Vec<Fate>,
    slots: BucketSlots,
    row_slots: Vec<u32>,
    reading: ValueReading,
}

/// Slots by the start of a bucket and the place of a result.
#[derive(Default)]
struct BucketSlots {
    /// Place in `buckets` by start of the bucket.
    places: ByNumber<u64, usize>,
    /// By place of the result: the slot, [`NO_SLOT`] while there is none.
    buckets: Vec<Vec<u32>>,
    /// Of slots beyond the fixed ones, in order.
    keys: Vec<(i64, u32)>,
    /// The bucket at hand: its start, its place.
    current: Option<(i64, usize)>,
}

impl BucketSlots {
    #[inline]
    fn slot(&mut self, bucket: i64, place: u32) -> u32 {
        let number = match self.current {
            Some((current, number)) if current == bucket => number,
            _ => {
                let next = self.buckets.len();
                let number = *self.places.entry(bucket.cast_unsigned()).or_insert(next);
                if number == next {
                    self.buckets.push(Vec::new());
                }
                self.current = Some((bucket, number));
                number
            }
        };
        let Some(slots) = self.buckets.get_mut(number) else { return NO_SLOT };
        if slots.len() <= place as usize {
            slots.resize(place as usize + 1, NO_SLOT);
        }
        let slot = &mut slots[place as usize];
        if *slot == NO_SLOT {
            *slot = u32::try_from(FIXED_SLOTS + self.keys.len()).unwrap_or(NO_SLOT - 1);
            self.keys.push((bucket, place));
        }
        *slot
    }

    fn len(&self) -> usize {
        FIXED_SLOTS + self.keys.len()
    }

    fn heap_bytes(&self) -> usize {
        let buckets: usize = self.buckets.iter().map(|slots| slots.capacity() * size_of::<u32>() + 24).sum();
        buckets + self.keys.capacity() * size_of::<(i64, u32)>() + self.places.capacity() * 17
    }
}

impl<'p> SecondJob<'p> {
    pub(crate) fn new(
        plan: &'p GroupPlan,
        (groups, fates): (&'p Groups, &'p [Fate]),
        edges: &'p [Arc<[f64]>],
        granularity_ns: i64,
        exact: bool,
        reading: Reading<'p>,
    ) -> SecondJob<'p> {
        let is_heatmap = |calculation: &Calculation| calculation.operation == Operation::Heatmap;
        SecondJob {
            plan,
            groups,
            fates,
            edges,
            granularity_ns: granularity_ns.max(1),
            exact,
            needs_others: plan.calculations.iter().any(is_heatmap),
            reading,
            key: OnceLock::new(),
        }
    }

    fn state(&self) -> impl Fn(usize, &Calculation, bool) -> State + '_ {
        |place, calculation, exact| new_state(calculation, exact, self.edges.get(place))
    }

    /// Finds out what becomes of the groups of a part that rows have shown last.
    fn learn_fates(&self, bound: &mut BoundSecond<'_, 'p>) -> Result<(), Error> {
        let BoundSecond { segment, breakdowns, values, fates, reading, .. } = bound;
        for (column, values) in breakdowns.columns.iter_mut().zip(values.iter_mut()) {
            values.extend(group::values_of(column, values.len(), *reading, segment)?);
        }
        let mut key = vec![0; values.len()];
        for number in fates.len()..breakdowns.len() {
            breakdowns.key(u32::try_from(number).unwrap_or(u32::MAX), &mut key);
            let value = |(values, &number): (&'_ Vec<PartValue>, &u32)| {
                (number as usize).checked_sub(1).and_then(|number| values.get(number)).cloned()
            };
            let of_key: Vec<Option<PartValue>> = values.iter().zip(&key).map(value).collect();
            let found = self.groups.find(of_key.iter().map(Option::as_ref));
            let fate = found.and_then(|group| self.fates.get(group as usize)).copied();
            // What the first pass has not seen was erased meanwhile.
            fates.push(fate.unwrap_or(Fate::Excluded));
        }
        Ok(())
    }

    /// The slot of each row where rows lie in the order of their times: those of a bucket follow one another.
    fn fill_runs(&self, row_slots: &mut [u32], times: &[i64], mut slot: impl FnMut(i64) -> u32) {
        let mut from = 0;
        while let Some(&time) = times.get(from) {
            let start = bucket_start(time, self.granularity_ns);
            let end = start.saturating_add(self.granularity_ns);
            let rest = times.get(from..).unwrap_or(&[]);
            // At the end of time a bucket is cut short.
            let rows = rest.partition_point(|&time| time < end).max(1);
            let slot = slot(start);
            if let Some(of_run) = row_slots.get_mut(from..from + rows) {
                of_run.fill(slot);
            }
            from += rows;
        }
    }

    /// The bucket of every row of a block, if they have one together.
    fn bucket_of(&self, block: &Block<'_>) -> Option<i64> {
        let (first, last) = block.time_zone();
        let bucket = bucket_start(first, self.granularity_ns);
        (bucket == bucket_start(last, self.granularity_ns)).then_some(bucket)
    }
}

/// The slot of a row in a part.
fn slot_of(slots: &mut BucketSlots, fate: Option<&Fate>, bucket: i64) -> u32 {
    match fate {
        Some(Fate::Shown(place)) => slots.slot(bucket, *place),
        Some(Fate::Other) => u32::try_from(OTHER_SLOT).unwrap_or_default(),
        _ => u32::try_from(EXCLUDED_SLOT).unwrap_or_default(),
    }
}

impl<'p> Job for SecondJob<'p> {
    type Bound<'s> = BoundSecond<'s, 'p>;
    type Part = (Vec<(i64, u32)>, Accumulator<'p>);

    fn bind<'s>(&self, _place: usize, segment: &'s Segment) -> Result<(BoundSecond<'s, 'p>, u64), Error> {
        let key = *self.key.get_or_init(|| segment.header().hash_key);
        let mut accumulator = Accumulator::new(&self.plan.calculations, self.exact);
        accumulator.grow(FIXED_SLOTS, self.state());
        let bound = BoundSecond {
            segment,
            breakdowns: BoundBreakdowns::bind(segment, &self.plan.breakdowns, self.reading.related)?,
            calculations: BoundCalculations::bind(segment, &self.plan.calculations, self.reading)?,
            accumulator,
            values: vec![Vec::new(); self.plan.breakdowns.len()],
            fates: Vec::new(),
            slots: BucketSlots::default(),
            row_slots: Vec::new(),
            reading: ValueReading { key, texts_at_once: self.reading.texts_at_once },
        };
        // The first pass has counted the bytes.
        Ok((bound, 0))
    }

    fn block(&self, bound: &mut BoundSecond<'_, 'p>, block: &Block<'_>) -> Result<(), BlockError> {
        bound.breakdowns.number(block)?;
        if bound.fates.len() < bound.breakdowns.len() {
            self.learn_fates(bound)?;
        }
        let BoundSecond { breakdowns, calculations, accumulator, fates, slots, row_slots, .. } = bound;
        let groups = breakdowns.slots();
        let bucket = self.bucket_of(block);
        let mut narrowed: Option<Mask> = None;
        let is_shown = |group: u32| matches!(fates.get(group as usize), Some(Fate::Shown(_)));
        if !self.needs_others {
            match groups {
                Slots::One(group) if !is_shown(group) => return Ok(()),
                Slots::One(_) => {}
                Slots::Each(groups) => {
                    let mut mask = block.mask.clone();
                    mask.retain(|place| is_shown(groups[place]));
                    narrowed = Some(mask);
                }
            }
        }
        let block = &Block { rows: block.rows, mask: narrowed.as_ref().unwrap_or(block.mask) };
        let of_rows = match (groups, bucket) {
            (Slots::One(group), Some(bucket)) => {
                Slots::One(slot_of(slots, fates.get(group as usize), bucket))
            }
            (groups, bucket) => {
                row_slots.clear();
                row_slots.resize(block.len(), NO_SLOT);
                let mut slot = |group: u32, bucket: i64| slot_of(slots, fates.get(group as usize), bucket);
                if let Some(bucket) = bucket {
                    block.mask.for_each(|place| row_slots[place] = slot(groups.at(place), bucket));
                } else {
                    // Rows in the order of their times stay in one bucket for long; those of a group in one slot.
                    let times = block.times();
                    if let Slots::One(group) = groups
                        && block.mask.is_all()
                        && times.is_sorted()
                    {
                        self.fill_runs(row_slots, times, |bucket| slot(group, bucket));
                        accumulator.grow(slots.len(), self.state());
                        accumulator.add_block(calculations, block, Slots::Each(row_slots))?;
                        return Ok(());
                    }
                    let (mut start, mut end, mut last) = (1_i64, 0_i64, (NO_SLOT, NO_SLOT));
                    block.mask.for_each(|place| {
                        let (time, group) = (times[place], groups.at(place));
                        if time < start || time >= end || group != last.0 {
                            start = bucket_start(time, self.granularity_ns);
                            end = start.saturating_add(self.granularity_ns);
                            last = (group, slot(group, start));
                        }
                        row_slots[place] = last.1;
                    });
                }
                Slots::Each(row_slots)
            }
        };
        accumulator.grow(slots.len(), self.state());
        accumulator.add_block(calculations, block, of_rows)?;
        Ok(())
    }

    fn bound_bytes(&self, bound: &BoundSecond<'_, 'p>) -> usize {
        let values: usize =
            bound.values.iter().map(|values| values.capacity() * size_of::<PartValue>()).sum();
        let of_part = bound.slots.heap_bytes() + values + bound.fates.capacity() * size_of::<Fate>();
        bound.breakdowns.heap_bytes()
            + bound.calculations.heap_bytes()
            + bound.accumulator.memory_bytes()
            + of_part
    }

    fn part(&self, bound: BoundSecond<'_, 'p>) -> Result<Self::Part, BlockError> {
        let BoundSecond { mut calculations, mut accumulator, slots, .. } = bound;
        calculations.flush(&mut accumulator)?;
        Ok((slots.keys, accumulator))
    }
}

/// What all parts have found.
pub(crate) struct SecondPass<'p> {
    edges: &'p [Arc<[f64]>],
    fates: &'p [Fate],
    granularity_ns: i64,
    /// What the groups hold meanwhile.
    groups_bytes: usize,
    pub(crate) accumulator: Accumulator<'p>,
    slots: BucketSlots,
}

impl<'p> SecondPass<'p> {
    pub(crate) fn new(job: &SecondJob<'p>) -> SecondPass<'p> {
        let mut pass = SecondPass {
            edges: job.edges,
            fates: job.fates,
            granularity_ns: job.granularity_ns,
            groups_bytes: job.groups.heap_bytes(),
            accumulator: Accumulator::new(&job.plan.calculations, job.exact),
            slots: BucketSlots::default(),
        };
        pass.grow();
        pass
    }

    fn grow(&mut self) {
        let edges = self.edges;
        let state =
            |place: usize, calculation: &Calculation, exact| new_state(calculation, exact, edges.get(place));
        self.accumulator.grow(self.slots.len(), state);
    }

    /// The start of the bucket, the place of the result and the slot of each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = ((i64, u32), usize)> {
        self.slots.keys.iter().copied().zip(FIXED_SLOTS..)
    }

    /// The slots of buckets.
    pub(crate) fn slots(&self) -> std::ops::Range<usize> {
        FIXED_SLOTS..self.slots.len()
    }

    /// Adds the values of several events that the first pass has found.
    pub(crate) fn add_derived(&mut self, values: &DerivedValues) {
        let slot = |value: &crate::derived::DerivedValue| {
            let bucket = bucket_start(value.time_ns, self.granularity_ns);
            slot_of(&mut self.slots, self.fates.get(value.group as usize), bucket)
        };
        let slots: Vec<u32> = values.iter().map(slot).collect();
        self.grow();
        let mut slots = slots.into_iter();
        values.add_to(&mut self.accumulator, Over::Bucket, |_| slots.next().map(|slot| slot as usize));
    }
}

impl<'p> Gather<(Vec<(i64, u32)>, Accumulator<'p>)> for SecondPass<'p> {
    fn absorb(
        &mut self,
        _place: usize,
        (keys, accumulator): (Vec<(i64, u32)>, Accumulator<'p>),
    ) -> Result<(), BlockError> {
        let fixed = (0..FIXED_SLOTS).map(|slot| u32::try_from(slot).unwrap_or_default());
        let mut slots: Vec<u32> = fixed.collect();
        slots.extend(keys.into_iter().map(|(bucket, place)| self.slots.slot(bucket, place)));
        self.grow();
        self.accumulator.absorb(accumulator, (0_u32..).zip(slots.iter().copied()));
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.groups_bytes + self.accumulator.memory_bytes() + self.slots.heap_bytes()
    }
}

fn new_state(calculation: &Calculation, exact: bool, edges: Option<&Arc<[f64]>>) -> State {
    match edges {
        Some(edges) if calculation.operation == Operation::Heatmap => State::histogram(Arc::clone(edges)),
        _ => State::new(calculation.operation, exact),
    }
}

/// The start of a time's bucket: buckets begin at multiples of the granularity since the epoch.
pub(crate) fn bucket_start(time_ns: i64, granularity_ns: i64) -> i64 {
    // Near the end of i64 the bucket may begin before what fits.
    time_ns.div_euclid(granularity_ns).saturating_mul(granularity_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_at_multiples_since_the_epoch() {
        for (time, start) in [(0, 0), (59, 0), (60, 60), (-1, -60), (-60, -60), (-61, -120)] {
            assert_eq!(bucket_start(time, 60), start, "{time}");
        }
        assert_eq!(bucket_start(i64::MIN, 1_000_000_000), i64::MIN);
    }
}
