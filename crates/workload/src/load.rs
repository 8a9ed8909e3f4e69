//! Who comes, when, and what for: a Poisson process whose rate rises and falls slowly, over a fixed
//! population of users and products.

use crate::model::Operation;
use crate::random::{Random, to_ns};

/// People who have an account.
const USERS: usize = 900;

/// Products of the shop; the cache holds all of them.
pub(crate) const PRODUCTS: usize = 300;

/// The rate rises and falls by this share…
const SWING: f64 = 0.2;

/// …with this period.
const PERIOD_NS: f64 = 25.0 * 60.0 * 1e9;

/// What one person wants at one moment. Every service that works on it can see it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) trace_id: [u8; 16],
    pub(crate) user: usize,
    pub(crate) session: u64,
    pub(crate) tier: &'static str,
    pub(crate) region: &'static str,
    pub(crate) currency: &'static str,
    pub(crate) network: &'static str,
    pub(crate) user_agent: &'static str,
    pub(crate) client_address: String,
    pub(crate) product: usize,
    pub(crate) search: &'static str,
    pub(crate) page: i64,
    pub(crate) cart_items: i64,
    pub(crate) cart_cents: i64,
    pub(crate) beta: bool,
}

/// The source of requests.
#[derive(Debug)]
pub(crate) struct Load {
    random: Random,
    per_second: f64,
}

const SEARCHES: [&str; 8] = [
    "coffee grinder",
    "usb-c cable",
    "rain jacket",
    "desk lamp",
    "espresso",
    "trail shoes",
    "notebook a5",
    "kettle",
];

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 Version/19.2 Mobile Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/151.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0",
    "ShopApp/8.4.1 (Android 16)",
];

impl Load {
    pub(crate) fn new(seed: u64, per_second: f64) -> Load {
        Load { random: Random::new(seed, 1), per_second }
    }

    /// When the next request comes after this moment.
    pub(crate) fn next_after(&mut self, now_ns: i64) -> i64 {
        let phase = (now_ns as f64 / PERIOD_NS * std::f64::consts::TAU).sin();
        let mean_ns = 1e9 / (self.per_second * (1.0 + SWING * phase));
        now_ns + to_ns(self.random.exponential(mean_ns)).max(1)
    }

    /// What it asks.
    pub(crate) fn draw(&mut self) -> Request {
        let random = &mut self.random;
        let operation = match random.unit() {
            kind if kind < 0.55 => Operation::GatewayProduct,
            kind if kind < 0.74 => Operation::GatewaySearch,
            kind if kind < 0.89 => Operation::GatewayAddToCart,
            _ => Operation::GatewayCheckout,
        };
        let user = random.popular(USERS);
        let cart_items = 1 + i64::try_from(random.popular(12)).unwrap_or(0);
        Request {
            operation,
            trace_id: random.trace_id(),
            user,
            session: random.bits() >> 20,
            tier: ["free", "free", "plus", "gold"][user % 4],
            region: ["eu-west", "eu-central", "us-east"][user % 3],
            currency: ["EUR", "USD", "EUR", "GBP", "USD"][user % 5],
            network: random.pick(["visa", "visa", "mastercard", "amex"]),
            user_agent: random.pick(AGENTS),
            client_address: format!("198.51.{}.{}", user / 250, user % 250),
            product: random.popular(PRODUCTS),
            search: random.pick(SEARCHES),
            page: 1 + i64::try_from(random.popular(5)).unwrap_or(0),
            cart_items,
            cart_cents: cart_items * random.between(350, 8_900),
            beta: random.chance(0.1),
        }
    }
}
