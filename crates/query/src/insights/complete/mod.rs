//! What may stand at a place of a query: decided by the words before it, whatever follows.
//!
//! The text before the place is read word by word as the lexer reads it, without being parsed: somebody is in the middle of
//! writing it. Only the commands before the one at hand are parsed, for the names that they give; where they are wrong there
//! are none.
//!
//! Inside of a comment or a regular expression, and where a name is to be made up, nothing is proposed.

mod names;
mod words;

use super::lexer::{Token, TokenKind};
use super::parse::COMMANDS;
use super::{aggregates, fields, functions};
use crate::complete::{Item, ItemKind, Place, Want};
use crate::text::Span;
use words::{Inside, Words};

/// Words that stand behind a value, by command; the first that is there counts.
const BEHIND: &[(&str, &[&str])] = &[
    ("filter", &["and", "or", "like", "not like", "in [", "not in ["]),
    ("where", &["and", "or", "like", "not like", "in [", "not in ["]),
    ("filterindex", &["in [", "and", "or"]),
    ("stats", &["by", "as"]),
    ("fields", &["as"]),
    ("display", &["as"]),
    ("sort", &["desc", "asc"]),
    ("unnest", &["into"]),
    ("parse", &["logfmt as", "csv as", "as", "multi"]),
    ("accum", &["as"]),
    ("autoregress", &["as", "p="]),
    ("sessionize", &["maxspan", "as"]),
    ("fillmissing", &["for"]),
];

/// Words that stand right behind a command.
const OPTIONS: &[(&str, &[&str])] = &[
    ("limit", &["any"]),
    ("diff", &["previousDay", "previousWeek", "previousMonth"]),
    ("logcompare", &["timeshift 7d"]),
    ("fillmissing", &["with"]),
    ("outlier", &["action=remove", "action=transform", "param=", "uselower=true", "mark=true"]),
    ("addtotals", &["col=true", "row=false", "fieldname="]),
    ("source", &["logGroups(namePrefix: ["]),
];

/// Words behind which an operand stands.
const BEFORE_OPERAND: &[&str] = &["and", "or", "not", "by", "with", "for"];

/// Fields of every event that no column is called, with what they are.
const SYSTEM: &[(&str, &str)] = &[
    ("@timestamp", "time of the event"),
    ("@message", "the body, or the event as JSON"),
    ("@log", "dataset"),
    ("@logStream", "instance, pod or host"),
    ("@ingestionTime", "time of arrival"),
    ("@ptr", "id of the event"),
];

/// What may stand before a byte of a text.
pub(crate) fn place(text: &str, position: usize) -> Place {
    let before = text.get(..position).unwrap_or(text);
    let words = Words::of(before);
    let rest = &text[before.len()..];
    let nothing = Place {
        replaced: Span { start: before.len(), end: before.len() },
        typed: String::new(),
        wants: Vec::new(),
        plain: false,
    };
    let at = |start: usize, typed: &str, behind: usize, wants: Vec<Want>| Place {
        replaced: Span { start, end: before.len() + behind },
        typed: typed.to_owned(),
        wants,
        plain: false,
    };
    let (command, is_first, command_start) = words.command();
    let slot = slot(command, is_first);
    match &words.inside {
        Inside::Comment | Inside::Regex => nothing,
        Inside::Text { start, quote } => {
            let typed = before.get(start + quote.len_utf8()..).unwrap_or_default();
            let closes = usize::from(rest.starts_with(*quote)) * quote.len_utf8();
            match slot {
                Slot::ValueOf(column) => at(*start, typed, closes, vec![values(&column)]),
                Slot::Datasets => at(*start, typed, closes, vec![Want::Datasets]),
                _ => nothing,
            }
        }
        Inside::Backtick(start) => {
            let typed = before.get(start + 1..).unwrap_or_default();
            let closes = usize::from(rest.starts_with('`'));
            match slot {
                Slot::Operand { .. } | Slot::ValueOf(_) => {
                    at(*start, typed, closes, columns(before, command_start))
                }
                _ => nothing,
            }
        }
        Inside::Nothing => {
            let typed = before.get(words.typed_from..).unwrap_or_default();
            let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '$' | '.');
            let behind = if typed.is_empty() { 0 } else { rest.find(|c| !in_word(c)).unwrap_or(rest.len()) };
            let wants = wants(slot, is_first, before, command_start);
            at(words.typed_from, typed, behind, wants)
        }
    }
}

