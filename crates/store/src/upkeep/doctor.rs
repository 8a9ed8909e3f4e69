//! `skein doctor`: says what is wrong with a data directory and what it would do, and does it when told to.
//!
//! It needs the directory for itself (LOCK). What it takes out of the way lies in `quarantine/` afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use skein_event::ids::Partition;
use skein_log::disk::{Disk, RealDisk};
use skein_log::inspect;

use super::rebuild::{Plan, plan};
use super::repair::{Repaired, Writer, repair};
use super::report::{Progress, Report, Severity};
use super::verify::{Source, Verified, look};
use crate::catalog::{Catalog, SqliteCatalog};
use crate::data_directory::{Fixed, lock, read_version, recover_version, write_version};
use crate::erasures::look_again;
use crate::error::{Error, ErrorKind};
use crate::files::{FileAccess, Files};
use crate::taken::RowMatcher;

/// What the doctor is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cure {
    /// Only say what is wrong, and what would be done.
    Examine,
    /// Make a new catalog from segments and log, then repair.
    RebuildCatalog,
    /// Write again from the log what damaged segments held; set the rest aside.
    Repair,
}

/// What the doctor found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DoctorReport {
    /// What is wrong: before a cure when nothing was to be done, else after it.
    pub report: Report,
    /// What was done, or would be.
    pub steps: Vec<String>,
    /// Events that were written again.
    pub events_restored: u64,
    /// Events that were lost and could not be.
    pub events_gone: u64,
}

/// Examines or cures a data directory.
pub fn doctor(
    root: &Path,
    cure: Cure,
    matcher: Option<Arc<dyn RowMatcher>>,
    progress: Progress<'_>,
) -> Result<DoctorReport, Error> {
    if !root.is_dir() {
        return Err(Error::new(ErrorKind::NotFound, format!("{} is no folder", root.display())));
    }
    let _lock = lock(root)?;
    let mut doctor = Doctor { root, report: DoctorReport::default(), matcher, progress };
    match (read_version(root), cure) {
        (Ok(Some(fixed)), _) => doctor.treat(fixed, cure)?,
        (Err(error), _) if error.kind() == ErrorKind::Unsupported => return Err(error),
        (Ok(None) | Err(_), Cure::Examine) => doctor.tell_version()?,
        (Ok(None) | Err(_), _) => {
            let fixed = doctor.make_version()?;
            doctor.treat(fixed, cure)?;
        }
    }
    Ok(doctor.report)
}

struct Doctor<'a> {
    root: &'a Path,
    report: DoctorReport,
    matcher: Option<Arc<dyn RowMatcher>>,
    progress: Progress<'a>,
}

