//! Groups: rows whose breakdowns have equal canonical text share one.
//!
//! Within a part of a scan groups are numbers of codes ([`crate::local`]). Here the values of parts become one: a hash
//! finds a value, and its text confirms it where the text is at hand. Of columns with many values no text is read
//! before it is shown or needed for an order; then what was taken for the same by its hash alone is looked at in every
//! segment ([`Groups::confirm`]), and if two texts share a hash the question is asked again with all texts at hand.

mod late;
mod reading;

use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::value::Value;
use skein_query::number::Type;
use skein_store::Error;
use skein_store::segment::ColumnId;

use crate::hashing::{ByHash, ByNumber};
use crate::local::{BoundBreakdowns, MISSING_VALUE};

pub(crate) use self::reading::{part_of, values_of};

/// Number of a value among all that groups have; 0 stands for a missing one.
pub(crate) type ValueId = u32;

const MISSING_ID: ValueId = 0;

/// No other value of the hash.
const NO_NEXT: u32 = u32::MAX;

/// A value of a part.
#[derive(Clone, Debug)]
pub(crate) struct PartValue {
    /// Of its canonical text.
    hash: u64,
    kind: Type,
    known: Known,
}

#[derive(Clone, Debug)]
enum Known {
    Here(Box<(Arc<str>, Value)>),
    /// A text that nobody has read yet.
    Later {
        column: ColumnId,
        code: u32,
    },
    Missing,
}

/// How values of parts are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueReading {
    /// Of all hashes of a query.
    pub(crate) key: HashKey,
    /// Whether every text is read at once.
    pub(crate) texts_at_once: bool,
}

/// The values of all groups.
#[derive(Default)]
struct GroupValues {
    by_hash: ByHash<u32>,
    /// Entry `i` is value `i + 1`.
    entries: Vec<Entry>,
    heap_bytes: usize,
}

struct Entry {
    hash: u64,
    text: Option<Arc<str>>,
    /// The first value of each type that had this text.
    values: Vec<(Type, Value)>,
    /// Where its text is: place of the segment, column, code.
    later: Option<(usize, ColumnId, u32)>,
    /// Another value of the same hash.
    next: u32,
    /// Whether a value was taken for this one by its hash alone.
    trusted: bool,
}

impl GroupValues {
    fn find(&self, value: &PartValue) -> Option<u32> {
        let mut number = *self.by_hash.get(&value.hash)?;
        loop {
            let entry = self.entries.get(number as usize)?;
            let same = match (&entry.text, &value.known) {
                (Some(known), Known::Here(here)) => *known == here.0,
                _ => true,
            };
            if same {
                return Some(number);
            }
            if entry.next == NO_NEXT {
                return None;
            }
            number = entry.next;
        }
    }

    fn intern(&mut self, place: usize, value: PartValue) -> ValueId {
        let PartValue { hash, kind, known } = value.clone();
        if matches!(known, Known::Missing) {
            return MISSING_ID;
        }
        let number = match self.find(&value) {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.entries.len()).unwrap_or(NO_NEXT);
                let next = self.by_hash.insert(hash, number).unwrap_or(NO_NEXT);
                let (text, later) = match &known {
                    Known::Here(here) => (Some(Arc::clone(&here.0)), None),
                    Known::Later { column, code } => (None, Some((place, *column, *code))),
                    Known::Missing => (None, None),
                };
                self.heap_bytes += text.as_ref().map_or(0, |text| text.len() + 32);
                let later_is_trusted = false;
                self.entries.push(Entry {
                    hash,
                    text,
                    values: Vec::new(),
                    later,
                    next,
                    trusted: later_is_trusted,
                });
                return self.note(number, kind, known);
            }
        };
        if let Some(entry) = self.entries.get_mut(number as usize) {
            entry.trusted |= entry.text.is_none() || matches!(known, Known::Later { .. });
        }
        self.note(number, kind, known)
    }

    fn note(&mut self, number: u32, kind: Type, known: Known) -> ValueId {
        if let (Known::Here(here), Some(entry)) = (known, self.entries.get_mut(number as usize))
            && entry.values.iter().all(|(known, _)| *known != kind)
        {
            self.heap_bytes += here.0.len() + 64;
            entry.values.push((kind, here.1));
        }
        number + 1
    }

    fn entry(&self, id: ValueId) -> Option<&Entry> {
        self.entries.get((id as usize).checked_sub(1)?)
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes + self.entries.capacity() * size_of::<Entry>() + self.by_hash.capacity() * 13
    }
}

/// Rows of one type in a group, per breakdown.
type TypeCounts = [u64; Type::COUNT];

