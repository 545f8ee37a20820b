#!/bin/sh
# Buys a ticket by the old services' own ports, as a client of the system before would, and looks for it wherever it has to be.
#
#   scripts/compose/e2e.sh [NAME]    NAME tells one run from another
#
# Needs curl, openssl and what `make up` has started.
set -eu
cd "$(dirname "$0")/../.."

name=${1:-e2e-$(date +%s)-$$}
key=${PAYMENT_CALLBACK_SIGN_KEY:-try-it-out}
host=http://127.0.0.1

fail() { echo "e2e: $*" >&2; exit 1; }
post() { curl -fsS -H 'content-type: application/json' -d "$2" "$host:$1" || fail "POST :$1 was refused"; }
field() { sed -nE "s/.*\"$1\":\"([^\"]*)\".*/\1/p"; }
# Until a command prints what is wanted, half a minute at most.
await() {
    what=$1 wanted=$2
    shift 2
    tries=0
    until "$@" 2>/dev/null | grep -q "$wanted"; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || fail "$what does not have it: $("$@" 2>&1 | head -c 500)"
        sleep 0.5
    done
}

order=$(post 8081/orders "{\"idempotency_key\":\"$name\",\"amount_cents\":19900}" | field OrderID)
[ -n "$order" ] || fail "no order"
post 8081/orders/reserve "{\"order_id\":\"$order\",\"partition_key\":\"$name|2099-01-01|2nd\",\"qty\":2}" >/dev/null
signature=$(printf '%s' "$order|txn-$name|SUCCESS" | openssl dgst -sha256 -hmac "$key" | sed 's/.* //')
post 8081/payments/callback \
    "{\"order_id\":\"$order\",\"provider_txn_id\":\"txn-$name\",\"status\":\"SUCCESS\",\"signature\":\"$signature\"}" >/dev/null
await "the order service" '"Status":"TICKETED"' curl -fsS "$host:8081/orders/get?order_id=$order"
await "the query service" '"status":"TICKETED"' curl -fsS "$host:8083/query/orders?order_id=$order"
[ "${E2E_SINKS:-yes}" = no ] || {
    await MySQL TICKETED ./scripts/compose/compose.sh exec -T mysql \
        sh -c "mysql -h 127.0.0.1 -u interlock -p\"\$MYSQL_PASSWORD\" interlock -e \"SELECT status FROM orders WHERE order_id = '$order'\""
    await Kafka "$order" ./scripts/compose/compose.sh exec -T kafka \
        /opt/kafka/bin/kafka-console-consumer.sh --bootstrap-server localhost:19092 --topic ticket.events --from-beginning --timeout-ms 5000
}
echo "e2e: order $order is paid and has its ticket"
