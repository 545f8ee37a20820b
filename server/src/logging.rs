//! Log lines: JSON on standard error, one object each.

use std::io;

use net::logs::JsonLines;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::Config;

/// The service that lines speak of when they are about none in particular.
const SERVICE: &str = "interlock";

pub(crate) fn start(config: &Config) {
    let lines = JsonLines::new(SERVICE, &config.env, &config.version);
    let lines = layer().event_format(lines).with_writer(io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(LevelFilter::from_level(config.log_level))).init();
}

/// A panic of any thread is logged and ends the process.
pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        let trace = std::backtrace::Backtrace::force_capture().to_string();
        tracing::error!(place, backtrace = trace, "internal error, the process ends: {what}");
        std::process::exit(crate::EXIT_FATAL);
    }));
}
