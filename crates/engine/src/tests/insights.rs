//! Logs Insights over segments: what each command answers, whatever the engine does of it and whatever the stages behind it.

use serde_json::{Value as Json, json};
use skein_event::Fixed;
use skein_event::ids::Environment;
use skein_query::insights::{Answer, answer, request};
use skein_query::{QueryEngine as _, QueryError};

use super::build::{Row, START_S, Still, at, context, engine};
use crate::NativeEngine;
use skein_event::observe::Clock as _;

fn ask(engine: &NativeEngine, query: &str) -> Result<Answer, QueryError> {
    let body = json!({"query": query, "start_time": START_S, "end_time": START_S + 7_200});
    let plan = request::plan_of(&body, &Environment::default_environment(), Still.now_ns())?;
    engine.insights(&plan, &context(), &|_| {})
}

/// The rows of an answer, without what names their events.
fn rows(engine: &NativeEngine, query: &str) -> Json {
    let answered = ask(engine, query).unwrap_or_else(|error| panic!("{query}\n{error:?}"));
    let mut rows = answer::data(&answered)["rows"].take();
    for row in rows.as_array_mut().expect("rows") {
        row.as_object_mut().expect("a row").remove("@ptr");
    }
    rows
}

fn warnings(engine: &NativeEngine, query: &str) -> Vec<&'static str> {
    ask(engine, query).expect("an answer").meta.warnings.iter().map(|warning| warning.code).collect()
}

fn line(second: i64, service: &str, text: &str) -> Row {
    at(second).service(service).fixed(Fixed::Body, text)
}

fn shop() -> NativeEngine {
    let early = [
        line(0, "cart", "[INFO] add took 12 ms").with("status", 200).with("ms", 12),
        line(10, "cart", "[ERROR] add took 900 ms").with("status", 500).with("ms", 900).with("retry", true),
        line(400, "pay", "[ERROR] charge took 30 ms").with("status", "503").with("ms", 30),
    ];
    let late = [
        line(20, "pay", "[WARN] charge took 45 ms").with("status", 404).with("ms", "45"),
        line(700, "mail", "level=error msg=\"no route\" took=3").with("ms", 3.5),
        at(710).service("mail").fixed(Fixed::Name, "send").fixed(Fixed::Duration, 5_000_000_i64),
    ];
    engine(&[&early, &late])
}

#[test]
fn events_come_latest_first_with_what_is_asked_for() {
    let shop = shop();
    assert_eq!(
        rows(&shop, "fields status, ms * 2 as twice | filter ispresent(status) | limit 3"),
        json!([{"status": "503", "twice": 60}, {"status": 404, "twice": 90}, {"status": 500, "twice": 1800}])
    );
    assert_eq!(
        rows(&shop, "fields @log, status | sort status desc, @timestamp asc | limit 4"),
        json!([
            {"@log": "pay", "status": "503"},
            {"@log": "cart", "status": 500},
            {"@log": "pay", "status": 404},
            {"@log": "cart", "status": 200},
        ])
    );
    let default = ask(&shop, "filter @log = 'cart'").expect("an answer");
    let names: Vec<&str> = default.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["@timestamp", "@message"]);
    let data = answer::data(&default);
    assert_eq!(data["rows"][0]["@timestamp"], "1970-01-12T13:46:50.000000000Z");
    assert_eq!(data["rows"][0]["@ptr"], "3-0-1");
    // A span's message is the span.
    let span = rows(&shop, "filter name = 'send' | display @message, @duration");
    assert!(span[0]["@message"].as_str().expect("text").contains("\"duration_ms\":5"), "{span}");
    assert_eq!(span[0]["@duration"], 5);
}

