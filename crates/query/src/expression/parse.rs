//! Text to tree. Operators become the functions they stand for, so a tree has calls, columns and literals only.
//!
//! Precedence, from what binds closest: `!`, then `* / %`, `-`, `+`, `< <= > >=`, `= !=`, `AND`, `OR`. That `-` binds
//! closer than `+` is the language's; it changes no value. Operators of one step associate to the left.

use skein_event::limits::EXPRESSION_DEPTH_MAX;

use super::lexer::{Symbol, Token, TokenKind, tokens};
use crate::plan::Literal;
use crate::text::{Problem, Span};

/// A parsed expression, whose names mean nothing yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// `null`.
    Null,
    /// A literal.
    Literal(Literal),
    /// `$name`.
    Column(String),
    /// A call, or an operator under the name of its function.
    Call {
        /// The function's name as it was written, or that of the operator's function.
        function: String,
        /// Where the name or the operator stands.
        at: Span,
        /// What it is called with.
        arguments: Vec<Expression>,
    },
}

/// Parses an expression.
pub fn parse(text: &str) -> Result<Expression, Problem> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    if parser.peek().kind == TokenKind::End {
        return Err(Problem::new(parser.peek().span, "the expression is empty"));
    }
    let expression = parser.binary(0)?;
    match &parser.peek().kind {
        TokenKind::End => Ok(expression),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

/// Infix operators by step of precedence, loosest first.
const STEPS: [&[(Operator, &str)]; 7] = [
    &[(Operator::Word("OR"), "OR")],
    &[(Operator::Word("AND"), "AND")],
    &[(Operator::Symbol(Symbol::Equal), "EQUALS"), (Operator::Symbol(Symbol::NotEqual), "NOT")],
    &[
        (Operator::Symbol(Symbol::Less), "LT"),
        (Operator::Symbol(Symbol::LessOrEqual), "LTE"),
        (Operator::Symbol(Symbol::Greater), "GT"),
        (Operator::Symbol(Symbol::GreaterOrEqual), "GTE"),
    ],
    &[(Operator::Symbol(Symbol::Plus), "SUM")],
    &[(Operator::Symbol(Symbol::Minus), "SUB")],
    &[
        (Operator::Symbol(Symbol::Times), "MUL"),
        (Operator::Symbol(Symbol::Divided), "DIV"),
        (Operator::Symbol(Symbol::Modulo), "MOD"),
    ],
];

enum Operator {
    Word(&'static str),
    Symbol(Symbol),
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last is the end, and nothing goes past it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn bump(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn eat(&mut self, symbol: Symbol) -> bool {
        let comes = self.peek().kind == TokenKind::Symbol(symbol);
        self.at += usize::from(comes);
        comes
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let token = self.peek();
        if token.kind == TokenKind::End {
            return Problem::new(token.span, format!("the expression ends where {wanted} is expected"));
        }
        let problem = Problem::new(token.span, format!("expected {wanted}"));
        match &token.kind {
            TokenKind::Word(word) if matches!(word.as_str(), "and" | "or" | "not" | "And" | "Or" | "Not") => {
                problem
                    .hint(format!("functions and operators are written in capitals: {}", word.to_uppercase()))
            }
            _ => problem,
        }
    }

    /// One level deeper; the way back is [`Self::leave`].
    fn enter(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            let message = format!("the expression is nested more than {EXPRESSION_DEPTH_MAX} deep");
            let problem = Problem::new(self.peek().span, message);
            return Err(problem.hint("give a part of it a calculated field of its own"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An expression of operators that bind at least as closely as a step. One call for all steps: what nests takes a few
    /// frames of stack for each level, and not one for each step.
    fn binary(&mut self, least: usize) -> Result<Expression, Problem> {
        let mut left = self.unary()?;
        let mut nested = 0;
        while let Some((step, function)) = self.operator().filter(|(step, _)| *step >= least) {
            let at = self.bump().span;
            // `a + b + c` nests to the left, one level for each operator.
            self.enter()?;
            nested += 1;
            let right = self.binary(step + 1)?;
            let span = left.span.to(right.span);
            left = match function {
                "NOT" => call("NOT", at, span, vec![call("EQUALS", at, span, vec![left, right])]),
                function => call(function, at, span, vec![left, right]),
            };
        }
        (0..nested).for_each(|_| self.leave());
        Ok(left)
    }

    /// The infix operator that comes next: its step, and the function that it stands for.
    fn operator(&self) -> Option<(usize, &'static str)> {
        let fits = |operator: &Operator| match (operator, &self.peek().kind) {
            (Operator::Word(word), TokenKind::Word(found)) => found == word,
            (Operator::Symbol(symbol), TokenKind::Symbol(found)) => found == symbol,
            _ => false,
        };
        let of_step = |(step, operators): (usize, &&'static [(Operator, &'static str)])| {
            let (_, function) = operators.iter().find(|(operator, _)| fits(operator))?;
            Some((step, *function))
        };
        STEPS.iter().enumerate().find_map(of_step)
    }

    fn unary(&mut self) -> Result<Expression, Problem> {
        if self.peek().kind != TokenKind::Symbol(Symbol::Not) {
            return self.primary();
        }
        let at = self.bump().span;
        self.enter()?;
        let inner = self.unary()?;
        self.leave();
        let span = at.to(inner.span);
        Ok(call("NOT", at, span, vec![inner]))
    }

    fn primary(&mut self) -> Result<Expression, Problem> {
        let Token { kind, span } = self.peek().clone();
        let kind = match kind {
            TokenKind::Number(number) => Kind::Literal(number),
            TokenKind::Text(text) => Kind::Literal(Literal::Text(text)),
            TokenKind::Column(name) => Kind::Column(name),
            TokenKind::Symbol(Symbol::Minus) => return self.negative(),
            TokenKind::Symbol(Symbol::Open) => {
                self.bump();
                self.enter()?;
                let mut inner = self.binary(0)?;
                self.leave();
                let end = self.peek().span;
                if !self.eat(Symbol::Close) {
                    return Err(self.unexpected("`)`"));
                }
                inner.span = span.to(end);
                return Ok(inner);
            }
            TokenKind::Word(word) => return self.word(&word, span),
            _ => return Err(self.unexpected("a value")),
        };
        self.bump();
        Ok(Expression { kind, span })
    }

    /// A minus where a value is expected is the sign of a number.
    fn negative(&mut self) -> Result<Expression, Problem> {
        let minus = self.bump().span;
        let token = self.peek().clone();
        let number = match token.kind {
            TokenKind::Number(Literal::I64(number)) => number.checked_neg().map(Literal::I64),
            TokenKind::Number(Literal::F64(number)) => Some(Literal::F64(-number)),
            _ => None,
        };
        let Some(number) = number else {
            let problem = Problem::new(minus, "a minus here needs a number right after it");
            return Err(problem.hint("write 0 - $column"));
        };
        self.bump();
        Ok(Expression { kind: Kind::Literal(number), span: minus.to(token.span) })
    }

    fn word(&mut self, word: &str, span: Span) -> Result<Expression, Problem> {
        self.bump();
        let calls = self.eat(Symbol::Open);
        let kind = match word {
            _ if calls => return self.call(word, span),
            "true" => Kind::Literal(Literal::Bool(true)),
            "false" => Kind::Literal(Literal::Bool(false)),
            "null" => Kind::Null,
            _ => {
                let problem = Problem::new(span, format!("`{}` is no value", crate::text::shortened(word)));
                return Err(problem.hint(format!(
                    "a column is written ${0}, a text \"{0}\", a call {0}(…)",
                    crate::text::shortened(word)
                )));
            }
        };
        Ok(Expression { kind, span })
    }

    /// The arguments of a call, behind its opening parenthesis; the last may have a comma behind it.
    fn call(&mut self, function: &str, at: Span) -> Result<Expression, Problem> {
        self.enter()?;
        let mut arguments = Vec::new();
        loop {
            let end = self.peek().span;
            if self.eat(Symbol::Close) {
                self.leave();
                return Ok(call(function, at, at.to(end), arguments));
            }
            if !arguments.is_empty() && self.tokens[self.at - 1].kind != TokenKind::Symbol(Symbol::Comma) {
                return Err(self.unexpected("`,` or `)`"));
            }
            arguments.push(self.binary(0)?);
            self.eat(Symbol::Comma);
        }
    }
}

fn call(function: &str, at: Span, span: Span, arguments: Vec<Expression>) -> Expression {
    Expression { kind: Kind::Call { function: function.to_owned(), at, arguments }, span }
}
