//! Files without some of their rows: what flushes and merges write when an erasure has taken something, and what
//! replaces a file for an erasure or for retention alone.
//!
//! What it refuses: to hold a whole file decoded. Rows are taken out in pieces, each a segment in memory.

use std::sync::Arc;

use skein_event::ids::{Environment, Offset, Partition};
use skein_event::limits::REWRITE_ROWS;

use crate::catalog::SegmentId;
use crate::compaction::Rewritten;
use crate::error::Error;
use crate::head::{self, HeadKey};
use crate::pace::Pace;
use crate::segment::{Compression, Segment, Source, VERSION, merge_in_memory};
use crate::store::{Inner, StoredFile};
use crate::written::Work;

impl Inner {
    /// What is left of head blocks that are flushed.
    pub(crate) fn live_blocks(
        &self,
        environment: &Environment,
        partition: Partition,
        blocks: &[Arc<Segment>],
    ) -> Result<Vec<Arc<Segment>>, Error> {
        let mut live = Vec::new();
        for block in blocks {
            let first = Offset(block.offset_range().0);
            let erasures = self.state().erasures.of_head(environment, partition, first);
            let erased = self.erased_rows(&erasures, block)?;
            live.extend(self.keep_rows(block, &erased, &mut || Ok(()))?);
        }
        Ok(live)
    }

    /// What is left of files that are merged.
    pub(crate) fn live_sources(
        &self,
        files: &[StoredFile],
        open: &[Arc<Segment>],
    ) -> Result<Vec<Arc<Segment>>, Error> {
        let mut live = Vec::new();
        for (file, segment) in files.iter().zip(open) {
            let erasures = self.state().erasures.of_file(file);
            let erased = self.erased_rows(&erasures, segment)?;
            live.extend(self.keep_rows(segment, &erased, &mut || Ok(()))?);
        }
        Ok(live)
    }

    /// A segment without some rows, in pieces that stay small when they are decoded. The segment itself when
    /// there is nothing to take out; nothing when all of it goes.
    pub(crate) fn keep_rows(
        &self,
        segment: &Arc<Segment>,
        removed: &[u32],
        pause: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Vec<Arc<Segment>>, Error> {
        if removed.is_empty() {
            return Ok(vec![Arc::clone(segment)]);
        }
        let mut removed = removed.iter().copied().peekable();
        let kept: Vec<u32> = (0..segment.rows()).filter(|row| removed.next_if_eq(row).is_none()).collect();
        let header = segment.header();
        let key = HeadKey { environment: header.environment.clone(), day: header.day };
        let target = head::target(header.hash_key, header.partition, &key, Compression::None);
        let mut pieces = Vec::new();
        for rows in kept.chunks(REWRITE_ROWS) {
            pause()?;
            let gathered = segment.gather(rows)?;
            pieces.push(Arc::new(merge_in_memory(&[Source::Gathered(&gathered)], &target)?));
        }
        Ok(pieces)
    }

    /// Replaces a file by one without some rows, or by none.
    pub(crate) fn take_rows_out(
        &self,
        id: SegmentId,
        file: &StoredFile,
        removed: &[u32],
        work: Work,
        started: i64,
    ) -> Result<Option<StoredFile>, Error> {
        let mut pace = Pace::new(self);
        let segment = file.handle.open_whole()?;
        let live = self.keep_rows(&segment, removed, &mut || pace.pause())?;
        // A file of an older version is rewritten by hand, and then by nobody for long.
        let is_cold = segment.is_cold() || segment.format_version() < VERSION;
        let compression = if is_cold { Compression::Cold } else { Compression::Zstd };
        let key = HeadKey { environment: file.row.environment.clone(), day: file.row.day };
        let inputs = vec![file.clone()];
        let passed = self.state().tiers_passed.get(&file.row.id).copied().unwrap_or(0);
        let place = (file.row.partition, &key);
        let output = self.write_merged(&id, place, &inputs, &live, compression, &mut pace)?;
        let cost = pace.cost();
        self.commit_rewritten(Rewritten {
            partition: file.row.partition,
            inputs: inputs.clone(),
            output: output.clone(),
            work,
        })?;
        self.pass_tier(output.iter().map(|file| &file.row.id), passed);
        if let Some(written) = &output {
            let times = (started, self.clock.now_ns());
            self.observe_rewrite(work, times, cost, written, &inputs);
        }
        Ok(output)
    }
}
