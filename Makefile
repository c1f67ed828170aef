# `make test` needs a Rust toolchain with a C compiler, Python 3, and a network or cache for crates and packages. Everything else it installs
# itself and says so: below target/, tests/clients/.venv and e2e/node_modules, and as root python3-venv and chromium, if they are missing. Where it
# cannot, what needs it is skipped, and that is said, too.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where cargo puts what it builds, also when the environment says otherwise.
TARGET := $(if $(CARGO_TARGET_DIR),$(abspath $(CARGO_TARGET_DIR)),$(CURDIR)/target)
PYTHON ?= python3
VENV := tests/clients/.venv
# The mark inside changes with the pinned versions, so a changed requirements.txt renews the folder.
VENV_READY := $(VENV)/ready
PYTEST_ARGS ?=
BENCH_ARGS ?=

# Seconds for each fuzz target, which of them, and the compiler that can build them.
FUZZ_SECONDS ?= 300
FUZZ_TARGETS ?= $(sort $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_CARGO ?= cargo +nightly

.PHONY: soak help build release run test test-rust test-clients test-console crash bench test-image test-unit sbom deb fuzz check gates ci fmt clean-clients

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# With all that the tests link, so that they find the same crates with the same features and nothing is compiled twice.
build: ## build the node (debug)
	cargo build --locked --workspace --bins --examples

# The commit is for `myfsio version`; a tarball has none.
release: export GIT_COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
release: ## build the node as it is installed, with the commit in `myfsio version`
	cargo build --release --locked --bin myfsio

run: ## run a node for development (config/dev.toml)
	cargo run -- --config config/dev.toml

test: build test-rust test-clients test-console ## all tests: Rust, then S3 clients and a browser against the built node

test-rust: ## unit, property, conformance and raw-socket tests
	cargo test --workspace --locked

test-console: build ## the console in the distribution's Chromium
	MYFSIO_BIN="$(TARGET)/debug/myfsio" e2e/run

ifneq ($(wildcard tests/clients/requirements.txt),)
test-clients: build $(VENV_READY) ## boto3 and the aws cli against the built node
	MYFSIO_BIN="$(TARGET)/debug/myfsio" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	    $(VENV)/bin/python -m pytest tests/clients $(PYTEST_ARGS)

crash: export CRASH_ROUNDS ?= 5
# With the workspace, as `test-rust` has it: of one package alone, cargo would compile it and what it depends on anew, with other features.
crash: build $(VENV_READY) ## power lost at every change, CRASH_ROUNDS times; kill -9 under load for CRASH_SECONDS
	cargo test --workspace --locked --lib storage::tests::crash
	MYFSIO_BIN="$(TARGET)/debug/myfsio" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
	    $(VENV)/bin/python -m pytest tests/clients/test_crash.py tests/clients/test_durability.py $(PYTEST_ARGS)
else
test-clients crash:
	@echo "SKIPPED: $@: tests/clients/requirements.txt is missing, the client tests did NOT run" >&2
endif

$(VENV_READY): tests/clients/requirements.txt
	@echo "Setting up $(VENV): a Python environment with the pinned clients of tests/clients/requirements.txt"
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: installing it"; \
	    apt-get install --yes --quiet python3-venv >/dev/null || { apt-get update --quiet && apt-get install --yes --quiet python3-venv; } >/dev/null; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
	touch $@

# The reference for reads is nginx; without it they are measured alone, and the result says so.
bench: ## all benchmarks with their targets: an hour, 40 GiB below target/; BENCH_ARGS=--quick for a look
	cargo build --release --locked -p myfsio -p myfsio-load
	"$(TARGET)/release/myfsio-load" suite --node "$(TARGET)/release/myfsio" --nginx "$$(load/nginx "$(TARGET)/bench")" \
	    --dir "$(TARGET)/bench" --json "$(TARGET)/bench/suite.json" $(BENCH_ARGS)

soak: ## 256 clients that do everything and leave in the middle, for 20 minutes; SOAK_ARGS="--duration 2m" for less
	cargo build --release --locked -p myfsio -p myfsio-load
	mkdir -p "$(TARGET)/soak"
	"$(TARGET)/release/myfsio-load" soak --node "$(TARGET)/release/myfsio" --dir "$(TARGET)/soak" \
	    --json "$(TARGET)/soak/soak.json" $(SOAK_ARGS)

test-image: build ## the container image: built without a registry, run in every way that the docs tell; installs podman
	packaging/test-image "$(TARGET)/debug/myfsio"

test-unit: build ## the Debian package and its unit, under a systemd of its own; installs systemd-nspawn
	packaging/test-unit "$$(DEB_COMPRESSION=none packaging/deb "$(TARGET)/debug/myfsio" "$(TARGET)/debian/trial")"

deb: release ## the Debian package, below target/debian
	packaging/deb "$(TARGET)/release/myfsio" "$(TARGET)/debian"

sbom: ## what the node is made of, as CycloneDX: target/myfsio.cdx.json
	packaging/sbom "$(TARGET)/myfsio.cdx.json"

fuzz: ## each fuzz target for FUZZ_SECONDS (300), one after the other; needs a nightly compiler
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: installing it"; cargo install --locked cargo-fuzz; }
	$(FUZZ_CARGO) fuzz build
	for target in $(FUZZ_TARGETS); do \
	    echo "==> $$target"; \
	    mkdir -p "fuzz/generated/$$target"; \
	    $(FUZZ_CARGO) fuzz run "$$target" "fuzz/generated/$$target" "fuzz/corpus/$$target" -- \
	        -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0; \
	done

check: ## what a machine judges quickly: format, layers, clippy
	cargo fmt --all --check
	.ci/layers
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings

gates: ## every gate of CI, without the tests
	.ci/run gates

ci: ## all of CI
	.ci/run

fmt: ## format
	cargo fmt --all

clean-clients: ## remove the Python environment
	rm -rf $(VENV)
