//! `skein export`: streams what is stored. A file appears under its name only when it is whole, so that half
//! an export never looks like one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::arguments::{Export, ExportFormat};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::progress::{Progress, tell};
use crate::times;

/// Read and written at once.
const PIECE_BYTES: usize = 256 << 10;

pub(super) fn run(arguments: &Export) -> Outcome {
    let format = match arguments.format {
        ExportFormat::Otlp => "otlp",
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Parquet => {
            let failure =
                Failure::new(Exit::Refused, "not_found", "this version does not export Parquet yet");
            return Err(failure.hint("use --format otlp or --format ndjson"));
        }
    };
    let (from_ns, to_ns) = times::bounds(&arguments.range, times::now_ns())?;
    let mut request = Map::new();
    request.insert("format".to_owned(), json!(format));
    if !arguments.range.datasets.is_empty() {
        request.insert("datasets".to_owned(), json!(arguments.range.datasets));
    }
    if let Some(from_ns) = from_ns {
        request.insert("start_time".to_owned(), times::seconds_json(from_ns));
    }
    if let Some(to_ns) = to_ns {
        request.insert("end_time".to_owned(), times::seconds_json(to_ns));
    }
    let client = Client::new(&arguments.connection);
    let response = client.post_for_stream("/api/v1/export", &Value::Object(request))?;
    let reader = response.into_body().into_reader();
    match &arguments.output {
        Some(path) => to_file(reader, path),
        None => {
            let mut out = std::io::stdout().lock();
            copy(reader, &mut out, &Progress::stream("export")).map(|_copied| Exit::Done)
        }
    }
}

fn to_file(reader: impl std::io::Read, path: &Path) -> Outcome {
    let partial = partial_name(path);
    let unwritable = |error: std::io::Error| {
        Failure::new(Exit::Refused, "unavailable", format!("{} cannot be written: {error}", path.display()))
    };
    let mut file = BufWriter::new(File::create(&partial).map_err(unwritable)?);
    let progress = Progress::stream("export");
    let copied = copy(reader, &mut file, &progress);
    progress.finish();
    let copied = match copied {
        Ok(copied) => copied,
        Err(failure) => {
            tell(&format!("what came is in {}", partial.display()));
            return Err(failure);
        }
    };
    file.flush().map_err(unwritable)?;
    file.into_inner().map_err(|error| unwritable(error.into_error()))?.sync_all().map_err(unwritable)?;
    std::fs::rename(&partial, path).map_err(unwritable)?;
    tell(&format!("{}: {copied} bytes", path.display()));
    Ok(Exit::Done)
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn copy(mut reader: impl std::io::Read, out: &mut dyn Write, progress: &Progress) -> Result<u64, Failure> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut copied = 0;
    loop {
        let count = reader.read(&mut piece).map_err(|error| {
            Failure::new(
                Exit::Incomplete,
                "unavailable",
                format!("the export broke off after {copied} bytes: {error}"),
            )
        })?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { break };
        match out.write_all(read) {
            Ok(()) => {}
            // `| head`: whoever read has enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(copied),
            Err(error) => {
                let message = format!("the export cannot be written: {error}");
                return Err(Failure::new(Exit::Incomplete, "unavailable", message));
            }
        }
        copied += count as u64;
        progress.add(count as u64);
    }
    out.flush().map_err(|error| {
        Failure::new(Exit::Incomplete, "unavailable", format!("the export cannot be written: {error}"))
    })?;
    Ok(copied)
}
