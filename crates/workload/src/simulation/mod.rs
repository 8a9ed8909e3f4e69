//! The shop at work: a discrete-event simulation with its own clock. Every operation takes a worker thread of
//! its pod, computes on shared cores, waits for connections, locks, callees and third parties, and gives up
//! after its time-outs; a callee does not learn that its caller has given up. Nothing is asynchronous here:
//! [`Simulation::advance`] handles one event after the other, in the order of their times.
//!
//! What it refuses to do: it paints no symptom. An incident changes the conditions ([`crate::incident`]);
//! latency, errors, retries and full queues follow. Memory is bounded by threads and queues of the pods.

mod calls;
mod database;
mod describe;
mod event;
mod frame;
mod logs;
mod pods;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::incident::{Conditions, Incident};
use crate::load::{Load, Request};
use crate::model::{Operation, Service, Step};
use crate::random::Random;
use crate::telemetry::{Attribute, Instance, Record, Severity};
use database::Database;
use event::{Event, Scheduled};
use frame::{Failure, Flow, Frame, FrameId, Outcome, PodId, Signal, Token, Waiting};
use pods::Pod;

/// The rate for which the capacities of the model are stated.
const RATE_OF_MODEL: f64 = 40.0;

/// Requests a pod lets wait for a worker; more are refused with 503.
const POD_QUEUE_MAX: usize = 96;

/// Metric points are taken this often.
const MEASURE_EVERY_NS: i64 = 15_000_000_000;

/// What is simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The same seed gives the same run.
    pub seed: u64,
    /// When it begins, epoch nanoseconds.
    pub start_ns: i64,
    /// Requests of people per second, on average. One makes about five spans.
    pub requests_per_second: f64,
    /// What goes wrong, if anything does.
    pub incident: Option<Incident>,
}

/// A run of the shop.
#[derive(Debug)]
pub struct Simulation {
    now_ns: i64,
    events: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    seed: u64,
    load: Load,
    random: Random,
    frames: HashMap<FrameId, Frame>,
    frame_next: FrameId,
    pods: Vec<Pod>,
    database: Database,
    conditions: Conditions,
    incident: Option<Incident>,
    instances: Vec<Instance>,
    records: Vec<Record>,
}

// === impl Simulation ===

impl Simulation {
    /// A shop that opens at the start time.
    pub fn new(config: Config) -> Simulation {
        let scale = (config.requests_per_second / RATE_OF_MODEL).max(0.25);
        let mut simulation = Simulation {
            now_ns: config.start_ns,
            events: BinaryHeap::new(),
            sequence: 0,
            seed: config.seed,
            load: Load::new(config.seed, config.requests_per_second.max(0.1)),
            random: Random::new(config.seed, 2),
            frames: HashMap::new(),
            frame_next: 1,
            pods: Vec::new(),
            database: Database::new(scale),
            conditions: Conditions::healthy(),
            incident: config.incident,
            instances: Vec::new(),
            records: Vec::new(),
        };
        for service in Service::ALL {
            for index in 0..service.spec().pods {
                simulation.pods.push(Pod::new(service, index, scale));
            }
            simulation.roll_out(service, service.spec().version.to_owned());
        }
        simulation.warm_cache();
        simulation.schedule_first();
        simulation
    }

    fn schedule_first(&mut self) {
        let arrival = self.load.next_after(self.now_ns);
        self.schedule(arrival, Event::Arrive);
        self.schedule(self.now_ns + MEASURE_EVERY_NS, Event::Measure);
        if let Some(incident) = self.incident {
            self.schedule(incident.start_ns, Event::Begin);
            self.schedule(incident.end_ns, Event::Repair);
        }
    }

    /// Lets time pass up to a moment and returns what was recorded meanwhile.
    pub fn advance(&mut self, until_ns: i64) -> Vec<Record> {
        while let Some(Reverse(next)) = self.events.peek() {
            if next.time_ns > until_ns {
                break;
            }
            let Some(Reverse(next)) = self.events.pop() else { break };
            self.now_ns = next.time_ns.max(self.now_ns);
            self.handle(next.event);
        }
        self.now_ns = self.now_ns.max(until_ns);
        std::mem::take(&mut self.records)
    }

    /// The copies of services that ran so far; records name them by index.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The time it has come to, epoch nanoseconds.
    pub fn now_ns(&self) -> i64 {
        self.now_ns
    }

