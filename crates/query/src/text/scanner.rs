//! Walks a text character by character, and reads what all languages write alike: numbers, and texts with the escapes of
//! Go.
//!
//! It never fails on what it does not know: what a character means is the business of the language's lexer.

use skein_event::limits::QUESTION_TEXT_BYTES_MAX;

use super::{Problem, Span};
use crate::plan::Literal;

/// A place in a text, and what follows it.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// The beginning of a text, which may have at most [`QUESTION_TEXT_BYTES_MAX`] bytes.
    pub fn new(text: &'a str) -> Result<Scanner<'a>, Problem> {
        if text.len() > QUESTION_TEXT_BYTES_MAX {
            let message =
                format!("the text has {} bytes, at most {QUESTION_TEXT_BYTES_MAX} are allowed", text.len());
            return Err(Problem::new(Span { start: 0, end: 0 }, message));
        }
        Ok(Scanner { text, at: 0 })
    }

    /// The byte it stands before.
    pub fn at(&self) -> usize {
        self.at
    }

    /// From a byte to here.
    pub fn span_from(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    /// The text from a byte to here.
    pub fn text_from(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// What follows.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character.
    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The one after it.
    pub fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    /// Takes the next character.
    pub fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes a text if it comes next.
    pub fn eat(&mut self, text: &str) -> bool {
        let comes = self.rest().starts_with(text);
        if comes {
            self.at += text.len();
        }
        comes
    }

    /// Takes characters as long as they are of a kind.
    pub fn take_while(&mut self, kind: impl Fn(char) -> bool) -> &'a str {
        let start = self.at;
        let rest = self.rest();
        self.at += rest.find(|c| !kind(c)).unwrap_or(rest.len());
        self.text_from(start)
    }

    /// Whether a number comes next: a digit, or a point before one.
    pub fn is_number(&self) -> bool {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        digit(self.peek()) || (self.peek() == Some('.') && digit(self.peek_second()))
    }

    /// Takes digits with an optional point and exponent. Whole numbers that fit 64 bits stay whole.
    pub fn number(&mut self, negative: bool) -> Result<Literal, Problem> {
        let start = self.at;
        let digits = |c: char| c.is_ascii_digit();
        self.take_while(digits);
        let mut whole = true;
        if self.peek() == Some('.') {
            whole = false;
            self.bump();
            self.take_while(digits);
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            let mut ahead = self.clone();
            ahead.bump();
            if matches!(ahead.peek(), Some('+' | '-')) {
                ahead.bump();
            }
            if !ahead.take_while(digits).is_empty() {
                whole = false;
                *self = ahead;
            }
        }
        let text = format!("{}{}", if negative { "-" } else { "" }, self.text_from(start));
        let number = match text.parse() {
            Ok(number) if whole => Some(Literal::I64(number)),
            _ => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::F64),
        };
        let follows = |c: char| c.is_alphanumeric() || c == '_';
        if self.peek().is_some_and(follows) {
            self.take_while(follows);
            return Err(Problem::new(
                self.span_from(start),
                format!("`{}` is no number", super::shortened(self.text_from(start))),
            ));
        }
        number.ok_or_else(|| Problem::new(self.span_from(start), "the number does not fit a double"))
    }

    /// Takes a text in double quotes with the escapes of Go, from its opening quote on.
    pub fn quoted(&mut self) -> Result<String, Problem> {
        let start = self.at;
        self.bump();
        // Bytes, since `\xhh` stands for one.
        let mut bytes = Vec::new();
        loop {
            let escape = self.at;
            match self.bump() {
                None | Some('\n') => {
                    let open = Span { start, end: escape };
                    return Err(Problem::new(open, "the text has no closing quote")
                        .hint("write \\n for a line break"));
                }
                Some('"') => break,
                Some('\\') => self.escape(escape, &mut bytes)?,
                Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        let not_utf8 = |_| Problem::new(self.span_from(start), "the escapes of this text make no UTF-8");
        String::from_utf8(bytes).map_err(not_utf8)
    }

    fn escape(&mut self, start: usize, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        let simple = match self.peek() {
            Some('a') => Some(0x07),
            Some('b') => Some(0x08),
            Some('f') => Some(0x0c),
            Some('n') => Some(b'\n'),
            Some('r') => Some(b'\r'),
            Some('t') => Some(b'\t'),
            Some('v') => Some(0x0b),
            Some('\\') => Some(b'\\'),
            Some('"') => Some(b'"'),
            Some('\'') => Some(b'\''),
            _ => None,
        };
        if let Some(byte) = simple {
            self.bump();
            bytes.push(byte);
            return Ok(());
        }
        let (digits, radix, is_byte) = match self.peek() {
            Some('x') => (2, 16, true),
            Some('u') => (4, 16, false),
            Some('U') => (8, 16, false),
            Some('0'..='7') => (3, 8, true),
            _ => {
                self.bump();
                let message = format!("`{}` is no escape", self.text_from(start));
                let hint = "the escapes are \\a \\b \\f \\n \\r \\t \\v \\\\ \\\" \\ooo \\xhh \\uhhhh \\Uhhhhhhhh; `raw` has none";
                return Err(Problem::new(self.span_from(start), message).hint(hint));
            }
        };
        if radix == 16 {
            self.bump();
        }
        let mut value: u32 = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else {
                let message = format!("this escape takes {digits} digits");
                return Err(Problem::new(self.span_from(start), message));
            };
            self.bump();
            // Eight hexadecimal digits fit.
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if is_byte {
            let byte = u8::try_from(value)
                .map_err(|_| Problem::new(self.span_from(start), "an octal escape is \\377 at most"))?;
            bytes.push(byte);
            return Ok(());
        }
        let character = char::from_u32(value)
            .ok_or_else(|| Problem::new(self.span_from(start), "there is no character of this number"))?;
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// Takes a text in backticks, in which nothing is special, from its opening one on.
    pub fn raw(&mut self) -> Result<String, Problem> {
        let start = self.at;
        self.bump();
        let text = self.take_while(|c| c != '`').to_owned();
        if self.bump().is_none() {
            return Err(Problem::new(self.span_from(start), "the text has no closing backtick"));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(text: &str) -> Scanner<'_> {
        Scanner::new(text).expect("short")
    }

    #[test]
    fn numbers_stay_whole_where_they_can() {
        for (text, number, rest) in [
            ("12,", Literal::I64(12), ","),
            ("9223372036854775807", Literal::I64(i64::MAX), ""),
            ("9223372036854775808", Literal::F64(9_223_372_036_854_775_808.0), ""),
            (".5)", Literal::F64(0.5), ")"),
            ("1e3", Literal::F64(1000.0), ""),
            ("2.5e-1 ", Literal::F64(0.25), " "),
            ("7.", Literal::F64(7.0), ""),
        ] {
            let mut scanner = scanner(text);
            assert_eq!(scanner.number(false), Ok(number), "{text}");
            assert_eq!(scanner.rest(), rest, "{text}");
        }
        assert_eq!(scanner("9223372036854775808").number(true), Ok(Literal::I64(i64::MIN)));
        for text in ["1e999", "5ms", "1.5.2x", "0x10", "1e"] {
            let mut scanner = scanner(text);
            let read = scanner.number(false);
            assert!(read.is_err() || !scanner.rest().is_empty(), "{text}: {read:?}");
        }
    }

    #[test]
    fn texts_have_the_escapes_of_go() {
        for (text, expected) in [
            (r#""a\tb\\\"\'""#, "a\tb\\\"'"),
            (r#""\u00e9\U0001F980\x41\101\xc3\xa9""#, "é🦀AAé"),
            (r#""ünder""#, "ünder"),
        ] {
            assert_eq!(scanner(text).quoted().as_deref(), Ok(expected), "{text}");
        }
        for (text, start, end) in [
            (r#""open"#, 0, 5),
            (r#""a\q""#, 2, 4),
            (r#""\x4g""#, 1, 4),
            (r#""\xff""#, 0, 6),
            (r#""\ud800""#, 1, 7),
            (r#""\400""#, 1, 5),
        ] {
            let problem = scanner(text).quoted().expect_err(text);
            assert_eq!((problem.span.start, problem.span.end), (start, end), "{text}: {problem:?}");
        }
        assert_eq!(scanner(r"`^\d+$` x").raw().as_deref(), Ok(r"^\d+$"));
        assert!(scanner("`open").raw().is_err());
    }
}
