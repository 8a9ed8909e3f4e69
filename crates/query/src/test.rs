//! What each test means (SEMANTICS.md, "Values"), for one value at a time.
//!
//! - `=` and `in`: a literal matches values of its type by value and text of equal canonical text. A number
//!   matches integers and doubles alike. A text literal also matches bytes and json by their canonical text,
//!   since JSON has no other way to write those.
//! - `<` and friends: a number compares numbers and text that is wholly a number; text compares text only,
//!   by its UTF-8 bytes.
//! - `starts-with`, `ends-with` and `contains` read the canonical text of a value of any type, case-sensitively.
//! - A negative test is the negation of the positive one, so it matches a missing column.
//! - NaN equals nothing and compares with nothing.

use std::cmp::Ordering;
use std::collections::HashSet;

use memchr::memmem::Finder;
use skein_event::value::canonical_f64;

use crate::number::{Number, ValueRef};
use crate::plan::{Comparison, Literal, Test, TextTest};

/// A test made ready for many values.
#[derive(Clone, Debug)]
pub struct Matcher {
    kind: Kind,
    negated: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Present,
    In(Targets),
    Compare(Comparison, Target),
    Text(TextTest, String),
    /// That a text contains another, made ready to be looked for.
    Contains(Box<Finder<'static>>, String),
}

/// Literals of which a value may equal any: however many there are, a value is looked up once.
#[derive(Clone, Debug, Default)]
struct Targets {
    /// Whether false and true are among them.
    bools: [bool; 2],
    /// Rising; NaN equals nothing.
    numbers: Vec<Number>,
    /// What a text may be: the texts, and the canonical texts of the others.
    texts: HashSet<String>,
    /// What bytes and json may be by their canonical text: the texts alone.
    plain_texts: HashSet<String>,
}

impl Kind {
    fn of_text(test: TextTest, text: &str) -> Kind {
        match test {
            TextTest::Contains => {
                Kind::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()), text.to_owned())
            }
            TextTest::StartsWith | TextTest::EndsWith => Kind::Text(test, text.to_owned()),
        }
    }
}

impl Targets {
    fn new(literals: &[Literal]) -> Targets {
        let mut targets = Targets::default();
        for target in literals.iter().map(Target::new) {
            match target {
                Target::Bool(value) => {
                    targets.bools[usize::from(value)] = true;
                    targets.texts.insert(if value { "true" } else { "false" }.to_owned());
                }
                Target::Number(number, text) => {
                    if !number.is_nan() {
                        targets.numbers.push(number);
                    }
                    targets.texts.insert(text);
                }
                Target::Text(text) => {
                    targets.plain_texts.insert(text.clone());
                    targets.texts.insert(text);
                }
            }
        }
        targets.numbers.sort_by(|a, b| a.compare(*b).unwrap_or(Ordering::Equal));
        targets
    }

    fn has(&self, value: ValueRef<'_>) -> bool {
        let has_number = |wanted: Number| {
            let place = |number: &Number| number.compare(wanted).unwrap_or(Ordering::Less);
            !wanted.is_nan() && self.numbers.binary_search_by(place).is_ok()
        };
        match value {
            ValueRef::Bool(value) => self.bools[usize::from(value)],
            ValueRef::I64(value) => has_number(Number::I64(value)),
            ValueRef::F64(value) => has_number(Number::F64(value)),
            ValueRef::Text(text) => self.texts.contains(text),
            ValueRef::Bytes(_) | ValueRef::Json(_) => {
                !self.plain_texts.is_empty() && self.plain_texts.contains(value.canonical_text().as_ref())
            }
        }
    }
}

/// A literal with its canonical text.
#[derive(Clone, Debug)]
enum Target {
    Bool(bool),
    Number(Number, String),
    Text(String),
}

impl Target {
    fn new(literal: &Literal) -> Target {
        match literal {
            Literal::Bool(value) => Target::Bool(*value),
            Literal::I64(value) => Target::Number(Number::I64(*value), value.to_string()),
            Literal::F64(value) => Target::Number(Number::F64(*value), canonical_f64(*value)),
            Literal::Text(text) => Target::Text(text.clone()),
        }
    }

