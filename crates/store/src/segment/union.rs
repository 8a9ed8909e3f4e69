//! The columns of several sources as one list, in the order of the footer.
//!
//! A head block is made of a hundred batches of hundreds of columns each, so a column that is known costs one
//! hash of its name and one comparison.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use skein_event::batch::{Column, ColumnKey};
use skein_event::columns::Level;
use skein_event::hash::HashKey;

use super::bytes::count;
use super::footer_write::Entry;
use super::source::{Open, Source, UNUSED};
use crate::error::{Error, ErrorKind};

/// A column of the merged segment.
pub(super) struct MergedColumn {
    pub(super) key: ColumnKey,
    pub(super) name_hash: u64,
    pub(super) level: Level,
    /// Source and column there, of sources that are segments.
    pub(super) places: Vec<(usize, u32)>,
    pub(super) entry: Option<Entry>,
}

/// A key that carries the keyed hash of its name.
struct HashedKey<'k> {
    hash: u64,
    key: &'k ColumnKey,
}

impl PartialEq for HashedKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for HashedKey<'_> {}

impl Hash for HashedKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Names that occur with several types or origins are few.
        state.write_u64(self.hash);
    }
}

/// Hands a keyed hash on: nobody outside can prepare names that meet.
#[derive(Default)]
struct Given(u64);

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

/// The columns under collection, in order of first appearance.
struct Union<'k> {
    hash_key: HashKey,
    index: HashMap<HashedKey<'k>, u32, BuildHasherDefault<Given>>,
    columns: Vec<MergedColumn>,
    /// The source that had each column last.
    last_source: Vec<usize>,
}

impl<'k> Union<'k> {
    fn number(&mut self, key: &'k ColumnKey, source: usize) -> Result<u32, Error> {
        let hash = self.hash_key.hash(key.name.as_bytes());
        let next = count(self.columns.len());
        let number = *self.index.entry(HashedKey { hash, key }).or_insert(next);
        if number == next {
            if key.name.len() > usize::from(u16::MAX) {
                return Err(Error::new(ErrorKind::TooLarge, "a column's name is longer than 65,535 bytes"));
            }
            let (key, level) = (key.clone(), key.level());
            self.columns.push(MergedColumn { key, name_hash: hash, level, places: Vec::new(), entry: None });
            self.last_source.push(source);
        } else if std::mem::replace(&mut self.last_source[number as usize], source) == source {
            return Err(Error::damaged(format!("{key:?} occurs twice in one batch")));
        }
        Ok(number)
    }

    /// The numbers of a batch's columns of one level.
    fn batch(&mut self, columns: &'k [Column], level: Level, source: usize) -> Result<Vec<u32>, Error> {
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
}

/// The columns of all sources in the order of the footer, and each source's way there.
pub(super) fn union(sources: &mut [Open<'_>], hash_key: HashKey) -> Result<Vec<MergedColumn>, Error> {
    let keys = sources.iter().map(segment_keys).collect::<Result<Vec<_>, Error>>()?;
    let mut union =
        Union { hash_key, index: HashMap::default(), columns: Vec::new(), last_source: Vec::new() };
    for (source, open) in sources.iter_mut().enumerate() {
        if let Some(batch) = open.source.batch() {
            let rows = union.batch(&batch.columns, Level::Row, source)?;
            open.columns = [rows, union.batch(&batch.context_columns, Level::Context, source)?];
            continue;
        }
        let mut numbers = Vec::new();
        for (key, old) in &keys[source] {
            let number = union.number(key, source)?;
            union.columns[number as usize].places.push((source, *old));
            numbers.resize(numbers.len().max(*old as usize + 1), UNUSED);
            numbers[*old as usize] = number;
        }
        open.columns = [numbers.clone(), numbers];
    }
    let columns = union.columns;
    let mut order: Vec<u32> = (0..count(columns.len())).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&columns[a as usize], &columns[b as usize]);
        (a.name_hash, &a.key.name, &a.key).cmp(&(b.name_hash, &b.key.name, &b.key))
    });
    let mut ranks = vec![0; order.len()];
    for (rank, &old) in (0_u32..).zip(&order) {
        ranks[old as usize] = rank;
    }
    let numbers = sources.iter_mut().flat_map(|open| open.columns.iter_mut().flatten());
    for number in numbers.filter(|number| **number != UNUSED) {
        *number = ranks[*number as usize];
    }
    let mut ranked: Vec<(u32, MergedColumn)> = ranks.into_iter().zip(columns).collect();
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    Ok(ranked.into_iter().map(|(_, column)| column).collect())
}

/// The keys of a segment's columns with their numbers there; none of a batch.
fn segment_keys(open: &Open<'_>) -> Result<Vec<(ColumnKey, u32)>, Error> {
    match open.source {
        Source::Segment(segment) => {
            segment.columns().map(|info| info.map(|info| (info.key, info.id.0))).collect()
        }
        Source::Batch(_) | Source::Gathered(_) => Ok(Vec::new()),
    }
}
