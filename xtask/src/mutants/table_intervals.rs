//! Mutants of what answers over sampled events say of themselves.

use super::Mutant;

const fn mutant(
    name: &'static str,
    breaks: &'static str,
    file: &'static str,
    (find, replace): (&'static str, &'static str),
    (package, test): (&'static str, &'static str),
) -> Mutant {
    Mutant { name, breaks, file, find, replace, package, test }
}

/// Every mutant of intervals.
pub(crate) const INTERVAL_MUTANTS: &[Mutant] = &[
    mutant(
        "spans-drawn-apart",
        "spans of one trace count as drawn independently",
        "crates/engine/src/weights.rs",
        ("Mark::Event => Draw::of(weight, unit),", "Mark::Event => Draw::of(weight, unit ^ place as u64),"),
        ("skein-engine", "spans_of_a_trace_are_drawn_together"),
    ),
    mutant(
        "events-drawn-together",
        "an event that was drawn by itself counts as drawn with its trace",
        "crates/engine/src/weights.rs",
        (
            "Some(unit) if self.unit.at(place)? != Mark::Event",
            "Some(unit) if self.unit.at(place)? != Mark::Certainty",
        ),
        ("skein-engine", "events_drawn_by_themselves_are_independent"),
    ),
    mutant(
        "unknown-inclusion-is-exact",
        "an event of no known probability counts as exact where its rate is 1",
        "crates/engine/src/weights.rs",
        ("let any_unknown = inclusion.says(Mark::Unknown)?;", "let any_unknown = false;"),
        ("skein-engine", "what_was_kept_for_no_known_probability_is_not_exact"),
    ),
    mutant(
        "certainty-has-a-weight",
        "an event of a stratum that was kept whole stands for others",
        "crates/engine/src/weights.rs",
        ("self.inclusion.at(place)? == Mark::Certainty {", "self.inclusion.at(place)? == Mark::Event {"),
        ("skein-engine", "what_was_kept_for_no_known_probability_is_not_exact"),
    ),
    mutant(
        "unknown-claims-an-interval",
        "an interval is claimed though an event has no known probability",
        "crates/query/src/aggregate/drawn.rs",
        ("Draw::Unknown { .. } => self.unknown = true,", "Draw::Unknown { .. } => {}"),
        ("skein-query", "one_event_of_no_known_probability_is_enough_to_claim_nothing"),
    ),
    mutant(
        "variance-of-the-certain",
        "what stands for itself is spread as if it were drawn",
        "crates/query/src/aggregate/interval.rs",
        ("let drawn = value - certain;", "let drawn = value - certain * 0.0;"),
        ("skein-query", "what_is_certain_is_not_spread"),
    ),
    mutant(
        "reliable-at-29",
        "an interval is claimed of 29 kept traces",
        "crates/query/src/aggregate/interval.rs",
        ("pub const TRACES_MIN: u64 = 30;", "pub const TRACES_MIN: u64 = 29;"),
        ("skein-query", "fewer_than_thirty_traces_claim_nothing"),
    ),
    mutant(
        "tail-unchecked",
        "an interval is claimed of a tail without an end",
        "crates/query/src/aggregate/interval.rs",
        (
            "tail <= TAIL_MAX + effective * TAIL_PER_EFFECTIVE",
            "tail <= 9.0 * TAIL_MAX + effective * TAIL_PER_EFFECTIVE",
        ),
        ("skein-query", "a_tail_of_a_power_law_claims_nothing"),
    ),
    mutant(
        "tail-of-values-unchecked",
        "a sum of many values for each trace hides the tail of these",
        "crates/query/src/aggregate/drawn.rs",
        (
            "sum.is_light = are_equal || interval::is_light(values);",
            "sum.is_light = are_equal || values.units > 0;",
        ),
        ("skein-query", "many_values_of_a_trace_do_not_hide_their_tail"),
    ),
    mutant(
        "few-traces-of-the-variance-unchecked",
        "an interval is claimed of a variance that rests on five traces",
        "crates/query/src/aggregate/interval.rs",
        ("pub const EFFECTIVE_MIN: f64 = 16.0;", "pub const EFFECTIVE_MIN: f64 = 0.5;"),
        ("skein-query", "what_rests_on_a_few_traces_claims_nothing"),
    ),
    mutant(
        "percentile-beyond-what-was-seen",
        "a percentile that hardly an event lies above has an interval",
        "crates/query/src/aggregate/interval.rs",
        ("&& beyond >= BEYOND_MIN", "&& beyond >= 0.0 * BEYOND_MIN"),
        ("skein-query", "a_percentile_near_the_end_of_what_was_seen_has_none"),
    ),
    mutant(
        "weight-squared-for-variance",
        "the variance of what was drawn is that of drawing with replacement",
        "crates/query/src/aggregate/signed.rs",
        ("let spread = (weight * (weight - 1.0)).sqrt();", "let spread = weight;"),
        ("skein-query", "spans_of_a_trace_are_one_contribution"),
    ),
    mutant(
        "signs-forgotten",
        "what traces contribute to signed sums has no sign",
        "crates/query/src/aggregate/signed.rs",
        (
            "(place, if unit >> 32 & 1 == 0 { 1.0 } else { -1.0 })",
            "(place, if unit >> 32 & 1 == 0 { 1.0 } else { 1.0 })",
        ),
        ("skein-query", "signed_sums_tell_the_variance_of_many_and_their_number"),
    ),
    mutant(
        "covariance-forgotten",
        "contributions of one trace to two numbers add up as if they were of two",
        "crates/query/src/aggregate/signed.rs",
        (
            "*sums.entry(*unit).or_default() += factor * more);",
            "*sums.entry(*unit).or_default() += (factor * more).abs());",
        ),
        ("skein-query", "contributions_of_one_unit_to_two_sums_cancel"),
    ),
    mutant(
        "sampled-percentile-is-a-point",
        "a sampled percentile claims to be known",
        "crates/query/src/aggregate/mod.rs",
        (
            "Some((low.min(value), high.max(value)))",
            "Some((value.max(low.min(value)), value.min(high.max(value))))",
        ),
        ("skein-query", "a_sampled_percentile_lies_between_two_values"),
    ),
    mutant(
        "unseen-values-forgotten",
        "values seen once stand for none that were not seen",
        "crates/query/src/aggregate/singles.rs",
        ("unseen += seen.weight - 1.0;", "unseen += 0.0 * seen.weight;"),
        ("skein-query", "a_value_of_one_drawn_trace_stands_for_others"),
    ),
    mutant(
        "nothing-kept-is-nothing-there",
        "a count of nothing in sampled data is exact",
        "crates/engine/src/unseen.rs",
        ("any.then_some(Unseen {", "(any && sink.unknown).then_some(Unseen {"),
        ("skein-engine", "a_count_of_nothing_says_how_much_there_may_be"),
    ),
    mutant(
        "bent-formula-is-straight",
        "a formula that jumps where it is has the interval of one that does not",
        "crates/engine/src/formula.rs",
        (
            "if !above.is_finite() || (above - below).abs() > slack {",
            "if !above.is_finite() || (above - below).abs() > slack * 1e30 {",
        ),
        ("skein-engine", "a_ratio_has_the_variance_of_a_ratio"),
    ),
];