    /// How a value stands to this literal; `None` when they do not compare.
    fn order(&self, value: ValueRef<'_>) -> Option<Ordering> {
        match (self, value) {
            (Target::Number(bound, _), _) => value.number()?.compare(*bound),
            (Target::Text(bound), ValueRef::Text(text)) => Some(text.cmp(bound)),
            _ => None,
        }
    }
}

impl Matcher {
    /// Makes a test ready.
    pub fn new(test: &Test) -> Matcher {
        let targets = |literals: &[Literal]| Kind::In(Targets::new(literals));
        let (kind, negated) = match test {
            Test::Exists => (Kind::Present, false),
            Test::DoesNotExist => (Kind::Present, true),
            Test::In(literals) => (targets(literals), false),
            Test::NotIn(literals) => (targets(literals), true),
            Test::Compare(comparison, literal) => (Kind::Compare(*comparison, Target::new(literal)), false),
            Test::Text(test, text) => (Kind::of_text(*test, text), false),
            Test::NotText(test, text) => (Kind::of_text(*test, text), true),
        };
        Matcher { kind, negated }
    }

    /// Whether a missing column passes.
    pub fn matches_missing(&self) -> bool {
        self.negated
    }

    /// Whether only the presence of a value counts.
    pub fn is_existence(&self) -> bool {
        matches!(self.kind, Kind::Present)
    }

    /// The texts of which a text that passes equals one (that fails, when [`Matcher::matches_missing`]), if that
    /// is what it asks for.
    pub fn equal_texts(&self) -> Option<impl ExactSizeIterator<Item = &str>> {
        match &self.kind {
            Kind::In(targets) => Some(targets.texts.iter().map(String::as_str)),
            Kind::Present | Kind::Compare(..) | Kind::Text(..) | Kind::Contains(..) => None,
        }
    }

    /// Whether it compares with a number: then it passes numbers up to a bound, or from one on.
    pub fn is_number_comparison(&self) -> bool {
        matches!(self.kind, Kind::Compare(_, Target::Number(..))) && !self.negated
    }

    /// The test of text that decides, and what it looks for; a negated one fails where that holds.
    pub fn text_test(&self) -> Option<(TextTest, &str)> {
        match &self.kind {
            Kind::Text(test, text) => Some((*test, text)),
            Kind::Contains(_, text) => Some((TextTest::Contains, text)),
            Kind::Present | Kind::In(_) | Kind::Compare(..) => None,
        }
    }

    /// Whether a value passes.
    pub fn matches(&self, value: ValueRef<'_>) -> bool {
        self.holds(value) != self.negated
    }

    fn holds(&self, value: ValueRef<'_>) -> bool {
        match &self.kind {
            Kind::Present => true,
            Kind::In(targets) => targets.has(value),
            Kind::Compare(comparison, target) => {
                target.order(value).is_some_and(|ordering| comparison.holds(ordering))
            }
            Kind::Text(test, text) => test.holds(&value.canonical_text(), text),
            Kind::Contains(finder, _) => finder.find(value.canonical_text().as_bytes()).is_some(),
        }
    }

    /// Numbers between which every number that passes lies, both included, for zone maps. `None`: no bounds
    /// are known, or a missing column or text that compares by canonical text may pass.
    ///
    /// They hold for columns of numbers only.
    pub fn number_bounds(&self) -> Option<(f64, f64)> {
        if self.negated {
            return None;
        }
        match &self.kind {
            Kind::In(targets) => {
                let mut bounds = (f64::INFINITY, f64::NEG_INFINITY);
                for number in &targets.numbers {
                    let value = number.to_f64();
                    bounds = (bounds.0.min(value), bounds.1.max(value));
                }
                Some(bounds)
            }
            Kind::Compare(comparison, Target::Number(number, _)) => Some(match comparison {
                Comparison::Less | Comparison::LessOrEqual => (f64::NEG_INFINITY, number.to_f64()),
                Comparison::Greater | Comparison::GreaterOrEqual => (number.to_f64(), f64::INFINITY),
            }),
            Kind::Compare(..) => Some((f64::INFINITY, f64::NEG_INFINITY)),
            Kind::Present | Kind::Text(..) | Kind::Contains(..) => None,
        }
    }
}

