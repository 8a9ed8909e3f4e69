//! Attributes and their values.

use skein_otlp::common::{AnyValue, KeyValue};

use super::super::Random;
use super::BAD_TEXT;

/// A number below a bound.
pub(super) fn small(random: &mut Random, bound: u64) -> i64 {
    i64::try_from(random.below(bound)).unwrap_or_default()
}

/// Attributes of a span, log record or span event.
pub(super) fn attributes(random: &mut Random) -> Vec<KeyValue> {
    let mut found = Vec::new();
    let mut maybe = |random: &mut Random, of: u64, make: &mut dyn FnMut(&mut Random) -> KeyValue| {
        if random.once_in(of) {
            found.push(make(random));
        }
    };
    maybe(random, 2, &mut |r| KeyValue::new("http.route", *r.pick(&["/buy", "/pay", "/item/{id}"])));
    maybe(random, 2, &mut status);
    maybe(random, 3, &mut |r| {
        KeyValue::new(*r.pick(&["http.method", "http.request.method"]), *r.pick(&["GET", "POST"]))
    });
    maybe(random, 2, &mut |r| KeyValue::new("mixed", mixed(r)));
    maybe(random, 3, &mut |r| KeyValue::new("amount", amount(r)));
    maybe(random, 4, &mut |r| KeyValue::new("flag", r.once_in(2)));
    maybe(random, 4, &mut |r| KeyValue::new("user", format!("user-{}", r.below(200))));
    maybe(random, 4, &mut |r| KeyValue::new("text", text(r)));
    maybe(random, 4, &mut |r| KeyValue::new("edge", edge(r)));
    maybe(random, 6, &mut |r| KeyValue::new("raw", bytes(r)));
    maybe(random, 6, &mut |r| KeyValue::new("list", list(r)));
    maybe(random, 5, &mut |r| KeyValue::new("nested", nested(r)));
    maybe(random, 20, &mut |r| KeyValue::new("nested.d0", mixed(r)));
    // Names that collide with fixed columns, or look like the way around them.
    maybe(random, 9, &mut |_| KeyValue::new("duration_ms", 7_i64));
    maybe(random, 9, &mut |_| KeyValue::new("name", "of the attribute"));
    maybe(random, 9, &mut |r| KeyValue::new("service.name", *r.pick(&["inner", "cart"])));
    maybe(random, 12, &mut |r| KeyValue::new(*r.pick(COLLIDING), mixed(r)));
    maybe(random, 6, &mut |r| KeyValue::new(*r.pick(&["sampleRate", "SampleRate"]), rate(r)));
    maybe(random, 15, &mut |r| KeyValue::new(format!("rare.{}", r.below(30)), r.below(9).to_string()));
    maybe(random, 10, &mut nothing);
    if random.once_in(8) {
        found.extend(twice(random));
    }
    if random.once_in(300) {
        found.extend(wide());
    }
    found
}

const COLLIDING: &[&str] = &[
    "attributes.duration_ms",
    "attributes.name",
    "resource.team",
    "scope.team",
    "team",
    "body",
    "body.state",
    "timestamp",
    "event.id",
    "meta.ingest_time",
    "meta.signal_type",
    "meta.overflow",
    "sample_rate",
    "severity",
    "level",
    "traceId",
    "dataset",
    "error",
    "caf\u{e9} \"'\\",
];

/// More attributes than an event has columns.
fn wide() -> impl Iterator<Item = KeyValue> {
    (0..2_010_i64).map(|number| match number % 3 {
        0 => KeyValue::new(format!("wide.{number}"), number),
        1 => KeyValue::new(format!("wide.{number}"), number.to_string()),
        _ => KeyValue::new(format!("wide.{number}"), number % 2 == 0),
    })
}

/// A key that comes twice, and a list whose entry is called like another attribute.
pub(super) fn twice(random: &mut Random) -> Vec<KeyValue> {
    match random.below(3) {
        0 => vec![KeyValue::new("twice", mixed(random)), KeyValue::new("twice", mixed(random))],
        1 => vec![
            KeyValue::new("pair.k", mixed(random)),
            KeyValue::new("pair", AnyValue::kvlist([KeyValue::new("k", mixed(random))])),
        ],
        _ => vec![KeyValue::new(
            "pair",
            AnyValue::kvlist([KeyValue::new("k", mixed(random)), KeyValue::new("k", mixed(random))]),
        )],
    }
}

/// An attribute without a value, without a name, or with nothing in its value.
fn nothing(random: &mut Random) -> KeyValue {
    let empty = AnyValue::default;
    match random.below(8) {
        0 => KeyValue { key: "empty".to_owned(), value: Some(empty()), key_strindex: 0 },
        1 => KeyValue { key: "empty".to_owned(), value: None, key_strindex: 0 },
        2 => KeyValue::new("empty", AnyValue::kvlist([])),
        3 => KeyValue::new("empty", AnyValue::array([])),
        4 => KeyValue::new("empty", ""),
        5 => KeyValue::new("", mixed(random)),
        6 => KeyValue::new("empty", AnyValue::kvlist([KeyValue::new("", 1_i64)])),
        _ => KeyValue::new(format!("key{BAD_TEXT}"), "of a key that is no text"),
    }
}

