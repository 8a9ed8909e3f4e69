//! Files that earlier versions wrote stay readable, and this version writes the same bytes.
//!
//! `SKEIN_BLESS=1` writes the files of a new format version; a released one is never written again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use skein_event::batch::{ColumnKey, ContextShape, EventBatch, Origin, Physical, Token, TokenKind};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Fixed;
use skein_event::flow::{BatchKey, EventSink as _};
use skein_event::ids::{Environment, Offset, Partition};
use skein_log::disk::{Disk, RealDisk};
use skein_log::{DurableRecord, Follower, Log, LogConfig};

use crate::world::{KEY, TestClock, append, poll};

const FILE: &str = "tests/golden/v1.wal";

/// Keeps what it is given.
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

/// A batch with every storage form, presence, token kind and width that the format has.
fn everything() -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let resource =
        |name: &str, physical| ColumnKey { origin: Origin::Resource, physical, name: Arc::from(name) };
    for number in 0..2 {
        let context = builder.begin_context();
        let name = if number == 0 { "cart" } else { "pay" };
        let column = builder
            .context_value(
                resource("service.name", Physical::Text),
                context,
                ContextValue::Bytes(name.as_bytes()),
            )
            .unwrap();
        builder.context_value(resource("cpus", Physical::F64), context, ContextValue::F64(0.5));
        let key = builder.intern(b"service.name");
        let shape = builder.shape(&[Token { kind: TokenKind::Value, key, target: column.0 }]);
        let empty = builder.shape(&[]);
        builder.set_context_shape(context, ContextShape { resource: shape, scope: empty });
    }
    let trace = builder.fixed(Fixed::TraceId);
    let span = builder.fixed(Fixed::SpanId);
    let duration = builder.fixed(Fixed::Duration);
    let flag = builder.column(Origin::Item, Physical::Bool, "flag");
    let small = builder.column(Origin::Item, Physical::I64, "small");
    let large = builder.column(Origin::Item, Physical::I64, "large");
    let ratio = builder.column(Origin::Metric, Physical::F64, "ratio");
    let raw = builder.column(Origin::Body, Physical::Bytes, "raw");
    let json = builder.column(Origin::Derived, Physical::Json, "json");
    let rare = builder.column(Origin::Item, Physical::Text, "rare");
    for row in 0..300_i64 {
        let number = builder.begin_row(1_700_000_000_000_000_000 + row * 1_000, u32::from(row % 3 == 0));
        builder.push_trace_id(trace, number, [7; 16]);
        builder.push_span_id(span, number, row.to_be_bytes());
        builder.push_i64(duration, number, row * 1_000_003);
        let mut tokens = Vec::new();
        let mut token = |builder: &mut BatchBuilder, kind, name: &str, target| {
            let key = builder.intern(name.as_bytes());
            tokens.push(Token { kind, key, target });
        };
        if row % 2 == 0 {
            builder.push_bool(flag, number, row % 4 == 0);
            token(&mut builder, TokenKind::Value, "flag", flag.0);
        }
        builder.push_i64(small, number, row % 5 - 2);
        token(&mut builder, TokenKind::Open, "nested", 0);
        token(&mut builder, TokenKind::Value, "small", small.0);
        token(&mut builder, TokenKind::Close, "", 0);
        builder.push_i64(large, number, if row == 9 { i64::MIN } else { i64::MAX - row });
        builder.push_f64(ratio, number, if row == 3 { f64::NAN } else { 1.0 / (1 + row) as f64 });
        token(&mut builder, TokenKind::Point, "ratio", ratio.0);
        builder.push_bytes(raw, number, &row.to_le_bytes());
        token(&mut builder, TokenKind::InvalidText, "raw", raw.0);
        builder.push_bytes(json, number, &[0x10, 1]);
        token(&mut builder, TokenKind::Empty, "nothing", 0);
        token(&mut builder, TokenKind::Overflow, "too.many", 0);
        token(&mut builder, TokenKind::Inline, "twice", 0);
        token(&mut builder, TokenKind::InlinePoint, "histogram", 0);
        if row == 77 || row == 299 {
            builder.push_bytes(rare, number, "seldom ü".as_bytes());
            token(&mut builder, TokenKind::Value, "rare", rare.0);
        }
        let shape = builder.shape(&tokens);
        builder.set_shape(number, shape);
    }
    builder.finish()
}

fn batches() -> Vec<(BatchKey, EventBatch)> {
    vec![
        (BatchKey::Digest(0x0123_4567_89ab_cdef), everything()),
        (BatchKey::Client(Box::from("a-client's-own/1")), crate::world::batch(6, 3)),
        (BatchKey::Import { file: [0xab; 32], line: 70_000 }, crate::world::batch(2, 2)),
        (BatchKey::Unique(9), crate::world::batch(3, 1)),
    ]
}

fn config_in(folder: &Path) -> LogConfig {
    let mut config = LogConfig::new(PathBuf::from(folder), KEY);
    config.partitions = 1;
    config
}

#[test]
fn the_golden_file_is_what_this_version_writes() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock = TestClock::new();
    let follower = Arc::new(Kept::default());
    let shared = Arc::clone(&clock);
    let (log, mut committer) =
        Log::open_stepped(config_in(folder.path()), disk, shared, vec![Offset(0)], follower).unwrap();
    for (key, batch) in batches() {
        clock.advance_ms(1);
        let mut future = log.append(append(key, batch, "reply"));
        committer.step();
        assert!(poll(&mut future).unwrap().is_ok());
    }
    let written = RealDisk.read(&folder.path().join("log/0/0.wal")).unwrap();
    if std::env::var_os("SKEIN_BLESS").is_some() {
        std::fs::create_dir_all("tests/golden").unwrap();
        std::fs::write(FILE, &written).unwrap();
    }
    assert!(written == std::fs::read(FILE).unwrap(), "the format changed: it needs a new version");
}

#[test]
fn the_golden_file_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("log/0")).unwrap();
    std::fs::copy(FILE, folder.path().join("log/0/0.wal")).unwrap();
    let follower = Arc::new(Kept::default());
    let shared = Arc::clone(&follower) as Arc<dyn Follower>;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (log, _committer) =
        Log::open_stepped(config_in(folder.path()), disk, TestClock::new(), vec![Offset(0)], shared).unwrap();
    assert_eq!(log.findings(), &[]);
    let records = std::mem::take(&mut *follower.0.lock().unwrap());
    let expected = batches();
    assert_eq!(records.len(), expected.len());
    for (number, (record, (key, batch))) in records.iter().zip(&expected).enumerate() {
        assert_eq!(record.offset, Offset(number as u64));
        assert_eq!(record.environment, Environment::default_environment());
        assert_eq!(record.append_time_ns, 1_000_000_000_000 + (number as i64 + 1) * 1_000_000);
        assert_eq!((&record.key, &*record.batch), (key, batch), "record {number}");
    }
}