#[test]
fn filters_mean_what_the_language_says() {
    let shop = shop();
    for (condition, count) in [
        ("status = 503", 1),
        ("status = '500'", 1),
        ("status != 500", 3),
        ("not status = 500", 3),
        ("status = 5xx", 2),
        ("status != 5xx", 2),
        ("status in [404, '503']", 2),
        ("status not in [404]", 3),
        ("status like /^5\\d\\d$/", 2),
        ("status >= 404", 3),
        ("status >= '404'", 3),
        ("status < 404 or @log = 'mail'", 3),
        ("@message like 'took'", 5),
        ("@message not like 'took'", 1),
        ("@message like /(?i)error/", 3),
        ("retry = 1", 1),
        ("retry = 'true'", 1),
        ("ms > 20 and ms < 50", 2),
        ("ispresent(retry)", 1),
        ("not ispresent(retry)", 5),
        ("nothing = 1", 0),
        ("nothing != 1", 0),
        ("not nothing = 1", 0),
        ("nothing = 1 or ms = 3.5", 1),
        ("strcontains(@log, 'a') = 1", 6),
        ("isempty(status)", 2),
        ("@timestamp >= 1000700000", 2),
        ("@timestamp < '1970-01-12T13:46:45Z'", 1),
    ] {
        let counted = rows(&shop, &format!("filter {condition} | stats count(*) as n"));
        assert_eq!(counted, json!([{"n": count}]), "{condition}");
        // The same, where the engine's filter cannot have it.
        let late = format!("limit 100 | filter {condition} | stats count(*) as n");
        assert_eq!(rows(&shop, &late), json!([{"n": count}]), "{condition}, late");
        let negated = format!("limit 100 | fields ({condition}) as c | filter c | stats count(*) as n");
        assert_eq!(rows(&shop, &negated), json!([{"n": count}]), "{condition}, computed");
    }
    assert_eq!(warnings(&shop, "filter status = 4xx"), ["status_class"]);
    assert_eq!(warnings(&shop, "filter statsu = 1"), ["unknown_column"]);
}

#[test]
fn aggregates_are_the_same_in_the_engine_and_behind_it() {
    let shop = shop();
    for (stats, expected) in [
        ("count(*) as n", json!([{"n": 6}])),
        (
            "count(ms) as n, sum(ms) as s, avg(ms) as a, min(ms) as l, max(ms) as m",
            json!([
                {"n": 5, "s": 990.5, "a": 198.1, "l": 3.5, "m": 900}
            ]),
        ),
        ("pct(ms, 50) as p, count_distinct(@log) as d", json!([{"p": 30, "d": 3}])),
        (
            "count(*) as n by @log",
            json!([{"@log": "cart", "n": 2}, {"@log": "mail", "n": 2}, {"@log": "pay", "n": 2}]),
        ),
        (
            "count(*) as n by bin(10m)",
            json!([
                {"bin(10m)": "1970-01-12T13:40:00.000000000Z", "n": 3},
                {"bin(10m)": "1970-01-12T13:50:00.000000000Z", "n": 3},
            ]),
        ),
        (
            "count(*) as n by bin(10m) as t, @log",
            json!([
                {"t": "1970-01-12T13:40:00.000000000Z", "@log": "cart", "n": 2},
                {"t": "1970-01-12T13:40:00.000000000Z", "@log": "pay", "n": 1},
                {"t": "1970-01-12T13:50:00.000000000Z", "@log": "mail", "n": 2},
                {"t": "1970-01-12T13:50:00.000000000Z", "@log": "pay", "n": 1},
            ]),
        ),
        ("count(*) as n by bin(1w)", json!([{"bin(1w)": "1970-01-12T00:00:00.000000000Z", "n": 6}])),
        (
            "max(@timestamp) as t, min(@timestamp) as f by retry",
            json!([
                {"retry": true, "t": "1970-01-12T13:46:50.000000000Z", "f": "1970-01-12T13:46:50.000000000Z"},
                {"t": "1970-01-12T13:58:30.000000000Z", "f": "1970-01-12T13:46:40.000000000Z"},
            ]),
        ),
        ("max(ms / 10) as a, min(ms) as b, a - b as c", json!([{"a": 90, "b": 3.5, "c": 86.5}])),
        ("(sum(ms) + count(*)) * 2 as x", json!([{"x": 1993}])),
        ("count(*) as n by strlen(@log) as l", json!([{"l": 3, "n": 2}, {"l": 4, "n": 4}])),
        ("sum(ispresent(retry)) as r", json!([{"r": 1}])),
        ("count_if(ms > 20) as r", json!([{"r": 3}])),
    ] {
        assert_eq!(rows(&shop, &format!("stats {stats}")), expected, "{stats}");
        assert_eq!(rows(&shop, &format!("limit 100 | stats {stats}")), expected, "{stats}, late");
    }
    for (stats, expected) in [
        ("earliest(@log) as e, latest(@log) as l", json!([{"e": "cart", "l": "mail"}])),
        ("earliest(status) as e, latest(status) as l", json!([{"e": 200, "l": "503"}])),
        ("sortsFirst(@log) as f, sortsLast(@log) as l", json!([{"f": "cart", "l": "pay"}])),
        ("stddev(status) as d by retry", json!([{"retry": true, "d": 0}, {"d": 154.50242717}])),
    ] {
        let mut found = rows(&shop, &format!("stats {stats}"));
        if let Some(deviation) = found.get(1).and_then(|row| row["d"].as_f64()) {
            found[1]["d"] = json!((deviation * 1e8).round() / 1e8);
        }
        assert_eq!(found, expected, "{stats}");
    }
    assert_eq!(rows(&shop, "filter ms > 10000 | stats count(*) as n, max(ms) as m"), json!([{"n": 0}]));
    assert_eq!(rows(&shop, "filter ms > 10000 | stats count(*) as n by @log"), json!([]));
}

