//! Grammar, errors, and the examples of the page of functions.

use std::collections::HashMap;

use super::functions::FUNCTIONS;
use super::*;
use crate::QueryError;
use crate::error::Location;
use crate::plan::{Column, Literal};
use crate::text::{Problem, Span};

const PAGE: &str = include_str!("../../../../docs/reference/calculated-fields.md");

fn column_of(name: &str, _: Span, path: &str) -> Result<Input, Problem> {
    let column = Column::stored(name, Location::Path(path.to_owned()));
    Ok(Input::Column { column, required: true })
}

fn fields(texts: &[(&str, &str)]) -> Result<Fields, QueryError> {
    let field = |(place, (name, text)): (usize, &(&str, &str))| {
        let path = format!("/{place}");
        let expression = parse(text).map_err(|problem| problem.inside(&path))?;
        Ok(Field { name: (*name).into(), expression, path })
    };
    let fields = texts.iter().enumerate().map(field).collect::<Result<Vec<_>, QueryError>>()?;
    Fields::plan(&fields, &column_of)
}

fn program(text: &str) -> Result<Program, QueryError> {
    Ok(fields(&[("field", text)])?.get("field").expect("planned").as_ref().clone())
}

/// The value of an expression for an event.
fn value(text: &str, event: &HashMap<&str, Scalar>) -> Scalar {
    let program = program(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let input = |input: &Input| match input {
        Input::Column { column, .. } => event.get(&*column.name).cloned().unwrap_or(Scalar::Null),
        Input::EventTime => Scalar::F64(1_900_000_000.25),
        Input::IngestTime => Scalar::F64(1_900_000_001.5),
        Input::EventTimeNs | Input::IngestTimeNs => panic!("times are seconds here"),
        Input::Calculation(_) => panic!("no formula"),
    };
    let inputs: Vec<Scalar> = program.inputs().iter().map(input).collect();
    program.evaluate(&inputs, &mut Vec::new())
}

/// What is written equal is one.
fn tree(text: &str) -> String {
    fn show(expression: &Expression) -> String {
        match &expression.kind {
            Kind::Null => "null".to_owned(),
            Kind::Literal(Literal::Text(text)) => format!("{text:?}"),
            Kind::Literal(Literal::Bool(value)) => value.to_string(),
            Kind::Literal(Literal::I64(value)) => value.to_string(),
            Kind::Literal(Literal::F64(value)) => format!("{value:?}"),
            Kind::Column(name) => format!("${name}"),
            Kind::Call { function, arguments, .. } => {
                let arguments: Vec<String> = arguments.iter().map(show).collect();
                format!("{function}({})", arguments.join(" "))
            }
        }
    }
    show(&parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}")))
}

#[test]
fn operators_bind_as_the_language_says() {
    for (text, expected) in [
        ("$a + $b - $c", "SUM($a SUB($b $c))"),
        ("$a - $b + $c", "SUM(SUB($a $b) $c)"),
        ("$a - $b - $c", "SUB(SUB($a $b) $c)"),
        ("$a * $b - $c / 2 % 3", "SUB(MUL($a $b) MOD(DIV($c 2) 3))"),
        ("!$a AND $b OR $c = 1", "OR(AND(NOT($a) $b) EQUALS($c 1))"),
        ("$a < 1 = true", "EQUALS(LT($a 1) true)"),
        ("$a != 1", "NOT(EQUALS($a 1))"),
        ("!($a >= -1)", "NOT(GTE($a -1))"),
        ("IF($a, 1, 2,)", "IF($a 1 2)"),
        ("$http.route/x?y=1 * .5", "MUL($http.route/x?y=1 0.5)"),
        ("$\"any name\" + $`b\\` + `\\d`", "SUM(SUM($any name $b\\) \"\\\\d\")"),
        ("OR($a, $b) AND null", "AND(OR($a $b) null)"),
        ("3 -1", "SUB(3 1)"),
        ("3 - -1e3", "SUB(3 -1000.0)"),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn errors_say_where_and_what_was_meant() {
    for (text, start, end, message, candidate) in [
        ("", 0, 0, "the expression is empty", None),
        ("$a-$b", 3, 5, "expected an operator or the end", None),
        ("1 +", 3, 3, "the expression ends where a value is expected", None),
        ("(1", 2, 2, "the expression ends where `)` is expected", None),
        ("IF(1 2)", 5, 6, "expected `,` or `)`", None),
        ("CONTANS($a, \"x\")", 0, 7, "there is no function `CONTANS`", Some("CONTAINS")),
        ("contains($a, \"x\")", 0, 8, "there is no function `contains`", Some("CONTAINS")),
        ("1 + LT(2)", 4, 9, "LT takes 2 arguments, found 1", None),
        ("IF(true)", 0, 8, "IF takes 2 or more arguments, found 1", None),
        ("REG_MATCH($a, $b)", 14, 16, "a regular expression must be a literal text", None),
        ("REG_MATCH($a, `(`)", 14, 17, "this is no regular expression: unclosed group", None),
        ("FORMAT_TIME(\"%Q\", 1)", 12, 16, "`%Q` is no field of a time", None),
        ("LENGTH($a, \"byte\")", 11, 17, "there is no unit `byte`", Some("bytes")),
        ("$a == 1", 3, 5, "`==` means nothing here", None),
        ("$a && $b", 3, 5, "`&&` means nothing here", None),
        ("'x'", 0, 1, "`'` means nothing here", None),
        ("$ = 1", 0, 1, "a column's name is missing after `$`", None),
        ("status", 0, 6, "`status` is no value", None),
        ("$a and $b", 3, 6, "expected an operator or the end", None),
        ("-$a", 0, 1, "a minus here needs a number right after it", None),
        ("RATE($a)", 0, 4, "`RATE` exists in datasets of metrics only", None),
    ] {
        let error = program(text).expect_err(text);
        assert_eq!(error.message(), message, "{text}");
        assert_eq!(error.location(), Some(&Location::Inside { path: "/0".to_owned(), start, end }), "{text}");
        assert_eq!(error.candidate_list().first().map(String::as_str), candidate, "{text}");
    }
    let hint = program("$a and $b").expect_err("in capitals").hint_text().map(str::to_owned);
    assert_eq!(hint.as_deref(), Some("functions and operators are written in capitals: AND"));
    let hint = program("RATE($a)").expect_err("a calculation").hint_text().map(str::to_owned);
    assert_eq!(hint.as_deref(), Some("RATE is a calculation (`op`), not a function of one event"));
}

#[test]
fn depth_steps_and_length_are_bounded() {
    let deep = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&deep(99)).is_ok());
    assert!(parse(&deep(101)).is_err());
    assert!(parse(&"!".repeat(5_000)).is_err());
    assert!(parse(&"NOT(".repeat(3_000)).is_err());
    assert!(parse(&format!("1{}", " + 1".repeat(3_000))).is_err());
    let long = format!("\"{}\"", "x".repeat(16 << 10));
    assert!(parse(&long).expect_err("too long").message.contains("at most 16384"));
    // Each field doubles the one before; every one is computed once.
    let texts: Vec<(String, String)> = (0..40)
        .map(|n: usize| {
            (format!("f{n}"), if n == 0 { "$a".to_owned() } else { format!("$f{0} + $f{0}", n - 1) })
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let planned = fields(&texts).expect("planned");
    assert_eq!(planned.get("f39").map(|program| program.steps().len()), Some(40));
    let many = format!("CONCAT({})", (0..1_100).map(|n| format!("$c{n},")).collect::<String>());
    let error = program(&many).expect_err("too many steps");
    assert!(error.message().contains("more than 1000 steps"), "{error}");
    let error = program(r"REG_MATCH($a, `\pL{500}`)").expect_err("too large");
    assert!(error.message().contains("needs more than"), "{error}");
}

#[test]
fn fields_refer_to_each_other_but_not_in_circles() {
    let planned = fields(&[("b", "$a * 2"), ("a", "$x + 1"), ("c", "$a + $b")]).expect("planned");
    let columns: Vec<&str> =
        planned.get("c").expect("planned").columns().map(|(column, _)| &*column.name).collect();
    assert_eq!(columns, ["x"]);
    let error = fields(&[("a", "$b"), ("b", "1 + $c"), ("c", "$a")]).expect_err("a circle");
    assert_eq!(error.message(), "`a` refers to itself: a → b → c → a");
    assert_eq!(error.location(), Some(&Location::Inside { path: "/2".to_owned(), start: 0, end: 2 }));
}

#[test]
fn what_needs_no_event_is_computed_at_once() {
    let folded = program("IF(1 + 1 = 2, CONCAT(\"a\", 1.0), $x)").expect("planned");
    assert!(folded.steps().len() <= 4, "{folded:?}");
    let folded = program("REG_VALUE(\"user-7\", `\\d+`)").expect("planned");
    assert_eq!(folded.steps(), [plan::Step::Constant(Scalar::Text("7".into()))]);
    assert!(folded.inputs().is_empty());
    let only_presence = program("EXISTS($a) AND EXISTS($b) AND $b").expect("planned");
    let required: Vec<bool> = only_presence.columns().map(|(_, required)| required).collect();
    assert_eq!(required, [false, true]);
}

/// The rows of the page's tables of functions: name, example, result.
fn examples() -> Vec<(String, String, String)> {
    let code = |cell: &str| cell.trim().trim_matches('`').trim().replace("\\|", "|");
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<String> = row.split('|').map(|cell| cell.replace('\u{1}', "|")).collect();
        let name = code(&cells[1]);
        (name.split('(').next().unwrap_or_default().to_owned(), code(&cells[3]), code(&cells[4]))
    })
    .collect()
}

#[test]
fn every_example_of_the_page_holds() {
    let event = HashMap::from([
        ("status", Scalar::I64(200)),
        ("code", Scalar::Text("200".into())),
        ("bytes", Scalar::I64(2_048)),
        ("ratio", Scalar::F64(0.25)),
        ("path", Scalar::Text("/api/Cart".into())),
        ("ok", Scalar::Bool(true)),
        ("timestamp", Scalar::Text("2030-03-17T17:46:40.250000000Z".into())),
    ]);
    let examples = examples();
    for signature in FUNCTIONS {
        assert!(
            examples.iter().any(|(name, ..)| name == signature.name),
            "{} has no example",
            signature.name
        );
    }
    for (name, example, expected) in &examples {
        let expected_value = value(expected, &HashMap::new());
        assert_eq!(value(example, &event), expected_value, "{name}: {example} is not {expected}");
    }
    assert!(examples.len() >= 60, "only {} examples", examples.len());
}

#[test]
fn nothing_that_is_no_number_comes_out() {
    let nan = HashMap::from([
        ("nan", Scalar::F64(f64::NAN)),
        ("inf", Scalar::F64(f64::INFINITY)),
        ("max", Scalar::F64(f64::MAX)),
        ("least", Scalar::I64(i64::MIN)),
    ]);
    for text in [
        "$inf - $inf",
        "$max * 2",
        "$max + $max",
        "1 / 0",
        "0 / 0",
        "5 % 0",
        "$nan + 1",
        "LOG10(0)",
        "LOG10(0 - 1)",
        "FLOAT($nan)",
        "INT($inf)",
        "INT($max)",
        "BUCKET($inf, 10)",
        "BUCKET($nan, 10)",
        "BUCKET(5, 0)",
        "BUCKET(5, -1)",
        "BUCKET(5, $nan)",
        "BUCKET($max, 0.1)",
        "FORMAT_TIME(\"%Y\", $nan)",
        "MIN($nan)",
        "FORMAT_TIME(\"%Y\", $max)",
    ] {
        assert_eq!(value(text, &nan), Scalar::Null, "{text}");
    }
    assert_eq!(value("INT($least)", &nan), Scalar::I64(i64::MIN));
    assert_eq!(value("$nan = $nan", &nan), Scalar::Bool(false));
    let doubled: Vec<(String, String)> = (0..20)
        .map(|n: usize| {
            (
                format!("f{n}"),
                if n == 0 { "CONCAT(\"ab\", $x)".to_owned() } else { format!("CONCAT($f{0}, $f{0})", n - 1) },
            )
        })
        .collect();
    let texts: Vec<(&str, &str)> =
        doubled.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let planned = fields(&texts).expect("planned");
    let last = planned.get("f16").expect("planned").evaluate(&[Scalar::Null], &mut Vec::new());
    assert_eq!(last, Scalar::Null, "a text of 128 KiB");
    let fits = planned.get("f15").expect("planned").evaluate(&[Scalar::Null], &mut Vec::new());
    assert!(matches!(&fits, Scalar::Text(text) if text.len() == 64 << 10), "a text of 64 KiB");
}
