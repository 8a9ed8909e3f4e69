//! A parsed query: commands whose names mean nothing yet.
//!
//! Two queries are equal when they say the same, wherever it stands: places do not count.

use super::period::Period;
use crate::plan::Literal;
use crate::text::Span;

/// A place in the text. All places are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub Span);

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}

/// A query.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Query {
    /// `SOURCE …`.
    pub source: Option<Source>,
    /// What is done, in order.
    pub commands: Vec<Command>,
}

/// Which datasets.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// By name.
    pub names: Vec<(String, At)>,
    /// `logGroups(namePrefix: […])`; empty means all.
    pub prefixes: Vec<(String, At)>,
    /// Whether it was written as `logGroups(…)`.
    pub is_groups: bool,
    /// `START=-3600s`, as it was written.
    pub start: Option<(String, At)>,
    /// `END=0s`, likewise.
    pub end: Option<(String, At)>,
}

/// A command and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// What it is.
    pub kind: CommandKind,
    /// Where its word stands.
    pub at: At,
}

/// A command.
#[derive(Clone, PartialEq, Debug)]
pub enum CommandKind {
    /// `fields a, b as c`
    Fields(Vec<Item>),
    /// `display a, b`
    Display(Vec<Item>),
    /// `filter c`, `where c` or `filterIndex c`, under the word that was written.
    Filter(&'static str, Expression),
    /// `stats a, b by c, d`
    Stats {
        /// What is computed.
        aggregates: Vec<Item>,
        /// By what.
        by: Vec<Item>,
        /// `offset 1d`: of events that are older by so much.
        offset: Option<Period>,
    },
    /// `sort a desc, b`
    Sort(Vec<(Expression, bool)>),
    /// `limit 20`; with `any` it matters to nobody which.
    Limit {
        /// `limit any`
        any: bool,
        /// How many.
        count: u64,
    },
    /// `parse field … as …`
    Parse {
        /// Of what; `@message` when nothing is said.
        field: Option<Expression>,
        /// How.
        how: Pattern,
    },
    /// `dedup a, b`
    Dedup(Vec<Expression>),
    /// `pattern field`
    Pattern(Expression),
    /// `diff previousDay`
    Diff(Earlier),
    /// `unnest field into name`
    Unnest(Expression, String),
    /// `expand field`
    Expand(Expression),
    /// `unmask field`
    Unmask(Vec<Expression>),
    /// `countFrequent a, b`
    CountFrequent(Vec<Expression>),
    /// A command over rows in their order.
    Series(Series),
    /// A command of the language that is not in this version, with what follows it as it was written.
    Other(&'static str, String),
}

/// A command over rows in their order.
#[derive(Clone, PartialEq, Debug)]
pub enum Series {
    /// `accum f as total`
    Accumulate(Expression, Option<String>),
    /// `autoregress f as before p=1-3`
    Lag {
        /// Of what.
        field: Expression,
        /// The name of what is made, or the beginning of several names.
        alias: Option<String>,
        /// How many rows before, if it was said; two numbers are a range.
        rows: Option<(u32, Option<u32>)>,
    },
    /// `filldown a, b*`; all columns when none is named.
    FillDown(Vec<String>),
    /// `fillmissing with 0 for n`
    FillMissing(Vec<(Literal, Expression)>),
    /// `addtotals fieldname=Total row=true col=false a, b`
    Totals {
        /// The name of the column of sums.
        name: Option<String>,
        /// Whether each row gets its sum.
        row: bool,
        /// Whether a last row gets the sum of each column.
        column: bool,
        /// Of what; all columns with numbers when none is named.
        fields: Vec<Expression>,
    },
    /// `outlier action=remove param=3 uselower=true mark=true a b`
    Outliers {
        /// Rows go; otherwise their values become the bound.
        removes: bool,
        /// How many distances of the quartiles beyond them.
        factor: Option<f64>,
        /// Also what is too small.
        lower: bool,
        /// A column says which rows they are.
        mark: bool,
        /// Of what.
        fields: Vec<Expression>,
    },
    /// `sessionize user maxspan 30m as session`
    Sessions {
        /// Whose.
        fields: Vec<Expression>,
        /// The longest time between two events of one session.
        gap: Option<Period>,
        /// The name of what is made.
        alias: Option<String>,
    },
    /// `logcompare timeshift 7d`
    Compare(Period),
}

/// An expression with the name of its column, if it was given one.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// What.
    pub expression: Expression,
    /// `as name`
    pub alias: Option<String>,
}

/// How a text is taken apart.
#[derive(Clone, PartialEq, Debug)]
pub enum Pattern {
    /// `"a * b" as x, y`
    Glob {
        /// Text with stars.
        text: String,
        /// A name for each star.
        names: Vec<String>,
        /// Where the text stands.
        at: At,
    },
    /// `/a (?<x>b)/`, or with one group `/a (b)/ as x`; `multi` gives a row for each match.
    Regex {
        /// The expression.
        pattern: String,
        /// Names of the groups that have none of their own.
        names: Vec<String>,
        /// Every match.
        multi: bool,
        /// Where the expression stands.
        at: At,
    },
    /// `logfmt as m`
    Logfmt(String),
    /// `csv as a, b`
    Csv(Vec<String>),
}

/// What `diff` compares with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Earlier {
    /// The range of the same length right before.
    Before,
    /// The same range of the day before.
    Day,
    /// Of the week before.
    Week,
    /// Of four weeks before: a month has no fixed length.
    Month,
    /// Of so much before.
    By(Period),
}

