//! The order of a merged segment's rows. Freshly flushed rows stay in the order of the log; compacted ones are
//! clustered by (dataset, time), so that what the events of one service have in common lies in dense runs and
//! what they lack costs nothing (DESIGN.md §3).
//!
//! What it refuses: to look at any value but dataset, time and event id. Whatever else a row holds follows it.
//!
//! Rows of equal dataset and time lie in the order of their event ids, so that the order does not depend on how
//! often, and with which others, a row was merged before.

use std::collections::{BTreeSet, HashMap};

use skein_event::batch::{Presence, Values};

use super::bytes::count;
use crate::error::Error;

/// Fewer rows than this are sorted; of more, every row of the segment has a bit.
const SORTED_BELOW_ONE_IN: usize = 256;

/// The order of a merged segment's rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// That of the sources: of the log, when they are its records.
    Log,
    /// By dataset, timestamp, event id.
    Clustered,
}

/// What the order of rows is made of, source after source.
#[derive(Default)]
pub(super) struct RowKeys {
    /// Rank of the row's dataset among all datasets by text; events without one come first.
    pub(super) datasets: Vec<u32>,
    pub(super) times: Vec<i64>,
    pub(super) offsets: Vec<i64>,
    pub(super) indexes: Vec<i64>,
}

/// A permutation of rows.
pub(super) struct Arrangement {
    /// Old row of each new one.
    old_rows: Vec<u32>,
    /// New row of each old one.
    new_rows: Vec<u32>,
    /// New rows in order of time, whatever their dataset.
    by_time: Vec<u32>,
}

