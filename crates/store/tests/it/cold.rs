//! Cold files: what is wrapped, left out and worked out again is what went in, and a wrong wrap is an error.

use std::sync::Arc;

use proptest::prelude::*;
use skein_event::builder::BatchBuilder;
use skein_event::{ColumnKey, EventBatch, Fixed, Origin, Physical};
use skein_store::ErrorKind;
use skein_store::segment::{
    Compression, Order, RowField, Segment, Source, UnpackedCache, VERSION, merge, merge_with,
};

use crate::model::{KEY, encode, random_batch, rows_of, source, target};
use crate::segment::{all, repair_checksums};

/// Numbers that look random, and are the same in every run.
fn noise(n: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 3
}

/// What zstd finds something in: few values, one of them nearly always; outliers; doubles of one size; names of which
/// some are frequent; and what has no value in some rows.
fn skewed_batch(seed: u64, rows: u64) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let column = |builder: &mut BatchBuilder, physical, name| builder.column(Origin::Item, physical, name);
    let status = column(&mut builder, Physical::I64, "status");
    let size = column(&mut builder, Physical::I64, "size");
    let ratio = column(&mut builder, Physical::F64, "ratio");
    let user = column(&mut builder, Physical::Text, "user");
    let is_retry = column(&mut builder, Physical::Bool, "retry");
    let trace = builder.fixed(Fixed::TraceId);
    for number in 0..rows {
        let random = noise(seed << 32 | number);
        let row = builder.begin_row(1_700_000_000_000_000_000 + (number * 977_000) as i64, context);
        builder.push_i64(
            status,
            row,
            [200, 200, 200, 404][(random % 4) as usize] + (random % 97 / 96) as i64,
        );
        let outlier = random.is_multiple_of(211);
        builder.push_i64(size, row, if outlier { (random << 9) as i64 } else { (random % 1_500) as i64 });
        builder.push_f64(ratio, row, 0.7 + (random % 100_000) as f64 * 1.000_000_7e-9);
        let name = random.trailing_zeros() as u64 * 40 + random % 3;
        builder.push_bytes(user, row, format!("user {name}").as_bytes());
        if !number.is_multiple_of(5) {
            builder.push_bool(is_retry, row, random.is_multiple_of(50));
        }
        let mut id = [9; 16];
        id[8..].copy_from_slice(&noise(number / 12).to_le_bytes());
        builder.push_trace_id(trace, row, id);
    }
    builder.finish()
}

fn cold(batches: &[EventBatch], order: Order) -> Vec<u8> {
    let sources: Vec<Source<'_>> =
        (0_u64..).zip(batches).map(|(offset, batch)| source(batch, offset)).collect();
    merge_with(&sources, &target(Compression::Cold), order, &mut || Ok(())).expect("encodes")
}

/// Everything that a segment says about its events.
fn told(segment: &Segment) -> (Vec<String>, Vec<String>, Vec<i64>) {
    let gathered = segment.gather(&segment.all_rows()).expect("gathers");
    let ids = gathered.ids.iter().map(|id| format!("{id:?}")).collect();
    (rows_of(&gathered.batch), ids, gathered.ingest_times)
}

#[test]
fn a_cold_file_is_smaller_and_holds_the_same() {
    let batches = [skewed_batch(1, 9_000), skewed_batch(2, 2_000), random_batch(3, 400)];
    let hot = encode(&batches, Compression::Zstd);
    let bytes = cold(&batches, Order::Log);
    assert!(bytes.len() * 10 < hot.len() * 9, "{} of {}", bytes.len(), hot.len());
    let (hot, cold) = (Segment::open(hot).expect("opens"), Segment::open(bytes).expect("opens"));
    assert!(cold.is_cold() && !hot.is_cold());
    cold.verify().expect("verifies");
    assert!(told(&cold) == told(&hot));
    // Zones exclude the same, and need no wrap to be opened.
    for (ours, theirs) in cold.columns().zip(hot.columns()) {
        let (ours, theirs) = (ours.expect("reads"), theirs.expect("reads"));
        assert_eq!((&ours.key, ours.zone, ours.distinct), (&theirs.key, theirs.zone, theirs.distinct));
        let (ours, theirs) = (cold.column(ours.id).expect("opens"), hot.column(theirs.id).expect("opens"));
        for block in 0..ours.blocks() {
            assert_eq!(ours.zone(block), theirs.zone(block), "{:?} {block}", ours.info().key);
        }
        assert_eq!(ours.hashes().expect("works out"), theirs.hashes().expect("reads"));
    }
    // Cold becomes hot again, and the other way round.
    for compression in [Compression::Zstd, Compression::Cold, Compression::None] {
        let again = merge(&[Source::Segment(&cold)], &target(compression)).expect("merges");
        let again = Segment::open(again).expect("opens");
        again.verify().expect("verifies");
        assert!(told(&again) == told(&hot), "{compression:?}");
    }
}

