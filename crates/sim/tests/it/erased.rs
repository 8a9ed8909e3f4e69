//! Erasure beside everything else that may happen to a data directory: a backup that is taken meanwhile, a query that
//! is under way, a catalog that is lost. What was erased does not come back, and what was not stays.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use skein_engine::FilterMatcher;
use skein_event::ids::Environment;
use skein_log::disk::RealDisk;
use skein_query::result::Data;
use skein_query::{RunContext, spec};
use skein_sim::deployment::Deployment;
use skein_sim::random::Random;
use skein_sim::random::data::{ARRIVAL_NS, Generator};
use skein_sim::subject::{Still, with_context};
use skein_store::Readers;
use skein_store::upkeep::{BackupOptions, Cure, backup, doctor, restore, verify};

use crate::damage::{Events, events, fresh, send, without_catalog};

fn ours() -> Environment {
    Environment::default_environment()
}

/// Takes spans and leaves everything else.
fn filter() -> Json {
    json!({"filters": [{"column": "duration_ms", "op": "exists"}]})
}

/// A directory with a few segments, what it holds, and what of it is left once the filter has been erased.
fn erased(folder: &Path) -> (Deployment, Events, Events) {
    fresh(folder).expect("a directory");
    let mut generator = Generator::new(Random::new(5));
    let deployment = Deployment::open(folder).expect("opens");
    deployment.store().attach_readers(Arc::new(Readers::open(folder).expect("readers")));
    for round in 0..4 {
        send(&deployment, &mut generator, 6, &"e".repeat(round + 1)).expect("sends");
        deployment.flush().expect("flushes");
    }
    let before = events(&deployment).expect("reads");
    deployment.erase(&ours(), &filter()).expect("erases");
    let left = events(&deployment).expect("reads");
    assert!(!left.is_empty() && left.len() < before.len(), "{} of {}", left.len(), before.len());
    (deployment, before, left)
}

fn matcher() -> Option<Arc<dyn skein_store::RowMatcher>> {
    Some(Arc::new(FilterMatcher))
}

/// The backup's catalog names the segments that the erasure rewrites meanwhile: it ends when the last reader is gone.
#[test]
fn a_backup_taken_while_an_erasure_ends_does_not_bring_back_what_it_took() {
    let folder = tempfile::tempdir().expect("a folder");
    let (deployment, _, left) = erased(folder.path());
    let targets = tempfile::tempdir().expect("a folder");
    let (target, restored) = (targets.path().join("backups"), targets.path().join("restored"));
    let status = || deployment.store().erasures(&ours()).remove(0);
    let begun = AtomicBool::new(false);
    let end = |_| {
        if !begun.swap(true, Ordering::Relaxed) {
            deployment.carry_erasures_out().expect("erases");
            assert!(status().ended_ns.is_none() && status().segments > 0, "{:?}", status());
        }
    };
    let options = BackupOptions { copy: true, now_ns: 5 };
    let report = backup(folder.path(), &target, &RealDisk, options, &end).expect("backs up");
    assert!(report.remarks.is_empty(), "{report:?}");
    deployment.carry_erasures_out().expect("erases");
    assert!(status().ended_ns.is_some() && status().segments == 0, "{:?}", status());
    restore(&target, &restored, &RealDisk, &|_| {}).expect("restores");
    assert!(verify(&restored, matcher(), &|_| {}).expect("verifies").is_sound());
    let copy = Deployment::open(&restored).expect("opens");
    assert!(events(&copy).expect("reads") == left, "other events than were left");
    copy.carry_erasures_out().expect("erases");
    assert!(copy.store().erasures(&ours())[0].ended_ns.is_some());
    assert!(events(&copy).expect("reads") == left, "other events than were left");
    assert!(events(&deployment).expect("reads") == left, "the original lost something");
}

#[test]
fn a_catalog_that_is_made_again_does_not_bring_back_what_was_erased() {
    for is_carried_out in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (deployment, _, left) = erased(folder.path());
        if is_carried_out {
            deployment.carry_erasures_out().expect("erases");
        }
        deployment.flush().expect("flushes");
        drop(deployment);
        let sound = verify(folder.path(), matcher(), &|_| {}).expect("verifies");
        assert!(sound.is_sound(), "{sound:?}");
        without_catalog(folder.path());
        let cured = doctor(folder.path(), Cure::RebuildCatalog, matcher(), &|_| {}).expect("rebuilds");
        assert!(cured.report.is_sound(), "{cured:?}");
        let deployment = Deployment::open(folder.path()).expect("opens");
        assert!(events(&deployment).expect("reads") == left, "other events than were left");
        deployment.carry_erasures_out().expect("erases");
        assert!(events(&deployment).expect("reads") == left, "other events than were left");
    }
}

/// A query has found its rows when the erasure comes: it looks again instead of taking the segment for damaged.
#[test]
fn an_erasure_during_a_query_is_no_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    fresh(folder.path()).expect("a directory");
    let mut generator = Generator::new(Random::new(6));
    let deployment = Deployment::open(folder.path()).expect("opens");
    send(&deployment, &mut generator, 8, "q").expect("sends");
    deployment.flush().expect("flushes");
    let spec = json!({
        "calculations": [], "limit": 10_000, "start_time": 0, "end_time": 9_000_000_000_u64,
        "filters": [{"column": "duration_ms", "op": "exists"}],
    });
    let plan = spec::parse(&spec, &ours(), ARRIVAL_NS).expect("a plan");
    let rows = |context: &RunContext<'_>| {
        let result = deployment.engine().run(&plan, context).expect("answers");
        let Data::Rows(rows) = result.data else { panic!("rows were asked for") };
        (rows.rows.len(), result.meta.warnings)
    };
    let (before, _) = with_context(rows);
    assert!(before > 0);
    let told = AtomicUsize::new(0);
    let erase = |_| {
        if told.fetch_add(1, Ordering::Relaxed) == 0 {
            deployment.erase(&ours(), &filter()).expect("erases");
        }
    };
    let cancelled = AtomicBool::new(false);
    let clock = Still(ARRIVAL_NS);
    let (after, warnings) = rows(&RunContext {
        clock: &clock,
        cancelled: &cancelled,
        progress: &erase,
        partial: None,
        deadline_ns: None,
        memory_bytes_max: 1 << 28,
    });
    assert_eq!(after, 0, "{warnings:?}");
    assert!(!warnings.iter().any(|warning| warning.code == "segments_damaged"), "{warnings:?}");
    assert!(
        deployment.store().findings().iter().all(|finding| finding.segment.is_none()),
        "nothing is damaged"
    );
}
