//! `skein query`: every format of an answer, and errors that show their place.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::slice;
use crate::support::{Server, run, skein};

fn specification() -> Value {
    json!({
        "calculations": [{"op": "COUNT"}, {"op": "P99", "column": "duration_ms"}, {"op": "AVG", "column": "duration_ms"}],
        "filters": [{"column": "meta.signal_type", "op": "=", "value": "trace"}],
        "breakdowns": ["service.name"],
        "orders": [{"column": "service.name", "order": "ascending"}],
        "start_time": slice::START_S, "end_time": slice::START_S + 120,
    })
}

fn imported() -> (Server, TempDir) {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    run(server.client(&["import"]).args(slice::write_files(directory.path()))).expect(0);
    std::fs::write(directory.path().join("spec.json"), specification().to_string()).unwrap();
    (server, directory)
}

#[test]
fn an_answer_has_one_form_in_each_format() {
    let (server, directory) = imported();
    let path = directory.path().join("spec.json").to_str().unwrap().to_owned();
    let ask =
        |format: &str| run(&mut server.client(&["query", "--spec", &path, "--format", format])).expect(0);

    let table = ask("table");
    let expected = "\
service.name        COUNT  P99(duration_ms)  AVG(duration_ms)
──────────────────  ─────  ────────────────  ────────────────
ts-gateway-service     30                79            64.500
ts-route-service       30                74            59.500
ts-travel-service      30            76.500                62
";
    assert_eq!(table.out, expected);
    assert!(table.err.starts_with("3 rows; "), "{}", table.err);

    let csv = "service.name,COUNT,P99(duration_ms),AVG(duration_ms)\r\nts-gateway-service,30,79,64.5\r\nts-route-service,30,74,59.5\r\nts-travel-service,30,76.5,62\r\n";
    assert_eq!(ask("csv").out, csv);

    let rows = json!([
        {"service.name": "ts-gateway-service", "COUNT": 30, "P99(duration_ms)": 79, "AVG(duration_ms)": 64.5},
        {"service.name": "ts-route-service", "COUNT": 30, "P99(duration_ms)": 74, "AVG(duration_ms)": 59.5},
        {"service.name": "ts-travel-service", "COUNT": 30, "P99(duration_ms)": 76.5, "AVG(duration_ms)": 62},
    ]);
    assert_eq!(ask("json").json(), rows);
    // In a pipe JSON is the default, and nothing else is said.
    let default = run(&mut server.client(&["query", "--spec", &path])).expect(0);
    assert_eq!((default.json(), default.err.as_str()), (rows.clone(), ""));
    let lines: Vec<Value> =
        ask("ndjson").out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json!(lines), rows);

    let full =
        run(&mut server.client(&["query", "--spec", &path, "--format", "json", "--full"])).expect(0).json();
    assert_eq!(full["data"]["results"][0]["data"]["COUNT"], json!(30));
    assert!(full["meta"]["complete_to"].is_string());
}

#[test]
fn time_and_datasets_of_the_command_line_win() {
    let (server, directory) = imported();
    let path = directory.path().join("spec.json").to_str().unwrap().to_owned();
    let arguments = [
        "query",
        "--spec",
        &path,
        "--dataset",
        "ts-route-service",
        "--from",
        "2023-01-29T09:00:00Z",
        "--to",
        "2023-01-29T09:01:00Z",
    ];
    let rows = run(&mut server.client(&arguments)).expect(0).json();
    assert_eq!((rows[0]["COUNT"].clone(), rows.as_array().unwrap().len()), (json!(15), 1));
}

#[test]
fn a_specification_can_come_through_a_pipe() {
    let (server, directory) = imported();
    let file = std::fs::File::open(directory.path().join("spec.json")).unwrap();
    let said = run(server.client(&["query", "--spec", "-"]).stdin(file)).expect(0);
    assert_eq!(said.json()[0]["COUNT"], json!(30));
}

#[test]
fn an_unknown_column_is_shown_with_what_was_meant() {
    let (server, directory) = imported();
    let mut wrong = specification();
    wrong["calculations"][1]["column"] = json!("duratoin_ms");
    let path = directory.path().join("wrong.json");
    std::fs::write(&path, wrong.to_string()).unwrap();
    let path = path.to_str().unwrap();

    let error = run(&mut server.client(&["query", "--spec", path, "--format", "json"])).expect(1).error();
    assert_eq!(error["path"], json!("/calculations/1/column"), "{error}");
    let people = run(&mut server.client(&["query", "--spec", path, "--format", "table"])).expect(1);
    let place = "  /calculations/1/column: \"duratoin_ms\"\n                          ^^^^^^^^^^^^^\n  did you mean: duration_ms";
    assert!(people.err.contains(place), "{}", people.err);
    assert_eq!(people.out, "");
}

#[test]
fn languages_of_a_later_version_are_refused_with_a_hint() {
    let server = Server::start();
    let sql = ["query", "--sql", "select 1", "--format", "json"];
    let error = run(&mut server.client(&sql)).expect(1).error();
    assert_eq!(error["code"], json!("not_found"), "{error}");
    assert!(error["hint"].is_string());
    let later = run(skein().args(["doctor", "--rebuild-catalog", "--format", "json"])).expect(1);
    assert_eq!(later.error()["code"], json!("not_found"));
}

#[test]
fn a_query_in_logs_insights_is_answered_and_its_mistakes_are_shown() {
    let (server, _directory) = imported();
    let text = "stats count(*) as n by service.name | sort n desc | limit 1";
    let range = ["--from", "1970-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    let rows = run(server.client(&["query", text, "--format", "json"]).args(range)).expect(0).json();
    assert!(rows[0]["n"].as_u64().is_some_and(|n| n > 0), "{rows}");
    let csv =
        run(server.client(&["query", "fields name | limit 2", "--format", "csv"]).args(range)).expect(0);
    assert_eq!(csv.out.lines().next(), Some("name"), "no column names the event: {}", csv.out);
    let full =
        run(server.client(&["query", text, "--format", "json", "--full"]).args(range)).expect(0).json();
    assert_eq!(full["data"]["columns"][1], json!({"name": "n", "type": "i64"}), "{full}");
    assert!(full["meta"]["rows_scanned"].is_number(), "{full}");

    let wrong = run(&mut server.client(&["query", "fields a\n| filtr b = 1", "--format", "table"])).expect(1);
    assert!(wrong.err.contains("filtr b = 1\n"), "{}", wrong.err);
    assert!(wrong.err.contains("^^^^^") && wrong.err.contains("did you mean: filter"), "{}", wrong.err);
}
