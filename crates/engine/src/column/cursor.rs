//! Reads a physical column of rows in their order, each block of its values decoded once.

use skein_event::batch::Physical;
use skein_store::segment::ColumnReader;

/// Reads a column of rows block by block.
pub(super) struct RowCursor<'a> {
    pub(super) reader: ColumnReader<'a>,
    /// The block of values that `raw` holds, and `rows` the rows of.
    pub(super) decoded: Option<usize>,
    pub(super) raw: Vec<u64>,
    pub(super) integers: Vec<i64>,
    pub(super) doubles: Vec<f64>,
    pub(super) codes: Vec<u32>,
    pub(super) ids: Vec<[u8; 8]>,
    pub(super) rows: Vec<u32>,
}

impl RowCursor<'_> {
    pub(super) fn for_each_cell(&mut self, start: u32, rows: usize, mut take: impl FnMut(usize, u64)) {
        let end = start.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
        for block in self.reader.present().value_blocks(start, end) {
            self.decode(block);
            let first = self.rows.partition_point(|&row| row < start);
            let cells = self.rows[first..].iter().zip(self.raw.get(first..).unwrap_or(&[]));
            for (&row, &bits) in cells.take_while(|(row, _)| **row < end) {
                take((row - start) as usize, bits);
            }
        }
    }

    #[inline]
    fn decode(&mut self, block: usize) {
        if self.decoded != Some(block) {
            self.decode_block(block);
        }
    }

    #[cold]
    fn decode_block(&mut self, block: usize) {
        self.decoded = Some(block);
        self.reader.rows_of_block(block, &mut self.rows);
        self.raw.clear();
        match self.reader.info().key.physical {
            Physical::Bool | Physical::I64 | Physical::DurationNs => {
                self.reader.decode_i64(block, &mut self.integers);
                self.raw.extend(self.integers.iter().map(|value| value.cast_unsigned()));
            }
            Physical::F64 => {
                self.reader.decode_f64(block, &mut self.doubles);
                self.raw.extend(self.doubles.iter().map(|value| value.to_bits()));
            }
            Physical::Text | Physical::Bytes | Physical::Json | Physical::TraceId => {
                self.reader.decode_codes(block, &mut self.codes);
                self.raw.extend(self.codes.iter().map(|&code| u64::from(code)));
            }
            Physical::SpanId => {
                self.reader.decode_span_ids(block, &mut self.ids);
                self.raw.extend(self.ids.iter().map(|&id| u64::from_be_bytes(id)));
            }
        }
    }
}