/// An HTTP status under its old or its new name, as a number or as text.
fn status(random: &mut Random) -> KeyValue {
    let name = *random.pick(&["http.status_code", "http.response.status_code"]);
    let code = *random.pick(&[200_i64, 200, 404, 500]);
    if random.once_in(3) { KeyValue::new(name, code.to_string()) } else { KeyValue::new(name, code) }
}

/// Values of every type whose canonical texts meet.
pub(super) fn mixed(random: &mut Random) -> AnyValue {
    match random.below(15) {
        0 => AnyValue::from(500_i64),
        1 => AnyValue::from(500.0),
        2 => AnyValue::from("500"),
        3 => AnyValue::from(true),
        4 => AnyValue::from("true"),
        5 => AnyValue::from(-0.0),
        6 => AnyValue::from(0_i64),
        7 => AnyValue::from(f64::NAN),
        8 => AnyValue::from("NaN"),
        9 => AnyValue::from("x"),
        10 => AnyValue::from(vec![65, 66]),
        11 => AnyValue::from("QUI="),
        12 => AnyValue::array([AnyValue::from(1_i64)]),
        13 => AnyValue::from("[1]"),
        _ => AnyValue::from("1.5e3"),
    }
}

/// Numbers that are hard to add, compare and write.
fn amount(random: &mut Random) -> AnyValue {
    match random.below(12) {
        0 => AnyValue::from(i64::MAX),
        1 => AnyValue::from((1_i64 << 53) + 1),
        2 => AnyValue::from(i64::MIN),
        3 => AnyValue::from(f64::NAN),
        4 => AnyValue::from(0.1),
        5 => AnyValue::from("12"),
        6 => AnyValue::from("12 apples"),
        7 => AnyValue::from(-3.5),
        _ => AnyValue::from(small(random, 1_000) - 500),
    }
}

/// Numbers at the edges of what integers, doubles and JSON hold.
fn edge(random: &mut Random) -> AnyValue {
    const WHOLE: [i64; 8] =
        [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, -(1 << 53), -(1 << 53) - 1, i64::MAX, i64::MAX - 1, i64::MIN];
    const DOUBLE: [f64; 11] = [
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        -9_223_372_036_854_775_808.0,
        1e300,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        -0.0,
        1e-7,
    ];
    const TEXT: [&str; 6] = ["9007199254740993", "1e400", "-9223372036854775809", "1e-400", "+5", "05"];
    match random.below(3) {
        0 => AnyValue::from(*random.pick(&WHOLE)),
        1 => AnyValue::from(*random.pick(&DOUBLE)),
        _ => AnyValue::from(*random.pick(&TEXT)),
    }
}

/// Text that is empty, long, odd, or none.
fn text(random: &mut Random) -> String {
    match random.below(12) {
        0 => String::new(),
        1 => " ".to_owned(),
        2 => "\u{0}".to_owned(),
        3 => "\u{416}\u{1f600}".to_owned(),
        4 => "e\u{301}".to_owned(),
        5 => "\u{e9}".to_owned(),
        6 => "l".repeat(70_000 + usize::try_from(random.below(2)).unwrap_or_default()),
        7 => "m".repeat(usize::try_from(random.below(3_000)).unwrap_or_default()),
        8 => format!("bad{BAD_TEXT}"),
        9 => format!("{BAD_TEXT}worse"),
        10 => "\"quoted\"\\\n".to_owned(),
        _ => format!("text {}", random.below(20)),
    }
}

fn bytes(random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => Vec::new(),
        1 => vec![0xff],
        _ => random.bytes::<2>().to_vec(),
    }
}

fn list(random: &mut Random) -> AnyValue {
    let text = *random.pick(&["a", "b"]);
    match random.below(6) {
        0 => AnyValue::array([AnyValue::array([AnyValue::from(1_i64)]), AnyValue::default()]),
        1 => AnyValue::array([
            AnyValue::kvlist([KeyValue::new("k", f64::INFINITY)]),
            AnyValue::from(vec![1_u8]),
        ]),
        2 => AnyValue::array([AnyValue::from(format!("{text}{BAD_TEXT}"))]),
        _ => AnyValue::array([AnyValue::from(1_i64), AnyValue::from(text)]),
    }
}

/// A list of lists, sometimes deeper than columns go, sometimes very deep.
pub(super) fn nested(random: &mut Random) -> AnyValue {
    let mut value = AnyValue::from(small(random, 3));
    let depth = if random.once_in(12) { 60 } else { 1 + random.below(8) };
    for level in (0..depth).rev() {
        let mut entries = vec![KeyValue::new(format!("d{level}"), value)];
        if random.once_in(6) {
            entries.push(KeyValue::new("beside", mixed(random)));
        }
        value = AnyValue::kvlist(entries);
    }
    value
}

/// How many events one stands for: whole, fractional, as text, or nonsense.
pub(super) fn rate(random: &mut Random) -> AnyValue {
    match random.below(14) {
        0 => AnyValue::from(2.5),
        1 => AnyValue::from(1.0 / 3.0 + 3.0),
        2 => AnyValue::from("4"),
        3 => AnyValue::from("many"),
        4 => AnyValue::from(0_i64),
        5 => AnyValue::from(-3_i64),
        6 => AnyValue::from(f64::NAN),
        7 => AnyValue::from(1e12),
        8 => AnyValue::from(true),
        _ => AnyValue::from(*random.pick(&[1_i64, 2, 10])),
    }
}
