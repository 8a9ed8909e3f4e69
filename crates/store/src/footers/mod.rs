//! `footers.cat`: what is known about every segment without its file, in one file (docs/formats/footers.md; why so:
//! docs/adr/0020-footers-cat.md).
//!
//! It is derived, and never the truth. Which segments count, the catalog says; an entry is believed only when it is of
//! the very segment that the catalog names and its checksums hold. Whatever is missing, damaged or stale is made anew
//! from the segments. That is why nothing here is synced before a flush commits, and why no failure here fails a flush.
//!
//! Opening it reads its directory of fixed slots; entries are mapped and touched when a question needs them.
//!
//! Reading order: [`Footers`], [`Summary`], [`Merged`], `summarize`, `sketch`.

mod merged;
mod sketch;
mod slots;
mod summarize;
mod summary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skein_event::hash::HashKey;
use skein_event::limits::FOOTERS_OWNED_BYTES_MAX;
use skein_log::disk::DiskFile;

use crate::catalog::{SegmentId, SegmentRow};
use crate::error::Error;
use crate::files::Files;
use crate::handle::SegmentHandle;
use crate::segment::machine::SegmentBytes;

pub use merged::{Distinct, Merged, MergedCell, MergedColumn, MergedDataset};
pub use sketch::STANDARD_ERROR;
pub(crate) use summarize::{filter_of, summarize};
pub use summary::{Cell, ColumnSummary, DatasetSummary, Filtered, Summary};

use slots::{SLOT_BYTES, Slot, data_start, read_header, slot_at, unreadable, write_header};
use summary::Bytes;

/// The name of the file in the data directory.
pub(crate) const NAME: &str = "footers.cat";

/// Slots of the smallest file: a day of flushes without compaction has less.
const SLOTS_MIN: u32 = 1_024;

/// What opening found.
pub(crate) struct Opened {
    pub(crate) footers: Footers,
    /// Summaries that are believed.
    pub(crate) summaries: HashMap<SegmentId, Arc<Summary>>,
    /// Why the file as a whole could not be used.
    pub(crate) problem: Option<String>,
}

/// The file, open for appending.
pub(crate) struct Footers {
    files: Arc<Files>,
    hash_key: HashKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<Arc<dyn DiskFile>>,
    capacity: u32,
    used: u32,
    /// Where the next entry goes.
    end: u64,
    /// Bytes of entries that count, by segment.
    live: HashMap<SegmentId, u64>,
    live_bytes: u64,
    /// Summaries that were appended since the file was mapped, and their bytes: they lie in memory.
    owned: Vec<Weak<SegmentHandle>>,
    owned_bytes: usize,
}

impl Footers {
    /// Opens the file, or starts without one. Touches its directory only.
    pub(crate) fn open(files: Arc<Files>, hash_key: HashKey, rows: &[SegmentRow]) -> Opened {
        let mut footers = Footers { files, hash_key, state: Mutex::default() };
        match footers.read(rows) {
            Ok(summaries) => Opened { footers, summaries, problem: None },
            Err(error) => {
                footers.state = Mutex::default();
                Opened { footers, summaries: HashMap::new(), problem: Some(error.to_string()) }
            }
        }
    }

    fn read(&self, rows: &[SegmentRow]) -> Result<HashMap<SegmentId, Arc<Summary>>, Error> {
        let mut state = self.state();
        let file = self.files.open_derived(NAME)?;
        let (capacity, directory) = read_header(&*file, self.hash_key)?;
        let base = data_start(capacity);
        let map = Arc::new(self.files.map_derived(NAME, base)?);
        let counted: HashMap<&str, &SegmentRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut summaries = HashMap::with_capacity(rows.len());
        // What was written and has no slot is never written again: it may be mapped.
        state.end = aligned(file.len().map_err(unreadable)?.max(base));
        for number in 0..capacity {
            // A slot that was not written, or not whole, is none: its segment is summarised anew.
            let Some(slot) = slot_at(&directory, number) else { continue };
            state.used = number + 1;
            // Nor is the room of an entry that a crash took and whose slot it left: another one there would pass for it.
            state.end = state.end.max(aligned(slot.offset.saturating_add(slot.length)));
            let Some(row) = counted.get(slot.id.as_str()).filter(|row| slot.is_of(row)) else { continue };
            let Some(summary) = mapped(&map, slot.offset.saturating_sub(base), slot.length) else { continue };
            if summary.rows() == row.rows {
                state.count(row.id.clone(), slot.length);
                summaries.insert(row.id.clone(), summary);
            }
        }
        (state.file, state.capacity) = (Some(file), capacity);
        Ok(summaries)
    }

    /// Appends the summaries of segments. What fails is left out: it is made anew when it is missed.
    pub(crate) fn append(&self, entries: &[(Arc<SegmentHandle>, Arc<Summary>)]) -> Result<(), Error> {
        let mut state = self.state();
        if state.file.is_none() || state.used as usize + entries.len() > state.capacity as usize {
            // The next rewrite takes everything that is missing here, too.
            return Ok(());
        }
        for (handle, summary) in entries {
            let Some(row) = handle.row() else { continue };
            if state.live.contains_key(&row.id) {
                continue;
            }
            let Some(file) = state.file.clone() else { break };
            let (number, offset) = (state.used, state.end);
            self.files.write_derived(&*file, NAME, offset, summary.bytes())?;
            let slot = Slot::of(row, offset, summary.bytes().len() as u64);
            let at = slots::HEADER_BYTES + u64::from(number) * SLOT_BYTES as u64;
            self.files.write_derived(&*file, NAME, at, &slot.to_bytes())?;
            state.used += 1;
            state.end = aligned(offset.saturating_add(slot.length));
            state.count(row.id.clone(), slot.length);
            state.owned.push(Arc::downgrade(handle));
            state.owned_bytes += summary.bytes().len();
        }
        Ok(())
    }

