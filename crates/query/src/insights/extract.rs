//! Fields out of text: patterns, key=value pairs, comma-separated values, and the lines that Lambda writes itself.
//!
//! What it refuses: to fail on a text that is written otherwise. What does not match has no fields, and the row stays.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value as Json};
use skein_event::limits::INSIGHTS_PAIRS_MAX;

use super::datum::Datum;

/// The regular expression of a text with stars: each takes as little as it can, one at the end the rest.
pub(super) fn glob(text: &str) -> (String, usize) {
    let pieces: Vec<&str> = text.split('*').collect();
    let stars = pieces.len() - 1;
    let mut pattern = String::from("(?s)");
    for (place, piece) in pieces.iter().enumerate() {
        pattern.push_str(&regex::escape(piece));
        if place < stars {
            let is_last = place + 1 == stars && pieces.last() == Some(&"");
            pattern.push_str(if is_last { "(.*)" } else { "(.*?)" });
        }
    }
    (pattern, stars)
}

/// What the groups of a pattern match first in a text, as a list; a group that took no part is null in it.
pub(super) fn captures(pattern: &Regex, text: &str) -> Datum {
    let Some(found) = pattern.captures(text) else { return Datum::Missing };
    let groups =
        found.iter().skip(1).map(|group| group.map_or(Json::Null, |group| Json::from(group.as_str())));
    Datum::Json(Arc::new(groups.collect()))
}

/// The captures of every match.
pub(super) fn all_captures(pattern: &Regex, text: &str, most: usize) -> Vec<Vec<Datum>> {
    let of_match = |found: regex::Captures<'_>| {
        found.iter().skip(1).map(|g| g.map_or(Datum::Missing, |g| Datum::from(g.as_str()))).collect()
    };
    pattern.captures_iter(text).take(most).map(of_match).collect()
}

/// Pairs `key=value`, a value in double quotes with backslash escapes or without blanks; a key alone is true.
pub(super) fn logfmt(text: &str) -> Datum {
    let mut members = Map::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && members.len() < INSIGHTS_PAIRS_MAX {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix('=') {
            None => (Json::Bool(true), after),
            Some(after) if after.starts_with('"') => quoted_value(&after[1..]),
            Some(after) => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (Json::from(&after[..end]), &after[end..])
            }
        };
        // A lone word is a flag only beside pairs; a text of words has none.
        if !key.is_empty() {
            members.insert(key.to_owned(), value);
        }
        rest = after.trim_start();
    }
    if members.values().any(Json::is_string) {
        Datum::Json(Arc::new(Json::Object(members)))
    } else {
        Datum::Missing
    }
}

/// The text up to the closing quote, and what follows it.
fn quoted_value(text: &str) -> (Json, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (Json::from(value), &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => {}
            },
            c => value.push(c),
        }
    }
    (Json::from(value), "")
}

