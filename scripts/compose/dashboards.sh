#!/bin/sh
# Asks a running Prometheus every expression of the dashboards, and says which of them it does not take, or finds nothing for although there was a
# purchase. Needs curl and Python 3.
set -eu
cd "$(dirname "$0")/../.."

exec python3 -B - "${1:-http://127.0.0.1:9090}" compose/grafana/dashboards/*.json <<'PYTHON'
import json, sys, time, urllib.parse, urllib.request

server, files = sys.argv[1], sys.argv[2:]
# Nothing of these happens in a purchase.
MAY_BE_EMPTY = ("grpc_", '5..', "interlock_ticket_worker")


def ask(expression):
    expression = expression.replace("$__rate_interval", "30s")
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{server}/api/v1/query?{query}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


wrong, asked = [], 0
for file in files:
    for panel in json.load(open(file))["panels"]:
        for target in panel["targets"]:
            asked += 1
            expression = target["expr"]
            deadline = time.time() + 60
            while not (found := ask(expression)) and time.time() < deadline:
                if any(rare in expression for rare in MAY_BE_EMPTY):
                    break
                time.sleep(1)
            if not found and not any(rare in expression for rare in MAY_BE_EMPTY):
                wrong.append(f"{file}: {panel['title']}: nothing for {expression}")
for line in wrong:
    print(line, file=sys.stderr)
print(f"dashboards: {asked} expressions asked, {len(wrong)} without an answer")
sys.exit(bool(wrong))
PYTHON
