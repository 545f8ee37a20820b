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
SERVICE ?=
COMPOSE := ./scripts/compose/compose.sh

.DEFAULT_GOAL := help
.PHONY: help run build test services services-down upgrade soak mutations mutants drill fuzz perf check fmt deny \
	image up down ps logs restart rebuild init health e2e failure-drill test-compose gen clean clean-build

help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

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

image: build ## Make the container image `interlock` of the release binary
	@./scripts/image-files.sh target/release/interlock target/image
	@docker build -q -f compose/Dockerfile --target prebuilt -t interlock . >/dev/null
	@docker image inspect -f 'image: interlock, {{.Size}} bytes' interlock

up: ## Start Interlock with MySQL, Redis, Kafka, Prometheus and Grafana by Docker Compose, and wait until all are healthy
	@$(COMPOSE) up -d --wait

down: ## Stop them; what they keep stays (make clean removes it)
	@$(COMPOSE) down

ps: ## How they are
	@$(COMPOSE) ps -a

logs: ## What they say, as it comes (SERVICE=interlock: one alone)
	@$(COMPOSE) logs -f --tail 100 $(SERVICE)

restart: ## Restart Interlock
	@$(COMPOSE) restart interlock

rebuild: ## Make Interlock's image anew, of the sources, and start it
	@$(COMPOSE) build interlock
	@$(COMPOSE) up -d --wait interlock

init: ## Bring the tables of MySQL up to date and make the topics of Kafka, as `make up` does
	@$(COMPOSE) up --exit-code-from migrate migrate
	@$(COMPOSE) up --exit-code-from topics-init topics-init

health: ## Ask Interlock whether it is ready, and what is missing
	@curl -sS http://127.0.0.1:8081/readyz
	@curl -sS http://127.0.0.1:8080/readyz

e2e: ## Buy a ticket from what `make up` started, and look for it in MySQL and Kafka
	@./scripts/compose/e2e.sh

failure-drill: ## Stop MySQL, Redis and Kafka one after another, buy meanwhile, and see everything arrive
	@./scripts/compose/failure-drill.sh

test-compose: ## Run all of that with a Docker daemon of its own, and stand-ins for images that cannot be pulled (root, Debian, Go, Node)
	@./scripts/compose/test.sh

gen: ## Make the types of the gRPC port, and its clients in Go and Python below target/grpc-clients
	@$(CARGO) build --package grpc
	@./scripts/grpc-clients.sh

clean: ## Stop what `make up` started and remove what it kept
	@$(COMPOSE) down -v

clean-build: ## Remove what was built
	@$(CARGO) clean
