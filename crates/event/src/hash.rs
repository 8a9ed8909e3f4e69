//! The keyed hash of a value's bytes, and the digest of a batch.
//!
//! The key belongs to the deployment: it is written in VERSION and in every segment header, so that equal
//! values have equal hashes in all segments and nobody outside can prepare colliding ones. Both are XXH3
//! (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), chosen for its cost on short strings: every attribute
//! value passes through it on the hot path of the door.

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The deployment's hash key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashKey(pub u64);

impl HashKey {
    /// The hash of a value's bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.0)
    }

    /// A digest wide enough that two batches of one deployment never share it by accident
    /// (2^-64 for four billion batches in a window).
    pub fn digest(self, bytes: &[u8]) -> u128 {
        xxh3_128_with_seed(bytes, self.0)
    }
}
