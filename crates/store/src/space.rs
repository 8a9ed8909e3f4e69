//! What happens when the disk is full: the log's second copy goes first, new events are refused with a time to come
//! back, and a reserve is let go of so that heads can be flushed and the log trimmed. When there is room again,
//! everything goes on by itself (DESIGN.md §7).
//!
//! What it refuses: to delete anything that is not in segments, and to take events into the reserve.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use skein_event::limits::{RESERVE_BYTES_MAX, RESERVE_DISK_FRACTION, SPACE_LOW_BYTES};
use skein_log::disk::Disk;
use skein_log::{Log, Status};

use crate::error::{Error, ErrorKind};

/// Zeros written at once where the file system cannot reserve room otherwise.
const PIECE_BYTES: usize = 1 << 20;

/// Watches the room on the disk of a data directory. Whoever owns the directory calls [`SpaceGuard::check`] now and
/// then; nothing waits for it.
pub struct SpaceGuard {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    log: Arc<Log>,
    /// As configured; `None` is a hundredth of the disk.
    reserve_bytes: Option<u64>,
    is_full: Mutex<bool>,
    /// Looks until a reserve that could not be taken is tried again.
    patience: AtomicU32,
}

/// A file system that refuses a reserve does so again: once a minute is often enough to try, and to say so.
const LOOKS_BETWEEN_TRIES: u32 = 120;

/// Whether there is room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Events are taken.
    Enough,
    /// They are refused until there is room.
    Full,
}

impl SpaceGuard {
    /// Watches over a log's disk.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, log: Arc<Log>, reserve_bytes: Option<u64>) -> SpaceGuard {
        SpaceGuard { disk, root, log, reserve_bytes, is_full: Mutex::new(false), patience: AtomicU32::new(0) }
    }

    fn reserve_path(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// Looks at the room, and does what it calls for.
    pub fn check(&self) -> Result<Room, Error> {
        let mut is_full = self.is_full.lock().unwrap_or_else(PoisonError::into_inner);
        let space = self.disk.space(&self.root).map_err(|error| self.failed("measure", error))?;
        let reserve = self
            .reserve_bytes
            .unwrap_or_else(|| (space.total / RESERVE_DISK_FRACTION).min(RESERVE_BYTES_MAX));
        let low = SPACE_LOW_BYTES.min(space.total / RESERVE_DISK_FRACTION);
        let held = self.reserved();
        // Taking events again needs the reserve and twice what stopping needs, so that it does not flutter.
        let wanted = low.saturating_mul(2).saturating_add(reserve.saturating_sub(held));
        let mut available = space.available;
        let cannot_write = !*is_full && matches!(self.log.status(), Status::Sealed(_)) && available < wanted;
        if available < low || cannot_write || (*is_full && available < wanted) {
            let surplus = wanted.saturating_sub(available);
            // The second copy is the first to go; what is not committed stays.
            let outcome = self.log.reclaim(self.log.bytes().saturating_sub(surplus));
            if let Err(error) = outcome {
                tracing::warn!(%error, "the log's second copy could not be deleted");
            }
            available = self.disk.space(&self.root).map_err(|error| self.failed("measure", error))?.available;
        }
        let waits =
            self.patience.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| looks.checked_sub(1));
        if available >= wanted && held < reserve && waits.is_err() {
            // A disk that has become too full meanwhile keeps what it has.
            if let Err(error) = self.take_reserve(reserve) {
                tracing::warn!(%error, "no reserve could be taken");
                self.patience.store(LOOKS_BETWEEN_TRIES, Ordering::Relaxed);
            }
        }
        match (*is_full, available) {
            (false, available) if available >= low => Ok(Room::Enough),
            (true, available) if available >= wanted => {
                *is_full = false;
                self.log.hold(None);
                tracing::info!(available, "there is room on the disk again: events are taken");
                Ok(Room::Enough)
            }
            _ => {
                *is_full = true;
                let reason = format!(
                    "the disk that holds {} is full: {available} of {} bytes are free. Free some, or let retention keep \
                     less; events are taken again by themselves once {wanted} bytes are free",
                    self.root.display(),
                    space.total
                );
                tracing::error!(reason, "events are refused");
                self.log.hold(Some(reason));
                self.release_reserve()?;
                Ok(Room::Full)
            }
        }
    }

    /// Bytes of the reserve.
    fn reserved(&self) -> u64 {
        self.disk.open_read(&self.reserve_path()).and_then(|file| file.len()).unwrap_or(0)
    }

    /// Makes the reserve anew: room that nobody else is given.
    fn take_reserve(&self, bytes: u64) -> Result<(), Error> {
        self.release_reserve()?;
        if bytes == 0 {
            return Ok(());
        }
        let path = self.reserve_path();
        let file = self.disk.create(&path).map_err(|error| self.failed("create the reserve in", error))?;
        let reserved = file.preallocate(0, bytes).and_then(|()| file.set_len(bytes));
        let reserved = match reserved {
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                let piece = vec![0; PIECE_BYTES];
                let mut places = (0..bytes).step_by(PIECE_BYTES);
                places.try_for_each(|place| {
                    let length = usize::try_from(bytes - place).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                    file.write_at(place, piece.get(..length).unwrap_or_default())
                })
            }
            reserved => reserved,
        };
        if let Err(error) = reserved {
            // Half a reserve would be taken for a whole one.
            self.release_reserve()?;
            return Err(self.failed("fill the reserve in", error));
        }
        self.disk.sync_dir(&self.root).map_err(|error| self.failed("sync", error))
    }

    fn release_reserve(&self) -> Result<(), Error> {
        match self.disk.remove(&self.reserve_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.failed("let go of the reserve in", error))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        let message = format!("cannot {what} {}: {error}", self.root.display());
        Error::with_source(ErrorKind::Io, message, error)
    }
}
