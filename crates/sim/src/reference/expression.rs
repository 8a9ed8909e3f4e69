//! What a calculated field is worth for one event, by docs/reference/calculated-fields.md.
//!
//! It walks the tree of the text, one event at a time. The tree is the only thing it shares with the engine: what a
//! function means is written down here once more, plainly, and a difference is a defect of one of the two.

#![expect(
    clippy::expect_used,
    reason = "planning has refused what would fail here, and a test is to fail loudly"
)]

mod time;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use skein_event::value::{Value, canonical_f64};
use skein_query::expression::{Expression, Kind, parse};
use skein_query::plan::Literal;

use self::time::{rfc3339, strftime};
use super::event::Event;
use super::names;
use super::number::Number;
use crate::random::data::ARRIVAL_NS;

/// The fields of a specification: their trees by name.
pub type Fields = BTreeMap<String, Expression>;

/// The calculated fields of a specification.
pub fn fields(spec: &Json) -> Fields {
    let list = spec["calculated_fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = |field: &Json| {
        let tree = parse(field["expression"].as_str()?).ok()?;
        Some((field["name"].as_str()?.to_owned(), tree))
    };
    list.iter().filter_map(field).collect()
}

/// The events with the calculated fields of a specification; `None` without any.
pub fn with_fields(events: &[Event], spec: &Json) -> Option<Vec<Event>> {
    let fields = fields(spec);
    if fields.is_empty() {
        return None;
    }
    let computed = |event: &Event| {
        let mut with = event.clone();
        for (name, tree) in &fields {
            with.calculated.insert(name.clone(), evaluate(tree, event, &fields));
        }
        with
    };
    Some(events.iter().map(computed).collect())
}

/// The columns of events that a name means: those that a calculated field reads, through others, or itself.
pub fn columns(name: &str, fields: &Fields) -> Vec<String> {
    fn walk(tree: &Expression, fields: &Fields, found: &mut Vec<String>) {
        match &tree.kind {
            Kind::Column(name) => match fields.get(name) {
                Some(tree) => walk(tree, fields, found),
                None => found.push(name.clone()),
            },
            Kind::Call { arguments, .. } => arguments.iter().for_each(|one| walk(one, fields, found)),
            Kind::Null | Kind::Literal(_) => {}
        }
    }
    let mut found = Vec::new();
    match fields.get(name) {
        Some(tree) => walk(tree, fields, &mut found),
        None => found.push(name.to_owned()),
    }
    found
}

