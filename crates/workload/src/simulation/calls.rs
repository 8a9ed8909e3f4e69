//! Calls to other services and to the payment provider: time-outs, retries with backoff, and answers that
//! come after nobody waits any more.

use std::sync::Arc;

use super::Simulation;
use super::frame::{Failure, Flow, Frame, FrameId, OpenCall, Outcome, Signal, Waiting};
use crate::model::{Operation, Step};
use crate::telemetry::Severity;

/// Mean time the provider takes.
const PROVIDER_MEAN_NS: f64 = 180e6;

/// How often it answers 502 for no reason of ours.
const PROVIDER_FAILURE: f64 = 0.002;

/// How often the bank says no.
const DECLINED: f64 = 0.03;

/// Backoff before the second attempt; full jitter below twice this.
const BACKOFF_NS: f64 = 40e6;

impl Simulation {
    pub(super) fn call(
        &mut self,
        id: FrameId,
        frame: &mut Frame,
        operation: Operation,
        attempt: u32,
    ) -> Flow {
        let Some((timeout_ms, _)) = limits_of_call(frame) else { return Flow::Next };
        let span_id = self.random.span_id();
        let pod = self.submit(operation, Arc::clone(&frame.request), Some((id, frame.token)), Some(span_id));
        frame.waiting =
            Waiting::Callee(OpenCall { span_id, start_ns: self.now_ns, attempt, callee: Some(pod) });
        self.signal_after(timeout_ms * 1_000_000, id, frame, Signal::TimedOut);
        Flow::Wait
    }

    pub(super) fn returned(
        &mut self,
        id: FrameId,
        frame: &mut Frame,
        call: OpenCall,
        outcome: Outcome,
    ) -> Flow {
        self.describe_call(frame, call, outcome);
        self.after_attempt(id, frame, call, outcome)
    }

    pub(super) fn call_provider(&mut self, id: FrameId, frame: &mut Frame, attempt: u32) -> Flow {
        let Some((timeout_ms, _)) = limits_of_call(frame) else { return Flow::Next };
        let factor = match self.conditions.slow_network {
            Some((network, factor)) if network == frame.request.network => factor,
            _ => 1.0,
        };
        let duration_ns = self.random.service_time(PROVIDER_MEAN_NS * factor, 0.4);
        let outcome = match self.random.unit() {
            luck if luck < PROVIDER_FAILURE => Err(Failure::Provider),
            luck if luck < PROVIDER_FAILURE + DECLINED => Err(Failure::Declined),
            _ => Ok(()),
        };
        let span_id = self.random.span_id();
        frame.waiting = Waiting::Provider(OpenCall { span_id, start_ns: self.now_ns, attempt, callee: None });
        self.signal_after(duration_ns, id, frame, Signal::ProviderAnswered(outcome));
        self.signal_after(timeout_ms * 1_000_000, id, frame, Signal::TimedOut);
        Flow::Wait
    }

    pub(super) fn provider_returned(
        &mut self,
        id: FrameId,
        frame: &mut Frame,
        call: OpenCall,
        outcome: Outcome,
    ) -> Flow {
        self.describe_provider(frame, call, outcome);
        self.after_attempt(id, frame, call, outcome)
    }

    /// The next attempt of the call that the frame's last step made.
    pub(super) fn try_again(&mut self, id: FrameId, frame: &mut Frame, attempt: u32) -> Flow {
        match last_step(frame) {
            Some(Step::Call { operation, .. }) => self.call(id, frame, operation, attempt),
            Some(Step::ThirdParty { .. }) => self.call_provider(id, frame, attempt),
            _ => Flow::Next,
        }
    }

    fn after_attempt(&mut self, id: FrameId, frame: &mut Frame, call: OpenCall, outcome: Outcome) -> Flow {
        let failure = match outcome {
            Ok(()) => return Flow::Next,
            Err(failure) => failure,
        };
        let attempts = limits_of_call(frame).map_or(1, |(_, attempts)| attempts);
        let transient = matches!(failure, Failure::Timeout | Failure::Overloaded | Failure::Provider);
        if transient && call.attempt < attempts {
            frame.retries += 1;
            let waited_ms = (self.now_ns - call.start_ns) / 1_000_000;
            let fields = vec![("attempt", i64::from(call.attempt).into()), ("waited_ms", waited_ms.into())];
            self.log(frame, Severity::Warn, "call failed, trying again", fields);
            let delay_ns = self.random.service_time(BACKOFF_NS, 0.5);
            frame.waiting = Waiting::Backoff { attempt: call.attempt };
            self.signal_after(delay_ns, id, frame, Signal::Retry);
            return Flow::Wait;
        }
        Flow::End(Err(match failure {
            Failure::Timeout | Failure::Overloaded | Failure::Declined => failure,
            _ => Failure::Upstream,
        }))
    }
}

fn last_step(frame: &Frame) -> Option<Step> {
    frame.step.checked_sub(1).and_then(|step| frame.steps.get(step)).copied()
}

/// Time-out in milliseconds, and attempts.
fn limits_of_call(frame: &Frame) -> Option<(i64, u32)> {
    match last_step(frame)? {
        Step::Call { timeout_ms, attempts, .. } | Step::ThirdParty { timeout_ms, attempts } => {
            Some((timeout_ms, attempts))
        }
        _ => None,
    }
}
