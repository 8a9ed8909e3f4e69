//! What a scan looked at: for the answer's `meta`, and for what is said of it.

use skein_query::result::SegmentCounts;

/// What a scan looked at.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    pub(crate) segments: SegmentCounts,
    pub(crate) rows_scanned: u64,
    pub(crate) rows_matched: u64,
    /// Rows of the range and the datasets, before filters.
    pub(crate) rows_in_range: u64,
    pub(crate) bytes_scanned: u64,
    /// Rows whose trace has no root where roots were looked for.
    pub(crate) rootless: u64,
    /// Segments read that keep values beyond the column limit in overflow maps.
    pub(crate) segments_overflowed: u64,
}

impl Counters {
    /// Adds what another scan of the query looked at.
    pub(crate) fn add(&mut self, other: &Counters) {
        self.rows_scanned += other.rows_scanned;
        self.bytes_scanned += other.bytes_scanned;
        self.segments_overflowed += other.segments_overflowed;
        self.segments = other.segments;
        self.rows_matched = other.rows_matched;
        self.rows_in_range = other.rows_in_range;
        self.rootless = other.rootless;
    }

    /// Adds what another part of the same scan looked at.
    pub(crate) fn join(&mut self, other: &Counters) {
        self.segments.considered += other.segments.considered;
        self.segments.pruned += other.segments.pruned;
        self.segments.scanned += other.segments.scanned;
        self.rows_scanned += other.rows_scanned;
        self.rows_matched += other.rows_matched;
        self.rows_in_range += other.rows_in_range;
        self.bytes_scanned += other.bytes_scanned;
        self.rootless += other.rootless;
        self.segments_overflowed += other.segments_overflowed;
    }
}
