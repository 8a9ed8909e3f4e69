//! bench/results.json in the form of the contract, and bench/RESULTS.md for people: both from the same figures,
//! none by hand.
#![cfg_attr(not(feature = "peers"), allow(dead_code, reason = "some of it serves the peers only"))]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock;

/// One figure.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    value: f64,
    goal: Option<Goal>,
    peers: Vec<(&'static str, f64)>,
}

/// What a figure is meant to reach.
#[derive(Debug, Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    /// A figure with its unit.
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, value: f64) -> Figure {
        Figure { name: name.into(), unit, value, goal: None, peers: Vec::new() }
    }

    /// With a goal from below.
    pub(crate) fn at_least(self, goal: f64) -> Figure {
        Figure { goal: Some(Goal::AtLeast(goal)), ..self }
    }

    /// With a goal from above.
    pub(crate) fn at_most(self, goal: f64) -> Figure {
        Figure { goal: Some(Goal::AtMost(goal)), ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    fn goal_text(&self) -> String {
        let (sign, goal, met) = match self.goal {
            None => return String::new(),
            Some(Goal::AtLeast(goal)) => ("≥", goal, self.value >= goal),
            Some(Goal::AtMost(goal)) => ("≤", goal, self.value <= goal),
        };
        format!("{sign} {goal} {}", if met { "✓" } else { "missed" })
    }
}

/// Figures that belong together, and what has to be known to judge them.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How they were measured, in Markdown.
    pub(crate) notes: String,
    pub(crate) figures: Vec<Figure>,
}

/// All that a run measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    /// What each part took.
    seconds: Vec<(&'static str, f64)>,
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    unit: &'a str,
    value: f64,
    peers: Map<String, Value>,
    command: &'a str,
    revision: &'a str,
    machine: &'a str,
}

