//! Which lines of imported files were applied: one bit per line, environment, partition and file, kept for
//! good (invariant I4), so that importing a file again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use skein_event::ids::{Environment, Partition};

use crate::catalog::{IMPORT_LINES, ImportLines};

type Key = (Partition, Environment, [u8; 32], u32);

/// Bytes of one chunk's bits.
const CHUNK_BYTES: usize = IMPORT_LINES as usize / 8;

/// All lines ever applied. A file of a million lines takes 128 KiB per partition.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    chunks: BTreeMap<Key, Vec<u8>>,
    /// Chunks that the catalog does not have yet.
    changed: BTreeSet<Key>,
}

impl Imports {
    pub(crate) fn load(lines: Vec<ImportLines>) -> Imports {
        let chunks = lines.into_iter().map(|lines| {
            let mut bits = lines.bits;
            bits.resize(CHUNK_BYTES, 0);
            ((lines.partition, lines.environment, lines.file, lines.number), bits)
        });
        Imports { chunks: chunks.collect(), changed: BTreeSet::new() }
    }

    pub(crate) fn insert(
        &mut self,
        environment: &Environment,
        partition: Partition,
        file: &[u8; 32],
        line: u32,
    ) {
        let (key, byte, bit) = place(environment, partition, file, line);
        let bits = self.chunks.entry(key.clone()).or_insert_with(|| vec![0; CHUNK_BYTES]);
        if bits[byte] & bit == 0 {
            bits[byte] |= bit;
            self.changed.insert(key);
        }
    }

    pub(crate) fn contains(
        &self,
        environment: &Environment,
        partition: Partition,
        file: &[u8; 32],
        line: u32,
    ) -> bool {
        let (key, byte, bit) = place(environment, partition, file, line);
        self.chunks.get(&key).is_some_and(|bits| bits[byte] & bit != 0)
    }

    /// What a commit of the partition must write. Lines that were applied after the flush began may be among
    /// them: they are durable in the log, so that knowing them early is no lie.
    pub(crate) fn changed(&self, partition: Partition) -> Vec<ImportLines> {
        let of_partition = self.changed.iter().filter(|key| key.0 == partition);
        of_partition
            .filter_map(|key| {
                let (partition, environment, file, number) = key.clone();
                let bits = self.chunks.get(key)?.clone();
                Some(ImportLines { environment, partition, file, number, bits })
            })
            .collect()
    }

    /// Everything known of a partition.
    pub(crate) fn all(&self, partition: Partition) -> Vec<ImportLines> {
        let of_partition = self.chunks.iter().filter(|(key, _)| key.0 == partition);
        of_partition
            .map(|(key, bits)| {
                let (partition, environment, file, number) = key.clone();
                ImportLines { environment, partition, file, number, bits: bits.clone() }
            })
            .collect()
    }

    /// The catalog has these now.
    pub(crate) fn committed(&mut self, lines: &[ImportLines]) {
        for lines in lines {
            let key = (lines.partition, lines.environment.clone(), lines.file, lines.number);
            if self.chunks.get(&key) == Some(&lines.bits) {
                self.changed.remove(&key);
            }
        }
    }
}

fn place(environment: &Environment, partition: Partition, file: &[u8; 32], line: u32) -> (Key, usize, u8) {
    let key = (partition, environment.clone(), *file, line / IMPORT_LINES);
    let within = (line % IMPORT_LINES) as usize;
    (key, within / 8, 1 << (within % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_remembered_for_its_file_partition_and_environment_alone() {
        let (ours, theirs) = (Environment::default_environment(), Environment::skein());
        let mut imports = Imports::default();
        for line in [0, 7, 8, 4095, 4096, u32::MAX] {
            assert!(!imports.contains(&ours, Partition(1), &[1; 32], line));
            imports.insert(&ours, Partition(1), &[1; 32], line);
            assert!(imports.contains(&ours, Partition(1), &[1; 32], line));
            assert!(!imports.contains(&theirs, Partition(1), &[1; 32], line));
            assert!(!imports.contains(&ours, Partition(2), &[1; 32], line));
            assert!(!imports.contains(&ours, Partition(1), &[2; 32], line));
        }
        assert!(!imports.contains(&ours, Partition(1), &[1; 32], 9));
        let changed = imports.changed(Partition(1));
        assert_eq!(changed.len(), 3);
        assert!(imports.changed(Partition(2)).is_empty());
        imports.insert(&ours, Partition(1), &[1; 32], 9);
        imports.committed(&changed);
        assert_eq!(imports.changed(Partition(1)).len(), 1, "what came meanwhile is still to be written");
        let reloaded = Imports::load(changed);
        assert!(reloaded.contains(&ours, Partition(1), &[1; 32], u32::MAX));
        assert!(reloaded.changed(Partition(1)).is_empty());
    }
}
