//! What happens at a moment, ordered by time and then by the order in which it was scheduled, so that a run is
//! the same each time.

use super::frame::{FrameId, PodId, Signal, Token};

#[derive(Debug)]
pub(super) enum Event {
    Arrive,
    Signal { frame: FrameId, token: Token, signal: Signal },
    Reclaim { pod: PodId },
    Begin,
    Repair,
    Measure,
}

#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) time_ns: i64,
    pub(super) sequence: u64,
    pub(super) event: Event,
}

// === impl Scheduled ===

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        (self.time_ns, self.sequence) == (other.time_ns, other.sequence)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> std::cmp::Ordering {
        (self.time_ns, self.sequence).cmp(&(other.time_ns, other.sequence))
    }
}
