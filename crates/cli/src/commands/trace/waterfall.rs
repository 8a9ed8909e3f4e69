//! A trace as a waterfall of text: spans under their parents, logs and span events where they happened.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{list, text};
use crate::output::Row;

/// Width of the bars.
const BAR: usize = 30;

/// Deeper spans are not indented any further.
const INDENT_MAX: usize = 20;

/// A log line shows at most this many characters.
const LOG_CHARACTERS_MAX: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Span,
    /// A log record or a span event.
    Mark,
}

#[derive(Debug)]
struct Item {
    kind: Kind,
    row: Row,
    start_ns: i64,
    duration_ns: i64,
    /// How often a span of this id is there.
    copies: usize,
}

/// Draws an answer of `/api/v1/traces/{id}`.
pub(super) fn draw(body: &Value) -> String {
    let items = items(body);
    let first_ns = items.iter().map(|item| item.start_ns).min().unwrap_or(0);
    let last_ns = items.iter().map(|item| item.start_ns.saturating_add(item.duration_ns)).max().unwrap_or(0);
    let scale = Scale { first_ns, length_ns: last_ns.saturating_sub(first_ns).max(1) };
    let mut drawn = headline(body, &items, &scale);
    drawn.push_str(&format!("{:>11} {:>11}\n", "start ms", "duration ms"));
    for (depth, index) in in_tree_order(&items) {
        if let Some(item) = items.get(index) {
            drawn.push_str(line(item, depth, &scale).trim_end());
            drawn.push('\n');
        }
    }
    drawn
}

struct Scale {
    first_ns: i64,
    length_ns: i64,
}

fn headline(body: &Value, items: &[Item], scale: &Scale) -> String {
    let spans = items.iter().filter(|item| item.kind == Kind::Span);
    let services: HashSet<&str> = spans.clone().map(|item| text(&item.row, "service.name")).collect();
    let id = body.get("trace_id").and_then(Value::as_str).unwrap_or_default();
    let mut line = format!(
        "trace {id}: {} spans of {} services and {} logs in {:.3} ms from {}",
        spans.count(),
        services.len(),
        items.iter().filter(|item| item.kind == Kind::Mark).count(),
        scale.length_ns as f64 / 1e6,
        crate::times::show(scale.first_ns),
    );
    let missing = body.get("missing_parents").and_then(Value::as_array).map_or(0, Vec::len);
    if missing > 0 {
        line.push_str(&format!("; {missing} parents are missing"));
    }
    line.push('\n');
    line
}

fn items(body: &Value) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for row in list(body, "spans") {
        let kind = if row.contains_key("meta.annotation_type") { Kind::Mark } else { Kind::Span };
        let id = text(&row, "trace.span_id").to_owned();
        if kind == Kind::Span && !id.is_empty() {
            // Equal span ids are folded into one line that says so (I4).
            if let Some(item) = by_id.get(&id).and_then(|index| items.get_mut(*index)) {
                item.copies += 1;
                continue;
            }
            by_id.insert(id, items.len());
        }
        items.push(item(kind, row));
    }
    items.extend(list(body, "logs").into_iter().map(|row| item(Kind::Mark, row)));
    items
}

fn item(kind: Kind, row: Row) -> Item {
    let start_ns = OffsetDateTime::parse(text(&row, "timestamp"), &Rfc3339)
        .ok()
        .and_then(|moment| i64::try_from(moment.unix_timestamp_nanos()).ok())
        .unwrap_or(0);
    let duration_ms = row.get("duration_ms").and_then(Value::as_f64).unwrap_or(0.0);
    // A mark has no length, whatever attribute of that name it may have.
    let duration_ns = if kind == Kind::Span { nanoseconds(duration_ms) } else { 0 };
    Item { kind, row, start_ns, duration_ns, copies: 1 }
}

#[expect(clippy::cast_possible_truncation, reason = "saturating is what is wanted of an absurd duration")]
fn nanoseconds(duration_ms: f64) -> i64 {
    (duration_ms * 1e6).max(0.0) as i64
}

/// Each item once, after its parent; children by time. Depth and index.
fn in_tree_order(items: &[Item]) -> Vec<(usize, usize)> {
    let id = |item: &Item| text(&item.row, "trace.span_id").to_owned();
    let spans: HashMap<String, usize> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.kind == Kind::Span)
        .map(|(index, item)| (id(item), index))
        .collect();
    let parent_of = |index: usize, item: &Item| {
        let name = match item.kind {
            Kind::Mark if !item.row.contains_key("meta.annotation_type") => "trace.span_id",
            _ => "trace.parent_id",
        };
        let parent = spans.get(text(&item.row, name)).copied();
        parent.filter(|parent| *parent != index)
    };
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        children.entry(parent_of(index, item)).or_default().push(index);
    }
    for list in children.values_mut() {
        list.sort_by_key(|index| (items.get(*index).map_or(0, |item| item.start_ns), *index));
    }
    let mut order = Vec::with_capacity(items.len());
    let mut seen = vec![false; items.len()];
    let roots = children.get(&None).cloned().unwrap_or_default();
    // Spans that are each other's parents have no root; they come last, from the first of them.
    let starts = roots.into_iter().chain(0..items.len());
    for start in starts {
        let mut stack = vec![(0, start)];
        while let Some((depth, index)) = stack.pop() {
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            order.push((depth, index));
            let below = children.get(&Some(index)).map(Vec::as_slice).unwrap_or_default();
            stack.extend(below.iter().rev().map(|child| (depth + 1, *child)));
        }
    }
    order
}

