//! What a text looks like: its words, what stands between them, and which words are values by their looks.
//!
//! Words end at blanks and at brackets, quotes, commas and the like, which are tokens of their own. A word with a digit or
//! an @ in it is a value; so is what stands right behind `=`, unless it is quoted. Values with commas between them are
//! one, however many there are.

use skein_event::limits::INSIGHTS_PATTERN_WORDS_MAX;

/// A piece of a text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// A blank stands before it.
    pub(super) spaced: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum TokenKind {
    /// What differs.
    Variable,
    /// A word.
    Word(Box<str>),
    /// Something between words.
    Mark(char),
}

impl Token {
    pub(super) fn len(&self) -> usize {
        match &self.kind {
            TokenKind::Word(word) => word.len(),
            _ => 0,
        }
    }
}

fn is_mark(char: char) -> bool {
    matches!(char, '=' | ',' | ';' | '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | '"' | '\'' | '`' | '|')
}

fn is_blank(char: char) -> bool {
    char.is_whitespace() || char.is_control()
}

/// What ends a sentence or a label, at the end of a word.
const ENDINGS: [char; 4] = [':', '.', '!', '?'];

/// The tokens of a text, and a key that equal tokens share.
pub(super) fn shape_of(text: &str) -> (String, Vec<Token>) {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = text;
    let mut spaced = false;
    while let Some(first) = rest.chars().next() {
        if tokens.len() >= INSIGHTS_PATTERN_WORDS_MAX {
            break;
        }
        if is_blank(first) {
            rest = rest.trim_start_matches(is_blank);
            spaced = !tokens.is_empty();
            continue;
        }
        if is_mark(first) {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            push(&mut tokens, TokenKind::Mark(first), spaced);
            spaced = false;
            continue;
        }
        let end = rest.find(|char| is_mark(char) || is_blank(char)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        let bare = word.trim_end_matches(ENDINGS);
        let value = is_value(bare) || follows_equals(&tokens, spaced);
        if !bare.is_empty() {
            push(&mut tokens, if value { TokenKind::Variable } else { TokenKind::Word(bare.into()) }, spaced);
            spaced = false;
        }
        for ending in word.get(bare.len()..).unwrap_or_default().chars() {
            push(&mut tokens, TokenKind::Mark(ending), spaced);
            spaced = false;
        }
    }
    (key_of(&tokens), tokens)
}

fn follows_equals(tokens: &[Token], spaced: bool) -> bool {
    !spaced && matches!(tokens.last(), Some(Token { kind: TokenKind::Mark('='), .. }))
}

/// Adds a token; of values with commas between them the first stands for all.
fn push(tokens: &mut Vec<Token>, kind: TokenKind, spaced: bool) {
    let listed = kind == TokenKind::Variable
        && matches!(
            tokens.as_slice(),
            [
                ..,
                Token { kind: TokenKind::Variable, .. },
                Token { kind: TokenKind::Mark(','), spaced: false }
            ]
        );
    if listed {
        tokens.pop();
        return;
    }
    tokens.push(Token { kind, spaced });
}

/// Whether a word differs from text to text by what it looks like.
fn is_value(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@')
}

/// No word has a control character, which stand for what lies between tokens.
fn key_of(tokens: &[Token]) -> String {
    let mut key = String::new();
    for token in tokens {
        key.push(if token.spaced { ' ' } else { '\u{1}' });
        match &token.kind {
            TokenKind::Variable => key.push('\u{2}'),
            TokenKind::Word(word) => key.push_str(word),
            TokenKind::Mark(mark) => key.push(*mark),
        }
    }
    key
}
