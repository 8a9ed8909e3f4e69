//! Every limit in one place, each with its reason (invariant I7).
//!
//! A limit that a configuration can change has its default here.

use std::time::Duration;

mod query;

pub use query::*;

/// A request larger than this, before or after decompression, is refused with 413 / RESOURCE_EXHAUSTED.
/// OTLP 1.11 recommends 64 MiB as the default of a receiver.
pub const REQUEST_BYTES_MAX: usize = 64 << 20;

/// Ingest bytes in flight over all connections: two requests of the largest size plus their decoded form
/// fit, and a 2 GiB machine keeps three quarters of its memory for queries.
pub const INFLIGHT_BYTES_MAX: usize = 512 << 20;

/// A single value up to this size is stored whole (DESIGN.md §2); a record with a larger one is rejected.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Columns of one event; the values beyond go into the overflow map (DESIGN.md §2).
pub const EVENT_COLUMNS_MAX: usize = 2_000;

/// Distinct row-level columns of one batch or one dataset of a segment; beyond, the overflow map.
/// 10,000 live columns per dataset is the promise of DESIGN.md §2.
pub const DATASET_COLUMNS_MAX: usize = 10_000;

/// A kvlist is flattened into columns down to this depth, below it the value is one json column.
/// Honeycomb flattens five levels, so dashboards built there keep working.
pub const FLATTEN_DEPTH_MAX: usize = 5;

/// Nesting of AnyValue that a door walks before it rejects the record. protobuf libraries stop at 100;
/// 256 leaves them room and keeps recursion under 100 KiB of stack.
pub const NESTING_DEPTH_MAX: usize = 256;

/// A column name longer than this goes into the overflow map with its value: OpenTelemetry allows any
/// length, and 1 KiB keeps a footer of 10,000 columns under 10 MiB.
pub const COLUMN_NAME_BYTES_MAX: usize = 1 << 10;

/// Rows of one batch: a 64 MiB request of the smallest spans (about 30 bytes) stays below it.
pub const BATCH_ROWS_MAX: usize = 4 << 20;

/// Rows of one segment (DESIGN.md §3, "up to about a million events").
pub const SEGMENT_ROWS_MAX: usize = 1 << 20;

/// Partitions of a local store (DESIGN.md §1). Fixed for the life of the data.
pub const PARTITIONS_LOCAL: u16 = 8;

/// Group commit: the log waits this long for more batches before it syncs (DESIGN.md §1).
pub const GROUP_COMMIT_MS: u64 = 5;

/// Group commit: or until this many bytes wait (DESIGN.md §1).
pub const GROUP_COMMIT_BYTES: usize = 4 << 20;

/// A batch re-sent within this time appears once (I4).
pub const DEDUP_WINDOW_NS: i64 = 15 * 60 * 1_000_000_000;

/// Rejections kept in memory for `/api/v1/rejections`; older ones are summed up.
pub const REJECTIONS_KEPT: usize = 1_000;

/// A timestamp further ahead of arrival than this is filed under arrival time and flagged.
pub const FUTURE_NS_MAX: i64 = 24 * 3_600 * 1_000_000_000;

/// Rejections of one request that are kept in full; the rest are counted by reason. A client's log line
/// shows the first ones at most, and each costs a path and a sentence.
pub const REJECTIONS_PER_REQUEST_MAX: usize = 100;

/// Bytes of encoded records that wait for the log's committer: a second of full load (100,000 spans at
/// 830 bytes), so that a slow fdatasync is ridden out and a stuck disk is told to clients at once.
pub const LOG_QUEUE_BYTES_MAX: usize = 96 << 20;

/// One record of the log. A decoded request of [`REQUEST_BYTES_MAX`] stays below it: its columns are narrower
/// than its protobuf, and only invented extremes reach twice their size.
pub const LOG_RECORD_BYTES_MAX: usize = 256 << 20;

/// The log's files have about this size: a thousand of them hold an hour of full load, and one is read
/// into memory whole at recovery.
pub const LOG_FILE_BYTES: u64 = 64 << 20;