#[test]
fn values_are_found_by_their_hash_without_hashes() {
    let segment = Segment::open(cold(&[random_batch(9, 2_000)], Order::Clustered)).expect("opens");
    for name in ["attribute.3", "attribute.9", "name"] {
        let column = segment.column(segment.by_name(name).expect("finds")[0].id).expect("opens");
        let hashes = column.hashes().expect("works out");
        let mut text = column.text().expect("opens");
        assert_eq!(hashes.len(), column.dictionary_len() as usize);
        for (code, &hash) in (0..).zip(&hashes) {
            assert_eq!(KEY.hash(text.get(code).expect("reads")), hash);
            assert_eq!(column.hash(code).expect("reads"), Some(hash));
            assert_eq!(column.codes_of_hash(hash).expect("finds"), vec![code], "{name}");
            assert!(column.codes_of_hash(hash ^ 1).expect("looks").is_empty());
        }
        for nowhere in [0, u64::MAX, KEY.hash(b"nobody")] {
            assert!(column.codes_of_hash(nowhere).expect("looks").is_empty());
        }
        assert_eq!(column.hash(column.dictionary_len()).expect("reads"), None);
    }
}

/// The order of a dictionary is that of hashes which nobody wrote down: another key makes another order.
#[test]
fn a_dictionary_in_another_order_than_its_hashes_is_damage() {
    let mut bytes = cold(&[random_batch(9, 2_000)], Order::Log);
    bytes[16] ^= 1;
    let length = u32::from_le_bytes(bytes[8..12].try_into().expect("four")) as usize;
    let sum = crc32c::crc32c(&bytes[16..length]);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    repair_checksums(&mut bytes);
    let segment = Segment::open(bytes).expect("opens");
    let found =
        segment.columns().map(|info| info.expect("reads")).find(|info| *info.key.name == *"attribute.3");
    let column = segment.column(found.expect("is there").id).expect("its values are right");
    let error = column.hashes().expect_err("they do not rise");
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
}

#[test]
fn records_of_one_offset_that_came_at_different_times_keep_them() {
    let (first, second) = (random_batch(1, 400), random_batch(2, 400));
    let at = |batch, append_time_ns| match source(batch, 7) {
        Source::Batch(source) => {
            Source::Batch(skein_store::segment::BatchSource { append_time_ns, ..source })
        }
        other => other,
    };
    for times in [[50, 60], [60, 50]] {
        let sources = [at(&first, times[0]), at(&second, times[1])];
        let bytes = merge(&sources, &target(Compression::Cold)).expect("merges");
        let segment = Segment::open(bytes).expect("opens");
        segment.verify().expect("verifies");
        let read = segment.field(RowField::IngestTime).expect("opens");
        let found: Vec<i64> = (0..read.len()).map(|row| read.get(row)).collect();
        assert_eq!(found, [[times[0]; 400], [times[1]; 400]].concat());
    }
}

/// The file with each byte of a column's chunk of values turned over, one after another, under right checksums; every
/// so many.
fn damaged_values(good: &[u8], name: &str, every: usize) -> impl Iterator<Item = Vec<u8>> {
    let segment = Segment::open(good.to_vec()).expect("opens");
    let places = segment.place_of_values(name).expect("is there");
    let good = good.to_vec();
    places.step_by(every).map(move |place| {
        let mut bytes = good.clone();
        bytes[place] ^= 0x15;
        repair_checksums(&mut bytes);
        bytes
    })
}

/// Whoever scans hears of a wrap that cannot be opened before the first value; whoever takes rows out, afterwards.
#[test]
fn a_wrong_wrap_is_an_error_of_scans_and_of_single_rows() {
    let good = cold(&[skewed_batch(1, 1_500)], Order::Log);
    let mut refused = [0, 0];
    for name in ["status", "ratio"] {
        for bytes in damaged_values(&good, name, 17) {
            let Ok(segment) = Segment::open(bytes) else { continue };
            let Ok(info) = segment.by_name(name).map(|mut infos| infos.remove(0)) else { continue };
            // Single rows first: nothing was checked as a whole yet.
            if let Err(error) = segment.gather(&[3, 1_100]) {
                assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                refused[0] += 1;
            }
            match segment.column(info.id) {
                Ok(column) => drop(column),
                Err(error) => {
                    assert!(error.to_string().contains(name), "{error}");
                    assert!(!segment.problems().is_empty());
                    refused[1] += 1;
                }
            }
        }
    }
    assert!(refused[0] > 10 && refused[1] > 10, "{refused:?}");
}

#[test]
fn a_byte_that_changed_in_a_wrap_is_found_by_its_checksum() {
    let good = cold(&[skewed_batch(1, 3_000)], Order::Log);
    let segment = Segment::open(good.clone()).expect("opens");
    for place in segment.place_of_values("status").expect("is there").step_by(11) {
        let mut bytes = good.clone();
        bytes[place] ^= 0x40;
        let segment = Segment::open(bytes).expect("header and footer are right");
        let info = segment.by_name("status").expect("finds").remove(0);
        let error = segment.column(info.id).err().expect("is damaged");
        assert!(error.to_string().contains("status") && error.to_string().contains("checksum"), "{error}");
        assert!(segment.gather(&[0]).is_err());
    }
}

