//! The one place of Skein that reads the time (I9).

use std::time::{SystemTime, UNIX_EPOCH};

use skein_event::observe::Clock;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    fn now_ns(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            // A clock before 1970 is wrong; 0 is as wrong and cannot overflow.
            Err(_) => 0,
        }
    }
}
