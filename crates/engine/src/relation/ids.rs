//! Numbers for traces, and a hash for pairs of ids.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A trace that has no number.
pub(crate) const NO_TRACE: u32 = u32::MAX;

/// The traces that a query has come across, numbered in the order in which it did.
#[derive(Debug, Default)]
pub(crate) struct TraceNumbers {
    by_id: HashMap<[u8; 16], u32>,
}

impl TraceNumbers {
    /// The number of a trace, a new one if it has none.
    pub(crate) fn number(&mut self, id: [u8; 16]) -> u32 {
        let next = u32::try_from(self.by_id.len()).unwrap_or(NO_TRACE);
        *self.by_id.entry(id).or_insert(next)
    }

    /// The number of a trace, [`NO_TRACE`] if it has none.
    pub(crate) fn find(&self, id: &[u8; 16]) -> u32 {
        self.by_id.get(id).copied().unwrap_or(NO_TRACE)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.by_id.capacity() * (size_of::<([u8; 16], u32)>() + 1)
    }
}

/// A span by the number of its trace and its id.
pub(crate) type SpanKey = (u32, u64);

/// Makes hashes of [`SpanKey`]s: one multiplication each way, since there is one for every row. The secret is drawn
/// anew for each map, since ids come from outside and whoever knows the hash could make all of them collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpanHash {
    secret: u64,
}

impl Default for SpanHash {
    fn default() -> SpanHash {
        SpanHash { secret: RandomState::new().hash_one(0_u8) | 1 }
    }
}

impl BuildHasher for SpanHash {
    type Hasher = SpanHasher;

    fn build_hasher(&self) -> SpanHasher {
        SpanHasher { state: self.secret, secret: self.secret }
    }
}

/// Folds each number into the state by the halves of a product (wyhash, github.com/wangyi-fudan/wyhash).
#[derive(Debug)]
pub(crate) struct SpanHasher {
    state: u64,
    secret: u64,
}

impl Hasher for SpanHasher {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.state ^ number) * u128::from(self.secret ^ 0xa076_1d64_78bd_642f);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        self.state = folded;
    }
}
