#!/bin/sh
# Licences, advisories and sources of dependencies. What the network does not give is skipped with a clear line.
set -eu
cd "$(dirname "$0")/.."

VERSION=0.20.2
if ! cargo deny --version 2>/dev/null | grep -q "$VERSION"; then
    echo "installing cargo-deny $VERSION (once; it takes some minutes)"
    if ! cargo install --quiet --locked --version "$VERSION" cargo-deny; then
        echo "SKIPPED: licences, bans, sources and advisories (cargo-deny cannot be installed from here)"
        exit 0
    fi
fi
echo "checking licences, bans and sources of dependencies"
cargo deny --all-features --log-level error check bans licenses sources
if cargo deny --all-features fetch db >/dev/null 2>&1; then
    echo "checking advisories"
    cargo deny --all-features check --disable-fetch advisories
else
    echo "SKIPPED: advisories (the advisory database cannot be fetched from here)"
fi
