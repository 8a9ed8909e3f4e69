//! Reads the Prometheus text of /metrics, and waits until a server has nothing left to do.

use std::thread;
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::clock;
use crate::http::Connection;
use crate::process::Server;
use crate::report::progress;

/// The environment that the benchmark fills.
const ENVIRONMENT: &str = "default";

/// Names and values.
type Labels = Vec<(String, String)>;

/// Samples by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Metrics {
    samples: Vec<(String, Labels, f64)>,
}

// === impl Metrics ===

impl Metrics {
    /// Reads what this server writes; label values with quotes do not occur in it.
    pub(crate) fn parse(text: &str) -> Metrics {
        let sample = |line: &str| {
            let (head, value) = line.rsplit_once(' ')?;
            let (name, labels) = head.split_once('{').unwrap_or((head, ""));
            let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
            let labels = pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
            Some((name.to_owned(), labels.collect(), value.parse().ok()?))
        };
        Metrics { samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect() }
    }

    /// The sum of a metric over its samples in the measured environment that have a label; `None` when the server
    /// does not know the metric.
    pub(crate) fn sum(&self, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
        let of_name: Vec<_> = self.samples.iter().filter(|sample| sample.0 == name).collect();
        let has = |labels: &[(String, String)], wanted: (&str, &str)| {
            labels.iter().any(|(name, value)| (name.as_str(), value.as_str()) == wanted)
        };
        let counts = |labels: &[(String, String)]| {
            let elsewhere = labels.iter().any(|(name, value)| name == "environment" && value != ENVIRONMENT);
            !elsewhere && label.is_none_or(|wanted| has(labels, wanted))
        };
        let known = !of_name.is_empty();
        known.then(|| of_name.iter().filter(|sample| counts(&sample.1)).map(|sample| sample.2).sum())
    }

    /// Rows that are in no segment yet.
    pub(crate) fn head_rows(&self) -> f64 {
        self.sum("skein_head_rows", None).unwrap_or(0.0)
    }

    /// Segments that count.
    pub(crate) fn segments(&self) -> f64 {
        self.sum("skein_segments", None).unwrap_or(0.0)
    }

    /// Bytes written to segments, by what for.
    pub(crate) fn written(&self, kind: &str) -> Option<f64> {
        self.sum("skein_segment_written_bytes_total", Some(("kind", kind)))
    }

    /// 0 when nothing waits to be merged.
    fn due(&self) -> Option<f64> {
        self.sum("skein_compaction_due", None)
    }
}

/// Waits until all rows are in segments and no segment waits to be merged.
pub(crate) fn settle(server: &Server) -> anyhow::Result<Metrics> {
    const PAUSE: Duration = Duration::from_millis(500);
    const DEADLINE: Duration = Duration::from_secs(900);
    // Without a metric for what is pending: segments that stay as they are for this long.
    const UNCHANGED: Duration = Duration::from_secs(15);
    let begin = clock::now();
    // Windows of compaction close by the clock, over hours; this closes them all. It answers at once, or when done.
    let response = Connection::open(&server.http)?.post("/api/v1/settle", "application/json", b"{}")?;
    ensure!(matches!(response.status, 200 | 202 | 204 | 404), "/api/v1/settle answered {}", response.status);
    let (mut last, mut since) = (f64::NAN, begin);
    loop {
        let metrics = server.metrics()?;
        let state = metrics.head_rows() + metrics.segments() / 1e6;
        if state.to_bits() != last.to_bits() {
            (last, since) = (state, clock::now());
        }
        let compacted = match metrics.due() {
            // Two looks in a row: a flush may have just added what the next choice takes.
            Some(due) => due == 0.0 && since.elapsed() >= 4 * PAUSE,
            None => since.elapsed() >= UNCHANGED,
        };
        if metrics.head_rows() == 0.0 && compacted {
            progress(&format!(
                "settled after {:.0} s: {} segments",
                begin.elapsed().as_secs_f64(),
                metrics.segments()
            ));
            return Ok(metrics);
        }
        if begin.elapsed() > DEADLINE {
            bail!(
                "not settled after {DEADLINE:?}: {} rows in heads, {} segments, {:?} pending",
                metrics.head_rows(),
                metrics.segments(),
                metrics.due()
            );
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_the_measured_environment() {
        let metrics = Metrics::parse(
            "# HELP a A.\n# TYPE a gauge\na{environment=\"default\",kind=\"x\"} 2\n\
             a{environment=\"default\",kind=\"y\"} 3\na{environment=\"skein\",kind=\"x\"} 50\nb 1e3\n",
        );
        assert_eq!(metrics.sum("a", None), Some(5.0));
        assert_eq!(metrics.sum("a", Some(("kind", "x"))), Some(2.0));
        assert_eq!(metrics.sum("a", Some(("kind", "z"))), Some(0.0));
        assert_eq!(metrics.sum("b", None), Some(1_000.0));
        assert_eq!(metrics.sum("c", None), None);
    }
}
