//! The one place with `unsafe`: a file mapped into memory.
//!
//! Why it is sound: segment files are immutable. They are written under another name, synced, renamed, and
//! never opened for writing again; the store holds the data directory's LOCK, and removal leaves mapped pages
//! in place. A person who truncates a file under a running server ends the process (SIGBUS): no protection
//! against that is promised.

use std::fs::File;

/// The bytes of a segment.
pub(crate) enum SegmentBytes {
    /// In memory: head blocks, simulated disks.
    Owned(Vec<u8>),
    /// A file's pages.
    Mapped(memmap2::Mmap),
}

impl std::ops::Deref for SegmentBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            SegmentBytes::Owned(bytes) => bytes,
            SegmentBytes::Mapped(map) => map,
        }
    }
}

/// Maps a file.
pub(crate) fn map(file: &File) -> std::io::Result<SegmentBytes> {
    #[expect(unsafe_code, reason = "segment files are immutable; see the module's page")]
    // SAFETY: nothing writes to or truncates a segment file once it has its name (see above).
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(SegmentBytes::Mapped(map))
}
