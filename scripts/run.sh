#!/bin/sh
# Starts the engine on the built-in timetable and says how to try it. Ctrl-C stops it cleanly.
set -eu
cd "$(dirname "$0")/.."

cat <<'TEXT'
Interlock sells seats on http://127.0.0.1:8080 once the log below says "selling".
In another terminal:

  curl -s 'http://127.0.0.1:8080/v1/stations'
  curl -s "http://127.0.0.1:8080/v1/trains?from=BJS&to=SHH&date=$(date +%F)"

README.md goes on from there: create an order, reserve a span, pay, see the ticket.
State is kept in ./data (another place: make run RUN_ARGS="--data-dir DIR"). Ctrl-C stops.

TEXT
exec ./target/release/interlock serve "$@"
