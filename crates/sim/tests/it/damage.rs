//! Real files, damaged in every way that a bad disk knows: what is wrong is found and named, and made whole again from
//! what is left; nothing is repaired silently, nothing panics, and no event that the log still has is lost or there
//! twice.
//!
//! `SKEIN_DAMAGE_CASES` makes more cases, `SKEIN_SEED` repeats one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skein_event::batch::{Column, EventBatch, Presence, Values};
use skein_event::flow::BatchKey;
use skein_event::ids::Environment;
use skein_log::disk::RealDisk;
use skein_sim::deployment::Deployment;
use skein_sim::failing_disk::FailingDisk;
use skein_sim::random::Random;
use skein_sim::random::data::Generator;
use skein_sim::subject::{HASH_KEY, PARTITIONS};
use skein_store::catalog::{Catalog as _, SqliteCatalog};
use skein_store::segment::{Compression, Segment, Source, Target, merge};
use skein_store::upkeep::{BackupOptions, Cure, Severity, backup, doctor, restore, verify};
use skein_store::{DataDirectory, Fresh};

const CASES: u64 = 60;

/// Every event by its identity, as text.
pub(crate) type Events = BTreeMap<String, String>;

fn cases(default: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SKEIN_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SKEIN_DAMAGE_CASES").unwrap_or(default),
    }
}

fn value_text(batch: &EventBatch, column: &Column, row: u32) -> Option<String> {
    let place = match &column.presence {
        Presence::All => row as usize,
        Presence::Rows(rows) => rows.binary_search(&row).ok()?,
    };
    Some(match &column.values {
        Values::Bool(values) => values[place].to_string(),
        Values::I64(values) => values[place].to_string(),
        Values::F64(values) => format!("{:x}", values[place].to_bits()),
        Values::Code(codes) => format!("{:?}", batch.dictionary.get(codes[place])),
        Values::Id16(ids) => format!("{:?}", ids[place]),
        Values::Id8(ids) => format!("{:?}", ids[place]),
    })
}

/// What a deployment serves. An event that is there twice is an error.
pub(crate) fn events(deployment: &Deployment) -> Result<Events, String> {
    let mut all = Events::new();
    for environment in [Environment::default_environment(), Environment::skein()] {
        let snapshot = deployment.store().snapshot(&environment).map_err(|error| error.to_string())?;
        for handle in snapshot.segments.iter() {
            // A segment that turns out to be damaged when it is read is set aside, as the engine has it done.
            let gathered = handle.open().and_then(|segment| segment.gather(&segment.all_rows()));
            let gathered = match gathered {
                Ok(gathered) => gathered,
                Err(error) => {
                    handle.report(&error);
                    continue;
                }
            };
            let batch = &gathered.batch;
            for (row, id) in (0_u32..).zip(&gathered.ids) {
                let context = batch.contexts[row as usize];
                let of = |columns: &[Column], row: u32| {
                    let values = columns.iter().filter_map(|column| {
                        Some(format!("{:?}={}", column.key, value_text(batch, column, row)?))
                    });
                    let mut values: Vec<String> = values.collect();
                    values.sort();
                    values
                };
                let values = (of(&batch.context_columns, context), of(&batch.columns, row));
                let (time, arrived) = (batch.times[row as usize], gathered.ingest_times[row as usize]);
                let text = format!("{environment} {time} {arrived} {values:?}");
                if all.insert(format!("{environment} {id}"), text).is_some() {
                    return Err(format!("event {id} of {environment} is there twice"));
                }
            }
        }
    }
    Ok(all)
}

/// A data directory with segments of flushes and of merges, a log with all of it, and a head that is not flushed.
struct Base {
    folder: tempfile::TempDir,
    events: Events,
}

pub(crate) fn fresh(path: &Path) -> Result<(), String> {
    let fresh = Fresh { hash_key: HASH_KEY, partitions: PARTITIONS };
    DataDirectory::open(path, fresh).map(drop).map_err(|error| error.to_string())
}

