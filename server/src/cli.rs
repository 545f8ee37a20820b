//! The command line: the subcommands and their flags, and the answer to a mistake.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::{RETIRED, SETTINGS, Settings, SettingsError};
use crate::sink_tools::SinkAction;

/// One of the program's subcommands, with its arguments.
#[derive(Debug)]
pub(crate) enum Action {
    Serve(Settings),
    /// Prints the settings in force and where each value comes from.
    Config(Settings),
    /// Asks a server whether it is ready.
    Health(Settings),
    LogCheck(PathBuf),
    LogDump(PathBuf),
    LogEvents {
        dir: PathBuf,
        is_followed: bool,
    },
    /// Prints what is loaded of a feed, and what is not.
    TimetableCheck {
        feed: PathBuf,
        formations: Option<PathBuf>,
    },
    /// Brings the tables of MySQL up to date.
    Migrate(Settings),
    /// Copies a data directory to a directory of its own.
    Backup {
        from: PathBuf,
        to: PathBuf,
        read_model: Option<PathBuf>,
    },
    /// Makes a data directory of a backup.
    Restore {
        from: PathBuf,
        to: PathBuf,
        read_model: Option<PathBuf>,
    },
    Status(PathBuf),
    Sinks(PathBuf, SinkAction),
}

/// Reads the command line and the settings behind it. Exits by itself on `--help`, `--version` and mistakes.
pub(crate) fn read() -> Result<Action, SettingsError> {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", matches)) => Ok(Action::Serve(settings(matches)?)),
        Some(("config", matches)) => Ok(Action::Config(settings(matches)?)),
        Some(("health", matches)) => Ok(Action::Health(settings(matches)?)),
        Some(("log", matches)) => match matches.subcommand() {
            Some(("check", matches)) => Ok(Action::LogCheck(path(matches, "dir"))),
            Some(("dump", matches)) => Ok(Action::LogDump(path(matches, "dir"))),
            Some(("events", matches)) => {
                Ok(Action::LogEvents { dir: usual_dir(matches), is_followed: matches.get_flag("follow") })
            }
            _ => unreachable!("clap requires a subcommand"),
        },
        Some(("timetable", matches)) => match matches.subcommand() {
            Some(("check", matches)) => Ok(Action::TimetableCheck {
                feed: path(matches, "feed"),
                formations: matches.get_one::<String>("formations").map(PathBuf::from),
            }),
            _ => unreachable!("clap requires a subcommand"),
        },
        Some(("migrate", matches)) => Ok(Action::Migrate(settings(matches)?)),
        Some(("backup", matches)) => Ok(Action::Backup {
            from: usual_dir(matches),
            to: path(matches, "backup"),
            read_model: read_model(matches),
        }),
        Some(("restore", matches)) => Ok(Action::Restore {
            from: path(matches, "backup"),
            to: usual_dir(matches),
            read_model: read_model(matches),
        }),
        Some(("status", matches)) => Ok(Action::Status(usual_dir(matches))),
        Some(("sink", matches)) => match matches.subcommand() {
            Some(("list", matches)) => Ok(Action::Sinks(usual_dir(matches), SinkAction::List)),
            Some(("detach", matches)) => {
                Ok(Action::Sinks(usual_dir(matches), SinkAction::Detach { name: name(matches) }))
            }
            Some(("rebuild", matches)) => {
                let action = SinkAction::Rebuild {
                    name: name(matches),
                    accept_loss: matches.get_flag("accept-loss"),
                    read_model: read_model(matches),
                };
                Ok(Action::Sinks(usual_dir(matches), action))
            }
            _ => unreachable!("clap requires a subcommand"),
        },
        _ => unreachable!("clap requires a subcommand"),
    }
}

/// An argument, or else the setting of this name in the environment.
fn set(matches: &ArgMatches, argument: &str, variable: &str) -> Option<String> {
    let given = matches.get_one::<String>(argument).cloned();
    given.or_else(|| std::env::var(variable).ok()).filter(|value| !value.is_empty())
}

/// The data directory that is named, or the one that a server would take.
fn usual_dir(matches: &ArgMatches) -> PathBuf {
    set(matches, "dir", "INTERLOCK_DATA_DIR").unwrap_or_else(|| "data".to_owned()).into()
}

fn name(matches: &ArgMatches) -> String {
    matches.get_one::<String>("name").expect("clap requires it").clone()
}

fn settings(matches: &ArgMatches) -> Result<Settings, SettingsError> {
    let file = matches.get_one::<String>("config").map(PathBuf::from);
    let env = |name: &str| std::env::var_os(name);
    let flag = |name: &str| matches.get_one::<String>(name).cloned();
    Settings::merge(file.as_deref(), env, flag)
}

fn path(matches: &ArgMatches, argument: &str) -> PathBuf {
    PathBuf::from(matches.get_one::<String>(argument).expect("clap requires it"))
}

fn read_model(matches: &ArgMatches) -> Option<PathBuf> {
    set(matches, "read-model", "INTERLOCK_READ_MODEL").map(PathBuf::from)
}

