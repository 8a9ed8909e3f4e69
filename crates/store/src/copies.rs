//! The events of a data directory again and again, at earlier times, with other trace ids and offsets: three billion
//! events to measure with, from ten million (docs/adr/0021-copies-for-scale.md). Only with Cargo's feature `copies`,
//! which the server is built without.
//!
//! Every copy is an ordinary file with checksums of its own, an ordinary row of the catalog and an ordinary entry of
//! `footers.cat`; nothing that reads them knows of copies. On a file system that shares blocks between files most of a
//! copy takes no room; elsewhere it takes as much as the original.
//!
//! What it refuses: a directory that a server has open, damage, events in the log that no segment has.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::ids::{Environment, Offset, Partition};
use skein_event::split::partition_of_trace;

use crate::catalog::{Catalog as _, Commit, PartitionMark, SegmentId, SegmentRow, SqliteCatalog};
use crate::data_directory::DataDirectory;
use crate::error::{Error, ErrorKind};
use crate::files::{FileAccess, Files};
use crate::footers::{Footers, Merged};
use crate::handle::SegmentHandle;
use crate::opener::Opener;
use crate::segment::Segment;
use crate::segment::shift::{Shift, ShiftedFile};

/// Copies in all, the original included: a number of a copy has three bytes of a trace id.
pub const TIMES_MAX: u32 = 1 << 20;

/// Guesses at a trace id of the same partition; each fails but once in as many as there are partitions.
const GUESSES: u32 = 1 << 12;

/// Files that are open while copies are made.
const OPEN_MAX: usize = 16;

/// What was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Multiplied {
    /// Segments that were there.
    pub originals: u64,
    /// Segments that were added.
    pub copies: u64,
    /// Events of the environment afterwards.
    pub rows: u64,
    /// Bytes of the new files that no other file has: what they would take where blocks are shared.
    pub own_bytes: u64,
}

/// How the ids of traces are changed.
#[derive(Clone, Copy, Debug)]
pub struct TraceCopies<'a> {
    environment: &'a Environment,
    partitions: u16,
    hash_key: skein_event::hash::HashKey,
}

impl<'a> TraceCopies<'a> {
    /// Of an environment of a data directory.
    pub fn of(path: &Path, environment: &'a Environment) -> Result<TraceCopies<'a>, Error> {
        let fixed = crate::data_directory::read_version(path)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{} has no VERSION", path.display())))?;
        Ok(TraceCopies { environment, partitions: fixed.partitions, hash_key: fixed.hash_key })
    }

    /// The id that a trace has in a copy; the original is copy 0. It stays in its partition, where it is looked for.
    pub fn id(&self, id: &[u8; 16], copy: u32) -> [u8; 16] {
        if copy == 0 {
            return *id;
        }
        let partition_of =
            |id: &[u8; 16]| partition_of_trace(self.environment, id, self.partitions, self.hash_key);
        let partition = partition_of(id);
        let changed = |guess: u32| {
            let mut changed = *id;
            let mask = u64::from(copy) << 32 | u64::from(guess);
            changed.iter_mut().zip(mask.to_be_bytes()).for_each(|(byte, mask)| *byte ^= mask);
            changed
        };
        (0..GUESSES)
            .map(changed)
            .find(|changed| partition_of(changed) == partition)
            .unwrap_or_else(|| changed(0))
    }
}

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Whose events.
    pub environment: &'a Environment,
    /// How many times they are there afterwards.
    pub times: u32,
    /// Segments that hold events of this time or later stay as they are.
    pub until_ns: i64,
}

/// Makes copies until an environment has its events so many times. Copy *n* lies *n* days before the original.
pub fn multiply(
    path: &Path,
    wanted: &Wanted<'_>,
    progress: &mut dyn FnMut(u32),
) -> Result<Multiplied, Error> {
    if !(1..=TIMES_MAX).contains(&wanted.times) {
        return Err(Error::new(ErrorKind::Refused, format!("times must be 1 to {TIMES_MAX}")));
    }
    let mut work = Work::open(path, wanted)?;
    for copy in 1..wanted.times {
        work.copy(copy)?;
        progress(copy);
    }
    work.end()
}

/// An open data directory whose events are multiplied.
struct Work<'a> {
    wanted: &'a Wanted<'a>,
    traces: TraceCopies<'a>,
    files: Arc<Files>,
    opener: Arc<Opener>,
    catalog: SqliteCatalog,
    footers: Footers,
    marks: Vec<PartitionMark>,
    /// Where each partition's log ended.
    spans: Vec<u64>,
    originals: Vec<Original>,
    /// Every segment of the directory.
    handles: Vec<Arc<SegmentHandle>>,
    done: Multiplied,
    next: u64,
    directory: DataDirectory,
}

struct Original {
    row: SegmentRow,
    path: PathBuf,
    segment: Arc<Segment>,
    summary: Merged,
}

