//! Do intervals of 95 % hold what they promise? Populations of traces, drawn again and again, each with its true numbers
//! beside what the states of query::aggregate say of the sample: the code that the engine answers with.
//!
//! Traces are kept as a sampler keeps them, each by itself with one probability, so that how many are kept is random, too.
//! Values within a trace are alike: with a chance of one in five an event has the value that its trace has. Nothing here
//! knows how intervals are computed.

use std::thread;

use skein_query::aggregate::interval::{Estimate, of_estimate};
use skein_query::aggregate::{Contributions, Draw, State};
use skein_query::number::Number;
use skein_query::plan::{Operation, Percentile};
use skein_query::result::Stats;

use crate::random::Random;

/// How values, and the numbers of events of traces, are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Exponential values, a Poisson number of events.
    Light,
    /// Log-normal values, σ = 2.
    LogNormal,
    /// Pareto values, α = 1.5: the variance is infinite.
    Pareto,
    /// Exponential values, and a Pareto number of events, α = 1.5.
    Bursts,
}

/// What is computed of a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// COUNT.
    Count,
    /// SUM of the value.
    Sum,
    /// AVG of the value.
    Avg,
    /// Failed events in all events: a formula of two COUNTs.
    Ratio,
    /// P50 of the value.
    P50,
    /// P99 of the value.
    P99,
    /// P50 and P99 from a sketch, as of many rows.
    SketchedP50,
    /// See [`Question::SketchedP50`].
    SketchedP99,
    /// COUNT_DISTINCT of the user, of whom a trace has one.
    Distinct,
}

impl Question {
    /// All of them.
    pub const ALL: [Question; 9] = [
        Question::Count,
        Question::Sum,
        Question::Avg,
        Question::Ratio,
        Question::P50,
        Question::P99,
        Question::SketchedP50,
        Question::SketchedP99,
        Question::Distinct,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Question::Count => "COUNT",
            Question::Sum => "SUM",
            Question::Avg => "AVG",
            Question::Ratio => "ratio",
            Question::P50 => "P50",
            Question::P99 => "P99",
            Question::SketchedP50 => "P50, sketch",
            Question::SketchedP99 => "P99, sketch",
            Question::Distinct => "COUNT_DISTINCT",
        }
    }
}

impl Shape {
    /// All of them.
    pub const ALL: [Shape; 4] = [Shape::Light, Shape::LogNormal, Shape::Pareto, Shape::Bursts];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Light => "light-tailed",
            Shape::LogNormal => "log-normal σ=2",
            Shape::Pareto => "Pareto α=1.5",
            Shape::Bursts => "light-tailed, Pareto events",
        }
    }

    fn value(self, random: &mut Random) -> f64 {
        match self {
            Shape::Light | Shape::Bursts => -40.0 * unit(random).ln(),
            Shape::LogNormal => 10.0 * (2.0 * normal(random)).exp(),
            Shape::Pareto => 10.0 * unit(random).powf(-1.0 / 1.5),
        }
    }

    /// Events of a trace, one at least, and eight on average but for bursts.
    fn events(self, random: &mut Random) -> usize {
        let number = match self {
            Shape::Light | Shape::LogNormal | Shape::Pareto => 1.0 + poisson(7.0, random),
            Shape::Bursts => unit(random).powf(-1.0 / 1.5),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "cut to what a trace may have here"
        )]
        let events = number.ceil().clamp(1.0, 10_000.0) as usize;
        events
    }
}

