//! Which calls fail, and the random numbers behind it.

use std::io;

/// Random numbers from a seed (splitmix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() % bound.max(1) as u64).unwrap_or_default()
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A call that is to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its number, counted from 0 over the life of the disk.
    pub call: u64,
    /// How.
    pub kind: FaultKind,
}

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Once, with an I/O error.
    Io,
    /// Once, for want of space.
    NoSpace,
    /// This call and all later ones fail without any effect, until the process or the machine starts again:
    /// the process dies in the middle of what it does.
    Death,
}

#[derive(Debug)]
pub(super) struct Faults {
    pub(super) random: Random,
    pub(super) calls: u64,
    pub(super) planned: Option<Fault>,
    pub(super) one_in: u64,
    pub(super) is_dead: bool,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Faults {
        Faults { random: Random::new(seed), calls: 0, planned: None, one_in: 0, is_dead: false }
    }

    /// Counts a call and decides whether it fails.
    pub(super) fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if self.is_dead {
            return Err(dead());
        }
        if let Some(fault) = self.planned
            && fault.call <= call
        {
            self.planned = None;
            return Err(match fault.kind {
                FaultKind::Io => io::Error::from_raw_os_error(5),
                FaultKind::NoSpace => no_space(),
                FaultKind::Death => {
                    self.is_dead = true;
                    dead()
                }
            });
        }
        if self.one_in > 0 && self.random.next_u64().is_multiple_of(self.one_in) {
            return Err(if self.random.one_in(2) { io::Error::from_raw_os_error(5) } else { no_space() });
        }
        Ok(())
    }

    pub(super) fn revive(&mut self) {
        self.is_dead = false;
    }
}

/// ENOSPC.
pub(super) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

/// The answer to a process that is no more.
pub(super) fn dead() -> io::Error {
    io::Error::other("the process is dead")
}
