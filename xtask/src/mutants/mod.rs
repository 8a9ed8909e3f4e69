//! Breaks each guarantee on purpose and expects a named test to turn red.
//!
//! A mutant is one exact replacement in one file. It is applied in a scratch copy of the repository under the
//! target folder; the work tree is never touched. The copy has a build folder of its own, because Cargo names
//! crates by their place in the workspace and would take the crates of one tree for those of the other: what
//! was built last, broken on purpose, would be linked into the product. Foreign crates come by hard link. Only the named
//! test runs. It must be green without the mutant and red with it: a mutant that does not compile, whose text
//! is gone, or whose test passes is a finding. A test that hangs for longer than the time limit counts as red.
//!
//! The whole table takes longer than CI has. `--minutes N` breaks as many guarantees as fit, package by
//! package in an order drawn from the commit (or `SKEIN_SEED`), so that commits take turns; it names the rest.

mod table;
mod table_cohorts;
mod table_doors;
mod table_explain;
mod table_format;
mod table_insights;
mod table_intervals;
mod table_kept;
mod table_parts;
mod table_query;
mod table_relation;
mod table_scale;
mod table_time;
mod table_trace;
mod table_upkeep;

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use table::MUTANTS;
use table_cohorts::COHORT_MUTANTS;
use table_doors::DOOR_MUTANTS;
use table_explain::EXPLAIN_MUTANTS;
use table_format::FORMAT_MUTANTS;
use table_insights::INSIGHTS_MUTANTS;
use table_intervals::INTERVAL_MUTANTS;
use table_kept::KEPT_MUTANTS;
use table_parts::PART_MUTANTS;
use table_query::QUERY_MUTANTS;
use table_relation::RELATION_MUTANTS;
use table_scale::SCALE_MUTANTS;
use table_time::TIME_MUTANTS;
use table_trace::TRACE_MUTANTS;
use table_upkeep::UPKEEP_MUTANTS;

/// Every mutant, in the order of an event's way.
pub(crate) fn all() -> impl Iterator<Item = &'static Mutant> {
    let stored = MUTANTS.iter().chain(FORMAT_MUTANTS).chain(SCALE_MUTANTS);
    stored
        .chain(QUERY_MUTANTS)
        .chain(PART_MUTANTS)
        .chain(RELATION_MUTANTS)
        .chain(INSIGHTS_MUTANTS)
        .chain(INTERVAL_MUTANTS)
        .chain(TRACE_MUTANTS)
        .chain(TIME_MUTANTS)
        .chain(EXPLAIN_MUTANTS)
        .chain(UPKEEP_MUTANTS)
        .chain(KEPT_MUTANTS)
        .chain(COHORT_MUTANTS)
        .chain(DOOR_MUTANTS)
}

/// A guarantee, broken.
pub(crate) struct Mutant {
    /// Its name in docs/architecture.md.
    pub(crate) name: &'static str,
    /// What is broken, as a sentence.
    pub(crate) breaks: &'static str,
    /// Where, relative to the repository's root.
    pub(crate) file: &'static str,
    /// The exact text, which stands in the file once.
    pub(crate) find: &'static str,
    /// What takes its place.
    pub(crate) replace: &'static str,
    /// The package whose test must notice.
    pub(crate) package: &'static str,
    /// The test, or the end of its path.
    pub(crate) test: &'static str,
}

/// The slowest named test takes about half a minute with its build in place; a hang is told from work by ten
/// times that.
const SECONDS_MAX: u32 = 300;

/// Runs all mutants, or those named, or as many as fit into a time.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|flag| flag == "--list") {
        for mutant in all() {
            println!("{:32} {} → {}::{}", mutant.name, mutant.breaks, mutant.package, mutant.test);
        }
        return Ok(());
    }
    let (minutes, names) = match arguments {
        [flag, minutes, names @ ..] if flag == "--minutes" => {
            (Some(minutes.parse::<u64>().context("--minutes takes a whole number")?), names)
        }
        names => (None, names),
    };
    let end = minutes.map(|minutes| now() + Duration::from_secs(60 * minutes));
    if let Some(unknown) = names.iter().find(|name| all().all(|mutant| mutant.name != **name)) {
        bail!("no mutant is called {unknown:?}; `cargo xtask mutants --list` shows all");
    }
    let mut chosen: Vec<&Mutant> =
        all().filter(|mutant| names.is_empty() || names.iter().any(|name| name == mutant.name)).collect();
    if minutes.is_some() {
        let seed = seed(root)?;
        println!("mutants: the order of SKEIN_SEED={seed}");
        chosen.sort_by_key(|m| (draw(&seed, m.package), m.package, draw(&seed, m.name)));
    } else {
        chosen.sort_by_key(|mutant| mutant.package);
    }
    let scratch = Scratch::new(root)?;
    let mut findings = Vec::new();
    let mut left_out = Vec::new();
    for of_package in chosen.chunk_by(|one, other| one.package == other.package) {
        let (found, rest) = scratch.try_package(of_package, end)?;
        findings.extend(found);
        left_out.extend(rest);
    }
    for finding in &findings {
        println!("{finding}");
    }
    let tried = chosen.len() - left_out.len();
    if !left_out.is_empty() {
        println!("mutants: not tried in the time given: {}", left_out.join(" "));
    }
    if findings.is_empty() {
        println!("mutants: {tried} broken guarantees, each noticed by its test");
        Ok(())
    } else {
        bail!("mutants: {} of {tried} went unnoticed", findings.len())
    }
}

