#!/bin/sh
# Licences, advisories and sources of dependencies. The advisory database is fetched where the network allows it.
set -eu
cd "$(dirname "$0")/.."

VERSION=0.20.2
if ! cargo deny --version 2>/dev/null | grep -q "$VERSION"; then
    echo "installing cargo-deny $VERSION (once; it takes some minutes)"
    cargo install --quiet --locked --version "$VERSION" cargo-deny
fi
echo "checking licences, bans and sources of dependencies"
cargo deny --all-features check bans licenses sources
if cargo deny --all-features fetch db >/dev/null 2>&1; then
    echo "checking advisories"
    cargo deny --all-features check --disable-fetch advisories
else
    echo "SKIPPED: advisories (the advisory database cannot be fetched from here)"
fi
