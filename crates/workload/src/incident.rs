//! What can go wrong, chosen by a seed. An incident changes a *condition* of the simulated world (a query
//! plan, a pool, a flag, a processor quota, a third party); what people then see, slow pages, time-outs,
//! retries and full pools elsewhere, follows from the mechanics of the simulation and is painted nowhere.

use crate::model::{Operation, Service};
use crate::random::Random;

const MINUTE_NS: i64 = 60 * 1_000_000_000;

/// How long a cached product is kept when nothing is wrong.
pub(crate) const CACHE_TTL_NS: i64 = 15 * MINUTE_NS;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// A deploy of `catalog` lost the index behind the search.
    SlowQuery {
        /// How much longer the statement takes.
        factor: f64,
    },
    /// A deploy of `cart` forgets, on one path, to give a database connection back.
    ConnectionLeak {
        /// How often the path is taken.
        probability: f64,
    },
    /// The payment provider answers slowly for the cards of one network.
    SlowThirdParty {
        /// The card network.
        network: &'static str,
        /// How much longer it takes.
        factor: f64,
    },
    /// One pod gets a fraction of the processor time it needs.
    ThrottledPod {
        /// Whose pod.
        operation: Operation,
        /// Which of its pods.
        pod: usize,
        /// How much longer computing takes.
        factor: f64,
    },
    /// A deploy of `catalog` empties the cache and sets a time to live so short that it hardly helps.
    CacheStampede {
        /// The new time to live.
        ttl_ns: i64,
    },
    /// The flag `reserve-before-charge` makes `checkout` hold a row lock while a card is charged.
    LockedRow,
    /// A deploy of `cart` cannot price items in one currency.
    Defect {
        /// The currency.
        currency: &'static str,
    },
}

/// Something that goes wrong at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// What.
    pub cause: Cause,
    /// From when, epoch nanoseconds.
    pub start_ns: i64,
    /// Until when it is repaired, epoch nanoseconds.
    pub end_ns: i64,
}

/// What a detective has to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// The service where the cause lies.
    pub service: &'static str,
    /// Its operation.
    pub operation: &'static str,
    /// Since when, epoch nanoseconds.
    pub start_ns: i64,
}

impl Incident {
    /// The incident of a seed, between 3 and 6 minutes after `from_ns`, for 5 to 7 minutes. Seven seeds in a
    /// row give seven different causes.
    pub fn from_seed(seed: u64, from_ns: i64) -> Incident {
        let mut random = Random::new(seed, 3);
        let cause = match seed % 7 {
            0 => Cause::SlowQuery { factor: 70.0 + 50.0 * random.unit() },
            1 => Cause::ConnectionLeak { probability: 0.10 + 0.15 * random.unit() },
            2 => Cause::SlowThirdParty {
                network: random.pick(["visa", "mastercard"]),
                factor: 7.0 + 4.0 * random.unit(),
            },
            3 => throttled(&mut random),
            4 => Cause::CacheStampede { ttl_ns: random.between(200, 900) * 1_000_000 },
            5 => Cause::LockedRow,
            _ => Cause::Defect { currency: random.pick(["EUR", "GBP"]) },
        };
        let start_ns = from_ns + random.between(3 * MINUTE_NS, 6 * MINUTE_NS);
        Incident { cause, start_ns, end_ns: start_ns + random.between(5 * MINUTE_NS, 7 * MINUTE_NS) }
    }

    /// The operation in which the cause lies.
    pub fn operation(&self) -> Operation {
        match self.cause {
            Cause::SlowQuery { .. } => Operation::CatalogSearch,
            Cause::ConnectionLeak { .. } | Cause::Defect { .. } => Operation::CartAdd,
            Cause::SlowThirdParty { .. } => Operation::PaymentAuthorize,
            Cause::ThrottledPod { operation, .. } => operation,
            Cause::CacheStampede { .. } => Operation::CatalogProduct,
            Cause::LockedRow => Operation::CheckoutPlace,
        }
    }

    /// The answer, for `--reveal`.
    pub fn truth(&self) -> Truth {
        let operation = self.operation().spec();
        Truth { service: operation.service.spec().name, operation: operation.name, start_ns: self.start_ns }
    }

    /// The service whose new version brought it, if one did.
    pub(crate) fn deployed(&self) -> Option<Service> {
        match self.cause {
            Cause::SlowQuery { .. } | Cause::CacheStampede { .. } => Some(Service::Catalog),
            Cause::ConnectionLeak { .. } | Cause::Defect { .. } => Some(Service::Cart),
            Cause::SlowThirdParty { .. } | Cause::ThrottledPod { .. } | Cause::LockedRow => None,
        }
    }
}

fn throttled(random: &mut Random) -> Cause {
    let operation = random.pick([Operation::CatalogProduct, Operation::CheckoutPlace]);
    let pod = random.below(operation.spec().service.spec().pods);
    Cause::ThrottledPod { operation, pod, factor: 150.0 + 60.0 * random.unit() }
}

/// The conditions under which the services work at this moment.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) search_factor: f64,
    pub(crate) leak_probability: f64,
    pub(crate) slow_network: Option<(&'static str, f64)>,
    pub(crate) throttled: Option<(Service, usize, f64)>,
    pub(crate) cache_ttl_ns: i64,
    pub(crate) reserve_first: bool,
    pub(crate) defective_currency: Option<&'static str>,
}

impl Conditions {
    pub(crate) fn healthy() -> Conditions {
        Conditions {
            search_factor: 1.0,
            leak_probability: 0.0,
            slow_network: None,
            throttled: None,
            cache_ttl_ns: CACHE_TTL_NS,
            reserve_first: false,
            defective_currency: None,
        }
    }

    /// The conditions while an incident lasts.
    pub(crate) fn during(cause: Cause) -> Conditions {
        let mut conditions = Conditions::healthy();
        match cause {
            Cause::SlowQuery { factor } => conditions.search_factor = factor,
            Cause::ConnectionLeak { probability } => conditions.leak_probability = probability,
            Cause::SlowThirdParty { network, factor } => conditions.slow_network = Some((network, factor)),
            Cause::ThrottledPod { operation, pod, factor } => {
                conditions.throttled = Some((operation.spec().service, pod, factor));
            }
            Cause::CacheStampede { ttl_ns } => conditions.cache_ttl_ns = ttl_ns,
            Cause::LockedRow => conditions.reserve_first = true,
            Cause::Defect { currency } => conditions.defective_currency = Some(currency),
        }
        conditions
    }
}
