//! Random calculated fields, and questions that use them in the place of columns.

use serde_json::{Map, Value as Json, json};

use super::Random;
use super::columns::{COLUMNS, NUMERIC};

/// Gives one specification in three calculated fields, under whose names it then asks for what it asked for.
pub fn with_calculated_fields(random: &mut Random, spec: &mut Map<String, Json>) {
    if !random.once_in(3) {
        return;
    }
    let mut mentioned = Vec::new();
    for (name, part) in spec.iter_mut().filter(|(name, _)| *name != "orders") {
        mentions(name, part, &mut |column| mentioned.push(column.clone()));
    }
    let mut fields: Vec<Json> = Vec::new();
    for place in 0..1 + random.below(3) {
        let name = if random.once_in(8) { "any name".to_owned() } else { format!("calc{place}") };
        if fields.iter().any(|field| field["name"] == name.as_str()) {
            continue;
        }
        let known: Vec<String> =
            fields.iter().filter_map(|field| field["name"].as_str()).map(str::to_owned).collect();
        fields.push(json!({"name": name, "expression": expression(random, &known, 3)}));
        if mentioned.is_empty() {
            continue;
        }
        let old = random.pick(&mentioned).clone();
        for (member, part) in spec.iter_mut() {
            mentions(member, part, &mut |column| {
                if *column == old {
                    name.clone_into(column);
                }
            });
        }
    }
    // An order of the fields that makes some refer to later ones.
    if random.once_in(2) {
        fields.reverse();
    }
    spec.insert("calculated_fields".into(), Json::Array(fields));
}

/// Calls with every name of a column.
fn mentions(member: &str, part: &mut Json, found: &mut dyn FnMut(&mut String)) {
    match (member, part) {
        // Raw rows are ordered by this and nothing else.
        ("column", Json::String(name)) if name != "timestamp" => found(name),
        ("breakdowns", Json::Array(names)) => names.iter_mut().for_each(|name| {
            if let Json::String(name) = name
                && name != "timestamp"
            {
                found(name);
            }
        }),
        (_, Json::Array(parts)) => parts.iter_mut().for_each(|part| mentions("", part, found)),
        (_, Json::Object(members)) => members.iter_mut().for_each(|(name, part)| mentions(name, part, found)),
        _ => {}
    }
}

