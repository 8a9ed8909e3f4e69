//! The manifest of a backup: every file with its length and SHA-256, closed by a digest of its own. A backup is
//! whole when its manifest is; it is written last, so that half a backup has none.
//!
//! docs/formats/backup.md describes the bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use skein_log::disk::{Disk, DiskFile};

use crate::error::{Error, ErrorKind};

const FIRST_LINE: &str = "skein backup 1";
/// Read and written at once.
const PIECE_BYTES: usize = 1 << 20;

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// SHA-256, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) bytes: u64,
    /// Below the backup.
    pub(crate) stored: PathBuf,
}

/// A whole backup: its files by their path below the data directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) number: u64,
    /// When the backup was begun, epoch nanoseconds.
    pub(crate) created_ns: i64,
    pub(crate) files: BTreeMap<PathBuf, Entry>,
}

pub(crate) fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::with_source(ErrorKind::Io, format!("cannot {what} {}: {error}", path.display()), error)
}

/// The name of a backup's manifest.
pub(crate) fn manifest_name(number: u64) -> String {
    format!("manifest-{number}")
}

/// The folder of what belongs to one backup alone.
pub(crate) fn run_name(number: u64) -> String {
    format!("run-{number}")
}

impl Manifest {
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\ncreated {}\n", self.created_ns);
        for (path, entry) in &self.files {
            let (path, stored) = (path.display(), entry.stored.display());
            // A String takes everything.
            writeln!(text, "file {} {} {path}\t{stored}", entry.digest, entry.bytes).ok();
        }
        let digest = hex(&Sha256::digest(text.as_bytes()));
        text + "end " + &digest + "\n"
    }

    /// `None` when it is not whole.
    pub(crate) fn parse(number: u64, bytes: &[u8]) -> Option<Manifest> {
        let text = std::str::from_utf8(bytes).ok()?;
        let end = text.rfind("end ")?;
        let (body, end) = text.split_at_checked(end)?;
        if end != format!("end {}\n", hex(&Sha256::digest(body.as_bytes()))) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let created_ns = lines.next()?.strip_prefix("created ")?.parse().ok()?;
        let mut files = BTreeMap::new();
        for line in lines {
            let mut fields = line.strip_prefix("file ")?.splitn(3, ' ');
            let (digest, bytes, paths) = (fields.next()?, fields.next()?, fields.next()?);
            let (path, stored) = paths.split_once('\t')?;
            let entry =
                Entry { digest: digest.to_owned(), bytes: bytes.parse().ok()?, stored: inside(stored)? };
            files.insert(inside(path)?, entry);
        }
        Some(Manifest { number, created_ns, files })
    }
}

/// A path that cannot lead out of the folder it is below.
fn inside(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// The numbers of manifests and of folders of runs in a backup, whole or not.
pub(crate) fn numbers(disk: &dyn Disk, target: &Path) -> Result<Vec<(u64, String)>, Error> {
    let entries = disk.list(target).map_err(|error| failed("list", target, error))?;
    let number = |name: &str| {
        let digits = name.strip_prefix("manifest-").or_else(|| name.strip_prefix("run-"))?;
        digits.strip_suffix(".partial").unwrap_or(digits).parse().ok()
    };
    Ok(entries.into_iter().filter_map(|entry| Some((number(&entry.name)?, entry.name))).collect())
}

/// The newest whole backup in a folder, and the names of manifests that are not whole.
pub(crate) fn newest(disk: &dyn Disk, target: &Path) -> Result<(Option<Manifest>, Vec<String>), Error> {
    let mut found = numbers(disk, target)?;
    found.retain(|(_, name)| name.starts_with("manifest-") && !name.ends_with(".partial"));
    found.sort();
    let mut broken = Vec::new();
    for (number, name) in found.into_iter().rev() {
        let path = target.join(&name);
        let bytes = disk.read(&path).map_err(|error| failed("read", &path, error))?;
        match Manifest::parse(number, &bytes) {
            Some(manifest) => return Ok((Some(manifest), broken)),
            None => broken.push(name),
        }
    }
    Ok((None, broken))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Reads a file piece by piece; returns its digest and length.
pub(crate) fn digest_file(
    disk: &dyn Disk,
    path: &Path,
    mut with_piece: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(String, u64), Error> {
    let file = disk.open_read(path).map_err(|error| failed("open", path, error))?;
    let mut piece = vec![0; PIECE_BYTES];
    let (mut digest, mut done) = (Sha256::new(), 0);
    loop {
        let count = file.read_at(done, &mut piece).map_err(|error| failed("read", path, error))?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        with_piece(done, read)?;
        done += count as u64;
    }
    Ok((hex(&digest.finalize()), done))
}

/// Copies a file under a temporary name, syncs it, and gives it its name; returns digest and length.
pub(crate) fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(String, u64), Error> {
    let partial = partial_name(to);
    prepare(disk, &partial)?;
    let file = disk.create(&partial).map_err(|error| failed("create", &partial, error))?;
    let copied = digest_file(disk, from, |place, piece| {
        file.write_at(place, piece).map_err(|error| failed("write", &partial, error))
    })?;
    publish(disk, &*file, &partial, to)?;
    Ok(copied)
}

/// Writes a small file whole.
pub(crate) fn write_file(disk: &dyn Disk, to: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = partial_name(to);
    prepare(disk, &partial)?;
    let file = disk.create(&partial).map_err(|error| failed("create", &partial, error))?;
    file.write_at(0, bytes).map_err(|error| failed("write", &partial, error))?;
    publish(disk, &*file, &partial, to)
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn prepare(disk: &dyn Disk, partial: &Path) -> Result<(), Error> {
    if let Some(folder) = partial.parent() {
        disk.create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
    }
    match disk.remove(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", partial, error)),
        _ => Ok(()),
    }
}

fn publish(disk: &dyn Disk, file: &dyn DiskFile, partial: &Path, to: &Path) -> Result<(), Error> {
    file.sync_data().map_err(|error| failed("sync", partial, error))?;
    disk.rename(partial, to).map_err(|error| failed("rename", partial, error))?;
    sync_folder_of(disk, to)
}

/// Makes a name durable, and those of the folders it may be the first in.
pub(crate) fn sync_folder_of(disk: &dyn Disk, path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    disk.sync_dir(folder).map_err(|error| failed("sync", folder, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_comes_back_and_any_flipped_bit_or_cut_is_noticed() {
        let entry = |stored: &str| Entry { digest: "ab".repeat(32), bytes: 9, stored: stored.into() };
        let files = [("VERSION", "run-3/VERSION"), ("log/0/7.wal", "pool/log/0/7.wal")];
        let files = files.into_iter().map(|(path, stored)| (path.into(), entry(stored))).collect();
        let manifest = Manifest { number: 3, created_ns: -5, files };
        let bytes = manifest.text().into_bytes();
        assert_eq!(Manifest::parse(3, &bytes), Some(manifest));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::parse(3, &damaged), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(Manifest::parse(3, &bytes[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for text in ["/etc/passwd", "../x", "a/../../b", "./a"] {
            assert_eq!(inside(text), None, "{text}");
        }
        assert_eq!(inside("a/b"), Some("a/b".into()));
    }
}
