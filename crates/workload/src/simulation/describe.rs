//! What an instrumented service says about its work: span attributes by the semantic conventions (1.44), and
//! what only this shop knows: users, carts, flags, waits. Access and error logs are written here as well.

use super::Simulation;
use super::frame::{Failure, Frame, OpenCall, OpenQuery, Outcome};
use crate::model::{Operation, Protocol};
use crate::telemetry::{Attribute, Attributes, Kind, Record, SpanEvent, SpanRecord};

/// Where the payment provider is reached.
const PROVIDER_HOST: &str = "api.paylane.example";

/// Where the database is reached.
const DATABASE_HOST: &str = "shop-db.shop.svc.cluster.local";

impl Failure {
    /// `error.type`.
    pub(super) fn error_type(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::Overloaded => "overloaded",
            Failure::PoolTimeout => "connection_pool_timeout",
            Failure::LockTimeout => "55P03",
            Failure::Defect => "java.lang.ArithmeticException",
            Failure::Declined => "card_declined",
            Failure::Provider => "502",
            Failure::Upstream => "upstream_failed",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Failure::Timeout => "no answer before the deadline",
            Failure::Overloaded => "request queue is full",
            Failure::PoolTimeout => "Connection is not available, request timed out after 1000ms",
            Failure::LockTimeout => "canceling statement due to lock timeout",
            Failure::Defect => "Non-terminating decimal expansion; no exact representable decimal result",
            Failure::Declined => "card declined by issuer",
            Failure::Provider => "bad gateway",
            Failure::Upstream => "a service further down failed",
        }
    }
}

/// The HTTP status of an outcome.
pub(super) fn http_status(operation: Operation, outcome: Outcome) -> i64 {
    match outcome {
        Ok(()) if operation == Operation::GatewayAddToCart || operation == Operation::GatewayCheckout => 201,
        Ok(()) => 200,
        Err(Failure::Declined) => 402,
        Err(Failure::Overloaded | Failure::PoolTimeout) => 503,
        Err(Failure::Timeout) => 504,
        Err(Failure::Provider | Failure::Upstream) => 502,
        Err(Failure::Defect | Failure::LockTimeout) => 500,
    }
}

/// The gRPC status of an outcome.
fn grpc_status(outcome: Outcome) -> &'static str {
    match outcome {
        Ok(()) => "OK",
        Err(Failure::Declined) => "FAILED_PRECONDITION",
        Err(Failure::Overloaded | Failure::PoolTimeout | Failure::Upstream | Failure::Provider) => {
            "UNAVAILABLE"
        }
        Err(Failure::Timeout) => "DEADLINE_EXCEEDED",
        Err(Failure::Defect | Failure::LockTimeout) => "INTERNAL",
    }
}

/// A refusal of the bank is a result; everything else is an error.
pub(super) fn error_of(outcome: Outcome) -> Option<Failure> {
    outcome.err().filter(|failure| *failure != Failure::Declined)
}

pub(super) fn millis(duration_ns: i64) -> f64 {
    (duration_ns as f64 / 1e3).round() / 1e3
}

impl Simulation {
    /// The span of an operation, and its line in the log.
    pub(super) fn describe_server(&mut self, frame: &mut Frame, outcome: Outcome) {
        let duration_ns = self.now_ns - frame.started_ns;
        if let Some(pod) = self.pods.get_mut(frame.pod) {
            pod.count_duration(duration_ns);
        }
        let mut attributes = server_attributes(frame, outcome);
        self.add_common(frame, &mut attributes);
        let error = error_of(outcome);
        if error == Some(Failure::Defect) {
            frame.events.push(SpanEvent {
                time_ns: self.now_ns,
                name: "exception",
                attributes: vec![
                    ("exception.type", Failure::Defect.error_type().into()),
                    ("exception.message", Failure::Defect.message().into()),
                    ("exception.stacktrace", STACKTRACE.into()),
                ],
            });
        }
        self.records.push(Record::Span(Box::new(SpanRecord {
            instance: frame.instance,
            trace_id: frame.request.trace_id,
            span_id: frame.span_id,
            parent_span_id: frame.parent_span_id,
            name: frame.operation.spec().name.into(),
            kind: Kind::Server,
            start_ns: frame.started_ns,
            end_ns: self.now_ns,
            attributes,
            error: error.map(|failure| failure.message().into()),
            events: std::mem::take(&mut frame.events),
        })));
        self.log_end(frame, outcome, duration_ns);
    }

    fn add_common(&self, frame: &Frame, attributes: &mut Attributes) {
        let request = &frame.request;
        let wait_ns = frame.started_ns - frame.arrived_ns;
        attributes.extend([
            ("user.id", format!("u-{:05}", request.user).into()),
            ("app.user.tier", request.tier.into()),
            ("session.id", format!("{:011x}", request.session).into()),
            ("app.region", request.region.into()),
            ("app.queue.wait_ms", millis(wait_ns).into()),
            ("thread.id", frame.thread.into()),
            ("app.retries", frame.retries.into()),
            ("feature_flag.key", "reserve-before-charge".into()),
            ("feature_flag.result.variant", if self.conditions.reserve_first { "on" } else { "off" }.into()),
            ("app.beta", request.beta.into()),
        ]);
        if frame.database_ns > 0 {
            attributes.push(("app.db.total_ms", millis(frame.database_ns).into()));
        }
        if let Some(hit) = frame.cache_hit {
            attributes.push(("app.cache.hit", hit.into()));
        }
    }

