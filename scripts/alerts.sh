#!/bin/sh
# Checks what Prometheus is given, and that each alert fires when its cause has lasted and clears when it has gone. Prometheus' own tool is taken
# from its Debian package, which is unpacked below target/ and not installed. Ends with 3 where it cannot be had.
set -eu
cd "$(dirname "$0")/.."

promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
    promtool=$PWD/target/prometheus/usr/bin/promtool
    if [ ! -x "$promtool" ]; then
        echo "alerts: fetching Prometheus' own tool" >&2
        rm -rf target/prometheus && mkdir -p target/prometheus
        download() { (cd target/prometheus && apt-get -qq download prometheus 2>/dev/null); }
        { download || { apt-get -qq update && download; }; } && dpkg-deb -x target/prometheus/prometheus_*.deb target/prometheus ||
            { echo "alerts: promtool must be installed" >&2; exit 3; }
    fi
fi
cd compose/prometheus
"$promtool" check config prometheus.yml
"$promtool" test rules alerts_test.yml
