#!/bin/sh
# Runs every test. Everything they need is built here; nothing has to be running.
set -eu
cd "$(dirname "$0")/.."

echo "building the tests"
cargo test --workspace --no-run
echo "running the tests; those that start the binary take the longest"
cargo test --workspace
