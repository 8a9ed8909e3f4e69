//! Commands over rows in their order. Their options are written `name=value`, and their fields with blanks or commas between.

use skein_event::limits::{INSIGHTS_ITEMS_MAX, INSIGHTS_LAG_ROWS_MAX};

use super::super::ast::{Expression, Series};
use super::super::lexer::{self, TokenKind};
use super::super::period::Period;
use super::Parser;
use crate::plan::Literal;
use crate::text::Problem;

impl Parser<'_> {
    pub(super) fn series(&mut self, name: &str) -> Result<Series, Problem> {
        match name {
            "accum" => {
                let field = self.postfix()?;
                Ok(Series::Accumulate(field, self.alias()?))
            }
            "autoregress" => self.lag(),
            "filldown" => Ok(Series::FillDown(self.name_patterns()?)),
            "fillmissing" => self.fill_missing(),
            "addtotals" => self.totals(),
            "outlier" => self.outliers(),
            "sessionize" => self.sessions(),
            _ => {
                if !self.eat_word("timeshift")? {
                    return Err(self.unexpected("`timeshift` and a period")?.hint("logcompare timeshift 7d"));
                }
                Ok(Series::Compare(self.period()?))
            }
        }
    }

    pub(super) fn period(&mut self) -> Result<Period, Problem> {
        match self.peek()?.kind {
            TokenKind::Period(period) => {
                self.bump()?;
                Ok(period)
            }
            _ => Err(self.unexpected("a period such as 5m")?),
        }
    }

    fn alias(&mut self) -> Result<Option<String>, Problem> {
        if self.eat_word("as")? { self.name().map(Some) } else { Ok(None) }
    }

    /// The name of an option, when `name=` comes next; takes both.
    fn option(&mut self, known: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(word) = self.peek_word()? else { return Ok(None) };
        let mut ahead = self.scanner.clone();
        let token = lexer::token(&mut ahead)?;
        if lexer::token(&mut ahead)?.kind != TokenKind::Symbol("=") {
            return Ok(None);
        }
        let Some(option) = known.iter().find(|option| **option == word) else {
            return Err(Problem::unknown(token.span, "option", &word, known.iter().copied()));
        };
        self.scanner = ahead;
        Ok(Some(option))
    }

    fn truth(&mut self) -> Result<bool, Problem> {
        match self.peek_word()?.as_deref() {
            Some(word @ ("true" | "false")) => {
                self.bump()?;
                Ok(word == "true")
            }
            _ => Err(self.unexpected("true or false")?),
        }
    }

    /// Fields with blanks or commas between, up to the end of the command.
    fn fields(&mut self) -> Result<Vec<Expression>, Problem> {
        let mut fields = Vec::new();
        while matches!(self.peek()?.kind, TokenKind::Name(..)) && !self.at_keyword()? {
            if fields.len() >= INSIGHTS_ITEMS_MAX {
                let message = format!("a command has at most {INSIGHTS_ITEMS_MAX} items");
                return Err(Problem::new(self.peek()?.span, message));
            }
            fields.push(self.postfix()?);
            self.eat(",")?;
        }
        Ok(fields)
    }

    fn at_keyword(&self) -> Result<bool, Problem> {
        Ok(matches!(self.peek_word()?.as_deref(), Some("as" | "maxspan")))
    }

    fn some_fields(&mut self) -> Result<Vec<Expression>, Problem> {
        let fields = self.fields()?;
        if fields.is_empty() { Err(self.unexpected("a field")?) } else { Ok(fields) }
    }

    // === commands ===

    fn lag(&mut self) -> Result<Series, Problem> {
        let field = self.postfix()?;
        let alias = self.alias()?;
        let mut rows = None;
        if self.option(&["p"])?.is_some() {
            let first = self.lag_rows()?;
            let last = if self.eat("-")? { Some(self.lag_rows()?) } else { None };
            rows = Some((first, last));
        }
        Ok(Series::Lag { field, alias, rows })
    }

    fn lag_rows(&mut self) -> Result<u32, Problem> {
        let span = self.peek()?.span;
        let count = u32::try_from(self.count()?).ok().filter(|count| *count <= INSIGHTS_LAG_ROWS_MAX);
        count.ok_or_else(|| {
            Problem::new(span, format!("at most {INSIGHTS_LAG_ROWS_MAX} rows before can be asked for"))
        })
    }

    /// Names that may have stars in them.
    fn name_patterns(&mut self) -> Result<Vec<String>, Problem> {
        let mut names = Vec::new();
        loop {
            lexer::skip_blanks(&mut self.scanner);
            let mut ahead = self.scanner.clone();
            let raw = ahead.take_while(|c| !c.is_whitespace() && !matches!(c, ',' | '|' | '`'));
            if raw.contains('*') {
                names.push(raw.to_owned());
                self.scanner = ahead;
            } else if matches!(self.peek()?.kind, TokenKind::Name(..)) {
                names.push(self.name()?);
            } else {
                return Ok(names);
            }
            if names.len() > INSIGHTS_ITEMS_MAX {
                let message = format!("a command has at most {INSIGHTS_ITEMS_MAX} items");
                return Err(Problem::new(self.peek()?.span, message));
            }
            self.eat(",")?;
        }
    }

    fn fill_missing(&mut self) -> Result<Series, Problem> {
        let mut values = Vec::new();
        if self.eat_word("with")? {
            values = self.list(|parser| {
                let sign = parser.eat("-")?;
                let token = parser.peek()?;
                let value = match token.kind {
                    TokenKind::Number(Literal::I64(number)) if sign => Literal::I64(-number),
                    TokenKind::Number(Literal::F64(number)) if sign => Literal::F64(-number),
                    TokenKind::Number(number) => number,
                    TokenKind::Text(text) if !sign => Literal::Text(text),
                    _ => return Err(parser.unexpected("a number or a text")?),
                };
                parser.bump()?;
                if !parser.eat_word("for")? {
                    return Err(parser.unexpected("`for` and a field")?.hint("fillmissing with 0 for n"));
                }
                Ok((value, parser.postfix()?))
            })?;
        }
        Ok(Series::FillMissing(values))
    }

    fn totals(&mut self) -> Result<Series, Problem> {
        let (mut name, mut row, mut column) = (None, true, false);
        while let Some(option) = self.option(&["fieldname", "row", "col"])? {
            match option {
                "fieldname" => name = Some(self.name()?),
                "row" => row = self.truth()?,
                _ => column = self.truth()?,
            }
        }
        Ok(Series::Totals { name, row, column, fields: self.fields()? })
    }

    fn outliers(&mut self) -> Result<Series, Problem> {
        let (mut removes, mut factor, mut lower, mut mark) = (false, None, false, false);
        while let Some(option) = self.option(&["action", "param", "uselower", "mark"])? {
            match option {
                "action" => {
                    removes = match self.peek_word()?.as_deref() {
                        Some("remove" | "rm") => true,
                        Some("transform" | "tf") => false,
                        _ => return Err(self.unexpected("remove or transform")?),
                    };
                    self.bump()?;
                }
                "param" => {
                    let token = self.bump()?;
                    factor = Some(match token.kind {
                        TokenKind::Number(Literal::F64(number)) => number,
                        TokenKind::Number(Literal::I64(number)) if number < 1_000_000 => {
                            f64::from(i32::try_from(number).unwrap_or_default())
                        }
                        _ => return Err(Problem::new(token.span, "param is a number, for instance 2.5")),
                    });
                }
                "uselower" => lower = self.truth()?,
                _ => mark = self.truth()?,
            }
        }
        Ok(Series::Outliers { removes, factor, lower, mark, fields: self.some_fields()? })
    }

    fn sessions(&mut self) -> Result<Series, Problem> {
        let fields = self.some_fields()?;
        let gap = if self.eat_word("maxspan")? { Some(self.period()?) } else { None };
        Ok(Series::Sessions { fields, gap, alias: self.alias()? })
    }
}
