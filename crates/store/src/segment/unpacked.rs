//! What was unpacked, kept for whoever asks next: blocks of text that were unpacked for a single value, since the
//! dictionaries of most columns fit a block and rows that are shown together ask the same ones; and integers that lie
//! in a wrap ([`super::ints_wrap`]), eight blocks at a time, of which a scan asks for one after another.
//!
//! One cache serves all files of a store, so that its bound is one. What it refuses to do: to keep the text that
//! a scan unpacks, which reads each block once, and blocks that would fill it by themselves.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use skein_event::limits::UNPACKED_ALONE_BYTES_MAX;

use super::bytes::length;
use super::reader::Segment;
use crate::error::Error;

/// Threads that ask at once meet in one of so many parts rarely.
const SHARDS: usize = 8;
/// What a block takes beside its bytes, about.
const BLOCK_OVERHEAD_BYTES: usize = 160;
/// A block takes such a part of its shard at most.
const BLOCK_FRACTION: usize = 8;

/// A block of text, unpacked and checked, or the bits of some blocks of integers.
#[derive(Debug)]
pub(super) struct UnpackedBlock {
    pub(super) plain: Vec<u8>,
    /// Of text: where each value starts, and where the last one ends.
    pub(super) starts: Vec<u32>,
}

impl UnpackedBlock {
    fn bytes(&self) -> usize {
        self.plain.len() + self.starts.len() * size_of::<u32>() + BLOCK_OVERHEAD_BYTES
    }
}

/// The file, and where in it the block begins.
type Key = (u64, u64);

/// Unpacked parts of many files, bounded by their bytes. Those that nobody asked for again go first.
#[derive(Debug)]
pub struct UnpackedCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    files: AtomicU64,
}

/// Keys are numbers that this process gave and places in files: multiplying spreads them well enough.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

#[derive(Debug, Default)]
struct Shard {
    blocks: HashMap<Key, Kept, BuildHasherDefault<KeyHasher>>,
    /// Roughly from the one that was asked for longest ago.
    order: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    block: Arc<UnpackedBlock>,
    /// Since it was passed over last.
    is_touched: bool,
}

impl UnpackedCache {
    /// An empty one that keeps so many bytes at most.
    pub fn new(bytes_max: usize) -> UnpackedCache {
        UnpackedCache {
            shards: std::array::from_fn(|_| Mutex::default()),
            shard_bytes_max: bytes_max / SHARDS,
            files: AtomicU64::new(0),
        }
    }

    /// Bytes that it keeps.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    /// A number for a file that nothing else has had.
    pub(super) fn next_file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, (file, at): Key) -> &Mutex<Shard> {
        let mixed = (file.rotate_left(32) ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.shards[usize::try_from(mixed >> 61).unwrap_or(0) % SHARDS]
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<UnpackedBlock>> {
        let mut shard = lock(self.shard(key));
        let kept = shard.blocks.get_mut(&key)?;
        kept.is_touched = true;
        Some(Arc::clone(&kept.block))
    }

    /// Keeps a block unless it is too large.
    pub(super) fn keep(&self, key: Key, block: &Arc<UnpackedBlock>) {
        let bytes = block.bytes();
        if bytes > self.shard_bytes_max / BLOCK_FRACTION {
            return;
        }
        let mut shard = lock(self.shard(key));
        let kept = Kept { block: Arc::clone(block), is_touched: false };
        if shard.blocks.insert(key, kept).is_some() {
            // Two threads unpacked the same block: it is counted already.
            return;
        }
        shard.order.push_back(key);
        shard.bytes += bytes;
        while shard.bytes > self.shard_bytes_max {
            let Some(oldest) = shard.order.pop_front() else { break };
            let Some(kept) = shard.blocks.get_mut(&oldest) else { continue };
            if std::mem::take(&mut kept.is_touched) {
                shard.order.push_back(oldest);
            } else if let Some(kept) = shard.blocks.remove(&oldest) {
                shard.bytes -= kept.block.bytes();
            }
        }
    }
}

/// Where a segment keeps what was unpacked of it, and whether something could not be.
#[derive(Clone)]
pub(super) struct Keeper {
    cache: Arc<UnpackedCache>,
    /// The file's number in the cache.
    file: u64,
    failure: Arc<OnceLock<String>>,
}

impl Keeper {
    fn new(cache: &Arc<UnpackedCache>) -> Keeper {
        Keeper { file: cache.next_file(), cache: Arc::clone(cache), failure: Arc::default() }
    }

    /// Remembers that something could not be unpacked for a read that cannot fail.
    #[cold]
    pub(super) fn note_failure(&self, error: &Error) {
        self.failure.get_or_init(|| error.to_string());
    }

    /// An error when something could not be unpacked: what was read since is not what was written.
    pub(super) fn has_unwrapped(&self) -> Result<(), Error> {
        match self.failure.get() {
            None => Ok(()),
            Some(message) => Err(Error::damaged(message.clone())),
        }
    }
}

impl Default for Keeper {
    /// That of a segment which shares with no other.
    fn default() -> Keeper {
        Keeper::new(&Arc::new(UnpackedCache::new(UNPACKED_ALONE_BYTES_MAX)))
    }
}

impl Segment {
    /// The same segment, of which a cache keeps what was unpacked.
    pub fn kept_in(mut self, cache: &Arc<UnpackedCache>) -> Segment {
        self.keeper = Keeper::new(cache);
        self
    }

    /// Another view of the same segment, for whoever reads all of it once, as a merge does: what it unpacks does not
    /// displace what questions ask for.
    pub(crate) fn aside(&self, cache: &Arc<UnpackedCache>) -> Segment {
        self.share().kept_in(cache)
    }

    /// What was unpacked before.
    pub(super) fn kept_block(&self, stored: &[u8]) -> Option<Arc<UnpackedBlock>> {
        self.keeper.cache.get((self.keeper.file, length(self.place_of(stored))))
    }

    pub(super) fn keep_block(&self, stored: &[u8], block: &Arc<UnpackedBlock>) {
        self.keeper.cache.keep((self.keeper.file, length(self.place_of(stored))), block);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(byte: u8) -> Arc<UnpackedBlock> {
        Arc::new(UnpackedBlock { plain: vec![byte; 1_000], starts: vec![0, 1_000] })
    }

    #[test]
    fn what_is_asked_for_stays_and_the_bound_holds() {
        let cache = UnpackedCache::new(SHARDS * 10 * 1_200);
        let file = cache.next_file();
        cache.keep((file, 0), &block(7));
        for at in 1..1_000 {
            cache.keep((file, at), &block(8));
            assert!(cache.get((file, 0)).is_some_and(|block| block.plain[0] == 7), "{at}");
            assert!(cache.bytes() <= SHARDS * 10 * 1_200);
        }
        assert!(cache.bytes() > SHARDS * 8 * 1_168);
        assert!(cache.get((file, 1)).is_none());
        assert!(cache.get((cache.next_file(), 0)).is_none());
    }

    #[test]
    fn a_block_that_would_fill_it_is_not_kept() {
        let cache = UnpackedCache::new(SHARDS * 8 * 1_000);
        cache.keep((0, 0), &block(1));
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn a_block_that_comes_twice_counts_once() {
        let cache = UnpackedCache::new(1 << 20);
        cache.keep((0, 0), &block(1));
        let bytes = cache.bytes();
        cache.keep((0, 0), &block(1));
        assert_eq!(cache.bytes(), bytes);
    }
}
