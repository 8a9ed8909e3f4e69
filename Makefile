# The one entry point. `make` alone explains.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test check mutants e2e bench soak dist fuzz ui ui-test

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/' | expand -t 18
	@echo
	@echo "  cargo xtask tidy | mutants   the checks by themselves; SKEIN_SEED=n repeats a failed random case"

run: ## build and start `skein demo`: a server, five simulated services, three questions to ask
	@.ci/setup build
	ui/build
	cargo run --locked --package skein-cli -- demo

test: ## everything CI runs
	@.ci/setup build test browser
	.ci/test

check: ## formatting, tidy and lints only
	@.ci/setup build
	cargo fmt --all --check
	cargo xtask tidy
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings

mutants: ## every guarantee broken on purpose: its named test must turn red
	@.ci/setup build
	cargo xtask mutants

e2e: ## real exporters, kill -9 and strace against the built server
	@.ci/setup build test
	e2e/run

ui: ## build the web UI into ui/dist, from where cargo embeds it
	ui/build

ui-test: ## the pages in Chromium against the built server; ui/e2e/run --screenshots makes docs/screenshots anew
	@.ci/setup build browser
	ui/e2e/run

bench: ## release figures: bench/results.json and bench/RESULTS.md; BENCH_ARGUMENTS='--rows 1000000 --seconds 60'
	@.ci/setup build bench
	cargo build --locked --release --package skein-cli
	cargo build --locked --release --package skein-bench --features peers
	bench/peers/run all $(BENCH_ARGUMENTS)

soak: ## hours, not minutes: 1,000 kills, the OpenTelemetry Collector, long random runs
	@.ci/setup build test soak
	e2e/soak

fuzz: ## run every fuzz target for SECONDS_EACH (60) seconds; needs a nightly toolchain and cargo-fuzz
	.ci/fuzz

dist: ## the release binary with its pages, stripped, in target/dist with its checksum
	@.ci/setup build
	ui/build
	cargo build --locked --release --package skein-cli
	mkdir -p target/dist
	install -m 755 $${CARGO_TARGET_DIR:-target}/release/skein target/dist/skein
	strip target/dist/skein
	cd target/dist && sha256sum skein > skein.sha256
