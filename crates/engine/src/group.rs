//! Groups: rows whose breakdowns have equal canonical text share one.
//!
//! Within a segment a group key is made of dictionary codes; across segments the codes' text decides. A hash
//! finds the text, the text confirms it: two values are one group only when every byte is equal.

use std::collections::HashMap;
use std::sync::Arc;

use skein_event::limits::CACHED_VALUES_MAX;
use skein_event::value::Value;
use skein_query::number::{Type, ValueRef};
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::Segment;

use crate::column::{BoundColumn, MISSING};
use crate::relation::Relations;
use crate::relation::bound::BoundTable;
use crate::scan::Block;

/// Number of a value among all that groups have; 0 stands for a missing one.
type ValueId = u32;

const MISSING_ID: ValueId = 0;

/// The values of all groups, by canonical text.
#[derive(Default)]
pub(crate) struct GroupValues {
    ids: HashMap<Arc<str>, ValueId>,
    /// Entry `i` is value `i + 1`.
    entries: Vec<Entry>,
    heap_bytes: usize,
}

struct Entry {
    text: Arc<str>,
    /// The first value of each type that had this text.
    values: Vec<(Type, Value)>,
}

impl GroupValues {
    fn intern(&mut self, value: ValueRef<'_>) -> (ValueId, Type) {
        let text = value.canonical_text();
        let id = match self.ids.get(text.as_ref()) {
            Some(&id) => id,
            None => {
                let text: Arc<str> = Arc::from(text.as_ref());
                let id = u32::try_from(self.entries.len() + 1).unwrap_or(u32::MAX);
                self.heap_bytes += text.len() + 128;
                self.entries.push(Entry { text: Arc::clone(&text), values: Vec::new() });
                self.ids.insert(text, id);
                id
            }
        };
        let kind = value.value_type();
        if let Some(entry) = self.entries.get_mut(id as usize - 1)
            && entry.values.iter().all(|(known, _)| *known != kind)
        {
            entry.values.push((kind, value.to_value()));
            self.heap_bytes += text.len() + 32;
        }
        (id, kind)
    }

    fn entry(&self, id: ValueId) -> Option<&Entry> {
        self.entries.get((id as usize).checked_sub(1)?)
    }
}

/// Rows of one type in a group, per breakdown.
type TypeCounts = [u32; Type::COUNT];

/// The groups of a query.
pub(crate) struct Groups {
    values: GroupValues,
    breakdowns: usize,
    by_key: HashMap<Box<[ValueId]>, u32>,
    keys: Vec<Box<[ValueId]>>,
    /// For each group and breakdown.
    types: Vec<TypeCounts>,
    /// With one breakdown: group + 1 by value id.
    by_value: Vec<u32>,
}

/// A group's key as it is shown and ordered.
#[derive(Clone, Debug)]
pub(crate) struct ShownKey {
    pub(crate) values: Vec<Option<Value>>,
    /// Canonical text; `None` is missing.
    pub(crate) texts: Vec<Option<Arc<str>>>,
}

/// The breakdowns bound to one segment.
pub(crate) struct BoundBreakdowns<'a> {
    columns: Vec<BoundColumn<'a>>,
    /// Per column and part: what is known of each dictionary code, and of other bits.
    caches: Vec<Vec<PartCache>>,
}

#[derive(Default)]
struct PartCache {
    codes: Vec<Option<(ValueId, Type)>>,
    others: HashMap<u64, (ValueId, Type)>,
}

impl<'a> BoundBreakdowns<'a> {
    /// Binds columns; those of other events to what is `related`.
    pub(crate) fn bind(
        segment: &'a Segment,
        columns: &[Column],
        related: Option<&Arc<Relations>>,
    ) -> Result<BoundBreakdowns<'a>, Error> {
        let bind = |(place, column): (usize, &Column)| {
            let table = related.map(|related| BoundTable::of_breakdown(segment, related, place));
            match table.transpose()?.flatten() {
                Some(table) => Ok(BoundColumn::of_table(segment, table)),
                None => BoundColumn::bind(segment, column),
            }
        };
        let columns: Vec<BoundColumn<'a>> =
            columns.iter().enumerate().map(bind).collect::<Result<_, Error>>()?;
        let cache = |column: &BoundColumn<'a>| {
            let part = |len: Option<usize>| PartCache {
                codes: vec![None; len.unwrap_or_default()],
                others: HashMap::new(),
            };
            column.parts.iter().map(|p| part(p.dictionary_len())).collect()
        };
        let caches = columns.iter().map(cache).collect();
        Ok(BoundBreakdowns { columns, caches })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.columns.iter().map(BoundColumn::bytes).sum()
    }

    /// Whether a row of the block lacks any of the values.
    pub(crate) fn lacks_any(&self, row: usize) -> bool {
        self.columns.iter().any(|column| column.part_of.get(row).is_none_or(|&part| part == MISSING))
    }
}

