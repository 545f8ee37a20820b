//! The command line: the subcommands and their flags, and the answer to a mistake.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::settings::{RETIRED, SETTINGS, Settings, SettingsError};

/// One of the program's subcommands, with its arguments.
#[derive(Debug)]
pub(crate) enum Action {
    Serve(Settings),
    /// Prints the settings in force and where each value comes from.
    Config(Settings),
    LogCheck(PathBuf),
    LogDump(PathBuf),
}

/// Reads the command line and the settings behind it. Exits by itself on `--help`, `--version` and mistakes.
pub(crate) fn read() -> Result<Action, SettingsError> {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("serve", matches)) => Ok(Action::Serve(settings(matches)?)),
        Some(("config", matches)) => Ok(Action::Config(settings(matches)?)),
        Some(("log", matches)) => match matches.subcommand() {
            Some(("check", matches)) => Ok(Action::LogCheck(dir(matches))),
            Some(("dump", matches)) => Ok(Action::LogDump(dir(matches))),
            _ => unreachable!("clap requires a subcommand"),
        },
        _ => unreachable!("clap requires a subcommand"),
    }
}

fn settings(matches: &ArgMatches) -> Result<Settings, SettingsError> {
    let file = matches.get_one::<String>("config").map(PathBuf::from);
    let env = |name: &str| std::env::var_os(name);
    let flag = |name: &str| matches.get_one::<String>(name).cloned();
    Settings::merge(file.as_deref(), env, flag)
}

fn dir(matches: &ArgMatches) -> PathBuf {
    PathBuf::from(matches.get_one::<String>("dir").expect("clap requires it"))
}

fn command() -> Command {
    let dir = || Arg::new("dir").value_name("DIR").required(true).help("a data directory");
    Command::new("interlock")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sells seats by stretch of track: never twice, never lost.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_settings(Command::new("serve").about("Sell seats")))
        .subcommand(with_settings(
            Command::new("config").about("Print the settings in force and where each value comes from"),
        ))
        .subcommand(
            Command::new("log")
                .about("Look into a stopped data directory without writing to it")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(
                    Command::new("check").about("Verify all of it and print what it holds").arg(dir()),
                )
                .subcommand(
                    Command::new("dump").about("Print the records of its logs as JSON lines").arg(dir()),
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
