//! The columns of several sources as one list, in the order of the footer.

use std::collections::HashMap;

use skein_event::batch::ColumnKey;
use skein_event::columns::Level;
use skein_event::hash::HashKey;

use super::footer_write::Entry;
use super::source::{Open, Source, UNUSED};
use crate::error::{Error, ErrorKind};

/// A column of the merged segment.
pub(super) struct MergedColumn {
    pub(super) key: ColumnKey,
    pub(super) name_hash: u64,
    /// Source and column there.
    pub(super) places: Vec<(usize, u32)>,
    pub(super) entry: Option<Entry>,
}

/// The columns of all sources in the order of the footer, and each source's way there.
pub(super) fn union(sources: &mut [Open<'_>], hash_key: HashKey) -> Result<Vec<MergedColumn>, Error> {
    let mut index: HashMap<ColumnKey, usize> = HashMap::new();
    let mut columns: Vec<MergedColumn> = Vec::new();
    for (source, open) in sources.iter().enumerate() {
        for (key, number) in open.keys()? {
            if key.name.len() > usize::from(u16::MAX) {
                return Err(Error::new(ErrorKind::TooLarge, "a column's name is longer than 65,535 bytes"));
            }
            let place = *index.entry(key).or_insert_with_key(|key| {
                let name_hash = hash_key.hash(key.name.as_bytes());
                columns.push(MergedColumn { key: key.clone(), name_hash, places: Vec::new(), entry: None });
                columns.len() - 1
            });
            columns[place].places.push((source, number));
        }
    }
    columns.sort_by(|a, b| (a.name_hash, &a.key.name, &a.key).cmp(&(b.name_hash, &b.key.name, &b.key)));
    for (id, column) in (0_u32..).zip(&columns) {
        if column.places.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::damaged(format!("{:?} occurs twice in one batch", column.key)));
        }
        for &(source, number) in &column.places {
            let open = &mut sources[source];
            let level = usize::from(column.key.level() == Level::Context);
            let side = match open.source {
                Source::Batch(_) | Source::Gathered(_) => level..=level,
                Source::Segment(_) => 0..=1,
            };
            for numbers in &mut open.columns[side] {
                numbers.resize(numbers.len().max(number as usize + 1), UNUSED);
                numbers[number as usize] = id;
            }
        }
    }
    Ok(columns)
}
