//! What there is, by how well it fits what is typed.
//!
//! A label fits when it has what is typed in it, whatever the case: better at its beginning, or at that of one of its
//! words. Of what fits equally well the likelier kind comes first, then what more events have.

use super::{Item, ItemKind, Place, Want, dataset_line};
use crate::insights::format;
use crate::plan::TimeRange;
use crate::result::{ColumnInfo, DatasetInfo, ValueCount};
use skein_event::value::Value;

/// What was looked up.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// Columns.
    pub columns: &'k [ColumnInfo],
    /// Values of the column at hand.
    pub values: &'k [ValueCount],
    /// Datasets.
    pub datasets: &'k [DatasetInfo],
    /// What the question is of.
    pub time_range: TimeRange,
}

/// How something stands among others; the least is the best.
type Rank = (u8, bool, usize, std::cmp::Reverse<u64>);

pub(super) fn items(place: &Place, known: &Known<'_>, limit: usize) -> Vec<Item> {
    let mut found: Vec<(Rank, Item)> = Vec::new();
    for (order, want) in place.wants.iter().enumerate() {
        // A column says itself how many events have it; other things come in the order in which they were listed.
        let mut add = |item: Item, weight: u64, late: bool| {
            if let Some(fit) = fit(&place.typed, &item.label) {
                found.push(((fit, late, order, std::cmp::Reverse(weight)), item));
            }
        };
        match want {
            Want::Items(items) => {
                let weights = (0..u64::MAX).rev();
                items.iter().zip(weights).for_each(|(item, weight)| add(item.clone(), weight, false));
            }
            Want::Columns => {
                for info in known.columns {
                    let TimeRange { start_ns, end_ns } = known.time_range;
                    let late = info.last_ns < start_ns || info.first_ns >= end_ns;
                    add(column(info, place.plain), events(info), late);
                }
            }
            Want::Values(_) => known.values.iter().for_each(|v| add(value(v, place.plain), v.count, false)),
            Want::Datasets => known.datasets.iter().for_each(|info| {
                let item = Item {
                    label: info.name.clone(),
                    kind: ItemKind::Value,
                    detail: dataset_line(info),
                    insert: format::quoted(&info.name),
                };
                add(item, info.events, false);
            }),
        }
    }
    found.sort_by(|(a, of_a), (b, of_b)| a.cmp(b).then_with(|| of_a.label.cmp(&of_b.label)));
    let mut items: Vec<Item> = Vec::new();
    for (_, item) in found {
        if items.len() >= limit {
            break;
        }
        if !items.iter().any(|known| known.insert == item.insert) {
            items.push(item);
        }
    }
    items
}

/// How well a label fits what is typed, 0 best; `None` when it does not.
fn fit(typed: &str, label: &str) -> Option<u8> {
    if label.starts_with(typed) {
        return Some(0);
    }
    let (typed, lower) = (typed.to_lowercase(), label.to_lowercase());
    if lower.starts_with(&typed) {
        return Some(1);
    }
    let places: Vec<usize> = lower.match_indices(&typed).map(|(at, _)| at).collect();
    let begins_word = |at: &usize| lower[..*at].ends_with(|c: char| !c.is_alphanumeric());
    if places.iter().any(begins_word) { Some(2) } else { (!places.is_empty()).then_some(3) }
}

fn events(info: &ColumnInfo) -> u64 {
    info.types.iter().map(|(_, count)| count).sum()
}

fn column(info: &ColumnInfo, plain: bool) -> Item {
    let mut types = info.types.clone();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let names: Vec<&str> = types.iter().map(|(name, _)| *name).collect();
    Item {
        label: info.name.clone(),
        kind: ItemKind::Column,
        detail: format!("{} · {} events", names.join(", "), events(info)),
        insert: if plain { info.name.clone() } else { format::name(&info.name) },
    }
}

fn value(of: &ValueCount, plain: bool) -> Item {
    let label = of.value.canonical_text().into_owned();
    let insert = match &of.value {
        _ if plain => label.clone(),
        Value::Bool(_) | Value::I64(_) => label.clone(),
        Value::F64(number) if number.is_finite() => label.clone(),
        _ => format::quoted(&label),
    };
    Item { label, kind: ItemKind::Value, detail: format!("{} events", of.count), insert }
}
