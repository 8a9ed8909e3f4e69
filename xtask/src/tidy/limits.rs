//! Bounds live in crates/event/src/limits.rs, each with its reason (invariant I7).
//!
//! Looked at: constants of the crates between a socket and the store whose name says that they bound something
//! (`…_MAX`, `…_WITHIN`, `…_TIMEOUT`, `…_KEPT`). What a format, a language or arithmetic fixes is no choice of
//! ours and stands in [`FACTS`]; tests and tools are left alone.

use anyhow::{Context as _, Result};
use regex::Regex;

use super::files::Sources;

const LIMITS: &str = "crates/event/src/limits.rs";
const CRATES: [&str; 7] = ["api", "server", "ingest", "engine", "query", "analysis", "wire"];

/// File, constant, and why it is no limit that somebody chose.
const FACTS: &[(&str, &str, &str)] = &[
    ("crates/ingest/src/wire.rs", "FIELD_NUMBER_MAX", "protobuf's"),
    ("crates/ingest/src/sampling_rate.rs", "RATE_MAX", "OpenTelemetry's"),
    ("crates/query/src/render.rs", "SAFE_INTEGER_MAX", "JavaScript's"),
];

/// Folders whose bounds are part of a specified language or of a file format, and lie beside it.
const SPECIFIED: &[(&str, &str)] = &[
    ("crates/query/src/spec/", "the builder language's (honeycomb.md)"),
    ("crates/query/src/aggregate/", "what results mean (SEMANTICS.md)"),
];

/// Finds bounds that are somewhere else.
pub(crate) fn check(sources: &Sources) -> Result<Vec<String>> {
    let expression =
        Regex::new(r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?const ([A-Z0-9_]+_(?:MAX|WITHIN|TIMEOUT|KEPT)): ")
            .context("expression")?;
    let mut findings = Vec::new();
    for source in sources.rust() {
        let ours = CRATES.iter().any(|name| source.path.starts_with(&format!("crates/{name}/src/")));
        let specified = SPECIFIED.iter().any(|(folder, _)| source.path.starts_with(folder));
        if !ours || specified || source.path.contains("/tests") {
            continue;
        }
        for found in expression.captures_iter(&source.text) {
            let name = &found[1];
            let fact = FACTS.iter().any(|(path, fact, _)| *path == source.path && *fact == name);
            if !fact {
                findings.push(format!(
                    "{}: {name} bounds something: its place is {LIMITS}, with its reason",
                    source.path
                ));
            }
        }
    }
    Ok(findings)
}
