#!/bin/sh
# Runs every test. Everything they need is built here; nothing has to be running.
set -eu
cd "$(dirname "$0")/.."

if ! ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing libfaketime: some tests start the server under a wrong clock"
    { apt-get install -qqy libfaketime || { apt-get update -qq && apt-get install -qqy libfaketime; }; } >/dev/null 2>&1 ||
        echo "libfaketime cannot be installed: those tests say that they are skipped"
fi
services=target/services/shared
trap './scripts/services.sh down "$services"' EXIT
without_services=
if ! ./scripts/services.sh up "$services"; then
    echo "SKIPPED: MySQL, Redis and Kafka cannot be had here, so what needs them is not tested"
    without_services="--skip mysql:: --skip redis:: --skip kafka:: --skip outer:: --skip the_read_model_agrees_with_http"
fi
without_clients=
if ! ./scripts/grpc-clients.sh; then
    echo "SKIPPED: clients of the gRPC port in Python and Go cannot be had here, so they are not tested"
    without_clients="--skip grpc::clients"
fi
echo "checking the alerts"
if ./scripts/alerts.sh; then :; elif [ $? = 3 ]; then
    echo "SKIPPED: Prometheus' own tool cannot be had here, so the alerts are not checked"
else
    exit 1
fi
echo "checking that the deliberate faults of sim/mutations still apply"
for fault in sim/mutations/*.patch; do git apply --check "$fault"; done
echo "building the tests"
cargo test --workspace --no-run
# Property tests draw from it: what fails once fails again with the same one.
PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-$(date +%s)}"
export PROPTEST_RNG_SEED
echo "property tests run with PROPTEST_RNG_SEED=$PROPTEST_RNG_SEED"
echo "running the tests; those that start the binary take the longest"
# shellcheck disable=SC2086 # several words
cargo test --workspace -- $without_services $without_clients
