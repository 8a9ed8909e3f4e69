//! The shop that is simulated: five services, their operations step by step, a PostgreSQL database, a Redis
//! cache and a payment provider. Only data; [`crate::simulation`] gives it time.

mod statements;

pub use statements::*;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// The public HTTP entry.
    Gateway,
    /// Products and search.
    Catalog,
    /// Shopping carts.
    Cart,
    /// Places orders.
    Checkout,
    /// Charges cards through a third party.
    Payment,
}

/// How a service writes its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// Lines of text.
    Plain,
    /// A JSON object a line, with the trace context on the record.
    Json,
    /// A JSON object a line, with the trace context only inside it.
    JsonWithContext,
}

/// The fixed facts of a service.
#[derive(Debug)]
pub struct ServiceSpec {
    /// `service.name`.
    pub name: &'static str,
    /// `telemetry.sdk.language`.
    pub language: &'static str,
    /// Copies of it.
    pub pods: usize,
    /// Worker threads of a pod.
    pub threads: usize,
    /// Processor cores of a pod.
    pub cores: usize,
    /// Database connections of a pod.
    pub connections: usize,
    /// How it logs.
    pub log: LogStyle,
    /// Its version at the start.
    pub version: &'static str,
}

impl Service {
    /// All of them, in the order of their numbers.
    pub const ALL: [Service; 5] =
        [Service::Gateway, Service::Catalog, Service::Cart, Service::Checkout, Service::Payment];

    /// The fixed facts.
    pub fn spec(self) -> &'static ServiceSpec {
        match self {
            Service::Gateway => &GATEWAY,
            Service::Catalog => &CATALOG,
            Service::Cart => &CART,
            Service::Checkout => &CHECKOUT,
            Service::Payment => &PAYMENT,
        }
    }
}

static GATEWAY: ServiceSpec = ServiceSpec {
    name: "gateway",
    language: "nodejs",
    pods: 2,
    threads: 64,
    cores: 2,
    connections: 0,
    log: LogStyle::Plain,
    version: "3.18.2",
};
static CATALOG: ServiceSpec = ServiceSpec {
    name: "catalog",
    language: "go",
    pods: 3,
    threads: 24,
    cores: 2,
    connections: 8,
    log: LogStyle::Json,
    version: "1.41.0",
};
static CART: ServiceSpec = ServiceSpec {
    name: "cart",
    language: "java",
    pods: 2,
    threads: 24,
    cores: 2,
    connections: 8,
    log: LogStyle::Plain,
    version: "2.7.5",
};
static CHECKOUT: ServiceSpec = ServiceSpec {
    name: "checkout",
    language: "java",
    pods: 2,
    threads: 24,
    cores: 2,
    connections: 8,
    log: LogStyle::Json,
    version: "5.0.3",
};
static PAYMENT: ServiceSpec = ServiceSpec {
    name: "payment",
    language: "python",
    pods: 2,
    threads: 16,
    cores: 1,
    connections: 0,
    log: LogStyle::JsonWithContext,
    version: "0.92.1",
};

/// Something a service does when called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A product page.
    GatewayProduct,
    /// A search.
    GatewaySearch,
    /// Putting something into the cart.
    GatewayAddToCart,
    /// Buying what is in the cart.
    GatewayCheckout,
    /// Reading one product.
    CatalogProduct,
    /// Searching products.
    CatalogSearch,
    /// Adding to a cart.
    CartAdd,
    /// Reading a cart.
    CartGet,
    /// Placing an order.
    CheckoutPlace,
    /// Charging a card.
    PaymentAuthorize,
}

/// How an operation is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP with this method and route.
    Http {
        /// The method.
        method: &'static str,
        /// The route.
        route: &'static str,
    },
    /// gRPC with this full method.
    Grpc {
        /// `package.Service/Method`.
        method: &'static str,
    },
}

