//! Checks that bytes are one JSON text (RFC 8259), without a recursion that a client could drive.
//!
//! One pass, a bit of memory per open bracket. What follows may rely on it: the cursor and the transcoder walk
//! text that is known to be well-formed.

use crate::error::DoorError;

/// The text, when it is one JSON value in UTF-8.
pub(super) fn check(body: &[u8]) -> Result<&str, DoorError> {
    let text = simdutf8::compat::from_utf8(body)
        .map_err(|error| malformed(body, error.valid_up_to(), "the text is not UTF-8"))?;
    let mut checker = Checker { body, at: 0, open: Vec::new() };
    match checker.run() {
        Ok(()) => Ok(text),
        Err(message) => Err(malformed(body, checker.at, message)),
    }
}

/// The error for damage at a byte, which also names line and column (in bytes, both from 1).
pub(super) fn malformed(body: &[u8], offset: usize, message: &str) -> DoorError {
    let before = body.get(..offset).unwrap_or(body);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    DoorError {
        format: "JSON",
        offset,
        path: "the document".to_owned(),
        message: format!("{message} (line {line}, column {column})"),
    }
}

struct Checker<'a> {
    body: &'a [u8],
    at: usize,
    /// The closing bracket of each open container.
    open: Vec<u8>,
}

impl Checker<'_> {
    fn run(&mut self) -> Result<(), &'static str> {
        loop {
            self.space();
            let is_container = self.value()?;
            if is_container {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        self.space();
        if self.at < self.body.len() { Err("text after the end of the document") } else { Ok(()) }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Reads a scalar or an empty container whole, or opens a container up to where its first value begins;
    /// says whether it did the latter.
    fn value(&mut self) -> Result<bool, &'static str> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.space();
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    return Ok(false);
                }
                self.open.push(b'}');
                self.key()?;
                Ok(true)
            }
            Some(b'[') => {
                self.at += 1;
                self.space();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    return Ok(false);
                }
                self.open.push(b']');
                Ok(true)
            }
            Some(b'"') => self.string().map(|()| false),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(_) => Err("expected a value"),
            None => Err("the text ends where a value is expected"),
        }
    }

    /// Closes what ends after a value; says whether another value follows.
    fn after_value(&mut self) -> Result<bool, &'static str> {
        while let Some(&closing) = self.open.last() {
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                    if closing == b'}' {
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(byte) if byte == closing => {
                    self.at += 1;
                    self.open.pop();
                }
                Some(_) if closing == b'}' => return Err("expected `,` or `}`"),
                Some(_) => return Err("expected `,` or `]`"),
                None => return Err("the text ends inside an object or array"),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), &'static str> {
        if self.peek() != Some(b'"') {
            return Err("expected a key in quotes");
        }
        self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err("expected `:`");
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<bool, &'static str> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err("expected `true`, `false` or `null`");
        }
        self.at += word.len();
        Ok(false)
    }

    fn string(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => return Err("a control character in a string must be escaped"),
                Some(_) => self.at += 1,
                None => return Err("the text ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let letter = self.body.get(self.at + 1).copied();
        let length = match letter {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.body.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err("`\\u` needs four hex digits");
                }
                6
            }
            _ => return Err("unknown escape"),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), &'static str> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 {
            return Err("expected a digit");
        }
        if leading_zero && whole > 1 {
            return Err("a number must not begin with 0");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err("expected a digit after the point");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err("expected a digit in the exponent");
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }
}