pub(crate) fn send(
    deployment: &Deployment,
    generator: &mut Generator,
    count: u64,
    tag: &str,
) -> Result<(), String> {
    for number in 0..count {
        let environment =
            if number % 5 == 4 { Environment::skein() } else { Environment::default_environment() };
        let key = match number % 3 {
            0 => BatchKey::Import {
                file: [7; 32],
                line: u32::try_from(number + tag.len() as u64 * 1000).unwrap_or(0),
            },
            _ => BatchKey::Client(format!("{tag}-{number}").into()),
        };
        deployment.append(&environment, &generator.request(12), number % 2 == 0, key)?;
    }
    Ok(())
}

fn base(seed: u64, is_stopped: bool) -> Result<Base, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    fresh(folder.path())?;
    let mut generator = Generator::new(Random::new(seed));
    let mut deployment = Deployment::open(folder.path())?;
    for round in 0..10 {
        send(&deployment, &mut generator, 6, &"a".repeat(round + 1))?;
        deployment.flush()?;
        if round == 4 {
            deployment = deployment.reopen()?;
        }
    }
    deployment.compact()?;
    send(&deployment, &mut generator, 8, "b")?;
    deployment.flush()?;
    send(&deployment, &mut generator, 8, "c")?;
    let events = events(&deployment)?;
    if is_stopped {
        deployment.stop()?
    } else {
        drop(deployment)
    }
    Ok(Base { folder, events })
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    std::fs::create_dir_all(to).map_err(failed)?;
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            // SQLite's own files go when its last connection closes, which it does in a thread of its own.
            match std::fs::copy(entry.path(), target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.map_err(failed)?),
            }
        }
    }
    Ok(())
}

fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.path().is_dir() { all_files(&entry.path(), found) } else { found.push(entry.path()) }
    }
    found.sort();
}

/// How a file is damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blow {
    Flip(u64, u8),
    Cut(u64),
    Zeros(u64),
    Delete,
}

fn strike(path: &Path, random: &mut Random) -> Result<Blow, String> {
    let mut bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let length = bytes.len() as u64;
    let blow = match random.below(10) {
        _ if length == 0 => Blow::Delete,
        0 => Blow::Delete,
        1 | 2 => Blow::Cut(random.below(length)),
        3 => Blow::Zeros(random.below(length)),
        _ => Blow::Flip(random.below(length), 1 << random.below(8)),
    };
    let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    match blow {
        Blow::Delete => return std::fs::remove_file(path).map(|()| blow).map_err(|error| error.to_string()),
        Blow::Cut(at) => bytes.truncate(place(at)),
        Blow::Zeros(at) => bytes.iter_mut().skip(place(at)).take(512).for_each(|byte| *byte = 0),
        Blow::Flip(at, bit) => bytes[place(at)] ^= bit,
    }
    std::fs::write(path, bytes).map(|()| blow).map_err(|error| error.to_string())
}

/// Whether a blow may leave no trace: the file holds nothing that anybody relies on.
fn is_derived(name: &Path) -> bool {
    let text = name.display().to_string();
    text == "LOCK" || text == "state/readers" || text == "footers.cat" || text.ends_with("-shm")
}

/// Cures a directory as an operator would: by what the doctor says is to be done.
fn cure(root: &Path) -> Result<(bool, u64), String> {
    let silent = |_| {};
    let examined = doctor(root, Cure::Examine, None, &silent).map_err(|error| format!("examine: {error}"))?;
    let says = |what: &str| examined.steps.iter().any(|step| step.contains(what));
    let cure = if says("--rebuild-catalog would") { Cure::RebuildCatalog } else { Cure::Repair };
    let mut cured = doctor(root, cure, None, &silent).or_else(|error| {
        // A directory whose VERSION was lost may hide a damaged catalog.
        if error.to_string().contains("--rebuild-catalog") {
            doctor(root, Cure::RebuildCatalog, None, &silent)
        } else {
            Err(error)
        }
    });
    if let Ok(report) = &cured
        && report.report.damage().any(|remark| remark.file == Path::new("catalog.sqlite"))
    {
        cured = doctor(root, Cure::RebuildCatalog, None, &silent);
    }
    let report = cured.map_err(|error| format!("cure: {error}"))?;
    Ok((report.report.is_sound(), report.events_gone))
}

