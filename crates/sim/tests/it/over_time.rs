//! CONCURRENCY, INCREASE, RATE and RATE_*, the engine against docs/reference/over-time.md said again in the plainest
//! code: every bucket is looked at for every span, every point is compared with all others of its series.
//!
//! A failure prints its seed; `SKEIN_SEED=n` runs that seed alone, `SKEIN_CASES=n` another number of data sets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use skein_event::ids::Environment;
use skein_event::value::Value;
use skein_otlp::collector::metrics::ExportMetricsServiceRequest;
use skein_otlp::common::{AnyValue, KeyValue, any_value};
use skein_otlp::metrics::metric::Data;
use skein_otlp::metrics::{Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point};
use skein_otlp::resource::Resource;
use skein_query::time_text::parse_ns;
use skein_sim::random::Random;
use skein_sim::random::data::{Generator, Request, START_S};
use skein_sim::reference::{Event, Place, names};
use skein_sim::subject::Subject;

use crate::differential::{report, seeds};

/// Data sets of a run in CI, and questions to each.
const DATA_SETS: u64 = 40;
const QUESTIONS: u64 = 12;

/// Numbers by calculation, of a group, or of a group in a bucket.
type Numbers = BTreeMap<&'static str, f64>;
type Group = Option<String>;

const NAMES: [&str; 6] = ["c", "c_slow", "i", "r", "rate_sum", "rate_max"];

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn one_of(random: &mut Random, key: &str, values: [&str; 2]) -> KeyValue {
    attribute(key, values[usize::from(random.once_in(2))])
}

