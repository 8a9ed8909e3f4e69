//! The reader of segments.

use skein_event::Environment;
use skein_event::EventBatch;
use skein_event::ids::{Offset, Partition};
use skein_store::segment::{
    BatchSource, ColumnId, Compression, FlushPart, Header, Segment, Source, Target, TraceFilter, merge,
};

use super::bodies::KEY;
use super::repair::repair;
use super::round_trip::ARRIVAL_NS;

/// A segment as it is.
pub fn segment(data: &[u8]) {
    read_segment(data.to_vec());
}

/// A segment whose checksums are right: damage that only the checks of indices can find.
pub fn segment_repaired(data: &[u8]) {
    let mut bytes = data.to_vec();
    repair(&mut bytes);
    read_segment(bytes);
}

/// Batches of a cold seed.
const COLD_BATCHES: usize = 120;

/// Rows that are taken out of a segment whose footer says it has more.
const ROWS_MAX: usize = 4_096;

fn read_segment(bytes: Vec<u8>) {
    let Ok(segment) = Segment::open(bytes) else { return };
    let verified = segment.verify().is_ok();
    for id in 0..segment.column_count().min(1_000) {
        let Ok(column) = segment.column(ColumnId(id)) else { continue };
        let (mut codes, mut integers, mut doubles, mut rows) = (vec![], vec![], vec![], vec![]);
        for block in 0..column.blocks().min(64) {
            column.decode_codes(block, &mut codes);
            column.decode_i64(block, &mut integers);
            column.decode_f64(block, &mut doubles);
            column.rows_of_block(block, &mut rows);
            column.zone(block);
        }
        column.hashes().ok();
        let mut text = column.text().ok();
        for code in codes.iter().take(64) {
            column.hash(*code).ok();
            column.codes_of_hash(u64::from(*code)).ok();
            column.rows_of_code(*code);
            text.as_mut().map(|text| text.get(*code).map(drop));
        }
    }
    segment.rows_of_trace(&[7; 16]).ok();
    if let Ok(Some(filter)) = segment.trace_filter() {
        TraceFilter::open(filter).expect("a filter that was handed out can be opened").contains(7);
    }
    assert!(verified == segment.problems().is_empty(), "verify and problems differ");
    let rows: Vec<u32> = segment.all_rows().into_iter().take(ROWS_MAX).collect();
    match segment.gather(&rows) {
        Ok(gathered) => {
            assert_eq!(gathered.batch.validate(), Ok(()));
            skein_ingest::export(&gathered.batch).ok();
        }
        Err(error) => assert!(!verified, "a verified segment cannot be read: {error}"),
    }
}

/// Segments of what the doors make of generated requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let target = |compression| Target {
        header: Header {
            hash_key: KEY,
            environment: Environment::default_environment(),
            partition: Partition(3),
            day: 19_386,
            append_time_ns: 0,
        },
        compression,
        flush: FlushPart { low: 0, new_low: 9, part: 0, parts: 1 },
        replaces: vec!["an-older-segment".to_owned()],
    };
    let batches = super::seeds::batches();
    let segment = |compression, batches: &[EventBatch]| {
        let sources: Vec<Source<'_>> = (0..)
            .zip(batches)
            .map(|(offset, batch)| {
                let append_time_ns = ARRIVAL_NS;
                Source::Batch(BatchSource { batch, offset: Offset(offset), append_time_ns, indexes: None })
            })
            .collect();
        merge(&sources, &target(compression)).expect("batches of a door are merged")
    };
    let mut seeds: Vec<Vec<u8>> = batches
        .chunks(3)
        .enumerate()
        .map(|(n, some)| segment(if n % 2 == 0 { Compression::Zstd } else { Compression::None }, some))
        .collect();
    // Integers lie in a wrap only where there are some hundred.
    for many in batches.chunks(8).take(3) {
        let many: Vec<EventBatch> = many.iter().cycle().take(COLD_BATCHES).cloned().collect();
        seeds.push(segment(Compression::Cold, &many));
    }
    seeds
}
