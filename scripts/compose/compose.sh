#!/bin/sh
# Compose with the project's file, wherever it is called from.
exec docker compose -f "$(dirname "$0")/../../compose/docker-compose.yml" "$@"
