//! `skein import`: sends files of OTLP/JSON lines, each line under a name of its own, made of the file's
//! digest and the line's number. The server keeps those names for good, so importing again changes nothing,
//! and an import that broke off is completed by starting it once more.
//!
//! A line that cannot be sent is named and passed over; the exit code is 4 then. Memory is bounded by the
//! longest line times the lines in flight.

mod lines;
mod send;

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::arguments::{Format, Import};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::output::{Row, write_out, write_rows};
use crate::progress::Progress;
use lines::{Lines, NextLine};
use send::{Line, LineOutcome};

/// Lines in flight. The door decodes on as many cores as there are; more only wait in memory.
const SENDERS: usize = 4;

/// Lines of one file; the line is a 32-bit number in the batch's name.
const LINES_MAX: u32 = u32::MAX;

/// Names of bad lines that are told one by one; more are only counted.
const TOLD_MAX: u64 = 20;

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) stored: u64,
    pub(super) duplicate: u64,
    pub(super) rejected: u64,
    /// Lines that were not taken at all.
    pub(super) refused_lines: u64,
    /// Records by signal, however they fared.
    pub(super) spans: u64,
    pub(super) logs: u64,
    pub(super) points: u64,
}

impl Tally {
    fn is_complete(&self) -> bool {
        self.rejected == 0 && self.refused_lines == 0
    }
}

pub(super) fn run(arguments: &Import) -> Outcome {
    let client = Client::new(&arguments.connection);
    // What can be known before is said before anything is sent.
    for path in &arguments.files {
        lines::check(path)?;
    }
    let format = arguments.shape.format();
    let mut rows = Vec::new();
    let mut complete = true;
    let mut broken_off = None;
    for path in &arguments.files {
        let (tally, result) = import_file(&client, path)?;
        complete &= tally.is_complete();
        rows.push(row(path, &tally, format));
        if let Err(failure) = result {
            broken_off = Some(failure);
            break;
        }
    }
    write_out(|out| write_rows(out, &rows, format))?;
    match broken_off {
        Some(failure) => Err(failure),
        None if complete => Ok(Exit::Done),
        None => Ok(Exit::Incomplete),
    }
}

fn row(path: &Path, tally: &Tally, format: Format) -> Row {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    // For people the name is enough, and keeps the table narrow.
    let name = if format == Format::Table { file_name(path) } else { path.display().to_string() };
    put("file", json!(name));
    put("lines", json!(tally.lines));
    if format == Format::Table {
        let kinds = [("spans", tally.spans), ("log records", tally.logs), ("metric points", tally.points)];
        let present = kinds.iter().filter(|(_, count)| *count > 0);
        let text: Vec<String> = present.map(|(name, count)| format!("{count} {name}")).collect();
        put("records", json!(text.join(", ")));
    } else {
        put("spans", json!(tally.spans));
        put("logs", json!(tally.logs));
        put("metric_points", json!(tally.points));
    }
    put("stored", json!(tally.stored));
    put("duplicate", json!(tally.duplicate));
    put("rejected", json!(tally.rejected));
    put("refused_lines", json!(tally.refused_lines));
    row
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into())
}

/// Sends the lines of a file. The tally counts what happened even when the end did not come.
fn import_file(client: &Client, path: &Path) -> Result<(Tally, Result<(), Failure>), Failure> {
    let name =
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into());
    let digest = lines::digest(path, &format!("reading {name}"))?;
    let mut lines = Lines::open(path, Progress::bytes(&format!("importing {name}"), lines::size(path)?))?;
    let progress = lines.progress();
    let shared = Shared { tally: Mutex::default(), failure: Mutex::default(), path, progress };
    let (queue, waiting) = sync_channel::<Line>(1);
    let waiting = Mutex::new(waiting);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
                    let Some(line) = next else { return };
                    if shared.has_failed() {
                        continue;
                    }
                    let outcome = send::send(client, &digest, &line);
                    shared.count(&line, outcome);
                }
            });
        }
        let read = read_lines(&mut lines, &queue, &shared);
        drop(queue);
        read
    })?;
    lines.finish();
    let tally = shared.tally.lock().map(|tally| tally.clone()).unwrap_or_default();
    let failure = shared.failure.lock().ok().and_then(|mut failure| failure.take());
    Ok((tally, failure.map_or(Ok(()), Err)))
}

fn read_lines(
    lines: &mut Lines,
    queue: &std::sync::mpsc::SyncSender<Line>,
    shared: &Shared<'_>,
) -> Result<(), Failure> {
    let mut number: u32 = 0;
    loop {
        if shared.has_failed() {
            return Ok(());
        }
        match lines.next_line()? {
            NextLine::End => return Ok(()),
            NextLine::Blank => {}
            NextLine::TooLong => {
                shared.refuse(number, &format!("is longer than {} MiB", lines::LINE_BYTES_MAX >> 20));
            }
            NextLine::Text(text) => match send::inspect(text) {
                Ok(content) => {
                    if queue.send(Line { number, content }).is_err() {
                        return Ok(());
                    }
                }
                Err(why) => shared.refuse(number, &why),
            },
        }
        if number == LINES_MAX {
            return Err(Failure::usage("the file has more than 2^32 lines"));
        }
        number += 1;
    }
}

/// What the senders share.
struct Shared<'a> {
    tally: Mutex<Tally>,
    /// Why the import cannot go on.
    failure: Mutex<Option<Failure>>,
    path: &'a Path,
    progress: Arc<Progress>,
}

impl Shared<'_> {
    fn has_failed(&self) -> bool {
        self.failure.lock().map_or(true, |failure| failure.is_some())
    }

    /// A line that is not taken; numbered from 1, as editors do.
    fn refuse(&self, number: u32, why: &str) {
        let told = match self.tally.lock() {
            Ok(mut tally) => {
                tally.lines += 1;
                tally.refused_lines += 1;
                tally.refused_lines
            }
            Err(_) => return,
        };
        self.tell(told, number, why);
    }

    fn tell(&self, told: u64, number: u32, why: &str) {
        if told <= TOLD_MAX {
            self.progress.say(&format!("{}:{}: {why}", self.path.display(), u64::from(number) + 1));
        } else if told == TOLD_MAX + 1 {
            self.progress.say("further lines like these are only counted");
        }
    }

    fn count(&self, line: &Line, outcome: LineOutcome) {
        let refusal = match outcome {
            LineOutcome::Taken { duplicate, rejected, message } => {
                let Ok(mut tally) = self.tally.lock() else { return };
                let records = line.content.records;
                tally.lines += 1;
                *match line.content.signal {
                    send::Signal::Traces => &mut tally.spans,
                    send::Signal::Logs => &mut tally.logs,
                    send::Signal::Metrics => &mut tally.points,
                } += records;
                let kept = records.saturating_sub(rejected);
                *if duplicate { &mut tally.duplicate } else { &mut tally.stored } += kept;
                tally.rejected += rejected;
                (rejected > 0).then_some((tally.rejected, message))
            }
            LineOutcome::Refused(message) => return self.refuse(line.number, &message),
            LineOutcome::Failed(failure) => {
                if let Ok(mut first) = self.failure.lock() {
                    first.get_or_insert(failure);
                }
                return;
            }
        };
        if let Some((told, message)) = refusal {
            self.tell(told.min(TOLD_MAX), line.number, &message);
        }
    }
}

/// Where a path cannot be read.
fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", path.display()))
}

/// A file that ended or broke in the middle.
fn broken(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Incomplete, "invalid_request", format!("{} is damaged: {error}", path.display()))
}