/// The value of an expression; `None` is null.
pub fn evaluate(tree: &Expression, event: &Event, fields: &Fields) -> Option<Value> {
    match &tree.kind {
        Kind::Null => None,
        Kind::Literal(Literal::Bool(value)) => Some(Value::Bool(*value)),
        Kind::Literal(Literal::I64(value)) => Some(Value::I64(*value)),
        Kind::Literal(Literal::F64(value)) => Some(Value::F64(*value)),
        Kind::Literal(Literal::Text(text)) => Some(Value::Text(text.clone())),
        Kind::Column(name) => match fields.get(name) {
            Some(tree) => evaluate(tree, event, fields),
            None => names::value(event, name).map(|value| match value.into_owned() {
                bytes @ (Value::Bytes(_) | Value::Json(_)) => {
                    Value::Text(bytes.canonical_text().into_owned())
                }
                value => value,
            }),
        },
        Kind::Call { function, arguments, .. } => {
            // A format is no value that is computed.
            let values: Vec<Option<Value>> =
                arguments.iter().map(|argument| evaluate(argument, event, fields)).collect();
            call(function, &values, event)
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a catalogue: each function's meaning in a line or a few")]
fn call(function: &str, v: &[Option<Value>], event: &Event) -> Option<Value> {
    let arg = |place: usize| v.get(place).cloned().flatten();
    let text = |place: usize| arg(place).map(|value| value.canonical_text().into_owned());
    let number = |place: usize| arg(place).map(|value| operand(&value));
    let yes = |holds: bool| Some(Value::Bool(holds));
    let compared = |wanted: &[Ordering]| {
        let order = arg(0).zip(arg(1)).and_then(|(a, b)| order(&a, &b));
        yes(order.is_some_and(|order| wanted.contains(&order)))
    };
    let both =
        |test: &dyn Fn(&str, &str) -> bool| yes(text(0).zip(text(1)).is_some_and(|(a, b)| test(&a, &b)));
    let pattern = || regex::Regex::new(&text(1).unwrap_or_default()).expect("a pattern that was planned");
    match function {
        "IF" => {
            for pair in v.chunks(2) {
                match pair {
                    [condition, value] if holds(condition) => return value.clone(),
                    [otherwise] => return otherwise.clone(),
                    _ => {}
                }
            }
            None
        }
        "SWITCH" => {
            for pair in v[1..].chunks(2) {
                match pair {
                    [case, value] if equals(&v[0], case) => return value.clone(),
                    [otherwise] => return otherwise.clone(),
                    _ => {}
                }
            }
            None
        }
        "COALESCE" => v.iter().flatten().next().cloned(),
        "LT" => compared(&[Ordering::Less]),
        "LTE" => compared(&[Ordering::Less, Ordering::Equal]),
        "GT" => compared(&[Ordering::Greater]),
        "GTE" => compared(&[Ordering::Greater, Ordering::Equal]),
        "EQUALS" => yes(equals(&v[0], &v[1])),
        "IN" => yes(v[1..].iter().any(|one| equals(&v[0], one))),
        "EXISTS" => yes(v[0].is_some()),
        "NOT" => yes(!holds(&v[0])),
        "AND" => yes(v.iter().all(holds)),
        "OR" => yes(v.iter().any(holds)),
        "MIN" => extreme(v, Ordering::Less),
        "MAX" => extreme(v, Ordering::Greater),
        "SUM" => {
            let parts: Vec<f64> = v.iter().flatten().map(operand).collect();
            if parts.is_empty() { None } else { finite(parts.iter().fold(0.0, |sum, part| sum + part)) }
        }
        "MUL" => {
            let mut product = 1.0;
            for place in 0..v.len() {
                product *= number(place)?;
            }
            finite(product)
        }
        "SUB" => finite(number(0)? - number(1)?),
        "DIV" => {
            let (a, b) = (number(0)?, number(1)?);
            if b == 0.0 { None } else { finite(a / b) }
        }
        "MOD" => {
            let (a, b) = (number(0)?, number(1)?);
            if b == 0.0 { None } else { finite(a % b) }
        }
        "LOG10" => {
            let x = number(0)?;
            if x > 0.0 { finite(x.log10()) } else { None }
        }
        "BUCKET" => bucket(number(0)?, number(1)?, number(2), number(3)),
        "INT" => int(&arg(0)?),
        "FLOAT" => finite(number(0)?),
        "BOOL" => yes(holds(&v[0])),
        "STRING" => text(0).map(Value::Text),
        "CONCAT" => {
            let all: String = v.iter().flatten().map(|value| value.canonical_text().into_owned()).collect();
            if all.len() > 65_536 { None } else { Some(Value::Text(all)) }
        }
        "STARTS_WITH" => both(&|text, part| text.starts_with(part)),
        "ENDS_WITH" => both(&|text, part| text.ends_with(part)),
        "CONTAINS" => both(&|text, part| text.contains(part)),
        "TO_LOWER" => text(0).map(|text| Value::Text(text.to_lowercase())),
        "LENGTH" => {
            let in_bytes = v.len() > 1 && v[1] == Some(Value::Text("bytes".to_owned()));
            text(0).map(|text| count(if in_bytes { text.len() } else { text.chars().count() }))
        }
        "REG_MATCH" => yes(text(0).is_some_and(|text| pattern().is_match(&text))),
        "REG_COUNT" => Some(count(text(0).map_or(0, |text| pattern().find_iter(&text).count()))),
        "REG_VALUE" => {
            let pattern = pattern();
            let text = text(0)?;
            let groups = pattern.captures(&text)?;
            let group = if groups.len() > 1 { groups.get(1) } else { groups.get(0) };
            group.map(|group| Value::Text(group.as_str().to_owned()))
        }
        "UNIX_TIMESTAMP" => match arg(0)? {
            Value::Text(text) => rfc3339(&text).map(Value::F64),
            _ => None,
        },
        "EVENT_TIMESTAMP" => Some(Value::F64(seconds_of(event.time_ns))),
        "INGEST_TIMESTAMP" => Some(Value::F64(seconds_of(ARRIVAL_NS))),
        "FORMAT_TIME" => {
            let seconds = match arg(1)? {
                Value::Bool(_) => None,
                Value::Text(text) => {
                    Number::of(&Value::Text(text.clone())).map(Number::double).or_else(|| rfc3339(&text))
                }
                value => Number::of(&value).map(Number::double),
            };
            strftime(&text(0)?, seconds?).map(Value::Text)
        }
        other => unreachable!("a function that is none: {other}"),
    }
}

fn count(number: usize) -> Value {
    Value::I64(i64::try_from(number).expect("few"))
}

fn finite(number: f64) -> Option<Value> {
    number.is_finite().then_some(Value::F64(number))
}

fn holds(value: &Option<Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::I64(value)) => *value != 0,
        Some(Value::F64(value)) => !value.is_nan() && *value != 0.0,
        Some(Value::Text(text)) => text == "true",
        _ => false,
    }
}

fn operand(value: &Value) -> f64 {
    match value {
        Value::Bool(true) => 1.0,
        Value::Bool(false) => 0.0,
        other => Number::of(other).map_or(0.0, Number::double),
    }
}

/// Two numbers or two texts.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::I64(_) | Value::F64(_), Value::I64(_) | Value::F64(_)) => {
            Number::of(a)?.compare(Number::of(b)?)
        }
        _ => None,
    }
}

