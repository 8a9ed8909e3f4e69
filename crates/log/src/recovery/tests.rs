//! What recovery makes of files that a crash or damage left behind.

use std::sync::Mutex;

use skein_event::flow::BatchKey;
use skein_event::hash::HashKey;
use skein_event::ids::Environment;

use super::*;
use crate::codec;
use crate::disk::RealDisk;
use crate::follow::DurableRecord;
use crate::record::kind;
use crate::testing::batch_of;

const KEY: HashKey = HashKey(4);
const P0: Partition = Partition(0);

#[derive(Default)]
struct Kept(Mutex<Vec<DurableRecord>>);

impl Follower for Kept {
    fn apply(&self, records: Vec<DurableRecord>) {
        self.0.lock().unwrap().extend(records);
    }

    fn has_import(&self, _: &Environment, _: Partition, _: &[u8; 32], _: u32) -> bool {
        false
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    config: LogConfig,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LogConfig::new(folder.path().to_path_buf(), KEY);
        config.partitions = 1;
        std::fs::create_dir_all(partition_folder(&config.data_directory, P0)).unwrap();
        Fixture { folder, config }
    }

    fn path(&self, first_offset: u64) -> PathBuf {
        self.folder.path().join("log/0").join(crate::file::file_name(first_offset))
    }

    fn write(&self, first_offset: u64, records: Vec<(RecordBytes, i64)>) {
        let folder = partition_folder(&self.config.data_directory, P0);
        let new = NewFile {
            folder: &folder,
            partition: P0,
            partitions: 1,
            first_offset,
            created_ns: 1_000,
            serial: 1 + first_offset,
            hash_key: KEY,
            records,
        };
        ActiveFile::create(&RealDisk, &new).unwrap();
    }

    /// What is replayed, by offset, and the kinds of the findings.
    fn recover(&self, low: u64) -> Result<(Vec<u64>, Vec<FindingKind>), Error> {
        let kept = Kept::default();
        let recovered = recover(&self.config, &RealDisk, 2_000, &[Offset(low)], &kept)?;
        let records = kept.0.into_inner().unwrap();
        let offsets = records.iter().map(|record| record.offset.0).collect();
        Ok((offsets, recovered.findings.iter().map(|finding| finding.kind).collect()))
    }
}

fn record(tag: u64) -> RecordBytes {
    let key = BatchKey::Client(tag.to_string().into());
    let environment = Environment::default_environment();
    RecordBytes::batch(&environment, P0, &key, b"", |out| codec::encode(&batch_of(KEY, tag, 3), out)).unwrap()
}

#[test]
fn a_second_part_of_a_batch_is_left_out_and_named() {
    let fixture = Fixture::new();
    let window = DEDUP_WINDOW_NS;
    fixture
        .write(0, vec![(record(1), 10), (record(2), 20), (record(1), 10 + window), (record(2), 21 + window)]);
    let found = fixture.recover(0).unwrap();
    assert_eq!(
        found,
        (vec![0, 1, 3], vec![FindingKind::Repeated]),
        "only what lies within the window repeats"
    );
    let again = fixture.recover(0).unwrap();
    assert_eq!(again.0, vec![0, 1, 3], "and each opening decides the same");
}

#[test]
fn records_beyond_the_next_file_are_void() {
    let fixture = Fixture::new();
    fixture.write(0, vec![(record(1), 10), (record(2), 20), (record(3), 30)]);
    fixture.write(2, vec![(record(4), 40)]);
    assert_eq!(fixture.recover(0).unwrap(), (vec![0, 1, 2], vec![]));
    assert_eq!(fixture.recover(1).unwrap(), (vec![1, 2], vec![]), "what is committed is not replayed");
    assert_eq!(fixture.recover(3).unwrap(), (vec![], vec![]));
    let fixture = Fixture::new();
    fixture.write(0, vec![(record(1), 10), (record(2), 20), (record(3), 30)]);
    fixture.write(2, vec![]);
    assert_eq!(fixture.recover(0).unwrap(), (vec![0, 1], vec![]), "also while the next file is empty");
}

