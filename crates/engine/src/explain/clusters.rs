//! The place and the sign of each row's trace ([`cluster`]), packed. An event without a trace is one of its own,
//! whatever the segment that it lies in.

use skein_event::batch::ColumnKey;
use skein_event::columns::Fixed;
use skein_query::explain::cluster;
use skein_store::Error;
use skein_store::segment::{Segment, trace_hash};

use super::rows::{NO_CLASS, Rows};

/// By row; of rows that take no part nothing is known.
#[derive(Default)]
pub(super) struct RowClusters(Vec<u16>);

const SIGN: u16 = 1 << 15;
const UNKNOWN: u16 = u16::MAX;

fn pack(hash: u64) -> u16 {
    let (place, sign) = cluster(hash);
    let place = u16::try_from(place).unwrap_or_default();
    if sign < 0.0 { place | SIGN } else { place }
}

impl RowClusters {
    pub(super) fn new(segment: &Segment, rows: &Rows) -> Result<RowClusters, Error> {
        let key = segment.header().hash_key;
        let classes = rows.classes();
        let mut clusters = vec![UNKNOWN; classes.len()];
        if let Some(column) = segment.column_of(&ColumnKey::fixed(Fixed::TraceId))? {
            let mut of_code = vec![UNKNOWN; column.dictionary_len() as usize];
            let (mut codes, mut of_block) = (Vec::new(), Vec::new());
            for block in 0..column.blocks() {
                column.rows_of_block(block, &mut of_block);
                let active = |row: &u32| classes.get(*row as usize).is_some_and(|&class| class != NO_CLASS);
                if !of_block.iter().any(active) {
                    continue;
                }
                column.decode_codes(block, &mut codes);
                for (&row, &code) in of_block.iter().zip(&codes) {
                    let (Some(slot), Some(known)) =
                        (clusters.get_mut(row as usize), of_code.get_mut(code as usize))
                    else {
                        continue;
                    };
                    if *known == UNKNOWN {
                        let id = column.trace_id(code).unwrap_or_default();
                        *known = pack(trace_hash(key, &id));
                    }
                    *slot = *known;
                }
            }
        }
        let alone = |(_, (cluster, class)): &(u32, (&u16, &u8))| **cluster == UNKNOWN && **class != NO_CLASS;
        let alone: Vec<u32> =
            (0..).zip(clusters.iter().zip(classes)).filter(alone).map(|(row, _)| row).collect();
        for (row, id) in alone.iter().zip(segment.event_ids(&alone)?) {
            let mut bytes = [0; 14];
            bytes[..8].copy_from_slice(&id.offset.0.to_le_bytes());
            bytes[8..12].copy_from_slice(&id.index.to_le_bytes());
            bytes[12..14].copy_from_slice(&id.partition.0.to_le_bytes());
            clusters[*row as usize] = pack(key.hash(&bytes));
        }
        Ok(RowClusters(clusters))
    }

    /// Place and sign of a row's trace.
    #[inline]
    pub(super) fn of(&self, row: u32) -> (usize, f64) {
        let packed = self.0.get(row as usize).copied().unwrap_or_default();
        (usize::from(packed & !SIGN), if packed & SIGN == 0 { 1.0 } else { -1.0 })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.len() * size_of::<u16>()
    }
}
