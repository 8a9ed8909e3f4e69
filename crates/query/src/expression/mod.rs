//! Expressions: the language of calculated fields and formulas (docs/reference/calculated-fields.md).
//!
//! An expression goes through three stages, each a type of its own. [`parse`] makes a tree of the text, whose names mean
//! nothing yet. [`plan`] looks every name up — a function, a calculated field of the question, a column — and makes a
//! [`Program`] of it: a list of steps without names, in which equal fields are computed once and whatever needs no event
//! is computed already. [`Program::evaluate`] runs one for one event.
//!
//! What it refuses: to fail while it runs. Whatever has no sensible value is null.
//!
//! Reading order: [`parse`], [`functions`], `call`, [`plan`], [`scalar`], `evaluate`, [`instant`].

mod call;
mod evaluate;
pub mod functions;
pub mod instant;
mod lexer;
pub mod parse;
pub mod plan;
pub mod scalar;

#[cfg(test)]
mod tests;

pub(crate) use call::{Pattern, Patterns};
pub use parse::{Expression, Kind, parse};
pub use plan::{Field, Fields, Input, Program};
pub use scalar::Scalar;
