//! How sure a calculation over sampled events is, trace by trace in plain sums: docs/reference/intervals.md has the
//! formulas.
//!
//! It says nothing (`Open`) where the engine sketches, and where the edge of a check is so near that rounding decides.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use skein_event::value::Value;

use super::aggregate::Calculation;
use super::event::{Event, Place};
use super::number::Number;
use super::relational::World;

/// Up to so many traces the engine keeps what each contributes.
const FEW: usize = 512;

/// What is to be said of a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sure {
    /// Neither sampled nor sketched.
    pub exact: bool,
    /// Kept traces that were drawn; `None` when that is not looked at.
    pub traces: Option<usize>,
    /// Its interval.
    pub claim: Claim,
}

/// The interval of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Claim {
    /// Not looked at.
    Open,
    /// None is claimed.
    Nothing,
    /// This.
    Between(f64, f64),
}

/// An event that stands for others: what it was drawn with, its weight and its value.
pub struct Drawn {
    unit: String,
    weight: f64,
    value: f64,
}

/// What an event was drawn with: its trace, unless it was drawn by itself.
pub fn unit(event: &Event) -> String {
    let own = event.text("meta.sampling.unit") == Some("event");
    match event.at(Place::Fixed, "trace.trace_id") {
        Some(trace) if !own => trace.canonical_text().into_owned(),
        _ => format!("{:p}", std::ptr::from_ref(event)),
    }
}

fn is_one(weight: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "a weight of exactly 1 stands for itself")]
    let one = weight == 1.0;
    one
}

/// The sampled events among those that were searched: the largest weight, and how many traces they are of.
pub fn searched<'a>(events: impl Iterator<Item = &'a Event>) -> Option<(f64, usize)> {
    let mut units: BTreeMap<String, f64> = BTreeMap::new();
    for event in events.filter(|event| event.weight() > 1.0) {
        let most = units.entry(unit(event)).or_insert(1.0);
        *most = most.max(event.weight());
    }
    let most = units.values().copied().fold(1.0, f64::max);
    (!units.is_empty()).then_some((most, units.len()))
}

