//! What the engine needs of a store: the segments of one environment at one moment.

use std::sync::Arc;

use skein_event::ids::Environment;
use skein_query::QueryError;
use skein_store::segment::Segment;

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
    pub segments: Vec<Arc<Segment>>,
    /// What an answer from them is complete to (SEMANTICS.md, "Time").
    pub complete_to_ns: i64,
    /// Names this state.
    pub name: String,
    /// Segments that were set aside as damaged: the answer lacks their events and says so.
    pub damaged: Vec<String>,
    /// Whatever keeps the files from being collected.
    pub lease: Option<Box<dyn Send + Sync>>,
}
