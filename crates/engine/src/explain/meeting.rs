//! How conditions meet in the same events: the bits of a word for each row of a segment, and how often each word occurs.

use skein_query::explain::{Overlaps, Sums, Tally};
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use super::clusters::RowClusters;
use super::conditions::{OfColumn, Sets};
use super::passes::{SUMS_BYTES, rows};
use super::rows::{NO_CLASS, Rows};
use super::sides::Sides;
use super::walk::{Ready, Walk};
use crate::hashing::ByNumber;

/// Finds which conditions meet in the rows of a segment, all of it at once.
pub(super) struct Meeting<'a> {
    pub(super) sides: &'a Sides,
    pub(super) columns: &'a [Column],
    pub(super) weighted: bool,
    pub(super) by_column: &'a [OfColumn],
    pub(super) conditions: usize,
    pub(super) pairs: &'a [(usize, usize)],
    pub(super) threads: usize,
}

impl Meeting<'_> {
    /// How conditions meet in no rows at all.
    pub(super) fn nothing(&self) -> Overlaps {
        Overlaps {
            conditions: self.conditions,
            together: vec![[0.0; 2]; self.conditions * self.conditions],
            pairs: self.pairs.iter().map(|_| Sums::default()).collect(),
        }
    }
}

impl Walk for Meeting<'_> {
    type Rows = (Overlaps, u64);
    type Column = Overlaps;

    fn ahead(&self) -> usize {
        self.threads
    }

    fn ready(&self, place: usize, segment: &Segment) -> Result<((Overlaps, u64), Vec<usize>, usize), Error> {
        let rows = rows(self.sides, place, segment, self.weighted)?;
        let mut masks = vec![0_u64; rows.classes().len()];
        let mut read = 0;
        for of in self.by_column {
            let Some(column) = self.columns.get(of.column) else { continue };
            let mut sets = Sets::default();
            let mut bits: Vec<u64> = Vec::new();
            read += of.each_run(segment, column, &rows.wanted, &mut sets, |sets, of_run, found| {
                bits.clear();
                bits.push(0);
                bits.extend(
                    sets.each().map(|(_, set)| set.iter().fold(0, |bits, condition| bits | 1 << condition)),
                );
                for (number, set) in found.iter().enumerate().filter(|(_, set)| **set != 0) {
                    if let Some(mask) = masks.get_mut(of_run.row(number) as usize) {
                        *mask |= bits.get(usize::from(*set)).copied().unwrap_or_default();
                    }
                }
            })?;
        }
        let clusters =
            if self.pairs.is_empty() { RowClusters::default() } else { RowClusters::new(segment, &rows)? };
        let mut overlaps = self.nothing();
        add_masks(&mut overlaps, self.pairs, &masks, &rows, &clusters);
        let bytes = overlaps.together.len() * size_of::<[f64; 2]>() + self.pairs.len() * SUMS_BYTES;
        Ok(((overlaps, read), vec![0], bytes))
    }

    fn add(&self, _number: usize, all: &mut Overlaps, ready: &Ready<(Overlaps, u64)>) -> Result<u64, Error> {
        let (more, read) = &ready.rows;
        for (sum, more) in all.together.iter_mut().zip(&more.together) {
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        for (sums, more) in all.pairs.iter_mut().zip(&more.pairs) {
            sums.merge(more);
        }
        Ok(*read)
    }

    fn bytes(&self, _overlaps: &Overlaps) -> usize {
        self.pairs.len() * SUMS_BYTES
    }
}

/// Adds a segment's rows to what is known of how conditions meet.
fn add_masks(
    overlaps: &mut Overlaps,
    pairs: &[(usize, usize)],
    masks: &[u64],
    rows: &Rows,
    clusters: &RowClusters,
) {
    // Rows that meet the same conditions are many. Of each: its weights, and the pairs that it holds.
    let mut places: ByNumber<u64, usize> = ByNumber::default();
    let mut known: Vec<(u64, Tally, Vec<usize>)> = Vec::new();
    let mut last = (0, usize::MAX);
    for (row, (&mask, &class)) in (0..).zip(masks.iter().zip(rows.classes())) {
        if mask == 0 || class == NO_CLASS {
            continue;
        }
        if last != (mask, last.1) || last.1 == usize::MAX {
            let place = *places.entry(mask).or_insert_with(|| {
                let holds = |(a, b): &(usize, usize)| mask >> a & mask >> b & 1 == 1;
                let of_mask = pairs.iter().enumerate().filter(|(_, pair)| holds(pair));
                known.push((mask, Tally::default(), of_mask.map(|(number, _)| number).collect()));
                known.len() - 1
            });
            last = (mask, place);
        }
        let Some((_, tally, of_mask)) = known.get_mut(last.1) else { continue };
        let (side, weight) = (Rows::side(class), rows.weight(row, class));
        tally.weight[side] += weight;
        for &pair in of_mask.iter() {
            if let Some(sums) = overlaps.pairs.get_mut(pair) {
                sums.add(side, weight, clusters.of(row).0);
            }
        }
    }
    // In the order of rows, so that sums come out the same every time.
    for (mask, tally, _) in known {
        let set: Vec<usize> = (0..overlaps.conditions).filter(|bit| mask >> bit & 1 == 1).collect();
        for &a in &set {
            for &b in &set {
                if let Some(both) = overlaps.together.get_mut(a * overlaps.conditions + b) {
                    both[0] += tally.weight[0];
                    both[1] += tally.weight[1];
                }
            }
        }
    }
}
