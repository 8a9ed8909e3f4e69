//! The words of Logs Insights. A word is read when the parser asks for it, because `/` divides or begins a regular
//! expression by where it stands.

use crate::plan::Literal;
use crate::text::{Problem, Scanner, Span, shortened};

use super::period::{Period, Unit};

/// A word and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum TokenKind {
    /// A name, a function, a command or a keyword: its segments, and whether it had quotes.
    Name(Vec<String>, bool),
    Text(String),
    Number(Literal),
    Period(Period),
    /// `4xx`, by its hundreds.
    Class(u8),
    Symbol(&'static str),
    End,
}

/// The longer first.
const SYMBOLS: [&str; 23] = [
    "!=", "<=", ">=", "=~", "(", ")", "[", "]", ",", "|", "+", "-", "*", "/", "%", "^", "=", "<", ">", ".",
    ":", "{", "}",
];

/// What other languages write, and what is written here.
const FOREIGN: [(&str, &str); 6] = [
    ("&&", "and"),
    ("||", "or"),
    ("==", "="),
    ("<>", "!="),
    ("!~", "not like /…/"),
    (";", "| between commands"),
];

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '@' | '`' | '$')
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '$')
}

/// Skips blanks and comments.
pub(super) fn skip_blanks(scanner: &mut Scanner<'_>) {
    loop {
        scanner.take_while(char::is_whitespace);
        if scanner.peek() != Some('#') {
            return;
        }
        scanner.take_while(|c| c != '\n');
    }
}

/// Takes the next word.
pub(super) fn token(scanner: &mut Scanner<'_>) -> Result<Token, Problem> {
    skip_blanks(scanner);
    let start = scanner.at();
    let kind = kind(scanner)?;
    Ok(Token { kind, span: scanner.span_from(start) })
}

fn kind(scanner: &mut Scanner<'_>) -> Result<TokenKind, Problem> {
    let start = scanner.at();
    let Some(first) = scanner.peek() else { return Ok(TokenKind::End) };
    if scanner.is_number() {
        return number(scanner);
    }
    match first {
        '"' | '\'' => return text(scanner, first).map(TokenKind::Text),
        c if begins_name(c) => return name(scanner),
        _ => {}
    }
    if let Some((foreign, ours)) = FOREIGN.iter().find(|(foreign, _)| scanner.eat(foreign)) {
        let problem = Problem::new(scanner.span_from(start), format!("`{foreign}` means nothing here"));
        return Err(problem.hint(format!("write {ours}")));
    }
    if let Some(symbol) = SYMBOLS.iter().find(|symbol| scanner.eat(symbol)) {
        return Ok(TokenKind::Symbol(symbol));
    }
    scanner.bump();
    let problem = Problem::new(scanner.span_from(start), format!("`{first}` means nothing here"));
    Err(problem.hint("a field with special characters is written in backticks: `my-field`"))
}

/// A number, a period such as `5m`, or a status class such as `4xx`.
fn number(scanner: &mut Scanner<'_>) -> Result<TokenKind, Problem> {
    let start = scanner.at();
    let mut ahead = scanner.clone();
    let digits = ahead.take_while(|c| c.is_ascii_digit() || c == '.').to_owned();
    let letters_start = ahead.at();
    let letters = ahead.take_while(|c| c.is_alphanumeric() || c == '_').to_owned();
    let exponent = letters.starts_with(['e', 'E'])
        && (letters[1..].starts_with(|c: char| c.is_ascii_digit())
            || (letters.len() == 1 && ahead.peek().is_some_and(|c| matches!(c, '+' | '-'))));
    if letters.is_empty() || exponent {
        return scanner.number(false).map(TokenKind::Number);
    }
    if letters.eq_ignore_ascii_case("xx") && matches!(digits.as_str(), "1" | "2" | "3" | "4" | "5") {
        *scanner = ahead;
        return Ok(TokenKind::Class(digits.parse().unwrap_or_default()));
    }
    let span = Span { start, end: ahead.at() };
    let Some(unit) = Unit::of_name(&letters) else {
        let word = shortened(&digits) + &shortened(&letters);
        let names = Unit::NAMES.iter().flat_map(|(names, _)| names.iter().copied());
        let mut problem =
            Problem::unknown(Span { start: letters_start, end: span.end }, "unit of time", &letters, names);
        problem.message = format!("`{word}` is neither a number nor a period");
        return Err(
            problem.hint(format!("a field that begins with a digit is written in backticks: `{word}`"))
        );
    };
    let count = digits.parse::<u32>().ok().filter(|count| *count > 0);
    let Some(count) = count else {
        let problem = Problem::new(span, "a period is a whole number of units, 1 or more");
        return Err(problem.hint("for instance 5m, 1h or 90s"));
    };
    *scanner = ahead;
    Ok(TokenKind::Period(Period { count, unit }))
}

/// A text in single or double quotes. A backslash before a quote or a backslash, or one of `\n \t \r`, is an escape; before
/// anything else it stands for itself.
fn text(scanner: &mut Scanner<'_>, quote: char) -> Result<String, Problem> {
    let start = scanner.at();
    scanner.bump();
    let mut text = String::new();
    loop {
        match scanner.bump() {
            None => {
                let open = Span { start, end: start + 1 };
                return Err(Problem::new(open, "the text has no closing quote"));
            }
            Some(c) if c == quote => return Ok(text),
            Some('\\') => match scanner.bump() {
                Some(c @ ('"' | '\'' | '\\')) => text.push(c),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(other) => text.extend(['\\', other]),
                None => {}
            },
            Some(other) => text.push(other),
        }
    }
}

/// A name of segments between points, each plain or in backticks; `@` may stand before a backtick.
fn name(scanner: &mut Scanner<'_>) -> Result<TokenKind, Problem> {
    let mut segments = Vec::new();
    let mut quoted = false;
    loop {
        let start = scanner.at();
        let ats = scanner.take_while(|c| c == '@').to_owned();
        let segment = if scanner.peek() == Some('`') {
            quoted = true;
            let raw = scanner.raw()?;
            if raw.is_empty() {
                return Err(Problem::new(scanner.span_from(start), "a name between backticks is empty"));
            }
            ats + &raw
        } else {
            ats + scanner.take_while(in_name)
        };
        segments.push(segment);
        let more =
            scanner.peek() == Some('.') && scanner.peek_second().is_some_and(|c| in_name(c) || c == '`');
        if !more {
            break;
        }
        scanner.bump();
    }
    Ok(TokenKind::Name(segments, quoted))
}

/// Takes a regular expression from its opening slash on. `\/` is a slash; any other backslash is the expression's.
pub(super) fn regex(scanner: &mut Scanner<'_>) -> Result<(String, Span), Problem> {
    let start = scanner.at();
    scanner.bump();
    let mut pattern = String::new();
    loop {
        match scanner.bump() {
            None => {
                let open = Span { start, end: start + 1 };
                let problem = Problem::new(open, "the regular expression has no closing slash");
                return Err(problem.hint("a slash inside of it is written \\/"));
            }
            Some('/') => return Ok((pattern, scanner.span_from(start))),
            Some('\\') => match scanner.bump() {
                Some('/') => pattern.push('/'),
                Some(other) => pattern.extend(['\\', other]),
                None => {}
            },
            Some(other) => pattern.push(other),
        }
    }
}
