//! Names that commands have given, for those behind them.

use super::super::ast::{CommandKind, Item, Kind, Pattern, Series};
use super::super::parse::parse;
use super::super::patterns;

/// The names, and whether nothing else is known any more; none of a text that is wrong.
pub(super) fn given(text: &str) -> (Vec<String>, bool) {
    let text = text.trim_end().trim_end_matches('|');
    let (mut names, mut closed) = (Vec::new(), false);
    let Ok(query) = parse(text) else { return (names, closed) };
    let name = |item: &Item| match (&item.alias, &item.expression.kind) {
        (Some(alias), _) => alias.clone(),
        (None, Kind::Field(segments)) => segments.join("."),
        (None, _) => {
            let span = item.expression.span();
            text.get(span.start..span.end)
                .unwrap_or_default()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        }
    };
    for command in &query.commands {
        match &command.kind {
            CommandKind::Fields(items) | CommandKind::Display(items) => {
                names.extend(items.iter().filter(|item| item.alias.is_some()).map(name));
            }
            CommandKind::Stats { aggregates, by, .. } => {
                closed = true;
                names = aggregates.iter().chain(by).map(name).collect();
            }
            CommandKind::CountFrequent(fields) => {
                closed = true;
                let item = |field: &_| Item { expression: Clone::clone(field), alias: None };
                names = fields.iter().map(item).map(|item| name(&item)).collect();
                names.push("_approxcount".to_owned());
            }
            CommandKind::Pattern(_) | CommandKind::Series(Series::Compare(_)) => {
                closed = true;
                names = patterns::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
            }
            CommandKind::Parse { how, .. } => match how {
                Pattern::Glob { names: given, .. } | Pattern::Csv(given) => {
                    names.extend(given.iter().cloned())
                }
                Pattern::Logfmt(given) => names.push(given.clone()),
                Pattern::Regex { pattern, names: given, .. } => {
                    let groups = regex::Regex::new(pattern);
                    let own =
                        groups.iter().flat_map(|regex| regex.capture_names().flatten().map(str::to_owned));
                    names.extend(own);
                    names.extend(given.iter().cloned());
                }
            },
            CommandKind::Unnest(_, into) => names.push(into.clone()),
            CommandKind::Series(
                Series::Accumulate(_, Some(alias))
                | Series::Lag { alias: Some(alias), .. }
                | Series::Totals { name: Some(alias), .. }
                | Series::Sessions { alias: Some(alias), .. },
            ) => names.push(alias.clone()),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    (names, closed)
}