/// The log is kept this long beyond the commit of its records to segments (DESIGN.md §7).
pub const LOG_RETENTION_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// The log kept beyond commit takes at most this part of the disk (DESIGN.md §7).
pub const LOG_RETENTION_DISK_FRACTION: u64 = 10;

/// So much of the disk is kept free for trimming a full one (DESIGN.md §7).
pub const RESERVE_DISK_FRACTION: u64 = 100;

/// But no more than this: heads at their hard limit and one compaction fit, and nothing else needs room to make room.
pub const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// With less than this free, new events are refused: a second of full load in log and segments. Of a small disk, a
/// hundredth.
pub const SPACE_LOW_BYTES: u64 = 128 << 20;

/// Batch keys remembered within [`DEDUP_WINDOW_NS`]: 2,300 batches a second for all of it, at about 100 bytes
/// each. Beyond it appends are refused as overloaded, because forgetting a key early would break I4.
pub const BATCH_KEYS_MAX: usize = 2 << 20;

/// Length of a `Skein-Batch-Id`: a UUID or a path-like id fits many times.
pub const BATCH_KEY_BYTES_MAX: usize = 256;

/// Reply bytes stored with a batch: an OTLP partial success with a very long message.
pub const BATCH_REPLY_BYTES_MAX: usize = 64 << 10;

/// Attributes of one record, entries of its flattened kvlists included. Six times what anybody was seen to
/// send; it keeps what a record of many empty attributes (two bytes each) costs in memory near its size.
pub const RECORD_ATTRIBUTES_MAX: usize = 1 << 16;

/// Remembered steps of attribute lists in one batch (the door's prediction of the next attribute): 40 bytes
/// each. Lists beyond are stored just as well, and a little slower.
pub const SHAPE_STEPS_MAX: usize = 1 << 16;

/// Rows after which a head block is sealed into a segment in memory: enough that the encoding's fixed costs (a
/// directory entry per column) vanish, few enough that encoding the unsealed rest for a query takes milliseconds.
pub const HEAD_BLOCK_ROWS: usize = 8 << 10;

/// Bytes of batches after which a head block is sealed, whatever its rows: unsealed batches take several
/// times the room of a block.
pub const HEAD_BLOCK_BYTES: usize = 16 << 20;

/// All heads together; beyond, the largest partition is flushed (DESIGN.md §3).
pub const HEAD_BYTES_MAX: usize = 512 << 20;

/// All heads together, with what is being flushed; beyond, the log waits for the flush, and clients are told
/// to slow down. The largest flush is a third of it.
pub const HEAD_BYTES_HARD_MAX: usize = 768 << 20;

/// Batches that a start decodes, before it encodes them while it reads: encoding takes longer than reading. Most events
/// stay in the log (docs/adr/0024-replay.md); these are of records that span days. Half a million wide events pass 640 MiB
/// by this account; with the files that are read and what the allocator keeps the process took 1.4 GiB.
pub const REPLAY_BATCH_BYTES_MAX: usize = 896 << 20;

/// A partition's head is flushed when its oldest event has waited this long (DESIGN.md §3).
pub const FLUSH_INTERVAL_NS: i64 = 60 * 1_000_000_000;

/// Days of event time that a partition's head keeps apart. Events of further days are filed under their
/// arrival, so that a batch of random times cannot make a file per event. A replayed quarter fits.
pub const HEAD_DAYS_MAX: usize = 100;

/// Windows of arrival whose files become one: ten minutes, an hour, a day (DESIGN.md §3 has the first two; the
/// day keeps a quiet system at few files). An event is rewritten once in each at most.
pub const COMPACTION_TIERS_NS: [i64; 3] =
    [600 * 1_000_000_000, 3_600 * 1_000_000_000, 86_400 * 1_000_000_000];

/// Segment files that are open at once: each costs a mapping of the 65,530 that Linux allows a process, and a byte
/// per column. A hundred days of full load are as many.
pub const OPEN_SEGMENTS_MAX: usize = 8_192;

/// A segment's file that nobody has touched for so long is closed: its pages count as memory of the process, and opening
/// it again costs a checksum of what is touched then.
pub const OPEN_SEGMENT_IDLE_NS: i64 = 300 * 1_000_000_000;