/// The fields of a line of comma-separated values (RFC 4180), as a list.
pub(super) fn csv(text: &str) -> Datum {
    let mut fields = Vec::new();
    let mut rest = text.trim_end_matches(['\r', '\n']);
    loop {
        if fields.len() >= INSIGHTS_PAIRS_MAX {
            break;
        }
        let trimmed = rest.trim_start_matches(' ');
        if let Some(mut quoted) = trimmed.strip_prefix('"') {
            let mut field = String::new();
            loop {
                let Some(end) = quoted.find('"') else {
                    field.push_str(quoted);
                    quoted = "";
                    break;
                };
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            fields.push(Json::from(field));
            rest = &quoted[quoted.find(',').unwrap_or(quoted.len())..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            fields.push(Json::from(rest[..end].trim()));
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    Datum::Json(Arc::new(Json::Array(fields)))
}

/// What a line that Lambda writes itself says: `START`, `END`, `REPORT`, `INIT_START`. Sizes are bytes of 10^6 a MB.
pub(super) fn lambda(line: &str, field: &str) -> Datum {
    const KINDS: [&str; 5] = ["REPORT", "START", "END", "INIT_START", "INIT_REPORT"];
    let kind = line.split([' ', '\t']).next().unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Datum::Missing;
    }
    let after = |label: &str| {
        let found =
            line.match_indices(label).find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']))?;
        let value = line[found.0 + label.len()..].trim_start();
        Some(value.split(['\t', '\n', '\r']).next().unwrap_or_default().trim())
    };
    let number = |label: &str, scale: f64| {
        let value = after(label)?.split(' ').next()?.parse::<f64>().ok()?;
        Some(Datum::number(value * scale))
    };
    let word =
        |label: &str| Some(Datum::from(after(label)?.split(' ').next()?)).filter(|d| *d != Datum::from(""));
    // "Duration:" stands in "Billed Duration:" and "Init Duration:", too; the first is the line's own.
    let found = match field {
        "@type" => Some(Datum::from(kind)),
        "@requestId" => word("RequestId:"),
        "@duration" => number("Duration:", 1.0).filter(|_| kind == "REPORT"),
        "@billedDuration" => number("Billed Duration:", 1.0),
        "@initDuration" => number("Init Duration:", 1.0),
        "@memorySize" => number("Memory Size:", 1e6),
        "@maxMemoryUsed" => number("Max Memory Used:", 1e6),
        "@xrayTraceId" => word("XRAY TraceId:"),
        "@xraySegmentId" => word("SegmentId:"),
        _ => None,
    };
    found.unwrap_or(Datum::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pattern: &str, text: &str) -> Json {
        let (pattern, _) = glob(pattern);
        captures(&Regex::new(&pattern).expect("a pattern"), text).to_json()
    }

    #[test]
    fn stars_take_as_little_as_they_can_and_the_last_the_rest() {
        let message = "25 May 2019 10:24:39,474 [ERROR] {foo=2, bar=data} the end, really";
        assert_eq!(
            fields("[*] * the *", message),
            serde_json::json!(["ERROR", "{foo=2, bar=data}", "end, really"])
        );
        assert_eq!(fields("foo=*, bar=*}", message), serde_json::json!(["2", "data"]));
        assert_eq!(fields("* 2019", message), serde_json::json!(["25 May"]));
        assert_eq!(fields("nope *", message), Json::Null);
        assert_eq!(fields("a.*", "axb"), Json::Null, "only a star is special");
        assert_eq!(fields("a*", "a line\nand another"), serde_json::json!([" line\nand another"]));
    }

    #[test]
    fn pairs_are_read() {
        let read = |text| logfmt(text).to_json();
        assert_eq!(
            read(r#"level=error msg="a \"b\" c" took=3 flag"#),
            serde_json::json!({"level": "error", "msg": "a \"b\" c", "took": "3", "flag": true})
        );
        assert_eq!(read("just some words"), Json::Null);
        assert_eq!(read("a="), serde_json::json!({"a": ""}));
    }

    #[test]
    fn comma_separated_values_are_read() {
        let read = |text| csv(text).to_json();
        assert_eq!(read("a, b,\"c, \"\"d\"\"\",\n"), serde_json::json!(["a", "b", "c, \"d\"", ""]));
        assert_eq!(read(""), serde_json::json!([""]));
        assert_eq!(read("\"open"), serde_json::json!(["open"]));
    }

    #[test]
    fn lines_of_lambda_are_read() {
        let report = "REPORT RequestId: 3f8a-1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 70 MB\tInit Duration: 150.5 ms\t\nXRAY TraceId: 1-5e-ab\tSegmentId: 07\tSampled: true\t\n";
        let read = |line, field| lambda(line, field).to_json();
        for (field, value) in [
            ("@type", serde_json::json!("REPORT")),
            ("@requestId", serde_json::json!("3f8a-1")),
            ("@duration", serde_json::json!(12.34)),
            ("@billedDuration", serde_json::json!(13)),
            ("@initDuration", serde_json::json!(150.5)),
            ("@memorySize", serde_json::json!(128_000_000)),
            ("@maxMemoryUsed", serde_json::json!(70_000_000)),
            ("@xraySegmentId", serde_json::json!("07")),
        ] {
            assert_eq!(read(report, field), value, "{field}");
        }
        assert_eq!(read("START RequestId: a Version: $LATEST", "@requestId"), serde_json::json!("a"));
        assert_eq!(read("START RequestId: a Version: $LATEST", "@duration"), Json::Null);
        assert_eq!(read("REPORTED Duration: 5 ms", "@duration"), Json::Null);
    }
}
