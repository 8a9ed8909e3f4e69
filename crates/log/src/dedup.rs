//! Which batches are in the log already (invariant I4).
//!
//! One entry per batch, with one bit per partition, because a batch usually touches all of them. Keys are held
//! as a keyed digest of 128 bits: two batches of a deployment share it by accident with a chance of 2^-64 in
//! four billion.
//!
//! What it refuses: to forget a key within the window. When it is full, appends are turned away instead
//! ([`KeyTable::is_full`]); forgetting would be silent and would break I4.

use std::collections::{HashMap, VecDeque};

use skein_event::flow::BatchKey;
use skein_event::hash::HashKey;
use skein_event::ids::{Environment, Partition};

use crate::record::encode_key;

/// A batch's key within its environment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct KeyDigest(pub(crate) u128);

impl KeyDigest {
    /// The digest of a key; `None` for one that no other batch has.
    pub(crate) fn of(environment: &Environment, key: &BatchKey, hash_key: HashKey) -> Option<KeyDigest> {
        if matches!(key, BatchKey::Unique(_)) {
            return None;
        }
        // An environment's name holds no zero byte, so that no two pairs have the same bytes.
        let bytes = [environment.as_str().as_bytes(), &[0], &encode_key(key)].concat();
        Some(KeyDigest(hash_key.digest(&bytes)))
    }
}

/// What one key takes in memory, about.
const KEY_BYTES: usize = 100;

/// The bit of a partition; there are at most 64 (checked when the log is opened).
pub(crate) fn bit(partition: Partition) -> u64 {
    1_u64.checked_shl(u32::from(partition.0)).unwrap_or_default()
}

/// What is known of a batch whose parts are durable.
#[derive(Clone, Debug)]
struct Durable {
    partitions: u64,
    /// When its latest part was appended.
    time_ns: i64,
    /// When its first part was, whose reply is kept.
    first_ns: i64,
    reply: Box<[u8]>,
}

/// What is known of a batch whose parts are on their way.
#[derive(Debug, Default)]
struct InFlight {
    partitions: u64,
    /// Appends that wait for parts of others.
    waiting: Vec<(Partition, u64)>,
}

/// The keys within the window.
#[derive(Debug)]
pub(crate) struct KeyTable {
    durable: HashMap<KeyDigest, Durable>,
    in_flight: HashMap<KeyDigest, InFlight>,
    /// In order of time; a key may be in it more than once.
    order: VecDeque<(i64, KeyDigest)>,
    window_ns: i64,
    keys_max: usize,
    reply_bytes: usize,
}

impl KeyTable {
    pub(crate) fn new(window_ns: i64, keys_max: usize) -> KeyTable {
        KeyTable {
            durable: HashMap::new(),
            in_flight: HashMap::new(),
            order: VecDeque::new(),
            window_ns,
            keys_max,
            reply_bytes: 0,
        }
    }

    /// Forgets what left the window. A key of exactly the window's age is still in it.
    pub(crate) fn expire(&mut self, now_ns: i64) {
        let horizon = now_ns.saturating_sub(self.window_ns);
        while let Some(&(time_ns, digest)) = self.order.front() {
            if time_ns >= horizon {
                break;
            }
            self.order.pop_front();
            if self.durable.get(&digest).is_some_and(|entry| entry.time_ns < horizon) {
                let removed = self.durable.remove(&digest);
                self.reply_bytes -= removed.map_or(0, |entry| entry.reply.len());
            }
        }
    }

    /// Whether no new key has room. A long reply counts as so many keys as have its size.
    pub(crate) fn is_full(&self) -> bool {
        self.order.len() + self.in_flight.len() + self.reply_bytes / KEY_BYTES >= self.keys_max
    }

    /// Number of keys remembered.
    pub(crate) fn len(&self) -> usize {
        self.durable.len()
    }

    /// The partitions whose part is durable.
    pub(crate) fn durable(&self, digest: KeyDigest) -> u64 {
        self.durable.get(&digest).map_or(0, |entry| entry.partitions)
    }

    /// The partitions whose part is on its way.
    pub(crate) fn in_flight(&self, digest: KeyDigest) -> u64 {
        self.in_flight.get(&digest).map_or(0, |entry| entry.partitions)
    }

    /// The first reply.
    pub(crate) fn reply(&self, digest: KeyDigest) -> Option<&[u8]> {
        self.durable.get(&digest).map(|entry| &*entry.reply)
    }

