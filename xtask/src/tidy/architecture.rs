//! The invariants of docs/architecture.md: each names at least one test that exists and one mutant that does.
//!
//! Rows look like `| I1 *Acknowledged is durable* … | tests: \`name\`, \`name\` | mutants: \`name\` |`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use regex::Regex;

use super::files::Sources;
use crate::mutants;

const ARCHITECTURE: &str = "docs/architecture.md";
const INVARIANTS: usize = 10;

/// Checks the invariants, and that every mutant names a test that exists.
pub(crate) fn check(root: &Path, sources: &Sources) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join(ARCHITECTURE)).context(ARCHITECTURE)?;
    let tests = functions(sources)?;
    let mut findings = Vec::new();
    for number in 1..=INVARIANTS {
        let head = format!("| I{number} ");
        let Some(row) = text.lines().find(|line| line.starts_with(&head)) else {
            findings.push(format!("{ARCHITECTURE}: no row for invariant I{number}"));
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let named = |cell: usize| spans(cells.get(cell).copied().unwrap_or_default());
        let (named_tests, named_mutants) = (named(2), named(3));
        if named_tests.is_empty() {
            findings.push(format!("{ARCHITECTURE}: I{number} names no test"));
        }
        for test in named_tests.iter().filter(|test| !tests.contains(*test)) {
            findings.push(format!("{ARCHITECTURE}: I{number} names test {test}, which does not exist"));
        }
        for name in named_mutants.iter().filter(|name| mutants::all().all(|mutant| mutant.name != **name)) {
            findings.push(format!("{ARCHITECTURE}: I{number} names mutant {name}, which does not exist"));
        }
    }
    for mutant in mutants::all() {
        let test = mutant.test.rsplit("::").next().unwrap_or_default();
        if !tests.contains(test) {
            findings.push(format!("xtask mutants: {} names test {test}, which does not exist", mutant.name));
        }
        let breaks = sources.get(mutant.file).map_or(0, |source| source.text.matches(mutant.find).count());
        if breaks != 1 {
            findings.push(format!(
                "xtask mutants: {} finds its text {breaks} times in {}",
                mutant.name, mutant.file
            ));
        }
    }
    Ok(findings)
}

/// The names between backticks.
pub(super) fn spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The name of every function in Rust and Python sources: a test is one of them.
pub(super) fn functions(sources: &Sources) -> Result<BTreeSet<String>> {
    let expression =
        Regex::new(r"(?m)^\s*(?:pub |async )*(?:fn|def) ([a-z0-9_]+)\b").context("expression")?;
    let mut names = BTreeSet::new();
    for source in &sources.files {
        if source.is_rust() || super::files::has_ending(&source.path, "py") {
            names.extend(expression.captures_iter(&source.text).map(|found| found[1].to_owned()));
        }
    }
    Ok(names)
}
