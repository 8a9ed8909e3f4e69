//! The mutants of calculations over time.

use super::Mutant;

const TEST: &str = "what_lies_between_moments_is_answered_as_the_page_says";

const fn mutant(
    name: &'static str,
    breaks: &'static str,
    file: &'static str,
    find: &'static str,
    replace: &'static str,
) -> Mutant {
    Mutant { name, breaks, file, find, replace, package: "skein-sim", test: TEST }
}

/// Every mutant of CONCURRENCY, INCREASE, RATE and RATE_*.
pub(crate) const TIME_MUTANTS: &[Mutant] = &[
    mutant(
        "flight-ends-with-its-bucket",
        "a span is in flight in the bucket of its start only",
        "crates/engine/src/derived/in_flight.rs",
        "            from = end;",
        "            return;",
    ),
    mutant(
        "reset-by-falling-unseen",
        "a counter that fell is taken for one that sank",
        "crates/engine/src/derived/increase.rs",
        "if fell || restarted {",
        "if restarted {",
    ),
    mutant(
        "reset-by-start-unseen",
        "another start time of a counter is not looked at",
        "crates/engine/src/derived/increase.rs",
        "if fell || restarted {",
        "if fell {",
    ),
    mutant(
        "series-without-resource",
        "points of two services are one series",
        "crates/engine/src/derived/increase.rs",
        "Origin::Item | Origin::Scope | Origin::Resource",
        "Origin::Item | Origin::Scope",
    ),
    mutant(
        "change-across-a-gap",
        "the bucket before is the last one that had a value",
        "crates/engine/src/change.rs",
        "before.filter(follows)",
        "before.filter(|_| true)",
    ),
];