fn equals(a: &Option<Value>, b: &Option<Value>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a == b,
        (Some(a), Some(b)) => order(a, b) == Some(Ordering::Equal),
        _ => false,
    }
}

fn extreme(values: &[Option<Value>], wanted: Ordering) -> Option<Value> {
    let present: Vec<&Value> = values.iter().flatten().collect();
    match present.first()? {
        Value::Bool(_) => {
            let mut all: Vec<bool> =
                present.iter().filter_map(|v| if let Value::Bool(b) = v { Some(*b) } else { None }).collect();
            all.sort_unstable();
            Some(Value::Bool(if wanted == Ordering::Less { all[0] } else { all[all.len() - 1] }))
        }
        Value::Text(_) => {
            let mut all: Vec<&String> =
                present.iter().filter_map(|v| if let Value::Text(t) = v { Some(t) } else { None }).collect();
            all.sort();
            Some(Value::Text(if wanted == Ordering::Less { all[0] } else { all[all.len() - 1] }.clone()))
        }
        _ => {
            let numbers = present.iter().filter_map(|value| Number::of(value)).map(Number::double);
            let mut all: Vec<f64> = numbers.filter(|number| !number.is_nan()).collect();
            all.sort_by(f64::total_cmp);
            finite(if wanted == Ordering::Less { *all.first()? } else { *all.last()? })
        }
    }
}

fn bucket(x: f64, size: f64, min: Option<f64>, max: Option<f64>) -> Option<Value> {
    if let Some(min) = min
        && x < min
    {
        return Some(Value::Text(format!("< {}", canonical_f64(min))));
    }
    if let Some(max) = max
        && x >= max
    {
        return Some(Value::Text(format!(">= {}", canonical_f64(max))));
    }
    if size.is_nan() || size <= 0.0 {
        return None;
    }
    let begin = min.unwrap_or(0.0);
    let number = ((x - begin) / size).floor();
    let from = begin + number * size;
    let mut to = begin + (number + 1.0) * size;
    if let Some(max) = max
        && max < to
    {
        to = max;
    }
    (from.is_finite() && to.is_finite())
        .then(|| Value::Text(format!("{} - {}", canonical_f64(from), canonical_f64(to))))
}

fn int(value: &Value) -> Option<Value> {
    let number = match value {
        Value::Bool(value) => Number::I64(i64::from(*value)),
        other => Number::of(other).unwrap_or(Number::I64(0)),
    };
    match number {
        Number::I64(whole) => Some(Value::I64(whole)),
        Number::F64(double) => format!("{:.0}", double.trunc()).parse().ok().map(Value::I64),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are doubles in this language")]
fn seconds_of(time_ns: i64) -> f64 {
    time_ns.div_euclid(1_000_000_000) as f64 + time_ns.rem_euclid(1_000_000_000) as f64 / 1e9
}
