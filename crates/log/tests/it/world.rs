//! What the tests share: batches that tell where they come from, a clock that is moved, and a follower that
//! stands for the store.

use std::collections::{BTreeMap, HashSet};
use std::future::Future as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use skein_event::batch::{ColumnKey, EventBatch, Origin, Physical, Presence, Token, TokenKind, Values};
use skein_event::builder::{BatchBuilder, ContextValue};
use skein_event::columns::Fixed;
use skein_event::flow::{Append, AppendFuture, Appended, BatchKey, SinkError};
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::observe::Clock;
use skein_log::disk::Disk;
use skein_log::{Committer, DurableRecord, Error, Follower, Log, LogConfig};

pub(crate) const KEY: HashKey = HashKey(0x5ee1);

/// A batch whose rows carry `tag-row` and lie in traces of their own.
pub(crate) fn batch(tag: u64, rows: u32) -> EventBatch {
    let mut builder = BatchBuilder::new(KEY);
    let context = builder.begin_context();
    let service =
        ColumnKey { origin: Origin::Resource, physical: Physical::Text, name: Arc::from("service.name") };
    builder.context_value(service, context, ContextValue::Bytes(b"cart"));
    let trace = builder.fixed(Fixed::TraceId);
    let event = builder.column(Origin::Item, Physical::Text, "test.event");
    for row in 0..rows {
        let number = builder.begin_row(time_of(tag, row), context);
        let mut id = [1; 16];
        id[..8].copy_from_slice(&tag.to_le_bytes());
        id[8..12].copy_from_slice(&row.to_le_bytes());
        builder.push_trace_id(trace, number, id);
        builder.push_bytes(event, number, text_of(tag, row).as_bytes());
        let key = builder.intern(b"test.event");
        let shape = builder.shape(&[Token { kind: TokenKind::Value, key, target: event.0 }]);
        builder.set_shape(number, shape);
    }
    builder.finish()
}

fn time_of(tag: u64, row: u32) -> i64 {
    i64::try_from(tag).unwrap() * 1_000 + i64::from(row)
}

fn text_of(tag: u64, row: u32) -> String {
    // Long enough that a batch spans sectors.
    format!("{tag}-{row}-{}", "x".repeat(usize::try_from(tag % 7).unwrap() * 150))
}

/// The events of a batch: `(tag, row)`. Panics when one is not as it was made.
pub(crate) fn events_of(batch: &EventBatch) -> Vec<(u64, u32)> {
    assert_eq!(batch.validate(), Ok(()));
    let column = batch
        .columns
        .iter()
        .find(|column| &*column.key.name == "test.event")
        .expect("every event has its name");
    assert_eq!(column.presence, Presence::All);
    let Values::Code(codes) = &column.values else { panic!("text has codes") };
    let trace = batch.column(&ColumnKey::fixed(Fixed::TraceId)).expect("every event has a trace");
    let Values::Id16(traces) = &trace.values else { panic!("trace ids have 16 bytes") };
    codes
        .iter()
        .zip(&batch.times)
        .zip(traces)
        .map(|((&code, &time), trace)| {
            let text = String::from_utf8(batch.dictionary.get(code).to_vec()).unwrap();
            assert_eq!(batch.dictionary.hash(code), KEY.hash(text.as_bytes()), "the hash fits");
            let mut parts = text.split('-');
            let tag = parts.next().and_then(|part| part.parse().ok()).expect("a tag");
            let row = parts.next().and_then(|part| part.parse().ok()).expect("a row");
            assert_eq!(text, text_of(tag, row), "an event is unaltered");
            assert_eq!(time, time_of(tag, row), "its time is unaltered");
            assert_eq!(trace[..8], tag.to_le_bytes(), "its trace is unaltered");
            (tag, row)
        })
        .collect()
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Arc<TestClock> {
        Arc::new(TestClock(AtomicI64::new(1_000_000_000_000)))
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the store knows: segments, which survive everything, and a head, which lives as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) segments: Mutex<Part>,
    head: Mutex<Vec<DurableRecord>>,
}

#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) events: BTreeMap<(u64, u32), u32>,
    pub(crate) low: Vec<u64>,
    imports: HashSet<(String, u16, [u8; 32], u32)>,
}