#[test]
fn a_missing_file_is_named() {
    let fixture = Fixture::new();
    fixture.write(0, vec![(record(1), 10)]);
    fixture.write(5, vec![(record(2), 20)]);
    assert_eq!(fixture.recover(0).unwrap(), (vec![0, 5], vec![FindingKind::Damaged]));
    std::fs::remove_file(fixture.path(0)).unwrap();
    assert_eq!(fixture.recover(0).unwrap(), (vec![5], vec![FindingKind::Damaged]));
    assert_eq!(fixture.recover(5).unwrap(), (vec![5], vec![]));
}

#[test]
fn an_unknown_kind_is_skipped_only_if_it_may_be() {
    for (kind, may_skip) in [(kind::TICK, true), (kind::CONFIG, false), (77, true), (77, false)] {
        let fixture = Fixture::new();
        fixture
            .write(0, vec![(record(1), 10), (RecordBytes::of_kind(P0, kind, may_skip), 20), (record(2), 30)]);
        match fixture.recover(0) {
            Ok(found) => assert_eq!((found, may_skip), ((vec![0, 2], vec![]), true)),
            Err(error) => {
                assert_eq!((error.kind(), may_skip), (crate::ErrorKind::Incompatible, false));
                assert!(error.to_string().contains(&format!("kind {kind}")), "{error}");
            }
        }
    }
}

#[test]
fn a_newer_version_and_a_file_of_elsewhere_are_refused() {
    let fixture = Fixture::new();
    fixture.write(0, vec![(record(1), 10)]);
    std::fs::rename(fixture.path(0), fixture.path(3)).unwrap();
    assert_eq!(fixture.recover(0).unwrap_err().kind(), crate::ErrorKind::Incompatible);
    std::fs::rename(fixture.path(3), fixture.path(0)).unwrap();
    let mut bytes = std::fs::read(fixture.path(0)).unwrap();
    bytes[8] = 2;
    let checksum = crate::bytes::checksum_around(&bytes[..64], 12);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(fixture.path(0), &bytes).unwrap();
    let error = fixture.recover(0).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Incompatible);
    assert!(error.to_string().contains("version 2"), "{error}");
}

/// A block of another file, at its very place, as a file system may show after a crash.
#[test]
fn stale_bytes_of_another_file_are_no_records() {
    let fixture = Fixture::new();
    fixture.write(0, vec![(record(1), 10), (record(2), 20)]);
    let stale = std::fs::read(fixture.path(0)).unwrap();
    fixture.write(7, vec![]);
    std::fs::remove_file(fixture.path(0)).unwrap();
    let mut bytes = std::fs::read(fixture.path(7)).unwrap();
    bytes.extend_from_slice(&stale[4_096..]);
    std::fs::write(fixture.path(7), &bytes).unwrap();
    assert_eq!(fixture.recover(7).unwrap(), (vec![], vec![FindingKind::Torn]));
}

#[test]
fn damaged_keys_of_deleted_files_are_named() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.folder.path().join("state")).unwrap();
    std::fs::write(fixture.folder.path().join("state/0"), b"SKEINKEY").unwrap();
    assert_eq!(fixture.recover(0).unwrap(), (vec![], vec![FindingKind::Damaged]));
}

/// Whatever a file holds, opening it ends in an answer.
#[test]
fn no_bytes_make_recovery_panic() {
    let seed = crate::testing::Random::seed_of_test();
    let mut random = crate::testing::Random::new(seed);
    for case in 0..60 {
        let fixture = Fixture::new();
        fixture.write(0, vec![(record(1), 10), (record(2), 20)]);
        fixture.write(2, vec![(record(3), 30)]);
        for first_offset in [0, 2] {
            let mut bytes = std::fs::read(fixture.path(first_offset)).unwrap();
            for _ in 0..random.below(4) {
                let place = random.below(bytes.len());
                bytes[place] = random.byte();
            }
            if random.below(3) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            std::fs::write(fixture.path(first_offset), &bytes).unwrap();
        }
        if let Ok((offsets, _)) = fixture.recover(0) {
            assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed} case {case}");
        }
    }
}
