//! COUNT_DISTINCT of sampled events: at least what was seen, and at most how many more there may be.
//!
//! A value that was seen in one kept trace only, drawn with the probability 1/w, stands for at most w−1 others that were
//! not seen: of a value in m traces that may be drawn, the chance to be missed is at most the expected sum of these, over
//! all such values (after Chao, Scandinavian Journal of Statistics 11, 1984, and Charikar and others, PODS 2000). What was
//! seen in two traces, or in one that was certain to be kept, stands for nothing that is missing.
//!
//! Those with the smallest hashes are looked at, so that memory is bounded; they stand for all.

use std::collections::BTreeMap;

use super::distinct::Hashes;
use super::interval::Z;

/// Values that are looked at: all while there are fewer, then an estimate within 6 % of how many were seen once.
const VALUES_MAX: usize = 1_024;

/// In which kept traces a value was seen.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Seen {
    unit: u64,
    /// Of the trace; 1 where a second was seen.
    weight: f64,
}

/// Values of drawn events.
#[derive(Clone, Debug, Default)]
pub(super) struct Singles {
    /// All of them.
    hashes: Hashes,
    /// Those with the smallest hashes.
    seen: BTreeMap<u64, Seen>,
    weight_max: f64,
}

impl Singles {
    /// Adds a value of a drawn event.
    pub(super) fn add(&mut self, hash: u64, unit: u64, weight: f64) {
        self.hashes.add(hash);
        self.weight_max = self.weight_max.max(weight);
        self.see(hash, Seen { unit, weight });
    }

    fn see(&mut self, hash: u64, seen: Seen) {
        if let Some(known) = self.seen.get_mut(&hash) {
            if known.unit == seen.unit {
                known.weight = known.weight.min(seen.weight);
            } else {
                known.weight = 1.0;
            }
            return;
        }
        let is_full = self.seen.len() == VALUES_MAX;
        if is_full && self.seen.last_key_value().is_some_and(|(last, _)| hash > *last) {
            return;
        }
        self.seen.insert(hash, seen);
        if is_full {
            self.seen.pop_last();
        }
    }

    /// Adds those of another.
    pub(super) fn merge(&mut self, other: &Singles) {
        self.hashes.merge(&other.hashes);
        self.weight_max = self.weight_max.max(other.weight_max);
        other.seen.iter().for_each(|(&hash, &seen)| self.see(hash, seen));
    }

    /// Different values, with those of events that stand for themselves.
    pub(super) fn len_with(&self, certain: &Hashes) -> usize {
        let mut all = certain.clone();
        all.merge(&self.hashes);
        all.len()
    }

    /// How many values there may be that were not seen, with a confidence of 97.5 %.
    #[expect(clippy::cast_precision_loss, reason = "counts of values")]
    pub(super) fn unseen_max(&self, certain: &Hashes) -> f64 {
        let certain = certain.settled();
        let is_single = |(hash, _): &(&u64, &Seen)| certain.binary_search(hash).is_err();
        let (mut unseen, mut variance) = (0.0, 0.0);
        for (_, seen) in self.seen.iter().filter(is_single) {
            unseen += seen.weight - 1.0;
            variance += seen.weight * (seen.weight - 1.0);
        }
        let share = (self.hashes.len() as f64 / self.seen.len().max(1) as f64).max(1.0);
        // Of those that are looked at, how many were seen once varies as well.
        variance = variance * share + unseen * self.weight_max * share * (share - 1.0);
        // As the score interval of a Poisson number, which says something even of none.
        let more = self.weight_max * (self.weight_max - 1.0);
        unseen * share + Z * Z / 2.0 * (self.weight_max - 1.0) + Z * (variance + Z * Z / 4.0 * more).sqrt()
    }

    /// Bytes on the heap, about.
    pub(super) fn heap_bytes(&self) -> usize {
        // A B-tree, two thirds full.
        self.hashes.heap_bytes() + self.seen.len() * 36
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_event::hash::HashKey;

    fn hash(number: u32) -> u64 {
        HashKey(5).hash(&number.to_le_bytes())
    }

    fn certain(values: &[u32]) -> Hashes {
        let mut hashes = Hashes::default();
        values.iter().for_each(|&value| hashes.add(hash(value)));
        hashes
    }

    #[test]
    fn a_value_of_one_drawn_trace_stands_for_others() {
        let mut once = Singles::default();
        let mut twice = Singles::default();
        for value in 0..500 {
            once.add(hash(value), hash(10_000 + value), 10.0);
            for unit in 0..2 {
                twice.add(hash(value), hash(10_000 + 2 * value + unit), 10.0);
            }
        }
        let none = Hashes::default();
        assert_eq!((once.len_with(&none), twice.len_with(&none)), (500, 500));
        let (once_max, twice_max) = (once.unseen_max(&none), twice.unseen_max(&none));
        assert!(once_max > 4_500.0 && once_max < 5_200.0, "{once_max}");
        assert!(twice_max > 27.0 && twice_max < 50.0, "{twice_max}");
        // What was certain to be seen stands for itself.
        let known = certain(&(0..500).collect::<Vec<u32>>());
        assert_eq!(once.len_with(&known), 500);
        assert!(once.unseen_max(&known) < 50.0);
    }

    #[test]
    fn merging_equals_adding_and_many_are_estimated() {
        let (mut all, mut parts) = (Singles::default(), [Singles::default(), Singles::default()]);
        for value in 0..6_000 {
            // A third was seen once.
            for unit in 0..if value % 3 == 0 { 1 } else { 2 } {
                let unit = hash(50_000 + 2 * value + unit);
                all.add(hash(value), unit, 4.0);
                parts[(unit % 2) as usize].add(hash(value), unit, 4.0);
            }
        }
        let [mut first, second] = parts;
        first.merge(&second);
        let none = Hashes::default();
        assert_eq!((first.len_with(&none), all.len_with(&none)), (6_000, 6_000));
        let (merged, added) = (first.unseen_max(&none), all.unseen_max(&none));
        assert!((merged - added).abs() < 1e-6, "{merged} {added}");
        assert!(added > 6_000.0 && added < 8_500.0, "{added}");
        assert!(all.seen.len() == VALUES_MAX);
    }
}