/// What a place takes where no text, no pattern and no name in backticks is being written.
fn wants(slot: Slot, is_first: bool, before: &str, command_start: usize) -> Vec<Want> {
    match slot {
        Slot::Nothing => Vec::new(),
        Slot::Command => vec![Want::Items(commands(is_first))],
        Slot::Words(words) => vec![keywords(words)],
        Slot::Datasets => vec![Want::Datasets, keywords(options("source"))],
        Slot::ValueOf(column) => {
            let mut wants = vec![values(&column)];
            wants.extend(columns(before, command_start));
            wants.push(Want::Items(scalars()));
            wants
        }
        Slot::Operand { aggregates, command } => {
            let mut wants = Vec::new();
            if aggregates {
                wants.push(Want::Items(aggregate_functions()));
            }
            let own = options(&command);
            if !own.is_empty() {
                wants.push(keywords(own));
            }
            wants.extend(columns(before, command_start));
            wants.push(Want::Items(scalars()));
            wants
        }
    }
}

/// What a place of a command takes.
enum Slot {
    Nothing,
    Command,
    Datasets,
    Words(&'static [&'static str]),
    /// A value, most likely one of this column.
    ValueOf(String),
    Operand {
        aggregates: bool,
        command: String,
    },
}

fn listed(table: &'static [(&str, &[&str])], command: &str) -> &'static [&'static str] {
    table.iter().find(|(name, _)| *name == command).map_or(&[], |(_, words)| words)
}

fn options(command: &str) -> &'static [&'static str] {
    listed(OPTIONS, command)
}

/// What stands behind the words of a command.
fn slot(command: &[Token], is_first: bool) -> Slot {
    let Some(first) = command.first() else { return Slot::Command };
    let Some(name) = word(first) else { return Slot::Nothing };
    let Some(last) = command.last().filter(|_| command.len() > 1) else {
        return match name.as_str() {
            "source" if is_first => Slot::Datasets,
            "limit" | "head" | "tail" | "diff" | "logcompare" => Slot::Words(options(&name)),
            _ => Slot::Operand { aggregates: name == "stats", command: name },
        };
    };
    let arguments = &command[1..];
    if name == "source" {
        return if last.kind == TokenKind::Symbol(",") || last.kind == TokenKind::Symbol("[") {
            Slot::Datasets
        } else {
            Slot::Words(&["START=", "END="])
        };
    }
    if matches!(name.as_str(), "limit" | "head" | "tail" | "diff" | "logcompare") {
        return Slot::Nothing;
    }
    if let Some(column) = compared(arguments) {
        return Slot::ValueOf(column);
    }
    let is_by = arguments.iter().any(|token| word(token).as_deref() == Some("by"));
    let depth = arguments.iter().fold(0_i64, |depth, token| match token.kind {
        TokenKind::Symbol("(") => depth + 1,
        TokenKind::Symbol(")") => depth - 1,
        _ => depth,
    });
    let operand = Slot::Operand {
        aggregates: name == "stats" && !is_by && depth <= 0,
        command: if name == "outlier" || name == "addtotals" { name.clone() } else { String::new() },
    };
    match word(last).as_deref() {
        Some("as" | "into" | "like") => return Slot::Nothing,
        Some(before) if BEFORE_OPERAND.contains(&before) => return operand,
        _ => {}
    }
    let is_operand = match &last.kind {
        TokenKind::Name(..) | TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Period(_) => true,
        TokenKind::Class(_) => true,
        TokenKind::Symbol(symbol) => matches!(*symbol, ")" | "]" | "/"),
        TokenKind::End => false,
    };
    if is_operand && matches!(name.as_str(), "outlier" | "addtotals") {
        return operand;
    }
    if is_operand {
        let words = match name.as_str() {
            "stats" if is_by => &["as", "offset"],
            name => listed(BEHIND, name),
        };
        return if words.is_empty() { Slot::Nothing } else { Slot::Words(words) };
    }
    if last.kind == TokenKind::Symbol("=~") { Slot::Nothing } else { operand }
}

