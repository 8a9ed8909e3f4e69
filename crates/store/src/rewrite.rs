//! Rewrites segments of an older format version, one after another, for `skein doctor --rewrite`: each is merged
//! with itself into a segment of the current version, and takes its place in one commit, as a compaction's does.
//!
//! What this module refuses to do: to touch what is damaged. A segment that cannot be read whole stays as it is
//! and is named.

use crate::catalog::SegmentId;
use crate::error::{Error, ErrorKind};
use crate::segment::VERSION;
use crate::store::{Inner, Store, StoredFile};
use crate::written::Work;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RewriteReport {
    /// Segments that were rewritten.
    pub rewritten: u64,
    /// Their bytes before and after.
    pub bytes_before: u64,
    /// See `bytes_before`.
    pub bytes_after: u64,
    /// Segments that stay as they are since they cannot be read, and why.
    pub damaged: Vec<(SegmentId, String)>,
}

impl Store {
    /// Rewrites every segment of an older format version. `progress` hears how many were looked at and how many
    /// there are.
    ///
    /// POST: on `Ok`, every segment that counts and is not named as damaged is of the current version, with the
    /// same events. On `Err`, each segment is either of the two, and a later call goes on.
    pub fn rewrite_old(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<RewriteReport, Error> {
        let files: Vec<StoredFile> = self.inner.state().files.iter().cloned().collect();
        let total = files.len() as u64;
        let mut report = RewriteReport::default();
        for (done, file) in (0_u64..).zip(&files) {
            progress(done, total);
            match file.handle.open_whole() {
                Ok(segment) if segment.format_version() < VERSION => self.inner.rewrite(file, &mut report)?,
                Ok(_) => {}
                Err(error) => report.damaged.push((file.row.id.clone(), error.to_string())),
            }
        }
        progress(total, total);
        Ok(report)
    }
}

impl Inner {
    fn rewrite(&self, file: &StoredFile, report: &mut RewriteReport) -> Result<(), Error> {
        let _maintaining = self.begin_maintenance();
        let row = &file.row;
        if !self.state().files.contains(&row.id) {
            return Ok(()); // Compaction was faster.
        }
        let (id, started) = (self.next_segment_id(row.partition), self.clock.now_ns());
        let erased = {
            let erasures = self.state().erasures.of_file(file);
            file.handle.open_whole().and_then(|segment| self.erased_rows(&erasures, &segment))
        };
        let removed = |rows: Vec<u32>| self.take_rows_out(id, file, &rows, Work::Compaction, started);
        match erased.and_then(removed) {
            Ok(written) => {
                report.rewritten += 1;
                report.bytes_before += row.bytes;
                report.bytes_after += written.map_or(0, |written| written.row.bytes);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                report.damaged.push((row.id.clone(), error.to_string()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
