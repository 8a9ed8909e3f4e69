//! Prints how often intervals hold what is true, as docs/reference/intervals.md has it:
//! `cargo run --release -p skein-sim --example coverage -- 2000`.

use std::io::Write as _;

use skein_sim::coverage::table;

fn main() -> std::io::Result<()> {
    let runs = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(600);
    let mut out = std::io::stdout().lock();
    writeln!(out, "| values | kept | rate | | claimed | holds | truth below | half width |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for line in table(runs) {
        let (shape, question) = (line.shape.name(), line.question.name());
        let start = format!("| {shape} | {} | 1/{} | {question} |", line.kept, line.weight);
        let claims = 100.0 * line.claims();
        if line.claimed == 0 {
            writeln!(out, "{start} never | | | |")?;
            continue;
        }
        let (holds, below) = (100.0 * line.coverage(), 100.0 * line.below_share());
        writeln!(out, "{start} {claims:.1} % | {holds:.1} % | {below:.1} % | {:.1} % |", 100.0 * line.width)?;
    }
    Ok(())
}
