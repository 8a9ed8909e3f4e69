//! INCREASE and RATE: by how much a cumulative counter rose. docs/reference/over-time.md has the rules.
//!
//! Points come in no order of time, so those of all series are kept until the end: the reason why these calculations,
//! unlike others, take memory for each event.

use std::collections::HashSet;
use std::sync::Arc;

use skein_event::batch::Origin;
use skein_event::hash::HashKey;
use skein_query::aggregate::Draw;
use skein_query::error::Location;
use skein_query::names::Reference;
use skein_query::number::{Number, ValueRef};
use skein_query::plan::{Column, FilterSet, Scope};
use skein_store::Error;
use skein_store::segment::Segment;

use super::in_flight::{Times, length_ns};
use crate::block::Block;
use crate::column::{BoundColumn, MISSING};
use crate::derived::DerivedValue;
use crate::filter::BoundFilters;
use crate::weights::Weights;

const SECOND_NS: f64 = 1e9;

/// A point of a series.
#[derive(Clone, Copy, Debug)]
struct Point {
    /// Hash of all that tells its series from others.
    series: u64,
    time_ns: i64,
    /// Since when it counts, if stated; another time than that of the point before is a reset.
    start: Option<i64>,
    value: Number,
    group: u32,
    weight: f64,
}

pub(super) struct Increases<'p> {
    column: &'p Column,
    filter: &'p FilterSet,
    per_second: bool,
    times: Times,
    weighted: bool,
    points: Vec<Point>,
}

pub(super) struct BoundIncrease<'s> {
    filter: BoundFilters<'s>,
    value: BoundColumn<'s>,
    start: BoundColumn<'s>,
    /// What tells series apart: each attribute with a hash of its name and origin.
    labels: Vec<(u64, BoundColumn<'s>)>,
    /// Hashes of the labels of the block at hand.
    series: Vec<u64>,
    hash_key: HashKey,
    weights: Option<Weights<'s>>,
}

impl BoundIncrease<'_> {
    pub(super) fn bytes(&self) -> u64 {
        let labels = self.labels.iter().map(|(_, label)| label.bytes()).sum::<u64>();
        self.filter.bytes() + self.value.bytes() + self.start.bytes() + labels
    }
}

/// Attributes of points, scopes and resources but the counter; each is found where it is, whatever hides its name.
fn labels<'s>(
    segment: &'s Segment,
    counter: &str,
    hash_key: HashKey,
) -> Result<Vec<(u64, BoundColumn<'s>)>, Error> {
    let mut seen = HashSet::new();
    let mut labels = Vec::new();
    for info in segment.columns() {
        let key = info?.key;
        let is_label = matches!(key.origin, Origin::Item | Origin::Scope | Origin::Resource);
        // One name may have several types, which are one column.
        if !is_label || *key.name == *counter || !seen.insert((key.origin as u8, Arc::clone(&key.name))) {
            continue;
        }
        let name = hash_key.hash(format!("{} {}", key.origin as u8, key.name).as_bytes());
        let column = Column {
            name: Arc::clone(&key.name),
            scope: Scope::Own,
            references: vec![Reference::Origin(key.origin, key.name)],
            calculated: None,
            location: Location::Path(String::new()),
        };
        labels.push((name, BoundColumn::bind(segment, &column)?));
    }
    Ok(labels)
}