    /// The span of a call, as the caller saw it.
    pub(super) fn describe_call(&mut self, frame: &Frame, call: OpenCall, outcome: Outcome) {
        let Some(crate::model::Step::Call { operation, .. }) =
            frame.step.checked_sub(1).and_then(|step| frame.steps.get(step))
        else {
            return;
        };
        let spec = operation.spec();
        let mut attributes: Attributes = vec![
            ("server.address", format!("{}.shop.svc.cluster.local", spec.service.spec().name).into()),
            ("server.port", Attribute::Int(8080)),
            ("network.protocol.name", "http".into()),
            ("network.transport", "tcp".into()),
            ("peer.service", spec.service.spec().name.into()),
            ("user.id", format!("u-{:05}", frame.request.user).into()),
            ("app.attempt", i64::from(call.attempt).into()),
            ("thread.id", frame.thread.into()),
        ];
        if let Some(pod) = call.callee {
            attributes.push(("network.peer.address", format!("10.8.1.{}", pod + 10).into()));
        }
        // Nobody gave an answer in time: then there is no status to tell.
        let answered = outcome != Err(Failure::Timeout);
        let name = match spec.protocol {
            Protocol::Http { method, route } => {
                attributes.push(("http.request.method", method.into()));
                attributes.push(("url.template", route.into()));
                attributes.push(("network.protocol.version", "1.1".into()));
                attributes.push(("http.request.resend_count", i64::from(call.attempt - 1).into()));
                if answered {
                    attributes.push(("http.response.status_code", http_status(*operation, outcome).into()));
                }
                spec.name
            }
            Protocol::Grpc { method } => {
                attributes.push(("rpc.system.name", "grpc".into()));
                attributes.push(("rpc.method", method.into()));
                attributes.push(("network.protocol.version", "2".into()));
                if answered {
                    attributes.push(("rpc.response.status_code", grpc_status(outcome).into()));
                }
                spec.name
            }
        };
        self.client_span(frame, call.span_id, call.start_ns, name, attributes, error_of(outcome));
    }

    /// The span of a call to the payment provider.
    pub(super) fn describe_provider(&mut self, frame: &Frame, call: OpenCall, outcome: Outcome) {
        let mut attributes: Attributes = vec![
            ("http.request.method", "POST".into()),
            ("url.full", format!("https://{PROVIDER_HOST}/v2/charges").into()),
            ("url.template", "/v2/charges".into()),
            ("server.address", PROVIDER_HOST.into()),
            ("server.port", Attribute::Int(443)),
            ("peer.service", "paylane".into()),
            ("network.protocol.version", "2".into()),
            ("tls.protocol.version", "1.3".into()),
            ("http.request.resend_count", i64::from(call.attempt - 1).into()),
            ("app.payment.network", frame.request.network.into()),
            ("app.payment.amount_cents", frame.request.cart_cents.into()),
            ("app.currency", frame.request.currency.into()),
            ("user.id", format!("u-{:05}", frame.request.user).into()),
            ("app.attempt", i64::from(call.attempt).into()),
        ];
        if outcome != Err(Failure::Timeout) {
            attributes.push((
                "http.response.status_code",
                http_status(Operation::PaymentAuthorize, outcome).into(),
            ));
        }
        self.client_span(
            frame,
            call.span_id,
            call.start_ns,
            "POST /v2/charges",
            attributes,
            error_of(outcome),
        );
    }

    /// The span of a question to the cache.
    pub(super) fn describe_cache(&mut self, frame: &Frame, open: OpenQuery, hit: bool) {
        let attributes: Attributes = vec![
            ("db.system.name", "redis".into()),
            ("db.operation.name", "GET".into()),
            ("db.query.text", format!("GET product:{}", frame.request.product).into()),
            ("server.address", "shop-cache.shop.svc.cluster.local".into()),
            ("server.port", Attribute::Int(6379)),
            ("network.peer.address", "10.8.3.17".into()),
            ("app.cache.hit", hit.into()),
            ("app.product.id", product(frame)),
            ("thread.id", frame.thread.into()),
        ];
        self.client_span(frame, self.span_of_cache(open), open.start_ns, "GET product", attributes, None);
    }

    /// The cache's span needs an id of its own: the statement that may follow keeps the other.
    fn span_of_cache(&self, open: OpenQuery) -> [u8; 8] {
        let mut id = open.span_id;
        id[0] ^= 0x5a;
        id
    }

