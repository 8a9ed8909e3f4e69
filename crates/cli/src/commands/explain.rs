//! `skein explain`: what is different about some events. On a terminal one line a finding with two bars, and what
//! belongs to it below; in a pipe the findings as the API gives them.

use serde_json::{Map, Value, json};

use super::erase::conditions;
use super::query::{read_specification, with_range};
use crate::arguments::{Explain, Format};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome, Source};
use crate::output::{Row, write_out, write_rows};
use crate::progress::tell;
use crate::times;

/// Members that are shown of a finding.
const MEMBERS_SHOWN: usize = 3;

/// Characters of a value that are shown.
const VALUE_CHARACTERS_MAX: usize = 60;

const BAR_CHARACTERS: usize = 10;

pub(super) fn run(arguments: &Explain) -> Outcome {
    let client = Client::new(&arguments.connection);
    let request = request(arguments, times::now_ns())?;
    let of_request = |failure: Failure| failure.of(Source::Specification(request.clone()));
    let body = client.post_json("/api/v1/explain", &request).and_then(|answer| answer.json());
    let body = body.map_err(of_request)?;
    match arguments.shape.format() {
        Format::Json if arguments.shape.full => write_out(|out| writeln!(out, "{body}"))?,
        Format::Table => {
            let text = table(&body);
            write_out(|out| out.write_all(text.as_bytes()))?;
        }
        format => {
            let rows: Vec<Row> =
                list(&body["data"]["findings"]).filter_map(|f| f.as_object().cloned()).collect();
            write_out(|out| write_rows(out, &rows, format))?;
        }
    }
    if arguments.shape.format() == Format::Table {
        tell(&footer(&body));
        for warning in list(&body["meta"]["warnings"]) {
            tell(&format!("warning: {}", warning["message"].as_str().unwrap_or_default()));
        }
    }
    Ok(Exit::Done)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn request(arguments: &Explain, now_ns: i64) -> Result<Value, Failure> {
    if let Some(file) = &arguments.spec {
        let mut request = read_specification(file)?;
        let selection = request["selection"].take();
        request["selection"] = with_range(selection, &arguments.range, now_ns)?;
        return Ok(request);
    }
    let mut filters = Vec::new();
    for text in &arguments.filter {
        filters.extend(conditions(text)?);
    }
    let mut selection = with_range(json!({"filters": filters}), &arguments.range, now_ns)?;
    if let Some(text) = &arguments.rect {
        selection["rect"] = rect(text, arguments, now_ns)?;
    }
    let mut request = json!({"selection": selection});
    if let (Some(from), Some(to)) = (&arguments.baseline_from, &arguments.baseline_to) {
        request["baseline"] = json!({
            "start_time": time("baseline-from", from, now_ns)?,
            "end_time": time("baseline-to", to, now_ns)?,
        });
    }
    if !arguments.columns.is_empty() {
        request["columns"] = json!(arguments.columns);
    }
    if let Some(limit) = arguments.limit {
        request["limit"] = json!(limit);
    }
    Ok(request)
}

fn time(name: &str, text: &str, now_ns: i64) -> Result<Value, Failure> {
    let time = times::parse(text, now_ns).map(times::seconds_json);
    time.ok_or_else(|| {
        Failure::usage(format!("--{name} {text} is no time"))
            .hint("use RFC 3339, epoch seconds, milliseconds or nanoseconds, or now-2h")
    })
}

fn rect(text: &str, arguments: &Explain, now_ns: i64) -> Result<Value, Failure> {
    let wrong = || {
        Failure::usage(format!("--rect {text}: a column and a range of its numbers are needed"))
            .hint("for instance --rect duration_ms:250..1000, or duration_ms:250..")
    };
    let (column, range) = text.rsplit_once(':').filter(|(column, _)| !column.is_empty()).ok_or_else(wrong)?;
    let (lo, hi) = range.split_once("..").ok_or_else(wrong)?;
    let mut rect = Map::new();
    rect.insert("column".to_owned(), column.into());
    for (name, bound) in [("lo", lo), ("hi", hi)] {
        if !bound.is_empty() {
            let number: f64 = bound.parse().map_err(|_| wrong())?;
            rect.insert(name.to_owned(), json!(number));
        }
    }
    for (name, option, bound) in
        [("start_time", "rect-from", &arguments.rect_from), ("end_time", "rect-to", &arguments.rect_to)]
    {
        if let Some(bound) = bound {
            rect.insert(name.to_owned(), time(option, bound, now_ns)?);
        }
    }
    Ok(Value::Object(rect))
}

// === the table ===

fn table(body: &Value) -> String {
    let findings: Vec<&Value> = list(&body["data"]["findings"]).collect();
    if findings.is_empty() {
        return "nothing is different that is no accident\n".to_owned();
    }
    let said: Vec<String> = findings.iter().map(|finding| statement(finding)).collect();
    let widest = said.iter().map(|text| text.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (number, (finding, said)) in findings.iter().zip(&said).enumerate() {
        let share = |name: &str| finding[name].as_f64().unwrap_or_default();
        let (selection, baseline) = (share("share_selection"), share("share_baseline"));
        let padding = " ".repeat(widest - said.chars().count());
        text.push_str(&format!(
            "{:>2}  {said}{padding}  {:>6} vs {:>6}  {:<21}  {} {}\n",
            number + 1,
            percent(selection),
            percent(baseline),
            interval(finding),
            bar(selection),
            bar(baseline),
        ));
        let members: Vec<&Value> = list(&finding["members"]).collect();
        for member in members.iter().take(MEMBERS_SHOWN) {
            let kind = member["kind"].as_str().unwrap_or_default();
            let share = |name: &str| percent(member[name].as_f64().unwrap_or_default());
            text.push_str(&format!(
                "      {kind:<7} {}  {} vs {}\n",
                statement(member),
                share("share_selection"),
                share("share_baseline"),
            ));
        }
        if members.len() > MEMBERS_SHOWN {
            text.push_str(&format!("      and {} more\n", members.len() - MEMBERS_SHOWN));
        }
    }
    text
}

/// What a finding says of an event.
fn statement(finding: &Value) -> String {
    let mut text = term(finding);
    if finding["and"].is_object() {
        text.push_str(" and ");
        text.push_str(&term(&finding["and"]));
    }
    text
}

fn term(term: &Value) -> String {
    let column = term["column"].as_str().unwrap_or_default();
    if let Some(exists) = term["exists"].as_bool() {
        return format!("{column} {}", if exists { "exists" } else { "is missing" });
    }
    if let Some(range) = term.get("range") {
        let bound = |name: &str| range[name].as_f64().map(|bound| bound.to_string());
        return match (bound("lo"), bound("hi")) {
            (Some(lo), Some(hi)) => format!("{lo} ≤ {column} < {hi}"),
            (Some(lo), None) => format!("{column} ≥ {lo}"),
            (None, Some(hi)) => format!("{column} < {hi}"),
            (None, None) => format!("{column} is a number"),
        };
    }
    let value = match &term["value"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let visible: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut shown: String = visible.chars().take(VALUE_CHARACTERS_MAX).collect();
    if visible.chars().count() > VALUE_CHARACTERS_MAX {
        shown.push('…');
    }
    format!("{column} = {shown}")
}

/// The effect in points of a hundred, and its interval.
fn interval(finding: &Value) -> String {
    let points = |name: &str| finding[name].as_f64().map(|value| value * 100.0);
    match (points("effect"), points("lo95"), points("hi95")) {
        (Some(effect), Some(lo), Some(hi)) => format!("{effect:+.1} ({lo:+.1}…{hi:+.1})"),
        (Some(effect), _, _) => format!("{effect:+.1} (?)"),
        _ => String::new(),
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // What is rare is not nothing, and what is nearly all is not all.
    if percent > 0.0 && percent < 0.1 {
        "<0.1 %".to_owned()
    } else if percent > 99.9 && percent < 100.0 {
        ">99.9 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

fn bar(share: f64) -> String {
    let full = (1..=BAR_CHARACTERS).filter(|step| share * 10.0 >= *step as f64 - 0.5).count();
    format!("{}{}", "▇".repeat(full), "▁".repeat(BAR_CHARACTERS - full))
}

fn footer(body: &Value) -> String {
    let events = |side: &str| body["data"][side]["events"].as_f64().unwrap_or_default();
    format!(
        "{} events against {}; {} statements tested in {:.1} ms; complete to {}",
        events("selection"),
        events("baseline"),
        body["data"]["tested"],
        body["meta"]["elapsed_ms"].as_f64().unwrap_or_default(),
        body["meta"]["complete_to"].as_str().unwrap_or("?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn asked(line: &str) -> Result<Value, String> {
        let Command::Explain(arguments) = Arguments::try_parse_from(line.split('|')).expect(line).command
        else {
            panic!("{line}")
        };
        request(&arguments, 7_200_000_000_000).map_err(|failure| failure.message().to_owned())
    }

    #[test]
    fn options_become_a_request() {
        assert_eq!(
            asked("skein|explain|--filter|error = true|--last|1h|--dataset|a|--limit|3"),
            Ok(json!({"limit": 3, "selection": {
                "filters": [{"column": "error", "op": "=", "value": true}],
                "datasets": ["a"], "start_time": 3_600, "end_time": 7_200}}))
        );
        assert_eq!(
            asked(
                "skein|explain|--rect|duration_ms:250..|--rect-from|now-60s|--baseline-from|0|--baseline-to|60"
            ),
            Ok(json!({
                "selection": {"filters": [], "rect": {"column": "duration_ms", "lo": 250.0, "start_time": 7_140}},
                "baseline": {"start_time": 0, "end_time": 60}}))
        );
        for wrong in ["duration_ms", ":1..2", "a:1", "a:x.."] {
            assert!(asked(&format!("skein|explain|--rect|{wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn findings_are_drawn() {
        let body = json!({"data": {"findings": [
            {"column": "pod", "value": "web-7", "effect": 0.89, "lo95": 0.85, "hi95": 0.91,
             "share_selection": 0.92, "share_baseline": 0.03,
             "members": [{"column": "ip", "value": 4, "kind": "same", "share_selection": 0.92, "share_baseline": 0.0003}]},
            {"column": "size", "range": {"lo": 250.5, "hi": null}, "and": {"column": "user", "exists": false},
             "effect": 0.5, "share_selection": 0.5, "share_baseline": 0.0, "members": []},
        ]}});
        let expected = [
            format!(
                " 1  pod = web-7{}  92.0 % vs  3.0 %  +89.0 (+85.0…+91.0)    ▇▇▇▇▇▇▇▇▇▁ ▁▁▁▁▁▁▁▁▁▁\n",
                " ".repeat(21)
            ),
            "      same    ip = 4  92.0 % vs <0.1 %\n".to_owned(),
            format!(
                " 2  size ≥ 250.5 and user is missing  50.0 % vs  0.0 %  +50.0 (?){}  ▇▇▇▇▇▁▁▁▁▁ ▁▁▁▁▁▁▁▁▁▁\n",
                " ".repeat(12)
            ),
        ];
        assert_eq!(table(&body), expected.concat());
        assert_eq!(table(&json!({"data": {"findings": []}})), "nothing is different that is no accident\n");
    }
}
