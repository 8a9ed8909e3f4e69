//! Pods: worker threads, processor cores, a queue, and what runs on them.

use std::collections::VecDeque;

use super::frame::{Failure, Flow, Frame, FrameId, PodId, Signal};
use super::{Event, POD_QUEUE_MAX, Simulation, Waiters};
use crate::model::Service;
use crate::random::to_ns;
use crate::telemetry::{Attributes, Instance, Measure, PointRecord, Record, Severity};

/// Upper bounds of the duration histogram, in milliseconds (the semantic conventions' advice, times 1,000).
pub(super) static DURATION_BOUNDS_MS: [f64; 12] =
    [5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];

/// A running copy of a service and what it has to give.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) service: Service,
    /// Which of the service's pods.
    pub(super) index: usize,
    /// The resource it reports under now.
    pub(super) instance: usize,
    pub(super) started_ns: i64,
    threads: usize,
    pub(super) working: usize,
    queue: Waiters,
    cores: usize,
    computing: usize,
    pub(super) connections: usize,
    pub(super) connections_used: usize,
    pub(super) connection_waiters: Waiters,
    pub(super) served: i64,
    pub(super) durations: Vec<u64>,
    pub(super) durations_sum_ms: f64,
}

impl Pod {
    pub(super) fn new(service: Service, index: usize, scale: f64) -> Pod {
        let spec = service.spec();
        Pod {
            service,
            index,
            instance: 0,
            started_ns: 0,
            threads: scaled(spec.threads, scale),
            working: 0,
            queue: VecDeque::new(),
            cores: scaled(spec.cores, scale),
            computing: 0,
            connections: scaled(spec.connections, scale),
            connections_used: 0,
            connection_waiters: VecDeque::new(),
            served: 0,
            durations: vec![0; DURATION_BOUNDS_MS.len() + 1],
            durations_sum_ms: 0.0,
        }
    }

    pub(super) fn count_duration(&mut self, duration_ns: i64) {
        let duration_ms = duration_ns as f64 / 1e6;
        let bucket = DURATION_BOUNDS_MS.iter().position(|bound| duration_ms <= *bound);
        if let Some(count) = self.durations.get_mut(bucket.unwrap_or(DURATION_BOUNDS_MS.len())) {
            *count += 1;
        }
        self.durations_sum_ms += duration_ms;
        self.served += 1;
    }
}

/// A capacity for another load than the model's, at least one where there was one.
pub(super) fn scaled(capacity: usize, scale: f64) -> usize {
    let scaled = usize::try_from(to_ns((capacity as f64 * scale).ceil())).unwrap_or(capacity);
    if capacity == 0 { 0 } else { scaled.max(1) }
}

impl Simulation {
    /// Any pod of the service: the load balancer knows nothing of their state.
    pub(super) fn choose_pod(&mut self, service: Service) -> PodId {
        let pick = self.random.below(service.spec().pods);
        self.pods.iter().position(|pod| pod.service == service && pod.index == pick).unwrap_or(0)
    }

    pub(super) fn enter_pod(&mut self, id: FrameId, frame: &mut Frame) -> Flow {
        frame.arrived_ns = self.now_ns;
        let Some(pod) = self.pods.get_mut(frame.pod) else { return Flow::End(Err(Failure::Overloaded)) };
        frame.instance = pod.instance;
        if pod.working < pod.threads {
            pod.working += 1;
            return self.start(frame);
        }
        if pod.queue.len() >= POD_QUEUE_MAX {
            frame.started_ns = self.now_ns;
            return Flow::End(Err(Failure::Overloaded));
        }
        pod.queue.push_back((id, frame.token));
        Flow::Wait
    }

    /// A worker begins; the thread was counted by whoever granted it.
    pub(super) fn start(&mut self, frame: &mut Frame) -> Flow {
        frame.works = true;
        frame.started_ns = self.now_ns;
        let threads = self.pods.get(frame.pod).map_or(1, |pod| pod.threads);
        frame.thread = 1 + i64::try_from(self.random.below(threads)).unwrap_or(0);
        Flow::Next
    }

    pub(super) fn leave_pod(&mut self, id: PodId) {
        let Some(pod) = self.pods.get_mut(id) else { return };
        match pod.queue.pop_front() {
            // The thread goes straight to the next in line.
            Some((frame, token)) => {
                self.schedule(self.now_ns, Event::Signal { frame, token, signal: Signal::WorkerGranted });
            }
            None => pod.working = pod.working.saturating_sub(1),
        }
    }

