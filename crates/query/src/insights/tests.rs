//! The language by its text: every function by its examples, what people write, and what is refused.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use skein_event::ids::Environment;

use super::ast::{At, Command, CommandKind, Earlier, Expression, Item, Kind, Operator, Pattern, Query};
use super::period::{Period, Unit};
use super::plan::{Head, InsightsPlan, Request, Stage};
use super::resolve::{Resolver, Scope};
use super::{format, functions, parse, plan};
use crate::QueryError;
use crate::plan::{Combination, FilterSet, Literal, Test, TimeRange};
use crate::text::{Problem, Span, underline};

const RANGE: TimeRange = TimeRange { start_ns: 1_900_000_000_000_000_000, end_ns: 1_900_003_600_000_000_000 };

fn planned(text: &str) -> Result<InsightsPlan, QueryError> {
    let request = Request {
        environment: Environment::default_environment(),
        datasets: Vec::new(),
        time_range: RANGE,
        dry_run: false,
        now_ns: 1_900_003_600_000_000_000,
    };
    plan(&parse(text).map_err(Problem::of_question)?, text, &request)
}

/// The value of an expression without fields; a field has none.
fn value(expression: &str) -> Json {
    let text = format!("display {expression} as x");
    let query = parse(&text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"));
    let CommandKind::Display(items) = &query.commands[0].kind else { panic!("{text}") };
    let mut resolver = Resolver::new(RANGE, RANGE.end_ns);
    let mut scope = Scope::default();
    let node =
        resolver.expression(&mut scope, &items[0].expression).unwrap_or_else(|p| panic!("{text}: {p:?}"));
    let code = scope.arena.code(&[node]);
    let mut done = Vec::new();
    code.run(&[], &mut done);
    code.output(0, &done).to_json()
}

#[test]
fn every_example_of_a_function_is_so() {
    let mut count = 0;
    for function in functions::all() {
        assert!(!function.examples.is_empty(), "{} has no example", function.name);
        for (expression, expected) in function.examples {
            let expected: Json =
                serde_json::from_str(expected).unwrap_or_else(|e| panic!("{expression}: {e}"));
            assert_eq!(value(expression), expected, "{expression}");
            count += 1;
        }
    }
    assert!(count > 90, "{count} examples");
}

#[test]
fn the_reference_names_what_there_is() {
    let page = include_str!("../../../../docs/reference/insights.md");
    let functions = functions::all().map(|function| function.name).chain(super::aggregates::names());
    for name in functions.chain(parse::COMMANDS.iter().map(|(name, _)| *name)) {
        let named = ["`", " "].iter().any(|end| page.contains(&format!("`{name}{end}")));
        assert!(named, "{name}");
    }
    for (name, _) in parse::LATER {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn operators_mean_what_the_language_says() {
    for (expression, expected) in [
        ("1 + 2 * 3", json!(7)),
        ("(1 + 2) * 3", json!(9)),
        ("2 ^ 3 ^ 2", json!(512)),
        ("-2 ^ 2", json!(-4)),
        ("7 % 4", json!(3)),
        ("7 / 2", json!(3.5)),
        ("6 / 2", json!(3)),
        ("1 / 0", Json::Null),
        ("9223372036854775807 + 1", json!(9_223_372_036_854_775_807.0)),
        ("\"5\" + 1", json!(6)),
        ("\"x\" + 1", Json::Null),
        ("nothing + 1", Json::Null),
        ("5 = \"5\"", json!(1)),
        ("\"5\" = 5", json!(1)),
        ("5 = \"5.0\"", json!(0)),
        ("nothing = 5", Json::Null),
        ("nothing != 5", Json::Null),
        ("not nothing = 5", Json::Null),
        ("nothing = 5 or 1 = 1", json!(1)),
        ("nothing = 5 and 1 = 2", json!(0)),
        ("\"b\" > \"a\"", json!(1)),
        ("\"10\" < 9", json!(0)),
        ("\"x\" < 9", json!(0)),
        ("not 1 = 2 and 1 = 1", json!(1)),
        ("404 = 4xx", json!(1)),
        ("\"4xx\" = 4XX", json!(1)),
        ("500 = 4xx", json!(0)),
        ("503 != 4xx", json!(1)),
        ("nothing = 4xx", Json::Null),
        ("\"404\" in [5xx, 4xx]", json!(1)),
        ("3 in [1, \"3\"]", json!(1)),
        ("3 not in [1, 2]", json!(1)),
        ("nothing not in [1]", Json::Null),
        ("\"a%b\" like \"a%\"", json!(1)),
        ("\"ab\" like \"a%\"", json!(0)),
        ("\"ERROR here\" like /(?i)error/", json!(1)),
        ("\"ERROR here\" =~ /^error/", json!(0)),
        ("200 like /2\\d\\d/", json!(1)),
        ("nothing not like \"x\"", Json::Null),
        ("jsonParse('{\"a\":[{\"b c\":7}]}').x", Json::Null),
        ("jsonParse('[1,{\"b\":[2,3]}]')[1].b[0]", json!(2)),
        ("jsonParse('{\"a\":1}') = 1", Json::Null),
        ("strlen(jsonParse('[1]'))", Json::Null),
        ("now()", json!(1_900_003_600)),
        ("queryTimeRange()", json!(3_600_000)),
        ("CONCAT('a', \"b\")", json!("ab")),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn what_people_write_is_planned() {
    for text in [
        "fields @timestamp, @message | sort @timestamp desc | limit 20",
        "| filter @message like /(?i)(error|exception)/ # comment\n| stats count(*) as n by bin(1h) | sort n desc",
        "FILTER @type = 'REPORT' | STATS avg(@duration), pct(@duration, 99.9) by bin(5m)",
        "filter status in [500, 502] | stats count(*) as errors, pct(latency, 90) as p90 by method, path | sort errors desc, p90 desc",
        "fields ispresent(@initDuration) as cold | stats sum(cold) by bin(1h)",
        "stats max(a / 1000 / 1000) as x, max(b / 1000) as y, x - y as z by @log",
        "parse @message \"[*] * took * ms\" as level, op, ms | filter level in [\"WARN\"] | stats avg(ms) by op",
        "parse @message /user=(?<user>\\S+)\\s+ms=(?<ms>\\d+)/ | filter ispresent(user) | sort ms desc",
        "parse @logStream \"*/*\" as a, b | stats count(*) by a, b",
        "parse @message /(\\d+\\.\\d+)/ as ip multi | stats count(*) by ip",
        "parse @message logfmt as lf | filter lf.level = \"error\" | display lf.msg",
        "parse @message csv as host, code | stats avg(code) by host",
        "fields `http-status`, `user agent` | filter `http-status` >= 400",
        "fields jsonParse(@message) as doc | unnest doc.events into ev | filter ev.name = 'x' | stats count(*) by ev.name, doc.service",
        "fields jsonParse(@message) as doc | filter doc.users[1].`user.id` = '123' | display doc.users[1].action",
        "filter @message like 'x' | pattern @message | diff previousDay",
        "stats count(*) as n by bin(5m) as t, @log | stats max(n) as peak, avg(n) by @log | sort peak desc",
        "stats count(*) as n by bin(5m) as t | stats avg(n) by dateceil(t, 10m)",
        "fields strlen(@message) as l | stats sum(l)/1024/1024 as mb by bin(5m) | stats max(mb) as peak, min(mb) as low",
        "stats count_distinct(ip) as ips, count(*) as r by s, p | filter ips > 1 | stats count(*) as n, sum(r) / count(*) as avg by p",
        "stats count(*) by service | sort count(*) desc | filter count(*) > 5",
        "filter toMillis(@timestamp) >= (now() * 1000 - 7200000) | fields datefloor(@timestamp, 1h) as hour | stats count(*) by hour",
        "SOURCE logGroups(namePrefix: ['/aws/lambda/a', 'b'], class: ['STANDARD']) | filterIndex requestId = 'x'",
        "SOURCE 'cart', pay | stats count(*)",
        "fields region, tier | countFrequent region, tier | limit 10",
        "where level = 'ERROR' | limit any 5",
        "fields @timestamp, server | sort @timestamp desc | dedup server, severity | limit 20",
        "filter status = \"200\" and referrer= http://34.250.27.141/ and method= \"GET\" | stats count_distinct(ip) as u",
        "filter eventName = 'x' | fields requestParameters.instancesSet.items.0.instanceId",
        "expand list | unmask @message | display list",
        "stats earliest(@message), latest(status), sortsFirst(x), stddev(y), p95(z), count_if(z > 1) by a",
        "fields if(status >= 500, '5xx', case(status >= 400, '4xx', 'ok')) as class | stats count(*) by class, bin(1m)",
    ] {
        let plan = planned(text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
        assert!(!plan.columns.is_empty(), "{text}");
        let formatted = format::query(&parse(text).expect("parsed before"));
        assert_eq!(
            parse(&formatted).expect("formatted"),
            parse(text).expect("parsed"),
            "{text}\n{formatted}"
        );
    }
}

#[test]
fn what_is_written_wrong_is_shown_where() {
    for (text, place, message, candidate) in [
        ("feilds a", "feilds", "no command `feilds`", "fields"),
        ("fields strln(a)", "strln", "no function `strln`", "strlen"),
        ("fields a, | sort b", "|", "expected a value", ""),
        ("filter a = 'x", "'", "no closing quote", ""),
        ("filter a == 1", "==", "means nothing here", ""),
        ("filter a like /x", "/", "no closing slash", ""),
        ("filter a like /(/", "/(/", "no regular expression", ""),
        ("stats count(*) by bin(5 x)", "x", "expected `,` or `)`", ""),
        ("stats count(*) by bin(5minz)", "minz", "neither a number nor a period", "min"),
        ("stats count(*) as total by a | filter totl > 1", "totl", "not among the results", "total"),
        ("stats count(*) by a | stats avg(x) by bin(5m)", "bin(5m)", "gone after `stats`", ""),
        ("stats sum(f) by op | stats max(strlen(@message))", "@message", "not among the results", ""),
        ("stats status", "status", "not among the results", ""),
        ("filter count(*) > 5", "count", "aggregates rows", ""),
        ("limit 0", "0", "1 or more", ""),
        ("limit 20000", "limit", "at most 10000 rows", ""),
        ("parse @message \"* *\" as a", "\"* *\"", "2 stars, and 1 names", ""),
        ("parse @message /(a)(b)/ as x", "/(a)(b)/", "2 groups have no name", ""),
        (
            "fields a | join type=inner left=a right=b where a.x=b.x (SOURCE 'y')",
            "join",
            "not in this version",
            "",
        ),
        ("filter a in (SOURCE 'x' | fields b)", "a in (SOURCE 'x' | fields b)", "subqueries need SQL", ""),
        ("diff", "diff", "right behind `pattern`", ""),
        ("stats count(*) | pattern @message", "pattern", "gone after an aggregation", ""),
        ("sort a dsc", "dsc", "expected `|`", ""),
        ("filter a = 1 sort b", "sort", "expected `|`", ""),
        (
            "fields formatDate(@timestamp, '%H', 'Europe/Berlin')",
            "'Europe/Berlin'",
            "zone `Europe/Berlin`",
            "",
        ),
        ("fields substr(a)", "substr(a)", "does not take 1 arguments", ""),
        ("stats pct(a, 100) by b", "pct(a, 100)", "above 0 and below 100", ""),
        ("pattern @message | diff yesterday", "yesterday", "no modifier", ""),
        ("", "", "the query is empty", ""),
    ] {
        let error = planned(text).expect_err(text);
        let Some(crate::Location::Span { start, end }) = error.location() else {
            panic!("{text}: {error:?}")
        };
        assert_eq!(&text[*start..*end], place, "{text}\n{error}");
        assert!(error.message().contains(message), "{text}\n{error}");
        assert_eq!(error.candidate_list().first().map_or("", String::as_str), candidate, "{text}\n{error:?}");
    }
    let error = planned("fields a\n| filtr b = 1").expect_err("no command");
    let Some(&crate::Location::Span { start, end }) = error.location() else { panic!("{error:?}") };
    assert_eq!(underline("fields a\n| filtr b = 1", Span { start, end }), "| filtr b = 1\n  ^^^^^");
}

fn filters(text: &str) -> FilterSet {
    planned(text).expect(text).base.filter
}

#[test]
fn tests_of_stored_fields_are_filters_of_the_engine() {
    let shown = |text: &str| -> Vec<String> {
        let of = filters(text).filters;
        of.iter()
            .map(|f| {
                format!(
                    "{} {:?}{}",
                    f.column.name,
                    f.test,
                    if f.column.calculated.is_some() { " calculated" } else { "" }
                )
            })
            .collect()
    };
    assert_eq!(shown("filter a = 'x'"), ["a In([Text(\"x\")])"]);
    assert_eq!(shown("filter a = '5'"), ["a In([Text(\"5\"), I64(5)])"]);
    assert_eq!(shown("filter a != 5"), ["a Exists", "a NotIn([I64(5)])"]);
    assert_eq!(shown("filter a = 1"), ["a In([I64(1), Bool(true)])"]);
    assert_eq!(
        shown("filter 5 < a and a <= 9.5"),
        ["a Compare(Greater, I64(5))", "a Compare(LessOrEqual, F64(9.5))"]
    );
    assert_eq!(
        shown("filter a like 'x' | filter b not like /plain/"),
        ["a Text(Contains, \"x\")", "b Exists", "b NotText(Contains, \"plain\")"]
    );
    assert_eq!(shown("filter a in [5, 'x']"), ["a In([I64(5), Text(\"x\")])"]);
    assert_eq!(shown("filter not ispresent(a)"), ["a DoesNotExist"]);
    assert_eq!(shown("filter strcontains(a, 'x') = 1"), ["a Text(Contains, \"x\")"]);
    assert_eq!(shown("filter a = 4xx"), ["filter In([I64(1)]) calculated"]);
    assert_eq!(shown("filter strlen(a) > 3"), ["filter In([I64(1)]) calculated"]);
    let any = filters("filter a = 'x' or b = 'y'");
    assert_eq!((any.combination, any.filters.len()), (Combination::Any, 2));
    assert!(matches!(filters("filter a != 5 or b = 1").filters[0].test, Test::In(_)), "no longer simple");
}

#[test]
fn what_comes_first_is_the_engines() {
    let plan = |text: &str| planned(text).expect(text);
    assert!(matches!(
        plan("filter a = 1 | stats count(*), avg(b) by bin(5m), strlen(c)").head,
        Head::Groups(_)
    ));
    let sorted = plan("sort a | stats count(*)");
    assert!(matches!(sorted.head, Head::Groups(_)), "an order does not matter to a count");
    assert_eq!(sorted.stages, [Stage::Limit(10_000)]);
    assert!(matches!(plan("stats stddev(a)").head, Head::Rows(_)));
    assert!(matches!(plan("limit 5 | stats count(*)").head, Head::Rows(_)));
    let first = |text: &str| match plan(text).head {
        Head::Rows(rows) => rows.first.map(|first| (first.keys.outputs(), first.limit)),
        Head::Groups(_) => None,
    };
    assert_eq!(first("fields a"), Some((0, 10_000)));
    assert_eq!(first("sort a desc | limit 7"), Some((1, 7)));
    assert_eq!(first("limit 7 | sort a"), Some((0, 7)));
    assert_eq!(first("dedup a"), None);
    // A filter behind a limit stays there.
    let late = plan("limit 5 | filter a = 1");
    assert!(late.base.filter.filters.is_empty());
    assert!(matches!(late.stages[0], Stage::Filter(_)));
    assert_eq!(plan("sort b | filter a = 1").base.filter.filters.len(), 1);
}

#[test]
fn deep_and_long_queries_are_refused() {
    let deep = format!("filter {}1{} = 1", "(".repeat(500), ")".repeat(500));
    assert!(planned(&deep).expect_err("deep").message().contains("nested more than"));
    let sum = format!("filter a + {} = 1", ["1"; 500].join(" + "));
    assert!(planned(&sum).is_err());
    let long = format!("filter a = '{}'", "x".repeat(20_000));
    assert!(planned(&long).expect_err("long").message().contains("at most"));
    let many = ["limit 1"; 300].join(" | ");
    assert!(planned(&many).expect_err("many").message().contains("commands"));
}

// === formatting ===

fn at<T>(make: impl FnOnce(At) -> T) -> T {
    make(At::default())
}

fn expression_of(kind: Kind) -> Expression {
    at(|at| Expression { kind, at })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,4}",
        "@[a-z]{1,4}",
        "[a-z]-[a-z ]{1,3}",
        Just("by".to_owned()),
        Just("4x".to_owned())
    ]
}

fn leaf() -> impl Strategy<Value = Kind> {
    prop_oneof![
        proptest::collection::vec(name(), 1..3).prop_map(Kind::Field),
        any::<i32>().prop_map(|number| Kind::Literal(Literal::I64(i64::from(number)))),
        (-1e6..1e6).prop_map(|number| Kind::Literal(Literal::F64(number))),
        "\\PC{0,6}".prop_map(|text| Kind::Literal(Literal::Text(text))),
        Just(Kind::Literal(Literal::Text("a\"'\\\n\\d".to_owned()))),
        any::<bool>().prop_map(|value| Kind::Literal(Literal::Bool(value))),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = leaf().prop_map(expression_of);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let operator = (0..Operator::TABLE.len()).prop_map(|place| Operator::TABLE[place].0);
        let regex = prop_oneof![Just("a/b\\\\".to_owned()), "[a-z+]{0,4}"];
        prop_oneof![
            (operator, boxed(), boxed()).prop_map(|(operator, a, b)| Kind::Binary(operator, a, b)),
            boxed().prop_map(Kind::Not),
            proptest::collection::vec(name(), 1..2)
                .prop_map(|n| Kind::Negative(Box::new(expression_of(Kind::Field(n))))),
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| Kind::Call("concat".to_owned(), list)),
            (boxed(), regex, any::<bool>()).prop_map(|(text, regex, negated)| Kind::Like {
                text,
                pattern: Box::new(expression_of(Kind::Regex(regex))),
                negated,
            }),
            (boxed(), proptest::collection::vec(inner.clone(), 0..3), any::<bool>())
                .prop_map(|(value, list, negated)| Kind::In { value, list, negated }),
            (boxed(), boxed()).prop_map(|(list, index)| Kind::Index(list, index)),
            (boxed(), boxed(), name()).prop_map(|(list, index, name)| Kind::Member(
                Box::new(expression_of(Kind::Index(list, index))),
                name
            )),
            Just(Kind::Call(
                "bin".to_owned(),
                vec![expression_of(Kind::Period(Period { count: 5, unit: Unit::Quarter }))]
            )),
            Just(Kind::Class(4)),
        ]
        .prop_map(expression_of)
    })
}

fn item() -> impl Strategy<Value = Item> {
    (expression(), proptest::option::of(name())).prop_map(|(expression, alias)| Item { expression, alias })
}

fn command() -> impl Strategy<Value = CommandKind> {
    let items = || proptest::collection::vec(item(), 1..3);
    let expressions = || proptest::collection::vec(expression(), 1..3);
    let field = || proptest::collection::vec(name(), 1..3).prop_map(|name| expression_of(Kind::Field(name)));
    let names = || proptest::collection::vec(name(), 1..3);
    prop_oneof![
        items().prop_map(CommandKind::Fields),
        items().prop_map(CommandKind::Display),
        expression().prop_map(|condition| CommandKind::Filter("where", condition)),
        (items(), proptest::collection::vec(item(), 0..2)).prop_map(|(aggregates, by)| CommandKind::Stats {
            aggregates,
            by,
            offset: None
        }),
        proptest::collection::vec((expression(), any::<bool>()), 1..3).prop_map(CommandKind::Sort),
        (any::<bool>(), 1..100_u64).prop_map(|(any, count)| CommandKind::Limit { any, count }),
        (proptest::option::of(field()), "[a-z* ]{0,8}", proptest::collection::vec(name(), 0..3)).prop_map(
            |(field, text, names)| at(|at| CommandKind::Parse {
                field,
                how: Pattern::Glob { text, names, at }
            })
        ),
        (field(), names(), any::<bool>()).prop_map(|(field, names, multi)| at(|at| CommandKind::Parse {
            field: Some(field),
            how: Pattern::Regex { pattern: "(a)/\\s".to_owned(), names, multi, at },
        })),
        (field(), name())
            .prop_map(|(field, name)| CommandKind::Parse { field: Some(field), how: Pattern::Logfmt(name) }),
        names().prop_map(|names| CommandKind::Parse { field: None, how: Pattern::Csv(names) }),
        expressions().prop_map(CommandKind::Dedup),
        expression().prop_map(CommandKind::Pattern),
        Just(CommandKind::Diff(Earlier::Week)),
        (expression(), name()).prop_map(|(list, into)| CommandKind::Unnest(list, into)),
    ]
}

proptest! {
    #[test]
    fn a_formatted_query_is_the_same_query(commands in proptest::collection::vec(command(), 1..4)) {
        let commands = commands.into_iter().map(|kind| at(|at| Command { kind, at })).collect();
        let query = Query { source: None, commands };
        let text = format::query(&query);
        let parsed = parse(&text).map_err(|problem| TestCaseError::fail(format!("{problem:?}\n{text}")))?;
        prop_assert_eq!(&parsed, &query, "{}", text);
    }

    #[test]
    fn no_text_is_a_panic(text in "[a-z@`'\"/|()\\[\\]*#=<>!~,.0-9 \\\\-]{0,60}") {
        drop(planned(&text));
    }
}
