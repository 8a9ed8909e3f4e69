//! What a question is and what an answer is: languages → typed [`plan::Plan`], [`result`]s, and the seam
//! [`engine::QueryEngine`] behind which plans run.
//!
//! A question goes through three stages, each a type of its own: text or JSON; the plan, whose literals are
//! typed and whose names are lists of places to look ([`names`]); and the engine's private form, bound to one
//! snapshot, where a name that nothing has is an error with candidates. An unresolved name cannot reach
//! execution.
//!
//! What this crate refuses to do: no I/O, no clock, no randomness (invariant I9). "Now" is an argument. It
//! never guesses: a field, an operator or a value it does not know is an error that says where it stands and
//! what was probably meant.
//!
//! Reading order: [`plan`], [`names`], [`text`], [`expression`], [`formula`], [`spec`], [`insights`], [`complete`], [`test`], [`aggregate`], [`explain`], [`cohorts`], [`templates`], [`result`], [`trace_columns`], [`engine`], [`error`].

pub mod aggregate;
pub mod cohorts;
pub mod complete;
pub mod engine;
pub mod error;
pub mod explain;
pub mod expression;
pub mod formula;
pub mod insights;
pub mod names;
pub mod number;
mod operation;
pub mod plan;
mod related;
pub mod render;
pub mod result;
pub mod spec;
pub mod suggest;
pub mod templates;
pub mod test;
pub mod text;
pub mod time_text;
pub mod trace_columns;

pub use engine::{QueryEngine, RunContext};
pub use error::{ErrorKind, Location, QueryError};
pub use plan::Plan;
pub use result::QueryResult;
