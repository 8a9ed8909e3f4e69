//! What the languages that are written as text share: places in a text, the scanner under their lexers, and problems that
//! say where they are, what was probably meant and what to do instead.
//!
//! A language brings its own tokens and its own grammar. What it must not bring is its own idea of how a text is
//! escaped, how long it may be, or how an error is told: people read the errors of all languages.
//!
//! Reading order: [`Span`], [`Problem`], [`scanner`].

pub mod scanner;

use crate::error::{Location, QueryError};
use crate::suggest;

pub use scanner::Scanner;

/// Bytes of a text, from `start` up to but not including `end`; both lie between characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From the beginning of this one to the end of another.
    #[must_use]
    pub fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end.max(self.start) }
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, best first.
    pub candidates: Vec<String>,
    /// What to do instead.
    pub hint: Option<String>,
}

impl Problem {
    /// Something wrong at a place.
    pub fn new(span: Span, message: impl Into<String>) -> Problem {
        Problem { span, message: message.into(), candidates: Vec::new(), hint: None }
    }

    /// A name that nothing has, with the nearest of those that there are.
    pub fn unknown<'k>(
        span: Span,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Problem {
        let mut problem = Problem::new(span, format!("there is no {what} `{}`", shortened(name)));
        problem.candidates = suggest::candidates(name, known);
        problem
    }

    /// Says what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// The error of a text that is itself a member of a JSON body.
    pub fn inside(self, path: &str) -> QueryError {
        let Span { start, end } = self.span;
        self.error(Location::Inside { path: path.to_owned(), start, end })
    }

    /// The error of a text that is the whole question.
    pub fn of_question(self) -> QueryError {
        let Span { start, end } = self.span;
        self.error(Location::Span { start, end })
    }

    fn error(self, location: Location) -> QueryError {
        let error = QueryError::invalid(self.message).at(location).candidates(self.candidates);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The line of a text that a span begins in, and below it carets under the span: for terminals.
///
/// Carets are counted in characters, which is right for text of one column each.
pub fn underline(text: &str, span: Span) -> String {
    let start = floor(text, span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let end = floor(text, span.end).clamp(start, line_end);
    let blank = |c: char| if c == '\t' { '\t' } else { ' ' };
    let before: String = text[line_start..start].chars().map(blank).collect();
    let carets = "^".repeat(text[start..end].chars().count().max(1));
    format!("{}\n{before}{carets}", &text[line_start..line_end])
}

/// The last place between characters that is not behind a byte.
fn floor(text: &str, byte: usize) -> usize {
    let mut at = byte.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Long names are cut in messages, which go to logs and screens.
pub(crate) fn shortened(name: &str) -> String {
    const SHOWN_CHARS: usize = 200;
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carets_stand_under_what_is_wrong() {
        let text = "a = 1\n\tgrün + nope\nend";
        let start = text.find("nope").expect("there");
        assert_eq!(underline(text, Span { start, end: start + 4 }), "\tgrün + nope\n\t       ^^^^");
        assert_eq!(underline("", Span { start: 0, end: 0 }), "\n^");
        assert_eq!(underline("ab", Span { start: 2, end: 9 }), "ab\n  ^");
        // A span that is none, as of another text, is no panic.
        assert_eq!(underline("ü", Span { start: 1, end: 1 }), "ü\n^");
    }
}
