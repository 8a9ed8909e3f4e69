//! A segment holds what went in, and tells when it does not.

use proptest::prelude::*;
use skein_event::batch::Values;
use skein_event::{ColumnKey, EventBatch, Fixed};
use skein_store::ErrorKind;
use skein_store::segment::{ColumnId, Compression, RowField, Segment, Source, Zone, merge};

use crate::model::{KEY, encode, random_batch, rows_of, target};

fn all(segment: &Segment) -> Vec<String> {
    let gathered = segment.gather(&segment.all_rows()).expect("gathers");
    gathered.batch.validate().expect("a gathered batch is valid");
    rows_of(&gathered.batch)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_went_in_comes_out(seed in any::<u64>(), sizes in prop::collection::vec(1..600_usize, 1..4)) {
        let batches: Vec<EventBatch> =
            (0_u64..).zip(sizes).map(|(n, rows)| random_batch(seed ^ n, rows)).collect();
        let expected: Vec<String> = batches.iter().flat_map(rows_of).collect();
        for compression in [Compression::None, Compression::Zstd] {
            let segment = Segment::open(encode(&batches, compression)).expect("opens");
            segment.verify().expect("verifies");
            prop_assert_eq!(&all(&segment), &expected);
            let gathered = segment.gather(&segment.all_rows()).expect("gathers");
            let mut row = 0;
            for (offset, batch) in batches.iter().enumerate() {
                for index in 0..batch.rows() {
                    let id = gathered.ids[row];
                    prop_assert_eq!((id.partition.0, id.offset.0, id.index), (3, offset as u64, index as u32));
                    prop_assert_eq!(gathered.ingest_times[row], 1_700_000_000_000_000_000 + offset as i64);
                    row += 1;
                }
            }
        }
    }

    #[test]
    fn merging_segments_keeps_every_row(seed in any::<u64>(), sizes in prop::collection::vec(1..500_usize, 1..5)) {
        let batches: Vec<EventBatch> =
            (0_u64..).zip(sizes).map(|(n, rows)| random_batch(seed ^ n, rows)).collect();
        let whole = encode(&batches, Compression::Zstd);
        let parts: Vec<Segment> = (0_u64..)
            .zip(&batches)
            .map(|(n, batch)| {
                let bytes = merge(&[crate::model::source(batch, n)], &target(Compression::None)).expect("encodes");
                Segment::open(bytes).expect("opens")
            })
            .collect();
        let sources: Vec<Source<'_>> = parts.iter().map(Source::Segment).collect();
        let merged = merge(&sources, &target(Compression::Zstd)).expect("merges");
        prop_assert_eq!(all(&Segment::open(merged.clone()).expect("opens")), all(&Segment::open(whole).expect("opens")));
        // Merging what is merged changes nothing.
        let again = Segment::open(merged).expect("opens");
        let twice = merge(&[Source::Segment(&again)], &target(Compression::Zstd)).expect("merges");
        prop_assert_eq!(all(&Segment::open(twice).expect("opens")), all(&again));
    }

    #[test]
    fn zone_map_never_excludes_a_matching_block(seed in any::<u64>(), rows in 1..3000_usize) {
        let segment = Segment::open(encode(&[random_batch(seed, rows)], Compression::None)).expect("opens");
        let (mut ints, mut doubles, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        for id in (0..segment.column_count()).map(ColumnId) {
            let column = segment.column(id).expect("opens");
            let whole = column.info().zone;
            for block in 0..column.blocks() {
                column.decode_i64(block, &mut ints);
                column.decode_f64(block, &mut doubles);
                column.decode_codes(block, &mut codes);
                for zone in [whole, column.zone(block)] {
                    match zone {
                        Zone::I64(min, max) => prop_assert!(ints.iter().all(|v| (min..=max).contains(v))),
                        Zone::F64 { min, max, nan } => prop_assert!(
                            doubles.iter().all(|v| (min..=max).contains(v) || (v.is_nan() && nan))
                        ),
                        Zone::Code(min, max) => prop_assert!(codes.iter().all(|v| (min..=max).contains(v))),
                        Zone::Unordered => {}
                    }
                }
            }
        }
        let (min, max) = segment.time_range();
        let times = segment.field(RowField::Time).expect("opens");
        prop_assert!((0..rows).all(|row| (min..=max).contains(&times.get(row))));
    }

    /// Any single damaged bit is an error of opening or of verifying: each byte is under a checksum.
    #[test]
    fn damaged_chunk_is_an_error(seed in any::<u64>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = encode(&[random_batch(seed, 300)], Compression::Zstd);
        let place = at.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        let outcome = Segment::open(bytes).and_then(|segment| segment.verify());
        let kind = outcome.expect_err("damage shows").kind();
        prop_assert!(matches!(kind, ErrorKind::Damaged | ErrorKind::Unsupported), "{kind:?} at {place}");
    }

    #[test]
    fn a_cut_file_is_an_error(seed in any::<u64>(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&[random_batch(seed, 50)], Compression::None);
        prop_assert!(Segment::open(bytes[..at.index(bytes.len())].to_vec()).is_err());
    }
}

#[test]
fn rows_of_a_trace_are_found_without_a_scan() {
    let batch = random_batch(5, 4_000);
    let segment = Segment::open(encode(std::slice::from_ref(&batch), Compression::Zstd)).expect("opens");
    let column = batch.column(&ColumnKey::fixed(Fixed::TraceId)).expect("has traces");
    let Values::Id16(ids) = &column.values else { panic!("ids") };
    let mut rows = Vec::new();
    let opened = segment.column_of(&ColumnKey::fixed(Fixed::TraceId)).expect("opens").expect("is there");
    opened.present().rows_of(0, opened.present().len(), &mut rows);
    for wanted in 0..22 {
        let mut id = [3; 16];
        id[15] = wanted;
        let expected: Vec<u32> =
            rows.iter().zip(ids).filter(|&(_, found)| *found == id).map(|(&row, _)| row).collect();
        assert_eq!(segment.rows_of_trace(&id).expect("finds"), expected, "{wanted}");
    }
}

#[test]
fn a_value_is_found_by_its_hash() {
    let batch = random_batch(9, 2_000);
    let segment = Segment::open(encode(std::slice::from_ref(&batch), Compression::Zstd)).expect("opens");
    let infos = segment.by_name("attribute.3").expect("finds");
    assert_eq!(infos.len(), 1);
    assert!(segment.by_name("attribute.333").expect("finds").is_empty());
    let column = segment.column(infos[0].id).expect("opens");
    let mut text = segment.text().expect("opens");
    assert_eq!(column.dictionary_len(), 50);
    for code in 0..column.dictionary_len() {
        let hash = column.hash(code).expect("has one");
        let place = column.segment_code(code).expect("has one");
        assert_eq!(hash, KEY.hash(text.get(place).expect("reads")));
        assert_eq!(column.codes_of_hash(hash), vec![code]);
    }
    assert!(column.codes_of_hash(KEY.hash(b"nobody")).is_empty());
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    let mut bytes = encode(&[random_batch(1, 10)], Compression::None);
    bytes[4] = 2;
    let error = Segment::open(bytes).expect_err("is newer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 2"), "{error}");
}

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/segment-v1.seg");