/// The column whose value comes next: behind `=` or `!=`, or inside of the list of an `in`.
fn compared(arguments: &[Token]) -> Option<String> {
    let field = |token: Option<&Token>| match &token?.kind {
        TokenKind::Name(segments, _) => Some(segments.join(".")),
        _ => None,
    };
    let (last, before) = arguments.split_last()?;
    match last.kind {
        TokenKind::Symbol("=" | "!=") => field(before.last()),
        TokenKind::Symbol("[" | ",") => {
            let open = arguments.iter().rposition(|token| token.kind == TokenKind::Symbol("["))?;
            if arguments[open..].iter().any(|token| token.kind == TokenKind::Symbol("]")) {
                return None;
            }
            let (of_in, before) = arguments[..open].split_last()?;
            if word(of_in).as_deref() != Some("in") {
                return None;
            }
            let before = before.iter().rev().find(|token| word(token).as_deref() != Some("not"));
            field(before)
        }
        _ => None,
    }
}

/// A word without quotes, in lower case.
fn word(token: &Token) -> Option<String> {
    match &token.kind {
        TokenKind::Name(segments, false) if segments.len() == 1 => Some(segments[0].to_ascii_lowercase()),
        _ => None,
    }
}

fn values(column: &str) -> Want {
    Want::Values(fields::column(column, Span::default()))
}

/// Names that the commands before have given, then what events have; after an aggregation only the former.
fn columns(before: &str, command_start: usize) -> Vec<Want> {
    let (given, closed) = names::given(before.get(..command_start).unwrap_or_default());
    let item = |name: &String| column_item(name, "given by the query");
    let mut wants = vec![Want::Items(given.iter().rev().map(item).collect())];
    if !closed {
        let system = SYSTEM.iter().map(|(name, about)| column_item(name, about));
        wants.extend([Want::Items(system.collect()), Want::Columns]);
    }
    wants
}

fn column_item(name: &str, detail: &str) -> Item {
    let insert = super::format::name(name);
    Item { label: name.to_owned(), kind: ItemKind::Column, detail: detail.to_owned(), insert }
}

fn commands(is_first: bool) -> Vec<Item> {
    let item = |(name, usage): &(&str, &str)| Item {
        label: (*name).to_owned(),
        kind: ItemKind::Command,
        detail: (*usage).to_owned(),
        insert: format!("{name} "),
    };
    let source = ("SOURCE", "SOURCE 'name': of these datasets");
    COMMANDS.iter().chain(is_first.then_some(&source)).map(item).collect()
}

fn keywords(words: &[&str]) -> Want {
    let item = |word: &&str| Item {
        label: (*word).to_owned(),
        kind: ItemKind::Keyword,
        detail: String::new(),
        // What goes on right behind it gets no blank.
        insert: if word.ends_with(['=', '[']) { (*word).to_owned() } else { format!("{word} ") },
    };
    Want::Items(words.iter().map(item).collect())
}

fn function(name: &str, usage: &str) -> Item {
    // Without arguments there is nothing to write between the parentheses.
    let insert = if usage.ends_with("()") { format!("{name}()") } else { format!("{name}(") };
    Item { label: name.to_owned(), kind: ItemKind::Function, detail: usage.to_owned(), insert }
}

fn aggregate_functions() -> Vec<Item> {
    aggregates::AGGREGATES.iter().map(|(name, _, usage)| function(name, usage)).collect()
}

fn scalars() -> Vec<Item> {
    const OWN: [(&str, &str); 5] = [
        ("bin", "bin(5m)"),
        ("now", "now()"),
        ("queryStartTime", "queryStartTime()"),
        ("queryEndTime", "queryEndTime()"),
        ("queryTimeRange", "queryTimeRange()"),
    ];
    let own = OWN.iter().map(|(name, usage)| function(name, usage));
    own.chain(functions::all().map(|one| function(one.name, one.usage))).collect()
}