impl Groups {
    /// No groups yet; without breakdowns there is one, of everything.
    pub(crate) fn new(breakdowns: usize) -> Groups {
        let mut groups = Groups {
            values: GroupValues::default(),
            breakdowns,
            by_key: HashMap::new(),
            keys: Vec::new(),
            types: Vec::new(),
            by_value: Vec::new(),
        };
        if breakdowns == 0 {
            groups.keys.push(Box::from([]));
        }
        groups
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Bytes of memory, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        let key = 2 * (self.breakdowns * size_of::<ValueId>() + 48);
        let per_group = key + self.breakdowns * size_of::<TypeCounts>();
        self.values.heap_bytes + self.keys.len() * per_group + self.by_value.len() * size_of::<u32>()
    }

    /// Replaces `out` by the group of each row of a block; rows that take no part get some number. New groups
    /// are added, and the rows' types counted when `count_types` says so (in the first of two passes).
    pub(crate) fn of_block(
        &mut self,
        bound: &mut BoundBreakdowns<'_>,
        block: &Block<'_>,
        count_types: bool,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        out.clear();
        out.resize(block.contexts.len(), 0);
        if self.breakdowns == 0 {
            return Ok(());
        }
        for column in &mut bound.columns {
            column.fill(block.start, block.contexts)?;
        }
        let mut key = vec![MISSING_ID; self.breakdowns];
        let mut kinds = vec![None; self.breakdowns];
        for place in block.places() {
            let columns = bound.columns.iter_mut().zip(&mut bound.caches);
            for ((column, caches), (id, kind)) in columns.zip(key.iter_mut().zip(&mut kinds)) {
                match value_at(&mut self.values, column, caches, place)? {
                    Some((found, found_kind)) => (*id, *kind) = (found, Some(found_kind)),
                    None => (*id, *kind) = (MISSING_ID, None),
                }
            }
            let group = self.group_of(&key);
            out[place] = group;
            if count_types {
                self.count_types(group, &kinds);
            }
        }
        Ok(())
    }

    fn count_types(&mut self, group: u32, kinds: &[Option<Type>]) {
        let first = group as usize * self.breakdowns;
        for (counts, kind) in self.types[first..].iter_mut().zip(kinds) {
            if let Some(kind) = kind {
                let count = &mut counts[*kind as usize];
                *count = count.saturating_add(1);
            }
        }
    }

    fn group_of(&mut self, key: &[ValueId]) -> u32 {
        if let [id] = key {
            let place = *id as usize;
            if place >= self.by_value.len() {
                self.by_value.resize(place + 1, 0);
            }
            if self.by_value[place] == 0 {
                self.by_value[place] = self.add(key) + 1;
            }
            return self.by_value[place] - 1;
        }
        if let Some(&group) = self.by_key.get(key) {
            return group;
        }
        let group = self.add(key);
        self.by_key.insert(Box::from(key), group);
        group
    }

    fn add(&mut self, key: &[ValueId]) -> u32 {
        let group = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.keys.push(Box::from(key));
        self.types.resize(self.types.len() + self.breakdowns, [0; Type::COUNT]);
        group
    }

    /// A group's key: each value in the type that most of its rows have, text on a tie.
    pub(crate) fn shown_key(&self, group: usize) -> ShownKey {
        let key = self.keys.get(group).map_or(&[][..], |key| key);
        let shown = |(place, &id): (usize, &ValueId)| {
            let entry = self.values.entry(id)?;
            let counts = self.types.get(group * self.breakdowns + place).copied().unwrap_or_default();
            let count = |kind: Type| counts[kind as usize];
            // Of equal counts the first type wins, and text is the first.
            let best = Type::ALL.into_iter().rev().max_by_key(|kind| count(*kind))?;
            let of_type = entry.values.iter().find(|(kind, _)| *kind == best).or(entry.values.first());
            of_type.map(|(_, value)| value.clone())
        };
        ShownKey {
            values: key.iter().enumerate().map(shown).collect(),
            texts: key.iter().map(|&id| self.values.entry(id).map(|e| Arc::clone(&e.text))).collect(),
        }
    }
}

/// The value of a row; `None` when it is missing.
fn value_at(
    values: &mut GroupValues,
    column: &mut BoundColumn<'_>,
    caches: &mut [PartCache],
    place: usize,
) -> Result<Option<(ValueId, Type)>, Error> {
    let number = column.part_of[place];
    if number == MISSING {
        return Ok(None);
    }
    let bits = column.bits[place];
    let (part, cache) = (&mut column.parts[usize::from(number)], &mut caches[usize::from(number)]);
    let code = usize::try_from(bits).ok().filter(|&code| code < cache.codes.len());
    let known = match code {
        Some(code) => cache.codes[code],
        None => cache.others.get(&bits).copied(),
    };
    if known.is_some() {
        return Ok(known);
    }
    let found = part.with_value(bits, |value| value.map(|value| values.intern(value)))?;
    if let Some(found) = found {
        match code {
            Some(code) => cache.codes[code] = Some(found),
            None => {
                if cache.others.len() >= CACHED_VALUES_MAX {
                    cache.others.clear();
                }
                cache.others.insert(bits, found);
            }
        }
    }
    Ok(found)
}
