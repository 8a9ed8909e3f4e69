//! What every row of a merged segment has: its place, its times, its identity, its context, its shape.

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;

use super::super::arrange::{Arrangement, RowKeys, text_ranks};
use super::super::bytes::count;
use super::super::collect::chunk_of;
use super::super::ints_dictionary::Dictionary;
use super::super::ints_write::{Effort, write_codes, write_ints, write_random_access};
use super::super::layout::{Chunk, FLAG_INGEST_OF_OFFSETS};
use super::super::reader::RowField;
use super::Merger;
use crate::error::Error;

impl Merger<'_> {
    /// Decides where rows go: clustered by (dataset, time).
    pub(super) fn cluster(&mut self) -> Result<(), Error> {
        let key = ColumnKey::fixed(Fixed::Dataset);
        let column = self.columns.iter().position(|column| column.key == key);
        let text_of = |pairs: &[(u32, u64)]| {
            let pair = pairs.iter().find(|pair| Some(pair.0 as usize) == column)?;
            Some(self.context_values.get(u32::try_from(pair.1).ok()?))
        };
        let ranks = text_ranks(&self.contexts.iter().map(|(pairs, _)| text_of(pairs)).collect::<Vec<_>>());
        let ranks = self.number_contexts_by(ranks);
        let datasets = self.row_contexts.iter().map(|&context| ranks[context as usize]).collect();
        let mut keys = RowKeys { datasets, ..RowKeys::default() };
        for open in &self.sources {
            keys.times.extend_from_slice(&open.field(RowField::Time)?);
            keys.offsets.extend_from_slice(&open.field(RowField::Offset)?);
            keys.indexes.extend_from_slice(&open.field(RowField::Index)?);
        }
        self.arrangement = Some(Arrangement::clustered(&keys));
        Ok(())
    }

    /// Numbers contexts in the order of their datasets, so that the least and the largest of a block tell what all of
    /// its rows have in common; answers the ranks in that order.
    fn number_contexts_by(&mut self, ranks: Vec<u32>) -> Vec<u32> {
        let mut order: Vec<u32> = (0..count(ranks.len())).collect();
        order.sort_by_key(|&context| ranks[context as usize]);
        let mut numbers = vec![0; order.len()];
        for (number, &context) in (0_u32..).zip(&order) {
            numbers[context as usize] = number;
        }
        let mut contexts = std::mem::take(&mut self.contexts);
        let take = |&context: &u32| std::mem::take(&mut contexts[context as usize]);
        self.contexts = order.iter().map(take).collect();
        self.row_contexts.iter_mut().for_each(|context| *context = numbers[*context as usize]);
        order.iter().map(|&context| ranks[context as usize]).collect()
    }

    /// Writes what every row has.
    pub(super) fn merge_rows(&mut self) -> Result<(), Error> {
        let counts = &mut self.footer.counts;
        counts.rows = self.rows;
        counts.contexts = count(self.contexts.len());
        for field in [RowField::Time, RowField::Index] {
            let all = self.rows_of(field)?;
            let effort = self.settings.effort();
            self.write_chunk(chunk_of(field), |out| write_ints(&all, effort, out));
        }
        let (offsets, times) = (self.rows_of(RowField::Offset)?, self.rows_of(RowField::IngestTime)?);
        self.write_arrival(&offsets, &times);
        let mut contexts = std::mem::take(&mut self.row_contexts);
        let mut shapes = std::mem::take(&mut self.row_shapes);
        if let Some(arranged) = &self.arrangement {
            (contexts, shapes) = (arranged.field(&contexts), arranged.field(&shapes));
        }
        let effort = self.settings.effort();
        self.write_chunk(Chunk::Context, |out| write_codes(&contexts, effort, out));
        self.write_chunk(Chunk::Shape, |out| write_codes(&shapes, effort, out));
        Ok(())
    }

    /// A field of all rows in their order; the footer learns its range.
    fn rows_of(&mut self, field: RowField) -> Result<Vec<i64>, Error> {
        let mut all = Vec::with_capacity(self.rows as usize);
        for open in &self.sources {
            all.extend_from_slice(&open.field(field)?);
        }
        let min = all.iter().copied().min().unwrap_or(0);
        let max = all.iter().copied().max().unwrap_or(0);
        let counts = &mut self.footer.counts;
        match field {
            RowField::Time => counts.time = (min, max),
            RowField::IngestTime => counts.ingest = (min, max),
            RowField::Offset => counts.offset = (min.cast_unsigned(), max.cast_unsigned()),
            _ => {}
        }
        Ok(match &self.arrangement {
            Some(arranged) => arranged.field(&all),
            None => all,
        })
    }

    /// Log offsets and append times. The events of a record were appended together: in a file that stays, the times are
    /// those of the different offsets.
    fn write_arrival(&mut self, offsets: &[i64], times: &[i64]) {
        let effort = self.settings.effort();
        let by_offset = Dictionary::of(offsets).filter(|_| effort == Effort::Cold);
        if let Some((records, of_records)) =
            by_offset.and_then(|records| Some((records.each_has_one(times)?, records)))
        {
            self.write_chunk(Chunk::Offset, |out| of_records.write(effort, out));
            self.write_chunk(Chunk::Ingest, |out| write_random_access(&records, out));
            self.footer.counts.flags |= FLAG_INGEST_OF_OFFSETS;
            return;
        }
        self.write_chunk(Chunk::Offset, |out| write_ints(offsets, effort, out));
        self.write_chunk(Chunk::Ingest, |out| write_ints(times, effort, out));
    }
}
