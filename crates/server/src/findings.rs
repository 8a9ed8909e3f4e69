//! What log and store could not read, as the API and operators see it: files that were set aside, that are
//! missing, or that this version cannot read. The rest is served; this says what it lacks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use event::observe::{Clock, Observation, Observer};
use event::value::Value;
use log::Log;
use skein_api::findings::Finding;
use skein_api::metrics::Gauges;
use skein_event as event;
use skein_log as log;
use skein_store as store;
use store::{FindingKind, Store};

/// How often it is looked for new ones: damage is found when a file is first read.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Everything that was found until now.
pub(crate) fn of(store: &Store, log: &Log) -> Vec<Finding> {
    let of_store = store.findings().into_iter().map(|finding| Finding {
        environment: finding.segment.as_ref().map(|segment| segment.environment.clone()),
        kind: match finding.kind {
            FindingKind::SetAside => "set_aside",
            FindingKind::Missing => "missing",
            FindingKind::Unreadable => "unreadable",
            FindingKind::KeptOrphan => "kept_orphan",
            FindingKind::Unknown => "unknown_file",
            FindingKind::Derived => "made_anew",
            FindingKind::LogDamaged => "log_damaged",
        },
        path: finding.path.display().to_string(),
        events: finding.segment.as_ref().map(|segment| segment.rows),
        message: finding.message,
    });
    // A torn end is what every power failure leaves, and was never acknowledged.
    let damaged = log.findings().iter().filter(|finding| finding.kind == log::FindingKind::Damaged);
    let of_log = damaged.map(|finding| Finding {
        environment: None,
        kind: "log_damaged",
        path: finding.path.display().to_string(),
        events: None,
        message: finding.message.clone(),
    });
    of_store.chain(of_log).collect()
}

/// Tells of each finding once, in the server's log and in environment `skein`, for as long as it runs.
pub(crate) async fn tell(gauges: Arc<dyn Gauges>, clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) {
    let mut told = HashSet::new();
    loop {
        for finding in gauges.findings() {
            if !told.insert((finding.kind, finding.path.clone())) {
                continue;
            }
            tracing::warn!(
                kind = finding.kind,
                path = finding.path,
                message = finding.message,
                "a file is not served; GET /api/v1/usage lists all such"
            );
            observer.observe(observation(&finding, clock.now_ns()));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn observation(finding: &Finding, now_ns: i64) -> Observation {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut fields = vec![("skein.finding", text(finding.kind)), ("skein.path", text(&finding.path))];
    // Under another name than that of work done for an environment: a finding in Skein's own is told too.
    let owner = finding.environment.as_ref();
    fields.extend(owner.map(|owner| ("skein.finding.environment", text(owner.as_str()))));
    let events = finding.events.and_then(|events| i64::try_from(events).ok());
    fields.extend(events.map(|events| ("skein.rows", Value::I64(events))));
    let error = Some(finding.message.clone());
    Observation { name: "finding", start_ns: now_ns, duration_ns: 0, error, fields }
}
