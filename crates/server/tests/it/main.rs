//! The server as a client sees it: real sockets, every port on 0.

mod client;
mod doors_grpc;
mod doors_http;
mod limits;
mod memory;
mod otlp;
mod safety;