    /// Begins computing; returns by how much longer it takes than on an idle core.
    pub(super) fn enter_processor(&mut self, id: PodId) -> f64 {
        let throttled = self.conditions.throttled;
        let Some(pod) = self.pods.get_mut(id) else { return 1.0 };
        pod.computing += 1;
        let crowding = (pod.computing as f64 / pod.cores as f64).max(1.0);
        match throttled {
            Some((service, index, factor)) if service == pod.service && index == pod.index => {
                crowding * factor
            }
            _ => crowding,
        }
    }

    pub(super) fn leave_processor(&mut self, id: PodId) {
        if let Some(pod) = self.pods.get_mut(id) {
            pod.computing = pod.computing.saturating_sub(1);
        }
    }

    /// Replaces all pods of a service by ones of a version, which report under a new resource each.
    pub(super) fn roll_out(&mut self, service: Service, version: String) {
        let generation = self.random.bits() >> 40;
        for id in 0..self.pods.len() {
            let Some(pod) = self.pods.get_mut(id).filter(|pod| pod.service == service) else { continue };
            pod.instance = self.instances.len();
            pod.started_ns = self.now_ns;
            pod.served = 0;
            pod.durations.fill(0);
            pod.durations_sum_ms = 0.0;
            let instance = describe_instance(service, pod.index, generation, &version);
            let name = instance.attributes.iter().find(|(name, _)| *name == "k8s.pod.name");
            let fields = vec![
                ("k8s.pod.name", name.map_or("".into(), |(_, value)| value.clone())),
                ("version", version.clone().into()),
            ];
            let index = self.instances.len();
            self.instances.push(instance);
            self.log_outside(index, Severity::Info, "service started", fields);
        }
    }

    pub(super) fn measure(&mut self) {
        let mut points = Vec::new();
        for pod in &self.pods {
            let point = |name, unit, attributes: Attributes, measure| PointRecord {
                instance: pod.instance,
                name,
                unit,
                start_ns: pod.started_ns,
                time_ns: self.now_ns,
                attributes,
                measure,
            };
            let busy = pod.working as f64 / pod.threads as f64;
            points.push(point("app.thread_pool.utilization", "1", Vec::new(), Measure::Gauge(busy)));
            points.push(point(
                "app.thread_pool.queue.length",
                "{request}",
                Vec::new(),
                Measure::Gauge(pod.queue.len() as f64),
            ));
            points.push(point("app.requests", "{request}", Vec::new(), Measure::Counter(pod.served)));
            let durations = Measure::Histogram {
                bounds: &DURATION_BOUNDS_MS,
                counts: pod.durations.clone(),
                sum: pod.durations_sum_ms,
            };
            points.push(point("app.request.duration", "ms", Vec::new(), durations));
            if pod.connections > 0 {
                for (state, count) in [
                    ("used", pod.connections_used),
                    ("idle", pod.connections.saturating_sub(pod.connections_used)),
                ] {
                    let attributes = vec![
                        ("db.client.connection.pool.name", "shop".into()),
                        ("db.client.connection.state", state.into()),
                    ];
                    points.push(point(
                        "db.client.connection.count",
                        "{connection}",
                        attributes,
                        Measure::Gauge(count as f64),
                    ));
                }
                let waiting = pod.connection_waiters.len() as f64;
                points.push(point(
                    "db.client.connection.pending_requests",
                    "{request}",
                    Vec::new(),
                    Measure::Gauge(waiting),
                ));
            }
        }
        self.records.extend(points.into_iter().map(|point| Record::Point(Box::new(point))));
    }
}

fn describe_instance(service: Service, index: usize, generation: u64, version: &str) -> Instance {
    let spec = service.spec();
    let pod = format!("{}-{generation:06x}-{}", spec.name, ["k7xq2", "m3vhd", "t9wzp", "c4rnb"][index % 4]);
    let zone = ["eu-west-1a", "eu-west-1b", "eu-west-1c"][index % 3];
    let attributes: Attributes = vec![
        ("service.name", spec.name.into()),
        ("service.namespace", "shop".into()),
        ("service.version", version.to_owned().into()),
        ("service.instance.id", format!("{pod}.shop").into()),
        ("deployment.environment.name", "production".into()),
        ("k8s.namespace.name", "shop".into()),
        ("k8s.deployment.name", spec.name.into()),
        ("k8s.pod.name", pod.into()),
        ("k8s.node.name", format!("node-{}", index % 3 + 1).into()),
        ("cloud.region", "eu-west-1".into()),
        ("cloud.availability_zone", zone.into()),
        ("telemetry.sdk.language", spec.language.into()),
        ("telemetry.sdk.name", "opentelemetry".into()),
    ];
    Instance { service: spec.name, attributes }
}
