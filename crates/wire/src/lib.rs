//! The public API's types and their OpenAPI schemas. Depends on nothing of ours, so that clients can use it
//! alone. What is refused here: logic. A wire type is converted by hand at the edge.

mod analysis;
mod compare;
mod explain;
mod kept;
pub mod openapi;
pub mod schema;
mod types;
mod unusual;

pub use analysis::*;
pub use compare::*;
pub use explain::*;
pub use kept::*;
pub use types::*;
pub use unusual::*;
