//! Black-box tests: they start the built binary, talk to it over its sockets, and link none of its code.

mod backup;
mod bad_input;
#[path = "../../../net/tests/bad_requests/mod.rs"]
mod bad_requests;
mod contract;
mod crash;
mod crowds;
mod expiry;
mod grpc;
mod memory;
mod national;
mod outer;
mod process;
mod readme;
mod retention;
mod sell;
mod sinks;
mod support;
