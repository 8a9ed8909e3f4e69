//! Walks JSON text that [`super::syntax`] has found well-formed.
//!
//! Nothing here can fail on such text; on any other it stops early and never panics.

use std::borrow::Cow;

/// The type of a JSON value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Type {
    /// With its article, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Object => "an object",
            Type::Array => "an array",
            Type::String => "text",
            Type::Number => "a number",
            Type::Boolean => "a boolean",
            Type::Null => "null",
        }
    }
}

/// A place in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub(super) fn offset(self) -> usize {
        self.at
    }

    fn byte(self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The type of the value here.
    pub(super) fn peek(&mut self) -> Type {
        self.space();
        match self.byte() {
            Some(b'{') => Type::Object,
            Some(b'[') => Type::Array,
            Some(b'"') => Type::String,
            Some(b't' | b'f') => Type::Boolean,
            Some(b'-' | b'0'..=b'9') => Type::Number,
            _ => Type::Null,
        }
    }

    /// Steps into the object or array here.
    pub(super) fn enter(&mut self) {
        self.at += 1;
    }

    /// Steps to the next element of an array entered before; `false` and behind the array at its end.
    pub(super) fn next_element(&mut self) -> bool {
        self.space();
        if self.byte() == Some(b',') {
            self.at += 1;
            self.space();
        }
        match self.byte() {
            Some(b']') => {
                self.at += 1;
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    /// Steps to the next member of an object entered before and reads its key, as written between the quotes;
    /// `None` and behind the object at its end.
    pub(super) fn next_key(&mut self) -> Option<&'a str> {
        self.space();
        if self.byte() == Some(b',') {
            self.at += 1;
            self.space();
        }
        if self.byte() != Some(b'"') {
            self.at += 1;
            return None;
        }
        let key = self.raw_string();
        self.space();
        self.at += 1; // the colon
        self.space();
        Some(key)
    }

    /// Reads the string here, as written between the quotes.
    pub(super) fn raw_string(&mut self) -> &'a str {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut end = start;
        loop {
            match bytes.get(end) {
                Some(b'"') | None => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        self.text.get(start..end).unwrap_or_default()
    }

    /// Reads the number, boolean or null here, as written.
    pub(super) fn raw_word(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = rest.bytes().take_while(|byte| is_part(byte)).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Steps behind the value here.
    pub(super) fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            self.space();
            match self.byte() {
                None => return,
                Some(b'"') => {
                    self.raw_string();
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(b',' | b':') => self.at += 1,
                Some(_) => {
                    if self.raw_word().is_empty() {
                        return;
                    }
                }
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// The text of a string as written between its quotes; `None` when an escape names half of a surrogate pair,
/// which is no character.
pub(super) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let Some(first) = raw.find('\\') else { return Some(Cow::Borrowed(raw)) };
    let mut text = String::with_capacity(raw.len());
    text.push_str(raw.get(..first)?);
    let mut rest = raw.get(first..)?;
    while let Some(place) = rest.find('\\') {
        text.push_str(rest.get(..place)?);
        let letter = rest.as_bytes().get(place + 1)?;
        rest = rest.get(place + 2..)?;
        text.push(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, used) = unicode_escape(rest)?;
                rest = rest.get(used..)?;
                character
            }
            other => char::from(*other),
        });
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// The character of `XXXX` or `XXXX\uXXXX`, and how many bytes it took.
fn unicode_escape(rest: &str) -> Option<(char, usize)> {
    let unit = |text: Option<&str>| u32::from_str_radix(text?, 16).ok();
    let first = unit(rest.get(..4))?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 4));
    }
    let second = unit(rest.get(4..)?.strip_prefix("\\u")?.get(..4))?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(code)?, 10))
}