/// A line of progress on stderr.
pub(crate) fn progress(line: &str) {
    // A closed stderr must not end a benchmark.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// Shows figures.
pub(crate) fn show(figures: &[Figure]) {
    for figure in figures {
        let peers = figure.peers.iter().map(|(name, value)| format!("  {name} {}", rounded(*value)));
        progress(&format!(
            "{:<44} {:>14} {} {}{}",
            figure.name,
            rounded(figure.value),
            figure.unit,
            figure.goal_text(),
            peers.collect::<String>()
        ));
    }
}

/// A count as a number to calculate with.
pub(crate) fn precise(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// The value that a share `q` of all does not exceed.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (q * precise(sorted.len())).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place within the list")]
    let index = place as usize - 1;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

// === impl Report ===

impl Report {
    /// Runs one part, and notes how long it took.
    pub(crate) fn timed<T>(
        &mut self,
        part: &'static str,
        run: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        progress(&format!("== {part}"));
        let begin = clock::now();
        let outcome = run().with_context(|| format!("part {part}"))?;
        self.note_time(part, begin.elapsed());
        Ok(outcome)
    }

    fn note_time(&mut self, part: &'static str, time: Duration) {
        progress(&format!("== {part}: {:.0} s", time.as_secs_f64()));
        self.seconds.push((part, time.as_secs_f64()));
    }

    /// Shows and keeps a section.
    pub(crate) fn add(&mut self, title: &'static str, notes: impl Into<String>, figures: Vec<Figure>) {
        show(&figures);
        self.sections.push(Section { title, notes: notes.into(), figures });
    }

    /// Sets the value of a peer beside a figure.
    pub(crate) fn peer(&mut self, figure: &str, peer: &'static str, value: f64) {
        let figures = self.sections.iter_mut().flat_map(|section| &mut section.figures);
        for found in figures.filter(|of| of.name == figure) {
            progress(&format!("{figure:<44} {:>14} {} of {peer}", rounded(value), found.unit));
            found.peers.push((peer, value));
        }
    }

    /// The value of a figure.
    pub(crate) fn value(&self, figure: &str) -> anyhow::Result<f64> {
        let mut figures = self.sections.iter().flat_map(|section| &section.figures);
        Ok(figures.find(|of| of.name == figure).with_context(|| format!("no figure {figure}"))?.value)
    }

    /// Writes both files.
    pub(crate) fn write(self, directory: &Path, intro: &str) -> anyhow::Result<()> {
        let command = command();
        let revision = output("git", &["describe", "--always", "--dirty", "--exclude", "*"]);
        let machine = machine();
        let mut page = format!(
            "# Results\n\nWritten by `{command}` at revision {revision} on {machine}. A rerun overwrites this \
             page.\n\n{intro}\n"
        );
        let mut entries = Vec::new();
        for section in &self.sections {
            write!(
                page,
                "\n## {}\n\n{}\n\n{}",
                section.title,
                section.notes.trim(),
                table(&section.figures)
            )?;
            entries.extend(section.figures.iter().map(|figure| {
                Entry {
                    name: &figure.name,
                    unit: figure.unit,
                    value: rounded(figure.value),
                    peers: figure
                        .peers
                        .iter()
                        .map(|(name, value)| ((*name).into(), json!(rounded(*value))))
                        .collect(),
                    command: &command,
                    revision: &revision,
                    machine: &machine,
                }
            }));
        }
        page.push_str("\n## How long the run took\n\n| part | s |\n|---|---:|\n");
        for (part, seconds) in &self.seconds {
            writeln!(page, "| {part} | {seconds:.0} |")?;
        }
        let all: f64 = self.seconds.iter().map(|(_, seconds)| seconds).sum();
        writeln!(page, "| all | {all:.0} |")?;
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("results.json"), serde_json::to_string_pretty(&entries)? + "\n")
            .context("writing results.json")?;
        std::fs::write(directory.join("RESULTS.md"), page).context("writing RESULTS.md")
    }
}

/// A table with a column for the goal, and one for each peer, where there are any.
fn table(figures: &[Figure]) -> String {
    let mut peers: Vec<&str> = Vec::new();
    for (name, _) in figures.iter().flat_map(|figure| &figure.peers) {
        if !peers.contains(name) {
            peers.push(name);
        }
    }
    let has_goals = figures.iter().any(|figure| figure.goal.is_some());
    let mut heads = vec!["figure", "value", "unit"];
    heads.extend(has_goals.then_some("goal"));
    heads.extend(&peers);
    let mut text = format!("| {} |\n|---|---:|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len() - 3));
    for figure in figures {
        let mut cells =
            vec![figure.name.replace('|', "\\|"), rounded(figure.value).to_string(), figure.unit.to_owned()];
        cells.extend(has_goals.then(|| figure.goal_text()));
        cells.extend(peers.iter().map(|peer| {
            let value = figure.peers.iter().find(|(name, _)| name == peer);
            value.map(|(_, value)| rounded(*value).to_string()).unwrap_or_default()
        }));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// Four significant digits: more would claim a precision that the machine does not have.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// What to type for the same run.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "all" => match std::env::var("BENCH_ARGUMENTS") {
            Ok(given) if given.is_empty() => "make bench".to_owned(),
            Ok(given) => format!("make bench BENCH_ARGUMENTS='{given}'"),
            Err(_) => format!("skein-bench all {}", rest.join(" ")),
        },
        _ => format!("skein-bench {}", arguments.join(" ")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_goals_and_peers_only_where_there_are_any() {
        let plain = [Figure::new("a", "s", 1.234_56)];
        assert_eq!(table(&plain), "| figure | value | unit |\n|---|---:|---|\n| a | 1.235 | s |\n");
        let rich = [
            Figure { peers: vec![("x", 3.0)], ..Figure::new("a", "s", 2.0).at_most(1.0) },
            Figure { peers: vec![("y", 4.0)], ..Figure::new("b", "s", 2.0).at_least(1.0) },
        ];
        assert_eq!(
            table(&rich),
            "| figure | value | unit | goal | x | y |\n|---|---:|---|---:|---:|---:|\n\
             | a | 2 | s | ≤ 1 missed | 3 |  |\n| b | 2 | s | ≥ 1 ✓ |  | 4 |\n"
        );
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(
            (quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 0.0)),
            (2.0, 4.0, 1.0)
        );
        assert!(quantile(&[], 0.5).is_nan());
    }
}
