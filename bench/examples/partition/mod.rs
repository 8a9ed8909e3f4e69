//! The wide events of one partition of eight, as a flush is given them: what the examples measure on.

use rustix::time::{ClockId, clock_gettime};
use skein_event::EventBatch;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Offset, Partition};
use skein_event::split::split;
use skein_ingest::{DoorContext, Signal, decode_protobuf};
use skein_store::segment::{BatchSource, Compression, FlushPart, Header, Source, Target};
use skein_workload::wide::WideConfig;

const KEY: HashKey = HashKey(42);
/// A request's records reach the log together; the next come 10 ms later.
const APPEND_STEP_NS: i64 = 10_000_000;

/// Processor time of the calling thread.
pub(crate) fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap_or(0)
}

/// What a segment of that partition says about itself.
pub(crate) fn target(compression: Compression) -> Target {
    let header = Header {
        hash_key: KEY,
        environment: Environment::default_environment(),
        partition: Partition(0),
        day: 0,
        append_time_ns: 0,
    };
    Target { header, compression, flush: FlushPart::default(), replaces: Vec::new() }
}

/// Its batches, each with its append time, of so many rows or a few more.
pub(crate) fn batches(rows_wanted: usize) -> Result<Vec<(EventBatch, i64)>, Box<dyn std::error::Error>> {
    let config = WideConfig::default();
    let wide = config.generator();
    let environment = Environment::default_environment();
    let (mut batches, mut rows) = (Vec::new(), 0);
    for index in 0..wide.requests() {
        let request = wide.request(index);
        let arrival = config.start_ns + i64::try_from(index)? * APPEND_STEP_NS + 3_456_789;
        for (signal, body) in [(Signal::Traces, &request.traces), (Signal::Logs, &request.logs)] {
            let context = DoorContext { hash_key: KEY, arrival_ns: arrival };
            let decoded = decode_protobuf(signal, body, &context).map_err(|_| "a generated request")?;
            for (partition, part) in split(decoded.batch, &environment, index as u128, 8, KEY) {
                if partition == Partition(0) && part.rows() > 0 {
                    rows += part.rows();
                    batches.push((part, arrival));
                }
            }
        }
        if rows >= rows_wanted {
            break;
        }
    }
    Ok(batches)
}

/// The batches as a merge takes them.
pub(crate) fn sources<'a>(batches: &'a [(EventBatch, i64)]) -> Vec<Source<'a>> {
    let source = |(offset, (batch, append_time_ns)): (u64, &'a (EventBatch, i64))| {
        let append_time_ns = *append_time_ns;
        Source::Batch(BatchSource { batch, offset: Offset(offset), append_time_ns, indexes: None })
    };
    (0..).zip(batches).map(source).collect()
}
