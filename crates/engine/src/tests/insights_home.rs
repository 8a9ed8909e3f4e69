//! What a user of CloudWatch brings along: queries over lines of Lambda, flows, lookups, trails and access logs, in the
//! forms that people write. Each means the same when it is formatted and parsed again.

use serde_json::{Value as Json, json};
use skein_event::Fixed;
use skein_event::ids::Environment;
use skein_event::observe::Clock as _;
use skein_query::QueryEngine as _;
use skein_query::insights::{answer, format, parse, request};

use super::build::{Row, START_S, Still, at, context, engine};
use crate::NativeEngine;

fn line(second: i64, dataset: &str, text: &str) -> Row {
    at(second).service(dataset).fixed(Fixed::Body, text)
}

fn flow(second: i64, (action, from, to): (&str, &str, &str), port: i64, protocol: i64, bytes: i64) -> Row {
    let row = at(second).service("flows").with("action", action).with("srcAddr", from).with("dstAddr", to);
    row.with("dstPort", port).with("protocol", protocol).with("bytes", bytes).with("packets", bytes / 100)
}

fn call(second: i64, method: &str, path: &str, status: i64, ms: i64) -> Row {
    let row = at(second).service("gateway").with("httpMethod", method).with("resourcePath", path);
    row.with("status", status).with("responseLatency", ms)
}

fn lambda() -> Vec<Row> {
    const REPORT: &str = "Duration: 100.5 ms\tBilled Duration: 101 ms\tMemory Size: 256 MB\tMax Memory Used: 90 MB\tInit Duration: 310.25 ms\t";
    vec![
        line(0, "checkout-fn", "START RequestId: r-1 Version: 7"),
        line(1, "checkout-fn", &format!("REPORT RequestId: r-1\t{REPORT}")),
        line(
            2,
            "checkout-fn",
            "REPORT RequestId: r-2\tDuration: 40 ms\tBilled Duration: 40 ms\tMemory Size: 256 MB\tMax Memory Used: 110 MB\t",
        ),
        line(3, "checkout-fn", "r-3 Task timed out after 3.00 seconds"),
        line(
            400,
            "checkout-fn",
            "REPORT RequestId: r-3\tDuration: 3000 ms\tBilled Duration: 3000 ms\tMemory Size: 256 MB\tMax Memory Used: 256 MB\tError Type: Runtime.OutOfMemory\t",
        ),
    ]
}

fn network() -> Vec<Row> {
    vec![
        flow(10, ("REJECT", "10.1.2.3", "10.9.9.9"), 22, 6, 400),
        flow(20, ("ACCEPT", "172.16.0.9", "10.9.9.9"), 53, 17, 200),
        flow(30, ("REJECT", "10.1.2.3", "10.9.9.8"), 123, 17, 300),
        at(40).service("flows").with("logStatus", "NODATA").with("interfaceId", "eni-2"),
        at(50)
            .service("lookups")
            .with("queryName", "a.example")
            .with("responseCode", "SERVFAIL")
            .with("resolverIp", "10.0.0.2"),
        at(51)
            .service("lookups")
            .with("queryName", "a.example")
            .with("responseCode", "SERVFAIL")
            .with("resolverIp", "10.0.0.3"),
        at(52)
            .service("lookups")
            .with("queryName", "b.example")
            .with("responseCode", "NOERROR")
            .with("resolverIp", "10.0.0.2"),
    ]
}

