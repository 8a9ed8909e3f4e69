//! Shapes become templates.
//!
//! 1. Shapes of one punctuation that begin with the same word are gathered: each goes to the gathering it shares most
//!    words with, or begins one ([`gather`]). A word that is no plain word, a path or a dotted name, parts two shapes less
//!    than a plain one does.
//! 2. Where a word takes a few values only, each of them beside many others, it says what happened and is no value: the
//!    gathering is divided by it ([`divide`]).
//! 3. Templates that differ in one word, and where that word takes many values, are one ([`join`]).
//!
//! What it refuses: to compare a shape with more than [`TEMPLATES_ALIKE_MAX`] gatherings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use skein_event::hash::HashKey;
use skein_event::limits::{INSIGHTS_PATTERNS_MAX, TEMPLATES_ALIKE_MAX};

use super::shape::{Token, TokenKind};
use super::{Collector, Counted, Shape, ShapeId, VARIABLE};

/// A shape joins a gathering if it shares this part of the words that it could share.
const LIKENESS: f64 = 0.6;

/// Where there is no room for another gathering, this part is enough.
const LIKENESS_WHEN_FULL: f64 = 0.3;

/// How much a word that is no plain word parts two shapes, beside a plain one.
const WEIGHT_OF_NAMES: f64 = 0.3;

/// A word with at most so many values may say what happened,
const VALUES_OF_EVENTS: usize = 4;

/// if each of them comes in so many shapes.
const SHAPES_PER_EVENT_MIN: usize = 4;

/// A word in which templates differ is a value if it takes so many.
const VALUES_MIN: usize = 6;

/// What texts have in common.
#[derive(Clone, Debug)]
pub struct Template {
    /// The text, with [`VARIABLE`] for what differs.
    pub text: String,
    /// A regular expression that its texts match.
    pub regex: String,
    /// Of the text: the same wherever it is found.
    pub id: u64,
    /// Now, and in the baseline.
    pub counted: [Counted; 2],
    /// The least of its texts.
    pub example: String,
    /// The shapes that it was made of.
    pub shapes: Vec<ShapeId>,
}

/// What was made of all shapes.
#[derive(Clone, Debug, Default)]
pub struct Mined {
    /// The most frequent first; equally frequent ones by text.
    pub templates: Vec<Template>,
    /// Texts that are of none of them.
    pub other: [Counted; 2],
    /// Templates that there was no room for.
    pub left_out: usize,
}

/// Puts shapes together.
pub fn mine(collector: Collector) -> Mined {
    let Collector { mut shapes, mut other, .. } = collector;
    let rows = |shape: &Shape| shape.counted.iter().map(|counted| counted.rows).sum::<u64>();
    // The most frequent first: they are what the rest is compared with.
    shapes.sort_by(|a, b| rows(b).cmp(&rows(a)).then_with(|| a.tokens.cmp(&b.tokens)));
    let mut buckets: BTreeMap<String, Vec<&Shape>> = BTreeMap::new();
    for shape in &shapes {
        buckets.entry(bucket_of(&shape.tokens)).or_default().push(shape);
    }
    let mut found: Vec<Found<'_>> = Vec::new();
    for shapes in buckets.into_values() {
        let (gathered, left) = gather(&shapes);
        for shape in left {
            other.iter_mut().zip(&shape.counted).for_each(|(sum, counted)| sum.merge(counted));
        }
        for gathering in gathered {
            divide(gathering, &mut found);
        }
    }
    let found = join(found);
    let mut templates: Vec<Template> = found.iter().map(Found::template).collect();
    let rows = |template: &Template| template.counted.iter().map(|counted| counted.rows).sum::<u64>();
    templates.sort_by(|a, b| rows(b).cmp(&rows(a)).then_with(|| a.text.cmp(&b.text)));
    let left_out = templates.len().saturating_sub(INSIGHTS_PATTERNS_MAX);
    for template in templates.drain(templates.len() - left_out..) {
        other.iter_mut().zip(&template.counted).for_each(|(sum, counted)| sum.merge(counted));
    }
    Mined { templates, other, left_out }
}

/// What shapes must share to be compared: what stands between their words, the first word, and how severe they are.
fn bucket_of(tokens: &[Token]) -> String {
    let mut key = String::new();
    for token in tokens {
        key.push(if token.spaced { ' ' } else { '\u{1}' });
        key.push(match token.kind {
            TokenKind::Mark(mark) => mark,
            _ => '\u{2}',
        });
        if let TokenKind::Word(word) = &token.kind
            && is_level(word)
        {
            key.push_str(word);
        }
    }
    if let Some(Token { kind: TokenKind::Word(word), .. }) = tokens.first() {
        key.push('\u{3}');
        key.push_str(word);
    }
    key
}

