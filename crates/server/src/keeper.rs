//! What removes and tidies stored events, as the API sees it: the log takes an erasure, the store carries it out.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use event::Environment;
use event::flow::SinkError;
use event::limits::ERASURES_OPEN_MAX;
use log::Log;
use query::time_text::format_ns;
use skein_api::state::{Erasing, Keeper};
use skein_event as event;
use skein_log as log;
use skein_query as query;
use skein_store::{ErasureStatus, Finding, FindingKind, Store};
use skein_wire::{Erasure, ErasureCopies};

/// Log and store of one data directory.
pub(crate) struct LocalKeeper {
    pub(crate) store: Store,
    pub(crate) log: Arc<Log>,
    pub(crate) data: PathBuf,
}

impl LocalKeeper {
    fn erasure(&self, status: ErasureStatus) -> Erasure {
        let copies = self.log.copies_below(&status.cuts);
        let quarantined = std::fs::read_dir(self.data.join("quarantine")).map_or(0, Iterator::count);
        let is_kept = |finding: &&Finding| finding.kind == FindingKind::KeptOrphan;
        let quarantined = quarantined + self.store.findings().iter().filter(is_kept).count();
        Erasure {
            id: format!("{:032x}", status.id),
            // It was checked when it came in.
            filter: serde_json::from_str(&status.filter).unwrap_or_default(),
            requested: format_ns(status.requested_ns),
            due: format_ns(status.due_ns),
            ended: status.ended_ns.map(format_ns),
            copies: ErasureCopies {
                segments: status.segments,
                segment_bytes: status.segment_bytes,
                head_rows: status.head_rows,
                log_files: copies.files,
                log_bytes: copies.bytes,
                log_until: copies.until_ns.map(format_ns),
                quarantined_files: quarantined as u64,
            },
        }
    }
}

impl Keeper for LocalKeeper {
    fn erase(&self, environment: Environment, filter: Arc<str>) -> Erasing<'_> {
        Box::pin(async move {
            let open = self.store.erasures(&environment).iter().filter(|e| e.ended_ns.is_none()).count();
            if open >= ERASURES_OPEN_MAX {
                return Err(SinkError::TooLarge);
            }
            let id = random_id().map_err(|error| SinkError::Unavailable {
                reason: format!("no random number for the erasure's id: {error}"),
                retry_after_ms: 1_000,
            })?;
            let erasure = self.log.erase(environment, id, filter).await?;
            Ok(format!("{:032x}", erasure.id))
        })
    }

    fn erasures(&self, environment: &Environment) -> Vec<Erasure> {
        self.store.erasures(environment).into_iter().map(|status| self.erasure(status)).collect()
    }

    fn settle(&self) {
        self.store.settle();
    }
}

/// An id that no other erasure has.
fn random_id() -> std::io::Result<u128> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u128::from_le_bytes(bytes))
}