/// What a part has found of groups.
pub(crate) struct GroupPart {
    /// By column and number in the part, from 1 on.
    values: Vec<Vec<PartValue>>,
    /// Groups of the part that have rows, the numbers of their values, and their rows.
    pub(crate) groups: Vec<u32>,
    keys: Vec<u32>,
    rows: Vec<u64>,
}

/// The groups of a query.
pub(crate) struct Groups {
    values: GroupValues,
    breakdowns: usize,
    /// Values of each group, one after another.
    keys: Vec<ValueId>,
    len: usize,
    /// With one breakdown: group + 1 by value.
    by_value: Vec<u32>,
    /// With several: by pairs, of the values so far and the next.
    by_pair: Vec<ByNumber<(u32, u32), u32>>,
    rows: Vec<u64>,
    /// The type of all values of a breakdown, while they have one.
    kinds: Vec<Option<Type>>,
    /// For each group and breakdown, once values of several types were seen.
    types: Option<Vec<TypeCounts>>,
}

/// A group's key as it is shown.
pub(crate) type ShownKey = Vec<Option<Value>>;

impl Groups {
    /// No groups yet; without breakdowns there is one, of everything.
    pub(crate) fn new(breakdowns: usize) -> Groups {
        Groups {
            values: GroupValues::default(),
            breakdowns,
            keys: Vec::new(),
            len: usize::from(breakdowns == 0),
            by_value: Vec::new(),
            by_pair: (1..breakdowns).map(|_| ByNumber::default()).collect(),
            rows: vec![0; usize::from(breakdowns == 0)],
            kinds: vec![None; breakdowns],
            types: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory, about.
    pub(crate) fn heap_bytes(&self) -> usize {
        let pairs: usize = self.by_pair.iter().map(|pairs| pairs.capacity() * 13).sum();
        let types = self.types.as_ref().map_or(0, |types| types.capacity() * size_of::<TypeCounts>());
        let keys = (self.keys.capacity() + self.by_value.capacity()) * size_of::<ValueId>();
        self.values.heap_bytes() + pairs + types + keys + self.rows.capacity() * size_of::<u64>()
    }

    /// Takes what a part has found. Answers the group of each of its groups.
    pub(crate) fn absorb(&mut self, place: usize, part: GroupPart) -> Vec<u32> {
        let GroupPart { values, keys, rows, .. } = part;
        if self.breakdowns == 0 {
            if let (Some(all), Some(rows)) = (self.rows.first_mut(), rows.first()) {
                *all += rows;
            }
            return rows.iter().map(|_| 0).collect();
        }
        let kinds: Vec<Vec<Option<Type>>> = values.iter().map(|values| kinds_of(values)).collect();
        self.note_kinds(&kinds);
        let intern = |values: Vec<PartValue>| -> Vec<ValueId> {
            std::iter::once(MISSING_ID)
                .chain(values.into_iter().map(|v| self.values.intern(place, v)))
                .collect()
        };
        let ids: Vec<Vec<ValueId>> = values.into_iter().map(intern).collect();
        let mut groups = Vec::with_capacity(rows.len());
        let mut key = vec![MISSING_ID; self.breakdowns];
        for (local, rows) in keys.chunks(self.breakdowns).zip(rows) {
            for ((id, ids), &local) in key.iter_mut().zip(&ids).zip(local) {
                *id = ids.get(local as usize).copied().unwrap_or(MISSING_ID);
            }
            let group = self.group_of(&key);
            self.rows[group as usize] += rows;
            self.count_types(group, &kinds, local, rows);
            groups.push(group);
        }
        groups
    }

    /// The group of a group of a part that is under way; a new one if it has none. Its rows are counted later.
    pub(crate) fn number(
        &mut self,
        place: usize,
        bound: &mut BoundBreakdowns<'_>,
        local: u32,
        reading: ValueReading,
    ) -> Result<u32, Error> {
        let mut key = vec![MISSING_VALUE; self.breakdowns];
        bound.key(local, &mut key);
        let mut ids = Vec::with_capacity(key.len());
        for (column, &number) in bound.columns.iter_mut().zip(&key) {
            let value =
                (number as usize).checked_sub(1).and_then(|number| column.values.get(number).copied());
            ids.push(match value {
                Some((part, bits)) => {
                    let value = reading::value_of(&mut column.column, part, bits, reading.key)?;
                    self.values.intern(place, value)
                }
                None => MISSING_ID,
            });
        }
        Ok(self.group_of(&ids))
    }

    /// Keeps counts by type from the moment on when a breakdown has values of a second one.
    fn note_kinds(&mut self, kinds: &[Vec<Option<Type>>]) {
        let mut mixed = false;
        for (known, kinds) in self.kinds.iter_mut().zip(kinds) {
            for kind in kinds.iter().flatten() {
                mixed |= known.is_some_and(|known| known != *kind);
                known.get_or_insert(*kind);
            }
        }
        if mixed && self.types.is_none() {
            let count = |(place, &id): (usize, &ValueId)| {
                let mut counts = [0; Type::COUNT];
                let kind = self.kinds.get(place % self.breakdowns).copied().flatten();
                if let (Some(kind), true) = (kind, id != MISSING_ID) {
                    counts[kind as usize] =
                        self.rows.get(place / self.breakdowns).copied().unwrap_or_default();
                }
                counts
            };
            self.types = Some(self.keys.iter().enumerate().map(count).collect());
        }
    }

    fn count_types(&mut self, group: u32, kinds: &[Vec<Option<Type>>], local: &[u32], rows: u64) {
        let Some(types) = &mut self.types else { return };
        let first = group as usize * self.breakdowns;
        types.resize(types.len().max(first + self.breakdowns), [0; Type::COUNT]);
        for ((counts, kinds), &local) in types[first..].iter_mut().zip(kinds).zip(local) {
            let kind = (local as usize).checked_sub(1).and_then(|local| kinds.get(local).copied().flatten());
            if let Some(kind) = kind {
                counts[kind as usize] += rows;
            }
        }
    }

    fn group_of(&mut self, key: &[ValueId]) -> u32 {
        let Some((&first, others)) = key.split_first() else { return 0 };
        let next = u32::try_from(self.len).unwrap_or(u32::MAX);
        let group = if others.is_empty() {
            let place = first as usize;
            if place >= self.by_value.len() {
                self.by_value.resize(place + 1, 0);
            }
            let known = &mut self.by_value[place];
            if *known == 0 {
                *known = next + 1;
            }
            *known - 1
        } else {
            others.iter().zip(&mut self.by_pair).fold(first, |number, (&id, pairs)| {
                let new = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
                *pairs.entry((number, id)).or_insert(new)
            })
        };
        if group == next {
            self.len += 1;
            self.keys.extend_from_slice(key);
            self.rows.push(0);
        }
        group
    }

    /// The group of some values of a part, if there is one.
    pub(crate) fn find<'v>(&self, mut values: impl Iterator<Item = Option<&'v PartValue>>) -> Option<u32> {
        let id = |value: Option<&PartValue>| match value {
            Some(value) if !matches!(value.known, Known::Missing) => self.values.find(value).map(|id| id + 1),
            _ => Some(MISSING_ID),
        };
        let Some(first) = values.next() else { return Some(0) };
        let mut number = id(first)?;
        if self.by_pair.is_empty() {
            return self.by_value.get(number as usize)?.checked_sub(1);
        }
        for (value, pairs) in values.zip(&self.by_pair) {
            number = *pairs.get(&(number, id(value)?))?;
        }
        Some(number)
    }

    fn key(&self, group: usize) -> &[ValueId] {
        self.keys.get(group * self.breakdowns..(group + 1) * self.breakdowns).unwrap_or(&[])
    }

    /// A group's key: each value in the type that most of its rows have, text on a tie.
    ///
    /// PRE: its texts were loaded.
    pub(crate) fn shown_key(&self, group: usize) -> ShownKey {
        let shown = |(place, &id): (usize, &ValueId)| {
            let entry = self.values.entry(id)?;
            let counts = self.types.as_ref().and_then(|types| types.get(group * self.breakdowns + place));
            let counts = counts.copied().unwrap_or_default();
            let count = |kind: Type| counts[kind as usize];
            // Of equal counts the first type wins, and text is the first.
            let best = Type::ALL.into_iter().rev().max_by_key(|kind| count(*kind))?;
            let of_type = entry.values.iter().find(|(kind, _)| *kind == best).or(entry.values.first());
            of_type.map(|(_, value)| value.clone())
        };
        self.key(group).iter().enumerate().map(shown).collect()
    }

    /// The canonical texts of a group's values; `None` is missing.
    ///
    /// PRE: they were loaded.
    pub(crate) fn texts(&self, group: usize) -> impl Iterator<Item = Option<&str>> {
        self.key(group).iter().map(|&id| self.values.entry(id)?.text.as_deref())
    }
}

fn kinds_of(values: &[PartValue]) -> Vec<Option<Type>> {
    let kind = |value: &PartValue| (!matches!(value.known, Known::Missing)).then_some(value.kind);
    values.iter().map(kind).collect()
}
