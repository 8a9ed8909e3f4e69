//! Where an answer differs from the reference's.
//!
//! Numbers that depend on the order of additions may differ within the margin the reference states; sketched
//! percentiles within 1 %; the edges of a histogram are the engine's choice, its counts are not. Everything
//! else must be equal to the byte.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::random::data::SEQUENCE;
use crate::reference::Answer;
use crate::reference::aggregate::Cell;
use crate::reference::execute::{Group, Series, time_text};
use crate::reference::sampling::Sure;

/// Columns of raw rows that the reference does not know: they depend on the log, not on the question.
const UNKNOWN: [&str; 2] = ["event.id", "meta.ingest_time"];

/// The first difference between the reference's answer and `data` of the engine's, if there is one.
pub fn difference(expected: &Answer, data: &Json) -> Option<String> {
    match expected {
        Answer::Unclear => None,
        Answer::Rows { rows, limit } => compare_rows(rows, *limit, data).err(),
        Answer::Groups { results, series, total, other, sure, names, compare } => {
            let comparison = Comparison { names };
            let own = comparison.groups(results, series, (total, other.as_deref()), sure, data).err();
            own.or_else(|| match (compare, data.get("compare")) {
                (None, None) => None,
                (Some(earlier), Some(found)) => difference(earlier, found).map(|d| format!("compare: {d}")),
                (expected, _) => Some(format!("compare expected: {}", expected.is_some())),
            })
        }
    }
}

struct Comparison<'a> {
    names: &'a [String],
}

impl Comparison<'_> {
    fn groups(
        &self,
        results: &[Group],
        series: &Series,
        (total, other): (&[Cell], Option<&[Cell]>),
        sure: &(Vec<Sure>, Vec<Sure>),
        data: &Json,
    ) -> Result<(), String> {
        let found = data["results"].as_array().ok_or("no results")?;
        if found.len() != results.len() {
            return Err(format!("{} results, expected {}", found.len(), results.len()));
        }
        for (place, (group, found)) in results.iter().zip(found).enumerate() {
            self.cells(&group.key, &group.cells, &found["data"])
                .map_err(|e| format!("results[{place}]: {e}"))?;
            self.sure(&group.sure, &found["stats"]).map_err(|e| format!("results[{place}]: {e}"))?;
        }
        self.sure(&sure.0, &data["total_stats"]).map_err(|e| format!("total: {e}"))?;
        if other.is_some() {
            self.sure(&sure.1, &data["other_stats"]).map_err(|e| format!("other: {e}"))?;
        }
        self.cells(&Map::new(), total, &data["total"]).map_err(|e| format!("total: {e}"))?;
        match (other, data.get("other").filter(|other| !other.is_null())) {
            (None, None) => {}
            (Some(cells), Some(found)) => {
                self.cells(&Map::new(), cells, found).map_err(|e| format!("other: {e}"))?
            }
            (expected, _) => return Err(format!("other expected: {}", expected.is_some())),
        }
        let series = match series {
            Series::Absent if data["series"].is_null() => return Ok(()),
            Series::Absent => return Err("a series that was not asked for".to_owned()),
            Series::OfAnyLength => return data["series"].as_array().map(drop).ok_or("no series".to_owned()),
            Series::Entries(entries) => entries,
        };
        let found = data["series"].as_array().ok_or("no series")?;
        if found.len() != series.len() {
            return Err(format!("{} series entries, expected {}", found.len(), series.len()));
        }
        for (place, ((time, group, cells), found)) in series.iter().zip(found).enumerate() {
            if found["time"] != time_text(*time) {
                return Err(format!(
                    "series[{place}]: time {}, expected {}",
                    found["time"],
                    time_text(*time)
                ));
            }
            self.cells(&results[*group].key, cells, &found["data"])
                .map_err(|e| format!("series[{place}]: {e}"))?;
        }
        Ok(())
    }

    fn sure(&self, sure: &[Sure], found: &Json) -> Result<(), String> {
        let of_name = |(name, sure): (&String, &Sure)| {
            sure.agrees(&found[name]).map_err(|error| format!("{name} {error}"))
        };
        self.names.iter().zip(sure).try_for_each(of_name)
    }

    fn cells(&self, key: &Map<String, Json>, cells: &[Cell], found: &Json) -> Result<(), String> {
        let members = found.as_object().ok_or("no object")?;
        if members.len() != key.len() + cells.len() {
            return Err(format!("members {:?}", members.keys().collect::<Vec<_>>()));
        }
        for (name, value) in key {
            if members.get(name) != Some(value) {
                return Err(format!("{name} is {}, expected {value}", found[name]));
            }
        }
        for (name, cell) in self.names.iter().zip(cells) {
            let found = members.get(name).unwrap_or(&Json::Null);
            if !agrees(cell, found) {
                return Err(format!("{name} is {found}, expected {cell:?}"));
            }
        }
        Ok(())
    }
}

