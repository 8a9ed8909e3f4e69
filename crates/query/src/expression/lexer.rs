//! The words of an expression.

use crate::plan::Literal;
use crate::text::{Problem, Scanner, Span};

/// A word and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum TokenKind {
    Number(Literal),
    Text(String),
    /// `$name`, without what marks it.
    Column(String),
    /// A function, an operator in letters, or `true`, `false`, `null`.
    Word(String),
    Symbol(Symbol),
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Symbol {
    Open,
    Close,
    Comma,
    Not,
    Times,
    Divided,
    Modulo,
    Minus,
    Plus,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The longer first.
const SYMBOLS: [(&str, Symbol); 15] = [
    ("<=", Symbol::LessOrEqual),
    (">=", Symbol::GreaterOrEqual),
    ("!=", Symbol::NotEqual),
    ("(", Symbol::Open),
    (")", Symbol::Close),
    (",", Symbol::Comma),
    ("!", Symbol::Not),
    ("*", Symbol::Times),
    ("/", Symbol::Divided),
    ("%", Symbol::Modulo),
    ("-", Symbol::Minus),
    ("+", Symbol::Plus),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
    ("=", Symbol::Equal),
];

/// What other languages write, and what is written here.
const FOREIGN: [(&str, &str); 6] = [
    ("&&", "AND"),
    ("||", "OR"),
    ("==", "="),
    ("<>", "!="),
    ("'", "\"text\" in double quotes"),
    ("^", "MUL(x, x) for a power"),
];

/// Whether a name without quotes may have a character.
pub(super) fn in_name(c: char) -> bool {
    c.is_alphanumeric() || "_./:=+?-".contains(c)
}

/// All words of a text; the last is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let mut scanner = Scanner::new(text)?;
    let mut found = Vec::new();
    loop {
        scanner.take_while(char::is_whitespace);
        let start = scanner.at();
        let kind = token(&mut scanner)?;
        let end = kind == TokenKind::End;
        found.push(Token { kind, span: scanner.span_from(start) });
        if end {
            return Ok(found);
        }
    }
}

fn token(scanner: &mut Scanner<'_>) -> Result<TokenKind, Problem> {
    let start = scanner.at();
    let Some(first) = scanner.peek() else { return Ok(TokenKind::End) };
    if scanner.is_number() {
        return scanner.number(false).map(TokenKind::Number);
    }
    match first {
        '"' => return scanner.quoted().map(TokenKind::Text),
        '`' => return scanner.raw().map(TokenKind::Text),
        '$' => return column(scanner).map(TokenKind::Column),
        c if c.is_alphabetic() || c == '_' => {
            let word = scanner.take_while(|c| c.is_alphanumeric() || c == '_');
            return Ok(TokenKind::Word(word.to_owned()));
        }
        _ => {}
    }
    if let Some((foreign, ours)) = FOREIGN.iter().find(|(foreign, _)| scanner.eat(foreign)) {
        let problem = Problem::new(scanner.span_from(start), format!("`{foreign}` means nothing here"));
        return Err(problem.hint(format!("write {ours}")));
    }
    if let Some((_, symbol)) = SYMBOLS.iter().find(|(text, _)| scanner.eat(text)) {
        return Ok(TokenKind::Symbol(*symbol));
    }
    scanner.bump();
    Err(Problem::new(scanner.span_from(start), format!("`{first}` means nothing here")))
}

fn column(scanner: &mut Scanner<'_>) -> Result<String, Problem> {
    let start = scanner.at();
    scanner.bump();
    let name = match scanner.peek() {
        Some('"') => scanner.quoted()?,
        Some('`') => scanner.raw()?,
        _ => scanner.take_while(in_name).to_owned(),
    };
    if name.is_empty() {
        let problem = Problem::new(scanner.span_from(start), "a column's name is missing after `$`");
        return Err(problem.hint("write $name, or $\"any name\""));
    }
    Ok(name)
}