    fn schedule(&mut self, time_ns: i64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(Scheduled { time_ns, sequence: self.sequence, event }));
    }

    /// Sends a signal to the wait the frame is in.
    fn signal_after(&mut self, delay_ns: i64, id: FrameId, frame: &Frame, signal: Signal) {
        self.schedule(self.now_ns + delay_ns.max(0), Event::Signal { frame: id, token: frame.token, signal });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive => {
                let request = self.load.draw();
                let next = self.load.next_after(self.now_ns);
                self.schedule(next, Event::Arrive);
                let operation = request.operation;
                self.submit(operation, Arc::new(request), None, None);
            }
            Event::Signal { frame, token, signal } => self.signal(frame, token, signal),
            Event::Reclaim { pod } => self.release_connection(pod),
            Event::Begin => self.begin_incident(),
            Event::Repair => self.repair(),
            Event::Measure => {
                self.measure();
                self.schedule(self.now_ns + MEASURE_EVERY_NS, Event::Measure);
            }
        }
    }

    fn begin_incident(&mut self) {
        let Some(incident) = self.incident else { return };
        self.conditions = Conditions::during(incident.cause);
        if let Some(service) = incident.deployed() {
            self.roll_out(service, next_version(service.spec().version));
        }
        if matches!(incident.cause, crate::incident::Cause::CacheStampede { .. }) {
            self.database.cache.clear();
        }
    }

    fn repair(&mut self) {
        self.conditions = Conditions::healthy();
        if let Some(service) = self.incident.and_then(|incident| incident.deployed()) {
            self.roll_out(service, service.spec().version.to_owned());
        }
    }

    /// Hands a request to a pod of the service. Returns the pod.
    fn submit(
        &mut self,
        operation: Operation,
        request: Arc<Request>,
        caller: Option<(FrameId, Token)>,
        parent_span_id: Option<[u8; 8]>,
    ) -> PodId {
        let id = self.frame_next;
        self.frame_next += 1;
        let pod = self.choose_pod(operation.spec().service);
        let steps = if operation == Operation::CheckoutPlace && self.conditions.reserve_first {
            crate::model::CHECKOUT_RESERVE_FIRST
        } else {
            operation.spec().steps
        };
        let frame = Frame {
            operation,
            pod,
            instance: self.pods.get(pod).map_or(0, |pod| pod.instance),
            request,
            caller,
            parent_span_id,
            span_id: self.random.span_id(),
            arrived_ns: self.now_ns,
            started_ns: self.now_ns,
            steps,
            step: 0,
            token: 0,
            waiting: Waiting::Worker,
            works: false,
            transaction: None,
            retries: 0,
            database_ns: 0,
            cache_hit: None,
            thread: 0,
            events: Vec::new(),
        };
        let network_ns = self.random.service_time(300_000.0, 0.3);
        self.signal_after(network_ns, id, &frame, Signal::Delivered);
        self.frames.insert(id, frame);
        pod
    }

    fn signal(&mut self, id: FrameId, token: Token, signal: Signal) {
        match self.frames.remove(&id) {
            Some(mut frame) if frame.token == token => {
                frame.token += 1;
                let flow = self.resume(id, &mut frame, signal);
                self.drive(id, frame, flow);
            }
            stale => {
                // What was granted to one who has given up goes on to the next in line.
                match (signal, stale) {
                    (Signal::ConnectionGranted { pod }, stale) => {
                        self.restore(id, stale);
                        self.release_connection(pod);
                    }
                    (Signal::LockGranted { row }, stale) => {
                        self.restore(id, stale);
                        self.release_lock(row);
                    }
                    (_, stale) => self.restore(id, stale),
                }
            }
        }
    }

    fn restore(&mut self, id: FrameId, frame: Option<Frame>) {
        if let Some(frame) = frame {
            self.frames.insert(id, frame);
        }
    }

    fn drive(&mut self, id: FrameId, mut frame: Frame, mut flow: Flow) {
        loop {
            match flow {
                Flow::Wait => {
                    self.frames.insert(id, frame);
                    return;
                }
                Flow::Next => flow = self.step(id, &mut frame),
                Flow::End(outcome) => {
                    self.finish(frame, outcome);
                    return;
                }
            }
        }
    }

    /// Takes the next step of an operation.
    fn step(&mut self, id: FrameId, frame: &mut Frame) -> Flow {
        let Some(step) = frame.steps.get(frame.step).copied() else { return Flow::End(Ok(())) };
        frame.step += 1;
        match step {
            Step::Compute(mean_us) => self.compute(id, frame, mean_us),
            Step::Call { operation, .. } => self.call(id, frame, operation, 1),
            Step::Cached(query) => self.ask_cache(id, frame, query),
            Step::Query(query) => self.query(id, frame, query, frame::Purpose::Read),
            Step::Begin(query) => self.query(id, frame, query, frame::Purpose::Begin),
            Step::Commit => {
                self.end_transaction(frame);
                Flow::Next
            }
            Step::ThirdParty { .. } => self.call_provider(id, frame, 1),
            Step::Note(message) => {
                let fields = self.note_fields(frame);
                self.log(frame, Severity::Info, message, fields);
                Flow::Next
            }
            Step::Branch => match self.conditions.defective_currency {
                Some(currency) if currency == frame.request.currency => Flow::End(Err(Failure::Defect)),
                _ => Flow::Next,
            },
        }
    }

    /// Goes on where a frame waited.
    fn resume(&mut self, id: FrameId, frame: &mut Frame, signal: Signal) -> Flow {
        match (frame.waiting, signal) {
            (Waiting::Worker, Signal::Delivered) => self.enter_pod(id, frame),
            (Waiting::Worker, Signal::WorkerGranted) => self.start(frame),
            (Waiting::Processor, Signal::Computed) => {
                self.leave_processor(frame.pod);
                Flow::Next
            }
            (Waiting::Callee(call), Signal::Returned(outcome)) => self.returned(id, frame, call, outcome),
            (Waiting::Callee(call), Signal::TimedOut) => {
                self.returned(id, frame, call, Err(Failure::Timeout))
            }
            (Waiting::Provider(call), Signal::ProviderAnswered(outcome)) => {
                self.provider_returned(id, frame, call, outcome)
            }
            (Waiting::Provider(call), Signal::TimedOut) => {
                self.provider_returned(id, frame, call, Err(Failure::Timeout))
            }
            (Waiting::Connection(open), Signal::ConnectionGranted { .. }) => self.connected(id, frame, open),
            (Waiting::Connection(open), Signal::TimedOut) => self.connection_timed_out(frame, open),
            (Waiting::Lock(open), Signal::LockGranted { row }) => self.locked(id, frame, open, row),
            (Waiting::Lock(open), Signal::TimedOut) => self.lock_timed_out(frame, open),
            (Waiting::Database(open), Signal::QueryDone) => self.query_done(frame, open),
            (Waiting::Cache(open), Signal::CacheAnswered) => self.cache_answered(id, frame, open),
            (Waiting::Backoff { attempt }, Signal::Retry) => self.try_again(id, frame, attempt + 1),
            // A signal always fits the wait it was made for: tokens see to that.
            _ => Flow::Wait,
        }
    }

    fn compute(&mut self, id: FrameId, frame: &mut Frame, mean_us: u32) -> Flow {
        let factor = self.enter_processor(frame.pod);
        let duration_ns = self.random.service_time(f64::from(mean_us) * 1_000.0 * factor, 0.45);
        frame.waiting = Waiting::Processor;
        self.signal_after(duration_ns, id, frame, Signal::Computed);
        Flow::Wait
    }

    /// Ends an operation: tells about it, gives everything back, answers the caller.
    fn finish(&mut self, mut frame: Frame, outcome: Outcome) {
        self.end_transaction(&mut frame);
        self.describe_server(&mut frame, outcome);
        if frame.works {
            self.leave_pod(frame.pod);
        }
        if let Some((caller, token)) = frame.caller {
            let network_ns = self.random.service_time(300_000.0, 0.3);
            let signal = Signal::Returned(outcome);
            self.schedule(self.now_ns + network_ns, Event::Signal { frame: caller, token, signal });
        }
    }
}

/// `1.41.0` becomes `1.42.0`.
fn next_version(version: &str) -> String {
    let mut parts: Vec<String> = version.split('.').map(str::to_owned).collect();
    if let Some(minor) = parts.get_mut(1) {
        *minor = minor.parse::<u64>().map_or_else(|_| minor.clone(), |number| (number + 1).to_string());
    }
    parts.join(".")
}

/// A queue of frames that wait for something, each with the wait it is in.
type Waiters = VecDeque<(FrameId, Token)>;

/// Attributes of a log record that go into a JSON body.
type Fields = Vec<(&'static str, Attribute)>;
