//! Mutants of explanations: what is counted, and what is made of it.

use super::Mutant;

/// Every one of them.
pub(crate) const EXPLAIN_MUTANTS: &[Mutant] = &[
    Mutant {
        name: "traces-count-as-events",
        breaks: "events of one trace count as independent",
        file: "crates/analysis/src/explain/difference.rs",
        find: "let together = (by_trace - single).max(0.0);",
        replace: "let together = (by_trace - single).min(0.0);",
        package: "skein-analysis",
        test: "random_selections_are_hardly_ever_explained",
    },
    Mutant {
        name: "rates-are-chances",
        breaks: "the number of statements that were tested is forgotten",
        file: "crates/analysis/src/explain/rates.rs",
        find: "let rate = chances[place] * factor / (rank + 1) as f64;",
        replace: "let rate = chances[place] * factor.min(1.0) / (rank + 1).min(1) as f64;",
        package: "skein-analysis",
        test: "random_selections_are_hardly_ever_explained",
    },
    Mutant {
        name: "range-learned-from-a-side",
        breaks: "bounds of ranges depend on which side an event is on",
        file: "crates/analysis/src/explain/candidates.rs",
        find: "below.partition_point(|tally| tally.all_rows() <= wanted).saturating_sub(1)",
        replace: "below.partition_point(|tally| tally.rows[0] * 2 <= wanted).saturating_sub(1)",
        package: "skein-analysis",
        test: "ranges_are_at_quantiles_of_both_sides_together",
    },
    Mutant {
        name: "same-cause-twice",
        breaks: "what says the same as a stronger statement is a finding of its own",
        file: "crates/analysis/src/explain/groups.rs",
        find: "const SAME_PHI: f64 = 0.8;",
        replace: "const SAME_PHI: f64 = 8.0;",
        package: "skein-analysis",
        test: "one_cause_is_told_once",
    },
    Mutant {
        name: "halves-beside-their-pair",
        breaks: "the half of a pair is a finding though it says nothing without the other",
        file: "crates/analysis/src/explain/groups.rs",
        find: "if meeting.follows_from_pair(&tested[place], place, a, b) {",
        replace: "if meeting.follows_from_pair(&tested[place], place, a, b) && place > a {",
        package: "skein-analysis",
        test: "two_values_that_matter_together_are_a_pair",
    },
    Mutant {
        name: "explain-ignores-weights",
        breaks: "an event counts once in an explanation, whatever it stands for",
        file: "crates/engine/src/explain/classes.rs",
        find: "Ok(if all_one { None } else { Some(weights) })",
        replace: "Ok(if all_one || weights.len() > 1 { None } else { Some(weights) })",
        package: "skein-sim",
        test: "an_explanation_counts_what_the_reference_counts",
    },
    Mutant {
        name: "explain-trusts-hashes",
        breaks: "values of equal hash are one in what an explanation reports",
        file: "crates/engine/src/explain/conditions.rs",
        find: "self.values.get(value.canonical_text().as_ref())",
        replace: "self.values.values().next().filter(|_| !value.canonical_text().is_empty())",
        package: "skein-engine",
        test: "values_that_share_a_hash_are_explained_apart",
    },
    Mutant {
        name: "baseline-holds-the-selection",
        breaks: "an event of both sides counts for the baseline",
        file: "crates/engine/src/explain/classes.rs",
        find: "mask.for_each(|place| sides[place] = side as u8);",
        replace: "mask.for_each(|place| if sides[place] == NO_SIDE { sides[place] = side as u8 });",
        package: "skein-sim",
        test: "an_explanation_counts_what_the_reference_counts",
    },
];
