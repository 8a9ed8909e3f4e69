//! Events that lie in a file of the log and are read back when somebody needs them.
//!
//! What it refuses: to believe what it reads. That a record was whole when the log was opened says nothing of it now:
//! its place, its checksums and its content are looked at again, and what fails is an error that names it.

use std::path::Path;
use std::sync::Arc;

use skein_event::batch::EventBatch;
use skein_event::hash::HashKey;
use skein_event::ids::Partition;

use crate::codec::{self, Outline};
use crate::disk::Disk;
use crate::error::Error;
use crate::record::{Place, Record};

/// The events of one record of the log, in its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvents {
    path: Arc<Path>,
    place: Place,
    partition: Partition,
    bytes: usize,
    hash_key: HashKey,
    /// What is known of them.
    pub outline: Outline,
}

impl StoredEvents {
    pub(crate) fn new(
        path: &Arc<Path>,
        record: &Record<'_>,
        outline: Outline,
        hash_key: HashKey,
    ) -> StoredEvents {
        let (place, partition, bytes) = (record.place, record.partition, record.len());
        StoredEvents { path: Arc::clone(path), place, partition, bytes, hash_key, outline }
    }

    /// The file that holds them.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that they take there.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reads them. An error of kind `Damaged` when they are no longer what they were.
    ///
    /// POST: on `Ok`, the batch passes [`EventBatch::validate`] and has as many rows as its outline says.
    pub fn read(&self, disk: &dyn Disk) -> Result<EventBatch, Error> {
        let failed = |error| Error::io("read", &self.path, error);
        let mut bytes = vec![0; self.bytes];
        let file = disk.open_read(&self.path).map_err(failed)?;
        let count = file.read_at(self.place.position, &mut bytes).map_err(failed)?;
        let found = bytes.get(..count).unwrap_or_default();
        let record = Record::parse(found, self.place.position).ok();
        let record = record.filter(|record| record.place == self.place && record.partition == self.partition);
        let record = record.ok_or_else(|| self.damaged("its bytes have changed since the start"))?;
        let batch = codec::decode(record.payload, self.hash_key)
            .map_err(|error| self.damaged(&format!("its checksum holds, but it is {error}")))?;
        if batch.rows() != self.outline.rows {
            return Err(self.damaged("it has more or fewer events than at the start"));
        }
        Ok(batch)
    }

    fn damaged(&self, why: &str) -> Error {
        Error::damaged(format!(
            "record {} in {} (byte {}, {} events) is damaged and not served: {why}",
            self.place.offset,
            self.path.display(),
            self.place.position,
            self.outline.rows
        ))
    }
}