fn case(base: &Base, seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed ^ 0xda11);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = folder.path();
    copy(base.folder.path(), root)?;
    let mut files = Vec::new();
    all_files(root, &mut files);
    let path = random.pick(&files).clone();
    let name = path.strip_prefix(root).unwrap_or(&path).to_path_buf();
    let before = std::fs::read(&path).map_err(|error| error.to_string())?;
    let blow = strike(&path, &mut random)?;
    let told = |what: String| format!("SKEIN_SEED={seed}: {} {blow:?}: {what}", name.display());
    let is_same = std::fs::read(&path).is_ok_and(|after| after == before);
    // Found and named.
    let report = verify(root, None, &|_| {}).map_err(|error| told(format!("verify: {error}")))?;
    let is_named = report.remarks.iter().any(|remark| {
        let names = remark.file == name
            || remark.what.contains(&*name.file_name().unwrap_or_default().to_string_lossy());
        // A file that is gone is named by what misses it.
        remark.severity >= Severity::Warning && (names || blow == Blow::Delete || name.starts_with("log"))
    });
    let is_catalog = name.display().to_string().starts_with("catalog.sqlite");
    // A file of the log that is gone as a whole looks like one that retention took, as long as everything in it
    // is committed. When something was lost with it, that must be told: below.
    let is_taken = blow == Blow::Delete && name.starts_with("log");
    if !is_named && !is_same && !is_derived(&name) && !is_catalog && !is_taken {
        return Err(told(format!("was not found: {:?}", report.remarks)));
    }
    // Made whole again, or named as gone.
    let (is_sound, gone) = cure(root).map_err(&told)?;
    let deployment = Deployment::open(root).map_err(|error| told(format!("open: {error}")))?;
    let served = events(&deployment).map_err(&told)?;
    for (id, text) in &served {
        if base.events.get(id) != Some(text) {
            return Err(told(format!("event {id} is not what was acknowledged: {text}")));
        }
    }
    let lost = base.events.len() - served.len();
    let is_log = name.starts_with("log");
    // The log is the only copy of what is not flushed.
    if lost > 0 && !is_log {
        return Err(told(format!("{lost} of {} events are lost, {gone} were said to be", base.events.len())));
    }
    if lost > 0
        && report.is_sound()
        && !report.remarks.iter().any(|remark| remark.severity == Severity::Warning)
    {
        return Err(told(format!("{lost} events are lost silently")));
    }
    if !is_sound && !is_log {
        return Err(told("is not sound after the cure".to_owned()));
    }
    // And it goes on: what comes now is kept.
    send(&deployment, &mut Generator::new(Random::new(seed)), 2, "afterwards").map_err(told)?;
    deployment.flush().map_err(&told)?;
    Ok(())
}

