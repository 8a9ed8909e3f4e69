//! The composition root: configuration, runtime, wiring, shutdown. No logic of Skein's own lives here.
//!
//! Two kinds of threads: the runtime's serve sockets and never compute; its blocking threads compute, as many
//! at once as two pools allow (one for the doors, one for queries), so that neither keeps the other out.
//!
//! Shutdown, in this order: new work is refused politely; what is under way ends; heads are flushed; Skein's own
//! last events are sent; connections end; files are closed. Each step has a time limit, all together stay below
//! 10 s (CONTRACT.md).

pub mod clock;
pub mod config;
mod demo;
mod export;
mod findings;
mod keeper;
mod listen;
mod local;
mod memory;
mod observe;
mod running;
mod serve;
pub mod storage;
pub mod upkeep;
mod watch;

pub use config::Config;
pub use running::{Observing, Running, start, start_on, start_with};
pub use serve::serve;
pub use skein_store::ReleaseMemory;