    /// The span of a statement, from asking for a connection to the last row.
    pub(super) fn describe_query(&mut self, frame: &Frame, open: OpenQuery, outcome: Outcome) {
        let query = open.query;
        let mut attributes: Attributes = vec![
            ("db.system.name", "postgresql".into()),
            ("db.namespace", "shop".into()),
            ("db.collection.name", query.table.into()),
            ("db.operation.name", query.operation.into()),
            ("db.query.summary", query.summary.into()),
            ("db.query.text", query.text.into()),
            ("server.address", DATABASE_HOST.into()),
            ("server.port", Attribute::Int(5432)),
            ("network.peer.address", "10.8.3.4".into()),
            ("db.client.connection.pool.name", "shop".into()),
            ("app.db.pool.wait_ms", millis(open.connected_ns - open.start_ns).into()),
            ("app.db.transaction", frame.transaction.is_some().into()),
            ("user.id", format!("u-{:05}", frame.request.user).into()),
            ("thread.id", frame.thread.into()),
        ];
        if open.purpose == super::frame::Purpose::Begin {
            attributes.push(("app.db.lock.wait_ms", millis(open.locked_ns - open.connected_ns).into()));
        }
        match outcome {
            Ok(()) => attributes.push(("db.response.returned_rows", query.rows.into())),
            Err(Failure::LockTimeout) => attributes.push(("db.response.status_code", "55P03".into())),
            Err(_) => {}
        }
        self.client_span(frame, open.span_id, open.start_ns, query.summary, attributes, error_of(outcome));
    }

    fn client_span(
        &mut self,
        frame: &Frame,
        span_id: [u8; 8],
        start_ns: i64,
        name: &'static str,
        mut attributes: Attributes,
        error: Option<Failure>,
    ) {
        if let Some(failure) = error {
            attributes.push(("error.type", failure.error_type().into()));
        }
        self.records.push(Record::Span(Box::new(SpanRecord {
            instance: frame.instance,
            trace_id: frame.request.trace_id,
            span_id,
            parent_span_id: Some(frame.span_id),
            name: name.into(),
            kind: Kind::Client,
            start_ns,
            end_ns: self.now_ns,
            attributes,
            error: error.map(|failure| failure.message().into()),
            events: Vec::new(),
        })));
    }
}

fn server_attributes(frame: &Frame, outcome: Outcome) -> Attributes {
    let request = &frame.request;
    let mut attributes: Attributes = match frame.operation.spec().protocol {
        Protocol::Http { method, route } => vec![
            ("http.request.method", method.into()),
            ("http.route", route.into()),
            ("url.path", path_of(frame)),
            ("url.scheme", "http".into()),
            ("server.address", "shop.example".into()),
            ("server.port", Attribute::Int(443)),
            ("client.address", request.client_address.clone().into()),
            ("user_agent.original", request.user_agent.into()),
            ("network.protocol.version", "1.1".into()),
            ("http.response.status_code", http_status(frame.operation, outcome).into()),
        ],
        Protocol::Grpc { method } => vec![
            ("rpc.system.name", "grpc".into()),
            ("rpc.method", method.into()),
            ("server.address", frame.operation.spec().service.spec().name.into()),
            ("server.port", Attribute::Int(8080)),
            ("network.protocol.version", "2".into()),
            ("rpc.response.status_code", grpc_status(outcome).into()),
        ],
    };
    match frame.operation {
        Operation::GatewayProduct | Operation::CatalogProduct => {
            attributes.push(("app.product.id", product(frame)));
        }
        Operation::GatewaySearch | Operation::CatalogSearch => {
            attributes.push(("app.search.query", request.search.into()));
            attributes.push(("app.search.page", request.page.into()));
        }
        _ => {
            attributes.push(("app.cart.items", request.cart_items.into()));
            attributes.push(("app.cart.value_cents", request.cart_cents.into()));
            attributes.push(("app.currency", request.currency.into()));
            attributes.push(("app.payment.network", request.network.into()));
        }
    }
    if let Some(failure) = error_of(outcome) {
        attributes.push(("error.type", failure.error_type().into()));
    }
    attributes
}

fn path_of(frame: &Frame) -> Attribute {
    match frame.operation {
        Operation::GatewayProduct => format!("/api/products/{}", frame.request.product).into(),
        Operation::CatalogProduct => format!("/products/{}", frame.request.product).into(),
        Operation::GatewaySearch => "/api/search".into(),
        Operation::CatalogSearch => "/products/search".into(),
        Operation::GatewayAddToCart => "/api/cart/items".into(),
        _ => "/api/checkout".into(),
    }
}

pub(super) fn product(frame: &Frame) -> Attribute {
    format!("p-{:04}", frame.request.product).into()
}

/// What the JVM would print.
const STACKTRACE: &str = "java.lang.ArithmeticException: Non-terminating decimal expansion; no exact representable decimal result\n\tat java.base/java.math.BigDecimal.divide(BigDecimal.java:1804)\n\tat shop.cart.pricing.UnitPrice.convert(UnitPrice.java:88)\n\tat shop.cart.CartService.addItem(CartService.java:141)\n\tat io.grpc.stub.ServerCalls$UnaryServerCallHandler.invoke(ServerCalls.java:182)";
