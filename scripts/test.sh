#!/bin/sh
# Runs every test. Everything they need is built here; nothing has to be running.
set -eu
cd "$(dirname "$0")/.."

echo "checking that the deliberate faults of sim/mutations still apply"
for fault in sim/mutations/*.patch; do git apply --check "$fault"; done
echo "building the tests"
cargo test --workspace --no-run
# Property tests draw from it: what fails once fails again with the same one.
PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-$(date +%s)}"
export PROPTEST_RNG_SEED
echo "property tests run with PROPTEST_RNG_SEED=$PROPTEST_RNG_SEED"
echo "running the tests; those that start the binary take the longest"
cargo test --workspace
