//! Intervals of sampled numbers hold what is true as often as they say: the table of docs/reference/intervals.md with fewer
//! samples. Seeds are fixed: what holds once holds always.

use skein_sim::coverage::{KEPT, Line, Question, Shape, WEIGHTS, table};

/// Samples of a line: what a run in CI has time for.
const RUNS: u32 = 500;

/// What is asked of intervals of 95 %, wherever one is claimed.
const COVERAGE_MIN: f64 = 0.93;
/// Of all together, where chance has no say.
const COVERAGE_MIN_OF_ALL: f64 = 0.945;
/// How often one is claimed where tails are light and three hundred traces were kept.
const CLAIMS_MIN: f64 = 0.95;
/// How often one is claimed at most of sums and means whose variance is infinite, or might as well be.
const CLAIMS_MAX: f64 = 0.02;

fn told(line: &Line) -> String {
    format!("{:?} 1/{} {} {}: {line:?}", line.shape, line.weight, line.kept, line.question.name())
}

/// Whether coverage is below what is asked by more than samples vary (two standard errors).
fn is_wrong(line: &Line) -> bool {
    let claimed = f64::from(line.claimed);
    let slack = 2.0 * (COVERAGE_MIN * (1.0 - COVERAGE_MIN) / claimed).sqrt();
    line.coverage() < COVERAGE_MIN - slack
}

#[test]
fn intervals_hold_what_is_true_wherever_they_are_claimed() {
    let table = table(RUNS);
    assert_eq!(table.len(), Shape::ALL.len() * KEPT.len() * WEIGHTS.len() * Question::ALL.len());
    // Bursts are beyond what can be told from a sample: the page says so.
    let lines = || table.iter().filter(|line| line.shape != Shape::Bursts);
    let tell = |lines: Vec<&Line>| lines.into_iter().map(told).collect::<Vec<_>>().join("\n");
    let is_heavy =
        |line: &&Line| line.shape != Shape::Light && matches!(line.question, Question::Sum | Question::Avg);
    let heavy: Vec<&Line> = lines().filter(is_heavy).filter(|line| line.claims() > CLAIMS_MAX).collect();
    assert!(heavy.is_empty(), "claimed of heavy tails:\n{}", tell(heavy));
    let judged = || lines().filter(|line| line.claims() > CLAIMS_MAX);
    assert!(judged().count() >= 100, "{} lines claim anything", judged().count());
    let wrong: Vec<&Line> = judged().filter(|line| is_wrong(line)).collect();
    assert!(wrong.is_empty(), "{}", tell(wrong));
    let of_all = judged().filter(|line| line.question != Question::Distinct);
    let (held, claimed) = of_all.fold((0, 0), |sum, line| (sum.0 + line.covered, sum.1 + line.claimed));
    assert!(f64::from(held) >= COVERAGE_MIN_OF_ALL * f64::from(claimed), "{held} of {claimed}");
    let light = |line: &&Line| line.shape == Shape::Light && line.kept == 300;
    let silent: Vec<&Line> = lines().filter(light).filter(|line| line.claims() < CLAIMS_MIN).collect();
    assert!(silent.is_empty(), "claimed too seldom:\n{}", tell(silent));
    let few = table.iter().filter(|line| line.kept == 5).map(|line| line.claimed).sum::<u32>();
    assert_eq!(few, 0, "five traces claim nothing");
}
