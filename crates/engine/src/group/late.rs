//! Texts that are read late: for what is shown, and to see that equal hashes were equal texts.

use std::sync::Arc;

use skein_query::number::{Type, ValueRef};
use skein_query::plan::Column;
use skein_store::Error;
use skein_store::segment::ColumnId;

use super::{Entry, Groups, Known, MISSING_ID, PartValue};
use crate::column::{BoundColumn, Part};
use crate::scan::Failure;
use crate::snapshot::SnapshotView;

impl Groups {
    /// Adds the group of rows without a value, of one breakdown.
    pub(crate) fn add_missing(&mut self, rows: u64) {
        let group = self.group_of(&[MISSING_ID]);
        self.rows[group as usize] += rows;
    }

    /// Adds a group whose text is read when it is shown: by its hash, and where the text is. Others may share the hash
    /// until [`Groups::confirm`] has looked.
    pub(crate) fn add_later(&mut self, hash: u64, (place, column, code): (usize, ColumnId, u32), rows: u64) {
        let value = PartValue { hash, kind: Type::Text, known: Known::Later { column, code } };
        let id = self.values.intern(place, value);
        if let Some(entry) = self.values.entries.get_mut(id as usize - 1) {
            entry.trusted = true;
        }
        let group = self.group_of(&[id]);
        self.rows[group as usize] += rows;
    }

    /// Reads the texts of some groups that nobody has read yet.
    pub(crate) fn load(
        &mut self,
        groups: impl Iterator<Item = usize>,
        view: &SnapshotView,
    ) -> Result<(), Failure> {
        let mut wanted: Vec<(usize, ColumnId, u32, usize)> = Vec::new();
        for group in groups {
            for &id in self.keys.get(group * self.breakdowns..(group + 1) * self.breakdowns).unwrap_or(&[]) {
                let entry =
                    self.values.entry(id).filter(|entry| entry.text.is_none() || entry.values.is_empty());
                if let Some((place, column, code)) = entry.and_then(|entry| entry.later) {
                    wanted.push((place, column, code, id as usize - 1));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        for of_column in wanted.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some(&(place, column, ..)) = of_column.first() else { continue };
            let failed = |error| Failure::Segment(place, error);
            let Some(handle) = view.segments.get(place) else { continue };
            let segment = handle.open().map_err(failed)?;
            let mut text = segment.column(column).and_then(|column| column.text()).map_err(failed)?;
            for &(.., code, number) in of_column {
                let bytes = text.get(code).map_err(failed)?;
                let value = ValueRef::Text(&String::from_utf8_lossy(bytes)).to_value();
                let text: Arc<str> = Arc::from(ValueRef::from(&value).canonical_text().as_ref());
                if let Some(entry) = self.values.entries.get_mut(number) {
                    self.values.heap_bytes += 2 * text.len() + 96;
                    entry.text.get_or_insert(text);
                    entry.values.push((Type::Text, value));
                }
            }
        }
        Ok(())
    }

    /// Whether every value of some groups that was found by its hash alone has the same text in every segment.
    ///
    /// PRE: their texts were loaded.
    pub(crate) fn confirm(
        &self,
        groups: impl Iterator<Item = usize>,
        columns: &[Column],
        view: &SnapshotView,
        excluded: &[usize],
    ) -> Result<bool, Failure> {
        let mut trusted: Vec<Vec<&Entry>> = vec![Vec::new(); columns.len()];
        for group in groups {
            for (entries, &id) in trusted.iter_mut().zip(self.key(group)) {
                entries.extend(self.values.entry(id).filter(|entry| entry.trusted));
            }
        }
        if trusted.iter().all(Vec::is_empty) {
            return Ok(true);
        }
        for (place, handle) in view.segments.iter().enumerate().filter(|(place, _)| !excluded.contains(place))
        {
            let failed = |error| Failure::Segment(place, error);
            let segment = handle.open().map_err(failed)?;
            for (column, entries) in
                columns.iter().zip(&mut trusted).filter(|(_, entries)| !entries.is_empty())
            {
                entries.sort_unstable_by_key(|entry| entry.hash);
                entries.dedup_by_key(|entry| entry.hash);
                let mut column = BoundColumn::bind(&segment, column).map_err(failed)?;
                for part in column.parts.iter_mut().filter(|part| part.has_hashes()) {
                    for entry in entries.iter() {
                        if !same_text(part, entry).map_err(failed)? {
                            return Ok(false);
                        }
                    }
                }
            }
        }
        Ok(true)
    }
}

fn same_text(part: &mut Part<'_>, entry: &Entry) -> Result<bool, Error> {
    for code in part.codes_of_hash(entry.hash)? {
        let known = entry.text.as_deref();
        let same =
            |value: Option<ValueRef<'_>>| value.map(|value| Some(value.canonical_text().as_ref()) == known);
        if part.with_value(u64::from(code), same)? == Some(false) {
            return Ok(false);
        }
    }
    Ok(true)
}
