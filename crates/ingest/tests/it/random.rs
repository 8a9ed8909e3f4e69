//! Random requests go in and come out.

use crate::generate::{Random, request};
use crate::round_trip::check;

/// Seeds per run; `SKEIN_SEEDS` asks for more, `SKEIN_SEED` for a single one.
const SEEDS: u64 = 1_500;

#[test]
fn any_request_comes_out_as_it_went_in() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SKEIN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SKEIN_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let request = request(&mut Random::new(seed));
        let failed = std::panic::catch_unwind(|| check(&request)).is_err();
        assert!(!failed, "repeat with SKEIN_SEED={seed}");
    }
}
