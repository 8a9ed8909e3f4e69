//! What must hold of scans in parts: the order of gathering, the same bytes on any number of threads, texts read late.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;
use skein_event::Fixed;
use skein_query::plan::{FilterSet, TimeRange};
use skein_store::Error;
use skein_store::segment::Segment;

use super::build::{Fixture, KEY, Row, at, context, data, hashed_segment, results, segment_bytes};
use crate::block::Block;
use crate::parts::{Gather, Job};
use crate::scan::{BlockError, Scan};
use crate::workers::Workers;
use crate::{NativeEngine, Snapshots as _};

fn segments(lists: &[Vec<Row>]) -> Vec<Arc<Segment>> {
    let open = |(offset, rows): (u64, &Vec<Row>)| {
        Arc::new(Segment::open(segment_bytes(rows, offset)).expect("opens"))
    };
    (0..).zip(lists).map(open).collect()
}

/// Holds the first part back until the second is done.
#[derive(Default)]
struct SecondFirst {
    done: Mutex<BTreeSet<u32>>,
    changed: Condvar,
}

impl Job for SecondFirst {
    type Bound<'s> = Option<u32>;
    type Part = u32;

    fn bind(&self, _place: usize, _segment: &Segment) -> Result<(Option<u32>, u64), Error> {
        Ok((None, 0))
    }

    fn block(&self, bound: &mut Option<u32>, block: &Block<'_>) -> Result<(), BlockError> {
        bound.get_or_insert(block.start());
        Ok(())
    }

    fn bound_bytes(&self, _bound: &Option<u32>) -> usize {
        0
    }

    fn part(&self, bound: Option<u32>) -> Result<u32, BlockError> {
        let start = bound.unwrap_or_default();
        let mut done = self.done.lock().expect("not poisoned");
        while start == 0 && !done.contains(&1_024) {
            done = self.changed.wait(done).expect("not poisoned");
        }
        done.insert(start);
        self.changed.notify_all();
        Ok(start)
    }
}

impl Gather<u32> for Vec<u32> {
    fn absorb(&mut self, _place: usize, part: u32) -> Result<(), BlockError> {
        self.push(part);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

#[test]
fn parts_are_gathered_in_their_order_whichever_is_done_first() {
    let rows: Vec<Row> = (0..5_000_i64).map(at).collect();
    let fixture = Fixture { segments: segments(&[rows]) };
    let environment = skein_event::ids::Environment::default_environment();
    let view = fixture.snapshot(&environment, 0).expect("a snapshot");
    let workers = Workers::new(2, 1);
    let scan = Scan {
        view: &view,
        excluded: &[],
        datasets: Vec::new(),
        time_range: TimeRange::ALL,
        filter: &FilterSet::default(),
        related: None,
        context: &context(),
        workers: &workers,
    };
    let mut gathered = Vec::new();
    let counters = scan.run_parts(&SecondFirst::default(), &mut gathered, |_, _, _| Ok(()));
    let counters = counters.expect("no failure");
    assert_eq!(gathered, [0, 1_024, 2_048, 3_072, 4_096]);
    assert_eq!((counters.rows_matched, counters.segments.scanned), (5_000, 1));
}

#[test]
fn any_number_of_threads_answers_with_the_same_bytes() {
    let row = |n: i64| {
        let value = (n * 7_919 % 1_009) as f64 * 0.1 + 1e9 / (n + 1) as f64;
        at(n % 7_000).with("v", value).with("g", n % 11).fixed(Fixed::SampleRate, 1.0 + (n % 3) as f64 / 3.0)
    };
    let lists: Vec<Vec<Row>> =
        (0..4_i64).map(|list| (list * 4_000..list * 4_000 + 4_000).map(row).collect()).collect();
    let shelf = Arc::new(Fixture { segments: segments(&lists) });
    let spec = json!({"breakdowns": ["g"], "granularity": 600, "calculations": [
        {"op": "SUM", "column": "v"}, {"op": "AVG", "column": "v"}, {"op": "P90", "column": "v"}, {"op": "COUNT"},
        {"op": "HEATMAP", "column": "v"}, {"op": "COUNT_DISTINCT", "column": "v"}]});
    let answer = |threads| {
        let engine = NativeEngine::with_threads(Arc::<Fixture>::clone(&shelf), threads, 1_024);
        data(&engine, spec.clone()).to_string()
    };
    let alone = answer(1);
    for threads in [2, 3, 8] {
        assert_eq!(answer(threads), alone, "{threads} threads");
    }
}

/// More different values than are read at once: groups are found by hashes, and texts are read for what is shown.
#[test]
fn texts_of_equal_hash_are_told_apart_when_they_are_shown() {
    let rows = |prefix: &str, favoured: i64| -> Vec<Row> {
        let user = |n: i64| at(n).with("user", format!("{prefix}{n:03}").as_str());
        (0..300)
            .map(user)
            .chain((0..favoured).map(|n| at(400 + n).with("user", format!("{prefix}007").as_str())))
            .collect()
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let plain = hashed_segment(&rows("a", 5), 0, |value| KEY.hash(value));
    // What ends alike has one hash.
    let forged = hashed_segment(&rows("b", 4), 1, |value| KEY.hash(text(value).replace('b', "a").as_bytes()));
    assert!(!plain.has_hash_collision() && !forged.has_hash_collision());
    let engine = NativeEngine::new(Arc::new(Fixture { segments: vec![Arc::new(plain), Arc::new(forged)] }));
    let spec =
        json!({"breakdowns": ["user"], "limit": 3, "orders": [{"op": "COUNT", "order": "descending"}]});
    let expected = [
        json!({"user": "a007", "COUNT": 6}),
        json!({"user": "b007", "COUNT": 5}),
        json!({"user": "a000", "COUNT": 1}),
    ];
    assert_eq!(results(&engine, spec), expected);
}

#[test]
fn equal_texts_of_many_values_are_one_group_and_ties_go_by_text() {
    let rows = |from: i64, to: i64| -> Vec<Row> {
        (from..to).map(|n| at(n).with("user", format!("u{n:04}").as_str())).collect()
    };
    let shelf = Fixture { segments: segments(&[rows(0, 600), rows(300, 900)]) };
    let engine = NativeEngine::new(Arc::new(shelf));
    let spec =
        json!({"breakdowns": ["user"], "limit": 2, "orders": [{"op": "COUNT", "order": "descending"}]});
    let found = data(&engine, spec);
    let shown: Vec<_> = (0..2).map(|place| found["results"][place]["data"].clone()).collect();
    assert_eq!(shown, [json!({"user": "u0300", "COUNT": 2}), json!({"user": "u0301", "COUNT": 2})]);
    assert_eq!(found["other"]["COUNT"], json!(1_196), "{found}");
}