/// What was unpacked of files and is kept for whoever asks next: blocks of text, and integers that lie in a wrap. Of a
/// million wide events a question about three columns unwraps some three megabytes.
pub const UNPACKED_BYTES_MAX: usize = 96 << 20;

/// The same of files that are read whole once, by a merge or a check, and of a segment by itself: eight blocks of
/// integers, 64 KiB at most, of each column that is read side by side.
pub const UNPACKED_ALONE_BYTES_MAX: usize = 8 << 20;

/// Columns of one environment that listings name; beyond, they are counted and stay queryable. Ten times the live columns
/// of a dataset, at about 200 bytes each with their sketches.
pub const LISTED_COLUMNS_MAX: usize = 100_000;

/// Bytes of summaries that wait in memory until `footers.cat` is mapped again: a hundred large segments.
pub const FOOTERS_OWNED_BYTES_MAX: usize = 32 << 20;

/// Bytes of the files that one merge reads; what it writes is no larger, and lies in memory until it is written.
/// Beside it a merge holds the dictionary of one column, bounded below, and one decoded column with the places of
/// its rows: 40 bytes for each of at most [`SEGMENT_ROWS_MAX`] rows. Together that stays under 600 MiB, whatever
/// the number of columns. A million rows of 270 columns, 111 MiB of files, took 142 MiB; 480,000 rows of 400 columns,
/// 83 MiB of files, took 70 MiB (crates/store/examples/merge_memory.rs, test profile).
pub const COMPACTION_BYTES_MAX: u64 = 128 << 20;

/// Plain bytes, by estimate, of the largest columns' dictionaries that one merge holds at once.
pub const COMPACTION_TEXT_BYTES_MAX: u64 = 256 << 20;

/// Files of one merge: a day's hours and those that memory pressure adds, several times over. Each open file
/// costs a few numbers per value of its dictionary.
pub const COMPACTION_FILES_MAX: usize = 64;

/// Rows from which on a file that is alone in its hour is clustered by itself: one block of values gains nothing by it.
pub const COMPACTION_ALONE_ROWS_MIN: u64 = 1_025;

/// The share of one processor that merging takes while events arrive or queries run, in thousandths. Merging does
/// 270,000 rows of fifty values in a second of work, 700,000 of twenty (the same example, test profile), so that a quarter
/// keeps up with 22,000 wide events a second rewritten three times; ten times as many make files that are large when they
/// are flushed, and are rewritten once.
pub const COMPACTION_PER_MILLE_BUSY: i64 = 250;

/// The share while others work and more waits to be merged than an hour brings.
pub const COMPACTION_PER_MILLE_BEHIND: i64 = 500;

/// The share while nobody else works.
pub const COMPACTION_PER_MILLE_IDLE: i64 = 1_000;

/// A merge rests this long at most before it works again, so that it ends in foreseeable time after a column
/// that took long.
pub const COMPACTION_REST_NS_MAX: i64 = 2_000_000_000;

/// Events are kept this long after their arrival, unless the configuration says otherwise (DESIGN.md §3).
pub const RETENTION_AGE_NS: i64 = 60 * 24 * 3_600 * 1_000_000_000;

/// Segments that one commit of retention removes: a transaction of a few milliseconds.
pub const RETENTION_SEGMENTS_MAX: usize = 256;

/// Datasets with a retention of their own.
pub const RETENTION_DATASETS_MAX: usize = 1_000;

/// Erasures that have not ended; more are refused. Each is a test of every older event in every answer.
pub const ERASURES_OPEN_MAX: usize = 100;

/// Erasures that are remembered, ended ones included: people ask for proof months later. 10,000 of them are a
/// few megabytes.
pub const ERASURES_KEPT_MAX: usize = 10_000;

/// Bytes of an erasure's filter: some hundred conditions.
pub const ERASURE_FILTER_BYTES_MAX: usize = 64 << 10;

/// Within this time what an erasure takes is gone from the segments (DESIGN.md §3).
pub const ERASURE_NS_MAX: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// Rows that an erasure or retention takes out of a segment at once: decoded, they stay around 128 MiB for events
/// of a hundred attributes.
pub const REWRITE_ROWS: usize = 32 << 10;

