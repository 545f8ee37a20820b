#!/bin/bash
# Runs compose/ as a user would: the image, up, a purchase, outages, a restart, down. Where images cannot be pulled, stand-ins of the same names
# are made of Debian's packages. Needs root, Debian, Docker (docker.io), Go, Node and libfaketime; everything it makes is below target/compose
# (COMPOSE_WORK).
set -euo pipefail
cd "$(dirname "$0")/../.."

work=${COMPOSE_WORK:-$PWD/target/compose}
mkdir -p "$work"
say() { echo "test-compose: $*" >&2; }

# A daemon of its own, so that nothing of the machine's is touched.
start_docker() {
    command -v dockerd >/dev/null || apt-get install -qqy --no-install-recommends docker.io >/dev/null
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config DOCKER_BUILDKIT=0
    if ! docker info >/dev/null 2>&1; then
        say "starting a Docker daemon"
        setsid dockerd --data-root "$work/docker" --exec-root "$work/exec" -H "$DOCKER_HOST" --pidfile "$work/dockerd.pid" \
            >"$work/dockerd.log" 2>&1 </dev/null &
        for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
        docker info >/dev/null
    fi
}

# Compose 2 from its Go module: Debian's is the first.
build_compose() {
    local version=v2.40.3 plugin=$DOCKER_CONFIG/cli-plugins/docker-compose
    [ -x "$plugin" ] && return
    say "building Compose $version"
    mkdir -p "$work/compose-src" "$(dirname "$plugin")"
    local module
    module=$(cd "$work/compose-src" && { [ -e go.mod ] || go mod init standin >/dev/null 2>&1; } &&
        go mod download -json "github.com/docker/compose/v2@$version" | sed -nE 's/.*"Dir": "([^"]+)".*/\1/p')
    rm -rf "$work/compose-src/src"
    cp -r "$module" "$work/compose-src/src"
    chmod -R u+w "$work/compose-src/src"
    (cd "$work/compose-src/src" && go build -o "$plugin" ./cmd)
}

# Images of the names in docker-compose.yml, as far as they cannot be pulled.
make_standins() {
    local image
    for image in $(docker compose -f compose/docker-compose.yml config --images | sort -u | grep -v '^interlock$'); do
        docker image inspect "$image" >/dev/null 2>&1 && continue
        timeout 60 docker pull -q "$image" >/dev/null 2>&1 && continue
        ./scripts/compose/standins/make.sh "$image" "$work"
    done
}

./scripts/compose/schema.sh "$work/schema"
start_docker
build_compose
make_standins
make --no-print-directory image
./scripts/alerts.sh
make --no-print-directory drill DRILL=alerts CYCLES=1
compose=./scripts/compose/compose.sh
services=$($compose config --services | grep -vE '^grafana$' | tr '\n' ' ')
if docker image inspect grafana/grafana:11.6.0 >/dev/null 2>&1; then services="$services grafana"; fi
# shellcheck disable=SC2086 # several words
trap '$compose logs --no-color >"$work/logs.txt" 2>&1 || true; $compose down -v --timeout 40 >/dev/null 2>&1 || true' EXIT
say "up: $services"
# shellcheck disable=SC2086
$compose up -d --wait --wait-timeout 300 $services
./scripts/compose/e2e.sh
./scripts/compose/dashboards.sh
./scripts/compose/failure-drill.sh
say "restart"
$compose restart --timeout 40 interlock
for _ in $(seq 120); do curl -fsS http://127.0.0.1:8080/readyz >/dev/null 2>&1 && break; sleep 0.5; done
./scripts/compose/e2e.sh
say "passed"
