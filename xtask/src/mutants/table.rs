//! The mutants. A catalogue: one entry per guarantee, in the order of an event's way.

use super::Mutant;

/// Every mutant.
pub(crate) const MUTANTS: &[Mutant] = &[Mutant {
    name: "canonical-text-keeps-point-zero",
    breaks: "500.0 and 500 do not share their canonical text",
    file: "crates/event/src/value.rs",
    find: "if value.fract() == 0.0 && ",
    replace: "if value.fract() == 0.5 && ",
    package: "skein-event",
    test: "canonical_text_is_shared_across_types",
}];
