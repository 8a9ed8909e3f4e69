//! What a server could not read of its own files, for `/metrics` and `/api/v1/usage`.

use event::Environment;
use skein_event as event;

use crate::metrics::{Metric, Sample};

/// A file that is not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Whose events it holds; `None` when it holds those of several, or nobody knows.
    pub environment: Option<Environment>,
    /// One of a closed list, snake case.
    pub kind: &'static str,
    /// Where it lies.
    pub path: String,
    /// Events it holds, as far as known.
    pub events: Option<u64>,
    /// What was found, and what can be done.
    pub message: String,
}

/// How many there are, by environment and kind.
pub(crate) fn samples(findings: &[Finding]) -> Vec<Sample> {
    let mut counts = std::collections::BTreeMap::<_, u32>::new();
    for finding in findings {
        *counts.entry((finding.environment.clone(), finding.kind)).or_default() += 1;
    }
    let sample = |((environment, kind), count): ((Option<Environment>, &str), u32)| {
        let mut labels: Vec<(&'static str, String)> = Vec::new();
        labels.extend(environment.map(|environment| ("environment", environment.to_string())));
        labels.push(("kind", kind.to_owned()));
        Sample::new(Metric::Findings, labels, f64::from(count))
    };
    counts.into_iter().map(sample).collect()
}