impl Store {
    pub(crate) fn new(partitions: u16) -> Arc<Store> {
        let store = Store::default();
        store.segments.lock().unwrap().low = vec![0; usize::from(partitions)];
        Arc::new(store)
    }

    pub(crate) fn low(&self) -> Vec<Offset> {
        self.segments.lock().unwrap().low.iter().map(|&low| Offset(low)).collect()
    }

    /// The process is gone, and its head with it.
    pub(crate) fn forget_head(&self) {
        self.head.lock().unwrap().clear();
    }

    /// How often each event is visible.
    pub(crate) fn visible(&self) -> BTreeMap<(u64, u32), u32> {
        let mut visible = self.segments.lock().unwrap().events.clone();
        for record in self.head.lock().unwrap().iter() {
            for event in events_of(&record.batch) {
                *visible.entry(event).or_default() += 1;
            }
        }
        visible
    }

    /// Commits a partition's head to segments; returns the new low watermark.
    pub(crate) fn flush(&self, partition: Partition) -> Offset {
        let mut segments = self.segments.lock().unwrap();
        let mut head = self.head.lock().unwrap();
        let (goes, stays): (Vec<_>, Vec<_>) =
            std::mem::take(&mut *head).into_iter().partition(|record| record.partition == partition);
        *head = stays;
        for record in goes {
            for event in events_of(&record.batch) {
                *segments.events.entry(event).or_default() += 1;
            }
            let low = &mut segments.low[usize::from(partition.0)];
            *low = (*low).max(record.offset.0 + 1);
            if let Some(import) = import_of(&record) {
                segments.imports.insert(import);
            }
        }
        Offset(segments.low[usize::from(partition.0)])
    }
}

fn import_of(record: &DurableRecord) -> Option<(String, u16, [u8; 32], u32)> {
    match &record.key {
        BatchKey::Import { file, line } => {
            Some((record.environment.as_str().to_owned(), record.partition.0, *file, *line))
        }
        _ => None,
    }
}

impl Follower for Store {
    fn apply(&self, records: Vec<DurableRecord>) {
        let low = self.segments.lock().unwrap().low.clone();
        let mut head = self.head.lock().unwrap();
        for record in records {
            assert!(record.offset.0 >= low[usize::from(record.partition.0)], "below the low watermark");
            let before = head.iter().rev().find(|other| other.partition == record.partition);
            assert!(before.is_none_or(|before| before.offset < record.offset), "offsets rise");
            head.push(record);
        }
    }

    fn has_import(
        &self,
        environment: &Environment,
        partition: Partition,
        file: &[u8; 32],
        line: u32,
    ) -> bool {
        let key = (environment.as_str().to_owned(), partition.0, *file, line);
        self.segments.lock().unwrap().imports.contains(&key)
            || self.head.lock().unwrap().iter().filter_map(import_of).any(|import| import == key)
    }
}

/// Small files and groups, so that little data reaches every path.
pub(crate) fn config(partitions: u16) -> LogConfig {
    let mut config = LogConfig::new(PathBuf::from("/data"), KEY);
    config.partitions = partitions;
    config.parallel_sync = false;
    config.file_bytes = 5 * 4_096;
    config.retention_bytes = Some(30 * 4_096);
    config
}

/// Opens the log without a thread.
pub(crate) fn open(
    config: &LogConfig,
    disk: &Arc<dyn Disk>,
    clock: &Arc<TestClock>,
    store: &Arc<Store>,
) -> Result<(Log, Committer), Error> {
    store.forget_head();
    let clock = Arc::clone(clock);
    let follower = Arc::clone(store);
    Log::open_stepped(config.clone(), Arc::clone(disk), clock, store.low(), follower)
}

pub(crate) fn append(key: BatchKey, batch: EventBatch, reply: &str) -> Append {
    let environment = Environment::default_environment();
    Append { environment, key, batch, reply: reply.as_bytes().to_vec() }
}

pub(crate) fn client_key(tag: u64) -> BatchKey {
    BatchKey::Client(format!("batch-{tag}").into_boxed_str())
}

/// Looks whether a future is done, without a runtime.
pub(crate) fn poll(future: &mut AppendFuture<'_>) -> Option<Result<Appended, SinkError>> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
