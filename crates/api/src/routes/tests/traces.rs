//! The analysis of a trace in both its forms, and what belongs to one span.

use super::*;

fn trace() -> Vec<FlatRow> {
    let text = |value: &str| Value::Text(value.to_owned());
    let span = |index, id: &str, parent: Option<&str>, service: &str, ms| {
        let mut fields = vec![
            ("meta.signal_type", text("trace")),
            ("trace.span_id", text(id)),
            ("name", text("work")),
            ("service.name", text(service)),
            ("duration_ms", Value::F64(ms)),
        ];
        fields.extend(parent.map(|parent| ("trace.parent_id", text(parent))));
        row(index, &fields)
    };
    vec![
        span(0, "00000000000000aa", None, "web", 10.0),
        span(1, "00000000000000ab", Some("00000000000000aa"), "db", 4.0),
        span(2, "00000000000000ac", Some("00000000000000ff"), "db", 2.5),
        row(
            3,
            &[
                ("meta.signal_type", text("log")),
                ("trace.span_id", text("00000000000000ab")),
                ("body", text("hello")),
            ],
        ),
    ]
}

#[tokio::test]
async fn an_analysis_says_the_same_as_json_and_as_columns() {
    let server = server();
    *server.told.trace.lock().unwrap() = trace();
    let path = format!("/api/v1/traces/{}/analysis", "01".repeat(16));
    let (status, body) = server.get(&path).await;
    assert_eq!(status, 200, "{body}");
    let expected = json!({
        "spans": 3, "services": 2, "errors": 0, "events": 0, "logs": 1, "links": 0, "missing_parents": 1,
        "duplicates": 0, "circles": 0, "others": 0, "depth": 2, "idle_ms": 0.0, "gaps_ms": 0.0,
    });
    let mut summary = body["summary"].clone();
    let idle = summary["idle_ms"].take();
    assert!(idle.as_f64().is_some_and(|idle| (idle - 6.0).abs() < 1e-9), "{idle}");
    let gaps = summary["gaps_ms"].take();
    assert!(gaps.as_f64().is_some_and(|gaps| gaps > 0.0), "{gaps}");
    for name in ["idle_ms", "gaps_ms"] {
        summary[name] = json!(0.0);
    }
    assert_eq!(summary, expected);
    assert_eq!(body["complete"], false);
    let ids = ["00000000000000aa", "00000000000000ab", "00000000000000ff", "00000000000000ac"];
    assert_eq!(body["spans"]["span_id"], json!(ids));
    assert_eq!(body["spans"]["parent"], json!([-1, 0, -1, 2]));
    assert_eq!(body["spans"]["flags"][2], 4, "nobody sent it");
    assert_eq!(body["logs"]["node"], json!([1]));
    assert_eq!(body["bodies"], json!(["hello"]));

    let columns = [("accept", "application/vnd.skein.columns")];
    let (status, bytes) = server.bytes(Method::GET, &path, &columns, "").await;
    assert_eq!((status, &bytes[..6]), (200, &b"SKCOLS"[..]));
    let length = usize::try_from(u64::from_le_bytes(bytes[8..16].try_into().unwrap())).unwrap();
    let head: Json = serde_json::from_slice(&bytes[16..16 + length]).unwrap();
    assert_eq!(head["summary"], body["summary"]);
    let place = &head["spans"]["parent"];
    let start = 16 + length + usize::try_from(place["offset"].as_u64().unwrap()).unwrap();
    let parents: Vec<i32> = bytes[start..start + 16]
        .chunks(4)
        .map(|bytes| i32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    assert_eq!(parents, [-1, 0, -1, 2]);

    let unknown = format!("/api/v1/traces/{}/analysis", "02".repeat(16));
    let (status, error) = server.get(&unknown).await;
    assert_eq!((status, &error["error"]["code"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn one_span_comes_with_what_belongs_to_it() {
    let server = server();
    *server.told.trace.lock().unwrap() = trace();
    let path = |span: &str| format!("/api/v1/traces/{}/spans/{span}", "01".repeat(16));
    let (status, body) = server.get(&path("00000000000000ab")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["spans"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["spans"][0]["service.name"], "db");
    assert_eq!(body["logs"][0]["body"], "hello");
    assert_eq!((&body["events"], &body["links"]), (&json!([]), &json!([])));
    assert_eq!(server.get(&path("00000000000000ee")).await.0, 404);
    assert_eq!(server.get(&path("xyz")).await.0, 400);
}
