//! The length of files: 400 lines are the aim, 800 the limit, both without tests.
//!
//! A file past the aim stands in xtask/ratchet.txt with the length it may not pass. The ratchet only
//! tightens: `--tighten` lowers it, and nothing but a person's hand, seen in review, raises it or adds to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::files::{Source, Sources};

/// Nearly every file of a codebase that reads well fits here (STYLE: linkerd's 90th percentile is 397).
const LINES_AIM: usize = 400;
/// Past this a file is two files.
const LINES_MAX: usize = 800;
const RATCHET: &str = "xtask/ratchet.txt";

/// Lines of a file without its tests.
fn length(source: &Source) -> usize {
    let lines: Vec<&str> = source.text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    // A twin test file or an integration test is tests as a whole, and still a file somebody reads.
    tests.unwrap_or(lines.len())
}

fn is_tests(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Path → the length it may not pass.
fn ratchet(text: &str) -> Result<BTreeMap<String, usize>> {
    let mut allowed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (lines, path) = line.split_once(' ').with_context(|| format!("{RATCHET}: {line:?}"))?;
        let lines = lines.parse().with_context(|| format!("{RATCHET}: {line:?}"))?;
        allowed.insert(path.to_owned(), lines);
    }
    Ok(allowed)
}

fn measure(sources: &Sources) -> BTreeMap<&str, usize> {
    sources.rust().map(|source| (source.path.as_str(), length(source))).collect()
}

/// Compares every file with the aim, the limit and the ratchet.
pub(crate) fn check(root: &Path, sources: &Sources) -> Result<Vec<String>> {
    let allowed = ratchet(&std::fs::read_to_string(root.join(RATCHET)).context(RATCHET)?)?;
    Ok(compare(&measure(sources), &allowed))
}

fn compare(lengths: &BTreeMap<&str, usize>, allowed: &BTreeMap<String, usize>) -> Vec<String> {
    let mut findings = Vec::new();
    for (&path, &lines) in lengths {
        let limit = if is_tests(path) { LINES_MAX } else { allowed.get(path).copied().unwrap_or(LINES_AIM) };
        if lines > LINES_MAX {
            findings.push(format!("{path}: {lines} lines, the hard limit is {LINES_MAX}: split it"));
        } else if lines > limit {
            findings.push(format!("{path}: {lines} lines, it may have {limit} (aim {LINES_AIM}): split it"));
        }
    }
    for (path, &limit) in allowed {
        match lengths.get(path.as_str()) {
            None => findings.push(format!("{RATCHET}: {path} is gone: take its line out")),
            Some(&lines) if lines <= LINES_AIM => {
                findings.push(format!(
                    "{RATCHET}: {path} has {lines} lines now: run `cargo xtask tidy --tighten`"
                ));
            }
            Some(_) if limit > LINES_MAX => {
                findings.push(format!("{RATCHET}: {path} may not be allowed more than {LINES_MAX}"));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Lowers the ratchet to the lengths of today; never raises it, never adds to it.
pub(crate) fn tighten(root: &Path, sources: &Sources) -> Result<()> {
    let path = root.join(RATCHET);
    let text = std::fs::read_to_string(&path).context(RATCHET)?;
    let lengths = measure(sources);
    let mut out: String =
        text.lines().take_while(|line| line.starts_with('#')).flat_map(|l| [l, "\n"]).collect();
    for (path, limit) in ratchet(&text)? {
        let lines = lengths.get(path.as_str()).copied().unwrap_or(0).min(limit);
        if lines > LINES_AIM {
            writeln!(out, "{lines} {path}").context("writing to a string")?;
        }
    }
    std::fs::write(path, out).context(RATCHET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratchet_holds_and_only_tightens() {
        let allowed = ratchet("# head\n600 a.rs\n").unwrap();
        let check = |lines: usize, path: &str| {
            compare(&BTreeMap::from([("a.rs", 500), (path, lines)]), &allowed).len()
        };
        assert_eq!(check(400, "b.rs"), 0, "the aim is kept");
        assert_eq!(check(401, "b.rs"), 1, "a new file past the aim");
        assert_eq!(check(600, "a.rs"), 0, "as long as allowed");
        assert_eq!(check(601, "a.rs"), 1, "longer than allowed");
        assert_eq!(check(300, "a.rs"), 1, "an exception that is not needed any more");
        assert_eq!(check(801, "crates/x/tests/it/main.rs"), 1, "tests are files too");
        assert_eq!(check(700, "crates/x/tests/it/main.rs"), 0);
    }

    #[test]
    fn tests_do_not_count() {
        let text = "//! Doc.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n".to_owned();
        assert_eq!(length(&Source { path: "a.rs".into(), text }), 3);
    }
}
