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

# Remove what was built
clean:
    @make clean