/// Above 0 and at most 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits of a random number")]
fn unit(random: &mut Random) -> f64 {
    ((random.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// Of a Poisson distribution (Knuth).
fn poisson(mean: f64, random: &mut Random) -> f64 {
    let (mut events, mut product) = (0.0, unit(random));
    while product > (-mean).exp() {
        events += 1.0;
        product *= unit(random);
    }
    events
}

/// Of a standard normal distribution (Box and Muller 1958).
fn normal(random: &mut Random) -> f64 {
    (-2.0 * unit(random).ln()).sqrt() * (2.0 * std::f64::consts::PI * unit(random)).cos()
}

struct Event {
    value: f64,
    failed: bool,
}

struct Trace {
    unit: u64,
    user: u64,
    events: Vec<Event>,
}

/// A population, and what is true of it.
struct Population {
    traces: Vec<Trace>,
    truths: [f64; Question::ALL.len()],
}

impl Population {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number below that of traces"
    )]
    fn new(shape: Shape, traces: usize, random: &mut Random) -> Population {
        let trace = |_| {
            let (own, is_bad) = (shape.value(random), random.once_in(5));
            let failing = if is_bad { 0.6 } else { 0.05 };
            let events = (0..shape.events(random)).map(|_| Event {
                value: if unit(random) < 0.2 { own } else { shape.value(random) },
                failed: unit(random) < failing,
            });
            let events = events.collect();
            // Some users come often, most hardly ever.
            let user = (unit(random).powi(3) * traces as f64) as u64;
            Trace { unit: random.next(), user, events }
        };
        let traces: Vec<Trace> = (0..traces).map(trace).collect();
        let mut answers = Answers::new();
        traces.iter().for_each(|trace| answers.add(trace, 1.0));
        let truths = Question::ALL.map(|question| match question {
            // Sketches are to say what is true, and not what another sketch says.
            Question::SketchedP50 => answers.of(Question::P50).0,
            Question::SketchedP99 => answers.of(Question::P99).0,
            question => answers.of(question).0,
        });
        Population { traces, truths }
    }
}

/// The states of all questions.
struct Answers {
    count: State,
    failed: State,
    sum: State,
    avg: State,
    p50: State,
    p99: State,
    sketch_p50: State,
    sketch_p99: State,
    users: State,
}

impl Answers {
    fn new() -> Answers {
        let percentile =
            |thousandths, exact| State::new(Operation::Percentile(Percentile(thousandths)), exact);
        Answers {
            count: State::new(Operation::Count, true),
            failed: State::new(Operation::Count, true),
            sum: State::new(Operation::Sum, true),
            avg: State::new(Operation::Avg, true),
            p50: percentile(500, true),
            p99: percentile(990, true),
            sketch_p50: percentile(500, false),
            sketch_p99: percentile(990, false),
            users: State::new(Operation::CountDistinct, true),
        }
    }

    fn add(&mut self, trace: &Trace, weight: f64) {
        let draw = Draw::of(weight, trace.unit);
        self.users.add_hash(trace.user.wrapping_mul(0x9e37_79b9_7f4a_7c15), draw);
        for event in &trace.events {
            self.count.add_event(draw);
            if event.failed {
                self.failed.add_event(draw);
            }
            let value = Number::F64(event.value);
            let states = [&mut self.sum, &mut self.avg, &mut self.p50, &mut self.p99];
            for state in states.into_iter().chain([&mut self.sketch_p50, &mut self.sketch_p99]) {
                state.add_number(value, draw);
            }
        }
    }

    /// The number that answers a question, and how sure it is.
    fn of(&self, question: Question) -> (f64, Stats) {
        let finish = |state: &State| {
            let (cell, _) = state.finish();
            (cell.value.number().unwrap_or_default(), cell.stats)
        };
        match question {
            Question::Count => finish(&self.count),
            Question::Sum => finish(&self.sum),
            Question::Avg => finish(&self.avg),
            Question::P50 => finish(&self.p50),
            Question::P99 => finish(&self.p99),
            Question::SketchedP50 => finish(&self.sketch_p50),
            Question::SketchedP99 => finish(&self.sketch_p99),
            Question::Distinct => finish(&self.users),
            Question::Ratio => self.ratio(),
        }
    }

    /// As the engine has it of a formula: by its linear part.
    fn ratio(&self) -> (f64, Stats) {
        let number = |state: &State| state.finish().0.value.number().unwrap_or_default();
        let (failed, all) = (number(&self.failed), number(&self.count));
        let ratio = failed / all;
        let parts = self.failed.contributions().zip(self.count.contributions());
        let interval = parts.and_then(|(failed, count)| {
            let parts = [(1.0 / all, &failed), (-ratio / all, &count)];
            let spread = Contributions::sum(parts.into_iter()).spread();
            of_estimate(Estimate { value: ratio, certain: 0.0, spread })
        });
        let stats = Stats {
            lo95: interval.map(|(low, _)| low),
            hi95: interval.map(|(_, high)| high),
            reliable: interval.is_some(),
            ..Stats::default()
        };
        (ratio, stats)
    }
}

/// What was found of one question over samples of one kind.
#[derive(Clone, Debug)]
pub struct Line {
    /// Of what.
    pub shape: Shape,
    /// Events that one stands for.
    pub weight: u32,
    /// Traces that are kept, on average.
    pub kept: u32,
    /// What was asked.
    pub question: Question,
    /// Samples that were drawn.
    pub runs: u32,
    /// How often the answer was called reliable.
    pub claimed: u32,
    /// How often its interval then held what is true.
    pub covered: u32,
    /// And how often what is true was below it.
    pub below: u32,
    /// Half the width of intervals in parts of the number, on average.
    pub width: f64,
}

impl Line {
    /// How many of the claimed intervals hold what is true.
    pub fn coverage(&self) -> f64 {
        f64::from(self.covered) / f64::from(self.claimed.max(1))
    }

    /// How many of the claimed intervals lie above what is true.
    pub fn below_share(&self) -> f64 {
        f64::from(self.below) / f64::from(self.claimed.max(1))
    }

    /// How often an interval was claimed.
    pub fn claims(&self) -> f64 {
        f64::from(self.claimed) / f64::from(self.runs.max(1))
    }
}

/// The weights of the table: rates of 1/2, 1/10, 1/100.
pub const WEIGHTS: [u32; 3] = [2, 10, 100];
/// The numbers of kept traces of the table.
pub const KEPT: [u32; 3] = [5, 30, 300];

/// Populations of a line: one might be odd.
const POPULATIONS: u32 = 5;

/// Draws samples; the lines of all questions.
pub fn lines(shape: Shape, weight: u32, kept: u32, runs: u32) -> Vec<Line> {
    let line =
        |question| Line { shape, weight, kept, question, runs, claimed: 0, covered: 0, below: 0, width: 0.0 };
    let mut lines = Question::ALL.map(line);
    let mut random = Random::new(u64::from(weight) << 32 | u64::from(kept) << 4 | shape as u64);
    let mut population = None;
    for run in 0..runs {
        if run % runs.div_ceil(POPULATIONS) == 0 {
            population = Some(Population::new(shape, (weight * kept) as usize, &mut random));
        }
        let Some(population) = &population else { continue };
        let mut answers = Answers::new();
        let mut drawn = 0;
        for trace in population.traces.iter().filter(|_| random.once_in(u64::from(weight))) {
            drawn += 1;
            answers.add(trace, f64::from(weight));
        }
        if drawn == 0 {
            // A count of nothing has another bound, which the engine knows.
            continue;
        }
        for (line, truth) in lines.iter_mut().zip(population.truths) {
            let (value, stats) = answers.of(line.question);
            if !stats.reliable {
                continue;
            }
            line.claimed += 1;
            let (low, high) = (stats.lo95.unwrap_or(f64::NAN), stats.hi95.unwrap_or(f64::NAN));
            line.covered += u32::from(low <= truth && truth <= high);
            line.below += u32::from(truth < low);
            line.width += (high - low) / 2.0 / value;
        }
    }
    for line in &mut lines {
        line.width /= f64::from(line.claimed.max(1));
    }
    lines.to_vec()
}

/// The whole table, by as many threads as there are values of [`WEIGHTS`].
pub fn table(runs: u32) -> Vec<Line> {
    let mut table = Vec::new();
    for shape in Shape::ALL {
        for kept in KEPT {
            thread::scope(|scope| {
                let of_weight = |weight| scope.spawn(move || lines(shape, weight, kept, runs));
                let threads = WEIGHTS.map(of_weight);
                table.extend(threads.into_iter().filter_map(|thread| thread.join().ok()).flatten());
            });
        }
    }
    table
}
