//! What is compared with the reference: the real door, segments and engine, without threads or files.
//!
//! Requests pass the door as bytes, protobuf or JSON; batches are split over partitions as the log splits
//! them; the records of a partition become segments in random groups, some of them merged again, as flush and
//! compaction do. So a case covers aliases, collisions, mixed types, several segments and datasets, and is the
//! same on every machine.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use skein_engine::{NativeEngine, SnapshotView, Snapshots};
use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::observe::Clock;
use skein_event::split::split;
use skein_ingest::{DoorContext, Signal, decode_json, decode_protobuf};
use skein_query::{QueryEngine, QueryError, QueryResult, RunContext, render, spec};
use skein_store::Segments;
use skein_store::segment::{
    BatchSource, Compression, FlushPart, Header, Order, Segment, Source, Target, merge_in_memory, merge_with,
};

use crate::random::Random;
use crate::random::data::{ARRIVAL_NS, Request};

/// The hash key of every deployment here.
pub const HASH_KEY: HashKey = HashKey(0x5eed);
/// Its partitions.
pub const PARTITIONS: u16 = 3;
/// More than any case needs: what is tested here is the answer, not the limit.
const MEMORY_BYTES: usize = 256 << 20;

/// A clock that stands still, after every event's time.
#[derive(Clone, Copy, Debug)]
pub struct Still(pub i64);

impl Clock for Still {
    fn now_ns(&self) -> i64 {
        self.0
    }
}

/// Segments by environment.
#[derive(Debug, Default)]
struct Shelf {
    segments: Mutex<Vec<Arc<Segment>>>,
}

impl Snapshots for Shelf {
    fn snapshot(&self, environment: &Environment, now_ns: i64) -> Result<SnapshotView, QueryError> {
        let segments = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(SnapshotView {
            segments: Segments::loaded(
                segments.iter().filter(|s| s.environment() == environment).cloned().collect(),
            ),
            complete_to_ns: now_ns,
            name: format!("{} segments", segments.len()),
            damaged: Vec::new(),
            lease: None,
        })
    }
}

/// Threads of the engine under test: more than a small machine has, so that parts finish in any order.
const THREADS: usize = 3;

/// One record of a partition's log.
struct Record {
    environment: Environment,
    partition: Partition,
    offset: u64,
    batch: EventBatch,
}

/// The door, segments and engine of a case.
pub struct Subject {
    shelf: Arc<Shelf>,
    /// Of several threads and of one, in parts of one block each.
    engine: NativeEngine,
    alone: NativeEngine,
    records: Vec<Record>,
    requests: u64,
}

impl Default for Subject {
    fn default() -> Subject {
        let shelf = Arc::new(Shelf::default());
        let snapshots: Arc<dyn Snapshots> = Arc::<Shelf>::clone(&shelf);
        Subject {
            engine: NativeEngine::with_threads(Arc::clone(&snapshots), THREADS, 1),
            alone: NativeEngine::with_threads(snapshots, 1, 1),
            shelf,
            records: Vec::new(),
            requests: 0,
        }
    }
}

impl Subject {
    /// Takes a request through the door, in JSON or protobuf. An error is a sentence for the failing test.
    pub fn ingest(&mut self, environment: &Environment, request: &Request, json: bool) -> Result<(), String> {
        let batch = decode(request, json)?;
        self.requests += 1;
        for (partition, batch) in split(batch, environment, self.requests.into(), PARTITIONS, HASH_KEY) {
            let of_partition = |record: &&Record| record.partition == partition;
            let offset = self.records.iter().filter(of_partition).count() as u64;
            self.records.push(Record { environment: environment.clone(), partition, offset, batch });
        }
        Ok(())
    }

    /// Makes segments of all records, in groups as the random stream has it.
    pub fn settle(&mut self, random: &mut Random) -> Result<(), String> {
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        for partition in (0..PARTITIONS).map(Partition) {
            for environment in [Environment::default_environment(), Environment::skein()] {
                let mine =
                    |record: &&Record| record.partition == partition && record.environment == environment;
                let mut rest: Vec<&Record> = self.records.iter().filter(mine).collect();
                let mut made = Vec::new();
                while !rest.is_empty() {
                    let size = usize::try_from(1 + random.below(4)).unwrap_or(1).min(rest.len());
                    made.push(segment(&rest.drain(..size).collect::<Vec<_>>())?);
                }
                if made.len() > 1 && random.once_in(2) {
                    made = vec![compacted(&made)?];
                }
                segments.extend(made.into_iter().map(Arc::new));
            }
        }
        *self.shelf.segments.lock().unwrap_or_else(PoisonError::into_inner) = segments;
        Ok(())
    }