#[test]
fn aggregates_can_be_aggregated() {
    let shop = shop();
    assert_eq!(
        rows(
            &shop,
            "stats count(*) as n by bin(10m) as t, @log | stats max(n) as peak, count(*) as groups by @log | sort peak desc, @log"
        ),
        json!([
            {"@log": "cart", "peak": 2, "groups": 1},
            {"@log": "mail", "peak": 2, "groups": 1},
            {"@log": "pay", "peak": 1, "groups": 2},
        ])
    );
    assert_eq!(
        rows(
            &shop,
            "stats count(*) as n by @log, bin(10m) as t | filter n > 1 | stats count(*) as x by datefloor(t, 1d) as day"
        ),
        json!([{"day": "1970-01-12T00:00:00.000000000Z", "x": 2}])
    );
    assert_eq!(
        rows(&shop, "stats sum(ms) by @log | sort sum(ms) desc | limit 1"),
        json!([{"@log": "cart", "sum(ms)": 912}])
    );
    assert_eq!(
        rows(&shop, "stats sum(ms) as s by @log | fields s * 2 as d, @log | filter d < 100"),
        json!([{"d": 7, "@log": "mail"}])
    );
    assert_eq!(rows(&shop, "countFrequent @log | limit 1"), json!([{"@log": "cart", "_approxcount": 2}]));
}

#[test]
fn texts_are_taken_apart() {
    let shop = shop();
    assert_eq!(
        rows(
            &shop,
            "parse @message '[*] * took * ms' as level, op, took | filter level = 'ERROR' | stats max(took) as m by op"
        ),
        json!([{"op": "add", "m": 900}, {"op": "charge", "m": 30}])
    );
    assert_eq!(
        rows(&shop, "parse @message /took (?<took>\\d+) ms/ | filter took > 40 | sort took | display took"),
        json!([{"took": "45"}, {"took": "900"}])
    );
    assert_eq!(
        rows(
            &shop,
            "parse @message logfmt as lf | filter lf.level = 'error' | display lf.msg, lf.took + 1 as n"
        ),
        json!([{"lf.msg": "no route", "n": 4}])
    );
    assert_eq!(
        rows(
            &shop,
            "filter @log = 'cart' | parse @message /(\\w+)/ as word multi | stats count(*) as n by word | sort n desc, word | limit 3"
        ),
        json!([{"word": "add", "n": 2}, {"word": "ms", "n": 2}, {"word": "took", "n": 2}])
    );
    // What does not match stays, without the fields.
    assert_eq!(
        rows(&shop, "parse @message 'nope *' as x | stats count(*) as n, count(x) as x"),
        json!([{"n": 6, "x": 0}])
    );
}

