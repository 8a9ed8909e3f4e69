//! Routers: the OTLP doors and the HTTP API of CONTRACT.md.
//!
//! This crate sees the rest of Skein through traits: [`skein_event::flow::EventSink`],
//! [`skein_event::observe::Observer`], the query engine, [`door::Decoder`] and [`metrics::Gauges`]. It owns what a request
//! needs before and after: framing, the budget of bytes in flight, limits, errors and their encodings. It
//! binds no socket, reads no clock and knows no file; that is the server's.
//!
//! Reading order: [`door`] (how telemetry comes in), [`routes`] (what can be asked), [`budget`].

pub mod budget;
pub mod cpu;
pub mod door;
pub mod error;
pub mod findings;
pub mod gate;
pub mod jobs;
mod layer;
pub mod loopback;
mod metric_list;
pub mod metrics;
pub mod patience;
pub mod rejections;
mod routes;
pub mod state;
mod ui;

pub use metric_list::reference as metrics_reference;
pub use routes::{api_router, otlp_http_router, restore_rejections};
