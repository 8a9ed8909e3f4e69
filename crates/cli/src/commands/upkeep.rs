//! `skein verify`, `backup`, `restore` and `doctor`: what is done to a data directory on this machine, with progress
//! on stderr and the findings on stdout.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use skein_server::upkeep::{self, Checked, Cure, DoctorReport, Error, ErrorKind, Remark, Report, Step};

use crate::arguments::{Backup, Doctor, Format, Restore, Shape, Verify};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Row, write_out, write_rows};
use crate::progress::Progress;

/// A bar for each thing that is worked through.
#[derive(Default)]
struct Bars(Mutex<BTreeMap<&'static str, Progress>>);

impl Bars {
    fn step(&self, step: Step) {
        let mut bars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(step.what).or_insert_with(|| Progress::bytes(step.what, step.total)).add(step.done);
    }

    fn finish(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(Progress::finish);
    }
}

/// Runs work with bars.
fn with_bars<T>(work: impl FnOnce(upkeep::Progress<'_>) -> Result<T, Error>) -> Result<T, Failure> {
    let bars = Bars::default();
    let done = work(&|step| bars.step(step));
    bars.finish();
    done.map_err(|error| failure(&error))
}

fn failure(error: &Error) -> Failure {
    let (exit, code) = match error.kind() {
        ErrorKind::Locked => (Exit::Usage, "conflict"),
        ErrorKind::NotFound => (Exit::Refused, "not_found"),
        ErrorKind::Refused => (Exit::Refused, "conflict"),
        _ => (Exit::Refused, "unavailable"),
    };
    let failure = Failure::new(exit, code, error.to_string());
    if error.kind() == ErrorKind::Locked {
        failure.hint("stop the server first (SIGTERM), or wait for it")
    } else {
        failure
    }
}

pub(super) fn verify(arguments: &Verify) -> Outcome {
    let report = with_bars(|progress| upkeep::verify(&arguments.directory, progress))?;
    let whole = json!({
        "sound": report.is_sound(),
        "checked": checked(&report.checked),
        "findings": rows(&report.remarks),
    });
    show(&arguments.shape, &report.remarks, whole, |out| {
        tell_remarks(out, &report.remarks)?;
        tell_checked(out, &report)
    })?;
    Ok(if report.is_sound() { Exit::Done } else { Exit::Refused })
}

pub(super) fn backup(arguments: &Backup) -> Outcome {
    let Backup { directory, target, copy, shape } = arguments;
    let report = with_bars(|progress| upkeep::backup(directory, target, *copy, progress))?;
    let whole = json!({
        "number": report.number,
        "files": report.files,
        "bytes": report.bytes,
        "linked": report.linked,
        "copied": report.copied,
        "reused": report.reused,
        "complete": report.remarks.is_empty(),
        "findings": rows(&report.remarks),
    });
    show(shape, &report.remarks, whole, |out| {
        tell_remarks(out, &report.remarks)?;
        writeln!(
            out,
            "backup {} in {}: {} files, {} bytes ({} linked, {} copied, {} there already)",
            report.number,
            target.display(),
            report.files,
            report.bytes,
            report.linked,
            report.copied,
            report.reused
        )?;
        if report.linked > 0 {
            writeln!(out, "hard links share the disk with the data; --copy makes a backup that outlives it")?;
        }
        Ok(())
    })?;
    Ok(if report.remarks.is_empty() { Exit::Done } else { Exit::Incomplete })
}

pub(super) fn restore(arguments: &Restore) -> Outcome {
    let report = with_bars(|progress| upkeep::restore(&arguments.backup, &arguments.directory, progress))?;
    let whole = json!({
        "number": report.number,
        "created_ns": report.created_ns,
        "files": report.files,
        "bytes": report.bytes,
        "broken_manifests": report.broken,
    });
    show(&arguments.shape, &[], whole, |out| {
        for name in &report.broken {
            writeln!(out, "{name} is not whole; an earlier backup was taken")?;
        }
        let (number, files, bytes) = (report.number, report.files, report.bytes);
        writeln!(out, "backup {number} is in {}: {files} files, {bytes} bytes", arguments.directory.display())
    })?;
    Ok(Exit::Done)
}

pub(super) fn doctor(arguments: &Doctor) -> Outcome {
    if arguments.rewrite {
        return rewrite(arguments);
    }
    let cure = match (arguments.rebuild_catalog, arguments.repair) {
        (true, _) => Cure::RebuildCatalog,
        (_, true) => Cure::Repair,
        _ => Cure::Examine,
    };
    let DoctorReport { report, steps, events_restored, events_gone } =
        with_bars(|progress| upkeep::doctor(&arguments.directory, cure, progress))?;
    let whole = json!({
        "sound": report.is_sound(),
        "checked": checked(&report.checked),
        "findings": rows(&report.remarks),
        "steps": steps,
        "events_restored": events_restored,
        "events_gone": events_gone,
    });
    show(&arguments.shape, &report.remarks, whole, |out| {
        tell_remarks(out, &report.remarks)?;
        for step in &steps {
            writeln!(out, "- {step}")?;
        }
        if events_restored > 0 || events_gone > 0 {
            writeln!(out, "{events_restored} events were restored, {events_gone} are gone")?;
        }
        tell_checked(out, &report)
    })?;
    Ok(match (report.is_sound(), events_gone) {
        (true, 0) => Exit::Done,
        // Everything serves again, but not everything is there.
        (true, _) => Exit::Incomplete,
        (false, _) => Exit::Refused,
    })
}

fn rewrite(arguments: &Doctor) -> Outcome {
    let report = with_bars(|progress| upkeep::rewrite(&arguments.directory, progress))?;
    let damaged: Vec<Value> = report
        .damaged
        .iter()
        .map(|(id, message)| json!({ "segment": id.to_string(), "message": message }))
        .collect();
    let whole = json!({
        "rewritten": report.rewritten,
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "damaged": damaged,
    });
    show(&arguments.shape, &[], whole, |out| {
        for (id, message) in &report.damaged {
            writeln!(out, "segment {id} stays as it is: {message}; try `skein doctor --repair`")?;
        }
        let (rewritten, before, after) = (report.rewritten, report.bytes_before, report.bytes_after);
        writeln!(out, "{rewritten} segments were rewritten: {before} bytes became {after}")
    })?;
    Ok(if report.damaged.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Findings as rows, the whole report, or text for people.
fn show(
    shape: &Shape,
    remarks: &[Remark],
    whole: Value,
    text: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    write_out(|out| match shape.format() {
        Format::Table => text(out),
        // Reports that hold no rows are one object.
        Format::Json if shape.full || whole.get("sound").is_none() => writeln!(out, "{whole}"),
        format => {
            let rows: Vec<Row> = remarks.iter().map(row).collect();
            write_rows(out, &rows, format)
        }
    })
}

fn row(remark: &Remark) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("severity".to_owned(), json!(remark.severity.name()));
    row.insert("file".to_owned(), json!(name(&remark.file)));
    row.insert("offset".to_owned(), json!(remark.offset));
    row.insert("what".to_owned(), json!(remark.what));
    row.insert("advice".to_owned(), json!(remark.advice));
    row
}

fn rows(remarks: &[Remark]) -> Value {
    remarks.iter().map(|remark| Value::Object(row(remark))).collect()
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn checked(checked: &Checked) -> Value {
    json!({
        "files": checked.files,
        "bytes": checked.bytes,
        "segments": checked.segments,
        "events": checked.events,
        "log_records": checked.log_records,
        "compared_events": checked.compared_events,
        "unflushed_events": checked.unflushed_events,
    })
}

fn tell_remarks(out: &mut dyn Write, remarks: &[Remark]) -> std::io::Result<()> {
    for remark in remarks {
        let place = remark.offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
        writeln!(out, "{}: {}{place}", remark.severity.name(), name(&remark.file))?;
        writeln!(out, "    {}", remark.what)?;
        writeln!(out, "    to do: {}", remark.advice)?;
    }
    Ok(())
}

fn tell_checked(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    let Checked { files, bytes, segments, events, log_records, compared_events, unflushed_events } =
        report.checked;
    writeln!(
        out,
        "checked {files} files, {bytes} bytes: {segments} segments with {events} events, {log_records} records of the log; \
         {compared_events} events of the log were compared with those in segments, {unflushed_events} are not in segments yet"
    )?;
    let damage = report.damage().count();
    if damage == 0 { writeln!(out, "no damage") } else { writeln!(out, "{damage} findings of damage") }
}
