#!/bin/bash
# Makes a stand-in for an image that cannot be pulled, under its name, of Debian's packages and Kafka's jars.
#
#   make.sh IMAGE WORK    WORK keeps what was fetched
set -euo pipefail

image=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)
say() { echo "standins: $*" >&2; }

base() {
    docker image inspect standin:base >/dev/null 2>&1 && return
    command -v debootstrap >/dev/null || apt-get install -qqy --no-install-recommends debootstrap >/dev/null
    say "a Debian with MariaDB, Redis, Java and Prometheus (some minutes)"
    rm -rf "$work/root"
    debootstrap --variant=minbase \
        --include=mariadb-server,redis-server,openjdk-17-jre-headless,prometheus,curl,wget,ca-certificates,procps \
        bookworm "$work/root" >"$work/debootstrap.log"
    tar -C "$work/root" -c . | docker import - standin:base >/dev/null
    rm -rf "$work/root"
}

kind=${image%%:*}
kind=${kind##*/}
case "$kind" in
mysql | redis | kafka | prometheus) ;;
*)
    say "$image: there is no stand-in for it"
    exit 0
    ;;
esac
base
context=$work/context-$kind
rm -rf "$context"
mkdir -p "$context"
cp "$here/$kind"* "$context/"
if [ "$kind" = kafka ]; then
    "$here/../../services.sh" install
    cp -r "$here/../../../target/services"/kafka-*/ "$context/libs"
fi
say "$image"
docker build -q -f "$context/$kind.Dockerfile" -t "$image" "$context" >/dev/null
