//! What the process holds in memory, for `/metrics`: the parts that account for themselves, and what the operating system
//! says of the whole.

use skein_api::metrics::{Metric, Sample};
use skein_log::LogStats;
use skein_store::Store;

/// A batch key with its place in the order of time, about (`skein_event::limits::BATCH_KEYS_MAX`).
const BATCH_KEY_BYTES: usize = 100;

#[expect(clippy::cast_precision_loss, reason = "sizes of memory stay far below 2^53")]
pub(crate) fn samples(store: &Store, log: &LogStats) -> Vec<Sample> {
    let memory = store.memory();
    let parts = [
        ("head_batches", memory.head_batches),
        ("head_blocks", memory.head_blocks),
        ("unpacked", memory.unpacked),
        ("merges", memory.merges),
        ("summaries", memory.summaries),
        ("log_queue", log.queued_bytes as u64),
        ("batch_keys", (log.batch_keys * BATCH_KEY_BYTES) as u64),
    ];
    let of_part = |(part, bytes): (&str, u64)| {
        Sample::new(Metric::MemoryBytes, vec![("part", part.to_owned())], bytes as f64)
    };
    let mut samples: Vec<Sample> = parts.into_iter().map(of_part).collect();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (kind, field) in [("own", "RssAnon:"), ("mapped", "RssFile:")] {
        // Where the operating system does not say, nothing is shown.
        if let Some(kibibytes) = kibibytes(&status, field) {
            let labels = vec![("kind", kind.to_owned())];
            samples.push(Sample::new(Metric::ResidentBytes, labels, (kibibytes << 10) as f64));
        }
    }
    samples
}

/// A field of proc(5)'s status.
fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_status_are_read() {
        let status = "VmRSS:\t  200 kB\nRssAnon:\t     147680 kB\nRssFile:\t   12 kB\n";
        assert_eq!(kibibytes(status, "RssAnon:"), Some(147_680));
        assert_eq!(kibibytes(status, "RssShmem:"), None);
        assert_eq!(kibibytes("RssAnon: much", "RssAnon:"), None);
    }
}
