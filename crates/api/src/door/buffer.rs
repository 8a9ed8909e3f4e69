//! A byte buffer that takes every byte of its capacity from the budget before it allocates it, and never
//! grows past its limit. Both the body as sent and its decompressed form live in one.

use crate::budget::Lease;

/// See the module.
#[derive(Debug)]
pub(crate) struct LeasedBuffer {
    bytes: Vec<u8>,
    lease: Lease,
    bytes_max: usize,
}

/// Why a buffer cannot grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GrowError {
    /// Past the limit of one request.
    TooLarge,
    /// Past the budget of all requests.
    OverBudget,
}

impl LeasedBuffer {
    /// An empty buffer that grows on the account of `lease`, up to `bytes_max`.
    pub(crate) fn new(lease: Lease, bytes_max: usize) -> LeasedBuffer {
        LeasedBuffer { bytes: Vec::new(), lease, bytes_max }
    }

    /// Makes room for `additional` bytes.
    ///
    /// Capacity doubles, so that a body of unknown length costs a linear amount of copying; the budget is
    /// asked for the capacity, not for the bytes, since that is what is allocated.
    pub(crate) fn reserve(&mut self, additional: usize) -> Result<(), GrowError> {
        let needed = self.bytes.len().checked_add(additional).filter(|&needed| needed <= self.bytes_max);
        let needed = needed.ok_or(GrowError::TooLarge)?;
        let capacity = self.bytes.capacity();
        if needed <= capacity {
            return Ok(());
        }
        let doubled = capacity.saturating_mul(2).clamp(needed, self.bytes_max);
        // When the budget is tight the exact need may still fit.
        let target = [doubled, needed].into_iter().find(|target| self.lease.grow(target - capacity));
        let target = target.ok_or(GrowError::OverBudget)?;
        self.bytes.reserve_exact(target - self.bytes.len());
        Ok(())
    }

    /// Appends bytes.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Result<(), GrowError> {
        self.reserve(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes that may still come before the limit.
    pub(crate) fn left(&self) -> usize {
        self.bytes_max - self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// A second, empty lease on the same budget.
    pub(crate) fn sibling(&self) -> Option<Lease> {
        self.lease.sibling()
    }

    /// Splits into the bytes and the lease that pays for them.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Lease) {
        (self.bytes, self.lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn capacity_is_paid_for_before_it_is_allocated() {
        let budget = Budget::new(1_000);
        let mut buffer = LeasedBuffer::new(budget.lease(0).unwrap(), 900);
        for round in 0..9 {
            buffer.extend(&[round; 100]).unwrap();
            assert!(budget.used() >= buffer.bytes.capacity(), "round {round}");
        }
        assert_eq!(buffer.extend(b"x"), Err(GrowError::TooLarge));
        let mut other = LeasedBuffer::new(budget.lease(0).unwrap(), 900);
        assert_eq!(other.extend(&[0; 101]), Err(GrowError::OverBudget));
        assert_eq!(other.extend(&[0; 100]), Ok(()));
        drop(buffer);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
