//! `/api/v1/compare` and `/api/v1/templates`: what is asked of the engine, and how its answer is told.

use query::cohorts::{Below, Cluster, Cohort, Cohorts, CohortsPlan, Operation, Seen, Tally};
use query::templates::{Collected, Collector, Occurrence, TemplatesPlan};

use super::*;

/// A hundred traces of one event each.
fn cohort(duration_ms: f64, failed: u64) -> Cohort {
    let seen = |number: u64| Seen {
        weight: 1.0,
        failed: number < failed,
        duration_ms: Some(duration_ms + number as f64),
        cluster: Cluster::of_hash(HashKey(4).hash(&number.to_le_bytes())),
    };
    let mut tally = Tally::default();
    (0..100).for_each(|number| tally.add(seen(number)));
    let mut cohort = tally.finish();
    let mut below = Below::default();
    (0..100).for_each(|number| below.add(seen(number), cohort.percentiles));
    below.finish(&mut cohort);
    cohort
}

pub(super) fn cohorts(plan: &CohortsPlan) -> Cohorts {
    assert_eq!(plan.sides.len(), 2);
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    Cohorts {
        totals: [cohort(1_000.0, 0), cohort(1_000.0, 90)],
        operations: vec![
            Operation { key: vec![text("cart"), None], sides: [None, Some(cohort(1_000.0, 0))] },
            Operation {
                key: vec![text("cart"), text("buy")],
                sides: [Some(cohort(1_000.0, 0)), Some(cohort(1_000.0, 90))],
            },
        ],
        meta: Meta { snapshot: "s1".into(), ..Meta::default() },
    }
}

pub(super) fn collected(plan: &TemplatesPlan) -> Collected {
    let mut collector = Collector::default();
    for (earlier, count) in
        [(false, 300), (true, 10)].into_iter().take(1 + usize::from(plan.baseline.is_some()))
    {
        for number in 0_i64..count {
            let shape = collector.shape(&format!("user {number} logged in"));
            let cluster = HashKey(4).hash(&[u8::from(earlier), number.to_le_bytes()[0]]);
            collector.count(shape, Occurrence { earlier, weight: 2.0, time_ns: number, cluster });
        }
    }
    Collected { collector, without_text: [3, 0], meta: Meta::default() }
}

#[tokio::test]
async fn a_comparison_is_told_with_its_intervals() {
    let server = server();
    let side = |start: u64| json!({"start_time": start, "end_time": start + 50});
    let (status, body) = server.post("/api/v1/compare", json!({"a": side(100), "b": side(200)})).await;
    assert_eq!(status, 200, "{body}");
    let data = &body["data"];
    assert_eq!(data["by"], json!(["service.name", "name"]));
    assert_eq!(data["a"], json!({"events": 100.0, "rows": 100, "seconds": 50.0}));
    // What is new is a surer difference than what fails more often.
    let [second, first] = [0, 1].map(|place| &data["operations"][place]);
    assert_eq!(
        (&first["key"], &first["status"]),
        (&json!({"service.name": "cart", "name": "buy"}), &json!("both"))
    );
    let errors = &first["errors"];
    assert_eq!((&errors["a"], &errors["b"], &errors["difference"]), (&json!(0.0), &json!(0.9), &json!(0.9)));
    assert!(errors["sure"] == true && errors["lo95"].as_f64().unwrap() > 0.8, "{errors}");
    assert_eq!((&first["rate"]["a"], &first["rate"]["sure"]), (&json!(2.0), &json!(false)), "{first}");
    assert_eq!((&first["p50"]["a"], &first["p50"]["ratio"]), (&json!(1_049.0), &json!(1.0)), "{first}");
    assert_eq!((&second["key"], &second["status"]), (&json!({"service.name": "cart"}), &json!("new")));
    assert_eq!((&second["p50"]["a"], &second["p50"]["difference"]), (&json!(null), &json!(null)));
    assert_eq!(second["rate"]["a"], json!(0.0));

    for (body, path) in [
        (json!({"a": {}}), ""),
        (json!({"a": {}, "b": {}}), "/b"),
        (json!({"a": {}, "b": {"filters": [{"column": "a", "op": "~"}]}}), "/b/filters/0/op"),
        (json!({"a": side(1), "b": side(2), "by": []}), "/by"),
        (json!({"a": side(1), "b": side(2), "by": ["root.name"]}), "/by/0"),
        (json!({"a": side(1), "b": side(2), "by": ["x", "x"]}), "/by/1"),
        (json!({"a": side(1), "b": side(2), "limit": 0}), "/limit"),
        (json!({"a": side(1), "b": side(2), "c": 1}), "/c"),
    ] {
        let (status, refused) = error(server.post("/api/v1/compare", body.clone()).await);
        assert_eq!((status, &refused["path"]), (400, &json!(path)), "{refused}: {body}");
    }
}

