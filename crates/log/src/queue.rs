//! What appending threads and the committer share: the parts that wait, the batch keys, and who is to be told.

mod erasure;
mod second_copy;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skein_event::batch::EventBatch;
use skein_event::flow::{Appended, BatchKey, SinkError};
use skein_event::ids::{Environment, Partition};
use tokio::sync::oneshot;

use crate::committer::{Pending, Settled};
use crate::dedup::{KeyDigest, KeyTable, bit};
use crate::file::ActiveFile;
use crate::follow::Follower;
use crate::log_time::LogTime;
use crate::record::RecordBytes;
use crate::retention::{FileFacts, Files};
use crate::stats::LogStats;

pub(crate) use self::second_copy::Recent;

/// A full queue empties within a few group commits.
const OVERLOADED_RETRY_MS: u64 = 100;
/// A sealed log tries a new file about this often; a stopping server is back about then.
pub(crate) const UNAVAILABLE_RETRY_MS: u64 = 1_000;

/// Whether the log takes appends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// It does.
    Open,
    /// It does not until a new file can be created: what failed.
    Sealed(String),
    /// It was closed.
    Closed,
}

/// A batch that was split and encoded.
pub(crate) struct Prepared {
    pub(crate) environment: Environment,
    pub(crate) key: BatchKey,
    pub(crate) digest: Option<KeyDigest>,
    pub(crate) reply: Vec<u8>,
    pub(crate) parts: Vec<(Partition, Arc<EventBatch>, RecordBytes)>,
}

/// Tells what became of a record once it is settled.
pub(crate) type Answered = oneshot::Receiver<Result<Appended, SinkError>>;

/// What [`Queue::begin`] did.
pub(crate) enum Begun {
    /// All of it was there.
    Done(Appended),
    /// The answer comes when every part is settled.
    Waiting(Answered),
}

/// An append that waits for its parts.
#[derive(Debug)]
struct Ticket {
    remaining: usize,
    duplicate: bool,
    digest: Option<KeyDigest>,
    reply: Vec<u8>,
    failure: Option<String>,
    sender: oneshot::Sender<Result<Appended, SinkError>>,
}

#[derive(Debug)]
struct State {
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    tickets: HashMap<u64, Ticket>,
    next_ticket: u64,
    keys: KeyTable,
    status: Status,
    closing: bool,
    log_time: LogTime,
    files: Files,
    committed: Vec<u64>,
    durable: Vec<u64>,
    recent: Vec<Recent>,
    /// Why nothing is taken although the files are sound: the disk is full.
    held: Option<String>,
    stats: LogStats,
}

/// Shared between the log's handle and its committer.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    bytes_max: usize,
}

/// Why the committer's thread woke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wake {
    /// There is something to do, or it is time to try a new file.
    Work,
    /// The log is closing and nothing waits.
    Closed,
}

impl Queue {
    pub(crate) fn new(
        keys: KeyTable,
        recent: Vec<Recent>,
        log_time: LogTime,
        files: Files,
        committed: Vec<u64>,
        durable: Vec<u64>,
        bytes_max: usize,
    ) -> Queue {
        let state = State {
            recent,
            held: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            tickets: HashMap::new(),
            next_ticket: 0,
            keys,
            status: Status::Open,
            closing: false,
            log_time,
            files,
            committed,
            durable,
            stats: LogStats::default(),
        };
        Queue { state: Mutex::new(state), changed: Condvar::new(), bytes_max }
    }

    /// No code panics while it holds the lock; should one, the state is still whole between two calls.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // === appending ===

    /// Refuses before any work is done on a batch.
    pub(crate) fn check_open(&self) -> Result<(), SinkError> {
        self.lock().check_open()
    }

