//! The store's one place with `unsafe`: files mapped into memory, and the choice between two compilations of the inner
//! loops.
//!
//! Why the mapping is sound: segment files are immutable. They are written under another name, synced, renamed,
//! and never opened for writing again; the store holds the data directory's LOCK, and removal leaves mapped
//! pages in place. A person who truncates a file under a running server ends the process (SIGBUS): no protection
//! against that is promised.
//!
//! Why the choice is sound: a function compiled for x86-64-v3 is called only after the processor said that it
//! has every feature that the function was compiled for. Both compilations are of the same safe code
//! ([`super::kernels`]).

use std::fs::File;

use super::kernels;

/// The bytes of a segment.
pub(crate) enum SegmentBytes {
    /// In memory: head blocks, simulated disks.
    Owned(Vec<u8>),
    /// A file's pages.
    Mapped(memmap2::Mmap),
}

impl SegmentBytes {
    /// Bytes that it keeps from others, room for more included.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            SegmentBytes::Owned(bytes) => bytes.capacity(),
            SegmentBytes::Mapped(_) => 0,
        }
    }
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

/// Maps the part of `footers.cat` that was written: from `offset`, which is a whole page, to its end of this moment.
/// Its bytes never change either: entries are only ever written beyond the end that the file had when it was mapped, and
/// the slots before `offset`, which do change, are not mapped.
pub(crate) fn map_from(file: &File, offset: u64) -> std::io::Result<SegmentBytes> {
    #[expect(unsafe_code, reason = "entries are immutable; see above")]
    // SAFETY: nothing writes to or truncates what is mapped (see above).
    let map = unsafe { memmap2::MmapOptions::new().offset(offset).map(file)? };
    Ok(SegmentBytes::Mapped(map))
}

/// Maps a file.
pub(crate) fn map(file: &File) -> std::io::Result<SegmentBytes> {
    #[expect(unsafe_code, reason = "segment files are immutable; see the module's page")]
    // SAFETY: nothing writes to or truncates a segment file once it has its name (see above).
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(SegmentBytes::Mapped(map))
}

/// Whether the processor has what x86-64-v3 asks for; asked once, the answer is a load afterwards.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_v3() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("movbe")
    })
}

macro_rules! compiled_twice {
    ($(#[$doc:meta])* $name:ident, $v3:ident, $value:ty) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,fma,movbe")]
        fn $v3(bits: &[u8], width: u32, out: &mut [$value]) {
            kernels::$name(bits, width, out);
        }

        $(#[$doc])*
        pub(super) fn $name(bits: &[u8], width: u32, out: &mut [$value]) {
            #[cfg(target_arch = "x86_64")]
            if has_v3() {
                #[expect(unsafe_code, reason = "the processor has the features; see the module's page")]
                // SAFETY: `has_v3` has just told that every feature of the function is there.
                return unsafe { $v3(bits, width, out) };
            }
            kernels::$name(bits, width, out);
        }
    };
}

compiled_twice! {
    /// [`kernels::unpack_u64`], in the compilation for this processor.
    unpack_u64, unpack_u64_v3, u64
}
compiled_twice! {
    /// [`kernels::unpack_u32`], in the compilation for this processor.
    unpack_u32, unpack_u32_v3, u32
}