impl<'a> Work<'a> {
    fn open(path: &Path, wanted: &'a Wanted<'a>) -> Result<Work<'a>, Error> {
        let directory = DataDirectory::open_existing(path)?;
        let files = Arc::new(Files::shared_real(path.to_owned(), FileAccess::Map));
        files.prepare()?;
        let opener = Arc::new(Opener::new(Arc::clone(&files), directory.hash_key(), OPEN_MAX));
        let catalog = SqliteCatalog::open(&path.join("catalog.sqlite"))?;
        let marks = catalog.take_over(directory.partitions())?;
        let rows = catalog.segments()?;
        let mut known = Footers::open(Arc::clone(&files), directory.hash_key(), &rows);
        let mut work = Work {
            wanted,
            traces: TraceCopies::of(path, wanted.environment)?,
            spans: marks.iter().map(|mark| mark.low.0).collect(),
            files,
            opener,
            catalog,
            footers: known.footers,
            marks,
            originals: Vec::new(),
            handles: Vec::new(),
            done: Multiplied::default(),
            next: 0,
            directory,
        };
        for row in rows {
            work.know(&row, known.summaries.remove(&row.id))?;
        }
        Ok(work)
    }

    /// Takes a segment in that was there before.
    fn know(&mut self, row: &SegmentRow, summary: Option<Arc<crate::footers::Summary>>) -> Result<(), Error> {
        let handle = Arc::new(SegmentHandle::file(row.clone(), Arc::clone(&self.opener)));
        handle.remember(summary);
        if row.environment == *self.wanted.environment {
            self.done.rows += row.rows;
        }
        if row.environment == *self.wanted.environment && row.time_range.1 < self.wanted.until_ns {
            let segment = handle.open_whole()?;
            segment.verify()?;
            let mut summary = Merged::default();
            summary.add(&*handle.whole_summary()?)?;
            self.done.originals += 1;
            let path = self.files.path_of(row);
            self.originals.push(Original { row: row.clone(), path, segment, summary });
        }
        self.handles.push(handle);
        Ok(())
    }

    /// Makes one copy of everything: files, then the catalog, then what is derived.
    fn copy(&mut self, copy: u32) -> Result<(), Error> {
        let days = -i32::try_from(copy).unwrap_or(i32::MAX);
        let mut added: HashMap<Partition, Vec<SegmentRow>> = HashMap::new();
        let mut entries = Vec::new();
        for place in 0..self.originals.len() {
            let Some(original) = self.originals.get(place) else { break };
            let partition = original.row.partition;
            let span = self.spans.get(usize::from(partition.0)).copied().unwrap_or_default();
            let traces = self.traces;
            let trace = |id: &[u8; 16]| traces.id(id, copy);
            let shift = Shift { days, offset: span.saturating_mul(u64::from(copy)), trace: &trace };
            let shifted = ShiftedFile::of(&original.segment, &shift)?;
            self.next += 1;
            let epoch = self.marks.get(usize::from(partition.0)).map_or(0, |mark| mark.epoch);
            let row =
                moved(&original.row, &shift, SegmentId::new(partition, epoch, self.next), shifted.end());
            self.write(&original.path, &row, &shifted)?;
            let mut summary = original.summary.clone();
            summary.move_times(shift.time_ns());
            let filter = shifted.filter.as_deref().unwrap_or_default();
            let summary = Arc::new(summary.to_summary(Some(filter))?);
            let handle = Arc::new(SegmentHandle::file(row.clone(), Arc::clone(&self.opener)));
            handle.remember(Some(Arc::clone(&summary)));
            entries.push((handle, summary));
            self.done.copies += 1;
            self.done.rows += row.rows;
            self.done.own_bytes += shifted.own_bytes();
            added.entry(partition).or_default().push(row);
        }
        self.commit(copy, added)?;
        self.handles.extend(entries.iter().map(|(handle, _)| Arc::clone(handle)));
        self.footers.append(&entries)?;
        self.footers.map_appended()?;
        if self.footers.wants_rewrite(self.handles.len()) {
            self.footers.rewrite(&self.handles)?;
        }
        Ok(())
    }

    /// Writes a file as a segment is written: temporary file, fdatasync, rename, fsync of the folder.
    fn write(&self, original: &Path, row: &SegmentRow, shifted: &ShiftedFile) -> Result<(), Error> {
        let path = self.files.path_of(row);
        let temporary = self.directory.path().join("tmp").join(format!("{}.seg", row.id));
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let written = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            // Shares the blocks of the original where the file system can.
            std::fs::copy(original, &temporary)?;
            let file = File::options().write(true).open(&temporary)?;
            file.set_len(shifted.kept)?;
            for (at, bytes) in &shifted.patches {
                file.write_all_at(bytes, *at)?;
            }
            file.write_all_at(&shifted.tail, shifted.kept)?;
            file.sync_data()?;
            std::fs::rename(&temporary, &path)?;
            File::open(&folder)?.sync_all()
        };
        written().map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Error::with_source(ErrorKind::Io, message, error)
        })
    }

    fn commit(&mut self, copy: u32, mut added: HashMap<Partition, Vec<SegmentRow>>) -> Result<(), Error> {
        for (mark, span) in self.marks.iter_mut().zip(&self.spans) {
            let add = added.remove(&mark.partition).unwrap_or_default();
            // As if the records had been logged once more.
            let new_low = Offset(span.saturating_mul(u64::from(copy) + 1));
            let commit = Commit { new_low, ..Commit::exchange(mark, add, Vec::new()) };
            self.catalog.commit(&commit)?;
            mark.low = new_low;
        }
        Ok(())
    }

    fn end(self) -> Result<Multiplied, Error> {
        self.footers.rewrite(&self.handles)?;
        self.catalog.close()?;
        Ok(self.done)
    }
}

/// The catalog's row of a copy.
fn moved(row: &SegmentRow, shift: &Shift<'_>, id: SegmentId, bytes: u64) -> SegmentRow {
    let times = |(first, last): (i64, i64)| {
        (first.saturating_add(shift.time_ns()), last.saturating_add(shift.time_ns()))
    };
    let offsets =
        |(first, last): (u64, u64)| (first.saturating_add(shift.offset), last.saturating_add(shift.offset));
    SegmentRow {
        id,
        day: row.day.saturating_add(shift.days),
        bytes,
        time_range: times(row.time_range),
        ingest_range: times(row.ingest_range),
        offset_range: offsets(row.offset_range),
        ..row.clone()
    }
}