/// An expression and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub at: At,
}

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub enum Kind {
    /// A field, by the segments of its name, and whether it was written in backticks.
    Field(Vec<String>),
    /// A text, a number, `true` or `false`.
    Literal(Literal),
    /// `4xx`
    Class(u8),
    /// `5m`
    Period(Period),
    /// `*` of `count(*)`
    Star,
    /// `/…/` as an argument.
    Regex(String),
    /// `name(a, b)`
    Call(String, Vec<Expression>),
    /// `-a`
    Negative(Box<Expression>),
    /// `not a`
    Not(Box<Expression>),
    /// `a + b`
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `a like "b"`, `a not like /b/`
    Like {
        /// What is looked at.
        text: Box<Expression>,
        /// A text or a regular expression.
        pattern: Box<Expression>,
        /// `not like`
        negated: bool,
    },
    /// `a in [b, c]`
    In {
        /// What is looked for.
        value: Box<Expression>,
        /// Where.
        list: Vec<Expression>,
        /// `not in`
        negated: bool,
    },
    /// `a in (SOURCE …)`, as it was written.
    InQuery(Box<Expression>, String),
    /// `a[1]`
    Index(Box<Expression>, Box<Expression>),
    /// `a[1].b`
    Member(Box<Expression>, String),
}

/// An infix operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `or`
    Or,
    /// `and`
    And,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `/`
    Divided,
    /// `%`
    Modulo,
    /// `^`
    Power,
}

impl Operator {
    /// How it is written, and how closely it binds.
    pub(super) const TABLE: [(Operator, &'static str, u8); 14] = [
        (Operator::Or, "or", 1),
        (Operator::And, "and", 2),
        (Operator::Equal, "=", COMPARES),
        (Operator::NotEqual, "!=", COMPARES),
        (Operator::Less, "<", COMPARES),
        (Operator::LessOrEqual, "<=", COMPARES),
        (Operator::Greater, ">", COMPARES),
        (Operator::GreaterOrEqual, ">=", COMPARES),
        (Operator::Plus, "+", 5),
        (Operator::Minus, "-", 5),
        (Operator::Times, "*", 6),
        (Operator::Divided, "/", 6),
        (Operator::Modulo, "%", 6),
        (Operator::Power, "^", 8),
    ];

    pub(super) fn text(self) -> &'static str {
        Self::TABLE.iter().find(|(operator, ..)| *operator == self).map_or("", |(_, text, _)| text)
    }

    pub(super) fn step(self) -> u8 {
        Self::TABLE.iter().find(|(operator, ..)| *operator == self).map_or(0, |(.., step)| *step)
    }
}

/// How closely `not`, comparisons and a sign bind; what binds closest is a value.
pub(super) const NOT: u8 = 3;
pub(super) const COMPARES: u8 = 4;
pub(super) const SIGN: u8 = 7;
pub(super) const VALUE: u8 = 9;

impl Expression {
    /// At a place.
    pub(super) fn new(kind: Kind, span: Span) -> Expression {
        Expression { kind, at: At(span) }
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        self.at.0
    }
}
