//! The server as a client sees it: real sockets, every port on 0.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed step of a test ends it; helpers are not #[test] functions"
)]

mod client;
mod doors_grpc;
mod doors_http;
mod erase;
mod hostile;
mod kept;
mod lifecycle;
mod limits;
mod memory;
mod otlp;
mod pressure;
mod safety;
mod slow;
