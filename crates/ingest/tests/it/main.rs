//! What goes in over OTLP comes out of the export as the same model (invariant I3).

#![expect(clippy::expect_used, clippy::panic, reason = "a test's own helpers fail it")]

mod examples;
mod generate;
mod golden;
mod golden_set;
mod json_door;
mod odd_bytes;
mod random;
mod round_trip;
mod trainticket;
