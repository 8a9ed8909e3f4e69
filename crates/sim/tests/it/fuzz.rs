//! The targets of the fuzzer on mutants from a seed: no coverage, but in every run of the tests.

#[path = "../../../../fuzz/src/bodies.rs"]
#[allow(unreachable_pub, clippy::expect_used, reason = "shared with the fuzz crate")]
mod bodies;
#[path = "../../../ingest/tests/it/generate.rs"]
#[allow(dead_code, clippy::expect_used, reason = "shared with the round-trip tests, which use all of it")]
mod generate;
#[path = "../../../../fuzz/src/mutate.rs"]
#[allow(unreachable_pub, reason = "shared with the fuzz crate")]
mod mutate;
#[path = "../../../../fuzz/src/repair.rs"]
mod repair;
#[path = "../../../../fuzz/src/round_trip.rs"]
mod round_trip;
#[path = "../../../../fuzz/src/seeds.rs"]
#[allow(unreachable_pub, clippy::expect_used, reason = "shared with the fuzz crate")]
mod seeds;
#[path = "../../../../fuzz/src/segments.rs"]
#[allow(unreachable_pub, clippy::expect_used, reason = "shared with the fuzz crate")]
mod segments;

use std::path::Path;

/// A target: its name and its body.
type Target = (&'static str, fn(&[u8]));

/// Every target. The names are those of the files in fuzz/fuzz_targets.
const TARGETS: &[Target] = &[
    ("protobuf_traces", bodies::protobuf_traces),
    ("protobuf_logs", bodies::protobuf_logs),
    ("protobuf_metrics", bodies::protobuf_metrics),
    ("json_traces", bodies::json_traces),
    ("json_logs", bodies::json_logs),
    ("json_metrics", bodies::json_metrics),
    ("log_batch", bodies::log_batch),
    ("log_file", bodies::log_file),
    ("segment", segments::segment),
    ("segment_repaired", segments::segment_repaired),
    ("query_spec", bodies::query_spec),
    ("export", bodies::export),
];

/// Mutants per target in a run of the tests; `SKEIN_FUZZ_RUNS` asks for more.
const RUNS: u64 = 2_000;

fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    if target.starts_with("segment") { segments::seeds() } else { seeds::of(target) }
}

#[test]
fn no_mutant_breaks_a_parser_or_reader() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let runs = number("SKEIN_FUZZ_RUNS").unwrap_or(RUNS);
    let first = number("SKEIN_FUZZ_SEED").unwrap_or(1);
    let mut broken = Vec::new();
    for (name, body) in TARGETS {
        let seeds = seeds_of(name);
        assert!(!seeds.is_empty(), "{name}");
        // Where the corpus of libFuzzer is wanted, the seeds go there (.ci/fuzz).
        if let Some(folder) = std::env::var_os("SKEIN_FUZZ_CORPUS") {
            write_corpus(&Path::new(&folder).join(name), &seeds);
        }
        seeds.iter().for_each(|seed| body(seed));
        for seed in first..first + runs {
            let mutant = mutate::mutant(&seeds, seed);
            if std::panic::catch_unwind(|| body(&mutant)).is_err() {
                broken.push(format!("{name}: SKEIN_FUZZ_SEED={seed} SKEIN_FUZZ_RUNS=1"));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

fn write_corpus(folder: &Path, seeds: &[Vec<u8>]) {
    std::fs::create_dir_all(folder).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
    }
}
