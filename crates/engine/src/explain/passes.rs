//! The passes: values of all columns, sums of what was chosen, and how the strongest of it meet.
//!
//! What it refuses: to hold more than the query's memory. The sums of a condition take 64 KiB.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::limits::EXPLAIN_OVERLAPS_MAX;
use skein_query::QueryError;
use skein_query::explain::{CLUSTERS, Clusters, Condition, Counts, Overlaps, Sums, Tally};
use skein_store::Error;
use skein_store::segment::Segment;

use super::Session;
use super::classes::{Classes, RowClusters};
use super::conditions::by_column;
use super::counts::Counted;
use crate::block::BlockReader;
use crate::column::BoundColumn;
use crate::scan::Failure;

impl Session<'_> {
    pub(super) fn count(&mut self) -> Result<Counts, Failure> {
        let mut counted: Vec<Counted> = self.columns.iter().map(|_| Counted::default()).collect();
        let mut total = Tally::default();
        let mut hash_key = HashKey(0);
        self.each_classified(|session, place, segment, classes| {
            let failed = |error: Error| Failure::Segment(place, error);
            hash_key = segment.header().hash_key;
            total.merge(&classes.total);
            let of_contexts = classes.by_context(segment.contexts() as usize);
            let mut reader = BlockReader::open(segment).map_err(failed)?;
            let mut bytes = 0;
            for (column, counted) in session.columns.iter().zip(&mut counted) {
                session.context.check()?;
                let mut bound = BoundColumn::bind(segment, column).map_err(failed)?;
                if bound.parts.is_empty() {
                    continue;
                }
                bytes += bound.bytes();
                counted
                    .add((place, hash_key), &mut bound, &mut reader, classes, &of_contexts)
                    .map_err(failed)?;
            }
            session.counters.bytes_scanned += bytes;
            session.check_memory(counted.iter().map(Counted::memory_bytes).sum())
        })?;
        let mut columns = Vec::with_capacity(counted.len());
        self.found.clear();
        for (column, counted) in self.columns.iter().zip(counted) {
            let (counts, found) = counted.finish(Arc::clone(&column.name), hash_key);
            columns.push(counts);
            self.found.push(found);
        }
        Ok(Counts { total, columns })
    }

    fn check_memory(&self, bytes: usize) -> Result<(), Failure> {
        if bytes + self.held_bytes <= self.context.memory_bytes_max {
            return Ok(());
        }
        let max = self.context.memory_bytes_max >> 20;
        let error = QueryError::limit(format!("the explanation needs more than its {max} MiB of memory"));
        Err(error.hint("name the columns, or narrow the range of time").into())
    }

    /// Visits the conditions that each row meets: a segment's rows, the row, the place of the condition.
    fn each_hit(
        &mut self,
        conditions: &[Condition],
        mut begin: impl FnMut(&Segment, &Classes) -> Result<(), Error>,
        mut hit: impl FnMut(&Classes, usize, usize),
        mut end: impl FnMut(&Segment, &Classes),
    ) -> Result<(), Failure> {
        for condition in conditions {
            if let Condition::Value { column, key } = *condition {
                self.look_up(column, key)?;
            }
        }
        let texts = &self.texts;
        let text = |column: usize, key: u64| {
            let value = texts.get(&(column, key))?.as_ref()?;
            Some(Box::from(value.canonical_text().as_ref()))
        };
        let by_column = by_column(conditions, text);
        self.each_classified(|session, place, segment, classes| {
            let failed = |error: Error| Failure::Segment(place, error);
            begin(segment, classes).map_err(failed)?;
            for of in &by_column {
                session.context.check()?;
                let hits =
                    of.each_hit(segment, &session.columns, classes, |row, place| hit(classes, row, place));
                session.counters.bytes_scanned += hits.map_err(failed)?;
            }
            end(segment, classes);
            Ok(())
        })
    }

    pub(super) fn sums(&mut self, conditions: &[Condition]) -> Result<Clusters, Failure> {
        self.check_memory((conditions.len() + 1) * 2 * size_of::<f64>() * CLUSTERS)?;
        let mut total = Sums::default();
        let mut met: Vec<Sums> = conditions.iter().map(|_| Sums::default()).collect();
        let clusters = std::cell::RefCell::new(RowClusters::default());
        self.each_hit(
            conditions,
            |segment, classes| {
                let bound = RowClusters::bind(segment, classes)?;
                for row in 0..classes.sides.len() {
                    if let Some((side, weight)) = classes.of(row) {
                        let (place, sign) = bound.of(row);
                        total.add(side, weight, place, sign);
                    }
                }
                *clusters.borrow_mut() = bound;
                Ok(())
            },
            |classes, row, condition| {
                if let (Some((side, weight)), Some(sums)) = (classes.of(row), met.get_mut(condition)) {
                    let (place, sign) = clusters.borrow().of(row);
                    sums.add(side, weight, place, sign);
                }
            },
            |_, _| {},
        )?;
        Ok(Clusters { total, met })
    }

    pub(super) fn overlap(
        &mut self,
        conditions: &[Condition],
        pairs: &[(usize, usize)],
    ) -> Result<Overlaps, Failure> {
        let conditions = conditions.get(..EXPLAIN_OVERLAPS_MAX).unwrap_or(conditions);
        let count = conditions.len();
        let mut overlaps = Overlaps {
            conditions: count,
            together: vec![[0.0; 2]; count * count],
            pairs: pairs.iter().map(|_| Sums::default()).collect(),
        };
        let masks: std::cell::RefCell<Vec<u64>> = std::cell::RefCell::default();
        let failed = std::cell::RefCell::new(None);
        self.each_hit(
            conditions,
            |_, classes| {
                let mut masks = masks.borrow_mut();
                masks.clear();
                masks.resize(classes.sides.len(), 0);
                Ok(())
            },
            |_, row, condition| {
                if let Some(mask) = masks.borrow_mut().get_mut(row) {
                    *mask |= 1 << condition;
                }
            },
            |segment, classes| {
                let bound = if pairs.is_empty() {
                    Ok(RowClusters::default())
                } else {
                    RowClusters::bind(segment, classes)
                };
                match bound {
                    Ok(clusters) => add_masks(&mut overlaps, pairs, &masks.borrow(), classes, &clusters),
                    Err(error) => *failed.borrow_mut() = Some(error),
                }
            },
        )?;
        match failed.into_inner() {
            Some(error) => Err(QueryError::internal(error.to_string()).into()),
            None => Ok(overlaps),
        }
    }
}

