//! A segment holds what went in, and tells when it does not.

use proptest::prelude::*;
use skein_event::batch::{Token, TokenKind, Values};
use skein_event::builder::{BatchBuilder, ColumnIndex};
use skein_event::ids::EventId;
use skein_event::{ColumnKey, EventBatch, Fixed, Origin, Physical};
use skein_store::ErrorKind;
use skein_store::segment::{
    ColumnId, Compression, Order, RowField, Segment, Source, TraceFilter, VERSION, Zone, merge,
    merge_in_memory, merge_with, trace_hash,
};

use crate::model::{KEY, batch_of_datasets, dataset_of, encode, random_batch, rows_of, source, target};

pub(crate) fn all(segment: &Segment) -> Vec<String> {
    let gathered = segment.gather(&segment.all_rows()).expect("gathers");
    gathered.batch.validate().expect("a gathered batch is valid");
    rows_of(&gathered.batch)
}

fn clustered(sources: &[Source<'_>]) -> Segment {
    let bytes = merge_with(sources, &target(Compression::Zstd), Order::Clustered, &mut || Ok(()));
    Segment::open(bytes.expect("merges")).expect("opens")
}

/// A row with what decides about its place.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Identified {
    dataset: String,
    time: i64,
    id: EventId,
    text: String,
}

impl Identified {
    fn key(&self) -> (String, i64, EventId) {
        (self.dataset.clone(), self.time, self.id)
    }
}

