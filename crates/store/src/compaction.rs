//! Compaction: small segments of one environment, partition and day become one. Size tiers bound how often an
//! event is rewritten; rows and bytes bound the memory of one merge.

use std::collections::BTreeMap;

use skein_event::ids::Partition;
use skein_event::limits::COMPACTION_BYTES_MAX;

use crate::catalog::Commit;
use crate::error::{Error, ErrorKind};
use crate::flush::Prepared;
use crate::head::{self, HeadKey};
use crate::segment::{Compression, Order, Source, merge_with};
use crate::store::{Inner, Store, StoredFile};

impl Store {
    /// Merges one group of small segments, if there is one. Returns whether there was.
    ///
    /// POST: every event is in exactly one segment that counts, before, during and after.
    pub fn compact(&self) -> Result<bool, Error> {
        let inner = &self.inner;
        let _writing = inner.begin_writing()?;
        let Some((key, partition, chosen)) = inner.choose() else { return Ok(false) };
        let started = inner.clock.now_ns();
        let outcome = inner.merge_files(&key, partition, &chosen);
        let finished = inner.clock.now_ns();
        match &outcome {
            Ok(file) => inner.observe("compaction", started, finished, &file.row, chosen.len(), None),
            Err(error) => {
                inner.observe_failure("compaction", started, finished, partition, error);
                if error.kind() == ErrorKind::Damaged {
                    inner.set_aside_damaged(&chosen);
                }
            }
        }
        outcome.map(|_| true)
    }
}

impl Inner {
    /// The group of files that is merged next: of one environment, partition and day, of similar size.
    fn choose(&self) -> Option<(HeadKey, Partition, Vec<StoredFile>)> {
        let state = self.state();
        let mut tiers: BTreeMap<_, Vec<&StoredFile>> = BTreeMap::new();
        for file in state.files.iter() {
            let row = &file.row;
            if usize::try_from(row.rows).is_ok_and(|rows| rows * 2 <= self.config.segment_rows_max) {
                let tier = row.rows.max(1).ilog2() / self.config.compaction_fanin.max(2).ilog2();
                let key = (row.environment.clone(), row.partition, row.day, tier);
                tiers.entry(key).or_default().push(file);
            }
        }
        tiers.into_iter().find_map(|((environment, partition, day, _), mut files)| {
            files.sort_by_key(|file| file.row.offset_range);
            let (mut rows, mut bytes) = (0_usize, 0_u64);
            let chosen: Vec<StoredFile> = files
                .into_iter()
                .take_while(|file| {
                    rows += usize::try_from(file.row.rows).unwrap_or(usize::MAX / 2);
                    bytes += file.row.bytes;
                    rows <= self.config.segment_rows_max && bytes <= COMPACTION_BYTES_MAX
                })
                .take(self.config.compaction_fanin)
                .cloned()
                .collect();
            let key = HeadKey { environment, day };
            (chosen.len() >= self.config.compaction_fanin).then_some((key, partition, chosen))
        })
    }

    pub(crate) fn merge_files(
        &self,
        key: &HeadKey,
        partition: Partition,
        chosen: &[StoredFile],
    ) -> Result<StoredFile, Error> {
        let mut target = head::target(self.config.hash_key, partition, key, Compression::Zstd);
        target.replaces = chosen.iter().map(|file| file.row.id.to_string()).collect();
        let open = chosen.iter().map(|file| file.handle.open()).collect::<Result<Vec<_>, Error>>()?;
        let sources: Vec<Source<'_>> = open.iter().map(|segment| Source::Segment(segment)).collect();
        // The attributes of a service become dense runs, and a question about it reads only its own (DESIGN.md §3).
        let bytes = merge_with(&sources, &target, Order::Clustered, &mut || Ok(()))?;
        let (epoch, low, applied) = {
            let state = self.state();
            let mark = &state.partitions[usize::from(partition.0)].mark;
            (mark.epoch, mark.low, mark.applied.clone())
        };
        let file = self.write_segment(partition, epoch, key, &bytes)?;
        let commit = Commit {
            partition,
            epoch,
            expected_low: low,
            new_low: low,
            applied,
            add: vec![file.row.clone()],
            remove: chosen.iter().map(|file| file.row.id.clone()).collect(),
            imports: Vec::new(),
        };
        self.settle(Prepared { commit, files: vec![file.clone()], blocks: Vec::new() })?;
        Ok(file)
    }

    /// Finds the damaged ones among some files and sets them aside.
    fn set_aside_damaged(&self, files: &[StoredFile]) {
        for file in files {
            if let Err(error) = file.handle.open().and_then(|segment| segment.verify())
                && error.kind() == ErrorKind::Damaged
            {
                file.handle.report(&error);
            }
        }
        self.set_failed_aside();
    }
}
