//! What a call is written with: the function of its name, the number of its arguments, and those that must be literals
//! because they are read once, at planning.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use skein_event::limits::{PATTERN_BYTES_MAX, PATTERNS_MAX};

use super::functions::{FUNCTIONS, Function, METRICS_ONLY, Signature};
use super::instant::{self, Piece};
use super::parse::{Expression, Kind};
use crate::plan::Literal;
use crate::text::{Problem, Span};

/// What a call has beside its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Extra {
    Nothing,
    /// LENGTH counts bytes.
    Bytes,
    Pattern(Pattern),
    Format(Vec<Piece>),
}

/// A compiled regular expression, equal to another of the same text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(pub(crate) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// The patterns of a question, each compiled once.
#[derive(Default)]
pub(crate) struct Patterns(HashMap<String, Pattern>);

impl Patterns {
    /// The pattern of a text.
    pub(crate) fn compile(&mut self, text: &str, span: Span) -> Result<Pattern, Problem> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        if self.0.len() >= PATTERNS_MAX {
            let message = format!("a question has at most {PATTERNS_MAX} different regular expressions");
            return Err(Problem::new(span, message));
        }
        let built =
            RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
        let regex = built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                let message = format!("the regular expression needs more than {PATTERN_BYTES_MAX} bytes");
                Problem::new(span, message).hint("use smaller repetitions, or classes of fewer characters")
            }
            other => {
                // The library draws the pattern over several lines and says what is wrong in the last.
                let text = other.to_string();
                let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let problem = Problem::new(span, format!("this is no regular expression: {what}"));
                problem.hint("look-around and back-references do not exist here: matching takes linear time")
            }
        })?;
        let pattern = Pattern(regex);
        self.0.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

pub(super) fn signature(name: &str, at: Span) -> Result<&'static Signature, Problem> {
    if let Some(found) = FUNCTIONS.iter().find(|signature| signature.name == name) {
        return Ok(found);
    }
    if METRICS_ONLY.contains(&name) {
        let problem = Problem::new(at, format!("`{name}` exists in datasets of metrics only"));
        let hint = match name {
            "INCREASE" | "RATE" => format!("{name} is a calculation (`op`), not a function of one event"),
            _ => "use the column itself, and a calculation over it".to_owned(),
        };
        return Err(problem.hint(hint));
    }
    let known = FUNCTIONS.iter().map(|signature| signature.name);
    let problem = Problem::unknown(at, "function", name, known);
    Err(problem.hint("docs/reference/calculated-fields.md lists the functions"))
}

pub(super) fn check_count(signature: &Signature, at: Span, span: Span, count: usize) -> Result<(), Problem> {
    let Signature { name, least, most, usage, .. } = signature;
    let wanted = match (least, most) {
        _ if (*least..=*most).contains(&count) => return Ok(()),
        (least, most) if least == most => format!("{least}"),
        (least, &usize::MAX) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    };
    let span = if span.end > at.end { span } else { at };
    Err(Problem::new(span, format!("{name} takes {wanted} arguments, found {count}"))
        .hint(format!("the call is {usage}")))
}

/// What must be a literal, and the arguments that are left.
pub(super) fn extra<'e>(
    patterns: &mut Patterns,
    signature: &Signature,
    arguments: &'e [Expression],
) -> Result<(Extra, Vec<&'e Expression>), Problem> {
    let literal = |place: usize, what: &str| match arguments.get(place) {
        Some(Expression { kind: Kind::Literal(Literal::Text(text)), span }) => Ok((text.as_str(), *span)),
        Some(other) => {
            let problem = Problem::new(other.span, format!("{what} must be a literal text"));
            Err(problem.hint(format!("the call is {}", signature.usage)))
        }
        None => Ok(("", Span::default())),
    };
    Ok(match signature.function {
        Function::RegMatch | Function::RegValue | Function::RegCount => {
            let (text, span) = literal(1, "a regular expression")?;
            (Extra::Pattern(patterns.compile(text, span)?), arguments.iter().take(1).collect())
        }
        Function::FormatTime => {
            let (text, span) = literal(0, "a format")?;
            let unknown = |field: String| {
                let known: Vec<String> = instant::FIELDS.chars().map(|c| format!("%{c}")).collect();
                let problem = Problem::new(span, format!("`%{field}` is no field of a time"));
                problem.hint(format!("the fields are {}, %n, %t and %%", known.join(", ")))
            };
            let pieces = instant::format(text).map_err(unknown)?;
            (Extra::Format(pieces), arguments.iter().skip(1).collect())
        }
        Function::Length if arguments.len() > 1 => {
            let (text, span) = literal(1, "the unit of a length")?;
            let extra = match text {
                "bytes" => Extra::Bytes,
                "chars" => Extra::Nothing,
                other => return Err(Problem::unknown(span, "unit", other, ["bytes", "chars"])),
            };
            (extra, arguments.iter().take(1).collect())
        }
        _ => (Extra::Nothing, arguments.iter().collect()),
    })
}