fn identified(segment: &Segment) -> Vec<Identified> {
    let gathered = segment.gather(&segment.all_rows()).expect("gathers");
    let batch = &gathered.batch;
    let texts = rows_of(batch).into_iter().zip(&gathered.ids).zip(&gathered.ingest_times).enumerate();
    let row = |(row, ((text, id), ingest)): (usize, ((String, &EventId), &i64))| Identified {
        dataset: dataset_of(batch, row),
        time: batch.times[row],
        id: *id,
        text: format!("{ingest} {text}"),
    };
    texts.map(row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_went_in_comes_out(seed in any::<u64>(), sizes in prop::collection::vec(1..600_usize, 1..4)) {
        let batches: Vec<EventBatch> =
            (0_u64..).zip(sizes).map(|(n, rows)| random_batch(seed ^ n, rows)).collect();
        let expected: Vec<String> = batches.iter().flat_map(rows_of).collect();
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let segment = Segment::open(encode(&batches, compression)).expect("opens");
            segment.verify().expect("verifies");
            prop_assert_eq!(segment.problems(), vec![]);
            let sizes = segment.sizes().expect("adds up");
            prop_assert_eq!(sizes.iter().map(|part| part.bytes).sum::<u64>(), segment.byte_len());
            prop_assert_eq!(&all(&segment), &expected);
            // Some rows, one of them twice, are the same as of all.
            let rows = segment.rows();
            let some: Vec<u32> = [rows / 2, 0, rows - 1, rows / 2].into();
            let gathered = segment.gather(&some).expect("gathers");
            let wanted: Vec<String> = some.iter().map(|&row| expected[row as usize].clone()).collect();
            prop_assert_eq!(rows_of(&gathered.batch), wanted);
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
                let bytes = merge(&[source(batch, n)], &target(Compression::None)).expect("encodes");
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

    /// However its sources were cut and merged before, a clustered segment has the same rows in the same order.
    #[test]
    fn clustering_keeps_every_row_and_forgets_how_it_was_merged(
        seed in any::<u64>(),
        sizes in prop::collection::vec(1..400_usize, 2..5),
    ) {
        let batches: Vec<EventBatch> =
            (0_u64..).zip(sizes).map(|(n, rows)| batch_of_datasets(seed ^ n, rows)).collect();
        let source = |n: usize| source(&batches[n], n as u64);
        let all_sources: Vec<Source<'_>> = (0..batches.len()).map(source).collect();
        let whole = clustered(&all_sources);
        whole.verify().expect("verifies");
        let rows = identified(&whole);
        let mut expected = identified(&Segment::open(encode(&batches, Compression::None)).expect("opens"));
        expected.sort_by_key(|row| row.key());
        prop_assert_eq!(&rows, &expected);
        // In two halves, the later one first and itself clustered before.
        let (first, second) = all_sources.split_at(1);
        let (first, second) = (clustered(first), clustered(second));
        let again = clustered(&[Source::Segment(&second), Source::Segment(&first)]);
        again.verify().expect("verifies");
        prop_assert_eq!(&identified(&again), &expected);
        // Ids are numbered in the order of time, so that those of a block lie close together.
        let column = again.column_of(&ColumnKey::fixed(Fixed::TraceId)).expect("opens").expect("is there");
        let mut first_seen = vec![i64::MAX; column.dictionary_len() as usize];
        for (code, first) in (0_u32..).zip(&mut first_seen) {
            let times = column.rows_of_code(code).into_iter().map(|row| rows[row as usize].time);
            *first = times.min().expect("a code is used");
        }
        prop_assert!(first_seen.is_sorted());
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
fn every_trace_is_in_the_filter() {
    let segment = Segment::open(encode(&[random_batch(5, 4_000)], Compression::Zstd)).expect("opens");
    let filter = TraceFilter::open(segment.trace_filter().expect("opens").expect("has one")).expect("opens");
    for id in 0..20 {
        let mut trace = [3; 16];
        trace[15] = id;
        assert!(!segment.rows_of_trace(&trace).expect("finds").is_empty());
        assert!(filter.contains(trace_hash(KEY, &trace)), "{id}");
    }
    let head = Segment::open(encode(&[random_batch(5, 40)], Compression::None)).expect("opens");
    assert_eq!(head.trace_filter().expect("opens"), None);
}

/// Every byte of a file is under some check: one problem at least is found, near the byte.
#[test]
fn problems_say_where_the_damage_is() {
    let good = encode(&[random_batch(4, 3_000)], Compression::Zstd);
    let trailer = good.len() - 32;
    for place in (200..trailer - 20_000).step_by(good.len() / 40) {
        let mut bytes = good.clone();
        bytes[place] ^= 4;
        let problems = Segment::open(bytes).expect("opens").problems();
        let hit = problems.iter().any(|p| (p.offset..p.offset + p.length).contains(&(place as u64)));
        assert!(hit, "{place}: {problems:?}");
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
    let mut text = column.text().expect("opens");
    assert_eq!(column.dictionary_len(), 50);
    let hashes = column.hashes().expect("opens");
    for code in 0..column.dictionary_len() {
        let hash = column.hash(code).expect("opens").expect("has one");
        assert_eq!((hash, hash), (hashes[code as usize], KEY.hash(text.get(code).expect("reads"))));
        assert_eq!(column.codes_of_hash(hash).expect("finds"), vec![code]);
    }
    assert!(column.codes_of_hash(KEY.hash(b"nobody")).expect("finds").is_empty());
    assert!(text.get(50).is_err());
}

/// A flush is given closed blocks of its head and after them the open one's records.
#[test]
fn batches_between_segments_merge_as_batches_alone() {
    for seed in 0..12_u64 {
        let batches: Vec<EventBatch> =
            (0..6).map(|n| random_batch(seed * 6 + n, 5 + n as usize * 9)).collect();
        let block = |range: std::ops::Range<usize>| {
            let sources: Vec<Source<'_>> = range.map(|place| source(&batches[place], place as u64)).collect();
            merge_in_memory(&sources, &target(Compression::None)).expect("encodes")
        };
        let (first, second) = (block(0..2), block(3..5));
        let mixed = [
            Source::Segment(&first),
            source(&batches[2], 2),
            Source::Segment(&second),
            source(&batches[5], 5),
        ];
        let merged = merge(&mixed, &target(Compression::Zstd)).expect("merges");
        let alone = encode(&batches, Compression::Zstd);
        let (merged, alone) = (Segment::open(merged).expect("opens"), Segment::open(alone).expect("opens"));
        merged.verify().expect("verifies");
        let identities = |segment: &Segment| {
            let gathered = segment.gather(&segment.all_rows()).expect("gathers");
            (gathered.ids, gathered.ingest_times)
        };
        assert_eq!(all(&merged), all(&alone), "seed {seed}");
        assert_eq!(identities(&merged), identities(&alone), "seed {seed}");
    }
}

#[test]
fn a_newer_version_is_refused_by_its_number() {
    let mut bytes = encode(&[random_batch(1, 10)], Compression::None);
    bytes[4] = 4;
    let error = Segment::open(bytes).expect_err("is newer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("version 4"), "{error}");
}

/// The committed file of a version.
fn golden(version: u16) -> String {
    format!("{}/tests/golden/segment-v{version}.seg", env!("CARGO_MANIFEST_DIR"))
}

fn golden_batches() -> [EventBatch; 2] {
    [random_batch(7, 8), random_batch(8, 16)]
}

/// The committed file of a version stays readable, event for event, and its events can be merged.
fn check_golden(version: u16) {
    let segment = Segment::open_file(golden(version).as_ref()).expect("opens");
    assert_eq!(segment.format_version(), version);
    segment.verify().expect("verifies");
    let text = std::fs::read_to_string(golden(version) + ".txt").expect("reads");
    assert_eq!(all(&segment), text.lines().collect::<Vec<_>>());
    assert_eq!((segment.rows(), segment.contexts(), segment.partition().0), (24, 7, 3));
    assert_eq!(segment.environment().as_str(), "default");
    for id in 0..20 {
        let mut trace = [3; 16];
        trace[15] = id;
        let written = Segment::open(encode(&golden_batches(), Compression::Zstd)).expect("opens");
        let found = segment.rows_of_trace(&trace).expect("finds");
        assert_eq!(found, written.rows_of_trace(&trace).expect("finds"), "{id}");
    }
    let column = segment.column(segment.by_name("attribute.3").expect("finds")[0].id).expect("opens");
    let mut text = column.text().expect("opens");
    for (code, hash) in (0..).zip(column.hashes().expect("opens")) {
        assert_eq!(KEY.hash(text.get(code).expect("reads")), hash);
        assert_eq!(column.codes_of_hash(hash).expect("finds"), vec![code]);
    }
    let merged = merge(&[Source::Segment(&segment)], &target(Compression::Zstd)).expect("merges");
    let merged = Segment::open(merged).expect("opens");
    assert_eq!((all(&merged), merged.format_version()), (all(&segment), VERSION));
}

#[test]
fn a_segment_of_version_1_stays_readable() {
    check_golden(1);
}

#[test]
fn a_segment_of_version_2_stays_readable() {
    check_golden(2);
}

/// A new layout is a new version: it writes its file by running this test with SKEIN_WRITE_GOLDEN set, and keeps
/// the reader of the one before.
#[test]
fn a_segment_of_version_3_stays_readable() {
    let bytes = encode(&golden_batches(), Compression::Zstd);
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        let text = all(&Segment::open(bytes.clone()).expect("opens")).join("\n") + "\n";
        std::fs::write(golden(3), &bytes).expect("writes");
        std::fs::write(golden(3) + ".txt", text).expect("writes");
    }
    check_golden(3);
    let committed = std::fs::read(golden(3)).expect("reads");
    assert!(bytes == committed, "the format has changed: raise its version");
}

/// Makes every checksum of a file right again, so that what lies behind them is tested, too.
pub(crate) fn repair_checksums(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 8).map_or(0, |slice| u64::from_le_bytes(slice.try_into().expect("eight"))) as usize
    };
    let trailer = bytes.len() - 32;
    let footer = trailer.saturating_sub(number(bytes, trailer));
    let reference = footer + 112 + 11 * 16;
    let (offset, length) = (number(bytes, reference), number(bytes, reference + 8));
    if offset.checked_add(length).is_some_and(|end| end <= footer) {
        let sums: Vec<u8> =
            bytes[..offset].chunks(64 << 10).flat_map(|piece| crc32c::crc32c(piece).to_le_bytes()).collect();
        let length = length.min(sums.len());
        bytes[offset..offset + length].copy_from_slice(&sums[..length]);
        let sum = crc32c::crc32c(&bytes[offset..offset + length]);
        bytes[footer + 104..footer + 108].copy_from_slice(&sum.to_le_bytes());
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
        let compression = if seed % 2 == 0 { Compression::None } else { Compression::Zstd };
        let mut bytes = encode(&[random_batch(seed, 40)], compression);
        for (at, value) in changes {
            let place = 64 + at.index(bytes.len() - 64 - 32);
            bytes[place] = value;
        }
        repair_checksums(&mut bytes);
        if let Ok(segment) = Segment::open(bytes) {
            segment.rows_of_trace(&[3; 16]).ok();
            segment.gather(&[0, segment.rows() / 2]).ok();
            segment.problems();
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

/// A door names each attribute's value in the record's shape. Should a batch not: what is not named is a value,
/// and no attribute, also beside rows of which it is one.
#[test]
fn values_without_attributes_stay_without() {
    let batch = |names: bool| {
        let mut builder = BatchBuilder::new(KEY);
        let context = builder.begin_context();
        let (first, second) = (
            builder.column(Origin::Item, Physical::I64, "first"),
            builder.column(Origin::Item, Physical::I64, "second"),
        );
        for number in 0..40_i64 {
            let row = builder.begin_row(number, context);
            builder.push_i64(first, row, number);
            let mut tokens = vec![("first", first)];
            if number % 2 == 0 {
                builder.push_i64(second, row, number);
                tokens.extend(names.then_some(("second", second)));
            }
            let token = |(name, column): (&str, ColumnIndex)| {
                let key = builder.intern(name.as_bytes());
                Token { kind: TokenKind::Value, key, target: column.0 }
            };
            let tokens: Vec<Token> = tokens.into_iter().map(token).collect();
            let shape = builder.shape(&tokens);
            builder.set_shape(row, shape);
        }
        builder.finish()
    };
    let batches = [batch(true), batch(false), batch(true)];
    let expected: Vec<String> = batches.iter().flat_map(rows_of).collect();
    let segment = Segment::open(encode(&batches, Compression::Zstd)).expect("opens");
    assert_eq!(all(&segment), expected);
    for row in 0..segment.rows() {
        let one = segment.gather(&[row]).expect("gathers");
        assert_eq!(rows_of(&one.batch)[0], expected[row as usize]);
    }
    let twice = merge(&[Source::Segment(&segment)], &target(Compression::Zstd)).expect("merges");
    assert_eq!(all(&Segment::open(twice).expect("opens")), expected);
    // Of those that name all, every row's shape comes from one template.
    let named = Segment::open(encode(&[batch(true)], Compression::Zstd)).expect("opens");
    assert!(named.shape_count() < segment.shape_count());
}
