//! A trace by its id, with all its columns, over the API: warm, cold, and one of a hundred thousand spans.

use std::path::Path;

use anyhow::ensure;
use rustix::fs::{Advice, fadvise};
use skein_event::ids::encode_hex;

use crate::clock;
use crate::feed::Fed;
use crate::http::Connection;
use crate::process::{Server, ServerOptions};
use crate::report::{Figure, quantile};

/// Times a cold server is asked.
const COLD_RUNS: usize = 7;

/// Milliseconds until the answer is there, and its length.
pub(crate) fn ask(connection: &mut Connection, id: &[u8; 16]) -> anyhow::Result<(f64, usize)> {
    let path = format!("/api/v1/traces/{}", encode_hex(id));
    let begin = clock::now();
    let response = connection.get(&path)?;
    let ms = begin.elapsed().as_secs_f64() * 1e3;
    ensure!(response.status == 200, "{path}: {}", response.status);
    Ok((ms, response.body.len()))
}

/// Every trace twice; the second time counts.
pub(crate) fn warm(server: &Server, fed: &Fed) -> anyhow::Result<Vec<Figure>> {
    let mut connection = Connection::open(&server.http)?;
    let (mut first, mut ms, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for id in &fed.traces {
        first.push(ask(&mut connection, id)?.0);
    }
    for id in &fed.traces {
        let (took, length) = ask(&mut connection, id)?;
        ms.push(took);
        bytes.push(crate::report::precise(length));
    }
    let mut figures = vec![
        Figure::new("trace_warm_p50", "ms", quantile(&ms, 0.50)).at_most(1.0),
        Figure::new("trace_warm_p99", "ms", quantile(&ms, 0.99)).at_most(5.0),
        Figure::new("trace_first_time_p50", "ms", quantile(&first, 0.50)),
        Figure::new("trace_first_time_p99", "ms", quantile(&first, 0.99)),
        Figure::new("trace_answer_p50", "bytes of JSON", quantile(&bytes, 0.50)),
    ];
    if let Some(id) = fed.long_traces.first() {
        let (_, length) = ask(&mut connection, id)?;
        let (took, _) = ask(&mut connection, id)?;
        figures.push(Figure::new("trace_long_warm", "ms", took));
        figures.push(Figure::new("trace_long_answer", "bytes of JSON", crate::report::precise(length)));
    }
    Ok(figures)
}

/// The first trace that a server is asked after a start, with no page of its files in memory.
pub(crate) fn cold(options: &ServerOptions, fed: &Fed) -> anyhow::Result<Vec<Figure>> {
    let mut ms = Vec::new();
    for id in fed.traces.iter().take(COLD_RUNS) {
        let server = options.start()?;
        // Mapped pages stay; a server that has answered nothing yet has mapped next to nothing.
        forget(&options.data())?;
        let mut connection = Connection::open(&server.http)?;
        ms.push(ask(&mut connection, id)?.0);
        server.stop()?;
    }
    Ok(vec![
        Figure::new("trace_cold_p50", "ms", quantile(&ms, 0.50)).at_most(50.0),
        Figure::new("trace_cold_highest", "ms", quantile(&ms, 1.0)),
    ])
}

/// Tells the kernel to drop the pages of all files below a folder. They must have been written back.
pub(crate) fn forget(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else {
            let file = std::fs::File::open(&path)?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
