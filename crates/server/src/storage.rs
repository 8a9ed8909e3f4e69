//! What a server keeps its events in, behind traits: the local log and store, or a test's.

use std::sync::Arc;

use skein_api::metrics::Gauges;
use skein_api::state::Keeper;
use skein_event::flow::EventSink;
use skein_event::hash::HashKey;
use skein_query::QueryEngine;
use skein_registry::Registry;

/// An open storage.
pub struct Storage {
    /// Makes batches durable.
    pub sink: Arc<dyn EventSink>,
    /// Answers questions about them.
    pub engine: Arc<dyn QueryEngine>,
    /// Removes and tidies what is stored.
    pub keeper: Arc<dyn Keeper>,
    /// Keeps markers and boards.
    pub registry: Arc<dyn Registry>,
    /// What it knows of itself.
    pub gauges: Arc<dyn Gauges>,
    /// The deployment's hash key.
    pub hash_key: HashKey,
    /// Writes what is in memory to segments. Blocks.
    pub flush: Box<dyn FnOnce() + Send>,
    /// Does so with the rest and closes the files. Blocks.
    pub close: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}
