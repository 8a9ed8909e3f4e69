//! Whether new work is taken. Closed when the server stops: what is under way ends, what comes new is told
//! to come back.

use std::sync::atomic::{AtomicBool, Ordering};

/// Open until it is closed; never opened again.
#[derive(Debug, Default)]
pub struct Gate {
    closed: AtomicBool,
    ready: AtomicBool,
}

impl Gate {
    /// From now on new work is refused.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether new work is refused.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Recovery is done and the log is writable.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether recovery is done and the gate is open.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_closed()
    }
}
