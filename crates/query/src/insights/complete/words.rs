//! The words before a place, and what the place lies inside of.

use super::super::lexer::{self, Token, TokenKind};
use super::{BEFORE_OPERAND, word};
use crate::text::Scanner;

/// What a place lies inside of.
pub(super) enum Inside {
    Nothing,
    Comment,
    Regex,
    /// A text that begins at a byte.
    Text {
        start: usize,
        quote: char,
    },
    /// A name in backticks, likewise.
    Backtick(usize),
}

/// The words of a text that ends at the place.
pub(super) struct Words {
    tokens: Vec<Token>,
    pub(super) inside: Inside,
    /// Where the word begins that is being written, which is none of the tokens; the end of the text if there is none.
    pub(super) typed_from: usize,
}

impl Words {
    pub(super) fn of(text: &str) -> Words {
        let mut words = Words { tokens: Vec::new(), inside: Inside::Nothing, typed_from: text.len() };
        let Ok(mut scanner) = Scanner::new(text) else {
            words.inside = Inside::Comment;
            return words;
        };
        loop {
            let from = scanner.at();
            lexer::skip_blanks(&mut scanner);
            let at = scanner.at();
            let Some(first) = scanner.peek() else {
                let skipped = text.get(from..).unwrap_or_default();
                let last_line = skipped.rsplit('\n').next().unwrap_or_default();
                if last_line.contains('#') {
                    words.inside = Inside::Comment;
                }
                break;
            };
            if first == '/' && words.regex_may_stand() {
                if lexer::regex(&mut scanner).is_err() {
                    words.inside = Inside::Regex;
                    break;
                }
                words.tokens.push(Token { kind: TokenKind::Symbol("/"), span: scanner.span_from(at) });
                continue;
            }
            let mut ahead = scanner.clone();
            match lexer::token(&mut ahead) {
                Ok(token) => {
                    words.tokens.push(token);
                    scanner = ahead;
                }
                Err(_) if matches!(first, '"' | '\'') => {
                    words.inside = Inside::Text { start: at, quote: first };
                    break;
                }
                Err(_) if text[at..].contains('`') => {
                    words.inside = Inside::Backtick(text.rfind('`').unwrap_or(at));
                    break;
                }
                Err(_) => {
                    scanner.bump();
                }
            }
        }
        words.take_typed(text);
        words
    }

    /// Takes the word away that the text ends in.
    fn take_typed(&mut self, text: &str) {
        if !matches!(self.inside, Inside::Nothing) {
            return;
        }
        let is_word = |kind: &TokenKind| {
            matches!(
                kind,
                TokenKind::Name(_, false) | TokenKind::Number(_) | TokenKind::Class(_) | TokenKind::Period(_)
            )
        };
        if let [.., name, point] = self.tokens.as_slice()
            && point.kind == TokenKind::Symbol(".")
            && (point.span.end, name.span.end) == (text.len(), point.span.start)
            && is_word(&name.kind)
        {
            self.typed_from = name.span.start;
            self.tokens.truncate(self.tokens.len() - 2);
        } else if let Some(last) = self.tokens.last()
            && last.span.end == text.len()
            && is_word(&last.kind)
        {
            self.typed_from = last.span.start;
            self.tokens.pop();
        }
    }

    /// The words of the command at hand, whether it is the first, and the byte behind the pipe before it.
    pub(super) fn command(&self) -> (&[Token], bool, usize) {
        let pipe = self.tokens.iter().rposition(|token| token.kind == TokenKind::Symbol("|"));
        match pipe {
            Some(place) => (&self.tokens[place + 1..], false, self.tokens[place].span.end),
            None => (&self.tokens, true, 0),
        }
    }

    /// Whether a slash begins a regular expression here: where a value could not be divided.
    fn regex_may_stand(&self) -> bool {
        let (command, ..) = self.command();
        let Some(last) = command.last() else { return false };
        let is_parse = command.first().and_then(word).as_deref() == Some("parse");
        let has_pattern = |token: &Token| matches!(token.kind, TokenKind::Symbol("/") | TokenKind::Text(_));
        if is_parse && !command.iter().any(has_pattern) {
            return true;
        }
        match &last.kind {
            TokenKind::Symbol(symbol) => !matches!(*symbol, ")" | "]" | "/"),
            TokenKind::Name(..) => {
                command.len() == 1
                    || word(last)
                        .is_some_and(|word| word == "like" || BEFORE_OPERAND.contains(&word.as_str()))
            }
            _ => false,
        }
    }
}