/// Bytes of the resources and scopes of one request, each resource once for each of its distinct scopes, since
/// that is how they are stored. Twice a request; only a large resource with thousands of scopes passes it.
pub const CONTEXT_BYTES_MAX: usize = 2 * REQUEST_BYTES_MAX;

/// Body of a question or a command. Larger ones are telemetry, and come through a door.
pub const JSON_BYTES_MAX: usize = 1 << 20;

/// Connections of one port; a fleet of agents on one machine stays below it.
pub const CONNECTIONS_MAX: usize = 1_024;

/// Observations of Skein's own work that wait to be sent: four seconds of 100,000 spans/s in batches of 100.
pub const OBSERVATIONS_QUEUED_MAX: usize = 4_096;

/// A thread that decodes or computes ends when it had nothing to do for so long: it keeps what it has freed as long as it
/// lives, and starting one takes some tens of microseconds.
pub const IDLE_THREAD_MAX: Duration = Duration::from_secs(1);

/// Exports at once; each holds a thread, which waits for its client.
pub const EXPORTS_RUNNING_MAX: usize = 4;

/// Every request costs at least this much of the budget, so that a flood of small ones is bounded too:
/// 512 MiB allow 128 Ki requests at once.
pub const REQUEST_OVERHEAD_BYTES: usize = 4 << 10;

/// The head of a request arrives within this time, and so does the first request of a connection: a client
/// that connects has something to say.
pub const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// A connection without a request for so long is closed, since there are [`CONNECTIONS_MAX`] of them. Exporters
/// send every few seconds, metric readers every minute.
pub const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(300);

/// A client that sends nothing of its body for so long is given up.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(15);

/// A whole body arrives within this time: 64 MiB at 4 Mbit/s, or its lease keeps others out for nothing.
pub const BODY_WITHIN: Duration = Duration::from_secs(130);

/// A refused body is read and forgotten for at most this long, so that the client reads the answer and not a
/// broken connection.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// A client that takes nothing of its answer for so long is given up: a terminal may be paged through, but an
/// export holds one of [`EXPORTS_RUNNING_MAX`] threads.
pub const UNREAD_MAX: Duration = Duration::from_secs(60);

/// Answers are handed to a connection in pieces of this size, so that what lies in its buffers, and cannot be
/// told from what was read, stays small.
pub const ANSWER_PIECE_BYTES: usize = 64 << 10;

/// How long an answer is waited for, unless the question says otherwise (CONTRACT.md).
pub const WAIT_MS_DEFAULT: u64 = 10_000;

/// A question that asks for more is answered after this long: proxies give up soon after.
pub const WAIT_MS_MAX: u64 = 60_000;

/// A stream tells of progress at most this often: what a person can follow.
pub const STREAM_INTERVAL: Duration = Duration::from_millis(200);

/// Pieces of an export that wait for the client: enough that neither waits for the other for long, and at about
/// 16 MiB each few enough.
pub const EXPORT_PIECES_WAITING_MAX: usize = 4;

/// Events of one piece of an export: decoded and as JSON it stays around 16 MiB for usual events, and a line of
/// it far below what an import may send.
pub const EXPORT_BATCH_ROWS: usize = 4 << 10;

/// Bytes after which events that were written as JSON lines are handed to the client.
pub const EXPORT_PIECE_BYTES: usize = 1 << 20;

/// Text of a client is kept up to here with a rejection: enough to find the place, too little to fill memory.
pub const REJECTION_TEXT_BYTES_MAX: usize = 1 << 10;

/// Rejections of this age are read back when a server starts.
pub const REJECTIONS_RESTORED_NS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// The message of an answer to a batch: every record of an ordinary batch is named, and the answer stays far
/// below the 4 MiB that OTLP allows a response.
pub const OUTCOME_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The length of `grpc-message`: clients refuse header lists of more than 8 to 16 KiB as a whole.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 2 << 10;

/// The largest zstd window that is accepted, as a power of two: 64 MiB, the size of the largest request. A
/// sender that compresses a body in one call declares its size as the window.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 26;

