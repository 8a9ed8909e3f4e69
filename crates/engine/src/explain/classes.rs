//! Which rows of a segment belong to which side, what each stands for, and which trace it is of.

use std::sync::Arc;

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_query::error::Location;
use skein_query::explain::{ExplainPlan, Rect, Side, Tally, cluster};
use skein_query::plan::{Column, Plan};
use skein_store::Error;
use skein_store::segment::{Segment, trace_hash};

use crate::block::BlockReader;
use crate::column::{BLOCK_ROWS, BoundColumn, MISSING};
use crate::explain::Related;
use crate::filter::BoundFilters;
use crate::mask::Mask;
use crate::relation::Relations;
use crate::relation::bound::BoundConditions;
use crate::scan::{Counters, allowed_contexts, hide_erased};

/// A row that takes no part; otherwise it is the number of its [`Side`].
pub(super) const NO_SIDE: u8 = 2;

/// The rows of a segment.
pub(super) struct Classes {
    /// The side of each row, or [`NO_SIDE`].
    pub(super) sides: Vec<u8>,
    /// Whether each block of rows has one that takes part.
    pub(super) wanted: Vec<bool>,
    /// The context of each row.
    pub(super) contexts: Vec<u32>,
    /// What each row stands for; `None` where every row stands for itself.
    pub(super) weights: Option<Vec<f64>>,
    /// All rows that take part.
    pub(super) total: Tally,
}

impl Classes {
    /// Side and weight of a row that takes part.
    #[inline]
    pub(super) fn of(&self, row: usize) -> Option<(usize, f64)> {
        let side = self.sides.get(row).copied().filter(|&side| side != NO_SIDE)?;
        Some((usize::from(side), self.weight(row)))
    }

    #[inline]
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights.get(row).copied().unwrap_or(1.0))
    }

    /// The rows that take part, by context.
    pub(super) fn by_context(&self, contexts: usize) -> Vec<Tally> {
        let mut tallies = vec![Tally::default(); contexts];
        for (row, &context) in self.contexts.iter().enumerate() {
            if let (Some((side, weight)), Some(tally)) = (self.of(row), tallies.get_mut(context as usize)) {
                tally.add(side, weight);
            }
        }
        tallies
    }
}

/// The rows of a plan, bound to a segment.
struct BoundSide<'s> {
    plan: &'s Plan,
    allowed: Vec<bool>,
    filters: BoundFilters<'s>,
    related: Option<BoundConditions<'s>>,
}

impl<'s> BoundSide<'s> {
    /// `None` when no row has its time and dataset.
    fn bind(
        segment: &'s Segment,
        plan: &'s Plan,
        related: Option<&Arc<Relations>>,
    ) -> Result<Option<BoundSide<'s>>, Error> {
        let datasets: Vec<&str> = plan.datasets.iter().map(|named| named.name.as_str()).collect();
        let Some(allowed) = allowed_contexts(segment, &datasets)? else { return Ok(None) };
        let filters = BoundFilters::bind(segment, &plan.filter)?;
        let related = related.map(|related| BoundConditions::of_query(segment, related));
        Ok(Some(BoundSide { plan, allowed, filters, related: related.transpose()?.flatten() }))
    }

    /// The rows of a block with its time and dataset.
    fn in_range(&self, segment: &Segment, reader: &BlockReader<'_>) -> Mask {
        let (times, contexts) = (reader.times(), reader.contexts());
        let mut mask = Mask::all(reader.len());
        mask.retain(|place| {
            self.plan.time_range.contains(times[place])
                && self.allowed.get(contexts[place] as usize) == Some(&true)
        });
        hide_erased(segment, reader.start(), &mut mask);
        mask
    }

    /// Leaves the rows that pass its filters.
    fn narrow(&mut self, reader: &BlockReader<'_>, mask: &mut Mask) -> Result<(), Error> {
        self.filters.apply(reader, mask)?;
        if let Some(related) = &mut self.related {
            related.apply(reader, mask)?;
        }
        Ok(())
    }
}

