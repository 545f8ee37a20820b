#!/bin/bash
# Clients of the gRPC port as users have them: stubs made from the `.proto` by Python's and Go's own tools, in target/grpc-clients.
# What is there already is left as it is, unless the `.proto` or a client has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/grpc-clients
proto=grpc/proto/seatallocator/v1/seat_allocator.proto
plugins=(google.golang.org/protobuf/cmd/protoc-gen-go@v1.34.2 google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.4.0)

say() { echo "grpc-clients: $*" >&2; }
is_made() { [ -e "$1" ] && [ -z "$(find "$proto" "grpc/clients" scripts/grpc-clients.sh -newer "$1" -print -quit)" ]; }

install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { say "$* must be installed"; exit 1; }
    say "installing $*"
    apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$@" >/dev/null 2>&1; }
    apt_install "$@" || { apt-get update -qq && apt_install "$@"; }
}

python_client() {
    local dir=$out/python
    is_made "$dir/made" && return
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv
    say "making the client in Python"
    rm -rf "$dir" && python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check -r grpc/clients/python/requirements.txt
    mkdir "$dir/gen"
    "$dir/bin/python" -m grpc_tools.protoc -I grpc/proto --python_out="$dir/gen" --grpc_python_out="$dir/gen" "$proto"
    cp grpc/clients/python/allocate.py "$dir/gen/"
    touch "$dir/made"
}

# Python's tools bring the compiler that makes Go's stubs as well.
go_client() {
    local dir=$out/go
    is_made "$dir/made" && return
    command -v go >/dev/null || install golang-go ca-certificates
    say "making the client in Go"
    rm -rf "$dir" && mkdir -p "$dir/src"
    cp grpc/clients/go/* "$dir/src/"
    local here
    here=$PWD
    for plugin in "${plugins[@]}"; do GOBIN="$here/$dir/bin" go install "$plugin"; done
    PATH="$here/$dir/bin:$PATH" "$out/python/bin/python" -m grpc_tools.protoc -I grpc/proto \
        --go_out="$dir/src" --go_opt=module=interlock --go-grpc_out="$dir/src" --go-grpc_opt=module=interlock "$proto"
    (cd "$dir/src" && go build -o ../allocate .)
    touch "$dir/made"
}

python_client
go_client