/// The fixed facts of an operation.
#[derive(Debug)]
pub struct OperationSpec {
    /// Who serves it.
    pub service: Service,
    /// The name of its server span.
    pub name: &'static str,
    /// How it is reached.
    pub protocol: Protocol,
    /// What it does.
    pub steps: &'static [Step],
}

/// One step of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Computes for about this many microseconds on a core of the pod.
    Compute(u32),
    /// Calls another service and waits.
    Call {
        /// What is called.
        operation: Operation,
        /// The caller gives up after this; the callee does not learn of it.
        timeout_ms: i64,
        /// How often it tries in all.
        attempts: u32,
    },
    /// Asks the cache first and the database on a miss.
    Cached(&'static Query),
    /// Asks the database over a connection of the pod's pool.
    Query(&'static Query),
    /// Opens a transaction with a query that locks a row. Connection and lock are kept until `Commit`.
    Begin(&'static Query),
    /// Ends the transaction.
    Commit,
    /// Calls the payment provider.
    ThirdParty {
        /// The caller gives up after this.
        timeout_ms: i64,
        /// How often it tries in all.
        attempts: u32,
    },
    /// Writes a line to the log.
    Note(&'static str),
    /// Where the code of an operation may have a defect.
    Branch,
}

/// Place an order while the stock row is locked only for a moment.
const CHECKOUT_STEPS: &[Step] = &[
    Step::Compute(2_500),
    Step::Call { operation: Operation::CartGet, timeout_ms: 1_000, attempts: 2 },
    Step::Call { operation: Operation::PaymentAuthorize, timeout_ms: 4_000, attempts: 1 },
    Step::Begin(&LOCK_STOCK),
    Step::Query(&INSERT_ORDER),
    Step::Commit,
    Step::Compute(900),
    Step::Note("order placed"),
];

/// The same behind the flag `reserve-before-charge`: the lock is held while the card is charged.
pub(crate) const CHECKOUT_RESERVE_FIRST: &[Step] = &[
    Step::Compute(2_500),
    Step::Call { operation: Operation::CartGet, timeout_ms: 1_000, attempts: 2 },
    Step::Begin(&LOCK_STOCK),
    Step::Call { operation: Operation::PaymentAuthorize, timeout_ms: 4_000, attempts: 1 },
    Step::Query(&INSERT_ORDER),
    Step::Commit,
    Step::Compute(900),
    Step::Note("order placed"),
];

impl Operation {
    /// All operations, in the order of their declaration.
    pub const ALL: [Operation; 10] = [
        Operation::GatewayProduct,
        Operation::GatewaySearch,
        Operation::GatewayAddToCart,
        Operation::GatewayCheckout,
        Operation::CatalogProduct,
        Operation::CatalogSearch,
        Operation::CartAdd,
        Operation::CartGet,
        Operation::CheckoutPlace,
        Operation::PaymentAuthorize,
    ];

    /// The fixed facts.
    pub fn spec(self) -> &'static OperationSpec {
        match self {
            Operation::GatewayProduct => &GATEWAY_PRODUCT,
            Operation::GatewaySearch => &GATEWAY_SEARCH,
            Operation::GatewayAddToCart => &GATEWAY_ADD_TO_CART,
            Operation::GatewayCheckout => &GATEWAY_CHECKOUT,
            Operation::CatalogProduct => &CATALOG_PRODUCT,
            Operation::CatalogSearch => &CATALOG_SEARCH,
            Operation::CartAdd => &CART_ADD,
            Operation::CartGet => &CART_GET,
            Operation::CheckoutPlace => &CHECKOUT_PLACE,
            Operation::PaymentAuthorize => &PAYMENT_AUTHORIZE,
        }
    }
}

static GATEWAY_PRODUCT: OperationSpec = OperationSpec {
    service: Service::Gateway,
    name: "GET /api/products/{id}",
    protocol: Protocol::Http { method: "GET", route: "/api/products/{id}" },
    steps: &[
        Step::Compute(900),
        Step::Call { operation: Operation::CatalogProduct, timeout_ms: 2_000, attempts: 2 },
        Step::Compute(400),
    ],
};
static GATEWAY_SEARCH: OperationSpec = OperationSpec {
    service: Service::Gateway,
    name: "GET /api/search",
    protocol: Protocol::Http { method: "GET", route: "/api/search" },
    steps: &[
        Step::Compute(800),
        Step::Call { operation: Operation::CatalogSearch, timeout_ms: 3_000, attempts: 2 },
        Step::Compute(700),
    ],
};
static GATEWAY_ADD_TO_CART: OperationSpec = OperationSpec {
    service: Service::Gateway,
    name: "POST /api/cart/items",
    protocol: Protocol::Http { method: "POST", route: "/api/cart/items" },
    steps: &[
        Step::Compute(1_000),
        Step::Call { operation: Operation::CartAdd, timeout_ms: 2_000, attempts: 2 },
        Step::Compute(300),
    ],
};
static GATEWAY_CHECKOUT: OperationSpec = OperationSpec {
    service: Service::Gateway,
    name: "POST /api/checkout",
    protocol: Protocol::Http { method: "POST", route: "/api/checkout" },
    steps: &[
        Step::Compute(1_200),
        Step::Call { operation: Operation::CheckoutPlace, timeout_ms: 6_000, attempts: 1 },
        Step::Compute(300),
    ],
};
static CATALOG_PRODUCT: OperationSpec = OperationSpec {
    service: Service::Catalog,
    name: "GET /products/{id}",
    protocol: Protocol::Http { method: "GET", route: "/products/{id}" },
    steps: &[Step::Compute(600), Step::Cached(&SELECT_PRODUCT), Step::Compute(500)],
};
static CATALOG_SEARCH: OperationSpec = OperationSpec {
    service: Service::Catalog,
    name: "GET /products/search",
    protocol: Protocol::Http { method: "GET", route: "/products/search" },
    steps: &[
        Step::Compute(1_100),
        Step::Query(&SELECT_SEARCH),
        Step::Compute(1_500),
        Step::Note("search answered"),
    ],
};
static CART_ADD: OperationSpec = OperationSpec {
    service: Service::Cart,
    name: "shop.cart.v1.CartService/AddItem",
    protocol: Protocol::Grpc { method: "shop.cart.v1.CartService/AddItem" },
    steps: &[
        Step::Compute(700),
        Step::Branch,
        Step::Call { operation: Operation::CatalogProduct, timeout_ms: 1_000, attempts: 2 },
        Step::Query(&SELECT_CART),
        Step::Query(&UPSERT_CART),
        Step::Note("item added to cart"),
    ],
};
static CART_GET: OperationSpec = OperationSpec {
    service: Service::Cart,
    name: "shop.cart.v1.CartService/GetCart",
    protocol: Protocol::Grpc { method: "shop.cart.v1.CartService/GetCart" },
    steps: &[Step::Compute(500), Step::Query(&SELECT_CART)],
};
static CHECKOUT_PLACE: OperationSpec = OperationSpec {
    service: Service::Checkout,
    name: "shop.checkout.v1.CheckoutService/PlaceOrder",
    protocol: Protocol::Grpc { method: "shop.checkout.v1.CheckoutService/PlaceOrder" },
    steps: CHECKOUT_STEPS,
};
static PAYMENT_AUTHORIZE: OperationSpec = OperationSpec {
    service: Service::Payment,
    name: "shop.payment.v1.PaymentService/Authorize",
    protocol: Protocol::Grpc { method: "shop.payment.v1.PaymentService/Authorize" },
    steps: &[
        Step::Compute(1_400),
        Step::Note("authorizing card"),
        Step::ThirdParty { timeout_ms: 1_800, attempts: 2 },
        Step::Compute(600),
    ],
};