/// What was unpacked of two files lies in one cache, and stays apart.
#[test]
fn files_share_a_cache_and_nothing_else() {
    let cache = Arc::new(UnpackedCache::new(1 << 20));
    let files: Vec<Segment> = [1, 2]
        .into_iter()
        .map(|seed| {
            Segment::open(cold(&[skewed_batch(seed, 9_000)], Order::Log)).expect("opens").kept_in(&cache)
        })
        .collect();
    let values = |segment: &Segment, row: u32| {
        let column = segment.column(segment.by_name("size").expect("finds")[0].id).expect("opens");
        column.i64_at(row)
    };
    for row in (0..9_000).step_by(37) {
        for (seed, file) in [1, 2].into_iter().zip(&files) {
            let random = noise(seed << 32 | u64::from(row));
            let outlier = random.is_multiple_of(211);
            let expected = if outlier { (random << 9) as i64 } else { (random % 1_500) as i64 };
            assert_eq!(values(file, row), Some(expected), "{seed} {row}");
        }
    }
    assert!(cache.bytes() > 0 && cache.bytes() <= 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn wrong_bytes_in_a_cold_file_never_panic(
        seed in 0..4_u64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = cold(&[skewed_batch(seed, 400), random_batch(seed, 60)], Order::Clustered);
        for (at, value) in changes {
            let place = 64 + at.index(bytes.len() - 64 - 32);
            bytes[place] = value;
        }
        repair_checksums(&mut bytes);
        if let Ok(segment) = Segment::open(bytes) {
            segment.rows_of_trace(&[9; 16]).ok();
            segment.gather(&[0, segment.rows() / 2]).ok();
            let is_right = segment.problems().is_empty();
            match segment.gather(&segment.all_rows()) {
                Ok(gathered) => prop_assert!(gathered.batch.validate().is_ok()),
                Err(error) => prop_assert!(!is_right, "a verified file cannot be read: {error}"),
            }
            merge(&[Source::Segment(&segment)], &target(Compression::Cold)).ok();
        }
    }

    #[test]
    fn any_values_come_back_from_a_cold_file(
        values in prop::collection::vec(prop_oneof![30 => 0..6_i64, 3 => -70_000..70_000_i64, 1 => any::<i64>()], 256..1_500),
        step in 1..5_000_i64,
    ) {
        let mut builder = BatchBuilder::new(KEY);
        let context = builder.begin_context();
        let plain = builder.column(Origin::Item, Physical::I64, "plain");
        let stepped = builder.column(Origin::Item, Physical::DurationNs, "stepped");
        let double = builder.column(Origin::Item, Physical::F64, "double");
        for (place, &value) in values.iter().enumerate() {
            let row = builder.begin_row(value.wrapping_mul(step), context);
            builder.push_i64(plain, row, value);
            builder.push_i64(stepped, row, value.wrapping_mul(step));
            if place % 3 > 0 {
                builder.push_f64(double, row, f64::from_bits(0x3ff0_0000_0000_0000 ^ value.cast_unsigned()));
            }
        }
        let batches = [builder.finish()];
        let (cold, hot) = (cold(&batches, Order::Log), encode(&batches, Compression::Zstd));
        let (cold, hot) = (Segment::open(cold).expect("opens"), Segment::open(hot).expect("opens"));
        cold.verify().expect("verifies");
        prop_assert_eq!(all(&cold), all(&hot));
        for row in (0..cold.rows()).step_by(97) {
            let one = |segment: &Segment| rows_of(&segment.gather(&[row]).expect("gathers").batch);
            prop_assert_eq!(one(&cold), one(&hot));
        }
    }
}

/// The committed cold file stays readable; of each event its text's checksum.
#[test]
fn a_cold_file_of_version_3_stays_readable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/segment-v3-cold.seg");
    let bytes = cold(&[skewed_batch(5, 500), random_batch(6, 300)], Order::Clustered);
    let sums = |segment: &Segment| {
        let sum = |text: &String| format!("{:08x}\n", crc32c::crc32c(text.as_bytes()));
        all(segment).iter().map(sum).collect::<String>()
    };
    if std::env::var_os("SKEIN_WRITE_GOLDEN").is_some() {
        std::fs::write(path, &bytes).expect("writes");
        let text = sums(&Segment::open(bytes.clone()).expect("opens"));
        std::fs::write(format!("{path}.sums"), text).expect("writes");
    }
    let segment = Segment::open_file(path.as_ref()).expect("opens");
    assert_eq!((segment.format_version(), segment.rows(), segment.is_cold()), (3, 800, true));
    segment.verify().expect("verifies");
    assert_eq!(sums(&segment), std::fs::read_to_string(format!("{path}.sums")).expect("reads"));
    let dataset = segment.find(&ColumnKey::fixed(Fixed::TraceId)).expect("finds");
    assert!(dataset.is_some());
    if VERSION == 3 {
        assert!(bytes == std::fs::read(path).expect("reads"), "the format has changed: raise its version");
    }
}
