//! The real `skein` as people and programs meet it: processes, exit codes, what is written where.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what helps a test may fail it")]

mod demo;
mod exit_codes;
mod export;
mod import;
mod query;
mod slice;
mod stub;
mod support;
mod trace;