fn agrees(cell: &Cell, found: &Json) -> bool {
    match cell {
        // The same double may be written 1 or 1.0 only by whoever breaks the rule that it is 1.
        Cell::Exactly(expected) => expected == found || same_large_number(expected, found),
        Cell::About { margin, .. } if margin.is_infinite() => found.is_number() || found.is_string(),
        Cell::About { value, margin } => {
            let number = found.as_f64().or_else(|| found.as_str().and_then(|text| text.parse().ok()));
            // A division and a conversion may round differently in the last place.
            let margin = margin + value.abs() * 1e-14;
            number.is_some_and(|number| (number - value).abs() <= margin)
        }
        Cell::Open => true,
        Cell::Histogram(values) => histogram_agrees(values, found),
    }
}

/// Beyond 2^53 an integer is written as text and an equal double is not; which of the two a MIN or MAX shows
/// hangs on which came first.
fn same_large_number(expected: &Json, found: &Json) -> bool {
    const BOUND: f64 = 9_007_199_254_740_992.0;
    let number = |json: &Json| Cell::Exactly(json.clone()).number().filter(|n| n.double().abs() >= BOUND);
    number(expected).zip(number(found)).is_some_and(|(a, b)| a.compare(b).is_some_and(Ordering::is_eq))
}

/// Counts by the engine's edges; outside of a series a histogram may be left out.
fn histogram_agrees(values: &[(f64, f64)], found: &Json) -> bool {
    if found.is_null() {
        return true;
    }
    let numbers = |list: &Json| -> Vec<f64> {
        list.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Json::as_f64).collect()
    };
    let (edges, counts) = (numbers(&found["edges"]), numbers(&found["counts"]));
    if values.is_empty() {
        return counts.iter().all(|count| *count == 0.0);
    }
    if edges.len() != counts.len() + 1 || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
        return false;
    }
    let mut expected = vec![0.0; counts.len()];
    for &(value, weight) in values {
        // A value on an edge belongs to the bar above, on the last edge to the last bar.
        let above = edges.partition_point(|edge| *edge <= value);
        if above == 0 || value > edges[edges.len() - 1] {
            return false;
        }
        expected[(above - 1).min(counts.len() - 1)] += weight;
    }
    expected.iter().zip(&counts).all(|(a, b)| (a - b).abs() <= a.abs() * 1e-9)
}

/// A row of the reference: its time and its columns.
type Row = (i64, Map<String, Json>);