    /// The engine, for questions of other forms.
    pub fn engine(&self) -> &dyn QueryEngine {
        &self.engine
    }

    /// Answers a specification as CONTRACT writes it. One thread and several must answer with the same bytes.
    pub fn data(&self, environment: &Environment, spec: &Json) -> Result<Json, QueryError> {
        let data = ask(&self.engine, environment, spec).map(|result| render::data(&result))?;
        let alone = render::data(&ask(&self.alone, environment, spec)?).to_string();
        let several = data.to_string();
        if alone != several {
            return Err(QueryError::internal(format!("one thread answers {alone}, several {several}")));
        }
        Ok(data)
    }
}

/// Takes a request through the door, which must refuse just those records that the reference refuses.
pub fn decode(request: &Request, json: bool) -> Result<EventBatch, String> {
    let context = DoorContext { hash_key: HASH_KEY, arrival_ns: ARRIVAL_NS };
    let signal = match request {
        Request::Traces(_) => Signal::Traces,
        Request::Logs(_) => Signal::Logs,
        Request::Metrics(_) => Signal::Metrics,
    };
    let decoded = match request.json().filter(|_| json) {
        Some(text) => decode_json(signal, text.as_bytes(), &context),
        None => decode_protobuf(signal, &request.protobuf(), &context),
    };
    let decoded = decoded.map_err(|error| error.to_string())?;
    let due = request.flattened().refused;
    if decoded.rejected.total() != due {
        return Err(format!("rejected, where {due} were due: {:?}", decoded.rejected));
    }
    decoded.batch.validate().map_err(|error| error.to_string())?;
    Ok(decoded.batch)
}

/// Answers a specification; the error is the query's own.
pub fn ask(
    engine: &dyn QueryEngine,
    environment: &Environment,
    spec: &Json,
) -> Result<QueryResult, QueryError> {
    let plan = spec::parse(spec, environment, ARRIVAL_NS)?;
    with_context(|context| engine.run(&plan, context))
}

/// Calls with what a run may use.
pub fn with_context<R>(run: impl FnOnce(&RunContext<'_>) -> R) -> R {
    let clock = Still(ARRIVAL_NS);
    let cancelled = AtomicBool::new(false);
    run(&RunContext {
        clock: &clock,
        cancelled: &cancelled,
        progress: &|_| {},
        partial: None,
        deadline_ns: None,
        memory_bytes_max: MEMORY_BYTES,
    })
}

fn segment(records: &[&Record]) -> Result<Segment, String> {
    let sources: Vec<Source<'_>> = records
        .iter()
        .map(|record| {
            Source::Batch(BatchSource {
                batch: &record.batch,
                offset: Offset(record.offset),
                append_time_ns: ARRIVAL_NS,
                indexes: None,
            })
        })
        .collect();
    let first = records.first().ok_or("no record")?;
    merge_in_memory(&sources, &target(&first.environment, first.partition, Compression::None))
        .map_err(|error| error.to_string())
}

/// What compaction does: one file of several segments, read back through every check.
fn compacted(segments: &[Segment]) -> Result<Segment, String> {
    let sources: Vec<Source<'_>> = segments.iter().map(Source::Segment).collect();
    let first = segments.first().ok_or("no segment")?;
    let target = target(first.environment(), first.partition(), Compression::Zstd);
    let bytes = merge_with(&sources, &target, Order::Clustered, &mut || Ok(()));
    let bytes = bytes.map_err(|error| error.to_string())?;
    Segment::open(bytes).map_err(|error| error.to_string())
}

fn target(environment: &Environment, partition: Partition, compression: Compression) -> Target {
    Target {
        header: Header {
            hash_key: HASH_KEY,
            environment: environment.clone(),
            partition,
            day: 0,
            append_time_ns: ARRIVAL_NS,
        },
        compression,
        flush: FlushPart { low: 0, new_low: 0, part: 0, parts: 1 },
        replaces: Vec::new(),
    }
}
