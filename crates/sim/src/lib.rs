//! What tests believe in: a reference interpreter, random data and questions, and disks that fail.
//!
//! Nothing here is part of the product. The [`reference`] says what a query means in the plainest code there
//! is; [`random`] makes requests and questions from a seed; [`subject`] is the real door, segments and engine
//! of a case, [`deployment`] the whole storage on real files; [`compare`] says where two answers differ; [`coverage`] whether intervals hold what they promise. Every failure prints its seed, and the same seed gives
//! the same case on every machine.

pub mod compare;
pub mod coverage;
pub mod deployment;
pub mod disk;
pub mod failing_disk;
pub mod random;
pub mod reference;
pub mod subject;