impl Arrangement {
    pub(super) fn clustered(keys: &RowKeys) -> Arrangement {
        let identity = |&row: &u32| (keys.offsets[row as usize], keys.indexes[row as usize]);
        let time_of = |row: u32| keys.times[row as usize];
        let mut by_time: Vec<(i64, u32)> =
            (0..count(keys.times.len())).map(|row| (time_of(row), row)).collect();
        // Stable sorts find the runs that the sources are.
        by_time.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| identity(&a.1).cmp(&identity(&b.1))));
        let mut old_rows: Vec<u32> = by_time.iter().map(|&(_, row)| row).collect();
        old_rows.sort_by_key(|&row| keys.datasets[row as usize]);
        let mut new_rows = vec![0; old_rows.len()];
        for (new, &old) in (0_u32..).zip(&old_rows) {
            new_rows[old as usize] = new;
        }
        let by_time = by_time.iter().map(|&(_, row)| new_rows[row as usize]).collect();
        Arrangement { old_rows, new_rows, by_time }
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        (self.old_rows.capacity() + self.new_rows.capacity() + self.by_time.capacity()) * size_of::<u32>()
    }

    /// A field that every row has, in the new order.
    pub(super) fn field<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.old_rows.iter().map(|&row| values[row as usize]).collect()
    }

    /// A column in the new order.
    pub(super) fn column(&self, presence: Presence, values: Values) -> Result<(Presence, Values), Error> {
        match presence {
            Presence::All => Ok((Presence::All, take(&values, &self.old_rows)?)),
            Presence::Rows(rows) => {
                let (rows, places) = if rows.len() * SORTED_BELOW_ONE_IN < self.new_rows.len() {
                    self.by_sorting(&rows)
                } else {
                    self.by_ranking(&rows)
                };
                Ok((Presence::Rows(rows), take(&values, &places)?))
            }
        }
    }

    /// The new rows of some old ones, rising, and the place of each among the old.
    fn by_sorting(&self, rows: &[u32]) -> (Vec<u32>, Vec<u32>) {
        // The new row above the place of its value: sorting puts both in order.
        let mut moved: Vec<u64> = (0_u64..)
            .zip(rows)
            .map(|(place, &row)| u64::from(self.new_rows[row as usize]) << 32 | place)
            .collect();
        moved.sort();
        (moved.iter().map(|&pair| low(pair >> 32)).collect(), moved.iter().map(|&pair| low(pair)).collect())
    }

    /// The same for many rows: where one goes is how many are before it, which their bits tell.
    fn by_ranking(&self, rows: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut words = vec![0_u64; self.new_rows.len().div_ceil(64)];
        for &row in rows {
            let new = self.new_rows[row as usize];
            words[new as usize / 64] |= 1 << (new % 64);
        }
        let mut sorted = Vec::with_capacity(rows.len());
        let mut before = Vec::with_capacity(words.len());
        for (number, &word) in (0_u32..).zip(&words) {
            before.push(count(sorted.len()));
            let mut bits = word;
            while bits != 0 {
                sorted.push(number * 64 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        let mut places = vec![0; rows.len()];
        for (place, &row) in (0_u32..).zip(rows) {
            let new = self.new_rows[row as usize];
            let below = words[new as usize / 64] & ((1 << (new % 64)) - 1);
            places[(before[new as usize / 64] + below.count_ones()) as usize] = place;
        }
        (sorted, places)
    }

    /// The places of a column's values, in order of the rows' times: ids are numbered so, which keeps the
    /// numbers of a block's ids close together in every dataset.
    pub(super) fn places_by_time(&self, presence: &Presence) -> Vec<u32> {
        match presence {
            Presence::All => self.by_time.clone(),
            Presence::Rows(rows) => {
                let mut place_of = vec![u32::MAX; self.new_rows.len()];
                for (place, &row) in (0_u32..).zip(rows) {
                    place_of[row as usize] = place;
                }
                let places = self.by_time.iter().map(|&row| place_of[row as usize]);
                places.filter(|&place| place != u32::MAX).collect()
            }
        }
    }
}

/// Of each text its rank among all, from 1 on; 0 for none.
pub(super) fn text_ranks(texts: &[Option<&[u8]>]) -> Vec<u32> {
    let all: BTreeSet<&[u8]> = texts.iter().flatten().copied().collect();
    let ranks: HashMap<&[u8], u32> = all.into_iter().zip(1_u32..).collect();
    texts.iter().map(|text| text.and_then(|text| ranks.get(text).copied()).unwrap_or(0)).collect()
}

/// The lower half.
fn low(pair: u64) -> u32 {
    u32::try_from(pair & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn take(values: &Values, places: &[u32]) -> Result<Values, Error> {
    fn pick<T: Copy>(values: &[T], places: &[u32]) -> Result<Vec<T>, Error> {
        let value = |&place: &u32| values.get(place as usize).copied();
        let all: Option<Vec<T>> = places.iter().map(value).collect();
        all.ok_or_else(|| Error::damaged("a column has fewer values than rows"))
    }
    Ok(match values {
        Values::Bool(values) => Values::Bool(pick(values, places)?),
        Values::I64(values) => Values::I64(pick(values, places)?),
        Values::F64(values) => Values::F64(pick(values, places)?),
        Values::Code(values) => Values::Code(pick(values, places)?),
        Values::Id16(values) => Values::Id16(pick(values, places)?),
        Values::Id8(values) => Values::Id8(pick(values, places)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrangement() -> Arrangement {
        // Old rows 0 to 4: dataset, time, offset, index.
        Arrangement::clustered(&RowKeys {
            datasets: vec![1, 0, 1, 0, 1],
            times: vec![50, 10, 20, 10, 20],
            offsets: vec![0, 7, 3, 6, 3],
            indexes: vec![0, 0, 9, 0, 2],
        })
    }

    #[test]
    fn rows_lie_by_dataset_time_and_event_id() {
        let arranged = arrangement();
        assert_eq!(arranged.old_rows, [3, 1, 4, 2, 0]);
        assert_eq!(arranged.field(&[50, 10, 20, 10, 20]), [10, 10, 20, 20, 50]);
    }

    #[test]
    fn few_rows_and_many_are_put_in_the_same_order() {
        let noise = |n: u32| n.wrapping_mul(0x9e37_79b1) >> 7;
        let rows = 3_000;
        let arranged = Arrangement::clustered(&RowKeys {
            datasets: (0..rows).map(|n| noise(n) % 5).collect(),
            times: (0..rows).map(|n| i64::from(noise(n + 9) % 700)).collect(),
            offsets: (0..rows).map(i64::from).collect(),
            indexes: vec![0; rows as usize],
        });
        for one_in in [1, 2, 3, 64, 700, 3_500] {
            let some: Vec<u32> = (0..rows).filter(|&n| noise(n + 77) % one_in == 0).collect();
            let sorted = arranged.by_sorting(&some);
            assert_eq!(arranged.by_ranking(&some), sorted);
            assert!(sorted.0.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn values_follow_their_rows() {
        let arranged = arrangement();
        let (presence, values) =
            arranged.column(Presence::Rows(vec![0, 2, 3]), Values::I64(vec![100, 102, 103])).expect("fits");
        assert_eq!(presence, Presence::Rows(vec![0, 3, 4]));
        assert_eq!(values, Values::I64(vec![103, 102, 100]));
        let all = arranged.column(Presence::All, Values::Bool(vec![true, false, false, false, true]));
        assert_eq!(all.expect("fits").1, Values::Bool(vec![false, false, true, false, true]));
        assert!(arranged.column(Presence::All, Values::Bool(vec![true])).is_err());
        assert_eq!(arranged.places_by_time(&presence), [0, 1, 2]);
        assert_eq!(arranged.places_by_time(&Presence::Rows(vec![1, 2, 4])), [0, 1, 2]);
    }
}
