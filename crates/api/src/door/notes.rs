//! What operators learn of a request: counts, the list of rejections, and wide events of Skein's own.
//!
//! A rejection that is final is an event of environment `skein` as well, so that it outlives the process: the
//! list in memory is filled from those events when a server starts. What the client sends again is no loss and
//! no event; under overload there would be one per refusal.

use event::Environment;
use event::observe::Observation;
use event::value::Value;
use skein_event as event;
use skein_ingest::Signal;

use super::status::Refusal;
use super::{Accepted, Decoded, Door, Stored};
use crate::metrics::IngestResult;
use crate::rejections::Entry;

impl Door {
    pub(super) fn note_rejections(
        &self,
        door: &'static str,
        environment: &Environment,
        signal: Signal,
        key: Option<String>,
        decoded: &Decoded,
    ) {
        for told in &decoded.warnings {
            self.metrics.warned(environment, told.code, told.count);
        }
        for &(reason, count) in &decoded.rejected {
            self.metrics.rejected(environment, reason, count);
            self.metrics.ingest(environment, signal, door, IngestResult::Rejected, count);
            let first = decoded.rejections.iter().find(|rejection| rejection.reason == reason);
            self.reject(Entry {
                time_ns: self.clock.now_ns(),
                environment: environment.clone(),
                door: door.to_owned(),
                key: key.clone(),
                reason,
                path: first.map(|first| first.path.clone()).unwrap_or_default(),
                count,
                sample: first.map(|first| first.message.clone()).unwrap_or_default(),
            });
        }
    }

    /// A request that was refused as a whole is seen by the operator as well.
    pub(super) fn note_refusal(
        &self,
        door: &'static str,
        environment: &Environment,
        key: Option<String>,
        refusal: &Refusal,
    ) {
        let Some(reason) = refusal.kind.reason() else { return };
        self.metrics.rejected(environment, reason, 1);
        let entry = Entry {
            time_ns: self.clock.now_ns(),
            environment: environment.clone(),
            door: door.to_owned(),
            key,
            reason,
            path: refusal.violations.first().map(|(path, _)| path.clone()).unwrap_or_default(),
            count: 1,
            sample: refusal.message.clone(),
        };
        if refusal.retry_after_ms.is_some() {
            self.rejections.add(entry);
        } else {
            self.reject(entry);
        }
    }

    /// Lists a rejection, and tells Skein's own environment of it.
    fn reject(&self, entry: Entry) {
        let entry = self.rejections.add(entry);
        self.observer.observe(entry.to_observation());
    }

    pub(super) fn observe_batch(
        &self,
        door: &'static str,
        environment: &Environment,
        signal: Signal,
        start_ns: i64,
        wire_bytes: usize,
        result: &Result<(Accepted, Stored), Refusal>,
    ) {
        if environment.as_str() == Environment::SKEIN {
            return;
        }
        let number = |count: u64| Value::I64(i64::try_from(count).unwrap_or(i64::MAX));
        let size = |bytes: usize| Value::I64(i64::try_from(bytes).unwrap_or(i64::MAX));
        let mut fields = vec![
            ("skein.environment", Value::Text(environment.to_string())),
            ("skein.door", Value::Text(door.to_owned())),
            ("skein.signal", Value::Text(signal.as_str().to_owned())),
            ("skein.wire_bytes", size(wire_bytes)),
        ];
        if let Ok((accepted, stored)) = result {
            fields.extend([
                ("skein.body_bytes", size(stored.bytes)),
                ("skein.rows", size(stored.rows)),
                ("skein.records", number(stored.records)),
                ("skein.rejected", Value::I64(accepted.outcome.rejected)),
                ("skein.duplicate", Value::Bool(stored.duplicate)),
            ]);
        }
        let duration_ns = self.clock.now_ns().saturating_sub(start_ns);
        let error = result.as_ref().err().map(|refusal| refusal.message.clone());
        self.observer.observe(Observation { name: "ingest", start_ns, duration_ns, error, fields });
    }
}
