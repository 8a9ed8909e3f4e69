//! bench/results.json in the form of the contract, and bench/RESULTS.md for people.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: &'static str,
    unit: &'static str,
    value: f64,
}

impl Figure {
    /// A figure with its unit.
    pub(crate) fn new(name: &'static str, unit: &'static str, value: f64) -> Figure {
        Figure { name, unit, value }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    unit: &'a str,
    value: f64,
    peers: serde_json::Map<String, serde_json::Value>,
    command: &'a str,
    revision: &'a str,
    machine: &'a str,
}

/// A line of progress on stderr.
pub(crate) fn progress(line: &str) {
    // A closed stderr must not end a benchmark.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Shows figures that are not kept.
pub(crate) fn show(figures: &[Figure]) {
    for figure in figures {
        progress(&format!("{:<40} {:>14} {}", figure.name, rounded(figure.value), figure.unit));
    }
}

/// Writes both files.
pub(crate) fn write(directory: &Path, figures: &[Figure]) -> anyhow::Result<()> {
    let command =
        std::env::args().skip(1).fold("make bench".to_owned(), |command, argument| command + " " + &argument);
    let revision = output("git", &["describe", "--always", "--dirty"]);
    let machine = machine();
    let entries: Vec<Entry<'_>> = figures
        .iter()
        .map(|figure| Entry {
            name: figure.name,
            unit: figure.unit,
            value: rounded(figure.value),
            peers: serde_json::Map::new(),
            command: &command,
            revision: &revision,
            machine: &machine,
        })
        .collect();
    std::fs::write(directory.join("results.json"), serde_json::to_string_pretty(&entries)? + "\n")
        .context("writing results.json")?;
    let mut page = format!(
        "# Results\n\nWritten by `{command}` at revision {revision} on {machine}.\n\
         Server and client share the machine; absolute figures are noisy, and a rerun overwrites this page.\n\n\
         | figure | value | unit |\n|---|---:|---|\n"
    );
    for entry in &entries {
        writeln!(page, "| {} | {} | {} |", entry.name, entry.value, entry.unit)?;
    }
    show(figures);
    std::fs::write(directory.join("RESULTS.md"), page).context("writing RESULTS.md")
}

/// Four significant digits: more would claim a precision that the machine does not have.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("?", |m| m.1);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = meminfo.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
    format!("{cores} × {model}, {} GiB", kib >> 20)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
