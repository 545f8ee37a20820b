//! The `interlock` binary: reads the command line and the settings, then sells, or looks into a data directory.

mod backend;
mod backup;
mod catalogue;
mod cli;
mod clock_gap;
mod clocks;
mod config;
mod control;
mod core;
mod descriptors;
mod desk;
mod grpc;
mod health;
mod links;
mod log_events;
mod log_space;
mod log_tools;
mod logging;
mod mailbox;
mod metrics;
mod parents;
mod process;
mod record_json;
mod serve;
mod settings;
mod sink_tools;
mod sinks;
mod tickets;
mod timetable_file;

use std::process::ExitCode;

use cli::Action;
use config::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code of a process that cannot promise anything any more: its disk failed, or a part of it did.
pub(crate) const EXIT_FATAL: i32 = 70;

fn main() -> ExitCode {
    let done = match cli::read() {
        Ok(Action::Serve(settings)) => Config::to_serve(&settings).map_err(Into::into).and_then(|config| {
            logging::start(&config)?;
            // From here on a panic anywhere ends the process: no core goes on without the others.
            logging::end_on_panic();
            serve::serve(&config)
        }),
        Ok(Action::Config(settings)) => Config::to_serve(&settings).map_err(Into::into).and_then(|config| {
            let found = [
                ("cores", config.cores.to_string()),
                ("state_bytes", config.state_bytes.to_string()),
                ("ad_hoc", config.ad_hoc_word().to_owned()),
            ];
            log_tools::say(&settings.print(&found))
        }),
        Ok(Action::Health(settings)) => {
            Config::new(&settings).map_err(Into::into).and_then(|config| health::ask(&config))
        }
        Ok(Action::LogCheck(dir)) => log_tools::check(&dir),
        Ok(Action::LogDump(dir)) => log_tools::dump(&dir),
        Ok(Action::LogEvents { dir, is_followed }) => log_events::print(&dir, is_followed),
        Ok(Action::TimetableCheck { feed, formations }) => {
            timetable_file::check(&feed, formations.as_deref())
        }
        Ok(Action::Migrate(settings)) => {
            Config::new(&settings).map_err(Into::into).and_then(|config| sink_tools::migrate(&config))
        }
        Ok(Action::Backup { from, to, read_model }) => backup::back_up(&from, &to, read_model),
        Ok(Action::Restore { from, to, read_model }) => backup::restore(&from, &to, read_model),
        Ok(Action::Status(dir)) => sink_tools::status(&dir),
        Ok(Action::Sinks(dir, action)) => sink_tools::sinks(&dir, &action),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::say_last(&format!("interlock: {error}"));
            ExitCode::FAILURE
        }
    }
}
