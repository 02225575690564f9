# Two commands on a fresh machine: `make demo` and `make test`. All of them but `make bench-streams` use the dev profile: its
# dependencies are optimised and built once (Cargo.toml), whichever command comes first.

.DEFAULT_GOAL := help
.PHONY: help demo test check fmt-check clippy doc broker-alone deny fuzz-short fuzz fix bench bench-streams conformance vectors tools soak

ARGS ?=

help: ## this text
	@echo "millpond: a Kafka-compatible log, a streams DSL and streaming SQL in one binary"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo ARGS='--flights FILE.csv.gz --data DIR'    the demo on other files, on a directory that stays"
	@echo "  MILLPOND_CRASH_KILLS=200 make test                   more crashes (20 by default)"

demo: tools ## load a month of real flights, run a DSL job and SQL over them exactly-once, compare with a batch query
	cargo run --quiet --bin millpond -- demo $(ARGS)

# Drawn inputs are the same in every run; `cargo test` alone draws new ones, PROPTEST_CASES=100000 more of them.
test: export PROPTEST_RNG_SEED ?= 20261123
test: tools ## all tests: unit, simulation, crashes of real processes, documentation examples
	cargo test --workspace

check: tools fmt-check clippy doc broker-alone deny fuzz-short ## everything but the tests; only looks, changes nothing

fmt-check:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet

# The broker must stay usable without a C++ compiler: no RocksDB, no DataFusion, no librdkafka in its tree.
broker-alone:
	@! cargo tree -p millpond --no-default-features --edges normal,build --prefix none | grep -E '^(librocksdb-sys|rocksdb|datafusion|rdkafka-sys) ' \
		|| { echo "the broker alone must not depend on RocksDB, DataFusion or librdkafka" >&2; exit 1; }
	cargo clippy -p millpond --no-default-features --bin millpond --lib -- -D warnings

# Licences, sources, banned crates and advisories (deny.toml), where the tool is installed: cargo install cargo-deny --locked
deny:
	@if ! cargo deny --version >/dev/null 2>&1; then echo "skipped: cargo-deny is not installed"; \
	else cargo deny --all-features check bans licenses sources || exit 1; \
		if cargo deny fetch db 2>/dev/null; then cargo deny --all-features check advisories; \
		else echo "skipped: the advisory database cannot be fetched from here"; fi; fi

# Every seed and some thousands of drawn inputs, the same each time, on the compiler at hand.
fuzz-short:
	cargo run --quiet -p millpond-fuzz

# cargo install cargo-fuzz --locked; rustup toolchain install nightly. Without them the runner above draws more inputs instead.
FUZZ_TARGETS := frame requests memory batch unpack
FUZZ_SECONDS ?= 120
fuzz: tools ## fuzz what strangers send, FUZZ_SECONDS=120 for each target: with cargo-fuzz and nightly where they are, else without
	@if cargo fuzz --version >/dev/null 2>&1 && cargo +nightly --version >/dev/null 2>&1; then \
		cp Cargo.lock fuzz/Cargo.lock && for target in $(FUZZ_TARGETS); do \
			mkdir -p fuzz/corpus/$$target && cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
				-max_total_time=$(FUZZ_SECONDS) -max_len=1048576 -rss_limit_mb=512 -timeout=5 || exit 1; \
		done; \
	else echo "cargo-fuzz or a nightly compiler is missing: drawing inputs instead"; cargo run --quiet -p millpond-fuzz -- --runs 200000 --seed $$(date +%s); fi

fix: ## mend what can be mended by machine: format and clippy's suggestions
	cargo fmt --all
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged

conformance: tools ## suites that others wrote, against the broker; writes docs/conformance.md (ARGS=smoke for one of them)
	tests/conformance/run $(ARGS)

# Needs Java and Maven; the recordings are in the repository, and `make test` replays them without either.
vectors: ## record again what Kafka Streams says to the topologies of streams/tests/vectors (ARGS=tumbling for some of them)
	streams/tests/vectors/record $(ARGS)

# The dependencies are those of `make demo`; only our own crates are built again, without checks and at full optimisation.
bench: tools ## the benches of benches/, one question a file; `make bench ARGS='--bench append_vs_dd'` for one
	CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false CARGO_PROFILE_DEV_OVERFLOW_CHECKS=false CARGO_PROFILE_DEV_OPT_LEVEL=3 \
		cargo bench --profile dev -p millpond $(ARGS)

# In the release profile, as users run it: the dependencies are built once more. Half an hour on two quiet cores; goes on where it was stopped.
# Needs Java and Maven. ARGS='--size small' for a look whether it works.
bench-streams: tools ## the Streams jobs beside Kafka Streams on Apache Kafka; writes docs/streams-compare.md
	cargo bench -p millpond-streams --bench jobs --no-run
	benches/streams/compare.py $(if $(ARGS),$(ARGS),--size full --publish)

# Built as for `make test`; the report goes to stdout, docs/soak.json and docs/soak.svg.
soak: tools ## MINUTES=30 of two jobs and a broker under load with random faults, compared with the input all the while, memory measured
	SOAK_OUT=$(CURDIR)/docs/soak cargo test -p millpond-streams --test crash -- --soak

tools:
	@scripts/ensure-tools