fn line(item: &Item, depth: usize, scale: &Scale) -> String {
    let offset_ms = item.start_ns.saturating_sub(scale.first_ns) as f64 / 1e6;
    let indent = "  ".repeat(depth.min(INDENT_MAX));
    let service = text(&item.row, "service.name");
    if item.kind == Kind::Mark {
        let bar = bar(item, scale, '·');
        return format!("{offset_ms:>11.3} {:>11} {bar} {indent}{}", "", mark_text(&item.row));
    }
    let bar = bar(item, scale, '━');
    let duration_ms = item.duration_ns as f64 / 1e6;
    let mut label = format!("{service}: {}", text(&item.row, "name"));
    if item.row.get("error").and_then(Value::as_bool) == Some(true) {
        label.push_str(" ✗");
        let message = text(&item.row, "status_message");
        if !message.is_empty() {
            label.push_str(&format!(" {message}"));
        }
    }
    if item.copies > 1 {
        label.push_str(&format!(" ×{}", item.copies));
    }
    format!("{offset_ms:>11.3} {duration_ms:>11.3} {bar} {indent}{}", shown(&label))
}

fn mark_text(row: &Row) -> String {
    if row.contains_key("meta.annotation_type") {
        return shown(&format!("• {}", text(row, "name")));
    }
    let severity = match text(row, "severity_text") {
        "" => text(row, "severity"),
        severity => severity,
    };
    let body = match row.get("body") {
        Some(Value::String(body)) => body.clone(),
        Some(other) => other.to_string(),
        None => text(row, "event.name").to_owned(),
    };
    shown(&format!("• {severity} {body}"))
}

/// One line of bounded length: what a log says must not move the cursor of a terminal.
fn shown(label: &str) -> String {
    let mut line: String = label
        .chars()
        .take(LOG_CHARACTERS_MAX)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if label.chars().count() > LOG_CHARACTERS_MAX {
        line.push('…');
    }
    line
}

fn bar(item: &Item, scale: &Scale, fill: char) -> String {
    let column = |time_ns: i64| {
        let share = i128::from(time_ns.saturating_sub(scale.first_ns)) * (BAR as i128)
            / i128::from(scale.length_ns.max(1));
        usize::try_from(share.clamp(0, BAR as i128)).unwrap_or(0)
    };
    let from = column(item.start_ns).min(BAR - 1);
    let to = column(item.start_ns.saturating_add(item.duration_ns)).max(from + 1);
    (0..BAR).map(|index| if (from..to).contains(&index) { fill } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(ms: u64) -> String {
        format!("2026-01-01T00:00:00.{ms:03}000000Z")
    }

    #[test]
    fn a_trace_is_drawn_with_its_logs_in_place() {
        let body = json!({"trace_id": "ab", "missing_parents": [], "spans": [
            {"timestamp": at(0), "duration_ms": 100.0, "trace.span_id": "a", "name": "GET /", "service.name": "web"},
            {"timestamp": at(60), "duration_ms": 30, "trace.span_id": "c", "trace.parent_id": "a", "name": "late", "service.name": "db",
             "error": true, "status_message": "no\nluck"},
            {"timestamp": at(10), "duration_ms": 40, "trace.span_id": "b", "trace.parent_id": "a", "name": "early", "service.name": "db"},
            {"timestamp": at(10), "duration_ms": 40, "trace.span_id": "b", "trace.parent_id": "a", "name": "early", "service.name": "db"},
            {"timestamp": at(20), "meta.annotation_type": "span_event", "trace.parent_id": "b", "name": "retry"},
        ], "logs": [
            {"timestamp": at(55), "trace.span_id": "a", "severity_text": "INFO", "body": "between \u{1b}[2J"},
            {"timestamp": at(99), "trace.span_id": "unknown", "severity": "warn", "body": {"k": 1}},
        ]});
        let expected = "\
trace ab: 3 spans of 2 services and 3 logs in 100.000 ms from 2026-01-01T00:00:00Z
   start ms duration ms
      0.000     100.000 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ web: GET /
     10.000      40.000    ━━━━━━━━━━━━                  db: early ×2
     20.000                   ·                            • retry
     55.000                             ·                • INFO between  [2J
     60.000      30.000                   ━━━━━━━━━      db: late ✗ no luck
     99.000                                          · • warn {\"k\":1}
";
        assert_eq!(draw(&body), expected);
    }

    #[test]
    fn spans_in_a_circle_are_drawn_once_each() {
        let body = json!({"trace_id": "ab", "spans": [
            {"timestamp": at(0), "duration_ms": 1, "trace.span_id": "a", "trace.parent_id": "b", "name": "a"},
            {"timestamp": at(0), "duration_ms": 1, "trace.span_id": "b", "trace.parent_id": "a", "name": "b"},
            {"timestamp": at(0), "duration_ms": 1, "trace.span_id": "c", "trace.parent_id": "c", "name": "c"},
        ]});
        assert_eq!(draw(&body).lines().count(), 2 + 3);
    }

    #[test]
    fn a_very_deep_trace_is_drawn() {
        let spans: Vec<Value> = (0..20_000)
            .map(|index| {
                json!({"timestamp": at(0), "duration_ms": 1, "trace.span_id": format!("{index}"),
                    "trace.parent_id": format!("{}", index - 1), "name": "n"})
            })
            .collect();
        assert_eq!(draw(&json!({"trace_id": "ab", "spans": spans})).lines().count(), 20_002);
    }
}
