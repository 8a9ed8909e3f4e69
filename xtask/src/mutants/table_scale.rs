//! Mutants of what is known about segments without their files: pruning, `footers.cat`, the way to a trace.

use super::Mutant;

/// The mutants.
pub(crate) const SCALE_MUTANTS: &[Mutant] = &[
    Mutant {
        name: "stale-summary-believed",
        breaks: "an entry of footers.cat counts for any segment of its name",
        file: "crates/store/src/footers/slots.rs",
        find: "self.id == row.id && (self.rows, self.bytes, self.digest) == (row.rows, row.bytes, digest(row))",
        replace: "self.id == row.id && self.rows == row.rows && digest(row) != 0",
        package: "skein-store",
        test: "a_summary_of_another_segment_of_that_name_is_not_believed",
    },
    Mutant {
        name: "summary-checksum-unchecked",
        breaks: "an entry of footers.cat is believed whatever its checksums say",
        file: "crates/store/src/footers/summary.rs",
        find: "if crc32c::crc32c(bytes) != self.head.sums[part as usize] {",
        replace: "if crc32c::crc32c(bytes) != self.head.sums[part as usize] && bytes.is_empty() {",
        package: "skein-store",
        test: "a_damaged_entry_is_made_anew",
    },
    Mutant {
        name: "trace-filter-asked-wrongly",
        breaks: "a segment that holds a trace is not asked for it",
        file: "crates/store/src/file_table.rs",
        find: "Filtered::By(bytes) => Ok(TraceFilter::open(bytes)?.contains(hash)),",
        replace: "Filtered::By(bytes) => Ok(TraceFilter::open(bytes)?.contains(hash.rotate_left(1))),",
        package: "skein-store",
        test: "every_trace_is_found_in_its_segments_and_most_others_are_not_asked",
    },
    Mutant {
        name: "trace-looked-for-elsewhere",
        breaks: "a trace is looked for in another partition than the one it was put in",
        file: "crates/event/src/split.rs",
        find: "let hash = (key.hash(&buffer) >> 32) % u64::from(partitions.max(1));",
        replace: "let hash = (key.hash(&buffer) >> 31) % u64::from(partitions.max(1));",
        package: "skein-event",
        test: "a_trace_is_looked_for_where_it_was_put",
    },
    Mutant {
        name: "pruned-though-missing-matches",
        breaks: "a segment without a column is left out of a question that events without it answer",
        file: "crates/engine/src/prune.rs",
        find: "Matcher::new(&filter.test).matches_missing() || may_have",
        replace: "may_have",
        package: "skein-sim",
        test: "the_storage_answers_as_the_reference_in_every_stage_of_its_life",
    },
    Mutant {
        name: "removed-segment-still-listed",
        breaks: "listings still count a segment that is gone",
        file: "crates/store/src/file_table.rs",
        find: "of.base = of.base.take().filter(|base| !base.covered.contains(id));",
        replace: "of.base = of.base.take().filter(|base| !base.covered.is_empty());",
        package: "skein-store",
        test: "a_segment_that_is_gone_is_in_no_listing",
    },
    Mutant {
        name: "open-files-unbounded",
        breaks: "files that were opened once stay open",
        file: "crates/store/src/opener.rs",
        find: "while open.len() > self.open_max && asked > 0 {",
        replace: "while open.len() > self.open_max && asked > usize::MAX / 2 {",
        package: "skein-store",
        test: "opening_touches_no_file_and_open_files_are_bounded",
    },
    Mutant {
        name: "sketches-do-not-merge",
        breaks: "the number of different values of two segments is that of the last one",
        file: "crates/store/src/footers/sketch.rs",
        find: "listed.iter().for_each(|&hash| raise(&mut registers, hash));",
        replace: "listed.iter().skip(1).for_each(|&hash| raise(&mut registers, hash));",
        package: "skein-store",
        test: "few_values_are_counted_exactly_and_parts_merge_into_the_whole",
    },
];
