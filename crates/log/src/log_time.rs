//! Log time: the wall clock made monotone, which every window of the log is measured in.
//!
//! It never falls, also over restarts, since it begins at the latest time that the log holds. When the wall
//! clock is behind it, because it was set back, log time runs at half the clock's pace until the two meet:
//! standing still would make windows last for ever and the table of batch keys fill up.

/// The state of log time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogTime {
    log_ns: i64,
    clock_ns: i64,
}

impl LogTime {
    /// Log time that goes on from `log_ns` at a wall clock of `clock_ns`.
    pub(crate) fn new(log_ns: i64, clock_ns: i64) -> LogTime {
        LogTime { log_ns, clock_ns }
    }

    /// Log time at a wall clock of `clock_ns`.
    pub(crate) fn advance(&mut self, clock_ns: i64) -> i64 {
        let elapsed_ns = clock_ns.saturating_sub(self.clock_ns).max(0);
        self.log_ns = self.log_ns.saturating_add(elapsed_ns / 2).max(clock_ns);
        if elapsed_ns > 1 || clock_ns < self.clock_ns {
            self.clock_ns = clock_ns;
        }
        self.log_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_time_never_falls_and_never_stands_still() {
        let mut time = LogTime::new(100, 50);
        let steps = [
            (50, 100),
            (70, 110),
            (1_000, 1_000),
            (400, 1_000),
            (600, 1_100),
            (1_600, 1_600),
            (1_601, 1_601),
        ];
        for (clock_ns, expected) in steps {
            assert_eq!(time.advance(clock_ns), expected, "at {clock_ns}");
        }
    }
}
