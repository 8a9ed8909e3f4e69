//! A parsed query as text again, in one form: it means the same when it is parsed. It is also the text by which two
//! expressions are known to be the same.

use super::ast::{
    COMPARES, Command, CommandKind, Earlier, Expression, Item, Kind, NOT, Operator, Pattern, Query, SIGN,
    Series, VALUE,
};
use super::{aggregates, functions};
use crate::plan::Literal;

/// A query, one command a line.
pub fn query(query: &Query) -> String {
    let source = query.source.iter().map(|source| {
        let texts = |named: &[(String, super::ast::At)]| {
            named.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ")
        };
        let groups = match source.is_groups {
            false => format!("SOURCE {}", texts(&source.names)),
            true if source.prefixes.is_empty() => "SOURCE logGroups()".to_owned(),
            true => format!("SOURCE logGroups(namePrefix: [{}])", texts(&source.prefixes)),
        };
        let edge = |word: &str, edge: &Option<(String, super::ast::At)>| {
            edge.as_ref().map(|(text, _)| format!(" {word}={text}")).unwrap_or_default()
        };
        format!("{groups}{}{}", edge("START", &source.start), edge("END", &source.end))
    });
    source.chain(query.commands.iter().map(command)).collect::<Vec<_>>().join("\n| ")
}

fn command(command: &Command) -> String {
    match &command.kind {
        CommandKind::Fields(items) => format!("fields {}", items_text(items)),
        CommandKind::Display(items) => format!("display {}", items_text(items)),
        CommandKind::Filter(word, condition) => format!("{word} {}", expression(condition)),
        CommandKind::Stats { aggregates, by, offset } => {
            let by = if by.is_empty() { String::new() } else { format!(" by {}", items_text(by)) };
            let offset = offset.map(|period| format!(" offset {period}")).unwrap_or_default();
            format!("stats {}{by}{offset}", items_text(aggregates))
        }
        CommandKind::Sort(orders) => {
            let order = |(by, descending): &(Expression, bool)| {
                format!("{} {}", expression(by), if *descending { "desc" } else { "asc" })
            };
            format!("sort {}", orders.iter().map(order).collect::<Vec<_>>().join(", "))
        }
        CommandKind::Limit { any, count } => format!("limit {}{count}", if *any { "any " } else { "" }),
        CommandKind::Parse { field, how } => {
            let field = field.as_ref().map(|field| format!("{} ", operand(field, VALUE))).unwrap_or_default();
            format!("parse {field}{}", pattern(how))
        }
        CommandKind::Dedup(fields) => format!("dedup {}", expressions(fields)),
        CommandKind::Pattern(field) => format!("pattern {}", expression(field)),
        CommandKind::Diff(Earlier::Before) => "diff".to_owned(),
        CommandKind::Diff(Earlier::Day) => "diff previousDay".to_owned(),
        CommandKind::Diff(Earlier::Week) => "diff previousWeek".to_owned(),
        CommandKind::Diff(Earlier::Month) => "diff previousMonth".to_owned(),
        CommandKind::Diff(Earlier::By(period)) => format!("logcompare timeshift {period}"),
        CommandKind::Unnest(list, into) => format!("unnest {} into {}", expression(list), name(into)),
        CommandKind::Expand(field) => format!("expand {}", expression(field)),
        CommandKind::Unmask(fields) => format!("unmask {}", expressions(fields)),
        CommandKind::CountFrequent(fields) => format!("countFrequent {}", expressions(fields)),
        CommandKind::Series(series) => self::series(series),
        CommandKind::Other(word, rest) => format!("{word} {rest}").trim_end().to_owned(),
    }
}