/// What decides the order of a run with a time limit: the commit, so that each commit begins elsewhere.
fn seed(root: &Path) -> Result<String> {
    if let Ok(seed) = std::env::var("SKEIN_SEED") {
        return Ok(seed);
    }
    let head = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(root).output().context("git")?;
    ensure!(head.status.success(), "git rev-parse HEAD failed");
    Ok(String::from_utf8_lossy(&head.stdout).trim().to_owned())
}

#[expect(clippy::disallowed_methods, reason = "a person's or CI's time is what runs out")]
fn now() -> Instant {
    Instant::now()
}

/// A number that depends on seed and name only.
fn draw(seed: &str, name: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, name))
}

/// What a test run showed.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The named tests ran and passed.
    Green,
    /// One of them failed or aborted.
    Red,
    /// It ran into the time limit, which also is a way to notice: told apart, because a slow machine can do it too.
    Hung,
    /// The build failed.
    NoBuild(String),
    /// No test of that name ran.
    NotFound,
}

/// A copy of the repository.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    fn new(root: &Path) -> Result<Scratch> {
        let built = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let tree = built.join("mutants");
        let target = built.join("mutants-build");
        for part in ["deps", "build", ".fingerprint"] {
            link_foreign(&built.join("debug").join(part), &target.join("debug").join(part))?;
        }
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files")?;
        ensure!(listed.status.success(), "git ls-files failed");
        let listed = String::from_utf8(listed.stdout).context("a path that is not UTF-8")?;
        let mut wanted = BTreeSet::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            copy_if_changed(&root.join(path), &tree.join(path))?;
            wanted.insert(tree.join(path));
        }
        remove_others(&tree, &wanted)?;
        Ok(Scratch { tree, target })
    }

    /// Tries the mutants of one package until the end. Returns what is wrong, and who was left out.
    fn try_package(
        &self,
        mutants: &[&Mutant],
        end: Option<Instant>,
    ) -> Result<(Vec<String>, Vec<&'static str>)> {
        let mut findings = Vec::new();
        let mut left_out = Vec::new();
        let mut green = BTreeSet::new();
        for mutant in mutants {
            let Mutant { name, breaks, file, package, test, .. } = mutant;
            if end.is_some_and(|end| now() >= end) {
                left_out.push(*name);
                continue;
            }
            if !green.contains(test) {
                let outcome = self.test(package, test)?;
                if outcome != Outcome::Green {
                    findings.push(format!("{package}::{test} without a mutant: {outcome:?}"));
                    continue;
                }
                green.insert(*test);
            }
            let outcome = self.mutate(mutant)?;
            println!("{name:32} {outcome:?}");
            if !matches!(outcome, Outcome::Red | Outcome::Hung) {
                findings.push(format!("{name} ({breaks}; {file}): {package}::{test} is {outcome:?}"));
            }
        }
        Ok((findings, left_out))
    }

    /// Applies a mutant, runs its test, restores the file whatever happened.
    fn mutate(&self, mutant: &Mutant) -> Result<Outcome> {
        let path = self.tree.join(mutant.file);
        let text = std::fs::read_to_string(&path).with_context(|| mutant.file.to_owned())?;
        let found = text.matches(mutant.find).count();
        ensure!(found == 1, "{}: its text stands {found} times in {}", mutant.name, mutant.file);
        std::fs::write(&path, text.replacen(mutant.find, mutant.replace, 1))?;
        let outcome = self.test(mutant.package, mutant.test);
        std::fs::write(&path, text)?;
        outcome
    }

    fn test(&self, package: &str, test: &str) -> Result<Outcome> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // Most of the time goes into building what a mutant touches; its test is one of hundreds. Only those that
        // compare thousands of answers would be slower for it.
        let level = if package == "skein-sim" { "1" } else { "0" };
        let level = ("CARGO_PROFILE_DEV_OPT_LEVEL", level);
        let build = self
            .cargo(&cargo, &["test", "--no-run", "--quiet", "--locked", "--tests", "--package", package])
            .env(level.0, level.1)
            .output()?;
        if !build.status.success() {
            let text = String::from_utf8_lossy(&build.stderr).into_owned();
            let first = text.lines().find(|line| line.starts_with("error")).unwrap_or("no build").to_owned();
            return Ok(Outcome::NoBuild(first));
        }
        let arguments = ["test", "--locked", "--no-fail-fast", "--tests", "--package", package, test];
        let mut limited = Command::new("timeout");
        limited.arg(SECONDS_MAX.to_string()).arg(&cargo).args(arguments).env(level.0, level.1);
        let output = self.in_tree(&mut limited).output().context("timeout (package coreutils)")?;
        Ok(judge(output.status.code(), &String::from_utf8_lossy(&output.stdout), test))
    }

    fn cargo(&self, cargo: &std::ffi::OsStr, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo);
        command.args(arguments);
        self.in_tree(&mut command);
        command
    }

    fn in_tree<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // A mutant breaks code that later code leaned on: what becomes unused is no error here.
        command
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("SKEIN_MUTANT", "1")
            .stdin(Stdio::null())
    }
}

