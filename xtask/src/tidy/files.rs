//! The tracked files, and what holds for the text of each.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A tracked file that is text.
pub(crate) struct Source {
    /// Relative to the repository's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn is_rust(&self) -> bool {
        has_ending(&self.path, "rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        has_ending(&self.path, "md")
    }
}

pub(crate) fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == ending)
}

/// All of them, in order of path.
pub(crate) struct Sources {
    pub(crate) files: Vec<Source>,
}

impl Sources {
    /// Reads every file that git tracks or would track; binary ones are left out.
    pub(crate) fn read(root: &Path) -> Result<Sources> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files")?;
        ensure!(listed.status.success(), "git ls-files failed");
        let listed = String::from_utf8(listed.stdout).context("a path that is not UTF-8")?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            let full: PathBuf = root.join(path);
            // Listed but deleted in the work tree, or binary: nothing to read.
            if let Ok(text) = std::fs::read_to_string(&full) {
                files.push(Source { path: path.to_owned(), text });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Sources { files })
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|source| source.path == path)
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|source| source.is_rust())
    }
}

/// Words that have no place in any tracked file, each with its reason. They are spelled in two halves, so
/// that this file may be tracked itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("TO", "DO"), "unfinished work belongs into an issue"),
    (concat!("FIX", "ME"), "unfinished work belongs into an issue"),
];

/// Words that have no place in Rust source.
const FORBIDDEN_RUST: &[(&str, &str)] = &[
    (concat!("#[ign", "ore"), "a test that does not run is a defect: assert what happens today instead"),
    (concat!("unimplem", "ented!("), "unfinished work belongs into an issue"),
];

/// Checks module docs and words.
pub(crate) fn check(sources: &Sources) -> Vec<String> {
    let mut findings = Vec::new();
    for source in &sources.files {
        if source.is_rust() && !source.text.starts_with("//!") {
            findings.push(format!(
                "{}:1: the module does not open with a `//!` doc: what it is for, what it refuses, why so",
                source.path
            ));
        }
        let rust_words = FORBIDDEN_RUST.iter().filter(|_| source.is_rust());
        for (word, reason) in FORBIDDEN.iter().chain(rust_words) {
            if let Some(line) = source.text.lines().position(|line| line.contains(word)) {
                findings.push(format!("{}:{}: contains {word:?}: {reason}", source.path, line + 1));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Sources { files: vec![Source { path: path.to_owned(), text: text.to_owned() }] }).len()
    }

    #[test]
    fn a_file_is_found_by_what_it_lacks_or_says() {
        assert_eq!(findings("a.rs", "//! Doc.\nfn a() {}\n"), 0);
        assert_eq!(findings("a.rs", "fn a() {}\n"), 1);
        assert_eq!(findings("a.md", concat!("see /wo", "rk/x\n")), 1);
        assert_eq!(findings("a.md", concat!("TO", "DO later\n")), 1);
        assert_eq!(findings("a.rs", concat!("//! Doc.\n#[ign", "ore]\nfn a() {}\n")), 1);
    }
}