/// The committed file of version 1 stays readable, event for event. A new version writes its file by running
/// this test with SKEIN_WRITE_GOLDEN set, after changing its name.
#[test]
fn a_segment_of_version_1_stays_readable() {
    let batches = [random_batch(7, 8), random_batch(8, 16)];
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let bytes = encode(&batches, Compression::Zstd);
        let text = all(&Segment::open(bytes.clone()).expect("opens")).join("\n") + "\n";
        std::fs::write(GOLDEN, bytes).expect("writes");
        std::fs::write(format!("{GOLDEN}.txt"), text).expect("writes");
    }
    let segment = Segment::open_file(GOLDEN.as_ref()).expect("opens");
    segment.verify().expect("verifies");
    let text = std::fs::read_to_string(format!("{GOLDEN}.txt")).expect("reads");
    assert_eq!(all(&segment), text.lines().collect::<Vec<_>>());
    assert_eq!((segment.rows(), segment.contexts(), segment.partition().0), (24, 7, 3));
    assert_eq!(segment.environment().as_str(), "default");
    // Another layout of the same events is another version, and needs a file and a reader of its own.
    let written = Segment::open(encode(&batches, Compression::Zstd)).expect("opens");
    assert_eq!(all(&written), all(&segment));
    assert_eq!(written.dictionary_len(), segment.dictionary_len());
    let chunks = |segment: &Segment| -> Vec<(String, u64)> {
        segment
            .columns()
            .map(|info| info.expect("reads"))
            .map(|i| (format!("{:?}", i.key), i.bytes))
            .collect()
    };
    assert_eq!(chunks(&written), chunks(&segment), "the format has changed: raise its version");
}

/// Makes every checksum of a file right again, so that what lies behind them is tested, too.
fn repair_checksums(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).map_or(0, |slice| u64::from_le_bytes(slice.try_into().expect("eight"))) as usize
    };
    let trailer = bytes.len() - 32;
    let footer = trailer.saturating_sub(number(bytes, trailer));
    let columns = number(bytes, footer + 8) & 0xffff_ffff;
    let fixed = (0..10).map(|chunk| (footer + 112 + chunk * 24, 0, 16));
    let of_columns = (0..columns.min(1_000)).map(|column| (footer + 352 + column * 64, 32, 28));
    for (entry, reference, checksum) in fixed.chain(of_columns).collect::<Vec<_>>() {
        if entry + 64 > trailer {
            break;
        }
        let (offset, length) = (number(bytes, entry + reference), number(bytes, entry + reference + 8));
        if let Some(chunk) = offset.checked_add(length).and_then(|end| bytes.get(offset..end)) {
            let sum = crc32c::crc32c(chunk);
            bytes[entry + checksum..entry + checksum + 4].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = crc32c::crc32c(&bytes[footer..trailer]);
    bytes[trailer + 16..trailer + 20].copy_from_slice(&sum.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Checksums find accidents; whoever writes them anew over wrong bytes gets an error or other events, but
    /// never a panic: indices are checked, not believed.
    #[test]
    fn wrong_bytes_under_right_checksums_never_panic(
        seed in 0..4_u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&[random_batch(seed, 40)], Compression::None);
        for (at, value) in changes {
            let place = 64 + at.index(bytes.len() - 64 - 32);
            bytes[place] = value;
        }
        repair_checksums(&mut bytes);
        if let Ok(segment) = Segment::open(bytes) {
            segment.verify().ok();
            if let Ok(gathered) = segment.gather(&segment.all_rows()) {
                prop_assert!(gathered.batch.validate().is_ok());
            }
            if let Ok(merged) = merge(&[Source::Segment(&segment)], &target(Compression::None)) {
                Segment::open(merged).and_then(|segment| segment.verify()).ok();
            }
            for id in 0..20 {
                segment.rows_of_trace(&[id; 16]).ok();
            }
        }
    }
}