    /// Queues the parts of a batch that are missing.
    pub(crate) fn begin(
        &self,
        prepared: Prepared,
        now_ns: i64,
        follower: &dyn Follower,
    ) -> Result<Begun, SinkError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.check_open()?;
        let append_time_ns = state.log_time.advance(now_ns);
        state.keys.expire(append_time_ns);
        let known = state.known_parts(&prepared, follower);
        let Prepared { environment, key, digest, reply, parts } = prepared;
        let (mut missing, mut awaited) = (Vec::new(), Vec::new());
        for (partition, batch, record) in parts {
            if known.durable & bit(partition) != 0 {
                continue;
            }
            if known.in_flight & bit(partition) != 0 {
                awaited.push(partition);
            } else {
                missing.push((partition, batch, record));
            }
        }
        if missing.is_empty() {
            state.stats.duplicate_batches += 1;
        }
        if missing.is_empty() && awaited.is_empty() {
            let first = digest.and_then(|digest| state.keys.reply(digest).map(<[u8]>::to_vec));
            return Ok(Begun::Done(Appended { duplicate: true, reply: first.unwrap_or(reply) }));
        }
        let bytes: usize = missing.iter().map(|(_, _, record)| record.len()).sum();
        let no_room = !state.pending.is_empty() && state.pending_bytes + bytes > self.bytes_max;
        let no_key = digest.is_some() && !missing.is_empty() && state.keys.is_full();
        if no_room || no_key {
            return Err(SinkError::Overloaded { retry_after_ms: OVERLOADED_RETRY_MS });
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (sender, receiver) = oneshot::channel();
        let remaining = missing.len() + awaited.len();
        let duplicate = missing.is_empty();
        let waiting = Ticket { remaining, duplicate, digest, reply: reply.clone(), failure: None, sender };
        state.tickets.insert(ticket, waiting);
        if let Some(digest) = digest {
            awaited.into_iter().for_each(|partition| state.keys.wait(digest, partition, ticket));
            missing.iter().for_each(|(partition, _, _)| state.keys.begin(digest, *partition));
        }
        state.pending_bytes += bytes;
        state.pending.extend(missing.into_iter().map(|(partition, batch, record)| Pending {
            ticket,
            digest,
            environment: environment.clone(),
            partition,
            key: key.clone(),
            reply: reply.clone(),
            batch,
            erasure: None,
            record,
            append_time_ns,
        }));
        drop(guard);
        self.changed.notify_all();
        Ok(Begun::Waiting(receiver))
    }

    // === committing ===

    /// Waits for something to do: for the first part, then a little for others to join its group.
    pub(crate) fn wait(&self, group_wait: Duration, group_bytes: usize) -> Wake {
        let mut state = self.lock();
        while state.pending.is_empty() {
            if state.closing {
                return Wake::Closed;
            }
            if matches!(state.status, Status::Sealed(_)) {
                let retry = Duration::from_millis(UNAVAILABLE_RETRY_MS);
                let waited = self.changed.wait_timeout_while(state, retry, |state| !state.closing);
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                return Wake::Work;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let gather = |state: &mut State| state.pending_bytes < group_bytes && !state.closing;
        let waited = self.changed.wait_timeout_while(state, group_wait, gather);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        Wake::Work
    }

    /// Takes the parts of the next group, in the order they came.
    pub(crate) fn take_group(&self, group_bytes: usize) -> Vec<Pending> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < group_bytes
            && let Some(part) = state.pending.pop_front()
        {
            bytes += part.record.len();
            taken.push(part);
        }
        state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
        taken
    }

    /// Tells who waits what became of these parts.
    pub(crate) fn settle(&self, settled: Vec<Settled>, duration_ns: i64, sync_ns: i64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let duration_ns = u64::try_from(duration_ns).unwrap_or_default();
        state.stats.commits += 1;
        state.stats.syncs.add(sync_ns);
        state.stats.commit_ns = state.stats.commit_ns.saturating_add(duration_ns);
        state.stats.commit_ns_max = state.stats.commit_ns_max.max(duration_ns);
        let answers: Vec<_> = settled.into_iter().flat_map(|part| state.settle_part(part)).collect();
        drop(guard);
        answers.into_iter().for_each(Answer::send);
    }

    /// Answers everything that waits with `Unavailable`.
    pub(crate) fn fail_all(&self, reason: &str) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let pending = std::mem::take(&mut state.pending);
        state.pending_bytes = 0;
        let mut answers = Vec::new();
        for part in pending {
            answers.extend(state.settle_part(Settled {
                ticket: part.ticket,
                digest: part.digest,
                is_import: false,
                partition: part.partition,
                offset: u64::MAX,
                append_time_ns: part.append_time_ns,
                reply: part.reply,
                failure: Some(reason.to_owned()),
            }));
        }
        drop(guard);
        answers.into_iter().for_each(Answer::send);
    }

    /// Log time never falls.
    pub(crate) fn advance_log_time(&self, now_ns: i64) -> i64 {
        self.lock().log_time.advance(now_ns)
    }

    /// A file was created or has grown; everything in it is durable.
    pub(crate) fn file_grew(&self, file: &ActiveFile, last_time_ns: i64) {
        let mut state = self.lock();
        let partition = usize::from(file.partition().0);
        if let Some(files) = state.files.get_mut(partition) {
            files.insert(file.first_offset(), FileFacts { bytes: file.end(), last_time_ns });
        }
        if let Some(durable) = state.durable.get_mut(partition) {
            *durable = file.next_offset();
        }
    }

    // === state ===

