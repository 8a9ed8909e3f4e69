//! The examples of docs/reference/calculated-fields.md, against the engine and the reference.

use serde_json::{Value as Json, json};
use skein_sim::compare::difference;
use skein_sim::reference::answer;

use crate::cases;

const PAGE: &str = include_str!("../../../../docs/reference/calculated-fields.md");

/// Example and result of each row of the tables of functions.
fn examples() -> Vec<(String, String)> {
    let code = |cell: &str| cell.replace('\u{1}', "|").trim().trim_matches('`').trim().to_owned();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `")).map(|row| row.replace("\\|", "\u{1}"));
    let row = |row: String| {
        let cells: Vec<&str> = row.split('|').collect();
        (code(cells[3]), code(cells[4]))
    };
    rows.map(row).collect()
}

#[test]
fn every_example_of_the_page_is_so_in_both() {
    let event = json!({"at": 0.25, "item": {
        "status": 200, "code": "200", "bytes": 2048, "ratio": 0.25, "path": "/api/Cart", "ok": true,
    }});
    // Another event knows the column that the first lacks.
    let other = json!({"at": 5_000, "item": {"missing": 1}});
    let rows = [cases::row(&event), cases::row(&other)];
    let events: Vec<_> = rows.iter().map(cases::event).collect();
    let examples = examples();
    assert!(examples.len() >= 60, "only {} examples", examples.len());
    for (example, result) in &examples {
        let query = json!({
            "start_time": cases::START_S, "end_time": cases::START_S + 3_600,
            "calculated_fields": [
                {"name": "found", "expression": example},
                {"name": "due", "expression": result},
                {"name": "as written", "expression": format!("({example}) = ({result})")},
            ],
            "breakdowns": ["found", "due", "as written"],
        });
        for segments in cases::layouts(&rows) {
            let data = cases::data(segments, &query).unwrap_or_else(|error| panic!("{example}: {error}"));
            let key = &data["results"][0]["data"];
            assert_eq!(key["found"], key["due"], "{example}");
            assert_eq!(key["as written"], Json::Bool(true), "{example} is of another type than {result}");
            assert_eq!(difference(&answer(&events, &query, None), &data), None, "{example}\n{data}");
        }
    }
}

/// What is read to tell one event from the next is told again after a text has come that is too long to keep.
#[test]
fn long_texts_are_computed_block_by_block() {
    let rows: Vec<_> = (0..300)
        .map(|n: i64| {
            cases::row(&json!({"at": n, "item": {"t": format!("{n}-{}", "x".repeat(40_000)), "n": n}}))
        })
        .collect();
    let events: Vec<_> = rows.iter().map(cases::event).collect();
    let query = json!({
        "start_time": cases::START_S, "end_time": cases::START_S + 3_600,
        "calculated_fields": [
            {"name": "joined", "expression": "CONCAT($t, \"-\", $n)"},
            {"name": "own", "expression": "ENDS_WITH($joined, CONCAT(\"x-\", $n)) AND STARTS_WITH($joined, STRING($n))"},
        ],
        "calculations": [{"op": "COUNT_DISTINCT", "column": "joined"}], "breakdowns": ["own"],
    });
    for segments in cases::layouts(&rows) {
        let data = cases::data(segments, &query).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(data["results"][0]["data"], json!({"own": true, "COUNT_DISTINCT(joined)": 300}));
        assert_eq!(difference(&answer(&events, &query, None), &data), None);
    }
}
