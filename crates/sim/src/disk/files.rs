//! A file's bytes, as the page cache shows them and as the disk holds them.

use std::collections::BTreeSet;

use super::faults::Random;

/// What a disk writes as a whole.
const SECTOR_BYTES: usize = 512;
/// What a disk may destroy as a whole, and what a file system gives out.
const BLOCK_BYTES: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Inode {
    /// What a reader sees.
    cached: Vec<u8>,
    /// What survives a power failure.
    durable: Vec<u8>,
    /// Sectors that were written and not synced.
    dirty: BTreeSet<usize>,
    len_is_dirty: bool,
    sync_failed: bool,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.cached.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.cached
    }

    pub(super) fn blocks(&self) -> Vec<Vec<u8>> {
        self.cached.chunks(BLOCK_BYTES).skip(1).take(4).map(<[u8]>::to_vec).collect()
    }

    pub(super) fn sync_failed(&self) -> bool {
        self.sync_failed
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = usize::try_from(offset).unwrap_or_default();
        let end = start + bytes.len();
        if end > self.cached.len() {
            self.cached.resize(end, 0);
            self.len_is_dirty = true;
        }
        self.cached[start..end].copy_from_slice(bytes);
        self.dirty.extend(start / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = self.cached.get(start..).unwrap_or_default();
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        count
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.cached.resize(usize::try_from(len).unwrap_or_default(), 0);
        self.len_is_dirty = true;
    }

    /// Writes what is dirty, and only that: what an earlier failed sync marked clean is not written.
    pub(super) fn sync(&mut self) {
        if self.len_is_dirty {
            self.durable.resize(self.cached.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            self.keep_sector(sector);
        }
        self.len_is_dirty = false;
    }

    /// Some sectors get through; all are marked clean.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.sync_failed = true;
        if self.len_is_dirty && random.one_in(2) {
            self.durable.resize(self.cached.len(), 0);
        }
        for sector in std::mem::take(&mut self.dirty) {
            if random.one_in(2) {
                self.keep_sector(sector);
            }
        }
        self.len_is_dirty = false;
    }

    fn keep_sector(&mut self, sector: usize) {
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.cached.len()).min(self.durable.len());
        if start < end {
            self.durable[start..end].copy_from_slice(&self.cached[start..end]);
        }
    }

    pub(super) fn power_failure(&mut self, random: &mut Random, stale: &[Vec<u8>]) {
        let before = self.durable.len();
        if self.len_is_dirty {
            // The length may be the old one, the new one, or one between.
            let len = match random.below(3) {
                0 => before,
                1 => self.cached.len(),
                _ => before.min(self.cached.len()) + random.below(self.cached.len().abs_diff(before)),
            };
            self.durable.resize(len, 0);
            self.fill_with_stale(before, random, stale);
        }
        for sector in std::mem::take(&mut self.dirty) {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.durable.len());
            if start >= end {
                continue;
            }
            match random.below(16) {
                0..8 => self.keep_sector(sector),
                // Torn: the first bytes are new, the rest is as it was.
                8 | 9 => {
                    let end = start + random.below(end - start);
                    if let Some(new) = self.cached.get(start..end) {
                        self.durable[start..end].copy_from_slice(new);
                    }
                }
                // The disk destroys the block that it was writing.
                10 => {
                    let start = start / BLOCK_BYTES * BLOCK_BYTES;
                    let end = (start + BLOCK_BYTES).min(self.durable.len());
                    self.durable[start..end].fill_with(|| random.next_u64().to_le_bytes()[0]);
                }
                _ => {}
            }
        }
        self.len_is_dirty = false;
        self.sync_failed = false;
        self.cached.clone_from(&self.durable);
    }

    /// Where a file grew and was not written, the file system may show what was there before.
    fn fill_with_stale(&mut self, from: usize, random: &mut Random, stale: &[Vec<u8>]) {
        if stale.is_empty() || !random.one_in(3) {
            return;
        }
        let first = from.next_multiple_of(BLOCK_BYTES).min(self.durable.len());
        for block in self.durable[first..].chunks_mut(BLOCK_BYTES) {
            let old = &stale[random.below(stale.len())];
            let count = old.len().min(block.len());
            block[..count].copy_from_slice(&old[..count]);
        }
    }

    pub(super) fn damage(&mut self, offset: u64, xor: u8) -> bool {
        let place = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(byte) = self.cached.get_mut(place) else { return false };
        *byte ^= xor;
        if let Some(byte) = self.durable.get_mut(place) {
            *byte ^= xor;
        }
        true
    }
}
