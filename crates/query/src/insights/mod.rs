//! CloudWatch Logs Insights: its language, planned for the engine and for the stages that follow it.
//!
//! A query goes through three stages, each with types of its own. [`parse`] makes commands of the text, whose names mean
//! nothing yet. Resolving looks every name up and makes steps of expressions ([`program`]); [`plan`] decides what the engine
//! does on encoded data and what is done with rows behind it, by [`run`]. Only resolving makes steps, so an unknown name
//! cannot reach execution.
//!
//! The rules between values are the language's own and are in [`datum`]; what a filter, a group or an aggregate means is that
//! of SEMANTICS.md, since the engine does these. docs/reference/insights.md says what is there and what differs from
//! CloudWatch.
//!
//! Reading order: [`ast`], [`parse`], [`format`], [`datum`], [`functions`], [`program`], `fields`, `resolve`, [`plan`],
//! `planner`, `stats`, `lower`, `groups`, [`run`], `grouping`, [`series`], `aggregates`, `extract`, `patterns`, [`answer`]; and `complete`.

pub mod aggregates;
pub mod answer;
pub mod ast;
pub(crate) mod complete;
pub mod datum;
mod extract;
mod fields;
pub mod format;
pub mod functions;
mod grouping;
mod groups;
mod lexer;
mod lower;
pub mod parse;
mod patterns;
pub mod period;
pub mod plan;
mod planner;
pub mod program;
pub mod request;
mod resolve;
pub mod run;
pub mod series;
mod stats;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use datum::Datum;
pub use parse::parse;
pub use plan::{InsightsPlan, Request, plan};
pub use program::{Code, Input};