/// Counters of few series that rise, fall and begin again.
fn counters(random: &mut Random) -> Request {
    let metrics = |random: &mut Random| {
        let point = |random: &mut Random| {
            let number = i64::try_from(random.below(40)).unwrap_or_default();
            let fraction = f64::from(u32::try_from(random.below(8)).unwrap_or_default()) / 4.0;
            let starts = [0, 7, 7, 8].map(|start: u64| start * 1_000_000_000);
            NumberDataPoint {
                attributes: match random.below(4) {
                    0 => Vec::new(),
                    1 => vec![attribute("host", "b"), attribute("zone", "x")],
                    _ => vec![one_of(random, "host", ["a", "b"])],
                },
                start_time_unix_nano: *random.pick(&starts),
                time_unix_nano: (u64::try_from(START_S).unwrap_or_default() + random.below(600))
                    * 1_000_000_000,
                value: Some(match random.once_in(5) {
                    true => number_data_point::Value::AsDouble(number as f64 + fraction),
                    false => number_data_point::Value::AsInt(number),
                }),
                ..NumberDataPoint::default()
            }
        };
        let data_points = (0..1 + random.below(12)).map(|_| point(random)).collect();
        let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
        Metric { name: "served".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() }
    };
    let resource = |random: &mut Random| ResourceMetrics {
        resource: Some(Resource {
            attributes: vec![one_of(random, "service.name", ["cart", "pay"])],
            ..Resource::default()
        }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metrics(random)], ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    let resource_metrics = (0..1 + random.below(2)).map(|_| resource(random)).collect();
    Request::Metrics(ExportMetricsServiceRequest { resource_metrics })
}

fn number(event: &Event, name: &str) -> Option<f64> {
    let value = names::value(event, name)?;
    match value.as_ref() {
        Value::I64(number) => Some(*number as f64),
        Value::F64(number) => Some(*number),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// A question: whole seconds, and the length of buckets.
#[derive(Clone, Copy, Debug)]
struct Question {
    start: i64,
    end: i64,
    granularity: i64,
    by_service: bool,
    usage_mode: bool,
}

impl Question {
    fn new(random: &mut Random) -> Question {
        let below = |random: &mut Random, bound| i64::try_from(random.below(bound)).unwrap_or_default();
        let start = START_S + below(random, 300);
        let end = start + 60 + below(random, 900);
        let granularity = *random.pick(&[7, 30, 60, 300]);
        Question {
            start,
            end,
            // Longer than the range it is the range.
            granularity: granularity.min(end - start),
            by_service: random.once_in(2),
            usage_mode: random.once_in(4),
        }
    }

    fn spec(self) -> Json {
        let slow = json!([{"column": "duration_ms", "op": ">", "value": 20}]);
        let mut spec = json!({
            "calculations": [
                {"op": "CONCURRENCY", "name": "c"},
                {"op": "CONCURRENCY", "name": "c_slow", "filters": slow},
                {"op": "INCREASE", "column": "served", "name": "i"},
                {"op": "RATE", "column": "served", "name": "r"},
                {"op": "RATE_SUM", "column": "duration_ms", "name": "rate_sum"},
                {"op": "RATE_MAX", "column": "duration_ms", "name": "rate_max"},
                {"op": "COUNT"},
            ],
            "start_time": self.start, "end_time": self.end, "granularity": self.granularity, "limit": 1_000,
            "usage_mode": self.usage_mode,
        });
        if self.by_service {
            spec["breakdowns"] = json!(["service.name"]);
        }
        spec
    }

    fn group(self, event: &Event) -> Group {
        let value = names::value(event, "service.name").filter(|_| self.by_service)?;
        Some(value.canonical_text().into_owned())
    }

    fn weight(self, event: &Event) -> f64 {
        if self.usage_mode { 1.0 } else { event.weight() }
    }

    /// Every bucket, cut off at the range, in nanoseconds.
    fn buckets(self) -> Vec<(i64, i64)> {
        let first = self.start.div_euclid(self.granularity);
        let all = (first..).map(|bucket| (bucket * self.granularity, (bucket + 1) * self.granularity));
        all.take_while(|(start, _)| *start < self.end)
            .map(|(start, end)| (start.max(self.start) * 1_000_000_000, end.min(self.end) * 1_000_000_000))
            .collect()
    }
}

/// What is expected of results, and of the series by start of the bucket.
#[derive(Default)]
struct Expected {
    results: BTreeMap<Group, Numbers>,
    series: BTreeMap<(i64, Group), Numbers>,
}

impl Expected {
    fn of(events: &[Event], question: Question) -> Expected {
        let range = (question.start * 1_000_000_000, question.end * 1_000_000_000);
        let within: Vec<&Event> =
            events.iter().filter(|event| range.0 <= event.time_ns && event.time_ns < range.1).collect();
        let mut expected = Expected::default();
        expected.concurrency(&within, question, "c", 0.0 - 1.0);
        expected.concurrency(&within, question, "c_slow", 20.0);
        expected.increases(&within, question);
        expected.changes(&within, question);
        expected
    }

    fn add(&mut self, bucket: i64, group: &Group, name: &'static str, in_bucket: f64, in_all: f64) {
        *self.series.entry((bucket, group.clone())).or_default().entry(name).or_default() += in_bucket;
        *self.results.entry(group.clone()).or_default().entry(name).or_default() += in_all;
    }

    fn concurrency(&mut self, events: &[&Event], question: Question, name: &'static str, above: f64) {
        for event in events {
            let Some(ms) = number(event, "duration_ms").filter(|ms| *ms > above && *ms >= 0.0) else {
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "durations of spans are milliseconds to minutes"
            )]
            let (from, to) = (event.time_ns, event.time_ns.saturating_add((ms * 1e6).round() as i64));
            let (group, weight) = (question.group(event), question.weight(event));
            for (start, end) in question.buckets() {
                let overlap = (to.min(end) - from.max(start)).max(0) as f64 * weight;
                // A span without a length is in the bucket of its start, for nothing.
                if overlap > 0.0 || (start <= from && from < end) {
                    let whole = ((question.end - question.start) * 1_000_000_000) as f64;
                    self.add(start, &group, name, overlap / (end - start) as f64, overlap / whole);
                }
            }
        }
    }

    fn increases(&mut self, events: &[&Event], question: Question) {
        type Key = Vec<(Place, String, String)>;
        type Point<'e> = (i64, Option<i64>, f64, &'e Event);
        let mut series: BTreeMap<Key, Vec<Point<'_>>> = BTreeMap::new();
        for event in events {
            let Some(value) = number(event, "served").filter(|value| !value.is_nan()) else { continue };
            let labels = event
                .values()
                .filter(|(place, ..)| matches!(place, Place::Item | Place::Scope | Place::Resource));
            let key = labels
                .map(|(place, name, value)| (place, name.clone(), value.canonical_text().into_owned()))
                .collect();
            let start = match event.at(Place::Fixed, "meta.metric.start_time") {
                Some(Value::I64(start)) => Some(*start),
                _ => None,
            };
            series.entry(key).or_default().push((event.time_ns, start, value, event));
        }
        for mut points in series.into_values() {
            points.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
            for pair in points.windows(2) {
                let ((_, start_before, before, _), (time, start, now, event)) = (&pair[0], &pair[1]);
                let restarted = start_before.is_some() && start.is_some() && start_before != start;
                let rose = if *now < *before || restarted { *now } else { now - before };
                let rose = rose * question.weight(event);
                let bucket = question.buckets().into_iter().find(|(from, to)| from <= time && time < to);
                let Some((from, to)) = bucket else { continue };
                let group = question.group(event);
                self.add(from, &group, "i", rose, rose);
                let seconds = (to - from) as f64 / 1e9;
                self.add(from, &group, "r", rose / seconds, rose / (question.end - question.start) as f64);
            }
        }
    }

    fn changes(&mut self, events: &[&Event], question: Question) {
        let mut by_group: BTreeMap<Group, BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
        for event in events {
            let Some(ms) = number(event, "duration_ms") else { continue };
            let bucket = event.time_ns.div_euclid(question.granularity * 1_000_000_000);
            let of_group = by_group.entry(question.group(event)).or_default();
            let (sum, most) = of_group.entry(bucket).or_insert((0.0, f64::NEG_INFINITY));
            *sum += ms * question.weight(event);
            *most = most.max(ms);
        }
        for (group, buckets) in by_group {
            let mut changes: Vec<(f64, f64)> = Vec::new();
            for (bucket, (sum, most)) in &buckets {
                let Some((sum_before, most_before)) = buckets.get(&(bucket - 1)) else { continue };
                let start = bucket * question.granularity * 1_000_000_000;
                let start = start.max(question.start * 1_000_000_000);
                let numbers = self.series.entry((start, group.clone())).or_default();
                numbers.insert("rate_sum", sum - sum_before);
                numbers.insert("rate_max", most - most_before);
                changes.push((sum - sum_before, most - most_before));
            }
            let mean =
                |of: fn(&(f64, f64)) -> f64| changes.iter().map(of).sum::<f64>() / changes.len() as f64;
            if !changes.is_empty() {
                let results = self.results.entry(group).or_default();
                results.insert("rate_sum", mean(|change| change.0));
                results.insert("rate_max", mean(|change| change.1));
            }
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    // Differences of sums keep the digits of the sums.
    (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()))
}

/// Compares the numbers of one row of an answer with what is expected of it.
fn check(row: &Json, expected: Option<&Numbers>, at: &str) -> Result<u64, String> {
    let mut compared = 0;
    for name in NAMES {
        let (found, wanted) =
            (row["data"][name].as_f64(), expected.and_then(|numbers| numbers.get(name)).copied());
        let equal = match (found, wanted) {
            (Some(found), Some(wanted)) => near(found, wanted),
            (found, wanted) => found.is_none() == wanted.is_none(),
        };
        if !equal {
            return Err(format!("{name} {at}: {found:?}, expected {wanted:?}"));
        }
        compared += u64::from(found.is_some());
    }
    Ok(compared)
}

fn compare(answer: &Json, expected: &Expected, question: Question) -> Result<u64, String> {
    let mut compared = 0;
    let group_of = |row: &Json| row["data"]["service.name"].as_str().map(str::to_owned);
    let mut seen = BTreeSet::new();
    for row in answer["results"].as_array().ok_or("no results")? {
        let group = group_of(row);
        compared += check(row, expected.results.get(&group), &format!("of {group:?}"))?;
        seen.insert(group);
    }
    if let Some(missing) = expected.results.keys().find(|group| !seen.contains(*group)) {
        return Err(format!("no result of {missing:?}"));
    }
    let mut seen = BTreeSet::new();
    for row in answer["series"].as_array().ok_or("no series")? {
        let time = row["time"].as_str().unwrap_or_default();
        let found_ns = parse_ns(time).ok_or_else(|| format!("{time} is no time"))?;
        let of_time = |(start, _): &&(i64, i64)| {
            let bucket = start.div_euclid(question.granularity * 1_000_000_000) * question.granularity;
            bucket * 1_000_000_000 == found_ns
        };
        let buckets = question.buckets();
        let start = buckets.iter().find(of_time).ok_or_else(|| format!("{time} is no bucket"))?.0;
        let key = (start, group_of(row));
        compared += check(row, expected.series.get(&key), &format!("at {key:?}"))?;
        seen.insert(key);
    }
    match expected.series.keys().find(|key| !seen.contains(*key)) {
        Some(missing) => Err(format!("no entry of {missing:?}")),
        None => Ok(compared),
    }
}

#[test]
fn what_lies_between_moments_is_answered_as_the_page_says() {
    let mut compared = 0;
    let of_seed = |seed| {
        let mut random = Random::new(seed ^ 0x0e71);
        let mut generator = Generator::new(random.fork());
        let (mut subject, mut events) = (Subject::default(), Vec::new());
        for _ in 0..3 + random.below(6) {
            let request = if random.once_in(2) { counters(&mut random) } else { generator.request(15) };
            events.extend(request.flattened().events);
            subject.ingest(&Environment::default_environment(), &request, false)?;
        }
        subject.settle(&mut random)?;
        for _ in 0..QUESTIONS {
            let question = Question::new(&mut random);
            let spec = question.spec();
            let answer = match subject.data(&Environment::default_environment(), &spec) {
                Ok(answer) => answer,
                // Not every data set has counters or spans.
                Err(error) if error.to_string().contains("column") => continue,
                Err(error) => return Err(format!("SKEIN_SEED={seed}: {error}\n{spec}")),
            };
            compared += compare(&answer, &Expected::of(&events, question), question)
                .map_err(|difference| format!("SKEIN_SEED={seed}: {difference}\n{question:?}"))?;
        }
        Ok(())
    };
    report(seeds(DATA_SETS).into_iter().map(of_seed).collect());
    assert!(compared > 1_000, "only {compared} numbers were compared");
}
