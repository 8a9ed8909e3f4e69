//! Erasing through the API: what is erased is in no answer from then on, whoever asks and however.

use serde_json::{Value as Json, json};
use skein_otlp::Message as _;
use skein_server::{Config, Running};

use crate::client::{get, post, post_json};
use crate::memory::{NOW_NS, config};
use crate::otlp::{span, traces};

const PROTOBUF: &str = "application/x-protobuf";

async fn start(folder: &std::path::Path) -> Running {
    skein_server::start(&Config { data: folder.to_owned(), ..config() }).await.unwrap()
}

async fn send(running: &Running, dataset: &str, numbers: std::ops::RangeInclusive<u8>) {
    for number in numbers {
        let body = traces(dataset, vec![span(number, NOW_NS + u64::from(number))]).encode_to_vec();
        assert_eq!(post(running.otlp_http, "/v1/traces", PROTOBUF, None, body).await.status, 200);
    }
}

/// A question about all of time.
fn question(rest: Json) -> Json {
    let mut spec = json!({"start_time": 0, "end_time": 4_000_000_000_u64});
    spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    spec
}

/// The names of all events, in every way that names can be had.
async fn shown(running: &Running) -> Vec<String> {
    let rows = question(json!({"calculations": [], "limit": 1000}));
    let rows = post_json(running.http, "/api/v1/query", &rows).await.json();
    let mut names: Vec<String> = rows["data"]["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    let groups = question(json!({"calculations": [{"op": "COUNT"}], "breakdowns": ["name"], "limit": 1000}));
    let groups = post_json(running.http, "/api/v1/query", &groups).await.json();
    let mut grouped: Vec<String> = groups["data"]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["data"]["name"].as_str().unwrap().to_owned())
        .collect();
    grouped.sort();
    assert_eq!(grouped, names, "groups and rows");
    let exported = post_json(running.http, "/api/v1/export", &json!({"format": "ndjson"})).await;
    let exported = String::from_utf8(exported.body.to_vec()).unwrap();
    let mut lines: Vec<String> = exported
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap()["name"].as_str().unwrap().to_owned())
        .collect();
    lines.sort();
    assert_eq!(lines, names, "export and rows");
    let datasets = get(running.http, "/api/v1/datasets").await.json();
    let events: u64 =
        datasets.as_array().unwrap().iter().map(|dataset| dataset["events"].as_u64().unwrap()).sum();
    assert_eq!(events, names.len() as u64, "datasets and rows: {datasets}");
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_events_are_in_no_answer_and_in_the_end_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await;
    send(&running, "cart", 1..=9).await;
    send(&running, "only-erased", 20..=21).await;
    let count = question(json!({"calculations": [{"op": "COUNT"}]}));
    let before = post_json(running.http, "/api/v1/query", &count).await.json();
    assert_eq!(before["data"]["results"][0]["data"]["COUNT"], 11);
    let kept = format!("/api/v1/query/{}", before["id"].as_str().unwrap());
    assert_eq!(get(running.http, &kept).await.status, 200);

    for bad in [
        json!({}),
        json!({"filters": []}),
        json!({"filters": [{"column": "a", "op": "?"}]}),
        json!({"filter": 1}),
    ] {
        assert_eq!(post_json(running.http, "/api/v1/erase", &bad).await.status, 400, "{bad}");
    }
    let filters = json!([
        {"column": "name", "op": "in", "value": ["operation 3", "operation 7"]},
        {"column": "dataset", "op": "=", "value": "only-erased"},
    ]);
    let body = json!({"filters": filters, "filter_combination": "OR"});
    let erased = post_json(running.http, "/api/v1/erase", &body).await;
    assert_eq!(erased.status, 200, "{erased:?}");
    let left = shown(&running).await;
    assert_eq!(left.len(), 7, "{left:?}");
    let refused = get(running.http, &kept).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["error"]["code"]),
        (409, &json!("conflict")),
        "an answer from before"
    );
    for (id, status) in [("03", 404), ("15", 404), ("04", 200)] {
        assert_eq!(
            get(running.http, &format!("/api/v1/traces/{}", id.repeat(16))).await.status,
            status,
            "{id}"
        );
    }
    let datasets = get(running.http, "/api/v1/datasets").await.json();
    assert_eq!(datasets.as_array().unwrap().len(), 1, "{datasets}");
    assert_eq!(get(running.http, "/api/v1/datasets/only-erased/columns").await.status, 404);
    let of_it = question(json!({"calculations": [{"op": "COUNT"}], "datasets": ["only-erased"]}));
    assert_eq!(post_json(running.http, "/api/v1/query", &of_it).await.status, 400);
    let values = get(running.http, "/api/v1/datasets/cart/columns/name/values?prefix=operation").await.json();
    assert_eq!(values.as_array().unwrap().len(), 7, "{values}");

    // What arrives later stays, also when it matches; and a restart forgets nothing.
    send(&running, "only-erased", 30..=30).await;
    assert_eq!(shown(&running).await.len(), 8);
    running.shutdown().await.unwrap();
    let running = start(folder.path()).await;
    assert_eq!(shown(&running).await.len(), 8);
    assert_eq!(post_json(running.http, "/api/v1/settle", &json!({})).await.status, 200);
    let status = loop {
        let status = get(running.http, "/api/v1/erase").await.json();
        if status[0]["ended"].is_string() {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(status[0]["filter"], body);
    assert_eq!((&status[0]["copies"]["segments"], &status[0]["copies"]["head_rows"]), (&json!(0), &json!(0)));
    assert!(status[0]["copies"]["log_files"].as_u64().unwrap() > 0, "the second copy is named: {status}");
    assert_eq!(shown(&running).await.len(), 8);
    let metrics = String::from_utf8(get(running.http, "/metrics").await.body.to_vec()).unwrap();
    assert!(
        metrics.contains("skein_segment_written_bytes_total{environment=\"default\",kind=\"flush\"}"),
        "{metrics}"
    );
    running.shutdown().await.unwrap();
}
