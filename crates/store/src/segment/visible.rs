//! What of a segment may be seen. An erasure takes rows out of every answer long before a file is rewritten
//! without them: [`Segment::without`] is the same segment, of which these rows are in no list of rows, no trace
//! and no batch.
//!
//! Numbers that a footer keeps (rows, ranges, present and distinct values, zones) still count them. They may
//! exclude what is asked for; they are no answers. Whoever wants to answer from them asks
//! [`Segment::has_erased`] first.

use std::sync::Arc;

use super::reader::Segment;
use crate::error::Error;

impl Segment {
    /// Another view of the same bytes.
    pub(super) fn share(&self) -> Segment {
        Segment {
            bytes: Arc::clone(&self.bytes),
            header: self.header.clone(),
            footer: self.footer,
            compared: Arc::clone(&self.compared),
            checked: Arc::clone(&self.checked),
            keeper: self.keeper.clone(),
            erased: self.erased.clone(),
        }
    }

    /// The same segment without some rows, which rise.
    pub fn without(&self, rows: Arc<[u32]>) -> Segment {
        debug_assert!(rows.is_sorted());
        let mut segment = self.share();
        segment.erased = Some(rows).filter(|rows| !rows.is_empty());
        segment
    }

    /// Whether any row may not be seen.
    pub fn has_erased(&self) -> bool {
        self.erased.is_some()
    }

    /// The rows that may not be seen, rising.
    pub fn erased_rows(&self) -> &[u32] {
        self.erased.as_deref().unwrap_or(&[])
    }

    /// Whether a row may be seen.
    pub fn is_visible(&self, row: u32) -> bool {
        self.erased_rows().binary_search(&row).is_err()
    }

    /// All row numbers that may be seen, for whoever wants everything.
    pub fn all_rows(&self) -> Vec<u32> {
        (0..self.rows()).filter(|&row| !self.has_erased() || self.is_visible(row)).collect()
    }

    /// Number of rows that may be seen.
    pub fn visible_rows(&self) -> u32 {
        // Erased rows are rows.
        self.rows() - u32::try_from(self.erased_rows().len()).unwrap_or(0)
    }

    /// Takes out of a mask, whose first entry is row `start`, the rows that may not be seen.
    pub fn hide_erased(&self, start: u32, mask: &mut [bool]) {
        let erased = self.erased_rows();
        let first = erased.partition_point(|&row| row < start);
        for &row in erased.get(first..).unwrap_or(&[]) {
            match mask.get_mut((row - start) as usize) {
                Some(keep) => *keep = false,
                None => break,
            }
        }
    }

    /// About how many bytes of text a merge holds of it at once: a merge takes one column's dictionary at a time,
    /// and text of few kilobytes a block packs to a quarter.
    pub(crate) fn text_bytes(&self) -> Result<u64, Error> {
        const PLAIN_PER_STORED: u64 = 4;
        let lengths = self.columns().map(|info| info.map(|info| info.bytes.max(info.dictionary.length)));
        let largest = lengths.collect::<Result<Vec<u64>, Error>>()?.into_iter().max();
        Ok(largest.unwrap_or(0).saturating_mul(PLAIN_PER_STORED))
    }
}
