#!/bin/sh
# Starts the engine, on the built-in timetable unless told otherwise, and says how to try it. Ctrl-C stops it cleanly.
set -eu
cd "$(dirname "$0")/.."

config=$(./target/release/interlock config "$@")
in_force() { printf '%s\n' "$config" | sed -n "s/^$1 = \"\(.*\)\"  # .*/\1/p"; }
host=$(in_force listen)
case "$host" in *:*) host="[$host]" ;; esac
url="http://$host:$((8080 + $(in_force port_offset)))"

cat <<TEXT
Interlock sells seats on $url once the log below says "selling".
In another terminal:

  curl -s '$url/v1/stations'
  curl -s "$url/v1/trains?from=BJS&to=SHH&date=\$(date -d +2days +%F)"

README.md goes on from there: create an order, reserve a span, pay, see the ticket.
State is kept in $(in_force data_dir) (another place: make run RUN_ARGS="--data-dir DIR"). Ctrl-C stops.

TEXT
# Who tries it out comes back after weeks, and finds everything ended: that is told, and no reason not to start.
export INTERLOCK_CLOCK_GAP_MAX="${INTERLOCK_CLOCK_GAP_MAX:-0}"
exec ./target/release/interlock serve "$@"
