//! The mutants of what people keep: markers and boards.

use super::Mutant;

/// Every mutant of the registry and its routes.
pub(crate) const KEPT_MUTANTS: &[Mutant] = &[
    Mutant {
        name: "board-of-another-environment",
        breaks: "a board is found by its id alone",
        file: "crates/registry/src/sqlite/statements.rs",
        find: "panel_count, digest FROM boards WHERE environment = $1 AND id = $2",
        replace: "panel_count, digest FROM boards WHERE $1 IS NOT NULL AND id = $2",
        package: "skein-registry",
        test: "nothing_of_another_environment_is_seen_or_changed",
    },
    Mutant {
        name: "second-writer-wins",
        breaks: "a record is changed though somebody changed it since it was read",
        file: "crates/registry/src/sqlite/mod.rs",
        find: "Some(expected) if expected != version => {",
        replace: "Some(expected) if expected > version => {",
        package: "skein-registry",
        test: "the_second_of_two_who_change_the_same_learns_of_the_first",
    },
    Mutant {
        name: "damaged-board-shown",
        breaks: "a board that is not what was written is shown",
        file: "crates/registry/src/sqlite/boards.rs",
        find: "if board.digest(environment) == digest {",
        replace: "if board.digest(environment) == digest || digest != 0 {",
        package: "skein-registry",
        test: "a_record_that_is_not_what_was_written_is_named_and_can_be_deleted",
    },
    Mutant {
        name: "boards-unbounded",
        breaks: "an environment takes any number of boards",
        file: "crates/registry/src/sqlite/mod.rs",
        find: "if usize::try_from(count).unwrap_or(usize::MAX) < max {",
        replace: "if usize::try_from(count).unwrap_or(usize::MAX) < usize::MAX {",
        package: "skein-registry",
        test: "boards_of_an_environment_are_bounded",
    },
    Mutant {
        name: "newer-registry-taken",
        breaks: "a registry of a newer version is opened as if it were ours",
        file: "crates/registry/src/sqlite/mod.rs",
        find: "Some(SCHEMA_VERSION) => {}",
        replace: "Some(SCHEMA_VERSION..) => {}",
        package: "skein-registry",
        test: "a_file_of_a_newer_version_is_refused_and_left_as_it_is",
    },
    Mutant {
        name: "panel-unchecked",
        breaks: "a board keeps questions that cannot be asked",
        file: "crates/query/src/spec/kept.rs",
        find: "checked.map_err(|error| error.within(&content_node.path, \"/query\"))",
        replace: "checked.or(Ok(()))",
        package: "skein-api",
        test: "a_board_holds_only_questions_that_can_be_asked",
    },
    Mutant {
        name: "marker-leads-anywhere",
        breaks: "the address of a marker may be a script",
        file: "crates/query/src/spec/kept.rs",
        find: "if followed && !url",
        replace: "if !url",
        package: "skein-api",
        test: "what_is_no_marker_is_refused_with_its_place",
    },
];
