//! Licences and sources of everything we link, against deny.toml.
//!
//! cargo-deny reads the same file where it is installed; this check needs nothing but Cargo, so it runs
//! everywhere. It knows SPDX expressions as far as crates use them: a choice (`OR`, `/`) passes when one side
//! does, a sum (`AND`) when both do.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::dependencies::metadata;

/// Checks every package of Cargo.lock.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let allowed = list(&text, "allow").context("deny.toml has no list `allow`")?;
    let banned = list(&text, "deny").context("deny.toml has no list `deny`")?;
    let mut findings = Vec::new();
    for package in metadata(root, &[])?["packages"].as_array().context("packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !passes(licence, &allowed) {
            findings
                .push(format!("Cargo.lock: {name} has licence {licence:?}, which deny.toml does not allow"));
        }
        if banned.contains(name) {
            findings.push(format!("Cargo.lock: {name} may not be linked (deny.toml)"));
        }
        let source = package["source"].as_str();
        if source.is_some_and(|source| !source.starts_with("registry+")) {
            findings.push(format!("Cargo.lock: {name} comes from no registry"));
        }
    }
    Ok(findings)
}

/// The strings of a list such as `allow = ["a", "b"]`.
fn list(text: &str, key: &str) -> Option<BTreeSet<String>> {
    let start = text.lines().scan(0, |offset, line| {
        let here = *offset;
        *offset += line.len() + 1;
        Some((here, line))
    });
    let head = format!("{key} = [");
    let (offset, _) = start.into_iter().find(|(_, line)| line.starts_with(&head))?;
    let body = text.get(offset + head.len()..)?;
    let body = body.get(..body.find("\n]")?)?;
    Some(body.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

fn passes(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let all = |part: &str| part.split(" AND ").all(|name| allowed.contains(name.trim()));
    expression.split(" OR ").any(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_passes_by_its_choice() {
        let allowed = list("allow = [\n  \"MIT\",\n  \"Zlib\",\n]\n", "allow").unwrap();
        for (licence, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("Apache-2.0/MIT", true),
            ("MIT AND Zlib", true),
            ("MIT AND GPL-3.0", false),
            ("", false),
        ] {
            assert_eq!(passes(licence, &allowed), expected, "{licence}");
        }
    }
}
