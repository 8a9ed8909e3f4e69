//! Which groups an answer has, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use skein_event::value::Value;

use super::aggregate::Calculation;
use super::execute::{Open, is_heatmap, key};
use super::number::Number;

/// The calculation that an order or a having means.
fn referred(
    object: &Json,
    operation: &str,
    calculations: &[Calculation<'_>],
    names: &[String],
) -> Option<usize> {
    if let Some(name) = object["name"].as_str() {
        return names.iter().position(|known| known == name);
    }
    let same = |calculation: &Calculation<'_>| {
        calculation.json["op"] == object[operation] && calculation.json["column"] == object["column"]
    };
    let plain = |calculation: &&Calculation<'_>| calculation.json["filters"].is_null();
    let place = calculations.iter().position(|calculation| same(calculation) && plain(&calculation));
    place.or_else(|| calculations.iter().position(same))
}

/// Whether a group meets all havings; `None` when rounding may say either.
pub(super) fn meets_havings(
    group: &Open<'_>,
    spec: &Json,
    calculations: &[Calculation<'_>],
    names: &[String],
) -> Option<bool> {
    let havings = spec["havings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all = true;
    for having in havings {
        let Some(place) = referred(having, "calculate_op", calculations, names) else { return Some(false) };
        let bound = having["value"].as_f64().unwrap_or_default();
        let cell = &group.cells[place];
        let number = cell.number();
        if number
            .is_some_and(|number| (number.double() - bound).abs() <= cell.margin() && cell.margin() > 0.0)
        {
            return None;
        }
        let order = number.and_then(|number| number.compare(Number::F64(bound)));
        all &= match having["op"].as_str().unwrap_or_default() {
            "=" => order == Some(Ordering::Equal),
            "!=" => order != Some(Ordering::Equal),
            "<" => order == Some(Ordering::Less),
            "<=" => order.is_some_and(Ordering::is_le),
            ">" => order == Some(Ordering::Greater),
            _ => order.is_some_and(Ordering::is_ge),
        };
    }
    Some(all)
}

/// The order of groups.
pub(super) struct Order<'a> {
    pub(super) spec: &'a Json,
    pub(super) calculations: &'a [Calculation<'a>],
    pub(super) breakdowns: &'a [&'a str],
    /// Keys of the calculations, and of the formulas behind them.
    pub(super) names: &'a [String],
    /// Places of those that are shown.
    pub(super) shown: &'a [usize],
}