/// Decides for every row of a segment; `None` when none takes part.
pub(super) fn classify(
    segment: &Segment,
    plan: &ExplainPlan,
    related: &Related,
    counters: &mut Counters,
    check: impl Fn() -> Result<(), crate::scan::BlockError>,
) -> Result<Option<Classes>, crate::scan::BlockError> {
    let mut selection = BoundSide::bind(segment, &plan.selection, related.selection.as_ref())?;
    let baseline = plan.baseline.as_ref();
    let baseline = baseline.map(|plan| BoundSide::bind(segment, plan, related.baseline.as_ref()));
    let mut baseline = baseline.transpose()?.flatten();
    if selection.is_none() && baseline.is_none() {
        return Ok(None);
    }
    let mut rect = plan.rect.as_ref().map(|rect| BoundRect::bind(segment, rect)).transpose()?;
    let mut reader = BlockReader::open(segment)?;
    let rows = segment.rows() as usize;
    let mut classes = Classes {
        sides: vec![NO_SIDE; rows],
        wanted: vec![false; rows.div_ceil(BLOCK_ROWS as usize)],
        contexts: Vec::with_capacity(rows),
        weights: None,
        total: Tally::default(),
    };
    for start in (0..segment.rows()).step_by(BLOCK_ROWS as usize) {
        check()?;
        reader.read(start);
        classes.contexts.extend_from_slice(reader.contexts());
        let zone = reader.time_zone(start);
        let of_block = |side: &BoundSide<'_>| side.plan.time_range.overlaps(zone.0, zone.1);
        if !selection.as_ref().is_some_and(of_block) && !baseline.as_ref().is_some_and(of_block) {
            continue;
        }
        counters.rows_scanned += reader.len() as u64;
        let sides = &mut classes.sides[start as usize..start as usize + reader.len()];
        let mut set = |mask: &Mask, side: Side| {
            mask.for_each(|place| sides[place] = side as u8);
        };
        // What is in both is the selection's: it is written last.
        if let Some(baseline) = &mut baseline {
            let mut mask = baseline.in_range(segment, &reader);
            baseline.narrow(&reader, &mut mask)?;
            set(&mask, Side::Baseline);
        }
        if let Some(selection) = &mut selection {
            let mut mask = selection.in_range(segment, &reader);
            if plan.baseline.is_none() && plan.rect.is_none() {
                set(&mask, Side::Baseline);
            }
            selection.narrow(&reader, &mut mask)?;
            if let Some(rect) = &mut rect {
                if plan.baseline.is_none() {
                    set(&mask, Side::Baseline);
                }
                rect.narrow(&reader, &mut mask)?;
            }
            set(&mask, Side::Selection);
        }
        classes.wanted[(start / BLOCK_ROWS) as usize] = sides.iter().any(|&side| side != NO_SIDE);
    }
    if !classes.wanted.contains(&true) {
        return Ok(None);
    }
    if !plan.selection.usage_mode {
        classes.weights = weights(segment, &classes)?;
    }
    for row in 0..rows {
        if let Some((side, weight)) = classes.of(row) {
            classes.total.add(side, weight);
        }
    }
    Ok(Some(classes))
}

/// What each row stands for; `None` when each stands for itself.
fn weights(segment: &Segment, classes: &Classes) -> Result<Option<Vec<f64>>, Error> {
    let mut column = BoundColumn::bind(segment, &Column::stored("sample_rate", nowhere()))?;
    if column.parts.is_empty() {
        return Ok(None);
    }
    let mut weights = vec![1.0; classes.sides.len()];
    let mut all_one = true;
    let mut reader = BlockReader::open(segment)?;
    column.each_value(&mut reader, &classes.wanted, |parts, row, part, bits| {
        let rate = parts.get_mut(part).map_or(1.0, |part| part.double(bits));
        // A rate that is none counts as an event that stands for itself.
        if rate.is_finite()
            && rate > 0.0
            && let Some(weight) = weights.get_mut(row)
        {
            #[expect(clippy::float_cmp, reason = "a weight of exactly 1 means not sampled")]
            let one = rate == 1.0;
            all_one &= one;
            *weight = rate;
        }
        Ok(())
    })?;
    Ok(if all_one { None } else { Some(weights) })
}

