//! Throughput of the sinks, in whole orders a second. Not run by itself: figures, not checks.
//!
//! `cargo test --release -p bridge --test speed -- --ignored --nocapture --test-threads 1 [read_model|mysql|redis|kafka]`

mod orders;
mod outer;
mod read_model;