#[test]
fn the_first_of_each_value_is_kept() {
    let shop = shop();
    assert_eq!(
        rows(&shop, "fields @log, status | filter ispresent(status) | dedup @log"),
        json!([{"@log": "pay", "status": "503"}, {"@log": "cart", "status": 500}])
    );
    assert_eq!(
        rows(&shop, "fields @log, status | sort @timestamp asc | dedup @log, nothing | limit 1"),
        json!([{"@log": "cart", "status": 200}]),
        "rows without one of the values are all kept"
    );
    assert_eq!(
        rows(&shop, "sort @timestamp asc | dedup @log | display ms"),
        json!([{"ms": 12}, {"ms": "45"}, {"ms": 3.5}])
    );
}

#[test]
fn lists_become_rows() {
    let engine = engine(&[&[
        line(0, "a", r#"{"service":"x","events":[{"name":"one"},{"name":"two"}]}"#),
        line(1, "a", r#"{"service":"y","events":{"name":"one"}}"#),
        line(2, "a", "no json"),
    ]]);
    let parsed = "fields jsonParse(@message) as doc | unnest doc.events into ev";
    assert_eq!(
        rows(&engine, &format!("{parsed} | filter ispresent(ev) | display ev.name, doc.service")),
        json!([
            {"ev.name": "one", "doc.service": "y"},
            {"ev.name": "one", "doc.service": "x"},
            {"ev.name": "two", "doc.service": "x"},
        ])
    );
    assert_eq!(
        rows(&engine, &format!("{parsed} | filter ispresent(ev) | stats count(*) as n by ev.name")),
        json!([{"ev.name": "one", "n": 2}, {"ev.name": "two", "n": 1}])
    );
}

#[test]
fn templates_are_found_and_compared() {
    let texts: Vec<Row> = (0..40)
        .map(|n| line(3_000 + n * 100, "a", &format!("user u{n} logged in")))
        .chain((0..5).map(|n| line(3_600 + n, "a", &format!("disk {n} has an error"))))
        .chain([line(100, "a", "started up")])
        .collect();
    let engine = engine(&[&texts]);
    let all = rows(&engine, "pattern @message");
    assert_eq!(all[0]["@pattern"], "user <*> logged in");
    assert_eq!(
        all[1],
        json!({"@pattern": "disk <*> has an error", "@sampleCount": 5, "@ratio": 5.0 / 46.0, "@severityLabel": "ERROR"})
    );
    let body = json!({"query": "pattern @message | diff", "start_time": START_S + 3_600, "end_time": START_S + 7_200});
    let plan = request::plan_of(&body, &Environment::default_environment(), Still.now_ns()).expect("a plan");
    let answered = engine.insights(&plan, &context(), &|_| {}).expect("an answer");
    let compared = answer::data(&answered)["rows"].take();
    let of = |row: &Json| {
        (
            row["@pattern"].clone(),
            row["@sampleCount"].clone(),
            row["@previousCount"].clone(),
            row["@differenceDescription"].clone(),
        )
    };
    assert_eq!(of(&compared[0]), (json!("user <*> logged in"), json!(34), json!(6), json!("+467 %")));
    assert_eq!(of(&compared[1]), (json!("disk <*> has an error"), json!(5), json!(0), json!("new")));
    assert_eq!(of(&compared[2]), (json!("started up"), json!(0), json!(1), json!("vanished")));
}

#[test]
fn lines_of_lambda_have_their_fields() {
    let report = "REPORT RequestId: r1\tDuration: 12.5 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 64 MB\t";
    let engine = engine(&[&[line(0, "fn", report), line(1, "fn", "hello").with("@requestId", "r1")]]);
    assert_eq!(
        rows(
            &engine,
            "filter @type = 'REPORT' | stats max(@maxMemoryUsed / 1000 / 1000) as mb, avg(@duration) as d by @requestId"
        ),
        json!([{"@requestId": "r1", "mb": 64, "d": 12.5}])
    );
    assert_eq!(rows(&engine, "stats count(*) as n by @requestId"), json!([{"@requestId": "r1", "n": 2}]));
}

#[test]
fn sources_are_datasets() {
    let shop = shop();
    assert_eq!(rows(&shop, "SOURCE 'cart' | stats count(*) as n"), json!([{"n": 2}]));
    assert_eq!(
        rows(&shop, "SOURCE logGroups(namePrefix: ['c', 'ma']) | stats count(*) as n"),
        json!([{"n": 4}])
    );
    let error = ask(&shop, "SOURCE 'crat' | stats count(*)").expect_err("no such dataset");
    assert_eq!(error.candidate_list(), ["cart"]);
}

#[test]
fn sampled_events_count_as_often_as_they_say() {
    let rate = |row: Row| row.fixed(Fixed::SampleRate, 4.0);
    let engine = engine(&[&[rate(line(0, "a", "x").with("ms", 10)), line(1, "a", "y").with("ms", 20)]]);
    let expected = json!([{"n": 5, "a": 12}]);
    assert_eq!(rows(&engine, "stats count(*) as n, avg(ms) as a"), expected);
    assert_eq!(warnings(&engine, "stats count(*) as n, avg(ms) as a"), ["estimates"]);
    assert_eq!(
        rows(&engine, "stats count(*) as n, avg(ms) as a, latest(ms) as l"),
        json!([{"n": 5, "a": 12, "l": 20}])
    );
    // Rows that were chosen are not multiplied back.
    assert_eq!(rows(&engine, "dedup ms | stats count(*) as n"), json!([{"n": 2}]));
}

#[test]
fn what_a_query_holds_is_bounded() {
    let texts: Vec<Row> =
        (0..3_000).map(|n| line(n % 7_000, "a", &format!("{n} {}", "x".repeat(200)))).collect();
    let engine = engine(&[&texts]);
    let limited = |query: &str, bytes: usize| {
        let body = json!({"query": query, "start_time": START_S, "end_time": START_S + 7_200});
        let plan =
            request::plan_of(&body, &Environment::default_environment(), Still.now_ns()).expect("a plan");
        engine.insights(&plan, &skein_query::RunContext { memory_bytes_max: bytes, ..context() }, &|_| {})
    };
    for query in [
        "stats count(*) by @message",
        "stats latest(@message) by @message",
        "sort @message | stats latest(@message) by @message | stats count(*)",
        "dedup @message",
        "fields @message | sort strlen(@message) | dedup @message | stats count(*)",
    ] {
        let error = limited(query, 100_000).expect_err(query);
        assert_eq!(error.kind(), skein_query::ErrorKind::LimitExceeded, "{query}");
        assert!(limited(query, 100 << 20).is_ok(), "{query}");
    }
    assert!(limited("sort @message | limit 10", 100_000).is_ok(), "only the first are held");
}

#[test]
fn a_dry_run_reads_nothing_and_bounds_what_is_read() {
    let shop = shop();
    let dry = |query: &str, end: i64| {
        let body = json!({"query": query, "start_time": START_S, "end_time": START_S + end, "dry_run": true});
        let plan =
            request::plan_of(&body, &Environment::default_environment(), Still.now_ns()).expect("a plan");
        let answered = shop.insights(&plan, &context(), &|_| {}).expect("an answer");
        assert_eq!(answered.rows.len(), 0, "{query}");
        answered.meta
    };
    for query in [
        "stats count(*)",
        "stats max(ms) by status, @log | sort status",
        "fields status, ms, @message | sort ms desc | limit 3",
        "stats latest(ms) by @log",
        "filter @message like 'took' | pattern @message",
    ] {
        let (bound, read) = (dry(query, 7_200), ask(&shop, query).expect(query).meta);
        assert_eq!(bound.rows_scanned, 6, "{query}");
        assert!(read.bytes_scanned <= bound.bytes_scanned, "{query}: {read:?} {bound:?}");
        assert!(read.rows_scanned <= bound.rows_scanned, "{query}");
    }
    // Files of other times are not counted.
    let (all, some) = (dry("stats count(*)", 7_200), dry("stats count(*)", 5));
    assert!(0 < some.bytes_scanned && some.bytes_scanned < all.bytes_scanned, "{some:?} {all:?}");
    let rows = ask(&shop, "fields status, @message | limit 5").expect("rows").meta;
    assert!(rows.bytes_scanned > 0, "what is shown was read: {rows:?}");
}

/// A trace over services: spans and log records, in one order of time.
#[test]
fn what_shares_a_trace_id_is_one_timeline_over_all_datasets() {
    const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";
    let span = |second: i64, service: &str, name: &str| {
        at(second)
            .service(service)
            .fixed(Fixed::TraceId, TRACE)
            .fixed(Fixed::Name, name)
            .fixed(Fixed::Duration, 5_i64)
    };
    let log =
        |second: i64, service: &str, text: &str| line(second, service, text).fixed(Fixed::TraceId, TRACE);
    let other = line(15, "cart", "of another").fixed(Fixed::TraceId, "ff02030405060708090a0b0c0d0e0f10");
    let front = [span(10, "front", "GET /buy"), log(11, "front", "begins"), log(40, "front", "ends")];
    let cart = [other, span(12, "cart", "reserve"), log(13, "cart", "reserved")];
    let pay = [
        span(20, "pay", "charge"),
        log(21, "pay", "declined"),
        at(22).service("pay").fixed(Fixed::Name, "sweep"),
    ];
    let engine = engine(&[&pay, &front, &cart]);
    let expected: Vec<Json> = [
        ("front", "GET /buy"),
        ("front", "begins"),
        ("cart", "reserve"),
        ("cart", "reserved"),
        ("pay", "charge"),
        ("pay", "declined"),
        ("front", "ends"),
    ]
    .iter()
    .map(|(service, what)| json!({"@log": service, "what": what}))
    .collect();
    for name in ["traceId", "trace.trace_id", "@xrayTraceId"] {
        let query = format!(
            "filter {name} = '{TRACE}' | fields @log, coalesce(body, name) as what | sort @timestamp asc"
        );
        assert_eq!(rows(&engine, &query), json!(expected), "{query}");
        let newest = format!("filter {name} = '{TRACE}' | fields @log, coalesce(body, name) as what");
        let reversed: Vec<Json> = expected.iter().rev().cloned().collect();
        assert_eq!(rows(&engine, &newest), json!(reversed), "{newest}");
    }
}

/// A clock on which every look takes ten seconds.
struct Slow(std::sync::atomic::AtomicI64);

impl skein_event::observe::Clock for Slow {
    fn now_ns(&self) -> i64 {
        self.0.fetch_add(10_000_000_000, std::sync::atomic::Ordering::Relaxed)
    }
}

#[test]
fn rows_are_shown_as_far_as_they_are_known() {
    let rows_of = |from: i64| (from..from + 3).map(|n| line(n, "a", "x").with("ms", n)).collect::<Vec<Row>>();
    let engine = engine(&[&rows_of(0), &rows_of(10), &rows_of(20)]);
    for (query, newest) in [("fields ms | limit 4", true), ("fields ms | sort ms | limit 4", false)] {
        let body = json!({"query": query, "start_time": START_S, "end_time": START_S + 7_200});
        let plan =
            request::plan_of(&body, &Environment::default_environment(), Still.now_ns()).expect("a plan");
        let told = std::sync::Mutex::new(Vec::new());
        let clock = Slow(Still.now_ns().into());
        let context = skein_query::RunContext { clock: &clock, partial: Some(&|_| {}), ..context() };
        let partial = |answer: Answer| told.lock().expect("told").push(answer);
        let whole = engine.insights(&plan, &context, &partial).expect("an answer");
        let told = told.into_inner().expect("told");
        assert!(!told.is_empty(), "{query}");
        for answer in &told {
            assert!(answer.meta.warnings.iter().any(|warning| warning.code == "partial"), "{query}");
            assert!(!answer.rows.is_empty() && answer.rows.len() <= 4, "{query}: {:?}", answer.rows);
        }
        assert!(whole.meta.warnings.iter().all(|warning| warning.code != "partial"), "{query}");
        let ms: Vec<Json> = answer::data(&whole)["rows"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| row["ms"].clone())
            .collect();
        assert_eq!(ms, if newest { [22, 21, 20, 12] } else { [0, 1, 2, 10] }.map(Json::from), "{query}");
    }
}
