//! Progress of long work, on stderr: a bar on a terminal, otherwise a line for every tenth.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// How far a piece of work is.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    total: Option<u64>,
    done: AtomicU64,
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
        Progress { what: what.to_owned(), total, done: AtomicU64::new(0), bar }
    }

    /// More was done.
    pub(crate) fn add(&self, amount: u64) {
        let before = self.done.fetch_add(amount, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(amount);
            return;
        }
        let Some(total) = self.total.filter(|total| *total > 0) else { return };
        let tenth = |done: u64| done.saturating_mul(10) / total;
        if tenth(before + amount) > tenth(before) {
            tell(&format!("{}: {} %", self.what, (tenth(before + amount) * 10).min(100)));
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