impl<'a> Calculation<'a> {
    /// The sampled events that it is over.
    fn drawn(&self, events: &[&'a Event], world: &World<'a>, usage_mode: bool) -> Vec<Drawn> {
        if usage_mode {
            return Vec::new();
        }
        let operation = self.operation();
        let worth = |value: Option<&Value>| match value {
            Some(value) if !matches!(operation, "COUNT" | "COUNT_DISTINCT") => {
                Some(Number::of(value)?.double())
            }
            _ => Some(0.0),
        };
        let mut found = Vec::new();
        if let Some(derived) = &self.derived {
            for one in Calculation::at(derived, events).filter(|one| !is_one(one.weight)) {
                let trace =
                    one.at.at(Place::Fixed, "trace.trace_id").filter(|_| self.json["op"] == "PER_TRACE");
                let unit = trace.map_or_else(|| unit(one.at), |trace| trace.canonical_text().into_owned());
                found.push(Drawn { unit, weight: one.weight, value: one.number.double() });
            }
            return found;
        }
        for event in self.passing(events, world) {
            let values = self.values(&[event], Some(world), usage_mode);
            for (value, weight) in values.into_iter().filter(|(_, weight)| !is_one(*weight)) {
                if let Some(value) = worth(value.as_deref()) {
                    found.push(Drawn { unit: unit(event), weight, value });
                }
            }
        }
        found
    }

    /// How sure its number over some of the matched events is; `searched` are the sampled events of the range.
    pub fn sure(
        &self,
        events: &[&'a Event],
        world: &World<'a>,
        usage_mode: bool,
        exact: bool,
        searched: Option<(f64, usize)>,
    ) -> Sure {
        let operation = self.operation();
        let number = self.over(events, world, usage_mode, exact).number();
        let sketched = operation.starts_with('P') && !exact;
        let drawn = self.drawn(events, world, usage_mode);
        if drawn.is_empty() {
            let nothing = operation == "COUNT" && number.is_some_and(|number| number.double() == 0.0);
            if let (true, Some((most, traces))) = (nothing, searched) {
                let claim = if traces < 30 { Claim::Nothing } else { Claim::Between(0.0, 3.0 * most) };
                return Sure { exact: false, traces: Some(traces), claim };
            }
            return Sure { exact: !sketched, traces: None, claim: Claim::Open };
        }
        let mut units: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for Drawn { unit, weight, value } in &drawn {
            let (of_value, of_count) = units.entry(unit).or_default();
            let spread = (weight * (weight - 1.0)).sqrt();
            *of_value += spread * value;
            *of_count += spread;
        }
        let number = number.map(Number::double);
        let claim = match operation {
            "MIN" | "MAX" | "HEATMAP" => Claim::Nothing,
            _ if units.len() < 30 => Claim::Nothing,
            "COUNT" | "SUM" | "AVG" if units.len() <= FEW && number.is_some() => {
                claim(operation, number.unwrap_or_default(), &drawn, &units, self.whole(events, world))
            }
            _ => Claim::Open,
        };
        Sure { exact: false, traces: Some(units.len()), claim }
    }

    /// The whole weight of its values.
    fn whole(&self, events: &[&'a Event], world: &World<'a>) -> f64 {
        if let Some(derived) = &self.derived {
            return Calculation::at(derived, events).map(|one| one.weight).sum();
        }
        let values = self.values(&self.passing(events, world), Some(world), false);
        let counts = |value: &Option<std::borrow::Cow<'_, Value>>| {
            value.as_deref().is_none_or(|value| Number::of(value).is_some())
        };
        values.iter().filter(|(value, _)| counts(value)).map(|(_, weight)| weight).sum()
    }
}

fn claim(
    operation: &str,
    number: f64,
    drawn: &[Drawn],
    units: &BTreeMap<&str, (f64, f64)>,
    whole: f64,
) -> Claim {
    let contribution = |(of_value, of_count): &(f64, f64)| match operation {
        "COUNT" => *of_count,
        "SUM" => *of_value,
        _ => (of_value - number * of_count) / whole,
    };
    let of_drawn: f64 = match operation {
        "COUNT" => drawn.iter().map(|one| one.weight).sum(),
        "SUM" => drawn.iter().map(|one| one.weight * one.value).sum(),
        _ => number,
    };
    let squares: Vec<f64> = units.values().map(|sums| contribution(sums).powi(2)).collect();
    let variance: f64 = squares.iter().sum();
    if variance == 0.0 {
        return Claim::Nothing;
    }
    let effective = variance * variance / squares.iter().map(|square| square * square).sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "a number of traces")]
    let n = squares.len() as f64;
    // What is left where everything cancels is rounding.
    let scale = of_drawn.abs().max(number.abs());
    if !variance.is_finite() || variance.sqrt() < scale * 1e-9 {
        return Claim::Open;
    }
    let mut checked = vec![squares.clone()];
    if operation == "SUM" {
        let mean = of_drawn / drawn.iter().map(|one| one.weight).sum::<f64>();
        let of_values: Vec<f64> = units.values().map(|sums| (sums.0 - mean * sums.1).powi(2)).collect();
        match of_values.iter().sum::<f64>() / variance {
            left if left > 1e-15 => checked.push(of_values),
            left if left > 1e-20 => return Claim::Open,
            _ => {}
        }
    }
    for squares in checked {
        let sum: f64 = squares.iter().sum();
        let effective = sum * sum / squares.iter().map(|square| square * square).sum::<f64>();
        let (tail, tail_max) = (tail(&squares), 0.36 + effective / 300.0);
        if (tail / tail_max - 1.0).abs() < 1e-6 || (effective / 16.0 - 1.0).abs() < 1e-6 {
            return Claim::Open;
        }
        if effective < 16.0 || tail > tail_max {
            return Claim::Nothing;
        }
    }
    let freedom = 2.0 / (1.0 / effective - 1.0 / n).max(2.0 / (n - 1.0));
    let margin = student(freedom) * variance.sqrt();
    let certain = number - of_drawn;
    if (of_drawn.abs() / margin - 1.0).abs() < 1e-6 {
        return Claim::Open;
    }
    if of_drawn.abs() < margin {
        return Claim::Between(number - margin, number + margin);
    }
    let ends =
        [(margin / of_drawn.abs()).exp(), (-margin / of_drawn.abs()).exp()].map(|by| certain + of_drawn * by);
    Claim::Between(ends[0].min(ends[1]), ends[0].max(ends[1]))
}