    /// A closed log stays closed.
    pub(crate) fn set_status(&self, status: Status) {
        let mut state = self.lock();
        if state.status != Status::Closed {
            state.status = status;
        }
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.lock();
        match &state.held {
            _ if state.closing => Status::Closed,
            Some(reason) => Status::Sealed(reason.clone()),
            None => state.status.clone(),
        }
    }

    /// Takes nothing for this reason, until told otherwise. What waits already is still written.
    pub(crate) fn hold(&self, reason: Option<String>) {
        self.lock().held = reason;
    }

    /// Refuses new work from now on.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// After the last step: whoever still waits is told. Should the committer have ended by a panic, nobody
    /// knows what became of its last group: the senders are dropped, and their clients told to retry.
    pub(crate) fn closed(&self) {
        self.close();
        self.set_status(Status::Closed);
        self.fail_all("the log is closed");
        self.lock().tickets.clear();
    }

    pub(crate) fn durable(&self, partition: Partition) -> Option<u64> {
        self.lock().durable.get(usize::from(partition.0)).copied()
    }

    pub(crate) fn stats(&self) -> LogStats {
        let state = self.lock();
        LogStats { queued_bytes: state.pending_bytes, batch_keys: state.keys.len(), ..state.stats }
    }
}

/// Partitions of a batch, as bits.
struct KnownParts {
    durable: u64,
    in_flight: u64,
}

impl State {
    fn check_open(&self) -> Result<(), SinkError> {
        let reason = match (&self.status, &self.held) {
            _ if self.closing => "the server is stopping".to_owned(),
            (Status::Closed, _) => "the server is stopping".to_owned(),
            (Status::Sealed(reason), _) | (_, Some(reason)) => reason.clone(),
            (Status::Open, None) => return Ok(()),
        };
        Err(SinkError::Unavailable { reason, retry_after_ms: UNAVAILABLE_RETRY_MS })
    }

    fn known_parts(&self, prepared: &Prepared, follower: &dyn Follower) -> KnownParts {
        let Some(digest) = prepared.digest else { return KnownParts { durable: 0, in_flight: 0 } };
        let in_flight = self.keys.in_flight(digest);
        let mut durable = self.keys.durable(digest);
        if let BatchKey::Import { file, line } = &prepared.key {
            for (partition, _, _) in &prepared.parts {
                // Asked under the lock, so that the part cannot move from "in flight" to "applied" between
                // the two questions.
                if (durable | in_flight) & bit(*partition) == 0
                    && follower.has_import(&prepared.environment, *partition, file, *line)
                {
                    durable |= bit(*partition);
                }
            }
        }
        KnownParts { durable, in_flight }
    }

    /// Settles a part and returns the answers that are complete with it.
    fn settle_part(&mut self, part: Settled) -> Vec<Answer> {
        if part.failure.is_none() {
            self.stats.records += 1;
        } else {
            self.stats.failed_records += 1;
        }
        let mut tickets = vec![part.ticket];
        if let Some(digest) = part.digest {
            if part.failure.is_none() && !part.is_import {
                self.keys.remember(digest, bit(part.partition), part.append_time_ns, &part.reply);
                if let Some(recent) = self.recent.get_mut(usize::from(part.partition.0)) {
                    recent.push(part.offset, part.append_time_ns, digest);
                }
            }
            tickets.extend(self.keys.end(digest, part.partition));
        }
        tickets.into_iter().filter_map(|ticket| self.settle_ticket(ticket, part.failure.as_ref())).collect()
    }

    fn settle_ticket(&mut self, number: u64, failure: Option<&String>) -> Option<Answer> {
        let ticket = self.tickets.get_mut(&number)?;
        ticket.remaining = ticket.remaining.saturating_sub(1);
        if let Some(reason) = failure {
            ticket.failure = Some(reason.clone());
        }
        if ticket.remaining > 0 {
            return None;
        }
        let ticket = self.tickets.remove(&number)?;
        let result = match ticket.failure {
            Some(reason) => Err(SinkError::Unavailable { reason, retry_after_ms: UNAVAILABLE_RETRY_MS }),
            None => {
                let first = ticket.digest.and_then(|digest| self.keys.reply(digest).map(<[u8]>::to_vec));
                Ok(Appended { duplicate: ticket.duplicate, reply: first.unwrap_or(ticket.reply) })
            }
        };
        Some(Answer { sender: ticket.sender, result })
    }
}

/// An answer on its way, sent without the lock.
struct Answer {
    sender: oneshot::Sender<Result<Appended, SinkError>>,
    result: Result<Appended, SinkError>,
}

impl Answer {
    fn send(self) {
        // A client that went away does not listen any more; its batch is what it is.
        drop(self.sender.send(self.result));
    }
}