fn command() -> Command {
    let dir = || Arg::new("dir").value_name("DIR").required(true).help("a data directory");
    let usual_dir = || Arg::new("dir").value_name("DIR").help("a data directory [data] (INTERLOCK_DATA_DIR)");
    let data_dir = || usual_dir().long("data-dir");
    let backup = |help: &'static str| Arg::new("backup").value_name("DIR").required(true).help(help);
    let read_model =
        |help: &'static str| Arg::new("read-model").long("read-model").value_name("FILE").help(help);
    let name = || Arg::new("name").value_name("NAME").required(true).help("a sink, as `sink list` names it");
    Command::new("interlock")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sells seats by stretch of track: never twice, never lost.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(Command::new("serve").about("Sell seats")))
        .subcommand(with_settings(
            Command::new("config").about("Print the settings in force and where each value comes from"),
        ))
        .subcommand(with_settings(
            Command::new("health").about("Ask the server of these settings whether it is ready"),
        ))
        .subcommand(
            Command::new("log")
                .about("Look into a data directory without writing to it")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    Command::new("check")
                        .about("Verify all of it, stopped, and print what it holds")
                        .arg(dir()),
                )
                .subcommand(
                    Command::new("dump")
                        .about("Print the records of its logs, stopped, as JSON lines")
                        .arg(dir()),
                )
                .subcommand(
                    Command::new("events")
                        .about("Print the events of its logs, stopped or running, as JSON lines")
                        .arg(
                            Arg::new("follow")
                                .long("follow")
                                .action(ArgAction::SetTrue)
                                .help("go on while the server runs"),
                        )
                        .arg(usual_dir()),
                ),
        )
        .subcommand(
            Command::new("timetable")
                .about("Look at a feed before it is sold")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    Command::new("check")
                        .about("Print what is loaded of a GTFS feed and what is not; fails where that is anything")
                        .arg(
                            Arg::new("feed").value_name("PATH").required(true).help("a directory or a zip file"),
                        )
                        .arg(
                            Arg::new("formations")
                                .long("formations")
                                .value_name("FILE")
                                .help("coaches and seats of each kind of train [beside the feed, else built in]"),
                        ),
                ),
        )
        .subcommand(with_settings(
            Command::new("migrate").about("Bring the tables of MYSQL_DSN up to date, as a start does"),
        ))
        .subcommand(
            Command::new("backup")
                .about(
                    "Copy what a data directory holds at one moment, stopped or while a server sells from it",
                )
                .arg(backup("the directory of the backup, absent or empty"))
                .arg(read_model("where the read model is, for a stopped directory (INTERLOCK_READ_MODEL)"))
                .arg(data_dir()),
        )
        .subcommand(
            Command::new("restore")
                .about("Make a data directory, absent or empty, of a backup")
                .arg(backup("the directory of the backup"))
                .arg(read_model(
                    "where the read model is to be [in the data directory] (INTERLOCK_READ_MODEL)",
                ))
                .arg(data_dir()),
        )
        .subcommand(Command::new("status").about("One screen about a running server").arg(data_dir()))
        .subcommand(
            Command::new("sink")
                .about("Who follows the log: list, detach, fill anew")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(Command::new("list").about("How each sink is").arg(data_dir()))
                .subcommand(
                    Command::new("detach")
                        .about("Keep nothing for a sink any more")
                        .arg(name())
                        .arg(data_dir()),
                )
                .subcommand(
                    Command::new("rebuild")
                        .about("Throw away what a sink has, and fill it anew from the engine's state")
                        .arg(name())
                        .arg(
                            Arg::new("accept-loss")
                                .long("accept-loss")
                                .action(ArgAction::SetTrue)
                                .help("of histories, and of orders that the engine no longer has"),
                        )
                        .arg(read_model(
                            "where the read model is, for a stopped directory (INTERLOCK_READ_MODEL)",
                        ))
                        .arg(data_dir()),
                ),
        )
}

fn with_settings(command: Command) -> Command {
    let file = Arg::new("config").long("config").value_name("FILE").help("a TOML file of settings");
    let command = RETIRED.iter().fold(command.arg(file), |command, retired| {
        let flag = retired.name.replace('_', "-");
        command.arg(Arg::new(retired.name).long(flag).value_name("VALUE").hide(true))
    });
    SETTINGS.iter().fold(command, |command, setting| {
        let default =
            if setting.default.is_empty() { String::new() } else { format!(" [{}]", setting.default) };
        let help = format!("{}{default} ({})", setting.help, setting.env);
        let flag = setting.name.replace('_', "-");
        let arg = Arg::new(setting.name).long(flag).value_name(setting.value_name).help(help);
        command.arg(arg.allow_negative_numbers(true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, named) in [
            (vec!["interlock", "serve", "--coers", "2"], "--coers"),
            (vec!["interlock", "sell"], "sell"),
            (vec!["interlock", "log", "check"], "<DIR>"),
            (vec!["interlock", "serve", "--cores"], "--cores"),
        ] {
            let error = command().try_get_matches_from(&arguments).expect_err("a mistake").to_string();
            assert!(error.contains(named), "{arguments:?}: {error}");
        }
    }
}
