//! COUNT_DISTINCT: hashes, sorted, beside those that came since the last sort.
//!
//! A part of a scan hands its hashes over in bulk, so that sorting and merging cost less than a table of them would,
//! and what is kept is eight bytes a value.

use std::borrow::Cow;

/// Hashes, each once.
#[derive(Clone, Debug, Default)]
pub struct Hashes {
    /// Strictly rising.
    sorted: Vec<u64>,
    /// In order of arrival; some may be among the sorted ones.
    recent: Vec<u64>,
}

/// Fewer are not worth a sort.
const RECENT_MIN: usize = 64;

impl Hashes {
    /// Adds one.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        if self.recent.last() == Some(&hash) {
            return;
        }
        self.recent.push(hash);
        if self.recent.len() > self.sorted.len().max(RECENT_MIN) {
            self.settle();
        }
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Hashes) {
        if self.sorted.is_empty() && self.recent.is_empty() {
            *self = other.clone();
            return;
        }
        self.recent.extend_from_slice(&other.recent);
        if other.sorted.len() > self.sorted.len() / 8 {
            self.sorted = union(&self.sorted, &other.sorted);
        } else {
            self.recent.extend_from_slice(&other.sorted);
        }
        if self.recent.len() > self.sorted.len().max(RECENT_MIN) {
            self.settle();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.settled().len()
    }

    /// All of them, strictly rising.
    pub fn settled(&self) -> Cow<'_, [u64]> {
        if self.recent.is_empty() {
            return Cow::Borrowed(&self.sorted);
        }
        let mut settled = self.clone();
        settled.settle();
        Cow::Owned(settled.sorted)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty() && self.recent.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        (self.sorted.capacity() + self.recent.capacity()) * size_of::<u64>()
    }

    fn settle(&mut self) {
        self.recent.sort_unstable();
        self.recent.dedup();
        self.sorted =
            if self.sorted.is_empty() { self.recent.clone() } else { union(&self.sorted, &self.recent) };
        self.recent.clear();
    }
}

/// What is in either of two rising lists, rising.
fn union(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut all = Vec::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a, b);
    while let (Some((&first, rest_of_a)), Some((&second, rest_of_b))) = (a.split_first(), b.split_first()) {
        all.push(first.min(second));
        if first <= second {
            a = rest_of_a;
        }
        if second <= first {
            b = rest_of_b;
        }
    }
    all.extend_from_slice(a);
    all.extend_from_slice(b);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Lists of many lengths, added one by one or as a part, whose hashes meet again and again.
    #[test]
    fn each_hash_counts_once() {
        for step in [1_u64, 7, 97] {
            let (mut all, mut expected) = (Hashes::default(), HashSet::new());
            for (list, len) in (0_u64..).zip([0, 1, 63, 64, 65, 400, 3, 1_000, 2]) {
                let hashes = (0..len).map(|place| (list * 31 + place * step) % 701);
                expected.extend(hashes.clone());
                if list % 2 == 0 {
                    hashes.for_each(|hash| all.add(hash));
                } else {
                    let mut part = Hashes::default();
                    hashes.for_each(|hash| part.add(hash));
                    assert!(part.len() <= usize::try_from(len).unwrap_or(0));
                    all.merge(&part);
                }
                assert_eq!(all.len(), expected.len(), "list {list} of step {step}");
                assert_eq!(all.is_empty(), expected.is_empty());
            }
        }
    }
}