/// What an HTTP/2 connection may send before it is read: outside of the budget of bytes in flight, hence
/// small. At 100 µs of round trip it still allows 10 GB/s.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// The same for one request.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 512 << 10;

/// Requests that a connection may have open at once: what gRPC clients use before they open another.
pub const HTTP2_STREAMS_MAX: u32 = 128;

/// The read buffer of HTTP/1: the unit in which a body is paid for.
pub const HTTP1_BUFFER_BYTES: usize = 64 << 10;

/// Own events that are sent together: a request of about 300 KiB.
pub const OBSERVATIONS_BATCH_MAX: usize = 512;

/// An own event waits for others at most this long, so that Skein's own events are as fresh as others.
pub const OBSERVATIONS_BATCH_WAIT: Duration = Duration::from_millis(500);

/// Requests under way when the server stops have this long to end. With the four that follow, with
/// [`STOP_LINGER`] and with what a process takes to go, all stays below the 10 s of CONTRACT.md.
pub const STOP_UNDER_WAY_MAX: Duration = Duration::from_millis(2_500);

/// A stopping server keeps refusing new work politely for this long: clients that were about to send learn that
/// it stops, and not that it is gone.
pub const STOP_LINGER: Duration = Duration::from_millis(500);

/// Heads have this long to become segments; what is late is in the log.
pub const STOP_FLUSH_MAX: Duration = Duration::from_millis(2_500);

/// Then the last own events have this long to become durable,
pub const STOP_OWN_EVENTS_MAX: Duration = Duration::from_secs(1);

/// connections to end,
pub const STOP_CONNECTIONS_MAX: Duration = Duration::from_secs(1);

/// and files to be closed.
pub const STOP_CLOSE_MAX: Duration = Duration::from_millis(1_500);

/// Edges that are compared one after another where attribute lists part; with more, the lists there do not repeat.
pub const SHAPE_EDGES_MAX: usize = 12;

/// Protobuf's groups inside groups are skipped to this depth; nothing of today writes even one.
pub const GROUP_DEPTH_MAX: usize = 32;

/// The demo that a running server fills its environment `demo` with: this much of the past,
pub const DEMO_PAST: Duration = Duration::from_secs(25 * 60);

/// then live for so long, so that a server that is forgotten does not grow for ever,
pub const DEMO_LIVE: Duration = Duration::from_secs(60 * 60);

/// at so many requests of people a second, of about a dozen events each: enough for a question to have an answer, and
/// a small part of what one core takes,
pub const DEMO_REQUESTS_PER_SECOND: u32 = 20;

/// and with so many batches, of a megabyte each, made ahead of the log.
pub const DEMO_BATCHES_MAX: usize = 4;

/// A batch of the demo asks a full log again so often: minutes of patience at the waits that the log states.
pub const DEMO_RETRIES_MAX: u32 = 600;

/// Threads at work on queries, over all of them: more processors than this would wait for memory.
pub const QUERY_THREADS_MAX: usize = 16;

/// Rows that one thread looks at before it hands over what it has found: enough that handing over costs little, few
/// enough that a large segment is shared.
pub const QUERY_PART_ROWS: u32 = 1 << 19;

/// Different values of a breakdown in a part of a scan whose texts are read at once. Of more, those are read that are
/// shown.
pub const GROUP_TEXTS_AT_ONCE_MAX: usize = 256;

/// Rows of a snapshot of which the largest groups are found by counts of codes ([`u32`] each, at most one a row):
/// a quarter of a query's memory.
pub const QUERY_TOP_ROWS_MAX: u64 = 1 << 25;

/// Values that may be among the largest groups, each looked up in every segment; of more, all are brought together.
pub const QUERY_TOP_CANDIDATES_MAX: usize = 4_096;

/// Bits that say which codes of a column a COUNT_DISTINCT has seen in a part, over all its slots: a bit costs less than
/// an entry of a table as long as they fit the caches.
pub const DISTINCT_BITS_BYTES_MAX: usize = 8 << 20;

/// Pairs of caller and called that a search for what is unusual looks at: more than the services of most environments have.
pub const UNUSUAL_CALLS_MAX: usize = 1_000;
