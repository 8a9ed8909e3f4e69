//! Guarantees of scans in parts and of what is read from zones and hashes alone (docs/adr/0027-parts.md), each broken once.

use super::Mutant;

pub(crate) const PART_MUTANTS: &[Mutant] = &[
    Mutant {
        name: "parts-as-they-finish",
        breaks: "parts of a scan are gathered in the order in which threads are done with them",
        file: "crates/engine/src/parts.rs",
        find: "if let Some(done) = state.done.remove(&number) {",
        replace: "if let Some(done) = state.done.pop_first().map(|(_, done)| done) {",
        package: "skein-engine",
        test: "parts_are_gathered_in_their_order_whichever_is_done_first",
    },
    Mutant {
        name: "hash-taken-for-text",
        breaks: "two texts that share a hash are shown as one group",
        file: "crates/engine/src/group/late.rs",
        find: "== Some(false)",
        replace: "== None",
        package: "skein-engine",
        test: "texts_of_equal_hash_are_told_apart_when_they_are_shown",
    },
    Mutant {
        name: "tie-cut-without-texts",
        breaks: "of groups that are equally good those are shown that a selection happened to leave",
        file: "crates/engine/src/finish.rs",
        find: "place <= plan.limit || tied.contains(&candidate.group)",
        replace: "place <= plan.limit && !tied.contains(&candidate.group)",
        package: "skein-engine",
        test: "equal_texts_of_many_values_are_one_group_and_ties_go_by_text",
    },
    Mutant {
        name: "range-by-the-zone-alone",
        breaks: "of a block that begins in the range all rows count",
        file: "crates/engine/src/scan.rs",
        find: "if !self.time_range.contains(zone.0) || !self.time_range.contains(zone.1) {",
        replace: "if !self.time_range.contains(zone.0) {",
        package: "skein-engine",
        test: "zone_map_off_by_one",
    },
    Mutant {
        name: "block-in-its-first-bucket",
        breaks: "all rows of a block count in the bucket of its first",
        file: "crates/engine/src/series.rs",
        find: "(bucket == bucket_start(last, self.granularity_ns)).then_some(bucket)",
        replace: "(bucket <= bucket_start(last, self.granularity_ns)).then_some(bucket)",
        package: "skein-sim",
        test: "cases_of_the_semantics_hold",
    },
    Mutant {
        name: "one-context-for-all",
        breaks: "the context of a block's first row is taken for that of all",
        file: "crates/engine/src/block.rs",
        find: "if least == most { u32::try_from(least).ok() }",
        replace: "if least <= most { u32::try_from(least).ok() }",
        package: "skein-sim",
        test: "the_engine_answers_as_the_reference",
    },
    Mutant {
        name: "sparse-values-shifted",
        breaks: "a sparse column's values are taken from the first of their block on",
        file: "crates/engine/src/column/cursor.rs",
        find: "let range = at - block * BLOCK_VALUES..until - block * BLOCK_VALUES;",
        replace: "let range = 0..until - at;",
        package: "skein-engine",
        test: "a_sparse_column_spans_blocks",
    },
];