fn run(is_stopped: bool) {
    let base = base(11, is_stopped).expect("a base");
    let sound = verify(base.folder.path(), None, &|_| {}).expect("verifies");
    assert!(sound.is_sound() && sound.checked.compared_events > 100, "{sound:?}");
    let failures: Vec<String> = cases(CASES).filter_map(|seed| case(&base, seed).err()).collect();
    assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn damage_anywhere_is_found_named_and_made_whole_after_a_stop() {
    run(true);
}

#[test]
fn damage_anywhere_is_found_named_and_made_whole_after_a_kill() {
    run(false);
}

/// What a server does with it, without a doctor: it refuses with a sentence, or serves the rest.
#[test]
fn a_damaged_directory_is_refused_or_served_without_what_is_damaged() {
    let base = base(12, true).expect("a base");
    for seed in cases(CASES) {
        let folder = tempfile::tempdir().expect("a folder");
        copy(base.folder.path(), folder.path()).expect("copies");
        let mut files = Vec::new();
        all_files(folder.path(), &mut files);
        let mut random = Random::new(seed ^ 0x0ff);
        let path = random.pick(&files).clone();
        let blow = strike(&path, &mut random).expect("strikes");
        let told = format!("SKEIN_SEED={seed}: {} {blow:?}", path.display());
        match Deployment::open(folder.path()) {
            Err(error) => assert!(error.len() > 20, "{told}: {error}"),
            Ok(deployment) => {
                let served = events(&deployment).unwrap_or_else(|error| panic!("{told}: {error}"));
                for (id, text) in &served {
                    assert_eq!(base.events.get(id), Some(text), "{told}");
                }
                let findings = (deployment.store().findings(), deployment.log().findings().to_vec());
                let is_told = !findings.0.is_empty() || !findings.1.is_empty();
                assert!(served.len() == base.events.len() || is_told, "{told}: events are lost silently");
            }
        }
    }
}

#[test]
fn a_catalog_that_is_gone_is_made_again_from_what_segments_and_log_say() {
    for is_stopped in [true, false] {
        let base = base(13, is_stopped).expect("a base");
        let root = base.folder.path();
        for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
            drop(std::fs::remove_file(root.join(name)));
        }
        let refused = Deployment::open(root).err().expect("nothing is guessed");
        assert!(refused.contains("doctor"), "{refused}");
        drop(std::fs::remove_file(root.join("catalog.sqlite")));
        let cured = doctor(root, Cure::RebuildCatalog, None, &|_| {}).expect("rebuilds");
        assert!(cured.report.is_sound(), "{cured:?}");
        let deployment = Deployment::open(root).expect("opens");
        assert!(events(&deployment).expect("reads") == base.events, "other events than acknowledged");
        // Lines that were imported are still known: the log has their records.
        let mut generator = Generator::new(Random::new(13));
        let request = generator.request(12);
        let key = BatchKey::Import { file: [7; 32], line: 1000 };
        let again =
            deployment.append(&Environment::default_environment(), &request, true, key).expect("appends");
        assert!(again.duplicate, "an imported line is taken again");
    }
}

#[test]
fn a_backup_comes_back_and_half_a_backup_never_does() {
    let base = base(14, false).expect("a base");
    let targets = tempfile::tempdir().expect("a folder");
    let target = targets.path().join("backups");
    let disk = RealDisk;
    let options = BackupOptions { copy: true, now_ns: 5 };
    let first = backup(base.folder.path(), &target, &disk, options, &|_| {}).expect("backs up");
    assert!(first.remarks.is_empty() && first.files > 10, "{first:?}");
    let again = backup(base.folder.path(), &target, &disk, options, &|_| {}).expect("backs up again");
    assert!(again.reused > 0 && again.number == first.number + 1, "{again:?}");
    let restored = targets.path().join("restored");
    restore(&target, &restored, &disk, &|_| {}).expect("restores");
    let refused = restore(&target, &restored, &disk, &|_| {}).expect_err("it is not empty");
    assert!(refused.to_string().contains("not empty"), "{refused}");
    assert!(verify(&restored, None, &|_| {}).expect("verifies").is_sound());
    let deployment = Deployment::open(&restored).expect("opens");
    assert!(events(&deployment).expect("reads") == base.events, "other events than backed up");
    drop(deployment);
    // Any damage to any file of the backup is noticed, and nothing is served from it.
    let mut files = Vec::new();
    all_files(&target, &mut files);
    for seed in cases(20) {
        let damaged = targets.path().join(format!("damaged-{seed}"));
        copy(&target, &damaged).expect("copies");
        let mut random = Random::new(seed);
        let path = damaged.join(random.pick(&files).strip_prefix(&target).expect("is below"));
        if path.file_name().is_some_and(|name| name == "LOCK") {
            continue;
        }
        let before = std::fs::read(&path).expect("reads");
        let blow = strike(&path, &mut random).expect("strikes");
        if std::fs::read(&path).is_ok_and(|after| after == before) {
            continue;
        }
        let into = targets.path().join(format!("into-{seed}"));
        let outcome = restore(&damaged, &into, &disk, &|_| {});
        assert!(outcome.is_err(), "SKEIN_SEED={seed}: {} {blow:?} was restored", path.display());
        assert!(!into.join("VERSION").exists(), "half a restore is not served");
    }
}

