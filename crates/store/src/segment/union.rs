//! The columns of several sources as one list.
//!
//! A head block is made of a hundred batches of hundreds of columns each, so a column that is known costs a
//! comparison with the one that came next the last time, and only otherwise a hash of its name.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use skein_event::batch::{Column, ColumnKey};
use skein_event::columns::Level;
use skein_event::hash::HashKey;

use super::bytes::count;
use super::footer_write::Entry;
use super::source::UNUSED;
use crate::error::{Error, ErrorKind};

/// A column of the merged segment.
pub(super) struct MergedColumn {
    pub(super) key: ColumnKey,
    pub(super) name_hash: u64,
    pub(super) level: Level,
    /// Source and column there, of sources that are segments.
    pub(super) places: Vec<(usize, u32)>,
    pub(super) entry: Option<Entry>,
    /// Another column whose name has this hash: mostly of the same name and another type.
    next_alike: u32,
    /// The column that came next in the last source.
    next_seen: u32,
    /// The source that had it last.
    source: usize,
}

/// Hands a keyed hash on: nobody outside can prepare names that meet.
#[derive(Default)]
pub(super) struct Given(u64);

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The columns under collection, numbered in order of first appearance.
pub(super) struct Union {
    hash_key: HashKey,
    /// The first column whose name has a hash.
    index: HashMap<u64, u32, BuildHasherDefault<Given>>,
    pub(super) columns: Vec<MergedColumn>,
    /// The column before.
    last: u32,
}

impl Union {
    pub(super) fn new(hash_key: HashKey) -> Union {
        Union { hash_key, index: HashMap::default(), columns: Vec::new(), last: UNUSED }
    }

    fn number(&mut self, key: &ColumnKey, source: usize) -> Result<u32, Error> {
        let known = |columns: &[MergedColumn], number: u32| {
            columns.get(number as usize).is_some_and(|column| column.key == *key)
        };
        let seen = self.columns.get(self.last as usize).map_or(UNUSED, |last| last.next_seen);
        let number = if known(&self.columns, seen) { seen } else { self.find(key)? };
        if let Some(last) = self.columns.get_mut(self.last as usize) {
            last.next_seen = number;
        }
        self.last = number;
        let column = &mut self.columns[number as usize];
        if std::mem::replace(&mut column.source, source) == source {
            return Err(Error::damaged(format!("{key:?} occurs twice in one batch")));
        }
        Ok(number)
    }

    /// Finds a column by its name; adds it when it is new.
    fn find(&mut self, key: &ColumnKey) -> Result<u32, Error> {
        let name_hash = self.hash_key.hash(key.name.as_bytes());
        let first = self.index.get(&name_hash).copied().unwrap_or(UNUSED);
        let mut number = first;
        while let Some(column) = self.columns.get(number as usize) {
            if column.key == *key {
                return Ok(number);
            }
            number = column.next_alike;
        }
        if key.name.len() > usize::from(u16::MAX) {
            return Err(Error::new(ErrorKind::TooLarge, "a column's name is longer than 65,535 bytes"));
        }
        let number = count(self.columns.len());
        self.index.insert(name_hash, number);
        self.columns.push(MergedColumn {
            key: key.clone(),
            name_hash,
            level: key.level(),
            places: Vec::new(),
            entry: None,
            next_alike: first,
            next_seen: UNUSED,
            source: usize::MAX,
        });
        Ok(number)
    }

    /// The numbers of a batch's columns of one level; columns without a value have none.
    pub(super) fn batch(
        &mut self,
        columns: &[Column],
        level: Level,
        source: usize,
    ) -> Result<Vec<u32>, Error> {
        let mut numbers = Vec::with_capacity(columns.len());
        for column in columns {
            if column.values.is_empty() {
                numbers.push(UNUSED);
                continue;
            }
            let number = self.number(&column.key, source)?;
            if self.columns[number as usize].level != level {
                return Err(Error::damaged(format!("{:?} is at the wrong level", column.key)));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// The number of a segment's column.
    pub(super) fn of_segment(&mut self, key: &ColumnKey, source: usize, old: u32) -> Result<u32, Error> {
        let number = self.number(key, source)?;
        self.columns[number as usize].places.push((source, old));
        Ok(number)
    }

    /// The columns in the order of the footer, and the place of each number there.
    pub(super) fn ranked(self) -> (Vec<MergedColumn>, Vec<u32>) {
        let mut numbered: Vec<(u32, MergedColumn)> = (0_u32..).zip(self.columns).collect();
        numbered.sort_by(|(_, a), (_, b)| {
            (a.name_hash, &a.key.name, &a.key).cmp(&(b.name_hash, &b.key.name, &b.key))
        });
        let mut ranks = vec![0; numbered.len()];
        for (rank, (number, _)) in (0_u32..).zip(&numbered) {
            ranks[*number as usize] = rank;
        }
        (numbered.into_iter().map(|(_, column)| column).collect(), ranks)
    }
}
