//! Black-box tests: they start the built binary, talk to it over its sockets, and link none of its code.

mod bad_input;
mod contract;
mod crash;
mod expiry;
mod national;
mod process;
mod readme;
mod sell;
mod support;
