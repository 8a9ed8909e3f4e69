//! Skein's times divided by those of its peers: each shape, their geometric mean, and the spread over generated questions.

use super::database::Loaded;
use crate::report::{Figure, precise, quantile};
use crate::shapes::Answered;

pub(crate) const NOTES: &str = "How many times as long as Skein the better of both databases takes, each asked in its own \
    process in the fastest of several ways to say the same; Skein is asked over its HTTP API. *cold*: the first answer of a \
    new process, no page of whose files is in memory. *generated*: questions drawn by seed from the grammar that all three \
    have in common; shares are of the distribution of that ratio over them.";

/// Of the geometric mean over the shapes.
const MEAN_GOAL: f64 = 10.0;
/// Of generated questions, at the median and at the tenth percentile.
const GENERATED_GOALS: [(f64, &str, Option<f64>); 3] =
    [(0.1, "generated_p10", Some(1.0)), (0.5, "generated_p50", Some(4.0)), (0.9, "generated_p90", None)];

/// Times of the floor.
pub(crate) fn with_floor(answers: &[Answered], floors: &[(&'static str, f64)]) -> Vec<Figure> {
    let found = |answer: &Answered| floors.iter().find(|(name, _)| *name == answer.shape.name);
    let figure = |answer: &Answered| {
        let (_, floor) = found(answer)?;
        let name = format!("floor_{}", answer.shape.name);
        let figure = Figure::new(name, "of the floor's time", answer.ms / floor);
        Some(match answer.shape.floor_goal {
            Some(goal) => figure.at_most(goal),
            None => figure,
        })
    };
    answers.iter().filter_map(figure).collect()
}

/// Times of the better database.
pub(crate) fn with_databases(answers: &[Answered], loaded: &[Loaded]) -> Vec<Figure> {
    let better = |name: &str| loaded.iter().map(|peer| peer.ms[name]).fold(f64::INFINITY, f64::min);
    let (generated, nine): (Vec<&Answered>, Vec<&Answered>) =
        answers.iter().partition(|answer| answer.shape.name.starts_with("generated"));
    let times = "times as fast";
    let mut figures = Vec::new();
    let mut logarithms = Vec::new();
    for answer in nine {
        let name = &answer.shape.name;
        let ratio = better(name) / answer.ms;
        logarithms.push(ratio.ln());
        figures.push(Figure::new(format!("faster_{name}"), times, ratio).at_least(answer.shape.goal));
        if let Some(ours) = answer.cold_ms {
            let theirs = loaded.iter().filter_map(|peer| peer.cold_ms.get(name)).copied();
            let ratio = theirs.fold(f64::INFINITY, f64::min) / ours;
            figures.push(Figure::new(format!("faster_{name}_cold"), times, ratio).at_least(1.0));
        }
    }
    if !logarithms.is_empty() {
        let mean = (logarithms.iter().sum::<f64>() / precise(logarithms.len())).exp();
        figures.push(Figure::new("faster_geometric_mean", times, mean).at_least(MEAN_GOAL));
    }
    let ratios: Vec<f64> = generated.iter().map(|answer| better(&answer.shape.name) / answer.ms).collect();
    if !ratios.is_empty() {
        for (share, name, goal) in GENERATED_GOALS {
            let figure = Figure::new(format!("faster_{name}"), times, quantile(&ratios, share));
            figures.push(match goal {
                Some(goal) => figure.at_least(goal),
                None => figure,
            });
        }
    }
    figures
}
