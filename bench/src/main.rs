//! Measures Skein: see `make bench`.
fn main() {}
