//! Reads a physical column of rows in their order, each block of its values decoded once.

use skein_event::batch::Physical;
use skein_store::segment::{BLOCK_VALUES, ColumnReader, PresentRows};

use super::cells::{Cells, Lane, Shape};

/// Reads a column of rows block by block.
pub(super) struct RowCursor<'a> {
    pub(super) reader: ColumnReader<'a>,
    /// The block of values that the lists hold.
    decoded: Option<usize>,
    integers: Vec<i64>,
    doubles: Vec<f64>,
    codes: Vec<u32>,
    ids: Vec<[u8; 8]>,
    rows: Vec<u32>,
    /// A row, and the number of values before it: the end of one block is the start of the next.
    ranked: std::cell::Cell<(u32, u32)>,
}

impl<'a> RowCursor<'a> {
    pub(super) fn new(reader: ColumnReader<'a>) -> RowCursor<'a> {
        RowCursor {
            reader,
            decoded: None,
            integers: Vec::new(),
            doubles: Vec::new(),
            codes: Vec::new(),
            ids: Vec::new(),
            rows: Vec::new(),
            ranked: std::cell::Cell::new((0, 0)),
        }
    }

    /// The values of some rows, by their places among all values.
    fn values_of(&self, start: u32, end: u32) -> (u32, u32) {
        let rank = |row: u32| match self.ranked.get() {
            (known, rank) if known == row => rank,
            _ => {
                let rank = self.reader.present().rank(row);
                self.ranked.set((row, rank));
                rank
            }
        };
        let first = rank(start);
        (first, rank(end))
    }

    pub(super) fn may_have(&self, start: u32, end: u32) -> bool {
        match self.reader.present() {
            PresentRows::All { .. } => true,
            _ => {
                let (first, last) = self.values_of(start, end);
                // Whoever asks next wants the same rows.
                self.ranked.set((start, first));
                first < last
            }
        }
    }

    /// Gives out the values of rows `start..end`, which lie in one block of rows.
    pub(super) fn gather(&mut self, part: u8, start: u32, end: u32, cells: &mut Cells) -> Shape {
        if let PresentRows::All { .. } = self.reader.present() {
            let block = start as usize / BLOCK_VALUES;
            match cells.lane {
                Lane::Integers => self.reader.decode_i64(block, &mut cells.integers),
                Lane::Doubles => self.reader.decode_f64(block, &mut cells.doubles),
                Lane::Codes => self.reader.decode_codes(block, &mut cells.codes),
            }
            return Shape::Dense(part);
        }
        let (first, last) = self.values_of(start, end);
        if first == last {
            return Shape::Empty;
        }
        let (mut at, last_value) = (first as usize, last as usize);
        while at < last_value {
            let block = at / BLOCK_VALUES;
            self.decode(block);
            let until = last_value.min((block + 1) * BLOCK_VALUES);
            let range = at - block * BLOCK_VALUES..until - block * BLOCK_VALUES;
            match cells.lane {
                Lane::Integers => cells.integers.extend_from_slice(slice(&self.integers, range)),
                Lane::Doubles => cells.doubles.extend_from_slice(slice(&self.doubles, range)),
                Lane::Codes => cells.codes.extend_from_slice(slice(&self.codes, range)),
            }
            at = until;
        }
        if last - first == end - start {
            return Shape::Dense(part);
        }
        Shape::Sparse(part)
    }

    /// Replaces `places` by those that have a value, counted from `start`.
    pub(super) fn places(&mut self, start: u32, end: u32, places: &mut Vec<u16>) {
        let (first, last) = self.values_of(start, end);
        self.reader.present().rows_of(first, last - first, &mut self.rows);
        places.clear();
        let place = |&row: &u32| u16::try_from(row - start).unwrap_or(u16::MAX);
        places.extend(self.rows.iter().map(place));
    }

    /// Calls back with the place and the bits of each row of a block that has a value.
    pub(super) fn for_each_cell(&mut self, start: u32, rows: usize, mut take: impl FnMut(usize, u64)) {
        let end = start.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        for block in self.reader.present().value_blocks(start, end) {
            self.decode(block);
            self.reader.rows_of_block(block, &mut self.rows);
            let first = self.rows.partition_point(|&row| row < start);
            let last = self.rows.partition_point(|&row| row < end);
            for place in first..last {
                take((self.rows[place] - start) as usize, self.bits(place));
            }
        }
    }

    /// The bits of a value of the block that is decoded.
    fn bits(&self, place: usize) -> u64 {
        match self.reader.info().key.physical {
            Physical::Bool | Physical::I64 | Physical::DurationNs => {
                self.integers.get(place).map_or(0, |value| value.cast_unsigned())
            }
            Physical::F64 => self.doubles.get(place).map_or(0, |value| value.to_bits()),
            Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => {
                self.codes.get(place).map_or(0, |&code| u64::from(code))
            }
            Physical::SpanId => self.ids.get(place).map_or(0, |&id| u64::from_be_bytes(id)),
        }
    }

    fn decode(&mut self, block: usize) {
        if self.decoded == Some(block) {
            return;
        }
        self.decoded = Some(block);
        match self.reader.info().key.physical {
            Physical::Bool | Physical::I64 | Physical::DurationNs => {
                self.reader.decode_i64(block, &mut self.integers);
            }
            Physical::F64 => self.reader.decode_f64(block, &mut self.doubles),
            Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => {
                self.reader.decode_codes(block, &mut self.codes);
            }
            Physical::SpanId => self.reader.decode_span_ids(block, &mut self.ids),
        }
    }
}

fn slice<T>(values: &[T], range: std::ops::Range<usize>) -> &[T] {
    values.get(range).unwrap_or(&[])
}
