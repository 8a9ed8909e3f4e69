//! The mutants of Logs Insights: the language, what is left to the engine of it, and the stages behind it.

use super::Mutant;

/// Every mutant of Logs Insights.
pub(crate) const INSIGHTS_MUTANTS: &[Mutant] = &[
    Mutant {
        name: "negated-test-takes-missing",
        breaks: "`status != 500` as a filter of the engine lets events without status pass",
        file: "crates/query/src/insights/lower.rs",
        find: "Some(vec![Filter { column: column.clone(), test: Test::Exists }, Filter { column, test }])",
        replace: "Some(vec![Filter { column, test }])",
        package: "skein-engine",
        test: "filters_mean_what_the_language_says",
    },
    Mutant {
        name: "or-needs-both-sides-known",
        breaks: "`or` with a missing field on one side holds no more",
        file: "crates/query/src/insights/functions/operators.rs",
        find: "(Some(true), _) | (_, Some(true)) => Some(true),",
        replace: "(Some(true), Some(true)) => Some(true),",
        package: "skein-query",
        test: "operators_mean_what_the_language_says",
    },
    Mutant {
        name: "insights-memory-uncounted",
        breaks: "what stages hold does not count as memory of the query",
        file: "crates/query/src/insights/run.rs",
        find: "self.bytes + of_nodes.sum::<usize>()",
        replace: "(self.bytes + of_nodes.sum::<usize>()).min(1)",
        package: "skein-engine",
        test: "what_a_query_holds_is_bounded",
    },
    Mutant {
        name: "keyword-formatted-as-a-name",
        breaks: "a field called `by` is written without backticks, and means something else when it is parsed",
        file: "crates/query/src/insights/format.rs",
        find: "if begins && is_word && !is_keyword {",
        replace: "if begins && is_word && (true || is_keyword) {",
        package: "skein-query",
        test: "a_formatted_query_is_the_same_query",
    },
    Mutant {
        name: "filter-moves-before-a-limit",
        breaks: "a filter behind a limit is applied before it",
        file: "crates/query/src/insights/planner/mod.rs",
        find: "if self.of_events() && !self.fixed && !self.scope.arena.needs_slot(node) {\n            self.conditions",
        replace: "if self.of_events() && !self.scope.arena.needs_slot(node) {\n            self.conditions",
        package: "skein-query",
        test: "what_comes_first_is_the_engines",
    },
    Mutant {
        name: "dedup-keeps-the-earliest",
        breaks: "of equal rows the earliest is kept, though the latest comes first",
        file: "crates/query/src/insights/run.rs",
        find: "Some(known) if *by_time && (row.time_ns, row.id) > (known.time_ns, known.id) => {",
        replace: "Some(known) if *by_time && (row.time_ns, row.id) < (known.time_ns, known.id) => {",
        package: "skein-engine",
        test: "the_first_of_each_value_is_kept",
    },
    Mutant {
        name: "missing-first-when-descending",
        breaks: "a descending sort begins with what is missing",
        file: "crates/query/src/insights/datum.rs",
        find: "((a, _), (b, _)) if a == 2 || b == 2 => a.cmp(&b),",
        replace: "((a, _), (b, _)) if a == 2 || b == 2 => turned(a.cmp(&b)),",
        package: "skein-query",
        test: "missing_sorts_last_either_way",
    },
    Mutant {
        name: "stage-ignores-weights",
        breaks: "an aggregation behind the engine's counts a sampled event once",
        file: "crates/query/src/insights/run.rs",
        find: "state.add(argument.map(|slot| row.get(slot)), row.weight, (row.time_ns, row.id));",
        replace: "state.add(argument.map(|slot| row.get(slot)), 1.0, (row.time_ns, row.id));",
        package: "skein-engine",
        test: "sampled_events_count_as_often_as_they_say",
    },
];
