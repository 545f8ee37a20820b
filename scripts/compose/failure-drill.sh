#!/bin/sh
# Stops MySQL, Redis and Kafka one after another, buys meanwhile, and sees that what was away gets everything when it is back.
set -eu
cd "$(dirname "$0")/../.."

compose=./scripts/compose/compose.sh
fail() { echo "failure-drill: $*" >&2; exit 1; }
ready() { curl -s http://127.0.0.1:8080/readyz; }

for service in mysql redis kafka; do
    echo "failure-drill: $service stops"
    $compose stop "$service"
    E2E_SINKS=no ./scripts/compose/e2e.sh "without-$service-$(date +%s)-$$"
    tries=0
    until ready | grep -q "\"dependency\":\"$service\""; do
        tries=$((tries + 1))
        [ $tries -lt 120 ] || fail "nobody says that $service is away: $(ready)"
        sleep 0.5
    done
    $compose start "$service"
    tries=0
    until curl -fsS http://127.0.0.1:8080/readyz >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 240 ] || fail "$service is back, and not filled: $(ready)"
        sleep 0.5
    done
    ./scripts/compose/e2e.sh "after-$service-$(date +%s)-$$"
done
echo "failure-drill: each was away, sales went on, and each has everything"