fn home() -> NativeEngine {
    let trail = [
        at(60)
            .service("trail")
            .with("eventName", "RunInstances")
            .with("awsRegion", "eu-west-1")
            .with("userIdentity.arn", "arn:ann")
            .with("requestParameters.instancesSet.items", r#"[{"instanceId":"i-1"},{"instanceId":"i-2"}]"#),
        at(61)
            .service("trail")
            .with("eventName", "TerminateInstances")
            .with("awsRegion", "us-east-1")
            .with("userIdentity.arn", "arn:bob"),
        at(62)
            .service("trail")
            .with("eventName", "CreateUser")
            .with("errorCode", "Denied")
            .with("errorMessage", "no"),
        at(63)
            .service("trail")
            .with("eventName", "CreateUser")
            .with("errorCode", "Denied")
            .with("errorMessage", "still no"),
    ];
    let access = [
        call(70, "GET", "/cart", 200, 12).with("http-status", 200).with("user agent", "curl"),
        call(71, "GET", "/cart", 502, 700).with("http-status", 502).with("user agent", "bot"),
        call(72, "POST", "/pay", 503, 900),
        call(73, "POST", "/pay", 404, 20),
        line(80, "app", "[WARN] reserve took 30 ms"),
        line(81, "app", "[ERROR] reserve took 90 ms"),
        line(82, "app", "user=ann method=GET latency=7"),
        line(83, "app", "level=error msg=\"disk full\" duration=5"),
        line(84, "hosts", "h1,GET,/a,200,4"),
        line(85, "hosts", "h2,GET,/b,500,8"),
        line(
            86,
            "docs",
            r#"{"service":"x","users":[{"user.id":"7","action":"get"},{"user.id":"123","action":"put"}],"events":[{"name":"exception"},{"name":"retry"}]}"#,
        ),
    ];
    engine(&[&lambda(), &network(), &trail, &access])
}

fn rows(engine: &NativeEngine, query: &str) -> Json {
    let parsed = parse(query).unwrap_or_else(|problem| panic!("{query}\n{problem:?}"));
    let formatted = format::query(&parsed);
    let again = parse(&formatted).unwrap_or_else(|problem| panic!("{query}\n{formatted}\n{problem:?}"));
    assert_eq!(format::query(&again), formatted, "{query}");
    let body = json!({"query": query, "start_time": START_S, "end_time": START_S + 7_200});
    let plan = request::plan_of(&body, &Environment::default_environment(), Still.now_ns());
    let plan = plan.unwrap_or_else(|error| panic!("{query}\n{error:?}"));
    let answered =
        engine.insights(&plan, &context(), &|_| {}).unwrap_or_else(|error| panic!("{query}\n{error:?}"));
    let mut rows = answer::data(&answered)["rows"].take();
    rows.as_array_mut().expect("rows").iter_mut().for_each(|row| {
        row.as_object_mut().expect("a row").remove("@ptr");
    });
    rows
}

fn of_lambda_and_flows() -> Vec<(&'static str, Json)> {
    vec![
        (
            "# the newest\nfields @log, @message\n| filter @message like /(?i)timed OUT/ # not the reports\n| sort @timestamp desc\n| limit 25",
            json!([{"@log": "checkout-fn", "@message": "r-3 Task timed out after 3.00 seconds"}]),
        ),
        (
            "filter @type = \"REPORT\" | stats avg(@duration) as a, pct(@duration, 95) as p, max(@duration) as m, sum(@billedDuration) as b by bin(5m) as t",
            json!([
                {"t": "1970-01-12T13:45:00.000000000Z", "a": 70.25, "p": 100.5, "m": 100.5, "b": 141},
                {"t": "1970-01-12T13:50:00.000000000Z", "a": 3000, "p": 3000, "m": 3000, "b": 3000},
            ]),
        ),
        (
            "FILTER @type = 'REPORT' | STATS max(@memorySize / 1000 / 1000) AS has, max(@maxMemoryUsed / 1000 / 1000) AS used, has - used AS over BY @log",
            json!([{"@log": "checkout-fn", "has": 256, "used": 256, "over": 0}]),
        ),
        (
            "filter @type = 'REPORT' | fields ispresent(@initDuration) as cold | stats count(*) as calls, sum(cold) as colds, avg(@initDuration) as init",
            json!([{"calls": 3, "colds": 1, "init": 310.25}]),
        ),
        (
            "filter @message like /Task timed out after/ or @message like /Error Type: Runtime\\.OutOfMemory/ | fields @requestId | sort @timestamp asc | limit 20",
            json!([{}, {"@requestId": "r-3"}]),
        ),
        (
            "filter action = 'REJECT' and isIpv4InSubnet(srcAddr, '10.0.0.0/8') | stats sum(bytes) as b, count(*) as n by srcAddr, dstAddr, dstPort | sort b desc | limit 15",
            json!([
                {"srcAddr": "10.1.2.3", "dstAddr": "10.9.9.9", "dstPort": 22, "b": 400, "n": 1},
                {"srcAddr": "10.1.2.3", "dstAddr": "10.9.9.8", "dstPort": 123, "b": 300, "n": 1},
            ]),
        ),
        (
            "filter protocol = 17 and dstPort != 53 | stats sum(packets) as p by srcAddr",
            json!([{"srcAddr": "10.1.2.3", "p": 3}]),
        ),
        (
            "filter (dstAddr like '10.9.9' and srcAddr like '172.16.') | stats sum(bytes) as t by srcAddr, dstAddr",
            json!([{"srcAddr": "172.16.0.9", "dstAddr": "10.9.9.9", "t": 200}]),
        ),
        (
            "filter logStatus in [\"SKIPDATA\", \"NODATA\"] | stats count(*) as gaps by interfaceId, bin(1h)",
            json!([{"interfaceId": "eni-2", "bin(1h)": "1970-01-12T13:00:00.000000000Z", "gaps": 1}]),
        ),
        (
            "filter responseCode = 'SERVFAIL' | stats count(*) as failures, count_distinct(resolverIp) as r by queryName | sort failures desc",
            json!([{"queryName": "a.example", "failures": 2, "r": 2}]),
        ),
        (
            "filter (eventName = 'RunInstances' or eventName = 'TerminateInstances') and awsRegion = 'eu-west-1' | fields userIdentity.arn, requestParameters.instancesSet.items.1.instanceId",
            json!([{"userIdentity.arn": "arn:ann", "requestParameters.instancesSet.items.1.instanceId": "i-2"}]),
        ),
        (
            "filter eventName = 'CreateUser' and ispresent(errorCode) | stats count(*) as n, latest(errorMessage) as last, earliest(errorMessage) as first by errorCode",
            json!([{"errorCode": "Denied", "n": 2, "last": "still no", "first": "no"}]),
        ),
    ]
}

fn of_trails_and_calls() -> Vec<(&'static str, Json)> {
    vec![
        (
            "filter status in [500, '502', 503] | stats count(*) as errors, pct(responseLatency, 90) as p90 by httpMethod, resourcePath | sort errors desc, p90 desc | limit 10",
            json!([
                {"httpMethod": "POST", "resourcePath": "/pay", "errors": 1, "p90": 900},
                {"httpMethod": "GET", "resourcePath": "/cart", "errors": 1, "p90": 700},
            ]),
        ),
        (
            "filter ispresent(status) | fields if(status >= 500, '5xx', if(status >= 400, '4xx', 'ok')) as class | stats count(*) as n by class",
            json!([{"class": "4xx", "n": 1}, {"class": "5xx", "n": 2}, {"class": "ok", "n": 1}]),
        ),
        (
            "filter @log = 'gateway' | fields case(responseLatency < 20, 'fast', responseLatency < 800, 'medium', 'slow') as how | stats count(*) as n by how | sort n desc, how",
            json!([{"how": "medium", "n": 2}, {"how": "fast", "n": 1}, {"how": "slow", "n": 1}]),
        ),
        (
            "stats count(*) as n by status | filter status like /^5\\d\\d$/ | stats sum(n) as all",
            json!([{"all": 2}]),
        ),
        (
            "parse @message \"[*] * took * ms\" as level, op, ms | filter level in [\"WARN\", \"ERROR\"] | stats avg(ms) as a, max(ms) by op",
            json!([{"op": "reserve", "a": 60, "max(ms)": 90}]),
        ),
        (
            "parse @message /user=(?<user>\\S+)\\s+method=(?<method>[A-Z]+)\\s+latency=(?<latency>\\d+)/ | filter ispresent(user) | stats avg(latency) as l by method, user",
            json!([{"method": "GET", "user": "ann", "l": 7}]),
        ),
        (
            "parse @message logfmt as lf | filter lf.level = 'error' | display lf.msg, lf.duration",
            json!([{"lf.msg": "disk full", "lf.duration": "5"}]),
        ),
        (
            "filter @log = 'hosts' | parse @message csv as host, method, path, code, ms | stats avg(ms) as a by method",
            json!([{"method": "GET", "a": 6}]),
        ),
        (
            "FIELDS @message | PARSE @message '[*] *' AS sev, body | FILTER sev IN ['WARN', 'ERROR'] | SORT @timestamp | DISPLAY body, sev = 'ERROR' AS isBad",
            json!([{"body": "reserve took 30 ms", "isBad": 0}, {"body": "reserve took 90 ms", "isBad": 1}]),
        ),
        (
            "parse @message 'user=* *' as who, rest | parse rest 'method=* *' as @how, tail | filter ispresent(who) | display who, @how, tail",
            json!([{"who": "ann", "@how": "GET", "tail": "latency=7"}]),
        ),
        (
            "fields `http-status`, `user agent` | filter `http-status` >= 400 | dedup `user agent` | limit 20",
            json!([{"http-status": 502, "user agent": "bot"}]),
        ),
        (
            "filter ispresent(httpMethod) | fields httpMethod as m, status | sort responseLatency desc | dedup m",
            json!([{"m": "POST", "status": 503}, {"m": "GET", "status": 502}]),
        ),
        (
            "fields jsonParse(@message) as doc | unnest doc.events into ev | filter ev.name = 'exception' | stats count(*) as n by ev.name, doc.service",
            json!([{"ev.name": "exception", "doc.service": "x", "n": 1}]),
        ),
    ]
}

fn of_text_and_json() -> Vec<(&'static str, Json)> {
    vec![
        (
            "fields jsonParse(@message) as doc | filter doc.users[1].`user.id` = '123' | display doc.users[1].action as a, jsonArraySize(doc.users) as s",
            json!([{"a": "put", "s": 2}]),
        ),
        (
            "filter @message like /took/ | pattern @message | fields @pattern, @sampleCount, @severityLabel",
            json!([
                {"@pattern": "[ERROR] reserve took <*> ms", "@sampleCount": 1, "@severityLabel": "ERROR"},
                {"@pattern": "[WARN] reserve took <*> ms", "@sampleCount": 1, "@severityLabel": "WARN"},
            ]),
        ),
        (
            "stats count(*) as n by bin(5m) as t, @log | stats max(n) as peak, avg(n) as mean by @log | sort peak desc, @log | limit 2",
            json!([{"@log": "app", "peak": 4, "mean": 4}, {"@log": "checkout-fn", "peak": 4, "mean": 2.5}]),
        ),
        (
            "fields coalesce(user.id, userIdentity.arn, 'nobody') as who, strlen(@message) as len | filter who != 'nobody' | sort who | display who",
            json!([{"who": "arn:ann"}, {"who": "arn:bob"}]),
        ),
        (
            "filter toMillis(@timestamp) >= (now() * 1000 - 7200000) and @log = 'gateway' | fields datefloor(@timestamp, 1h) as hour, tolower(httpMethod) as how | stats count(*) as n by hour, how",
            json!([
                {"hour": "1970-01-12T13:00:00.000000000Z", "how": "get", "n": 2},
                {"hour": "1970-01-12T13:00:00.000000000Z", "how": "post", "n": 2},
            ]),
        ),
        (
            "fields concat(httpMethod, ' ', replace(resourcePath, '/', ':')) as route, abs(responseLatency - 100) as delta | filter strcontains(route, 'GET :') = 1 and responseLatency % 2 = 0 | stats max(delta) as d by route",
            json!([{"route": "GET :cart", "d": 600}]),
        ),
        (
            "SOURCE logGroups(namePrefix: ['check', 'gate'], class: ['STANDARD']) | filterIndex status = 404 | fields @log",
            json!([{"@log": "gateway"}]),
        ),
        ("SOURCE 'gateway' START=-7200s END=0s | stats count(*) as n", json!([{"n": 4}])),
        ("SOURCE gateway start=1000072 end=1000073 | stats count(*) as n", json!([{"n": 1}])),
        (
            "filter @log = 'gateway' | fields httpMethod, status | countFrequent httpMethod | limit 1",
            json!([{"httpMethod": "GET", "_approxcount": 2}]),
        ),
        (
            "where responseCode = 'NOERROR' | fields queryName | limit any 5",
            json!([{"queryName": "b.example"}]),
        ),
        ("filter status = 4xx | stats count(*) as n", json!([{"n": 1}])),
        (
            "filter eventName = 'RunInstances' | expand requestParameters.instancesSet.items | stats count(*) as n",
            json!([{"n": 2}]),
        ),
        (
            "fields @timestamp, ltrim(@log, 'c') as __log__internal__ | filter @type = 'START' | unmask @message | display __log__internal__",
            json!([{"__log__internal__": "heckout-fn"}]),
        ),
        ("filter referrer = http://10.0.0.1/ or status = 503 | stats count(*) as n", json!([{"n": 1}])),
    ]
}

fn of_values_and_sources() -> Vec<(&'static str, Json)> {
    vec![(
        "stats (sum(bytes) / count(bytes)) * 2 as x, count(*) - count(bytes) as rest",
        json!([{"x": 600, "rest": 24}]),
    )]
}

#[test]
fn what_cloudwatch_users_write_is_answered() {
    let home = home();
    let tables = [of_lambda_and_flows(), of_trails_and_calls(), of_text_and_json(), of_values_and_sources()];
    for (query, expected) in tables.into_iter().flatten() {
        assert_eq!(rows(&home, query), expected, "{query}");
    }
}

fn hours() -> NativeEngine {
    // Two minutes without events lie between.
    let of = |second: i64, n: i64, user: &str| at(second).service("s").with("n", n).with("user", user);
    engine(&[&[
        of(0, 1, "a"),
        of(10, 2, "b"),
        of(140, 4, "a").with("seen", "x"),
        of(150, 100, "b"),
        of(155, 3, "a"),
    ]])
}

#[test]
fn rows_in_their_order_are_summed_shifted_and_filled() {
    let hours = hours();
    for (query, expected) in [
        (
            "sort @timestamp asc | fields n | accum n as total | limit 3",
            json!([{"n": 1, "total": 1}, {"n": 2, "total": 3}, {"n": 4, "total": 7}]),
        ),
        ("fields n | accum n | limit 2", json!([{"n": 3}, {"n": 103}])),
        (
            "sort @timestamp asc | fields n | autoregress n p=1-2 | filter n > 2 | limit 2",
            json!([{"n": 4, "n_p1": 2, "n_p2": 1}, {"n": 100, "n_p1": 4, "n_p2": 2}]),
        ),
        (
            "sort @timestamp asc | fields n | autoregress n as was | limit 2",
            json!([{"n": 1}, {"n": 2, "was": 1}]),
        ),
        (
            "sort @timestamp asc | fields n, seen | filldown se* | display n, seen",
            json!([{"n": 1}, {"n": 2}, {"n": 4, "seen": "x"}, {"n": 100, "seen": "x"}, {"n": 3, "seen": "x"}]),
        ),
        (
            "SOURCE 's' START=1000000 END=1000180 | stats sum(n) as s by bin(1m) as t | fillmissing with 0 for s | accum s AS total | display s, total",
            json!([{"s": 3, "total": 3}, {"s": 0, "total": 3}, {"s": 0, "total": 3}, {"s": 107, "total": 110}]),
        ),
        (
            "SOURCE 's' START=1000010 END=1000150 | stats count(*) as c by user, bin(1m) | fillmissing with 0 for c | stats count(*) as bins, sum(c) as all by user",
            json!([{"user": "a", "bins": 4, "all": 1}, {"user": "b", "bins": 4, "all": 1}]),
        ),
        (
            "stats count(*) as c, sum(n) as s by user | addtotals col=true fieldname=both c, s",
            json!([
                {"user": "a", "c": 3, "s": 8, "both": 11},
                {"user": "b", "c": 2, "s": 102, "both": 104},
                {"c": 5, "s": 110, "both": 115},
            ]),
        ),
        (
            "stats count(*) as c by user | addtotals | sort user desc | limit 1",
            json!([{"user": "b", "c": 2, "Total": 2}]),
        ),
        ("sort @timestamp | fields n | outlier n", json!([{"n": 1}, {"n": 2}, {"n": 4}, {"n": 9}, {"n": 3}])),
        (
            "sort @timestamp | fields n | outlier action=remove mark=true n | filter n > 2",
            json!([{"n": 4, "isOutlier": 0}, {"n": 3, "isOutlier": 0}]),
        ),
        (
            "sort @timestamp | fields n | sessionize user maxspan 1m as visit | stats count(*) as events by visit",
            json!([
                {"visit": "a#1", "events": 1}, {"visit": "a#2", "events": 2},
                {"visit": "b#1", "events": 1}, {"visit": "b#2", "events": 1},
            ]),
        ),
        (
            "stats rate(n, 155s) as r, histogram(n, 2) as h",
            json!([{"r": 2, "h": {"1..50.5": 4, "50.5..100": 1}}]),
        ),
        (
            "SOURCE 's' START=1000140 END=1000200 | stats sum(n) as s by bin(1m) offset 3m",
            json!([{"bin(1m)": "1970-01-12T13:49:00.000000000Z", "s": 3}]),
        ),
        (
            "stats count_over_time(n) as c, sum_over_time(n) as s by user",
            json!([{"user": "a", "c": 3, "s": 8}, {"user": "b", "c": 2, "s": 102}]),
        ),
    ] {
        assert_eq!(rows(&hours, query), expected, "{query}");
    }
}