/// Reads the lines `test path::name ... ok`.
fn judge(code: Option<i32>, stdout: &str, test: &str) -> Outcome {
    let ran: Vec<&str> = stdout
        .lines()
        .filter(|line| {
            line.starts_with("test ") && line.split(" ... ").next().is_some_and(|l| l.ends_with(test))
        })
        .collect();
    match code {
        Some(0) if ran.is_empty() => Outcome::NotFound,
        Some(0) => Outcome::Green,
        // What `timeout` says.
        Some(124) => Outcome::Hung,
        // An abort ends the binary before it writes a result.
        _ => Outcome::Red,
    }
}

/// Links everything of a folder that another build can use: what was built from foreign crates.
///
/// PRE: nobody writes into a linked file in place: Cargo and rustc do not touch what is up to date.
fn link_foreign(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(from) else { return Ok(()) };
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if ["skein", "xtask", "it-"].iter().any(|ours| text.trim_start_matches("lib").starts_with(ours)) {
            continue;
        }
        let (here, there) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            link_foreign(&here, &there)?;
        } else if !there.exists() {
            std::fs::hard_link(&here, &there).with_context(|| there.display().to_string())?;
        }
    }
    Ok(())
}

/// Removes the files that an earlier run copied and that are no longer in the repository: a module that has moved
/// would be there twice.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) {
            std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Copies a file unless the copy is equal, so that Cargo builds only what changed.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let Ok(wanted) = std::fs::read(from) else { return Ok(()) };
    if std::fs::read(to).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(to, wanted).with_context(|| to.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_take_turns() {
        let first = |seed: &str| all().map(|m| draw(seed, m.package)).min();
        assert_eq!(first("one"), first("one"));
        assert_ne!(draw("one", "skein-log"), draw("two", "skein-log"));
        assert_ne!(draw("one", "skein-log"), draw("one", "skein-event"));
    }

    #[test]
    fn what_left_the_repository_leaves_the_copy() {
        let folder = std::env::temp_dir().join(format!("skein-mutants-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("kept")).unwrap();
        let (kept, gone) = (folder.join("kept/mod.rs"), folder.join("kept.rs"));
        [&kept, &gone].iter().for_each(|path| std::fs::write(path, "").unwrap());
        remove_others(&folder, &BTreeSet::from([kept.clone()])).unwrap();
        assert!(kept.exists() && !gone.exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_run_is_judged_by_the_named_test() {
        let green = "test a::named ... ok\ntest result: ok. 1 passed\n";
        assert_eq!(judge(Some(0), green, "named"), Outcome::Green);
        assert_eq!(judge(Some(0), green, "other"), Outcome::NotFound);
        assert_eq!(judge(Some(101), "test a::named ... FAILED\n", "named"), Outcome::Red);
        assert_eq!(judge(Some(124), "", "named"), Outcome::Hung);
        assert_eq!(judge(Some(134), "", "named"), Outcome::Red);
    }
}
