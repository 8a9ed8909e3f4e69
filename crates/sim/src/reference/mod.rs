//! The reference interpreter: what a query means, in the plainest code that says it.
//!
//! It is written from the pages that define Skein's semantics (docs/reference/semantics.md and the builder
//! language) and not from the engine: one event is one map, a query walks over all of them, a group is an
//! entry of a map, nothing is pruned, encoded or merged. Speed is no concern, and every shortcut the engine
//! takes is a difference this module would show.
//!
//! What it shares with the rest of Skein: the definition of canonical text (`event::value`), on purpose, the tree that
//! the text of an expression becomes, and nothing else. It reads the JSON of a specification itself, and flattens OTLP
//! messages itself.
//!
//! Reading order: [`event`], [`flatten`], [`names`], [`number`], [`filter`], [`relational`], [`expression`],
//! [`aggregate`], [`sampling`], [`formula`], [`execute`], [`catalog`], [`trace`].

pub mod aggregate;
pub mod catalog;
pub mod event;
pub mod execute;
pub mod expression;
pub mod filter;
pub mod flatten;
pub mod formula;
pub mod names;
pub mod number;
mod order;
pub mod relational;
pub mod sampling;
pub mod trace;

pub use event::{Event, Place};
pub use execute::{Answer, answer};
