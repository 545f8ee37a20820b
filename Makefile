# Every command of the project. `make help` lists them; `just` has the same recipes.

# Scripts and recipes take the programs from here, wherever else the caller's other projects are built.
export CARGO_TARGET_DIR := $(CURDIR)/target

CARGO ?= cargo
RUN_ARGS ?=
SEEDS ?= 0..10000
CYCLES ?= 100
DRILL ?= kill
DRILL_ARGS ?=
REV ?= 2c25241
SECONDS ?= 60
CRATES ?= allocator shard engine wal

.DEFAULT_GOAL := help
.PHONY: help run build test services services-down upgrade soak mutations mutants drill fuzz perf check fmt deny clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: build ## Sell seats of the built-in timetable on http://127.0.0.1:8080 (RUN_ARGS="--cores 1 ..." for more)
	@./scripts/run.sh $(RUN_ARGS)

build: ## Build the release binary
	@echo "building target/release/interlock (the first time takes some minutes)"
	@$(CARGO) build --release --package server

test: check ## Run every check and every test
	@./scripts/test.sh

services: ## Start MariaDB, Redis and Kafka for trying things out, and say where they are (stop: make services-down)
	@./scripts/services.sh up target/services/local
	@cat target/services/local/env

services-down: ## Stop them
	@./scripts/services.sh down target/services/local

upgrade: build ## Prove that a data directory of an old version opens and answers the same (REV=2c25241; Python 3)
	@CARGO="$(CARGO)" ./scripts/upgrade.sh $(REV)

soak: ## Run any seeds in the simulator (SEEDS=A..B); takes up where it was stopped
	@$(CARGO) build --profile soak --package sim
	@./target/soak/sim seeds $(SEEDS) --resume target/soak-$(SEEDS).txt

mutations: ## Let the simulator find every deliberate fault of sim/mutations
	@./scripts/mutations.sh

mutants: ## Change every place of CRATES="allocator shard engine wal" and see a test fail (SHARD=0/4: a sample; cargo-mutants)
	@./scripts/mutants.sh $(CRATES)

check: fmt ## Format, lints (warnings are errors), documentation, dependencies
	@echo "checking lints"
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@echo "checking that the documentation builds"
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	@$(MAKE) --no-print-directory deny

fmt: ## Check the formatting
	@echo "checking the formatting"
	@$(CARGO) fmt --all --check

deny: ## Check licences, advisories and sources of dependencies
	@./scripts/deny.sh

drill: build ## Kill the server under load and audit every answer (CYCLES=1000; DRILL=power, full, bridge, all, ...: cargo run -p drill -- --help)
	@$(CARGO) run --quiet --package drill -- $(DRILL) --cycles $(CYCLES) $(DRILL_ARGS)

fuzz: ## Run each fuzz target for SECONDS=60 (nightly compiler, cargo-fuzz)
	@./scripts/fuzz.sh $(SECONDS)

perf: build ## Measure everything, in less than 20 minutes (target/perf/index.html); two binaries: target/release/perf compare OLD NEW
	@$(CARGO) build --release --package perf
	@./perf/run.sh

clean: ## Remove what was built
	@$(CARGO) clean
