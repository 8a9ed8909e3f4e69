//! See `skein_fuzz::bodies::export`.
#![cfg_attr(feature = "link", no_main)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skein_fuzz::bodies::export(data));

/// Without libFuzzer there is nothing to run; this lets the target be compiled.
#[cfg(not(feature = "link"))]
fn main() {}