#[tokio::test]
async fn templates_are_told_with_what_became_of_them() {
    let server = server();
    let range = json!({"start_time": 100, "end_time": 200});
    let (status, body) = server.post("/api/v1/templates", range.clone()).await;
    let data = &body["data"];
    let golden = json!({
        "id": data["templates"][0]["id"], "template": "user <*> logged in",
        "regex": r"^\s*user\s+.+?\s+logged\s+in", "count": 600.0, "rows": 300, "share": 1.0,
        "first_seen": "1970-01-01T00:00:00.000000000Z", "last_seen": "1970-01-01T00:00:00.000000299Z",
        "example": "user 0 logged in",
    });
    assert_eq!((status, &data["templates"]), (200, &json!([golden])), "{body}");
    assert_eq!(
        (&data["column"], &data["without_text"], &data["shapes"]),
        (&json!("message"), &json!(3), &json!(1))
    );
    assert_eq!(data["other"], json!({"templates": 0, "count": 0.0, "baseline_count": 0.0}));
    assert!(data.get("baseline").is_none(), "{data}");

    let with = json!({"start_time": 100, "end_time": 200, "baseline": {"start_time": 0, "end_time": 100}, "column": "body"});
    let (_, body) = server.post("/api/v1/templates", with).await;
    let template = &body["data"]["templates"][0];
    assert_eq!((&template["change"], &template["sure"]), (&json!("multiplied"), &json!(true)), "{template}");
    assert_eq!((&template["ratio"], &template["baseline_count"]), (&json!(30.0), &json!(20.0)));
    assert!(template["ratio_lo95"].as_f64().unwrap() > 5.0, "{template}");
    for (body, path) in [
        (json!({"baseline": {}}), "/baseline"),
        (json!({"column": ""}), "/column"),
        (json!({"column": "parent.name"}), "/column"),
        (json!({"limit": 1_001}), "/limit"),
        (json!({"filters": [{"column": "a", "op": "~"}]}), "/filters/0/op"),
    ] {
        let (status, refused) = error(server.post("/api/v1/templates", body.clone()).await);
        assert_eq!((status, &refused["path"]), (400, &json!(path)), "{refused}: {body}");
    }
}

#[tokio::test]
async fn a_map_without_spans_is_empty_and_wrong_requests_say_where() {
    let server = server();
    let (status, body) = server.post("/api/v1/map", json!({"start_time": 1, "end_time": 2})).await;
    assert_eq!((status, &body["data"]), (200, &json!({"nodes": [], "edges": [], "omitted": 0})), "{body}");
    for (body, path) in [
        (json!({"limit": 5}), "/limit"),
        (json!({"filters": [{"column": "a", "op": "~"}]}), "/filters/0/op"),
        (json!({"start_time": 2, "end_time": 1}), "/end_time"),
    ] {
        let (status, refused) = error(server.post("/api/v1/map", body.clone()).await);
        assert_eq!((status, &refused["path"]), (400, &json!(path)), "{refused}: {body}");
    }
}
