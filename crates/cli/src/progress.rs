//! Progress of long work, on stderr: a bar on a terminal, otherwise a line now and then.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::times;

/// Without a terminal, no more than a line in this time: a log should not fill with percentages.
const TELL_EVERY_NS: i64 = 10_000_000_000;

/// How far a piece of work is.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    total: Option<u64>,
    done: AtomicU64,
    told_ns: AtomicI64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of a known number of bytes.
    pub(crate) fn bytes(what: &str, total: u64) -> Progress {
        let template = "{prefix} {wide_bar} {bytes}/{total_bytes} {eta}";
        Progress::new(what, Some(total), ProgressBar::new(total), template)
    }

    /// Of a known number of steps.
    pub(crate) fn slices(what: &str, total: u64) -> Progress {
        Progress::new(what, Some(total), ProgressBar::new(total), "{prefix} {wide_bar} {percent} % {eta}")
    }

    /// Of nobody knows how many bytes.
    pub(crate) fn stream(what: &str) -> Progress {
        Progress::new(what, None, ProgressBar::no_length(), "{prefix} {spinner} {bytes} {bytes_per_sec}")
    }

    fn new(what: &str, total: Option<u64>, bar: ProgressBar, template: &str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.set_prefix(what.to_owned());
            bar
        });
        Progress {
            what: what.to_owned(),
            total,
            done: AtomicU64::new(0),
            told_ns: AtomicI64::new(times::now_ns()),
            bar,
        }
    }

    /// More was done.
    pub(crate) fn add(&self, amount: u64) {
        let done = self.done.fetch_add(amount, Ordering::Relaxed).saturating_add(amount);
        if let Some(bar) = &self.bar {
            bar.inc(amount);
            return;
        }
        let Some(total) = self.total.filter(|total| *total > 0) else { return };
        let (now_ns, told_ns) = (times::now_ns(), self.told_ns.load(Ordering::Relaxed));
        if now_ns.saturating_sub(told_ns) >= TELL_EVERY_NS
            && self.told_ns.compare_exchange(told_ns, now_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            tell(&format!("{}: {} %", self.what, done.saturating_mul(100) / total));
        }
    }

    /// Says something without breaking the bar.
    pub(crate) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| tell(line)),
            None => tell(line),
        }
    }

    /// The work is over.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line on stderr. When nobody listens, the work goes on all the same.
pub(crate) fn tell(line: &str) {
    let told = writeln!(std::io::stderr().lock(), "{line}");
    drop(told);
}