    /// Whether the file should be written anew: there is none, it is full, or half of it is dead.
    pub(crate) fn wants_rewrite(&self, counted: usize) -> bool {
        let state = self.state();
        let data = state.end.saturating_sub(data_start(state.capacity));
        let missing = counted.saturating_sub(state.live.len());
        let full = state.used >= state.capacity && missing > 0;
        (state.file.is_none() && counted > 0) || full || (data > (1 << 20) && data > 2 * state.live_bytes)
    }

    /// Whether the file may hold entries of segments that count no longer.
    pub(crate) fn has_dead(&self) -> bool {
        let state = self.state();
        state.file.is_none() || state.used as usize > state.live.len()
    }

    /// Writes the file anew with the summaries of these segments: temporary file, sync, rename, as with a segment.
    /// A crash leaves the one before or the one after.
    pub(crate) fn rewrite(&self, handles: &[Arc<SegmentHandle>]) -> Result<(), Error> {
        let entries: Vec<(&Arc<SegmentHandle>, Arc<Summary>)> =
            handles.iter().filter_map(|handle| Some((handle, handle.known_summary()?))).collect();
        let capacity = u32::try_from(entries.len() * 2).unwrap_or(u32::MAX).max(SLOTS_MIN);
        let mut directory = write_header(capacity, self.hash_key);
        let mut end = data_start(capacity);
        let mut live = HashMap::with_capacity(entries.len());
        let file = self.files.create_derived(NAME)?;
        for (handle, summary) in &entries {
            let Some(row) = handle.row() else { continue };
            // What is copied is checked first: damage must not get a new life under a new slot.
            if let Err(error) = summary.verify() {
                handle.forget_summary(&error);
                continue;
            }
            let slot = Slot::of(row, end, summary.bytes().len() as u64);
            self.files.write_derived(&*file, NAME, end, summary.bytes())?;
            end = aligned(end.saturating_add(slot.length));
            directory.extend_from_slice(&slot.to_bytes());
            live.insert(row.id.clone(), (slot.offset, slot.length));
        }
        let used = u32::try_from(live.len()).unwrap_or(u32::MAX);
        directory.resize(usize::try_from(data_start(capacity)).unwrap_or_default(), 0);
        self.files.write_derived(&*file, NAME, 0, &directory)?;
        self.files.finish_derived(&*file, NAME)?;
        let base = data_start(capacity);
        let map = Arc::new(self.files.map_derived(NAME, base)?);
        for (handle, _) in &entries {
            let place = handle.row().and_then(|row| live.get(&row.id));
            if let Some(&(offset, length)) = place {
                handle.remember(mapped(&map, offset - base, length));
            }
        }
        let mut state = self.state();
        *state = State { file: Some(file), capacity, used, end, ..State::default() };
        live.into_iter().for_each(|(id, (_, length))| state.count(id, length));
        Ok(())
    }

    /// Maps what was appended since the file was mapped, once it is much: memory is for the head.
    pub(crate) fn map_appended(&self) -> Result<(), Error> {
        let owned = {
            let mut state = self.state();
            if state.owned_bytes < FOOTERS_OWNED_BYTES_MAX {
                return Ok(());
            }
            state.owned_bytes = 0;
            std::mem::take(&mut state.owned)
        };
        let file = self.state().file.clone();
        let Some(file) = file else { return Ok(()) };
        let (capacity, directory) = read_header(&*file, self.hash_key)?;
        let base = data_start(capacity);
        let map = Arc::new(self.files.map_derived(NAME, base)?);
        let slots = (0..capacity).filter_map(|number| slot_at(&directory, number));
        let places: HashMap<SegmentId, (u64, u64)> =
            slots.map(|slot| (slot.id, (slot.offset, slot.length))).collect();
        for handle in owned.iter().filter_map(Weak::upgrade) {
            if let Some(&(offset, length)) = handle.row().and_then(|row| places.get(&row.id)) {
                handle.remember(mapped(&map, offset.saturating_sub(base), length));
            }
        }
        Ok(())
    }

    /// Bytes of the summaries that lie in memory.
    pub(crate) fn owned_bytes(&self) -> usize {
        self.state().owned_bytes
    }

    /// These segments count no longer: their entries are dead.
    pub(crate) fn remove<'a>(&self, ids: impl Iterator<Item = &'a SegmentId>) {
        let mut state = self.state();
        for id in ids {
            let bytes = state.live.remove(id).unwrap_or_default();
            state.live_bytes -= bytes;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, id: SegmentId, bytes: u64) {
        let before = self.live.insert(id, bytes).unwrap_or_default();
        self.live_bytes = self.live_bytes + bytes - before;
    }
}

/// Where the next entry may start; what no file reaches stays out of reach, and writing there fails.
fn aligned(end: u64) -> u64 {
    end.checked_next_multiple_of(8).unwrap_or(u64::MAX - 7)
}

/// A summary in a mapped `footers.cat`.
fn mapped(map: &Arc<SegmentBytes>, offset: u64, length: u64) -> Option<Arc<Summary>> {
    let (start, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    Summary::open(Bytes::Mapped { map: Arc::clone(map), start, length }).ok().map(Arc::new)
}
