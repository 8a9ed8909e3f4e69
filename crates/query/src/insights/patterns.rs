//! `pattern` and `diff`: the templates of texts ([`crate::templates`]) as rows.

use serde_json::json;
use skein_event::hash::HashKey;

use super::datum::Datum;
use crate::templates::{Collector, Counted, Occurrence, Template, VARIABLE, mine};

/// The columns of templates, by slot.
pub(super) const COLUMNS: &[&str] = &[
    "@pattern",
    "@sampleCount",
    "@ratio",
    "@severityLabel",
    "@PatternId",
    "@regexString",
    "@logSamples",
    "@previousCount",
    "@difference",
    "@differenceDescription",
];

/// The columns that are shown.
pub(super) fn shown(diff: bool) -> &'static [&'static str] {
    if diff {
        &[
            "@pattern",
            "@sampleCount",
            "@previousCount",
            "@difference",
            "@differenceDescription",
            "@severityLabel",
        ]
    } else {
        &["@pattern", "@sampleCount", "@ratio", "@severityLabel"]
    }
}

/// Texts so far.
#[derive(Debug, Default)]
pub(super) struct Miner(Collector);

impl Miner {
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// Takes a text.
    pub(super) fn add(&mut self, text: &str, weight: f64, earlier: bool) {
        let shape = self.0.shape(text);
        // Rows know neither their traces nor, after some stages, their times: here are no intervals.
        self.0.count(shape, Occurrence { earlier, weight, time_ns: 0, cluster: 0 });
    }

    /// The templates as values by slot: the most frequent first, or with `diff` those that changed most.
    pub(super) fn finish(self, diff: bool) -> Vec<Vec<Datum>> {
        let mined = mine(self.0);
        let mut templates = mined.templates;
        if mined.other.iter().any(|counted| counted.rows > 0) {
            // What there was no room for is counted still.
            templates.push(other(mined.other));
        }
        let [now, before] =
            [0, 1].map(|side: usize| move |template: &Template| template.counted[side].weight);
        let total: f64 = templates.iter().map(now).sum();
        templates.retain(|template| diff || now(template) > 0.0);
        let rank = |template: &Template| {
            if diff { (now(template) - before(template)).abs() } else { now(template) }
        };
        templates.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then_with(|| a.text.cmp(&b.text)));
        templates.iter().map(|template| values(template, total)).collect()
    }
}

fn other(counted: [Counted; 2]) -> Template {
    Template {
        text: VARIABLE.to_owned(),
        regex: String::new(),
        id: HashKey(0).hash(VARIABLE.as_bytes()),
        counted,
        example: String::new(),
        shapes: Vec::new(),
    }
}

fn values(template: &Template, total: f64) -> Vec<Datum> {
    let [now, before] = [0, 1].map(|side: usize| template.counted[side].weight);
    let lower = template.text.to_lowercase();
    let severity = if lower.contains("error") {
        "ERROR"
    } else if lower.contains("warn") {
        "WARN"
    } else {
        "INFO"
    };
    let description = match (before > 0.0, now > 0.0) {
        (false, _) => "new".to_owned(),
        (true, false) => "vanished".to_owned(),
        (true, true) => format!("{:+.0} %", (now - before) / before * 100.0),
    };
    vec![
        Datum::from(template.text.as_str()),
        Datum::number(now),
        Datum::number(if total > 0.0 { now / total } else { 0.0 }),
        Datum::from(severity),
        Datum::from(format!("{:016x}", template.id)),
        Datum::from(template.regex.as_str()),
        Datum::Json(std::sync::Arc::new(json!([template.example]))),
        Datum::number(before),
        Datum::number(now - before),
        Datum::from(description),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(texts: &[&str]) -> Vec<(String, f64)> {
        let mut miner = Miner::default();
        texts.iter().for_each(|text| miner.add(text, 1.0, false));
        let rows = miner.finish(false);
        rows.iter()
            .map(|row| (row[0].key().unwrap_or_default().into_owned(), row[1].as_f64().unwrap_or(-1.0)))
            .collect()
    }

    #[test]
    fn words_that_differ_become_variable() {
        let found = templates(&[
            "user alice logged in from 10.0.0.1",
            "user bob logged in from 10.0.0.2",
            "cache miss for key a7",
            "user carol logged in from 10.0.0.3",
        ]);
        let expected =
            [("user <*> logged in from <*>".to_owned(), 3.0), ("cache miss for key <*>".to_owned(), 1.0)];
        assert_eq!(found, expected);
    }
}