fn pattern(pattern: &Pattern) -> String {
    let names = |names: &[String]| match names {
        [] => String::new(),
        names => format!(" as {}", names.iter().map(|one| name(one)).collect::<Vec<_>>().join(", ")),
    };
    match pattern {
        Pattern::Glob { text, names: aliases, .. } => format!("{}{}", quoted(text), names(aliases)),
        Pattern::Regex { pattern, names: aliases, multi, .. } => {
            format!("{}{}{}", slashed(pattern), names(aliases), if *multi { " multi" } else { "" })
        }
        Pattern::Logfmt(one) => format!("logfmt as {}", name(one)),
        Pattern::Csv(aliases) => format!("csv{}", names(aliases)),
    }
}

fn series(series: &Series) -> String {
    let alias =
        |alias: &Option<String>| alias.as_ref().map(|one| format!(" as {}", name(one))).unwrap_or_default();
    let fields = |fields: &[Expression]| {
        fields.iter().map(|field| format!(" {}", operand(field, VALUE))).collect::<Vec<_>>().join(",")
    };
    match series {
        Series::Accumulate(field, into) => format!("accum {}{}", operand(field, VALUE), alias(into)),
        Series::Lag { field, alias: into, rows } => {
            let rows = match rows {
                None => String::new(),
                Some((first, None)) => format!(" p={first}"),
                Some((first, Some(last))) => format!(" p={first}-{last}"),
            };
            format!("autoregress {}{}{rows}", operand(field, VALUE), alias(into))
        }
        Series::FillDown(names) => {
            let one = |text: &String| if text.contains('*') { text.clone() } else { name(text) };
            format!("filldown {}", names.iter().map(one).collect::<Vec<_>>().join(", ")).trim_end().to_owned()
        }
        Series::FillMissing(values) => {
            let one = |(value, field): &(Literal, Expression)| {
                format!("{} for {}", literal_text(value), operand(field, VALUE))
            };
            let values: Vec<String> = values.iter().map(one).collect();
            if values.is_empty() {
                "fillmissing".to_owned()
            } else {
                format!("fillmissing with {}", values.join(", "))
            }
        }
        Series::Totals { name: total, row, column, fields: of } => {
            let total = total.as_ref().map(|total| format!(" fieldname={}", name(total))).unwrap_or_default();
            format!("addtotals{total} row={row} col={column}{}", fields(of))
        }
        Series::Outliers { removes, factor, lower, mark, fields: of } => {
            let action = if *removes { "remove" } else { "transform" };
            let factor = factor.map(|factor| format!(" param={factor:?}")).unwrap_or_default();
            format!("outlier action={action}{factor} uselower={lower} mark={mark}{}", fields(of))
        }
        Series::Sessions { fields: of, gap, alias: into } => {
            let gap = gap.map(|gap| format!(" maxspan {gap}")).unwrap_or_default();
            format!("sessionize{}{gap}{}", fields(of), alias(into))
        }
        Series::Compare(period) => format!("logcompare timeshift {period}"),
    }
}

