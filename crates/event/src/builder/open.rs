//! Columns under construction: found by the keyed hash of their key, with row numbers only where there are gaps.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::ColumnIndex;
use crate::batch::{Column, ColumnKey, Origin, Physical, Presence, Values};
use crate::hash::HashKey;

/// Columns of one level under construction.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) columns: Vec<OpenColumn>,
    /// Hash of a key → its column. Another key of equal hash sits at the next free hash.
    index: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    hash_key: HashKey,
    /// Rows that are likely to come in all.
    expected: usize,
}

/// Columns that get room for every expected row at once. Those of wider events are sparse as a rule, and grow.
const ROOMY_COLUMNS: usize = 64;

#[derive(Debug)]
pub(super) struct OpenColumn {
    pub(super) key: ColumnKey,
    values: Values,
    /// The rows of the values; empty as long as each row so far has one.
    rows: Vec<u32>,
    /// The last row with a value; `u32::MAX` when none has.
    last_row: u32,
    /// Code of the last value, to recognise a repetition without hashing.
    pub(super) last_code: u32,
    /// The columns of the same origin and name with other types.
    siblings: Vec<u32>,
}

impl Columns {
    pub(super) fn new(hash_key: HashKey) -> Columns {
        Columns { columns: Vec::new(), index: HashMap::default(), hash_key, expected: 0 }
    }

    /// Says how many rows are likely to come in all.
    pub(super) fn expect(&mut self, rows: usize) {
        self.expected = rows;
    }

    /// The place of a column, or the hash under which to add it.
    pub(super) fn find(&self, origin: Origin, physical: Physical, name: &str) -> Result<u32, u64> {
        self.find_hashed(self.hash_key.hash(name.as_bytes()), origin, physical, name)
    }

    /// The same, with the hash of the name at hand.
    fn find_hashed(&self, of_name: u64, origin: Origin, physical: Physical, name: &str) -> Result<u32, u64> {
        let salt = u64::from(origin as u8) << 8 | u64::from(physical as u8);
        let mut hash = of_name ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        while let Some(&index) = self.index.get(&hash) {
            let key = &self.columns[index as usize].key;
            if key.origin == origin && key.physical == physical && *key.name == *name {
                return Ok(index);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }

    pub(super) fn get_or_add(&mut self, origin: Origin, physical: Physical, name: &str) -> u32 {
        let hash = match self.find(origin, physical, name) {
            Ok(index) => return index,
            Err(hash) => hash,
        };
        let index = u32::try_from(self.columns.len()).unwrap_or(u32::MAX);
        let siblings: Vec<u32> = self.others(origin, physical, name).collect();
        for &sibling in &siblings {
            self.columns[sibling as usize].siblings.push(index);
        }
        let expected = if self.columns.len() < ROOMY_COLUMNS { self.expected } else { 0 };
        self.columns.push(OpenColumn {
            key: ColumnKey { origin, physical, name: Arc::from(name) },
            values: Values::with_capacity(physical, expected),
            rows: Vec::new(),
            last_row: u32::MAX,
            last_code: u32::MAX,
            siblings,
        });
        self.index.insert(hash, index);
        index
    }

    /// The columns of an origin and a name with other types than one.
    fn others(&self, origin: Origin, physical: Physical, name: &str) -> impl Iterator<Item = u32> {
        let others = (0..=u8::MAX).map_while(Physical::from_number).filter(move |other| *other != physical);
        let of_name = self.hash_key.hash(name.as_bytes());
        others.filter_map(move |other| self.find_hashed(of_name, origin, other, name).ok())
    }

    /// Whether the row already has a value in this column or in one of its name and origin.
    #[inline]
    pub(super) fn has_name(&self, column: u32, row: u32) -> bool {
        let has = |column: u32| self.columns.get(column as usize).is_some_and(|open| open.has(row));
        let siblings = self.columns.get(column as usize).map(|open| open.siblings.as_slice());
        has(column) || siblings.unwrap_or_default().iter().any(|&sibling| has(sibling))
    }

    /// Whether the row already has a value of this origin and name, in a column of whatever type. Asked before
    /// a column is added, so that none stays without values.
    pub(super) fn is_taken(&self, origin: Origin, physical: Physical, name: &str, row: u32) -> bool {
        match self.find(origin, physical, name) {
            Ok(column) => self.has_name(column, row),
            // The siblings of one are all there are.
            Err(_) => {
                self.others(origin, physical, name).next().is_some_and(|other| self.has_name(other, row))
            }
        }
    }

    pub(super) fn finish(self, rows: usize) -> Vec<Column> {
        let close = |column: OpenColumn| {
            let presence = if column.values.len() == rows {
                Presence::All
            } else if column.rows.is_empty() {
                Presence::Rows((0_u32..).take(column.values.len()).collect())
            } else {
                Presence::Rows(column.rows)
            };
            Column { key: column.key, presence, values: column.values }
        };
        self.columns.into_iter().map(close).collect()
    }
}

impl OpenColumn {
    /// Whether the row already has a value here.
    #[inline]
    pub(super) fn has(&self, row: u32) -> bool {
        self.last_row == row
    }

    /// Notes that the row has a value, which is pushed next.
    #[inline]
    fn add_row(&mut self, row: u32) {
        self.last_row = row;
        if !self.rows.is_empty() || self.values.len() != row as usize {
            self.add_sparse_row(row);
        }
    }

    fn add_sparse_row(&mut self, row: u32) {
        if self.rows.is_empty() {
            self.rows.extend((0_u32..).take(self.values.len()));
        }
        self.rows.push(row);
    }

    #[inline]
    pub(super) fn push_code(&mut self, row: u32, code: u32) {
        self.last_code = code;
        self.add_row(row);
        if let Values::Code(codes) = &mut self.values {
            codes.push(code);
        }
    }
}

/// The hasher of a map whose keys are hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[inline]
pub(super) fn push(
    columns: &mut Columns,
    column: ColumnIndex,
    row: u32,
    add: impl FnOnce(&mut Values),
) -> bool {
    let Some(open) = columns.columns.get_mut(column.0 as usize) else { return false };
    if open.has(row) {
        return false;
    }
    open.add_row(row);
    let before = open.values.len();
    add(&mut open.values);
    debug_assert_eq!(open.values.len(), before + 1, "value of another type for {:?}", open.key);
    true
}