fn segment_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    all_files(&root.join("segments"), &mut files);
    files
}

pub(crate) fn without_catalog(root: &Path) {
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"] {
        drop(std::fs::remove_file(root.join(name)));
    }
}

/// A merge whose inputs are still there, as a snapshot or a crash leaves them; then a flush of which a file is gone.
#[test]
fn a_rebuilt_catalog_counts_each_event_once() {
    let folder = tempfile::tempdir().expect("a folder");
    fresh(folder.path()).expect("a directory");
    let mut generator = Generator::new(Random::new(15));
    let deployment = Deployment::open(folder.path()).expect("opens");
    for round in 0..10 {
        send(&deployment, &mut generator, 6, &"a".repeat(round + 1)).expect("sends");
        deployment.flush().expect("flushes");
    }
    let leases: Vec<_> = [Environment::default_environment(), Environment::skein()]
        .iter()
        .map(|environment| deployment.store().snapshot(environment).expect("a snapshot"))
        .collect();
    deployment.compact().expect("compacts");
    let before = events(&deployment).expect("reads");
    let copied = tempfile::tempdir().expect("a folder");
    copy(folder.path(), copied.path()).expect("copies");
    let root = copied.path();
    without_catalog(root);
    let cured = doctor(root, Cure::RebuildCatalog, None, &|_| {}).expect("rebuilds");
    assert!(cured.report.is_sound(), "{cured:?}");
    assert!(
        cured.steps.iter().any(|step| step.ends_with("replaces it")),
        "the inputs were still there: {cured:?}"
    );
    let reopened = Deployment::open(root).expect("opens");
    assert!(events(&reopened).expect("reads") == before, "other events than acknowledged");
    drop((reopened, leases));
    // The last flush of a partition wrote a file for each environment.
    send(&deployment, &mut generator, 10, "last").expect("sends");
    let known = segment_files(folder.path());
    deployment.flush().expect("flushes");
    let after = events(&deployment).expect("reads");
    drop(deployment);
    let newest: Vec<PathBuf> =
        segment_files(folder.path()).into_iter().filter(|path| !known.contains(path)).collect();
    let of_partition = |path: &Path| path.file_name().map(|name| name.to_string_lossy()[..4].to_owned());
    let torn = newest
        .iter()
        .find(|path| newest.iter().filter(|other| of_partition(other) == of_partition(path)).count() > 1);
    std::fs::remove_file(torn.expect("a flush of several files")).expect("removes");
    without_catalog(folder.path());
    let cured = doctor(folder.path(), Cure::RebuildCatalog, None, &|_| {}).expect("rebuilds");
    assert!(cured.report.is_sound(), "{cured:?}");
    let told = |step: &String| step.contains("of its flush are not there: the log replays its events");
    assert!(cured.steps.iter().any(told), "{cured:?}");
    let reopened = Deployment::open(folder.path()).expect("opens");
    assert!(events(&reopened).expect("reads") == after, "other events than acknowledged");
}