/// Of the largest tenth of the contributions, ten at least: the mean logarithm of how far each passes the next one.
fn tail(squares: &[f64]) -> f64 {
    let mut sizes: Vec<f64> = squares.iter().map(|square| square.sqrt()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let largest = (sizes.len() / 10).max(10);
    let logarithms = sizes.iter().take(largest).map(|size| (size / sizes[largest]).ln());
    #[expect(clippy::cast_precision_loss, reason = "a number of traces")]
    let mean = logarithms.sum::<f64>() / largest as f64;
    mean
}

/// Where Student's distribution has 97.5 % below: the integral of its density, by halves.
fn student(freedom: f64) -> f64 {
    let density = |t: f64| (1.0 + t * t / freedom).powf(-(freedom + 1.0) / 2.0);
    let steps = 20_000;
    let width = 60.0 / f64::from(steps);
    let area = |to: f64| -> f64 {
        (0..steps).map(|step| (f64::from(step) + 0.5) * width).take_while(|t| *t < to).map(density).sum()
    };
    let half = area(f64::INFINITY);
    let (mut low, mut high) = (1.9, 6.0);
    for _ in 0..12 {
        let middle = f64::midpoint(low, high);
        if area(middle) < 0.95 * half { low = middle } else { high = middle }
    }
    low
}

impl Sure {
    /// Of a formula: exact where all is that it is made of.
    pub fn of_formula(exact: bool) -> Sure {
        Sure { exact, traces: None, claim: Claim::Open }
    }

    /// Whether the engine says the same.
    pub fn agrees(&self, found: &Json) -> Result<(), String> {
        let expected = |what: &str| Err(format!("says {found}, expected {what} of {self:?}"));
        if found["exact"] != Json::Bool(self.exact) {
            return expected("exact");
        }
        let traces = found["n_traces"].as_u64().and_then(|traces| usize::try_from(traces).ok());
        if let Some(known) = self.traces {
            let slack = if known <= FEW { 0 } else { known / 4 };
            if traces.is_none_or(|traces| traces.abs_diff(known) > slack) {
                return expected("n_traces");
            }
        }
        let reliable = found["reliable"] == Json::Bool(true);
        let ends = found["lo95"].as_f64().zip(found["hi95"].as_f64());
        let too_few = traces.is_some_and(|traces| traces < 30) && !self.exact;
        if too_few && reliable || !self.exact && traces.is_some() && !reliable && ends.is_some() {
            return expected("no claim");
        }
        let near = |a: f64, b: f64| (a - b).abs() <= 0.005 * (a.abs().max(b.abs())) + 1e-9;
        match self.claim {
            Claim::Open => Ok(()),
            Claim::Nothing if !reliable && ends.is_none() => Ok(()),
            Claim::Nothing => expected("no interval"),
            Claim::Between(low, high) => match ends {
                Some((lo, hi)) if reliable && near(lo, low) && near(hi, high) => Ok(()),
                _ => expected("the interval"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [(10.0, 2.228_1), (30.0, 2.042_3), (120.0, 1.979_9)] {
            assert!((student(freedom) / quantile - 1.0).abs() < 0.004, "{freedom}: {}", student(freedom));
        }
    }
}