    /// A part is on its way.
    pub(crate) fn begin(&mut self, digest: KeyDigest, partition: Partition) {
        self.in_flight.entry(digest).or_default().partitions |= bit(partition);
    }

    /// Registers an append that waits for another one's part.
    pub(crate) fn wait(&mut self, digest: KeyDigest, partition: Partition, ticket: u64) {
        self.in_flight.entry(digest).or_default().waiting.push((partition, ticket));
    }

    /// A part is no longer on its way: durable or failed. Returns who waited for it.
    pub(crate) fn end(&mut self, digest: KeyDigest, partition: Partition) -> Vec<u64> {
        let Some(entry) = self.in_flight.get_mut(&digest) else { return Vec::new() };
        entry.partitions &= !bit(partition);
        let (done, still) = std::mem::take(&mut entry.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(awaited, _)| *awaited == partition);
        entry.waiting = still;
        if entry.partitions == 0 && entry.waiting.is_empty() {
            self.in_flight.remove(&digest);
        }
        done.into_iter().map(|(_, ticket)| ticket).collect()
    }

    /// Remembers a durable part.
    pub(crate) fn remember(&mut self, digest: KeyDigest, partitions: u64, time_ns: i64, reply: &[u8]) {
        let entry = self.durable.entry(digest).or_insert_with(|| Durable {
            partitions: 0,
            time_ns: i64::MIN,
            first_ns: i64::MAX,
            reply: Box::default(),
        });
        entry.partitions |= partitions;
        if time_ns < entry.first_ns {
            entry.first_ns = time_ns;
            self.reply_bytes = self.reply_bytes + reply.len() - entry.reply.len();
            entry.reply = Box::from(reply);
        }
        if time_ns > entry.time_ns {
            entry.time_ns = time_ns;
            self.order.push_back((time_ns, digest));
        }
    }

    /// After recovery, which reads one partition after another: puts the keys into order of time.
    pub(crate) fn sort(&mut self) {
        self.order = self.durable.iter().map(|(digest, entry)| (entry.time_ns, *digest)).collect();
        self.order.make_contiguous().sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: KeyDigest = KeyDigest(1);

    #[test]
    fn a_key_is_known_for_the_whole_window_and_no_longer() {
        let mut table = KeyTable::new(100, 10);
        table.remember(ONE, 1, 1_000, b"first");
        table.expire(1_100);
        assert_eq!((table.durable(ONE), table.reply(ONE)), (1, Some(b"first".as_slice())));
        table.expire(1_101);
        assert_eq!((table.durable(ONE), table.len(), table.order.len()), (0, 0, 0));
    }

    #[test]
    fn a_later_part_keeps_the_first_reply_and_extends_the_window() {
        let mut table = KeyTable::new(100, 10);
        table.remember(ONE, 1, 1_000, b"first");
        table.remember(ONE, 2, 1_050, b"second");
        table.expire(1_120);
        assert_eq!((table.durable(ONE), table.reply(ONE)), (3, Some(b"first".as_slice())));
        table.expire(1_151);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_full_table_forgets_nothing() {
        let mut table = KeyTable::new(100, 2);
        table.remember(ONE, 1, 1, b"");
        table.begin(KeyDigest(2), Partition(0));
        assert!(table.is_full());
        assert_eq!(table.durable(ONE), 1);
        assert!(table.end(KeyDigest(2), Partition(0)).is_empty());
        assert!(!table.is_full());
    }

    #[test]
    fn only_those_who_waited_for_the_part_are_woken() {
        let mut table = KeyTable::new(100, 10);
        table.begin(ONE, Partition(0));
        table.begin(ONE, Partition(3));
        table.wait(ONE, Partition(0), 7);
        table.wait(ONE, Partition(3), 8);
        assert_eq!(table.end(ONE, Partition(3)), vec![8]);
        assert_eq!(table.in_flight(ONE), 1);
        assert_eq!(table.end(ONE, Partition(0)), vec![7]);
        assert_eq!(table.in_flight(ONE), 0);
    }

    #[test]
    fn keys_of_other_environments_are_other_keys() {
        let key = BatchKey::Client(Box::from("x"));
        let of =
            |name: &str, key: &BatchKey| KeyDigest::of(&Environment::new(name).unwrap(), key, HashKey(1));
        assert_ne!(of("a", &key), of("b", &key));
        assert_eq!(of("a", &key), of("a", &key));
        assert_eq!(of("a", &BatchKey::Unique(1)), None);
    }
}