pub(super) fn nowhere() -> Location {
    Location::Path(String::new())
}

/// A rectangle bound to a segment.
struct BoundRect<'s> {
    rect: &'s Rect,
    column: BoundColumn<'s>,
}

impl<'s> BoundRect<'s> {
    fn bind(segment: &'s Segment, rect: &'s Rect) -> Result<BoundRect<'s>, Error> {
        Ok(BoundRect { rect, column: BoundColumn::bind(segment, &rect.column)? })
    }

    fn narrow(&mut self, reader: &BlockReader<'_>, mask: &mut Mask) -> Result<(), Error> {
        self.column.fill(reader)?;
        let times = reader.times();
        let Rect { lo, hi, time_range, .. } = *self.rect;
        let BoundColumn { parts, part_of, bits, .. } = &mut self.column;
        mask.try_retain(|place| {
            let part = part_of[place];
            if part == MISSING || !time_range.contains(times[place]) {
                return Ok(false);
            }
            let number = parts[usize::from(part)]
                .with_value(bits[place], |value| value.and_then(|value| value.number()))?;
            Ok(number.is_some_and(|number| lo <= number.to_f64() && number.to_f64() < hi))
        })
    }
}

/// Place and sign of each row's trace ([`cluster`]), packed. An event without a trace is one of its own, whatever the
/// segment that it lies in.
#[derive(Default)]
pub(super) struct RowClusters(Vec<u16>);

const SIGN: u16 = 1 << 15;

impl RowClusters {
    pub(super) fn bind(segment: &Segment, classes: &Classes) -> Result<RowClusters, Error> {
        const UNKNOWN: u16 = u16::MAX;
        let pack = |hash: u64| {
            let (place, sign) = cluster(hash);
            let place = u16::try_from(place).unwrap_or_default();
            if sign < 0.0 { place | SIGN } else { place }
        };
        let key = segment.header().hash_key;
        let mut clusters = vec![UNKNOWN; classes.sides.len()];
        if let Some(column) = segment.column_of(&ColumnKey::fixed(Fixed::TraceId))? {
            let mut of_code = vec![UNKNOWN; column.dictionary_len() as usize];
            let (mut codes, mut rows) = (Vec::new(), Vec::new());
            for block in 0..column.blocks() {
                column.rows_of_block(block, &mut rows);
                let active =
                    |row: &u32| classes.sides.get(*row as usize).is_some_and(|&side| side != NO_SIDE);
                if !rows.iter().any(active) {
                    continue;
                }
                column.decode_codes(block, &mut codes);
                for (&row, &code) in rows.iter().zip(&codes) {
                    let (Some(slot), Some(known)) =
                        (clusters.get_mut(row as usize), of_code.get_mut(code as usize))
                    else {
                        continue;
                    };
                    if *known == UNKNOWN {
                        let id = column.trace_id(code).unwrap_or_default();
                        *known = pack(trace_hash(key, &id));
                    }
                    *slot = *known;
                }
            }
        }
        let alone = |row: &u32| {
            let row = *row as usize;
            clusters[row] == UNKNOWN && classes.sides[row] != NO_SIDE
        };
        let alone: Vec<u32> = (0..segment.rows()).filter(alone).collect();
        for (row, id) in alone.iter().zip(segment.event_ids(&alone)?) {
            clusters[*row as usize] = pack(key.hash(id.to_string().as_bytes()));
        }
        Ok(RowClusters(clusters))
    }

    #[inline]
    pub(super) fn of(&self, row: usize) -> (usize, f64) {
        let packed = self.0.get(row).copied().unwrap_or_default();
        (usize::from(packed & !SIGN), if packed & SIGN == 0 { 1.0 } else { -1.0 })
    }
}
