//! Templates of texts, found as they come: a fixed-depth tree over their words, after Drain (He et al., ICWS 2017).
//!
//! Words with a digit in them are variable from the start. Texts of as many words that begin alike are compared with the
//! templates there; the one that shares most words takes the text in if that is at least half of them, and what differs
//! becomes variable. The same texts in the same order always give the same templates, and their number is bounded: beyond,
//! texts go to the template that is nearest.

use std::collections::HashMap;

use skein_event::limits::{INSIGHTS_PATTERN_WORDS_MAX, INSIGHTS_PATTERNS_MAX, INSIGHTS_SAMPLES_MAX};

use super::datum::Datum;

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

/// What stands for a word that differs.
const VARIABLE: &str = "<*>";

/// Templates so far.
#[derive(Debug, Default)]
pub(super) struct Miner {
    templates: Vec<Template>,
    /// By number of words and the first of them that does not differ.
    places: HashMap<(usize, String), Vec<usize>>,
    bytes: usize,
}

#[derive(Debug)]
struct Template {
    /// Words; what lies between them is blank.
    words: Vec<Option<String>>,
    now: f64,
    before: f64,
    samples: Vec<String>,
}

impl Miner {
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a text.
    pub(super) fn add(&mut self, text: &str, weight: f64, earlier: bool) {
        let words: Vec<&str> = text.split_whitespace().take(INSIGHTS_PATTERN_WORDS_MAX).collect();
        let place = self.template(&words);
        let Some(template) = self.templates.get_mut(place) else { return };
        if earlier {
            template.before += weight;
        } else {
            template.now += weight;
            if template.samples.len() < INSIGHTS_SAMPLES_MAX {
                let sample: String = text.chars().take(512).collect();
                self.bytes += sample.len() + 24;
                template.samples.push(sample);
            }
        }
    }

    /// The template of a text, which may change for it or be made for it.
    fn template(&mut self, words: &[&str]) -> usize {
        let first = words.first().filter(|word| !is_variable(word)).map_or(VARIABLE, |word| *word);
        let key = (words.len(), first.to_owned());
        let near = self.places.get(&key).into_iter().flatten();
        let best = near.map(|place| (self.likeness(*place, words), *place)).max_by(|a, b| {
            // Of equally like ones the first that was made.
            a.0.cmp(&b.0).then(b.1.cmp(&a.1))
        });
        let is_full = self.templates.len() >= INSIGHTS_PATTERNS_MAX;
        match best {
            Some((same, place)) if same * 2 >= words.len() || is_full => {
                let template = &mut self.templates[place];
                for (known, word) in template.words.iter_mut().zip(words) {
                    if known.as_deref().is_some_and(|known| known != *word) {
                        *known = None;
                    }
                }
                place
            }
            // Nothing begins alike: one template takes all that is left.
            None if is_full => {
                let last = self.templates.len() - 1;
                self.templates[last].words.iter_mut().for_each(|word| *word = None);
                last
            }
            _ => {
                let fixed = |word: &&str| if is_variable(word) { None } else { Some((*word).to_owned()) };
                let words: Vec<Option<String>> = words.iter().map(fixed).collect();
                self.bytes +=
                    words.iter().map(|word| 24 + word.as_ref().map_or(0, String::len)).sum::<usize>() + 256;
                self.templates.push(Template { words, now: 0.0, before: 0.0, samples: Vec::new() });
                self.places.entry(key).or_default().push(self.templates.len() - 1);
                self.templates.len() - 1
            }
        }
    }

    /// How many words are those of a template; a variable one is everybody's.
    fn likeness(&self, place: usize, words: &[&str]) -> usize {
        let known = self.templates.get(place).map_or(&[][..], |template| &template.words);
        let same = |(known, word): (&Option<String>, &&str)| match known {
            Some(known) => known == word,
            None => true,
        };
        known.iter().zip(words).filter(|pair| same((pair.0, pair.1))).count()
    }

    /// The templates as values by slot: the most frequent first, or with `diff` those that changed most.
    pub(super) fn finish(self, diff: bool) -> Vec<Vec<Datum>> {
        let total: f64 = self.templates.iter().map(|template| template.now).sum();
        let mut templates: Vec<(String, Template)> = self
            .templates
            .into_iter()
            .filter(|template| diff || template.now > 0.0)
            .map(|template| (template.text(), template))
            .collect();
        let rank =
            |template: &Template| if diff { (template.now - template.before).abs() } else { template.now };
        templates.sort_by(|(text_a, a), (text_b, b)| rank(b).total_cmp(&rank(a)).then(text_a.cmp(text_b)));
        templates.iter().map(|(text, template)| template.values(text, total)).collect()
    }
}

/// Whether a word differs from text to text by what it looks like.
fn is_variable(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

impl Template {
    fn text(&self) -> String {
        let words = self.words.iter().map(|word| word.as_deref().unwrap_or(VARIABLE));
        words.collect::<Vec<_>>().join(" ")
    }

    fn values(&self, text: &str, total: f64) -> Vec<Datum> {
        let lower = text.to_lowercase();
        let severity = if lower.contains("error") {
            "ERROR"
        } else if lower.contains("warn") {
            "WARN"
        } else {
            "INFO"
        };
        let words = self.words.iter().map(|word| match word {
            Some(word) => regex::escape(word),
            None => r"\S+".to_owned(),
        });
        let description = match (self.before > 0.0, self.now > 0.0) {
            (false, _) => "new".to_owned(),
            (true, false) => "vanished".to_owned(),
            (true, true) => format!("{:+.0} %", (self.now - self.before) / self.before * 100.0),
        };
        let samples: serde_json::Value = self.samples.iter().map(String::as_str).collect();
        let count = Datum::number;
        vec![
            Datum::from(text),
            count(self.now),
            Datum::number(if total > 0.0 { self.now / total } else { 0.0 }),
            Datum::from(severity),
            Datum::from(format!("{:016x}", skein_event::hash::HashKey(0).hash(text.as_bytes()))),
            Datum::from(words.collect::<Vec<_>>().join(r"\s+")),
            Datum::Json(std::sync::Arc::new(samples)),
            count(self.before),
            Datum::number(self.now - self.before),
            Datum::from(description),
        ]
    }
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

    #[test]
    fn templates_are_bounded() {
        let mut miner = Miner::default();
        for number in 0..INSIGHTS_PATTERNS_MAX * 2 {
            let word: String =
                format!("{number}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            miner.add(&format!("{word} happened"), 1.0, false);
        }
        assert_eq!(miner.templates.len(), INSIGHTS_PATTERNS_MAX);
        let total: f64 = miner.templates.iter().map(|template| template.now).sum();
        assert_eq!(total, (INSIGHTS_PATTERNS_MAX * 2) as f64, "every text is counted");
    }
}