impl Comparison {
    /// Whether it holds of a left side that stands so to the right one.
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Less => ordering == Ordering::Less,
            Comparison::LessOrEqual => ordering != Ordering::Greater,
            Comparison::Greater => ordering == Ordering::Greater,
            Comparison::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

impl TextTest {
    /// Whether it holds of a text.
    pub fn holds(self, text: &str, part: &str) -> bool {
        match self {
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
            TextTest::Contains => text.contains(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [ValueRef<'static>; 9] = [
        ValueRef::Bool(true),
        ValueRef::I64(500),
        ValueRef::F64(500.0),
        ValueRef::F64(f64::NAN),
        ValueRef::Text("500"),
        ValueRef::Text("500.0"),
        ValueRef::Text("true"),
        ValueRef::Text("buy"),
        ValueRef::Bytes(b"AB"),
    ];

    /// Checks which of [`VALUES`], and whether a missing column, pass.
    fn check(test: &Test, passing: &[usize], missing: bool) {
        let matcher = Matcher::new(test);
        let passed: Vec<usize> = (0..VALUES.len()).filter(|&place| matcher.matches(VALUES[place])).collect();
        assert_eq!(passed, passing, "{test:?}");
        assert_eq!(matcher.matches_missing(), missing, "{test:?}");
    }

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn equality_is_by_type_and_canonical_text() {
        check(&Test::In(vec![Literal::I64(500)]), &[1, 2, 4], false);
        check(&Test::In(vec![Literal::F64(500.0)]), &[1, 2, 4], false);
        check(&Test::In(vec![text("500")]), &[4], false);
        check(&Test::In(vec![text("500.0"), text("buy")]), &[5, 7], false);
        check(&Test::In(vec![Literal::Bool(true)]), &[0, 6], false);
        check(&Test::In(vec![text("true")]), &[6], false);
        check(&Test::In(vec![text("QUI=")]), &[8], false);
        check(&Test::In(vec![text("NaN")]), &[], false);
    }

    #[test]
    fn negative_operators_match_missing() {
        check(&Test::NotIn(vec![Literal::I64(500)]), &[0, 3, 5, 6, 7, 8], true);
        check(&Test::NotText(TextTest::Contains, "0".to_owned()), &[0, 3, 6, 7, 8], true);
        check(&Test::DoesNotExist, &[], true);
        check(&Test::Exists, &[0, 1, 2, 3, 4, 5, 6, 7, 8], false);
    }

    #[test]
    fn order_compares_like_with_like() {
        check(&Test::Compare(Comparison::GreaterOrEqual, Literal::I64(500)), &[1, 2, 4, 5], false);
        check(&Test::Compare(Comparison::Greater, Literal::F64(499.5)), &[1, 2, 4, 5], false);
        check(&Test::Compare(Comparison::Less, Literal::I64(500)), &[], false);
        check(&Test::Compare(Comparison::LessOrEqual, text("500")), &[4], false);
        check(&Test::Compare(Comparison::Greater, text("500")), &[5, 6, 7], false);
    }

    #[test]
    fn text_tests_read_canonical_text() {
        check(&Test::Text(TextTest::StartsWith, "50".to_owned()), &[1, 2, 4, 5], false);
        check(&Test::Text(TextTest::EndsWith, "0".to_owned()), &[1, 2, 4, 5], false);
        check(&Test::Text(TextTest::Contains, "ru".to_owned()), &[0, 6], false);
        check(&Test::Text(TextTest::Contains, "RU".to_owned()), &[], false);
    }

    #[test]
    fn bounds_include_their_ends() {
        let bounds = |test: &Test| Matcher::new(test).number_bounds();
        assert_eq!(bounds(&Test::In(vec![Literal::I64(3), Literal::I64(9)])), Some((3.0, 9.0)));
        let at_most = Test::Compare(Comparison::LessOrEqual, Literal::I64(5));
        assert_eq!(bounds(&at_most), Some((f64::NEG_INFINITY, 5.0)));
        assert_eq!(bounds(&Test::NotIn(vec![Literal::I64(3)])), None);
        assert_eq!(bounds(&Test::Exists), None);
    }
}
