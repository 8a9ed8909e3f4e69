//! A disk in memory that lies about everything a real one lies about, by seed.
//!
//! - A power failure ([`SimDisk::power_failure`]) keeps, drops or tears each sector that was not synced, on its
//!   own, in any order; it may destroy the whole block a sector belongs to, or leave stale bytes of deleted files where
//!   a file grew. Names that were not synced with their folder are kept or lost, each on its own.
//! - A killed process ([`SimDisk::kill`]) loses its open files, but the page cache stays, and still is not
//!   durable.
//! - A failed sync marks the pages clean: the bytes can be read until the next power failure, and a second sync
//!   succeeds without writing them. Whoever syncs or writes such a file again is counted
//!   ([`SimDisk::touched_after_failed_sync`]).
//! - Any call can fail, by its number or at random, with EIO or ENOSPC.
//!
//! What it refuses: threads of its own, time, randomness that is not of its seed.

mod faults;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skein_log::disk::{DirectoryEntry, Disk, DiskFile, Space};

pub use self::faults::{Fault, FaultKind, Random};
use self::faults::{Faults, dead, no_space};
use self::files::Inode;

/// A simulated disk. Clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    inodes: Vec<Inode>,
    /// Names as the process sees them.
    visible: BTreeMap<PathBuf, Node>,
    /// Names that survive a power failure.
    durable: BTreeMap<PathBuf, Node>,
    /// Changes of names that no sync of their folders covers yet, in order.
    pending: Vec<NameChange>,
    faults: Faults,
    /// Open files of an earlier process are dead.
    process: u64,
    capacity: u64,
    touched_after_failed_sync: u64,
    syncs: u64,
    /// Blocks of deleted files, which a growing file may be given.
    stale: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    File(usize),
    Folder,
}

#[derive(Clone, Debug)]
struct NameChange {
    /// Folders that must be synced before it is durable.
    folders: BTreeSet<PathBuf>,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Add(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Change::Remove(path) => {
                names.remove(path);
            }
            Change::Rename(from, to, node) => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                }
                names.insert(to.clone(), *node);
            }
        }
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> SimDisk {
        let state = State {
            inodes: Vec::new(),
            visible: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            faults: Faults::new(seed),
            process: 0,
            capacity: u64::MAX,
            touched_after_failed_sync: 0,
            syncs: 0,
            stale: Vec::new(),
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of calls so far.
    pub fn calls(&self) -> u64 {
        self.lock().faults.calls
    }

    /// Number of completed syncs of files.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Writes and syncs of files whose sync had failed before. A correct program has none.
    pub fn touched_after_failed_sync(&self) -> u64 {
        self.lock().touched_after_failed_sync
    }

    /// Makes a call to come fail.
    pub fn plan(&self, fault: Fault) {
        self.lock().faults.planned = Some(fault);
    }

    /// Makes about one call in `one_in` fail from now on; 0 for none.
    pub fn fail_at_random(&self, one_in: u64) {
        self.lock().faults.one_in = one_in;
    }

    /// No call fails any more, and there is room.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.planned = None;
        state.faults.one_in = 0;
        state.capacity = u64::MAX;
    }

    /// From now on the files may hold so many bytes in all.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    /// The process ends: its open files are dead, unsynced bytes and names stay where they are.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.process += 1;
        state.faults.revive();
    }

    /// The power fails: what was not synced is kept, lost or torn, as the seed says.
    pub fn power_failure(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.process += 1;
        state.faults.revive();
        let random = &mut state.faults.random;
        for pending in std::mem::take(&mut state.pending) {
            if random.one_in(2) {
                pending.change.apply(&mut state.durable);
            }
        }
        let names = state.durable.clone();
        let whole = |path: &Path| {
            path.ancestors().skip(1).all(|folder| {
                folder.as_os_str().is_empty()
                    || folder == Path::new("/")
                    || names.get(folder) == Some(&Node::Folder)
            })
        };
        state.durable.retain(|path, _| whole(path));
        state.visible.clone_from(&state.durable);
        for inode in &mut state.inodes {
            inode.power_failure(random, &state.stale);
        }
    }

    /// Flips bits of a file behind everybody's back, as an ageing disk does.
    pub fn damage(&self, path: &Path, offset: u64, xor: u8) -> bool {
        let mut state = self.lock();
        let Some(Node::File(number)) = state.visible.get(path).copied() else { return false };
        state.inodes.get_mut(number).is_some_and(|inode| inode.damage(offset, xor))
    }
}

