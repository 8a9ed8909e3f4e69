//! Expressions: operators by how closely they bind, calls, lists, and parts of maps and lists.

use super::super::ast::{COMPARES, Expression, Kind, NOT, Operator};
use super::super::lexer::{self, Token, TokenKind};
use super::Parser;
use crate::plan::Literal;
use crate::text::{Problem, Span};

/// Words that end an expression where an operator could stand.
const RESERVED: [&str; 7] = ["as", "by", "asc", "desc", "into", "and", "or"];

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Result<Expression, Problem> {
        self.binary(0)
    }

    /// An expression of operators that bind at least as closely as a step.
    fn binary(&mut self, least: u8) -> Result<Expression, Problem> {
        let mut left = self.prefix(least)?;
        let mut nested = 0;
        loop {
            if least <= COMPARES
                && let Some(matched) = self.matching(&left)?
            {
                left = matched;
                continue;
            }
            let Some(operator) = self.operator()?.filter(|operator| operator.step() >= least) else { break };
            self.bump()?;
            self.enter()?;
            nested += 1;
            // A power binds to the right: 2 ^ 3 ^ 2 is 2 ^ 9.
            let step = operator.step() + u8::from(operator != Operator::Power);
            let right = self.binary(step)?;
            let span = left.span().to(right.span());
            left = Expression::new(Kind::Binary(operator, Box::new(left), Box::new(right)), span);
        }
        (0..nested).for_each(|_| self.leave());
        Ok(left)
    }

    fn operator(&self) -> Result<Option<Operator>, Problem> {
        let token = self.peek()?;
        let text = match &token.kind {
            TokenKind::Symbol(symbol) => (*symbol).to_owned(),
            TokenKind::Name(segments, false) if segments.len() == 1 => segments[0].to_ascii_lowercase(),
            _ => return Ok(None),
        };
        Ok(Operator::TABLE.iter().find(|(_, known, _)| *known == text).map(|(operator, ..)| *operator))
    }

    /// `like`, `=~`, `in` and their negations behind a value.
    fn matching(&mut self, left: &Expression) -> Result<Option<Expression>, Problem> {
        if self.eat("=~")? {
            return self.like(left, false).map(Some);
        }
        let negated = self.peek_word()?.as_deref() == Some("not");
        if negated {
            let mut ahead = self.scanner.clone();
            lexer::token(&mut ahead)?;
            let follows = match lexer::token(&mut ahead)?.kind {
                TokenKind::Name(segments, false) if segments.len() == 1 => segments[0].to_ascii_lowercase(),
                _ => String::new(),
            };
            if !matches!(follows.as_str(), "like" | "in") {
                return Ok(None);
            }
            self.bump()?;
        }
        if self.eat_word("like")? {
            return self.like(left, negated).map(Some);
        }
        if self.eat_word("in")? {
            return self.within(left, negated).map(Some);
        }
        Ok(None)
    }

    fn like(&mut self, left: &Expression, negated: bool) -> Result<Expression, Problem> {
        let token = self.peek()?;
        let pattern = match token.kind {
            TokenKind::Symbol("/") => self.regex()?,
            TokenKind::Text(text) => {
                self.bump()?;
                Expression::new(Kind::Literal(Literal::Text(text)), token.span)
            }
            _ => {
                let problem = self.unexpected("a text or a regular expression")?;
                return Err(problem.hint("for instance like \"timeout\" or like /time(d )?out/"));
            }
        };
        let span = left.span().to(pattern.span());
        let (text, pattern) = (Box::new(left.clone()), Box::new(pattern));
        Ok(Expression::new(Kind::Like { text, pattern, negated }, span))
    }

    fn within(&mut self, left: &Expression, negated: bool) -> Result<Expression, Problem> {
        if self.eat("(")? {
            if self.peek_word()?.as_deref() != Some("source") {
                let problem = self.unexpected("SOURCE and a subquery")?;
                return Err(problem.hint("a list is written in brackets: in [1, 2]"));
            }
            let query = self.rest_in_parentheses()?;
            let span = left.span().to(self.scanner.span_from(left.span().start));
            let within = Expression::new(Kind::InQuery(Box::new(left.clone()), query), span);
            return Ok(if negated { Expression::new(Kind::Not(Box::new(within)), span) } else { within });
        }
        self.expect("[")?;
        let mut list = Vec::new();
        while !self.eat("]")? {
            self.enter()?;
            list.push(self.binary(COMPARES + 1)?);
            self.leave();
            if !self.eat(",")? && !matches!(self.peek()?.kind, TokenKind::Symbol("]")) {
                return Err(self.unexpected("`,` or `]`")?);
            }
        }
        let span = left.span().to(self.scanner.span_from(left.span().start));
        Ok(Expression::new(Kind::In { value: Box::new(left.clone()), list, negated }, span))
    }

    fn prefix(&mut self, least: u8) -> Result<Expression, Problem> {
        let token = self.peek()?;
        let is_not = self.peek_word()?.as_deref() == Some("not");
        let is_sign = matches!(token.kind, TokenKind::Symbol("-" | "+"));
        if !is_not && !is_sign {
            return self.postfix();
        }
        // `not(x)` is the operator as well.
        self.bump()?;
        self.enter()?;
        let inner = if is_not {
            self.binary(NOT.max(least.min(NOT)))?
        } else {
            self.binary(super::super::ast::SIGN)?
        };
        self.leave();
        let span = token.span.to(inner.span());
        let kind = match (token.kind, inner.kind) {
            (TokenKind::Symbol("+"), kind) => kind,
            (TokenKind::Symbol(_), Kind::Literal(Literal::I64(number))) if number != i64::MIN => {
                Kind::Literal(Literal::I64(-number))
            }
            (TokenKind::Symbol(_), Kind::Literal(Literal::F64(number))) => {
                Kind::Literal(Literal::F64(-number))
            }
            (TokenKind::Symbol(_), kind) => Kind::Negative(Box::new(Expression { kind, at: inner.at })),
            (_, kind) => Kind::Not(Box::new(Expression { kind, at: inner.at })),
        };
        Ok(Expression::new(kind, span))
    }

    /// A value and the parts of it that are asked for.
    pub(super) fn postfix(&mut self) -> Result<Expression, Problem> {
        let mut value = self.primary()?;
        let start = value.span().start;
        let mut nested = 0;
        loop {
            let kind = if self.eat("[")? {
                self.enter()?;
                nested += 1;
                let index = self.expression()?;
                self.expect("]")?;
                Kind::Index(Box::new(value), Box::new(index))
            } else if (nested > 0 || matches!(value.kind, Kind::Call(..))) && self.eat(".")? {
                self.enter()?;
                nested += 1;
                let token = self.bump()?;
                let TokenKind::Name(segments, _) = token.kind else {
                    return Err(Problem::new(token.span, "expected the name of a part"));
                };
                let mut segments = segments.into_iter();
                let first = segments.next().unwrap_or_default();
                let mut kind = Kind::Member(Box::new(value), first);
                for segment in segments {
                    kind = Kind::Member(Box::new(Expression::new(kind, token.span)), segment);
                }
                kind
            } else {
                (0..nested).for_each(|_| self.leave());
                return Ok(value);
            };
            value = Expression::new(kind, self.scanner.span_from(start));
        }
    }

    fn primary(&mut self) -> Result<Expression, Problem> {
        let Token { kind, span } = self.peek()?;
        let kind = match kind {
            TokenKind::Number(number) => Kind::Literal(number),
            TokenKind::Text(text) => Kind::Literal(Literal::Text(text)),
            TokenKind::Period(period) => Kind::Period(period),
            TokenKind::Class(class) => Kind::Class(class),
            TokenKind::Symbol("(") => {
                self.bump()?;
                self.enter()?;
                let inner = self.expression()?;
                self.leave();
                let end = self.expect(")")?;
                return Ok(Expression::new(inner.kind, span.to(end)));
            }
            TokenKind::Symbol("/") => return self.regex(),
            TokenKind::Name(segments, quoted) => return self.named(segments, quoted, span),
            _ => return Err(self.unexpected("a value")?),
        };
        self.bump()?;
        Ok(Expression::new(kind, span))
    }

    fn regex(&mut self) -> Result<Expression, Problem> {
        lexer::skip_blanks(&mut self.scanner);
        let (pattern, span) = lexer::regex(&mut self.scanner)?;
        Ok(Expression::new(Kind::Regex(pattern), span))
    }

    fn named(&mut self, segments: Vec<String>, quoted: bool, span: Span) -> Result<Expression, Problem> {
        let word = if quoted || segments.len() > 1 { None } else { Some(segments[0].to_ascii_lowercase()) };
        if let Some(word) = word.as_deref().filter(|word| RESERVED.contains(word)) {
            let problem = self.unexpected("a value")?;
            return Err(problem.hint(format!("a field of that name is written in backticks: `{word}`")));
        }
        self.bump()?;
        match word.as_deref() {
            Some("true") => return Ok(Expression::new(Kind::Literal(Literal::Bool(true)), span)),
            Some("false") => return Ok(Expression::new(Kind::Literal(Literal::Bool(false)), span)),
            _ => {}
        }
        // An address without quotes, as an official sample has it.
        if !quoted && self.scanner.rest().starts_with("://") {
            self.scanner.take_while(|c| !c.is_whitespace() && !matches!(c, '|' | ')' | ','));
            let address = self.scanner.text_from(span.start).to_owned();
            return Ok(Expression::new(
                Kind::Literal(Literal::Text(address)),
                self.scanner.span_from(span.start),
            ));
        }
        if quoted || !self.eat("(")? {
            return Ok(Expression::new(Kind::Field(segments), span));
        }
        let mut arguments = Vec::new();
        self.enter()?;
        while !self.eat(")")? {
            let star = self.peek()?;
            if arguments.is_empty() && star.kind == TokenKind::Symbol("*") {
                self.bump()?;
                arguments.push(Expression::new(Kind::Star, star.span));
            } else {
                arguments.push(self.expression()?);
            }
            if !self.eat(",")? && !matches!(self.peek()?.kind, TokenKind::Symbol(")")) {
                return Err(self.unexpected("`,` or `)`")?);
            }
        }
        self.leave();
        let span = span.to(self.scanner.span_from(span.start));
        Ok(Expression::new(Kind::Call(segments.join("."), arguments), span))
    }
}
