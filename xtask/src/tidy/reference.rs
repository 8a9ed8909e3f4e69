//! Pages of the reference that name their tests: each of them exists.
//!
//! A test is named by a code span in the last column of a table, or after the word `Tests:`. It does not judge
//! whether a test shows what the page says: that is for a reader.

use super::architecture::{functions, spans};
use super::files::Sources;
use anyhow::{Context as _, Result};

const PAGE: &str = "docs/reference/otlp.md";

/// Checks the page.
pub(crate) fn check(sources: &Sources) -> Result<Vec<String>> {
    let page = sources.get(PAGE).context(PAGE)?;
    let tests = functions(sources)?;
    let mut findings = Vec::new();
    for (number, line) in page.text.lines().enumerate() {
        for name in named(line).into_iter().filter(|name| !tests.contains(name)) {
            findings.push(format!("{PAGE}:{}: names test {name}, which does not exist", number + 1));
        }
    }
    Ok(findings)
}

fn named(line: &str) -> Vec<String> {
    match (line.strip_suffix(" |"), line.split_once("Tests:")) {
        (Some(row), _) if line.starts_with('|') => spans(row.rsplit(" | ").next().unwrap_or_default()),
        (_, Some((_, list))) => spans(list),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_named_in_the_last_column_or_after_the_word() {
        assert_eq!(named("| holds `x` | `a_test` `b` |"), ["a_test", "b"]);
        assert_eq!(named("It does `x`. Tests: `a`."), ["a"]);
        assert!(named("It does `x`.").is_empty() && named("|---|---|").is_empty());
    }
}
