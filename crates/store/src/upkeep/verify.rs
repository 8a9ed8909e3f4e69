//! Checks every checksum of every file, the catalog against the files, and the log's second copy against the
//! segments, event by event. It runs beside a server, under a reader's lease, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::hash::HashKey;
use skein_event::ids::{Offset, Partition};
use skein_log::disk::{Disk, RealDisk};
use skein_log::inspect::{self, LogFile, ProblemKind};

use super::compare::{Comparer, Comparison, Removals};
use super::fixed_files::{check_lock, check_registry, check_sqlite, check_version};
use super::report::{Progress, Report, Severity, Step};
use super::side_by_side::side_by_side;
use crate::catalog::{Catalog, Content, SegmentRow, SqliteCatalog};
use crate::error::{Error, ErrorKind};
use crate::files::{FileAccess, Files};
use crate::lease::Lease;
use crate::opener::is_missing;
use crate::segment::Segment;
use crate::taken::RowMatcher;

const REPAIR: &str = "stop the server and run `skein doctor DIR --repair`: what the log's second copy still holds is \
                      written again, the rest is set aside and named";
pub(super) const REBUILD: &str = "stop the server and run `skein doctor DIR --rebuild-catalog`";
const NOTHING: &str = "nothing needs to be done";

/// What is checked.
pub struct Source {
    /// The data directory.
    pub root: PathBuf,
    /// Where its files lie.
    pub disk: Arc<dyn Disk>,
    /// How segments are read.
    pub access: FileAccess,
    /// The deployment's hash key.
    pub hash_key: HashKey,
    /// Evaluates the filters of erasures. Without, an event of the log that an erasure may have taken is not
    /// missed in the segments.
    pub matcher: Option<Arc<dyn RowMatcher>>,
    /// The catalog, or why it cannot be read.
    pub catalog: Result<Arc<dyn Catalog>, Error>,
}

/// A segment that is there and sound, as far as opening it tells.
#[derive(Clone)]
pub(crate) struct OpenSegment {
    pub(crate) row: SegmentRow,
    pub(crate) path: PathBuf,
    pub(crate) segment: Arc<Segment>,
}

/// What a check leaves for whoever repairs.
#[derive(Default)]
pub(crate) struct Verified {
    pub(crate) report: Report,
    pub(crate) content: Content,
    /// Segments that count and are whole.
    pub(crate) sound: Vec<OpenSegment>,
    /// Segments that count and are damaged or not there.
    pub(crate) lost: Vec<(SegmentRow, PathBuf)>,
    /// Files below `segments/` that do not count.
    pub(crate) orphans: Vec<PathBuf>,
    pub(crate) comparison: Comparison,
}

/// Checks a data directory. An error says that it could not be looked at; what is wrong with it is in the report.
pub fn verify(
    root: &Path,
    matcher: Option<Arc<dyn RowMatcher>>,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    if !root.is_dir() {
        let message = format!("{} is no folder", root.display());
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let _lease = Lease::take(root)?;
    let mut report = Report::default();
    let Some(fixed) = check_version(root, &mut report) else { return Ok(report) };
    check_lock(root, &mut report);
    let path = root.join("catalog.sqlite");
    let catalog = if path.exists() {
        SqliteCatalog::open_to_read(&path)
    } else {
        Err(Error::damaged(format!("{} is not there", path.display())))
    };
    if let Ok(catalog) = &catalog {
        check_sqlite(Path::new("catalog.sqlite"), catalog.integrity(), REBUILD, &mut report);
    }
    check_registry(root, &mut report);
    let source = Source {
        root: root.to_path_buf(),
        disk: Arc::new(RealDisk),
        access: FileAccess::Map,
        hash_key: fixed.hash_key,
        matcher,
        catalog: catalog.map(|catalog| Arc::new(catalog) as Arc<dyn Catalog>),
    };
    let verified = verify_source(source, progress)?;
    report.append(verified);
    Ok(report)
}

/// Checks what is behind a disk and a catalog: segments, log, and one against the other.
pub fn verify_source(source: Source, progress: Progress<'_>) -> Result<Report, Error> {
    look(&source, progress).map(|verified| verified.report)
}

/// As [`verify_source`], with everything that a repair needs to know.
pub(crate) fn look(source: &Source, progress: Progress<'_>) -> Result<Verified, Error> {
    let mut verified = Verified::default();
    let files = Files::new(Arc::clone(&source.disk), source.root.clone(), source.access);
    let catalog_file = Path::new("catalog.sqlite");
    match source
        .catalog
        .as_ref()
        .map_err(ToString::to_string)
        .and_then(|catalog| catalog.content().map_err(|error| error.to_string()))
    {
        Ok(content) => {
            verified.content = content;
            verified.report.checked.files += 1;
        }
        Err(error) => verified.report.add(Severity::Damage, catalog_file, None, error, REBUILD),
    }
    let found = files.find().or_else(|error| if is_missing(&error) { Ok(Vec::new()) } else { Err(error) })?;
    check_segments(source, &files, &mut verified, progress);
    let counted: BTreeSet<PathBuf> = verified.content.segments.iter().map(|row| files.path_of(row)).collect();
    for file in found.into_iter().filter(|file| !counted.contains(&file.path)) {
        let name = relative(&source.root, &file.path);
        if file.id.is_none() {
            verified.report.add(
                Severity::Warning,
                &name,
                None,
                "this file is none of Skein's",
                "move it away",
            );
            continue;
        }
        let what = "this segment does not count: it was being written, or was replaced";
        let advice = "nothing: a server removes it when it starts, if nothing needs it";
        // Without a catalog nothing counts, and all of it is told in one remark.
        if source.catalog.is_ok() {
            verified.report.add(Severity::Note, &name, None, what, advice);
        }
        verified.orphans.push(file.path);
    }
    let lows: BTreeMap<Partition, Offset> =
        verified.content.marks.iter().map(|mark| (mark.partition, mark.low)).collect();
    check_log(source, &lows, &mut verified, progress)?;
    Ok(verified)
}

pub(crate) fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}