/// Raw rows: times in order, each row equal to the event of its number, none twice; where the limit cuts
/// through rows of one time, any of them.
fn compare_rows(expected: &[Row], limit: usize, data: &Json) -> Result<(), String> {
    let found = data["rows"].as_array().ok_or("no rows")?;
    if found.len() != expected.len().min(limit) {
        return Err(format!("{} rows, expected {}", found.len(), expected.len().min(limit)));
    }
    // Points of one metric that stay apart are several events of one number.
    let mut by_number: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    for row in expected {
        let number = row.1.get(SEQUENCE).and_then(Json::as_i64).ok_or("an event without a number")?;
        by_number.entry(number).or_default().push(row);
    }
    for (place, (found, (time, _))) in found.iter().zip(expected).enumerate() {
        let wrong = |what: String| format!("rows[{place}]: {what}");
        let number = found[SEQUENCE].as_i64().ok_or_else(|| wrong("no number".to_owned()))?;
        let due = by_number.get_mut(&number).filter(|due| !due.is_empty());
        let due = due.ok_or_else(|| wrong(format!("event {number} is not due or came twice")))?;
        let equal = due.iter().position(|(_, fields)| shown(found) == fields.iter().collect());
        let (own_time, fields) = due.remove(equal.unwrap_or_default());
        if own_time != time || found["timestamp"] != time_text(*time) {
            return Err(wrong(format!("event {number} stands at the wrong time {}", found["timestamp"])));
        }
        let shown = shown(found);
        let due: BTreeMap<&String, &Json> = fields.iter().collect();
        if shown != due {
            let differs = |name: &&&String| shown.get(**name) != due.get(**name);
            let name = shown.keys().chain(due.keys()).find(differs).map_or("", |name| name.as_str());
            let (is, expected) = (found.get(name), fields.get(name));
            return Err(wrong(format!("event {number}: {name} is {is:?}, expected {expected:?}")));
        }
    }
    Ok(())
}

/// The members of a row that the reference knows.
fn shown(row: &Json) -> BTreeMap<&String, &Json> {
    let known = |name: &str| !UNKNOWN.contains(&name) && name != "timestamp";
    row.as_object().into_iter().flatten().filter(|(name, _)| known(name)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use skein_event::value::Value;

    use super::*;
    use crate::reference::{Event, Place, answer};

    fn differs(spec: &Json, data: &Json) -> bool {
        let event = |second: i64, v: i64| {
            let mut event = Event::new(second * 1_000_000_000);
            event.add(Place::Item, "v", Value::I64(v));
            event.add(Place::Item, SEQUENCE, Value::I64(second));
            event
        };
        let events = [event(1, 5), event(2, 7), event(3, 7)];
        difference(&answer(&events, spec, Some(data)), data).is_some()
    }

    #[test]
    fn a_wrong_number_is_a_difference() {
        let spec = json!({"start_time": 0, "end_time": 10, "breakdowns": ["v"],
            "calculations": [{"op": "COUNT"}, {"op": "AVG", "column": "v"}]});
        let answer = |count: i64, average: f64| {
            let stats = json!({"COUNT": {"exact": true}, "AVG(v)": {"exact": true}});
            json!({"total_stats": stats, "total": {"COUNT": 3, "AVG(v)": 19.0 / 3.0}, "results": [
                {"data": {"v": 7, "COUNT": count, "AVG(v)": average}, "stats": stats},
                {"data": {"v": 5, "COUNT": 1, "AVG(v)": 5}, "stats": stats},
            ]})
        };
        assert!(!differs(&spec, &answer(2, 7.0)));
        assert!(differs(&spec, &answer(1, 7.0)), "a count");
        assert!(differs(&spec, &answer(2, 7.000_001)), "an average");
        let mut swapped = answer(2, 7.0);
        swapped["results"].as_array_mut().expect("results").reverse();
        assert!(differs(&spec, &swapped), "an order that nothing leaves open");
        let mut unsure = answer(2, 7.0);
        unsure["results"][0]["stats"]["COUNT"]["exact"] = json!(false);
        assert!(differs(&spec, &unsure), "a claim");
    }

    #[test]
    fn a_row_that_is_missing_or_altered_is_a_difference() {
        let spec = json!({"start_time": 0, "end_time": 10, "calculations": []});
        let row = |second: i64, v: i64| json!({"timestamp": time_text(second * 1_000_000_000), "v": v, SEQUENCE: second});
        let rows = [row(3, 7), row(2, 7), row(1, 5)];
        assert!(!differs(&spec, &json!({"rows": rows})));
        assert!(differs(&spec, &json!({"rows": rows[..2]})), "one is missing");
        assert!(differs(&spec, &json!({"rows": [row(3, 7), row(2, 7), row(2, 7)]})), "one came twice");
        assert!(differs(&spec, &json!({"rows": [row(3, 7), row(2, 8), row(1, 5)]})), "one is altered");
        assert!(differs(&spec, &json!({"rows": [row(2, 7), row(3, 7), row(1, 5)]})), "an order");
    }
}
