//! What one record of a replay says: its events, an erasure, or where its events lie.
//!
//! What it refuses: records of kinds that it does not know, unless they may be skipped, and erasures that it cannot read.

use std::path::Path;
use std::sync::Arc;

use skein_event::ids::Offset;

use super::found::FoundFile;
use super::read::Reader;
use crate::codec;
use crate::error::Error;
use crate::follow::{DurableRecord, StoredRecord};
use crate::record::{Record, decode_erasure, kind, kind_name};
use crate::stored::StoredEvents;

/// What a record turned out to be.
pub(super) enum Decoded {
    Batch(DurableRecord),
    Nothing,
}

impl Reader<'_> {
    /// A record whose events stay where they are. `None` when the follower wants them now, and when there is any doubt.
    pub(super) fn leave(&self, record: &Record<'_>, path: &Arc<Path>) -> Option<StoredRecord> {
        let replayer = self.follower.replayer().filter(|_| record.kind == kind::BATCH)?;
        let (environment, key) = (record.environment()?, record.key()?);
        let outline = codec::outline(record.payload).ok()?;
        let append_time_ns = record.place.append_time_ns;
        replayer.may_stay(append_time_ns, &outline).then(|| StoredRecord {
            environment,
            partition: record.partition,
            offset: Offset(record.place.offset),
            append_time_ns,
            key,
            events: Arc::new(StoredEvents::new(path, record, outline, self.config.hash_key)),
        })
    }

    /// Decodes a record. `None` when its content is damaged although its checksum holds.
    pub(super) fn decode(&self, record: &Record<'_>, file: &FoundFile) -> Result<Option<Decoded>, Error> {
        if record.kind == kind::ERASE {
            return self.decode_erasure(record, file).map(Some);
        }
        if record.kind != kind::BATCH {
            if record.kind == kind::VOID || record.may_skip() {
                return Ok(Some(Decoded::Nothing));
            }
            return Err(Error::incompatible(format!(
                "{} holds a record of kind {} ({}) at offset {}, which this version does not understand",
                file.path.display(),
                record.kind,
                kind_name(record.kind),
                record.place.offset
            )));
        }
        let (Some(environment), Some(key)) = (record.environment(), record.key()) else { return Ok(None) };
        let Ok(batch) = codec::decode(record.payload, self.config.hash_key) else { return Ok(None) };
        Ok(Some(Decoded::Batch(DurableRecord {
            environment,
            partition: record.partition,
            offset: Offset(record.place.offset),
            append_time_ns: record.place.append_time_ns,
            key,
            batch: Arc::new(batch),
            erasure: None,
        })))
    }

    /// An erasure that cannot be read is refused, not set aside like a damaged batch: going on would show what
    /// was erased.
    fn decode_erasure(&self, record: &Record<'_>, file: &FoundFile) -> Result<Decoded, Error> {
        let erasure = decode_erasure(record.payload);
        let (Some(environment), Some(key), Some(erasure)) = (record.environment(), record.key(), erasure)
        else {
            return Err(Error::incompatible(format!(
                "{} holds an erasure at offset {} that this version cannot read; a newer Skein can",
                file.path.display(),
                record.place.offset
            )));
        };
        Ok(Decoded::Batch(DurableRecord {
            environment,
            partition: record.partition,
            offset: Offset(record.place.offset),
            append_time_ns: record.place.append_time_ns,
            key,
            batch: Arc::default(),
            erasure: Some(Arc::new(erasure)),
        }))
    }
}
