//! The direction of dependencies: Cargo's metadata against the table in docs/architecture.md.
//!
//! The table holds for normal and build dependencies between our own crates (a test may need more); the
//! bans hold for every direct dependency. A crate that is not in the table does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

const ARCHITECTURE: &str = "docs/architecture.md";

/// A workspace member and what it names directly.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Without the prefix `skein-`.
    pub(crate) name: String,
    /// Our own crates among its normal and build dependencies, without the prefix.
    own: BTreeSet<String>,
    /// Names of everything it depends on directly, of any kind.
    direct: BTreeSet<String>,
}

/// The two tables of docs/architecture.md.
#[derive(Debug, Default)]
struct Rules {
    /// Crate → those it may use.
    allowed: BTreeMap<String, BTreeSet<String>>,
    /// Dependency → the only crates that may name it.
    only: BTreeMap<String, BTreeSet<String>>,
    /// Dependency → crates that may not name it.
    never: BTreeMap<String, BTreeSet<String>>,
}

/// Checks the workspace.
pub(crate) fn check(root: &Path) -> Result<Vec<String>> {
    let members = members(&metadata(root, &["--no-deps"])?)?;
    let text = std::fs::read_to_string(root.join(ARCHITECTURE)).context(ARCHITECTURE)?;
    let names = members.iter().map(|member| member.name.clone()).collect();
    Ok(compare(&members, &parse(&text, &names)?))
}

/// What Cargo knows of the workspace.
pub(crate) fn metadata(root: &Path, arguments: &[&str]) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata")
}

fn members(metadata: &Value) -> Result<Vec<Member>> {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let mut members = Vec::new();
    for package in metadata["packages"].as_array().context("packages")? {
        let mut member = Member {
            name: short(&text(package, "name").context("name")?),
            own: BTreeSet::new(),
            direct: BTreeSet::new(),
        };
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            let name = text(dependency, "name").context("dependency name")?;
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            // A path marks one of ours.
            if !dependency["path"].is_null() && kind != "dev" {
                member.own.insert(short(&name));
            }
            member.direct.insert(name);
        }
        members.push(member);
    }
    Ok(members)
}

fn short(name: &str) -> String {
    name.strip_prefix("skein-").unwrap_or(name).to_owned()
}

/// Reads the fenced blocks `direction`, `only` and `never`.
fn parse(text: &str, names: &BTreeSet<String>) -> Result<Rules> {
    let mut rules = Rules::default();
    let mut block = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(name), None) => block = Some(name.trim()),
            (None, Some("direction")) => {
                let (users, used) = row(line, " → ")?;
                let used = expand(&used, names)?;
                for user in users {
                    ensure!(
                        names.contains(&user),
                        "{ARCHITECTURE}: the table names {user}, which is no crate"
                    );
                    ensure!(
                        rules.allowed.insert(user.clone(), used.clone()).is_none(),
                        "{user} stands twice"
                    );
                }
            }
            (None, Some("only")) => add(&mut rules.only, row(line, " only in ")?),
            (None, Some("never")) => add(&mut rules.never, row(line, " not in ")?),
            _ => {}
        }
    }
    ensure!(!rules.allowed.is_empty(), "{ARCHITECTURE} has no block ```direction");
    ensure!(!rules.only.is_empty() && !rules.never.is_empty(), "{ARCHITECTURE} lacks a block of bans");
    Ok(rules)
}

fn add(bans: &mut BTreeMap<String, BTreeSet<String>>, (names, crates): (Vec<String>, Vec<String>)) {
    for name in names {
        bans.entry(name).or_default().extend(crates.iter().cloned());
    }
}

fn row(line: &str, separator: &str) -> Result<(Vec<String>, Vec<String>)> {
    let (left, right) = line.split_once(separator).with_context(|| format!("{ARCHITECTURE}: {line:?}"))?;
    let list = |text: &str| text.split(',').map(|name| name.trim().to_owned()).collect();
    Ok((list(left), list(right)))
}

/// `nothing`, `all`, `all but a b`, or a list.
fn expand(used: &[String], names: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let Some(first) = used.first() else { bail!("an empty row") };
    if first == "nothing" {
        return Ok(BTreeSet::new());
    }
    if let Some(except) = first.strip_prefix("all") {
        let except = except.strip_prefix(" but ").unwrap_or_default();
        let mut rest: BTreeSet<&str> = used[1..].iter().map(String::as_str).collect();
        rest.insert(except);
        return Ok(names.iter().filter(|name| !rest.contains(name.as_str())).cloned().collect());
    }
    for name in used {
        ensure!(names.contains(name), "{ARCHITECTURE}: the table names {name}, which is no crate");
    }
    Ok(used.iter().cloned().collect())
}

fn compare(members: &[Member], rules: &Rules) -> Vec<String> {
    let mut findings = Vec::new();
    for member in members {
        let name = &member.name;
        let Some(allowed) = rules.allowed.get(name) else {
            findings.push(format!("{ARCHITECTURE}: the direction table lacks {name}"));
            continue;
        };
        for used in member.own.difference(allowed) {
            findings.push(format!("crate {name} uses {used}: the direction table forbids it"));
        }
        for dependency in &member.direct {
            if rules.only.get(dependency).is_some_and(|crates| !crates.contains(name)) {
                findings
                    .push(format!("crate {name} names {dependency}, which only others may ({ARCHITECTURE})"));
            }
            if rules.never.get(dependency).is_some_and(|crates| crates.contains(name)) {
                findings.push(format!("crate {name} names {dependency}, which it may not ({ARCHITECTURE})"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "```direction\nevent → nothing\nlog → event\nsim → all but cli, server\ncli, server → all\n```\n\
                         ```only\naxum only in server\n```\n```never\ntokio not in event\n```\n";

    fn check(name: &str, own: &[&str], direct: &[&str]) -> Vec<String> {
        let names: BTreeSet<String> = ["event", "log", "sim", "cli", "server"].map(str::to_owned).into();
        let set = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        let member = Member { name: name.to_owned(), own: set(own), direct: set(direct) };
        compare(&[member], &parse(TABLE, &names).unwrap())
    }

    #[test]
    fn a_dependency_against_the_table_is_found() {
        assert!(check("log", &["event"], &[]).is_empty());
        assert_eq!(check("event", &["log"], &[]).len(), 1);
        assert!(check("sim", &["log", "event"], &["tokio"]).is_empty());
        assert_eq!(check("sim", &["cli"], &[]).len(), 1);
        assert_eq!(check("log", &[], &["axum"]).len(), 1);
        assert_eq!(check("event", &[], &["tokio"]).len(), 1);
        assert_eq!(check("unknown", &[], &[]).len(), 1);
    }
}
