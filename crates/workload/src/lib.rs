//! Telemetry as a running system makes it, for `skein demo`, the benchmarks and the tests: a discrete-event
//! simulation of a shop of five services ([`simulation`]), the incidents that can befall it ([`incident`]),
//! the way to a receiver over OTLP/gRPC ([`sender`]), and for the benchmarks wide events by the number ([`wide`])
//! and small spans ([`narrow`]).
//!
//! What it refuses to do: it reads no clock and draws no randomness of its own (I9): the start is an
//! argument, the simulation keeps its own time, and the same seed gives the same bytes.

pub mod export;
pub mod incident;
mod load;
pub mod model;
pub mod narrow;
mod random;
pub mod sender;
pub mod simulation;
pub mod telemetry;
pub mod wide;