impl Order<'_> {
    /// The order as this module computes its numbers.
    pub(super) fn exact(&self, a: &Open<'_>, b: &Open<'_>) -> Ordering {
        self.compare(a, b, false).unwrap_or(Ordering::Equal)
    }

    /// The order; `None` where it hangs on numbers that may be rounded either way, if that counts.
    fn compare(&self, a: &Open<'_>, b: &Open<'_>, rounding_counts: bool) -> Option<Ordering> {
        let by_cell = |place: usize, descending: bool| {
            let (a, b) = (&a.cells[place], &b.cells[place]);
            let margin = a.margin() + b.margin();
            let close = |(a, b): (Number, Number)| (a.double() - b.double()).abs() <= margin;
            // Of what may be anything nobody knows whether it is a number at all.
            let open = margin.is_infinite();
            let near = || a.number().zip(b.number()).is_some_and(close);
            if rounding_counts && margin > 0.0 && (open || near()) {
                return None;
            }
            Some(directed(a.number(), b.number(), descending))
        };
        let orders = self.spec["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
        if orders.is_empty() {
            // The first calculation that has an order, largest first.
            let is_number =
                |place: &&usize| self.calculations.get(**place).is_none_or(|one| !is_heatmap(one.json));
            let first = self.shown.iter().find(is_number).copied();
            if let Some(place) = first {
                let ordering = by_cell(place, true)?;
                if ordering.is_ne() {
                    return Some(ordering);
                }
            }
        }
        for wanted in orders {
            let descending = wanted["order"] == "descending";
            let breakdown = self.breakdowns.iter().position(|name| wanted["column"] == **name);
            let ordering = match breakdown.filter(|_| wanted["op"].is_null() && wanted["name"].is_null()) {
                Some(place) => directed_values(a.shown[place].as_ref(), b.shown[place].as_ref(), descending),
                None => by_cell(
                    referred(wanted, "op", self.calculations, self.names).unwrap_or_default(),
                    descending,
                )?,
            };
            if ordering.is_ne() {
                return Some(ordering);
            }
        }
        let ties = a.texts.iter().zip(&b.texts).map(|(a, b)| directed_text_only(a, b));
        Some(ties.into_iter().find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal))
    }

    /// The groups in the order of another answer, if nothing that is clear speaks against it.
    pub(super) fn as_found<'e>(&self, groups: Vec<Open<'e>>, limit: usize, found: &Json) -> Vec<Open<'e>> {
        let results = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text_of = |object: &Json| -> String {
            self.breakdowns.iter().map(|name| format!("{}\u{0}", object[*name])).collect()
        };
        let keys: BTreeMap<String, usize> =
            results.iter().enumerate().map(|(place, result)| (text_of(&result["data"]), place)).collect();
        let place =
            |group: &Open<'_>| keys.get(&text_of(&Json::Object(key(group, self.breakdowns)))).copied();
        let places: Vec<Option<usize>> = groups.iter().map(place).collect();
        if places.iter().take(limit).enumerate().all(|(number, place)| *place == Some(number)) {
            return groups;
        }
        let before = |a: Option<usize>, b: Option<usize>| a.is_some() && (b.is_none() || a < b);
        for (a, place_a) in groups.iter().zip(&places) {
            for (b, place_b) in groups.iter().zip(&places) {
                if before(*place_a, *place_b) && self.compare(a, b, true) == Some(Ordering::Greater) {
                    return groups;
                }
            }
        }
        let mut placed: Vec<(usize, Open<'e>)> =
            places.into_iter().map(|place| place.unwrap_or(usize::MAX)).zip(groups).collect();
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, group)| group).collect()
    }
}

/// Missing values and NaN last either way.
fn directed(a: Option<Number>, b: Option<Number>, descending: bool) -> Ordering {
    let class = |value: Option<Number>| match value {
        Some(number) if number.double().is_nan() => 1,
        Some(_) => 0,
        None => 2,
    };
    let ordering = class(a).cmp(&class(b)).then_with(|| match (a, b) {
        (Some(a), Some(b)) => a.compare(b).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    });
    if descending && class(a) == 0 && class(b) == 0 { ordering.reverse() } else { ordering }
}

/// By the value shown: booleans, then numbers by value, then everything else by its text; NaN and missing
/// values last either way.
fn directed_values(a: Option<&Value>, b: Option<&Value>, descending: bool) -> Ordering {
    let class = |value: Option<&Value>| match value {
        Some(Value::Bool(_)) => 0,
        Some(Value::F64(double)) if double.is_nan() => 3,
        Some(Value::I64(_) | Value::F64(_)) => 1,
        Some(_) => 2,
        None => 4,
    };
    let text = |value: Option<&Value>| value.map(|value| value.canonical_text().into_owned());
    let number = |value: Option<&Value>| value.and_then(Number::of);
    let ordering = class(a).cmp(&class(b)).then_with(|| match class(a) {
        1 => number(a).zip(number(b)).and_then(|(a, b)| a.compare(b)).unwrap_or(Ordering::Equal),
        _ => text(a).cmp(&text(b)),
    });
    if descending && class(a) < 3 && class(b) < 3 { ordering.reverse() } else { ordering }
}

/// What everything else leaves equal: by text, missing last.
fn directed_text_only(a: &Option<String>, b: &Option<String>) -> Ordering {
    a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(b))
}