fn items_text(items: &[Item]) -> String {
    let item = |item: &Item| match &item.alias {
        Some(alias) => format!("{} as {}", expression(&item.expression), name(alias)),
        None => expression(&item.expression),
    };
    items.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn expressions(list: &[Expression]) -> String {
    list.iter().map(expression).collect::<Vec<_>>().join(", ")
}

/// How closely an expression holds together.
fn step(expression: &Expression) -> u8 {
    match &expression.kind {
        Kind::Binary(operator, ..) => operator.step(),
        Kind::Not(_) => NOT,
        Kind::Like { .. } | Kind::In { .. } | Kind::InQuery(..) => COMPARES,
        Kind::Negative(_) => SIGN,
        Kind::Literal(Literal::I64(number)) if *number < 0 => SIGN,
        Kind::Literal(Literal::F64(number)) if number.is_sign_negative() => SIGN,
        _ => VALUE,
    }
}

/// An expression as an operand of something that binds so closely.
fn operand(of: &Expression, least: u8) -> String {
    if step(of) < least { format!("({})", expression(of)) } else { expression(of) }
}

/// An expression.
pub fn expression(of: &Expression) -> String {
    match &of.kind {
        Kind::Field(segments) => segments.iter().map(|one| segment(one)).collect::<Vec<_>>().join("."),
        Kind::Literal(literal) => literal_text(literal),
        Kind::Class(class) => format!("{class}xx"),
        Kind::Period(period) => period.to_string(),
        Kind::Star => "*".to_owned(),
        Kind::Regex(pattern) => slashed(pattern),
        Kind::Call(function, arguments) => {
            format!("{}({})", canonical_name(function), expressions(arguments))
        }
        Kind::Negative(inner) => format!("-{}", operand(inner, SIGN + 1)),
        Kind::Not(inner) => format!("not {}", operand(inner, NOT + 1)),
        Kind::Binary(operator, left, right) => {
            let step = operator.step();
            // Like operators associate to the left, a power to the right.
            let (least_left, least_right) =
                if *operator == Operator::Power { (step + 1, step + 1) } else { (step, step + 1) };
            let least_left = if step == COMPARES { step + 1 } else { least_left };
            format!("{} {} {}", operand(left, least_left), operator.text(), operand(right, least_right))
        }
        Kind::Like { text, pattern, negated } => {
            let not = if *negated { "not " } else { "" };
            format!("{} {not}like {}", operand(text, COMPARES + 1), expression(pattern))
        }
        Kind::In { value, list, negated } => {
            let not = if *negated { "not " } else { "" };
            let list: Vec<String> = list.iter().map(|one| operand(one, COMPARES + 1)).collect();
            format!("{} {not}in [{}]", operand(value, COMPARES + 1), list.join(", "))
        }
        Kind::InQuery(value, query) => format!("{} in ({query})", operand(value, COMPARES + 1)),
        Kind::Index(list, index) => format!("{}[{}]", operand(list, VALUE), expression(index)),
        Kind::Member(map, member) => match &map.kind {
            Kind::Index(..) | Kind::Member(..) | Kind::Call(..) => {
                format!("{}.{}", expression(map), segment(member))
            }
            _ => format!("{}[{}]", operand(map, VALUE), quoted(member)),
        },
    }
}

/// A function's name as it is written best.
fn canonical_name(function: &str) -> &str {
    let known = functions::by_name(function).map(|known| known.name);
    known.or_else(|| aggregates::canonical_name(function)).unwrap_or(function)
}

fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => value.to_string(),
        Literal::I64(number) => number.to_string(),
        // With a point or an exponent, so that it stays a double.
        Literal::F64(number) => format!("{number:?}"),
        Literal::Text(text) => quoted(text),
    }
}

/// A name that something is given: one segment, whatever is in it.
pub(crate) fn name(of: &str) -> String {
    of.split('.').map(segment).collect::<Vec<_>>().join(".")
}

/// One segment of a name, in backticks where it needs them.
fn segment(text: &str) -> String {
    let plain = text.trim_start_matches('@');
    let ats = &text[..text.len() - plain.len()];
    let begins = plain.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$');
    let is_word = plain.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    let is_keyword = ats.is_empty() && KEYWORDS.iter().any(|word| word.eq_ignore_ascii_case(plain));
    if begins && is_word && !is_keyword { text.to_owned() } else { format!("{ats}`{plain}`") }
}

/// Words that mean something where a name may stand.
const KEYWORDS: [&str; 20] = [
    "as", "by", "asc", "desc", "into", "and", "or", "not", "in", "like", "true", "false", "logfmt", "csv",
    "multi", "any", "with", "for", "maxspan", "offset",
];

pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn slashed(pattern: &str) -> String {
    let mut slashed = String::from("/");
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                slashed.push('\\');
                slashed.extend(characters.next());
            }
            '/' => slashed.push_str("\\/"),
            c => slashed.push(c),
        }
    }
    slashed + "/"
}
