//! The one global budget of ingest bytes in flight (invariant I7).
//!
//! A [`Lease`] is taken before bytes are read or decompressed and given back when the response has been
//! written, whatever happens in between. Nothing waits here: at the limit the client is told to slow down,
//! since a queue in front of memory would only move the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes may be in flight, and how many are.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

/// A part of the budget; dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

// === impl Budget ===

impl Budget {
    /// A budget of `bytes_max`.
    pub fn new(bytes_max: usize) -> Arc<Budget> {
        Arc::new(Budget { bytes_max, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) })
    }

    /// Takes a part; `None` when so much is not left.
    pub fn lease(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let mut lease = Lease { budget: Arc::clone(self), bytes: 0 };
        lease.grow(bytes).then_some(lease)
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that was ever taken at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The limit.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }
}

// === impl Lease ===

impl Lease {
    /// Takes more; false, and nothing taken, when so much is not left.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&total| total <= self.budget.bytes_max)
        });
        if let Ok(before) = taken {
            self.budget.peak.fetch_max(before + bytes, Ordering::Relaxed);
            self.bytes += bytes;
        }
        taken.is_ok()
    }

    /// Gives back what is above `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        if let Some(surplus) = self.bytes.checked_sub(bytes) {
            self.budget.used.fetch_sub(surplus, Ordering::Relaxed);
            self.bytes = bytes;
        }
    }

    /// An empty lease on the same budget.
    pub fn sibling(&self) -> Option<Lease> {
        self.budget.lease(0)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_comes_back_whatever_happens() {
        let budget = Budget::new(100);
        let mut first = budget.lease(60).unwrap();
        assert!(budget.lease(41).is_none());
        assert!(!first.grow(41) && first.bytes() == 60, "a refused growth takes nothing");
        assert!(first.grow(40) && budget.used() == 100);
        first.shrink_to(10);
        assert_eq!((budget.used(), budget.peak()), (10, 100));
        first.shrink_to(50);
        assert_eq!(first.bytes(), 10, "shrinking never grows");
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.lease(usize::MAX).is_none(), "no overflow");
        assert_eq!(budget.used(), 0);
    }
}
