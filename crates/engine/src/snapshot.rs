//! What the engine needs of a store: the segments of one environment at one moment.

use skein_event::ids::Environment;
use skein_query::QueryError;
use skein_store::{FindingKind, Segments, Store};

/// Gives snapshots.
pub trait Snapshots: Send + Sync {
    /// The state of an environment now.
    ///
    /// POST: EVERY event acknowledged before the call is in exactly one of the segments (I2, I4); none is of
    /// another environment (I10). Two calls without a change between them give the same order.
    fn snapshot(&self, environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError>;
}

/// The segments of one environment at one moment. While it is held, their files stay.
pub struct SnapshotView {
    /// The segments, heads included, in an order that does not change while they do not.
    pub segments: Segments,
    /// What an answer from them is complete to (SEMANTICS.md, "Time").
    pub complete_to_ns: i64,
    /// Names this state.
    pub name: String,
    /// Segments that were set aside as damaged: the answer lacks their events and says so.
    pub damaged: Vec<String>,
    /// Whatever keeps the files from being collected.
    pub lease: Option<Box<dyn Send + Sync>>,
}

// === impl Snapshots for Store ===

impl Snapshots for Store {
    fn snapshot(&self, environment: &Environment, _now_ns: i64) -> Result<SnapshotView, QueryError> {
        let failed = |error: skein_store::Error| QueryError::internal(error.to_string());
        let snapshot = Store::snapshot(self, environment).map_err(failed)?;
        Ok(SnapshotView {
            complete_to_ns: snapshot.complete_to_ns,
            name: snapshot.id.to_string(),
            damaged: damaged(self, environment),
            // Segments keep their files readable as long as they are held.
            lease: None,
            segments: snapshot.segments,
        })
    }
}

/// The segments of an environment whose events cannot be read.
fn damaged(store: &Store, environment: &Environment) -> Vec<String> {
    let unreadable = |kind: FindingKind| {
        matches!(kind, FindingKind::SetAside | FindingKind::Missing | FindingKind::Unreadable)
    };
    let findings = store.findings().into_iter().filter(|finding| unreadable(finding.kind));
    let own = findings.filter_map(|finding| finding.segment.filter(|row| row.environment == *environment));
    own.map(|row| row.id.to_string()).collect()
}
