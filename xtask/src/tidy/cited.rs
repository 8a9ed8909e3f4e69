//! A document may cite only what exists.
//!
//! Looked at: links of Markdown files, code spans in them that begin with a folder of this repository, and
//! documents named in Rust comments. A path with a placeholder (`<name>`, `*`, `{a,b}`) is no path.

use std::path::Path;

use anyhow::{Context as _, Result};
use regex::Regex;

use super::files::{Source, Sources};

/// Checks every document and every comment.
pub(crate) fn check(root: &Path, sources: &Sources) -> Result<Vec<String>> {
    let finder = Finder::new()?;
    let mut findings = Vec::new();
    for source in &sources.files {
        for (line, cited) in finder.cited(source) {
            let base = Path::new(&source.path).parent().unwrap_or(Path::new(""));
            if !root.join(&cited).exists() && !root.join(base).join(&cited).exists() {
                findings.push(format!("{}:{line}: cites {cited}, which does not exist", source.path));
            }
        }
    }
    Ok(findings)
}

struct Finder {
    link: Regex,
    span: Regex,
    comment: Regex,
}

impl Finder {
    fn new() -> Result<Finder> {
        let build = |text: &str| Regex::new(text).with_context(|| text.to_owned());
        Ok(Finder {
            link: build(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")?,
            span: build(
                r"`((?:crates|docs|xtask|bench|fuzz|e2e|ui|deploy|examples|\.ci)/[A-Za-z0-9_./-]+)`",
            )?,
            comment: build(r"//.*?\b((?:docs|bench|fuzz|e2e)/[A-Za-z0-9_/-]+\.[a-z]+)")?,
        })
    }

    /// Line numbers from 1, and the paths cited there.
    fn cited(&self, source: &Source) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let expressions: &[&Regex] = if source.is_markdown() {
            &[&self.link, &self.span]
        } else if source.is_rust() {
            &[&self.comment]
        } else {
            &[]
        };
        for (index, line) in source.text.lines().enumerate() {
            for expression in expressions {
                let paths = expression.captures_iter(line).filter_map(|captures| captures.get(1));
                let local = paths
                    .map(|path| path.as_str())
                    .filter(|path| !path.contains(':') && !path.starts_with('#'));
                found.extend(local.map(|path| (index + 1, path.trim_end_matches('.').to_owned())));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cited_paths_are_found() {
        let finder = Finder::new().unwrap();
        let cited = |path: &str, text: &str| -> Vec<String> {
            let source = Source { path: path.to_owned(), text: text.to_owned() };
            finder.cited(&source).into_iter().map(|(_, path)| path).collect()
        };
        assert_eq!(cited("a.md", "see [x](docs/x.md#top) and `crates/event`"), ["docs/x.md", "crates/event"]);
        assert_eq!(cited("a.md", "[web](https://example.org/x) `GET /api/v1`"), [""; 0]);
        assert_eq!(cited("a.rs", "/// the rule (docs/architecture.md)."), ["docs/architecture.md"]);
        assert_eq!(cited("a.rs", "let path = \"docs/none.md\";"), [""; 0]);
    }
}
