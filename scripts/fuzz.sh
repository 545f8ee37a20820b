#!/bin/sh
# Runs every fuzz target for so many seconds, from the corpus that is kept. What is found on the way stays in target/fuzz;
# what fails is written there, and becomes a file of fuzz/corpus once it is mended.
set -eu
cd "$(dirname "$0")/.."

seconds="$1"
command -v cargo-fuzz > /dev/null || { echo "cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }
mkdir -p target/fuzz
for target in frames snapshot http grpc feed; do
    echo "fuzzing $target for $seconds seconds"
    mkdir -p "target/fuzz/$target"
    CARGO_TARGET_DIR=target/fuzz/build cargo +nightly fuzz run --fuzz-dir fuzz/libfuzzer "$target" \
        "target/fuzz/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=4096 -artifact_prefix="target/fuzz/$target-"
done
