//! Specifications and what becomes of them.
