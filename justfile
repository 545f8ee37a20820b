# The recipes of the Makefile, for those who use just.

# List the commands
help:
    @make help

# Sell seats of the built-in timetable on http://127.0.0.1:8080
run *ARGS:
    @make run RUN_ARGS="{{ ARGS }}"

# Build the release binary
build:
    @make build

# Run every check and every test
test:
    @make test

# Start MariaDB, Redis and Kafka for trying things out, and say where they are
services:
    @make services

# Stop them
services-down:
    @make services-down

# Prove that a data directory of an old version opens and answers the same (Python 3)
upgrade REV="2c25241":
    @make upgrade REV="{{ REV }}"

# Run any seeds in the simulator; takes up where it was stopped
soak SEEDS="0..10000":
    @make soak SEEDS="{{ SEEDS }}"

# Let the simulator find every deliberate fault of sim/mutations
mutations:
    @make mutations

# Change every place of the crates and see a test fail; SHARD=0/4 in the environment tries a sample (cargo-mutants)
mutants CRATES="allocator shard engine wal":
    @make mutants CRATES="{{ CRATES }}"

# Format, lints, documentation, dependencies
check:
    @make check

# Check the formatting
fmt:
    @make fmt

# Check licences, advisories and sources of dependencies
deny:
    @make deny

# Kill the server under load and audit every answer
drill CYCLES="100" *ARGS:
    @make drill CYCLES="{{ CYCLES }}" DRILL_ARGS="{{ ARGS }}"

# Run each fuzz target for so many seconds (nightly compiler, cargo-fuzz)
fuzz SECONDS="60":
    @make fuzz SECONDS={{ SECONDS }}

# Measure everything; the report is target/perf/index.html
perf:
    @make perf

# Make the container image `interlock` of the release binary
image:
    @make image

# Start Interlock with MySQL, Redis, Kafka, Prometheus and Grafana by Docker Compose
up:
    @make up

# Stop them; what they keep stays
down:
    @make down

# How they are
ps:
    @make ps

# What they say, as it comes
logs SERVICE="":
    @make logs SERVICE="{{ SERVICE }}"

# Restart Interlock
restart:
    @make restart

# Make Interlock's image anew, of the sources, and start it
rebuild:
    @make rebuild

# Bring the tables of MySQL up to date and make the topics of Kafka
init:
    @make init

# Ask Interlock whether it is ready, and what is missing
health:
    @make health

# Buy a ticket from what `up` started, and look for it in MySQL and Kafka
e2e:
    @make e2e

# Stop MySQL, Redis and Kafka one after another, buy meanwhile, and see everything arrive
failure-drill:
    @make failure-drill

# Run all of that with a Docker daemon of its own, and stand-ins for images that cannot be pulled
test-compose:
    @make test-compose

# Make the types of the gRPC port, and its clients in Go and Python
gen:
    @make gen

# Stop what `up` started and remove what it kept
clean:
    @make clean

# Remove what was built
clean-build:
    @make clean-build
