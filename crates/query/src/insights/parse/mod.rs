//! Text to commands.
//!
//! What it refuses: to skip what it does not know. A command that the language does not have is an error with the nearest
//! that it has; one that it has and this version does not is kept as it was written, so that whoever plans can say so.

mod expression;
mod pattern;
mod series;

use skein_event::limits::{EXPRESSION_DEPTH_MAX, INSIGHTS_COMMANDS_MAX, INSIGHTS_ITEMS_MAX};

use super::ast::{At, Command, CommandKind, Earlier, Expression, Item, Query, Source};
use super::lexer::{self, Token, TokenKind};
use crate::plan::Literal;
use crate::text::{Problem, Scanner, Span, shortened};

/// The commands that are there, as they are written best, with what they are for.
pub const COMMANDS: &[(&str, &str)] = &[
    ("fields", "fields a, b as c: adds columns"),
    ("display", "display a, b: the columns of the answer"),
    ("filter", "filter condition: keeps rows for which it holds"),
    ("where", "where condition: the same as filter"),
    ("filterIndex", "filterIndex condition: the same as filter; every field is indexed"),
    ("stats", "stats count(*) as n by field, bin(5m): aggregates"),
    ("sort", "sort field desc: order"),
    ("limit", "limit 100: the first rows"),
    ("parse", "parse @message \"* took * ms\" as op, ms: fields from text"),
    ("dedup", "dedup field: the first row of each value"),
    ("pattern", "pattern @message: templates of texts"),
    ("diff", "diff previousDay: patterns compared with an earlier range"),
    ("unnest", "unnest list into name: a row for each element"),
    ("expand", "expand field: a row for each element of a list"),
    ("unmask", "unmask field: shows what was masked"),
    ("countFrequent", "countFrequent a, b: how often each value is there"),
    ("accum", "accum field as total: the sum so far"),
    ("autoregress", "autoregress field p=1-3: values of the rows before"),
    ("filldown", "filldown a, b*: a missing value is that of the row before"),
    ("fillmissing", "fillmissing with 0 for n: a row for each bin without events"),
    ("addtotals", "addtotals col=true a, b: sums of rows and columns"),
    ("outlier", "outlier action=remove field: what lies far from all others"),
    ("sessionize", "sessionize user maxspan 30m: events without a long pause between them"),
    ("logcompare", "logcompare timeshift 7d: patterns compared with an earlier range"),
];

/// Commands of the language that are not in this version, with what to do instead.
pub(super) const LATER: &[(&str, &str)] = &[
    (
        "join",
        "joins need SQL, which a later version brings; ask for both datasets at once and group by the shared field",
    ),
    ("lookup", "lookup tables are not kept yet; write the values as case(…)"),
    ("cidrlookup", "lookup tables are not kept yet; use isIpv4InSubnet(field, \"10.0.0.0/8\") in case(…)"),
    ("anomaly", "compare with an earlier range: pattern @message | diff"),
    ("appendcols", "ask two queries"),
    ("relevantfields", "POST /api/v1/explain says which fields differ"),
];

/// Parses a query.
pub fn parse(text: &str) -> Result<Query, Problem> {
    let mut parser = Parser { text, scanner: Scanner::new(text)?, depth: 0 };
    let mut query = Query::default();
    parser.eat("|")?;
    if parser.eat_word("source")? {
        query.source = Some(parser.source()?);
        if parser.peek()?.kind != TokenKind::End {
            parser.expect("|")?;
        }
    }
    loop {
        let token = parser.peek()?;
        if token.kind == TokenKind::End {
            break;
        }
        if query.commands.len() >= INSIGHTS_COMMANDS_MAX {
            let message = format!("a query has at most {INSIGHTS_COMMANDS_MAX} commands");
            return Err(Problem::new(token.span, message));
        }
        query.commands.push(parser.command()?);
        if parser.peek()?.kind == TokenKind::End {
            break;
        }
        parser.expect_one_of(&["|"], "`|` and the next command, or the end")?;
    }
    if query.commands.is_empty() && query.source.is_none() {
        let problem = Problem::new(Span { start: 0, end: 0 }, "the query is empty");
        return Err(
            problem.hint("begin with `fields @timestamp, @message | sort @timestamp desc | limit 20`")
        );
    }
    Ok(query)
}