impl<'p> Increases<'p> {
    pub(super) fn new(
        column: &'p Column,
        filter: &'p FilterSet,
        per_second: bool,
        times: Times,
        weighted: bool,
    ) -> Increases<'p> {
        Increases { column, filter, per_second, times, weighted, points: Vec::new() }
    }

    pub(super) fn bind<'s>(&self, segment: &'s Segment) -> Result<BoundIncrease<'s>, Error> {
        let start = Column::stored("meta.metric.start_time", Location::Path(String::new()));
        let value = BoundColumn::bind(segment, self.column)?;
        let hash_key = segment.header().hash_key;
        // A segment without the counter has no series to tell apart.
        let has_values = !value.parts.is_empty();
        Ok(BoundIncrease {
            filter: BoundFilters::bind(segment, self.filter)?,
            value,
            start: BoundColumn::bind(segment, &start)?,
            labels: if has_values { labels(segment, &self.column.name, hash_key)? } else { Vec::new() },
            series: Vec::new(),
            hash_key,
            weights: self.weighted.then(|| Weights::bind(segment)).transpose()?,
        })
    }

    pub(super) fn add_block(
        &mut self,
        bound: &mut BoundIncrease<'_>,
        block: &Block<'_>,
        groups: &[u32],
    ) -> Result<(), Error> {
        bound.value.fill(block.rows)?;
        let mut mask = block.mask.clone();
        mask.retain(|row| bound.value.part_of[row] != MISSING);
        if mask.is_empty() {
            return Ok(());
        }
        bound.filter.apply(block.rows, &mut mask)?;
        if mask.is_empty() {
            return Ok(());
        }
        let rows: Vec<usize> = mask.places().collect();
        bound.tell_apart(block, &rows)?;
        bound.start.fill(block.rows)?;
        let weights = bound.weights.as_mut().map(|weights| weights.of_block(block)).transpose()?;
        for row in rows {
            let Some(value) = bound.value.number(row)? else { continue };
            if value.is_nan() {
                continue;
            }
            let start = match bound.start.number(row)? {
                Some(Number::I64(start)) => Some(start),
                _ => None,
            };
            self.points.push(Point {
                series: bound.series[row],
                time_ns: block.times()[row],
                start,
                value,
                group: groups[row],
                weight: weights.map_or(1.0, |weights| weights.of(row)),
            });
        }
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.points.capacity() * size_of::<Point>()
    }

    pub(super) fn finish(&mut self) -> Vec<DerivedValue> {
        let by_value = |a: &Point, b: &Point| a.value.compare(b.value).unwrap_or(std::cmp::Ordering::Equal);
        self.points.sort_by(|a, b| {
            (a.series, a.time_ns, a.start).cmp(&(b.series, b.time_ns, b.start)).then_with(|| by_value(a, b))
        });
        let mut values = Vec::new();
        for pair in self.points.windows(2) {
            let [before, point] = pair else { continue };
            if before.series == point.series {
                values.push(self.value(before, point));
            }
        }
        values
    }

    fn value(&self, before: &Point, point: &Point) -> DerivedValue {
        let rose = rose(before, point);
        let over = |seconds: f64| match self.per_second {
            true => Number::F64(rose.to_f64() / seconds),
            false => rose,
        };
        DerivedValue {
            group: point.group,
            time_ns: point.time_ns,
            number: over(length_ns(self.times.bucket(point.time_ns)) / SECOND_NS),
            overall: over(self.times.length_ns() / SECOND_NS),
            draw: Draw::from(point.weight),
        }
    }
}

/// From one point of a series to the next. After a reset a counter has risen by what it says.
fn rose(before: &Point, point: &Point) -> Number {
    let fell = point.value.compare(before.value).is_some_and(std::cmp::Ordering::is_lt);
    let restarted = matches!((before.start, point.start), (Some(before), Some(now)) if before != now);
    if fell || restarted {
        return point.value;
    }
    point.value.minus(before.value)
}

impl BoundIncrease<'_> {
    /// Hashes what tells the series of some rows apart: in no order, since columns stand in another in every file.
    fn tell_apart(&mut self, block: &Block<'_>, rows: &[usize]) -> Result<(), Error> {
        self.series.clear();
        self.series.resize(block.len(), 0);
        for (name, label) in &mut self.labels {
            label.fill(block.rows)?;
            for &row in rows {
                let part = label.part_of[row];
                if part == MISSING {
                    continue;
                }
                let hash_key = self.hash_key;
                let of_value = |value: Option<ValueRef<'_>>| {
                    value.map(|value| hash_key.hash(value.canonical_text().as_bytes()))
                };
                let bits = label.bits[row];
                let hash = label.parts[usize::from(part)].with_value(bits, of_value)?.unwrap_or_default();
                let mut both = [0; 16];
                both[..8].copy_from_slice(&name.to_le_bytes());
                both[8..].copy_from_slice(&hash.to_le_bytes());
                self.series[row] = self.series[row].wrapping_add(hash_key.hash(&both));
            }
        }
        Ok(())
    }
}