/// A random expression that nests so deep at most.
#[expect(clippy::too_many_lines, reason = "a catalogue of what an expression may be")]
pub fn expression(random: &mut Random, fields: &[String], depth: u64) -> String {
    if depth == 0 || random.once_in(5) {
        return leaf(random, fields);
    }
    let one = |random: &mut Random| expression(random, fields, depth - 1);
    match random.below(20) {
        0 => format!("IF({}, {}, {})", one(random), one(random), one(random)),
        1 => format!("IF({}, {})", one(random), one(random)),
        2 => format!(
            "SWITCH({}, {}, {}, {}, {})",
            one(random),
            leaf(random, fields),
            one(random),
            leaf(random, fields),
            one(random)
        ),
        3 => {
            let name = *random.pick(&["COALESCE", "AND", "OR", "MIN", "MAX", "SUM", "MUL", "CONCAT"]);
            let count = 1 + random.below(3);
            let arguments: Vec<String> = (0..count).map(|_| one(random)).collect();
            format!("{name}({})", arguments.join(", "))
        }
        4..7 => {
            let operator =
                *random.pick(&["+", "-", "*", "/", "%", "=", "!=", "<", "<=", ">", ">=", "AND", "OR"]);
            let (a, b) = (one(random), one(random));
            if random.once_in(2) { format!("({a}) {operator} ({b})") } else { format!("{a} {operator} {b}") }
        }
        7 => format!("!({})", one(random)),
        8 => format!("IN({}, {}, {})", one(random), leaf(random, fields), leaf(random, fields)),
        9 => format!("EXISTS({})", one(random)),
        10..12 => {
            let name = *random.pick(&[
                "INT",
                "FLOAT",
                "BOOL",
                "STRING",
                "LOG10",
                "TO_LOWER",
                "LENGTH",
                "UNIX_TIMESTAMP",
            ]);
            format!("{name}({})", one(random))
        }
        12 => format!("LENGTH({}, \"bytes\")", one(random)),
        13 => {
            let name = *random.pick(&["STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUALS", "LT", "SUB", "MOD"]);
            format!("{name}({}, {})", one(random), one(random))
        }
        14 | 15 => {
            let name = *random.pick(&["REG_MATCH", "REG_VALUE", "REG_COUNT"]);
            let pattern = *random.pick(&[
                "a",
                "[0-9]+",
                "^/([a-z]+)",
                "(x)?.",
                "(?i)GET|post",
                "",
                "\\\\pL",
                "(.)(.)",
                "^$",
                "e$",
            ]);
            format!("{name}({}, \"{pattern}\")", one(random))
        }
        16 | 17 => {
            let (size, bounds) = (*random.pick(&["10", "0.25", "500", "0", "-1", "1e300"]), random.below(3));
            let bounds = match bounds {
                0 => "",
                1 => ", 0",
                _ => ", -20, 1000",
            };
            format!("BUCKET({}, {size}{bounds})", numeric(random, fields, depth))
        }
        18 => format!(
            "FORMAT_TIME(\"{}\", {})",
            *random.pick(&["%F %T", "%a %e %b %j", "%H", "%s.%N %y%C %u%w %I%p", "%%x"]),
            time(random, fields, depth)
        ),
        _ => numeric(random, fields, depth),
    }
}

fn numeric(random: &mut Random, fields: &[String], depth: u64) -> String {
    match random.below(4) {
        0 => expression(random, fields, depth - 1),
        1 => format!(
            "{} {} {}",
            column(random.pick::<&str>(NUMERIC)),
            *random.pick(&["+", "-", "*", "/", "%"]),
            *random.pick(&["1", "1000", "0.5", "-3"])
        ),
        _ => column(random.pick::<&str>(NUMERIC)),
    }
}

fn time(random: &mut Random, fields: &[String], depth: u64) -> String {
    match random.below(5) {
        0 => "EVENT_TIMESTAMP()".to_owned(),
        1 => "INGEST_TIMESTAMP()".to_owned(),
        2 => "$timestamp".to_owned(),
        3 => "EVENT_TIMESTAMP() * -0.7".to_owned(),
        _ => numeric(random, fields, depth),
    }
}

fn leaf(random: &mut Random, fields: &[String]) -> String {
    if !fields.is_empty() && random.once_in(4) {
        return column(random.pick::<String>(fields));
    }
    match random.below(12) {
        0 => "null".to_owned(),
        1 => (*random.pick(&["true", "false"])).to_owned(),
        2 => (*random.pick(&["0", "1", "200", "500", "-7", "9007199254740993", "9223372036854775807"]))
            .to_owned(),
        3 => (*random.pick(&["0.5", "1e3", "-2.75", "1e308", "9007199254740992.0"])).to_owned(),
        4 => (*random.pick(&[
            "\"\"",
            "\"500\"",
            "\"/buy\"",
            "\"true\"",
            "\"\\u00e9\"",
            "\"GET\"",
            "`x\\`",
            "\"7.0\"",
            "\"2030-03-17T17:46:40.5Z\"",
            "\"2024-02-29T23:59:59+14:00\"",
            "\"2023-02-29T00:00:00Z\"",
        ]))
        .to_owned(),
        5 => column(random.pick::<&str>(NUMERIC)),
        6 => "EVENT_TIMESTAMP()".to_owned(),
        _ => column(random.pick::<&str>(COLUMNS)),
    }
}

/// A column as an expression writes it.
fn column(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    if plain { format!("${name}") } else { format!("${}", Json::from(name)) }
}