/// A level parts what happened, however alike the rest is.
fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 10] =
        ["trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal", "panic"];
    LEVELS.iter().any(|level| word.eq_ignore_ascii_case(level))
}

/// Shapes that are alike.
struct Gathering<'s> {
    tokens: Vec<TokenKind>,
    shapes: Vec<&'s Shape>,
}

impl<'s> Gathering<'s> {
    fn new(shape: &'s Shape) -> Gathering<'s> {
        let tokens = shape.tokens.iter().map(|token| token.kind.clone()).collect();
        Gathering { tokens, shapes: vec![shape] }
    }

    fn of(shapes: Vec<&'s Shape>) -> Option<Gathering<'s>> {
        let (first, rest) = shapes.split_first()?;
        let mut gathering = Gathering::new(first);
        rest.iter().for_each(|shape| gathering.take(shape));
        Some(gathering)
    }

    fn take(&mut self, shape: &'s Shape) {
        for (known, token) in self.tokens.iter_mut().zip(&shape.tokens) {
            if *known != token.kind {
                *known = TokenKind::Variable;
            }
        }
        self.shapes.push(shape);
    }

    /// The part of the words that the shape shares, of those that it could. What is a value in both says nothing.
    fn likeness(&self, shape: &Shape) -> f64 {
        let (mut same, mut all) = (0.0, 0.0);
        for (known, token) in self.tokens.iter().zip(&shape.tokens) {
            match (known, &token.kind) {
                (TokenKind::Word(a), TokenKind::Word(b)) if a == b => {
                    same += 1.0;
                    all += 1.0;
                }
                (TokenKind::Word(a), TokenKind::Word(b)) => {
                    all += if is_plain(a) && is_plain(b) { 1.0 } else { WEIGHT_OF_NAMES };
                }
                // A word where others differ, or the other way round.
                (TokenKind::Variable, TokenKind::Word(_)) | (TokenKind::Word(_), TokenKind::Variable) => {
                    all += WEIGHT_OF_NAMES;
                }
                _ => {}
            }
        }
        if all > 0.0 { same / all } else { 1.0 }
    }
}

/// Whether a word is one of a language and no name, path or code.
fn is_plain(word: &str) -> bool {
    word.chars().all(char::is_alphabetic)
}

/// Gathers shapes; the second are those that nothing was like.
fn gather<'s>(shapes: &[&'s Shape]) -> (Vec<Gathering<'s>>, Vec<&'s Shape>) {
    let mut gathered: Vec<Gathering<'s>> = Vec::new();
    let mut left = Vec::new();
    for &shape in shapes {
        let mut best: Option<(usize, f64)> = None;
        for (place, gathering) in gathered.iter().enumerate() {
            let likeness = gathering.likeness(shape);
            // Of equally like ones the first.
            if best.is_none_or(|(_, most)| likeness > most) {
                best = Some((place, likeness));
            }
        }
        let is_full = gathered.len() >= TEMPLATES_ALIKE_MAX;
        let wanted = if is_full { LIKENESS_WHEN_FULL } else { LIKENESS };
        match best {
            Some((place, likeness)) if likeness >= wanted => gathered[place].take(shape),
            _ if is_full => left.push(shape),
            _ => gathered.push(Gathering::new(shape)),
        }
    }
    (gathered, left)
}

/// Divides a gathering by words that say what happened.
fn divide<'s>(gathering: Gathering<'s>, found: &mut Vec<Found<'s>>) {
    let count = gathering.shapes.len();
    let by_word = (0..gathering.tokens.len())
        .filter(|place| gathering.tokens[*place] == TokenKind::Variable)
        .filter_map(|place| {
            let mut parts: BTreeMap<&str, Vec<&'s Shape>> = BTreeMap::new();
            for &shape in &gathering.shapes {
                match shape.tokens.get(place).map(|token| &token.kind) {
                    Some(TokenKind::Word(word)) if is_plain(word) => {
                        parts.entry(word).or_default().push(shape);
                        if parts.len() > VALUES_OF_EVENTS {
                            return None;
                        }
                    }
                    _ => return None,
                }
            }
            let least = parts.values().map(Vec::len).min()?;
            (parts.len() > 1 && least >= 2 && count >= SHAPES_PER_EVENT_MIN * parts.len()).then_some(parts)
        })
        .min_by_key(BTreeMap::len);
    match by_word {
        // Each part has one variable word less, so that this ends.
        Some(parts) => parts.into_values().filter_map(Gathering::of).for_each(|part| divide(part, found)),
        None => found.push(Found { tokens: gathering.tokens, shapes: gathering.shapes }),
    }
}

