//! The command `parse`, and what is kept as it was written.

use super::super::ast::{At, CommandKind, Pattern};
use super::super::lexer::{self, TokenKind};
use super::Parser;
use crate::text::Problem;

impl Parser<'_> {
    pub(super) fn parse_command(&mut self) -> Result<CommandKind, Problem> {
        if let Some(how) = self.pattern()? {
            return Ok(CommandKind::Parse { field: None, how });
        }
        let field = Some(self.postfix()?);
        match self.pattern()? {
            Some(how) => Ok(CommandKind::Parse { field, how }),
            None => {
                let problem = self.unexpected("a text with stars, a regular expression, logfmt or csv")?;
                Err(problem.hint("for instance parse @message \"* took * ms\" as op, ms"))
            }
        }
    }

    /// The pattern of a `parse`, if one comes next.
    fn pattern(&mut self) -> Result<Option<Pattern>, Problem> {
        let token = self.peek()?;
        match &token.kind {
            TokenKind::Text(text) => {
                self.bump()?;
                let (text, at, names) = (text.clone(), At(token.span), self.names()?);
                Ok(Some(Pattern::Glob { text, names, at }))
            }
            TokenKind::Symbol("/") => {
                lexer::skip_blanks(&mut self.scanner);
                let (pattern, span) = lexer::regex(&mut self.scanner)?;
                let names = self.names()?;
                let multi = self.eat_word("multi")?;
                Ok(Some(Pattern::Regex { pattern, names, multi, at: At(span) }))
            }
            TokenKind::Name(segments, false) if segments.len() == 1 => {
                let word = segments[0].to_ascii_lowercase();
                let mut ahead = self.scanner.clone();
                lexer::token(&mut ahead)?;
                let follows = lexer::token(&mut ahead)?.kind;
                let is_as = matches!(follows, TokenKind::Name(word, false) if word.len() == 1 && word[0].eq_ignore_ascii_case("as"));
                if !is_as || !matches!(word.as_str(), "logfmt" | "csv") {
                    return Ok(None);
                }
                self.bump()?;
                let names = self.names()?;
                if word == "csv" {
                    return Ok(Some(Pattern::Csv(names)));
                }
                match <[String; 1]>::try_from(names) {
                    Ok([name]) => Ok(Some(Pattern::Logfmt(name))),
                    Err(_) => Err(Problem::new(token.span, "`parse … logfmt as` takes one name")),
                }
            }
            _ => Ok(None),
        }
    }

    /// What stands up to the next pipe outside of parentheses and texts, as it was written.
    pub(super) fn rest_of_command(&mut self) -> Result<String, Problem> {
        lexer::skip_blanks(&mut self.scanner);
        let start = self.scanner.at();
        let mut end = start;
        let mut open = 0_usize;
        loop {
            let token = self.peek()?;
            match token.kind {
                TokenKind::End => break,
                TokenKind::Symbol("|") if open == 0 => break,
                TokenKind::Symbol("(") => open += 1,
                TokenKind::Symbol(")") => open = open.saturating_sub(1),
                _ => {}
            }
            self.bump()?;
            end = token.span.end;
        }
        Ok(self.text[start..end].to_owned())
    }

    /// What stands up to the parenthesis that closes one that is open, as it was written; takes that one, too.
    pub(super) fn rest_in_parentheses(&mut self) -> Result<String, Problem> {
        let start = self.scanner.at();
        let mut open = 1_usize;
        loop {
            let token = self.bump()?;
            match token.kind {
                TokenKind::End => return Err(Problem::new(token.span, "a parenthesis is not closed")),
                TokenKind::Symbol("(") => open += 1,
                TokenKind::Symbol(")") => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(self.text[start..token.span.start].trim().to_owned());
            }
        }
    }
}