pub(super) struct Parser<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Result<Token, Problem> {
        lexer::token(&mut self.scanner.clone())
    }

    fn bump(&mut self) -> Result<Token, Problem> {
        lexer::token(&mut self.scanner)
    }

    /// Takes a symbol if it comes next.
    fn eat(&mut self, symbol: &str) -> Result<bool, Problem> {
        let comes = matches!(self.peek()?.kind, TokenKind::Symbol(found) if found == symbol);
        if comes {
            self.bump()?;
        }
        Ok(comes)
    }

    /// The word that comes next, in lower case; a name in backticks is none.
    fn peek_word(&self) -> Result<Option<String>, Problem> {
        Ok(match self.peek()?.kind {
            TokenKind::Name(segments, false) if segments.len() == 1 => Some(segments[0].to_ascii_lowercase()),
            _ => None,
        })
    }

    /// Takes a word if it comes next, whatever its case.
    fn eat_word(&mut self, word: &str) -> Result<bool, Problem> {
        let comes = self.peek_word()?.as_deref() == Some(word);
        if comes {
            self.bump()?;
        }
        Ok(comes)
    }

    fn expect(&mut self, symbol: &'static str) -> Result<Span, Problem> {
        let span = self.peek()?.span;
        if self.eat(symbol)? { Ok(span) } else { Err(self.unexpected(&format!("`{symbol}`"))?) }
    }

    fn expect_one_of(&mut self, symbols: &[&str], wanted: &str) -> Result<(), Problem> {
        for symbol in symbols {
            if self.eat(symbol)? {
                return Ok(());
            }
        }
        Err(self.unexpected(wanted)?)
    }

    fn unexpected(&self, wanted: &str) -> Result<Problem, Problem> {
        let token = self.peek()?;
        if token.kind == TokenKind::End {
            return Ok(Problem::new(token.span, format!("the query ends where {wanted} is expected")));
        }
        let found = shortened(&self.text[token.span.start..token.span.end]);
        let problem = Problem::new(token.span, format!("expected {wanted}, found `{found}`"));
        let is_command = |word: &str| COMMANDS.iter().any(|(name, _)| name.eq_ignore_ascii_case(word));
        Ok(match self.peek_word()? {
            Some(word) if is_command(&word) => {
                problem.hint(format!("a command begins behind a pipe: | {word}"))
            }
            _ => problem,
        })
    }

    /// One level deeper; the way back is [`Self::leave`].
    fn enter(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            let message = format!("the expression is nested more than {EXPRESSION_DEPTH_MAX} deep");
            let problem = Problem::new(self.peek()?.span, message);
            return Err(problem.hint("give a part of it a name with a `fields … as …` before"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    // === source ===

    fn source(&mut self) -> Result<Source, Problem> {
        let mut source =
            Source { names: Vec::new(), prefixes: Vec::new(), is_groups: false, start: None, end: None };
        if self.eat_word("loggroups")? {
            source.is_groups = true;
            self.expect("(")?;
            while !self.eat(")")? {
                let token = self.bump()?;
                let TokenKind::Name(segments, _) = &token.kind else {
                    return Err(Problem::new(token.span, "expected a selector such as namePrefix"));
                };
                let selector = segments.join(".");
                self.expect(":")?;
                let values = self.texts()?;
                match selector.to_ascii_lowercase().as_str() {
                    "nameprefix" => source.prefixes.extend(values),
                    // Everything here is of one account and one class.
                    "accountidentifiers" | "class" => {}
                    _ => {
                        let known = ["namePrefix", "accountIdentifiers", "class"];
                        return Err(Problem::unknown(token.span, "selector", &selector, known));
                    }
                }
                if !self.eat(",")? && !matches!(self.peek()?.kind, TokenKind::Symbol(")")) {
                    return Err(self.unexpected("`,` or `)`")?);
                }
            }
            self.edges(&mut source)?;
            return Ok(source);
        }
        loop {
            let token = self.bump()?;
            match token.kind {
                TokenKind::Text(name) => source.names.push((name, At(token.span))),
                TokenKind::Name(segments, _) => source.names.push((segments.join("."), At(token.span))),
                _ => {
                    let problem = Problem::new(token.span, "expected the name of a dataset");
                    return Err(problem.hint("SOURCE 'name', or SOURCE logGroups(namePrefix: ['a'])"));
                }
            }
            if !self.eat(",")? {
                self.edges(&mut source)?;
                return Ok(source);
            }
        }
    }

    /// `START=-3600s END=0s`, as the console writes it.
    fn edges(&mut self, source: &mut Source) -> Result<(), Problem> {
        loop {
            let edge = match self.peek_word()?.as_deref() {
                Some("start") => &mut source.start,
                Some("end") => &mut source.end,
                _ => return Ok(()),
            };
            self.bump()?;
            self.expect("=")?;
            lexer::skip_blanks(&mut self.scanner);
            let start = self.scanner.at();
            let text = self.scanner.take_while(|c| !c.is_whitespace() && c != '|').to_owned();
            *edge = Some((text, At(self.scanner.span_from(start))));
        }
    }

    /// A list of texts in brackets.
    fn texts(&mut self) -> Result<Vec<(String, At)>, Problem> {
        self.expect("[")?;
        let mut texts = Vec::new();
        while !self.eat("]")? {
            let token = self.bump()?;
            let TokenKind::Text(text) = token.kind else {
                return Err(Problem::new(token.span, "expected a text in quotes"));
            };
            texts.push((text, At(token.span)));
            if !self.eat(",")? && !matches!(self.peek()?.kind, TokenKind::Symbol("]")) {
                return Err(self.unexpected("`,` or `]`")?);
            }
        }
        Ok(texts)
    }

    // === commands ===

    fn command(&mut self) -> Result<Command, Problem> {
        let token = self.peek()?;
        let Some(word) = self.peek_word()? else { return Err(self.unexpected("a command")?) };
        self.bump()?;
        let known = COMMANDS.iter().map(|(name, _)| *name).chain(LATER.iter().map(|(name, _)| *name));
        let synonyms = [("head", "limit"), ("tail", "limit"), ("count_frequent", "countFrequent")];
        let word = synonyms.iter().find(|(old, _)| *old == word).map_or(word.as_str(), |(_, new)| new);
        let Some(name) = known.clone().find(|name| name.eq_ignore_ascii_case(word)) else {
            return Err(Problem::unknown(token.span, "command", word, known)
                .hint("docs/reference/insights.md lists the commands"));
        };
        let kind = if LATER.iter().any(|(later, _)| *later == name) {
            CommandKind::Other(name, self.rest_of_command()?)
        } else {
            self.arguments(name)?
        };
        Ok(Command { kind, at: At(token.span) })
    }

    fn arguments(&mut self, name: &'static str) -> Result<CommandKind, Problem> {
        Ok(match name {
            "fields" => CommandKind::Fields(self.items()?),
            "display" => CommandKind::Display(self.items()?),
            "filter" | "where" | "filterIndex" => CommandKind::Filter(name, self.expression()?),
            "stats" => self.stats()?,
            "sort" => CommandKind::Sort(self.list(Self::order)?),
            "limit" => {
                let any = self.eat_word("any")?;
                CommandKind::Limit { any, count: self.count()? }
            }
            "parse" => self.parse_command()?,
            "dedup" => CommandKind::Dedup(self.list(Self::expression)?),
            "pattern" => CommandKind::Pattern(self.expression()?),
            "diff" => CommandKind::Diff(self.earlier()?),
            "unnest" => {
                let list = self.expression()?;
                if !self.eat_word("into")? {
                    return Err(self.unexpected("`into` and a name")?);
                }
                CommandKind::Unnest(list, self.name()?)
            }
            "expand" => CommandKind::Expand(self.expression()?),
            "unmask" => CommandKind::Unmask(self.list(Self::expression)?),
            "countFrequent" => CommandKind::CountFrequent(self.list(Self::expression)?),
            series => CommandKind::Series(self.series(series)?),
        })
    }

    fn stats(&mut self) -> Result<CommandKind, Problem> {
        let aggregates = self.items()?;
        let by = if self.eat_word("by")? { self.items()? } else { Vec::new() };
        let offset = if self.eat_word("offset")? { Some(self.period()?) } else { None };
        Ok(CommandKind::Stats { aggregates, by, offset })
    }

    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
        let mut items = vec![one(self)?];
        while self.eat(",")? {
            if items.len() >= INSIGHTS_ITEMS_MAX {
                let message = format!("a command has at most {INSIGHTS_ITEMS_MAX} items");
                return Err(Problem::new(self.peek()?.span, message));
            }
            items.push(one(self)?);
        }
        Ok(items)
    }

    fn items(&mut self) -> Result<Vec<Item>, Problem> {
        self.list(|parser| {
            let expression = parser.expression()?;
            let alias = if parser.eat_word("as")? { Some(parser.name()?) } else { None };
            Ok(Item { expression, alias })
        })
    }

    fn order(&mut self) -> Result<(Expression, bool), Problem> {
        let expression = self.expression()?;
        let descending = self.eat_word("desc")?;
        if !descending {
            self.eat_word("asc")?;
        }
        Ok((expression, descending))
    }

    fn count(&mut self) -> Result<u64, Problem> {
        let token = self.peek()?;
        match token.kind {
            TokenKind::Number(Literal::I64(count)) if count > 0 => {
                self.bump()?;
                Ok(count.unsigned_abs())
            }
            TokenKind::Number(_) => Err(Problem::new(token.span, "a limit is a whole number, 1 or more")),
            _ => Err(self.unexpected("a number of rows")?),
        }
    }

    /// A name that something is given.
    fn name(&mut self) -> Result<String, Problem> {
        let token = self.peek()?;
        let TokenKind::Name(segments, _) = token.kind else { return Err(self.unexpected("a name")?) };
        self.bump()?;
        Ok(segments.join("."))
    }

    fn names(&mut self) -> Result<Vec<String>, Problem> {
        if self.eat_word("as")? { self.list(Self::name) } else { Ok(Vec::new()) }
    }

    fn earlier(&mut self) -> Result<Earlier, Problem> {
        const MODIFIERS: [(&str, Earlier); 3] = [
            ("previousDay", Earlier::Day),
            ("previousWeek", Earlier::Week),
            ("previousMonth", Earlier::Month),
        ];
        let Some(word) = self.peek_word()? else { return Ok(Earlier::Before) };
        let token = self.bump()?;
        let found = MODIFIERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word));
        let known = MODIFIERS.iter().map(|(name, _)| *name);
        found
            .map(|(_, earlier)| *earlier)
            .ok_or_else(|| Problem::unknown(token.span, "modifier", &word, known))
    }
}
