//! Erasures in the queue: one record in one partition, so that an erasure happens whole or not at all. What it
//! refuses: to be refused for want of room, since erasing must work under load.

use std::sync::Arc;

use skein_event::flow::{BatchKey, Erasure, SinkError};
use skein_event::ids::{Environment, Offset, Partition};
use tokio::sync::oneshot;

use super::{Answered, Queue, Ticket};
use crate::committer::Pending;
use crate::record::{RecordBytes, TooLarge};
use crate::retention::FileFacts;

/// Where erasures are written: any partition would do, and every log has this one.
const ERASURE_PARTITION: Partition = Partition(0);

impl Queue {
    /// Queues an erasure of everything that is durable now. It is one record in one partition, so that it
    /// happens whole or not at all.
    pub(crate) fn begin_erasure(
        &self,
        environment: Environment,
        id: u128,
        filter: Arc<str>,
        now_ns: i64,
    ) -> Result<(Arc<Erasure>, Answered), SinkError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.check_open()?;
        let append_time_ns = state.log_time.advance(now_ns);
        let cuts = state.durable.iter().map(|&offset| Offset(offset)).collect();
        let erasure = Arc::new(Erasure { id, cuts, filter });
        let record = RecordBytes::erase(&environment, ERASURE_PARTITION, &erasure)
            .map_err(|TooLarge| SinkError::TooLarge)?;
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let (sender, receiver) = oneshot::channel();
        let waiting =
            Ticket { remaining: 1, duplicate: false, digest: None, reply: Vec::new(), failure: None, sender };
        state.tickets.insert(ticket, waiting);
        // It waits its turn and is never refused for want of room: erasing must work under load, and few
        // kilobytes are no load.
        state.pending_bytes += record.len();
        state.pending.push_back(Pending {
            ticket,
            digest: None,
            environment,
            partition: ERASURE_PARTITION,
            key: BatchKey::Unique(id),
            reply: Vec::new(),
            batch: Arc::default(),
            erasure: Some(Arc::clone(&erasure)),
            record,
            append_time_ns,
        });
        drop(guard);
        self.changed.notify_all();
        Ok((erasure, receiver))
    }

    /// The files of a partition that begin below an offset.
    pub(crate) fn files_below(&self, partition: Partition, below: Offset) -> Vec<FileFacts> {
        let state = self.lock();
        let files = state.files.get(usize::from(partition.0)).into_iter();
        files.flat_map(|files| files.range(..below.0)).map(|(_, facts)| *facts).collect()
    }
}
