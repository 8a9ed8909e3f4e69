//! `skein demo`: what it plants can be found in what it sent.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{end, on_free_ports, run, skein};

fn p99(url: &str, truth: &Value, from: &str, to: &str) -> f64 {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("spec.json");
    let specification = json!({
        "calculations": [{"op": "COUNT"}, {"op": "P99", "column": "duration_ms"}],
        "filters": [{"column": "name", "op": "=", "value": truth["operation"]}, {"column": "span.kind", "op": "=", "value": "server"}],
    });
    std::fs::write(&path, specification.to_string()).unwrap();
    let dataset = truth["service"].as_str().unwrap();
    let said = run(skein()
        .args([
            "query",
            "--format",
            "json",
            "--url",
            url,
            "--from",
            from,
            "--to",
            to,
            "--dataset",
            dataset,
            "--spec",
        ])
        .arg(&path))
    .expect(0);
    let row = &said.json()[0];
    assert!(row["COUNT"].as_u64().unwrap() > 100, "{row}");
    row["P99(duration_ms)"].as_f64().unwrap()
}

#[test]
fn an_incident_is_revealed_and_is_visible_in_the_data() {
    let data = TempDir::new().unwrap();
    let mut child = on_free_ports("demo", data.path())
        .args(["--incident", "0", "--reveal", "--minutes", "14", "--rate", "20"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let ready = line();
    let truth = line();
    assert_eq!((ready["event"].clone(), truth["event"].clone()), (json!("ready"), json!("incident")));
    assert_eq!(truth["service"], json!("catalog"));
    let url = format!("http://{}", ready["http"].as_str().unwrap());

    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("Ctrl-C stops") {
        assert_ne!(err.read_line(&mut text).unwrap(), 0, "{text}");
    }
    assert!(text.contains("web        http://"), "{text}");
    let start = truth["start"].as_str().unwrap();
    let moment = time::OffsetDateTime::parse(start, &time::format_description::well_known::Rfc3339).unwrap();
    let at = |offset: i64| (moment.unix_timestamp() + offset).to_string();
    let before = p99(&url, &truth, &at(-180), &at(-1));
    let during = p99(&url, &truth, &at(5), &at(240));
    assert!(during > 3.0 * before, "p99 {before} ms before, {during} ms during");

    // The three questions are commands that work.
    let commands: Vec<&str> = text.lines().filter(|line| line.contains(" query --spec ")).collect();
    assert_eq!(commands.len(), 3, "{text}");
    for command in commands {
        let said = run(std::process::Command::new("sh").args(["-c", command]).stdin(Stdio::null())).expect(0);
        assert!(!said.json().as_array().unwrap().is_empty(), "{command}");
    }
    assert_eq!(end(child), 0);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("panicked"), "{rest}");
}