/// A wrong encoder writes sound checksums over a wrong event: only the second copy knows.
#[test]
fn an_altered_event_is_found_although_every_checksum_holds() {
    let base = base(16, true).expect("a base");
    let root = base.folder.path();
    let path = root.join("catalog.sqlite");
    let catalog = SqliteCatalog::open(&path).expect("opens");
    let mut content = catalog.content().expect("reads");
    catalog.close().expect("closes");
    let file = segment_files(root).into_iter().next().expect("a segment");
    let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
    let row = content.segments.iter_mut().find(|row| row.id.as_str() == name).expect("it counts");
    let segment = Segment::open_file(&file).expect("opens");
    let mut gathered = segment.gather(&segment.all_rows()).expect("gathers");
    gathered.batch.times[0] += 1;
    let target = Target {
        header: segment.header().clone(),
        compression: Compression::Zstd,
        flush: segment.flush_part(),
        replaces: segment.replaces().map(str::to_owned).collect(),
    };
    let bytes = merge(&[Source::Gathered(&gathered)], &target).expect("encodes");
    std::fs::write(&file, &bytes).expect("writes");
    let segment = Segment::open(bytes).expect("opens");
    row.bytes = segment.byte_len();
    row.time_range = segment.time_range();
    without_catalog(root);
    let catalog = SqliteCatalog::open(&path).expect("makes");
    catalog.fill(content).expect("fills");
    catalog.close().expect("closes");
    let report = verify(root, None, &|_| {}).expect("verifies");
    let altered: Vec<_> = report.damage().filter(|remark| remark.what.contains("altered")).collect();
    assert_eq!(altered.len(), 1, "{report:?}");
    assert!(file.ends_with(&altered[0].file), "{altered:?}");
    let cured = doctor(root, Cure::Repair, None, &|_| {}).expect("repairs");
    assert!(cured.report.is_sound() && cured.events_restored == 1, "{cured:?}");
    let deployment = Deployment::open(root).expect("opens");
    assert!(events(&deployment).expect("reads") == base.events, "other events than acknowledged");
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A backup that breaks off at any call leaves the one before it whole, and the next one goes on.
#[test]
fn a_backup_may_break_off_anywhere() {
    let base = base(17, true).expect("a base");
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("backups");
    let options = BackupOptions { copy: true, now_ns: 5 };
    let run = |disk: &FailingDisk| backup(base.folder.path(), &target, disk, options, &|_| {});
    let mut last = 0;
    let mut is_done = false;
    for calls in (0..3_000).step_by(17) {
        let error = if calls % 2 == 0 { ENOSPC } else { EIO };
        let outcome = run(&FailingDisk::after(calls, error));
        is_done = outcome.is_ok();
        let into = folder.path().join(format!("into-{calls}"));
        let restored = restore(&target, &into, &RealDisk, &|_| {});
        match (outcome, restored) {
            (Ok(report), Ok(restored)) => assert_eq!(report.number, restored.number, "{calls}"),
            // What only earlier backups needed is removed after the manifest is there: that may fail, too.
            (Err(_), Ok(restored)) => {
                assert!(restored.number >= last, "{calls}");
                last = restored.number;
            }
            (Err(_), Err(error)) => assert_eq!(last, 0, "{calls}: {error}"),
            (Ok(_), Err(error)) => panic!("{calls}: {error}"),
        }
        if is_done {
            break;
        }
        drop(std::fs::remove_dir_all(&into));
    }
    assert!(is_done);
    let into = folder.path().join("again");
    run(&FailingDisk::after(u64::MAX, EIO)).expect("backs up");
    restore(&target, &into, &RealDisk, &|_| {}).expect("restores");
    let deployment = Deployment::open(&into).expect("opens");
    assert!(events(&deployment).expect("reads") == base.events, "other events than backed up");
}

/// A restore that breaks off at any call is never served, and the next one begins again.
#[test]
fn a_restore_may_break_off_anywhere() {
    let base = base(18, true).expect("a base");
    let folder = tempfile::tempdir().expect("a folder");
    let (target, into) = (folder.path().join("backups"), folder.path().join("into"));
    let options = BackupOptions { copy: true, now_ns: 5 };
    backup(base.folder.path(), &target, &RealDisk, options, &|_| {}).expect("backs up");
    let mut is_done = false;
    for calls in (0..3_000).step_by(29) {
        match restore(&target, &into, &FailingDisk::after(calls, ENOSPC), &|_| {}) {
            Ok(_) => is_done = true,
            // Everything is there; only the removal of the marker failed, or the sync after it.
            Err(_) if into.join("VERSION").exists() => is_done = !into.join("RESTORING").exists(),
            Err(_) if into.join("segments").exists() => {
                assert!(fresh(&into).is_err(), "{calls}: half a restore is served");
            }
            Err(_) => {}
        }
        if is_done {
            break;
        }
    }
    assert!(is_done, "a restore ends in fewer calls");
    let deployment = Deployment::open(&into).expect("opens");
    assert!(events(&deployment).expect("reads") == base.events, "other events than backed up");
}
