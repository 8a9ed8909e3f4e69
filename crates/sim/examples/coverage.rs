//! Prints how often intervals hold what is true, as docs/reference/intervals.md has it:
//! `cargo run --release -p skein-sim --example coverage -- 2000`, samples of each kind.

use std::io::Write as _;

use skein_sim::coverage::{KEPT, Line, Question, Shape, WEIGHTS, table};

/// "98.3 % of 99.0 %": coverage of the intervals that were claimed, and how often one was.
fn told(line: &Line) -> String {
    match line.claimed {
        0 => "–".to_owned(),
        _ => format!("{:.1} of {:.1}", 100.0 * line.coverage(), 100.0 * line.claims()),
    }
}

fn main() -> std::io::Result<()> {
    let runs = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(600);
    let lines = table(runs);
    let mut out = std::io::stdout().lock();
    writeln!(out, "| values | kept | number | 1/2 | 1/10 | 1/100 | half width at 1/10 |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for shape in Shape::ALL {
        for kept in KEPT {
            for question in Question::ALL {
                let is_here =
                    |line: &&Line| (line.shape, line.kept, line.question) == (shape, kept, question);
                let row: Vec<&Line> = lines.iter().filter(is_here).collect();
                if row.iter().all(|line| line.claimed == 0) {
                    continue;
                }
                let cells: Vec<String> = row.iter().map(|line| told(line)).collect();
                let middle = row.iter().find(|line| line.weight == WEIGHTS[1] && line.claimed > 0);
                let width = middle.map_or("–".to_owned(), |line| format!("{:.0} %", 100.0 * line.width));
                let (shape, question) = (shape.name(), question.name());
                writeln!(out, "| {shape} | {kept} | {question} | {} | {width} |", cells.join(" | "))?;
            }
        }
    }
    Ok(())
}