impl State {
    /// Counts a call and lets it fail.
    fn call(&mut self) -> io::Result<()> {
        self.faults.call()
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.visible.get(path) {
            Some(Node::File(number)) => Ok(*number),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&mut self, folders: &[&Path], change: Change) {
        change.apply(&mut self.visible);
        let folders = folders.iter().map(|folder| folder.to_path_buf()).collect();
        self.pending.push(NameChange { folders, change });
    }

    fn used(&self) -> u64 {
        let files = self.visible.values().filter_map(|node| match node {
            Node::File(number) => self.inodes.get(*number),
            Node::Folder => None,
        });
        files.map(Inode::len).sum()
    }

    fn inode(&mut self, handle: &SimFile) -> io::Result<&mut Inode> {
        if handle.process != self.process {
            return Err(dead());
        }
        self.inodes.get_mut(handle.number).ok_or_else(dead)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        if state.visible.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !folder_of(path).as_os_str().is_empty() && !state.visible.contains_key(folder_of(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.used() >= state.capacity {
            return Err(no_space());
        }
        let number = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(&[folder_of(path)], Change::Add(path.to_path_buf(), Node::File(number)));
        Ok(Arc::new(SimFile { disk: self.clone(), number, process: state.process }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.call()?;
        let number = state.file(path)?;
        Ok(Arc::new(SimFile { disk: self.clone(), number, process: state.process }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        state.call()?;
        let number = state.file(path)?;
        Ok(state.inodes.get(number).map(Inode::bytes).unwrap_or_default().to_vec())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let node = *state.visible.get(from).ok_or(io::ErrorKind::NotFound)?;
        let change = Change::Rename(from.to_path_buf(), to.to_path_buf(), node);
        state.change(&[folder_of(from), folder_of(to)], change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let number = state.file(path)?;
        let blocks = state.inodes.get(number).map(Inode::blocks).unwrap_or_default();
        state.stale.extend(blocks);
        let excess = state.stale.len().saturating_sub(16);
        state.stale.drain(..excess);
        state.change(&[folder_of(path)], Change::Remove(path.to_path_buf()));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.call()?;
        let mut folders: Vec<&Path> = path.ancestors().filter(|f| !f.as_os_str().is_empty()).collect();
        folders.reverse();
        for folder in folders {
            if folder != Path::new("/") && !state.visible.contains_key(folder) {
                state.change(&[folder_of(folder)], Change::Add(folder.to_path_buf(), Node::Folder));
            }
        }
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut guard = self.lock();
        guard.call()?;
        let state = &mut *guard;
        let mut still = Vec::new();
        for mut pending in std::mem::take(&mut state.pending) {
            pending.folders.remove(path);
            if pending.folders.is_empty() {
                pending.change.apply(&mut state.durable);
            } else {
                still.push(pending);
            }
        }
        state.pending = still;
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut state = self.lock();
        state.call()?;
        let mut entries = Vec::new();
        for (entry, node) in &state.visible {
            if folder_of(entry) != path {
                continue;
            }
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else { continue };
            let (is_directory, len) = match node {
                Node::File(number) => (false, state.inodes.get(*number).map_or(0, Inode::len)),
                Node::Folder => (true, 0),
            };
            entries.push(DirectoryEntry { name: name.to_owned(), is_directory, len });
        }
        Ok(entries)
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let mut state = self.lock();
        state.call()?;
        let total = state.capacity;
        Ok(Space { total, available: total.saturating_sub(state.used()) })
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: usize,
    process: u64,
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut guard = self.disk.lock();
        let state = &mut *guard;
        let failed = state.call();
        let room = state.capacity.saturating_sub(state.used());
        let inode = state.inode(self)?;
        let touched = inode.sync_failed();
        let grows = (offset + bytes.len() as u64).saturating_sub(inode.len());
        if failed.is_err() || grows > room {
            // A write that fails may have written any part.
            let random = &mut state.faults.random;
            let part = if state.faults.is_dead { 0 } else { random.below(bytes.len() + 1) };
            let fits =
                usize::try_from(room.saturating_add(bytes.len() as u64 - grows.min(bytes.len() as u64)));
            let part = part.min(fits.unwrap_or(usize::MAX));
            let kept = bytes.get(..part).unwrap_or_default();
            state.inode(self)?.write(offset, kept);
            state.touched_after_failed_sync += u64::from(touched);
            return Err(failed.err().unwrap_or_else(no_space));
        }
        inode.write(offset, bytes);
        state.touched_after_failed_sync += u64::from(touched);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.call()?;
        Ok(state.inode(self)?.read(offset, buffer))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut guard = self.disk.lock();
        let state = &mut *guard;
        let failed = state.call();
        let touched = state.inode(self)?.sync_failed();
        state.touched_after_failed_sync += u64::from(touched);
        match failed {
            Ok(()) => {
                state.inode(self)?.sync();
                state.syncs += 1;
                Ok(())
            }
            Err(error) => {
                if !state.faults.is_dead
                    && let Some(inode) = state.inodes.get_mut(self.number)
                {
                    inode.fail_sync(&mut state.faults.random);
                }
                Err(error)
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.call()?;
        Ok(state.inode(self)?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call()?;
        state.inode(self)?.set_len(len);
        Ok(())
    }

    fn preallocate(&self, _offset: u64, _len: u64) -> io::Result<()> {
        self.disk.lock().call()
    }
}