/// Adds a segment's rows to what is known of how conditions meet.
fn add_masks(
    overlaps: &mut Overlaps,
    pairs: &[(usize, usize)],
    masks: &[u64],
    classes: &Classes,
    clusters: &RowClusters,
) {
    // Rows that meet the same conditions are many.
    let mut weights: HashMap<u64, [f64; 2]> = HashMap::new();
    let mut order: Vec<u64> = Vec::new();
    for (row, &mask) in masks.iter().enumerate().filter(|(_, mask)| **mask != 0) {
        let Some((side, weight)) = classes.of(row) else { continue };
        let of_mask = weights.entry(mask).or_insert_with(|| {
            order.push(mask);
            [0.0; 2]
        });
        of_mask[side] += weight;
        for (&(a, b), sums) in pairs.iter().zip(&mut overlaps.pairs) {
            let both = 1_u64 << a | 1_u64 << b;
            if mask & both == both {
                let (place, sign) = clusters.of(row);
                sums.add(side, weight, place, sign);
            }
        }
    }
    // In the order of rows, so that sums come out the same every time.
    for mask in order {
        let of_mask = weights.get(&mask).copied().unwrap_or_default();
        let set = || (0..overlaps.conditions).filter(|bit| mask >> bit & 1 == 1);
        let (first, conditions) = (set().collect::<Vec<_>>(), overlaps.conditions);
        for &a in &first {
            for &b in &first {
                if let Some(both) = overlaps.together.get_mut(a * conditions + b) {
                    both[0] += of_mask[0];
                    both[1] += of_mask[1];
                }
            }
        }
    }
}
