//! The allocator of the process, and how it is asked to give memory back.
//!
//! Allocation is a good part of decoding telemetry, and mimalloc is faster at it than the system's. What a thread frees it
//! keeps for that thread, also when the thread has nothing more to do: the thread that encodes heads kept 64 MiB, and
//! after a burst of wide events the process some hundred. A server's threads therefore ask when they fall idle.
//!
//! What it refuses: to ask while there is work, since what is given back costs a page fault to get again.

use skein_server::ReleaseMemory;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(unsafe_code, reason = "the crate `mimalloc` links this function and offers no safe name for it")]
// SAFETY: the declaration is that of mimalloc's header.
unsafe extern "C" {
    /// Gives back what the calling thread has freed, and what no thread owns.
    safe fn mi_collect(force: bool);
}

/// For the settings of a server.
pub(crate) const RELEASE: ReleaseMemory = ReleaseMemory(|| mi_collect(true));