/// Each segment that counts: there, the one that the catalog names, every checksum and index sound.
fn check_segments(source: &Source, files: &Files, verified: &mut Verified, progress: Progress<'_>) {
    let rows = std::mem::take(&mut verified.content.segments);
    let total = rows.iter().map(|row| row.bytes).sum();
    let checked = side_by_side(&rows, |row| {
        let path = files.path_of(row);
        let mut report = Report::default();
        let segment = check_segment(files, row, &path, &relative(&source.root, &path), &mut report);
        progress(Step { what: "segments", done: row.bytes, total });
        (path, segment, report)
    });
    let names: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    for (row, (path, segment, mut report)) in rows.iter().zip(checked) {
        report.checked.files += 1;
        report.checked.bytes += row.bytes;
        report.checked.segments += 1;
        report.checked.events += row.rows;
        match segment {
            Some(segment) => {
                for replaced in segment.replaces().filter(|name| names.contains(name)) {
                    let what = format!(
                        "this segment replaces {replaced}, which still counts: its events are there twice"
                    );
                    report.add(Severity::Damage, &relative(&source.root, &path), None, what, REBUILD);
                }
                verified.sound.push(OpenSegment { row: row.clone(), path, segment });
            }
            None => verified.lost.push((row.clone(), path)),
        }
        verified.report.append(report);
    }
    verified.content.segments = rows;
}

/// `None` when it cannot be trusted whole.
fn check_segment(
    files: &Files,
    row: &SegmentRow,
    path: &Path,
    name: &Path,
    report: &mut Report,
) -> Option<Arc<Segment>> {
    let segment = match files.open(path) {
        Ok(segment) => segment,
        Err(error) => {
            let what =
                if is_missing(&error) { "the file is not there".to_owned() } else { error.to_string() };
            report.add(Severity::Damage, name, None, what, REPAIR);
            return None;
        }
    };
    if let Some(difference) = difference(row, &segment) {
        let what = format!("the catalog and the file disagree: {difference}");
        report.add(Severity::Damage, name, None, what, REPAIR);
        return None;
    }
    let problems = segment.problems();
    for problem in &problems {
        let what = format!("{} ({} bytes): {}", problem.what, problem.length, problem.message);
        report.add(Severity::Damage, name, Some(problem.offset), what, REPAIR);
    }
    problems.is_empty().then(|| Arc::new(segment))
}

/// What the file says otherwise than its row.
pub(crate) fn difference(row: &SegmentRow, segment: &Segment) -> Option<String> {
    let found = row_of(segment, row.id.clone());
    let pairs = [
        ("environment", row.environment.to_string(), found.environment.to_string()),
        ("partition", row.partition.0.to_string(), found.partition.0.to_string()),
        ("day", row.day.to_string(), found.day.to_string()),
        ("events", row.rows.to_string(), found.rows.to_string()),
        ("bytes", row.bytes.to_string(), found.bytes.to_string()),
        ("times", format!("{:?}", row.time_range), format!("{:?}", found.time_range)),
        ("arrivals", format!("{:?}", row.ingest_range), format!("{:?}", found.ingest_range)),
        ("log offsets", format!("{:?}", row.offset_range), format!("{:?}", found.offset_range)),
    ];
    let (name, catalog, file) = pairs.into_iter().find(|(_, catalog, file)| catalog != file)?;
    Some(format!("{name} {catalog} in the catalog, {file} in the file"))
}

/// The catalog's row of a segment.
pub(crate) fn row_of(segment: &Segment, id: crate::catalog::SegmentId) -> SegmentRow {
    SegmentRow {
        id,
        environment: segment.environment().clone(),
        partition: segment.partition(),
        day: segment.header().day,
        rows: u64::from(segment.rows()),
        bytes: segment.byte_len(),
        time_range: segment.time_range(),
        ingest_range: segment.ingest_range(),
        offset_range: segment.offset_range(),
    }
}