impl Doctor<'_> {
    fn say(&mut self, step: impl Into<String>) {
        self.report.steps.push(step.into());
    }

    fn treat(&mut self, fixed: Fixed, cure: Cure) -> Result<(), Error> {
        match cure {
            Cure::Examine => self.examine(fixed),
            Cure::RebuildCatalog => self.rebuild(fixed),
            Cure::Repair => {
                self.repair(fixed)?;
                self.conclude()
            }
        }
    }

    fn source(&self, fixed: Fixed, catalog: Result<Arc<dyn Catalog>, Error>) -> Source {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let (root, access) = (self.root.to_path_buf(), FileAccess::Map);
        let matcher = self.matcher.clone();
        Source { root, disk, access, hash_key: fixed.hash_key, matcher, catalog }
    }

    fn catalog_path(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    // === VERSION ===

    fn tell_version(&mut self) -> Result<(), Error> {
        let found = recover_version(self.root)?;
        let what = "VERSION is missing or damaged";
        let advice = "run `skein doctor DIR --repair`";
        self.report.report.add(Severity::Damage, Path::new("VERSION"), Some(0), what, advice);
        self.say(match found {
            Some(fixed) => format!(
                "would write VERSION again: hash key and number of partitions ({}) are in segments and log",
                fixed.partitions
            ),
            None => "cannot write VERSION again: no segment or file of the log says hash key and partitions"
                .to_owned(),
        });
        Ok(())
    }

    fn make_version(&mut self) -> Result<Fixed, Error> {
        let Some(fixed) = recover_version(self.root)? else {
            let message =
                "VERSION is lost, and no segment or file of the log says what it held; restore a backup";
            return Err(Error::damaged(message));
        };
        let failed = |error: std::io::Error| {
            let message = format!("cannot write VERSION: {error}");
            Error::with_source(ErrorKind::Io, message, error)
        };
        let damaged = self.root.join("VERSION");
        if damaged.exists() {
            std::fs::create_dir_all(self.root.join("quarantine")).map_err(failed)?;
            std::fs::rename(&damaged, self.root.join("quarantine/VERSION")).map_err(failed)?;
        }
        write_version(self.root, fixed).map_err(failed)?;
        self.say("wrote VERSION again, from what segments and log say");
        Ok(fixed)
    }

    // === looking ===

    fn examine(&mut self, fixed: Fixed) -> Result<(), Error> {
        let catalog = self.open_catalog();
        let is_sound = catalog.is_ok();
        let source = self.source(fixed, catalog);
        let verified = look(&source, self.progress)?;
        if is_sound {
            self.tell_repair(&verified);
        } else {
            let plan = self.plan(&source, fixed)?;
            self.tell_plan(&plan);
        }
        self.report.report.append(verified.report);
        if self.report.steps.is_empty() {
            self.say("nothing is to be done");
        }
        Ok(())
    }

    /// The catalog, when its rows are those that were written and SQLite finds nothing wrong.
    fn open_catalog(&self) -> Result<Arc<dyn Catalog>, Error> {
        let path = self.catalog_path();
        if !path.exists() {
            return Err(Error::damaged(format!("{} is not there", path.display())));
        }
        let catalog = SqliteCatalog::open_to_read(&path)?;
        let problems = catalog.integrity()?;
        if let Some(problem) = problems.first() {
            return Err(Error::damaged(format!("{}: SQLite finds: {problem}", path.display())));
        }
        Ok(Arc::new(catalog))
    }

    fn tell_repair(&mut self, verified: &Verified) {
        let missing: usize = verified
            .comparison
            .missing
            .values()
            .flat_map(|events| events.values())
            .map(std::collections::BTreeSet::len)
            .sum();
        let held: u64 = verified.lost.iter().map(|(row, _)| row.rows).sum();
        if missing > 0 {
            self.say(format!("--repair would write {missing} events again from the log"));
        }
        if !verified.lost.is_empty() {
            let gone = held.saturating_sub(missing as u64);
            self.say(format!(
                "--repair would take {} damaged or missing segments out of the catalog and move what is there to \
                 quarantine/; {gone} of their {held} events are not in the log any more",
                verified.lost.len()
            ));
        }
        for (path, rows) in &verified.comparison.wrong {
            self.say(format!(
                "--repair would write {} again without {} of its rows",
                path.display(),
                rows.len()
            ));
        }
    }

    // === the catalog ===

    fn plan(&self, source: &Source, fixed: Fixed) -> Result<Plan, Error> {
        let salvaged = SqliteCatalog::salvage_imports(&self.catalog_path()).unwrap_or_default();
        plan(source, fixed.partitions, salvaged, self.progress)
    }

    fn tell_plan(&mut self, plan: &Plan) {
        let (segments, events) = plan
            .content
            .segments
            .iter()
            .fold((0_u64, 0), |(segments, events), row| (segments + 1, events + row.rows));
        self.say(format!(
            "--rebuild-catalog would make a catalog of {segments} segments with {events} events"
        ));
        for (path, reason) in &plan.aside {
            self.say(format!("--rebuild-catalog would move {} to quarantine/: {reason}", path.display()));
        }
        for (open, rows) in &plan.without {
            self.say(format!(
                "--rebuild-catalog would write {} again without {} events that newer files hold",
                open.path.display(),
                rows.len()
            ));
        }
        self.report.report.append(plan.report.clone());
    }

    fn rebuild(&mut self, fixed: Fixed) -> Result<(), Error> {
        let none = Err(Error::damaged("it is being made"));
        let source = self.source(fixed, none);
        let mut plan = self.plan(&source, fixed)?;
        let files = Files::new(Arc::clone(&source.disk), source.root.clone(), source.access);
        files.prepare()?;
        let mut next_number = 0;
        let mut replaced = Vec::new();
        for (open, rows) in std::mem::take(&mut plan.without) {
            let mark = plan.content.marks.iter().find(|mark| mark.partition == open.row.partition).cloned();
            let Some(mark) = mark else { continue };
            let row = Writer { source: &source, files: &files, mark, next_number: &mut next_number }
                .without(&open, &rows)?;
            self.say(format!(
                "wrote {} again as {} without {} events that newer files hold",
                open.row.id,
                row.id,
                rows.len()
            ));
            plan.content.segments.push(row);
            replaced
                .push((open.path, "it was written again without events that newer files hold".to_owned()));
        }
        let events: u64 = plan.content.segments.iter().map(|row| row.rows).sum();
        self.say(format!("made a catalog of {} segments with {events} events", plan.content.segments.len()));
        look_again(&files)?;
        self.replace_catalog(&plan)?;
        for (path, reason) in plan.aside.into_iter().chain(replaced) {
            let target = files.set_aside(&path, &format!("doctor: {reason}\n"))?;
            self.say(format!("moved {} to {}: {reason}", path.display(), target.display()));
        }
        for remark in plan.report.damage() {
            let said = format!("{}: {}", remark.file.display(), remark.what);
            self.report.steps.push(said);
        }
        self.report.report.append(plan.report);
        // What damaged segments held may be in the log.
        self.repair(fixed)?;
        self.conclude()
    }

    /// Puts a new catalog in the place of the old one, which goes to `quarantine/`.
    fn replace_catalog(&mut self, plan: &Plan) -> Result<(), Error> {
        let failed = |what: &str, path: &Path, error: std::io::Error| {
            Error::with_source(ErrorKind::Io, format!("cannot {what} {}: {error}", path.display()), error)
        };
        let new = self.root.join("tmp").join("catalog.sqlite");
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let path = self.root.join("tmp").join(name);
            if path.exists() {
                std::fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
            }
        }
        let catalog = SqliteCatalog::open(&new)?;
        catalog.fill(plan.content.clone())?;
        catalog.close()?;
        let synced = std::fs::File::open(&new).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("sync", &new, error))?;
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            let path = self.root.join(name);
            if path.exists() {
                let aside = self.root.join("quarantine").join(name);
                std::fs::rename(&path, &aside).map_err(|error| failed("set aside", &path, error))?;
                self.say(format!("moved {} to {}", path.display(), aside.display()));
            }
        }
        let footers = self.root.join("footers.cat");
        if footers.exists() {
            std::fs::remove_file(&footers).map_err(|error| failed("remove", &footers, error))?;
            self.say("removed footers.cat, which the server makes again");
        }
        let path = self.catalog_path();
        std::fs::rename(&new, &path).map_err(|error| failed("rename", &new, error))?;
        let synced = std::fs::File::open(self.root).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed("sync", self.root, error))
    }

    // === segments ===

    fn repair(&mut self, fixed: Fixed) -> Result<(), Error> {
        let catalog = match self.open_catalog() {
            Ok(_) => SqliteCatalog::open(&self.catalog_path())?,
            Err(error) => {
                let message =
                    format!("{error}. Run `skein doctor {} --rebuild-catalog`", self.root.display());
                return Err(Error::damaged(message));
            }
        };
        let catalog: Arc<dyn Catalog> = Arc::new(catalog);
        let source = self.source(fixed, Ok(Arc::clone(&catalog)));
        let verified = look(&source, self.progress)?;
        let Repaired { events, gone, said } =
            repair(&source, &*catalog, &verified, fixed.partitions, self.progress)?;
        self.set_keys_aside(fixed.partitions)?;
        self.report.events_restored += events;
        self.report.events_gone += gone;
        self.report.steps.extend(said);
        Ok(())
    }

    /// Damaged keys of committed records go; the server makes them again from the log.
    fn set_keys_aside(&mut self, partitions: u16) -> Result<(), Error> {
        for partition in (0..partitions).map(Partition) {
            let checked = inspect::check_state(&RealDisk, self.root, partition);
            let checked =
                checked.map_err(|error| Error::with_source(ErrorKind::Io, error.to_string(), error))?;
            if let Some((path, what)) = checked {
                let files = Files::shared_real(self.root.to_path_buf(), FileAccess::Map);
                let target = files.set_aside(&path, &format!("doctor: {what}\n"))?;
                self.say(format!("moved {} to {}: {what}", path.display(), target.display()));
            }
        }
        Ok(())
    }

    /// What is wrong after everything was done.
    fn conclude(&mut self) -> Result<(), Error> {
        if self.report.steps.is_empty() {
            self.say("nothing was to be done");
        }
        let Some(fixed) = read_version(self.root)? else { return Ok(()) };
        let source = self.source(fixed, self.open_catalog());
        let verified = look(&source, self.progress)?;
        let notes = std::mem::take(&mut self.report.report.remarks);
        self.report.report = verified.report;
        // What is gone stays worth knowing.
        let told = notes.into_iter().filter(|remark| remark.severity < Severity::Damage);
        self.report.report.remarks.extend(told);
        Ok(())
    }
}