/// A template as it is made.
struct Found<'s> {
    tokens: Vec<TokenKind>,
    shapes: Vec<&'s Shape>,
}

/// Joins templates that differ in one word which takes many values, word by word from the first.
fn join(mut found: Vec<Found<'_>>) -> Vec<Found<'_>> {
    let width = found.iter().map(|found| found.tokens.len()).max().unwrap_or(0);
    for place in 0..width {
        let mut alike: HashMap<(String, Vec<TokenKind>), Vec<usize>> = HashMap::new();
        for (number, template) in found.iter().enumerate() {
            if !matches!(template.tokens.get(place), Some(TokenKind::Word(word)) if !is_level(word)) {
                continue;
            }
            let mut rest = template.tokens.clone();
            rest[place] = TokenKind::Variable;
            let words = rest.iter().filter(|token| matches!(token, TokenKind::Word(_))).count();
            if words == 0 {
                continue;
            }
            let marks = template.shapes.first().map(|shape| spaces(&shape.tokens)).unwrap_or_default();
            alike.entry((marks, rest)).or_default().push(number);
        }
        let mut joined: BTreeSet<usize> = BTreeSet::new();
        for numbers in alike.into_values().filter(|numbers| numbers.len() >= VALUES_MIN) {
            let Some((&first, others)) = numbers.split_first() else { continue };
            let mut shapes = Vec::new();
            for &other in others {
                shapes.append(&mut found[other].shapes);
                joined.insert(other);
            }
            found[first].tokens[place] = TokenKind::Variable;
            found[first].shapes.append(&mut shapes);
        }
        let mut number = 0;
        found.retain(|_| {
            number += 1;
            !joined.contains(&(number - 1))
        });
    }
    // What has become the same.
    let mut same: BTreeMap<(String, Vec<TokenKind>), Found<'_>> = BTreeMap::new();
    for mut template in found {
        let marks = template.shapes.first().map(|shape| spaces(&shape.tokens)).unwrap_or_default();
        match same.get_mut(&(marks.clone(), template.tokens.clone())) {
            Some(known) => known.shapes.append(&mut template.shapes),
            None => {
                same.insert((marks, template.tokens.clone()), template);
            }
        }
    }
    same.into_values().collect()
}

/// Where blanks are.
fn spaces(tokens: &[Token]) -> String {
    tokens.iter().map(|token| if token.spaced { ' ' } else { '.' }).collect()
}

impl Found<'_> {
    fn template(&self) -> Template {
        let mut text = String::new();
        let mut regex = String::new();
        let spaced = self.shapes.first().map(|shape| &*shape.tokens).unwrap_or_default();
        for (kind, token) in self.tokens.iter().zip(spaced) {
            if token.spaced {
                text.push(' ');
                regex.push_str(r"\s+");
            }
            match kind {
                TokenKind::Variable => {
                    text.push_str(VARIABLE);
                    regex.push_str(".+?");
                }
                TokenKind::Word(word) => {
                    text.push_str(word);
                    regex.push_str(&regex::escape(word));
                }
                TokenKind::Mark(mark) => {
                    text.push(*mark);
                    regex.push_str(&regex::escape(mark.encode_utf8(&mut [0; 4])));
                }
            }
        }
        let mut counted: [Counted; 2] = Default::default();
        // In the order of their tokens, so that sums come out the same bit by bit.
        let mut shapes = self.shapes.clone();
        shapes.sort_by(|a, b| a.tokens.cmp(&b.tokens));
        for shape in &shapes {
            counted.iter_mut().zip(&shape.counted).for_each(|(sum, counted)| sum.merge(counted));
        }
        let example = shapes.iter().map(|shape| &*shape.example).min().unwrap_or_default();
        Template {
            id: HashKey(0).hash(text.as_bytes()),
            regex: format!(r"^\s*{regex}"),
            text,
            counted,
            example: example.to_owned(),
            shapes: shapes.iter().map(|shape| ShapeId(shape.number)).collect(),
        }
    }
}