/// Each file of the log, and its events against those in segments.
fn check_log(
    source: &Source,
    lows: &BTreeMap<Partition, Offset>,
    verified: &mut Verified,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
    let disk = &*source.disk;
    let mut work = Vec::new();
    for partition in inspect::partitions(disk, &source.root).map_err(failed)? {
        let files = inspect::files(disk, &source.root, partition).map_err(failed)?;
        let of_it = |open: &&OpenSegment| open.row.partition == partition;
        let sound: Vec<OpenSegment> = verified.sound.iter().filter(of_it).cloned().collect();
        let lost = verified.lost.iter().filter(|(row, _)| row.partition == partition).cloned().collect();
        work.push(PartitionWork { partition, files, sound, lost });
    }
    let total = work.iter().flat_map(|work| &work.files).map(|file| file.bytes).sum();
    let files = Files::new(Arc::clone(&source.disk), source.root.clone(), source.access);
    let removals = Removals::load(&files, &mut verified.report);
    let check = |work: &PartitionWork| check_partition(source, work, (lows, &removals), total, progress);
    let results = side_by_side(&work, check);
    for result in results {
        let (report, comparison) = result?;
        verified.report.append(report);
        verified.comparison.append(comparison);
    }
    Ok(())
}

/// What is compared of one partition.
struct PartitionWork {
    partition: Partition,
    files: Vec<LogFile>,
    sound: Vec<OpenSegment>,
    lost: Vec<(SegmentRow, PathBuf)>,
}

fn check_partition(
    source: &Source,
    work: &PartitionWork,
    (lows, removals): (&BTreeMap<Partition, Offset>, &Removals),
    total: u64,
    progress: Progress<'_>,
) -> Result<(Report, Comparison), Error> {
    let mut report = Report::default();
    let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
    let low = lows.get(&work.partition).map_or(0, |low| low.0);
    check_extent(source, work, low, &mut report)?;
    // Without a catalog nobody knows what should be in segments.
    let mut comparer = Comparer::new(source, work.partition, low, &work.sound, removals);
    for file in &work.files {
        let name = relative(&source.root, &file.path);
        let proven = inspect::closed_at(&*source.disk, &source.root, file).unwrap_or(0).max(low);
        let content = match inspect::read(&*source.disk, file, proven) {
            Ok(content) => content,
            Err(error) => {
                // The server may have deleted it since it was listed, when no lease could be had.
                report.add(Severity::Damage, &name, None, error.to_string(), "look at the disk's own log");
                continue;
            }
        };
        report.checked.files += 1;
        report.checked.bytes += file.bytes;
        report.checked.log_records += content.records.len() as u64;
        for problem in &content.problems {
            let (severity, advice) = judge(problem.kind, problem.offsets.end <= low);
            report.add(severity, &name, Some(problem.bytes.start), problem.message.clone(), advice);
        }
        comparer.compare(file, &name, &content, &mut report);
        progress(Step { what: "log", done: file.bytes, total });
    }
    if let Some((path, what)) =
        inspect::check_state(&*source.disk, &source.root, work.partition).map_err(failed)?
    {
        let advice = "nothing: the server reads the keys from the log and writes the file anew";
        report.add(Severity::Damage, &relative(&source.root, &path), Some(0), what, advice);
    }
    let comparison = comparer.finish(&work.lost, &mut report);
    Ok((report, comparison))
}

/// What no file can say of itself: that it is gone.
fn check_extent(source: &Source, work: &PartitionWork, low: u64, report: &mut Report) -> Result<(), Error> {
    let failed = |error: skein_log::Error| Error::with_source(ErrorKind::Io, error.to_string(), error);
    let folder = PathBuf::from("log").join(work.partition.0.to_string());
    match work.files.first() {
        None if low > 0 => {
            let what =
                format!("no file of the log is there; {low} records are committed, what came later is gone");
            report.add(Severity::Warning, &folder, None, what, "restore the files from a backup");
        }
        Some(first) if first.first_offset > low => {
            let what = format!(
                "the log begins at record {}, and only those below {low} are committed: what was acknowledged \
                 between them is gone",
                first.first_offset
            );
            report.add(Severity::Damage, &folder, None, what, "restore the files from a backup");
        }
        _ => {}
    }
    let keys = inspect::missing_state(&*source.disk, &source.root, work.partition, low).map_err(failed)?;
    if let Some(path) = keys {
        let what = "the batch keys of committed records are gone; the log has them";
        report.add(Severity::Warning, &relative(&source.root, &path), None, what, NOTHING);
    }
    Ok(())
}

fn judge(kind: ProblemKind, is_committed: bool) -> (Severity, &'static str) {
    match kind {
        ProblemKind::Damaged if is_committed => {
            (Severity::Damage, "nothing: the events are in segments; the second copy of them is lost")
        }
        ProblemKind::Damaged => (
            Severity::Damage,
            "restore the file from a backup; the server sets the bytes aside and serves the rest",
        ),
        ProblemKind::Header | ProblemKind::Padding => (Severity::Damage, NOTHING),
        ProblemKind::Torn => (Severity::Warning, NOTHING),
        ProblemKind::Newer => (Severity::Damage, "use a Skein that reads it"),
    }
}
