//! What people write down about their systems: markers (a deployment, an incident) and boards (questions that are
//! worth asking again). It lies in `registry.sqlite`, apart from events (docs/formats/registry.md).
//!
//! Every record belongs to one environment, has an id that never changes, and a version that rises with each change,
//! so that of two people who change the same record the second learns of the first.
//!
//! What it refuses: a call without an environment (I10), a clock and randomness (times and ids are arguments), more
//! records than their limits say, and knowing what a panel's question means: whoever calls has checked it.
//!
//! Reading order: [`record`] (what is kept), [`Registry`], [`SqliteRegistry`].

mod error;
pub mod record;
mod sqlite;

#[cfg(test)]
mod tests;

use skein_event::Environment;

pub use error::{Error, ErrorKind};
pub use record::{
    Board, BoardContent, BoardSummary, Id, Listed, Marker, MarkerContent, MarkersWanted, Stamp,
};
pub use sqlite::SqliteRegistry;

/// Keeps records. Calls block until a change is durable; they may come from any thread.
///
/// POST, of every call: nothing of another environment is read or changed (I10). What fails changes nothing, except
/// that the outcome of a change that fails with [`ErrorKind::Io`] is unknown.
pub trait Registry: Send + Sync {
    /// The markers that touch a range of time, the latest first.
    fn markers(&self, environment: &Environment, wanted: &MarkersWanted) -> Result<Listed<Marker>, Error>;

    /// One marker.
    fn marker(&self, environment: &Environment, id: &Id) -> Result<Marker, Error>;

    /// Keeps a new marker, with version 1.
    ///
    /// POST: on `Ok` it is durable. `Full` when the environment has as many as it may.
    fn create_marker(
        &self,
        environment: &Environment,
        id: &Id,
        content: MarkerContent,
        now_ns: i64,
    ) -> Result<Marker, Error>;

    /// Gives a marker another content and the next version.
    ///
    /// POST: `Conflict`, and nothing is changed, when `expected` is given and is not its version.
    fn replace_marker(
        &self,
        environment: &Environment,
        id: &Id,
        content: MarkerContent,
        expected: Option<u64>,
        now_ns: i64,
    ) -> Result<Marker, Error>;

    /// Removes a marker, also one that is damaged.
    ///
    /// POST: what it was; `None` when it was damaged.
    fn delete_marker(
        &self,
        environment: &Environment,
        id: &Id,
        expected: Option<u64>,
    ) -> Result<Option<Marker>, Error>;

    /// The boards, by name.
    fn boards(&self, environment: &Environment) -> Result<Listed<BoardSummary>, Error>;

    /// One board.
    fn board(&self, environment: &Environment, id: &Id) -> Result<Board, Error>;

    /// As [`Registry::create_marker`].
    fn create_board(
        &self,
        environment: &Environment,
        id: &Id,
        content: BoardContent,
        now_ns: i64,
    ) -> Result<Board, Error>;

    /// As [`Registry::replace_marker`].
    fn replace_board(
        &self,
        environment: &Environment,
        id: &Id,
        content: BoardContent,
        expected: Option<u64>,
        now_ns: i64,
    ) -> Result<Board, Error>;

    /// As [`Registry::delete_marker`].
    fn delete_board(
        &self,
        environment: &Environment,
        id: &Id,
        expected: Option<u64>,
    ) -> Result<Option<Board>, Error>;
}
