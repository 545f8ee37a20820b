//! `interlock status` and `interlock sink`: asked of the server that has the directory open, or done to a stopped directory.

use std::path::{Path, PathBuf};

use bridge::mysql::MySql;
use bridge::read_model;
use serde_json::{Value, json};
use wal::{DataDir, Options, inspect};

use crate::config::Config;
use crate::control::{Answered, ask};
use crate::log_tools::say;
use crate::sinks::READ_MODEL;

type Error = Box<dyn std::error::Error>;

/// An operator's command about sinks.
#[derive(Debug)]
pub(crate) enum SinkAction {
    List,
    Detach { name: String },
    Rebuild { name: String, accept_loss: bool, read_model: Option<PathBuf> },
}

/// One screen about the server that has the directory open.
///
/// # Errors
/// There is none.
pub(crate) fn status(dir: &Path) -> Result<(), Error> {
    match ask(dir, &json!({ "command": "status" }))? {
        Answered::By(answer) => say(text(&answer)),
        Answered::NobodyThere => Err(format!("no server has {} open", dir.display()).into()),
    }
}

/// Brings the tables of MySQL up to date.
///
/// # Errors
/// There is none, or it cannot be reached.
pub(crate) fn migrate(config: &Config) -> Result<(), Error> {
    let Some(dsn) = &config.mysql else { return Err("no MYSQL_DSN is set".into()) };
    let run = MySql::migrate(dsn)?;
    if run.is_empty() {
        return say(&format!("{dsn} is up to date\n"));
    }
    say(&format!("{dsn}: {}\n", run.join(", ")))
}

/// Lists or changes the sinks of a directory.
///
/// # Errors
/// There is no such sink or directory, or it cannot be changed.
pub(crate) fn sinks(dir: &Path, action: &SinkAction) -> Result<(), Error> {
    let request = match action {
        SinkAction::List => json!({ "command": "sink_list" }),
        SinkAction::Detach { name } => json!({ "command": "sink_detach", "name": name }),
        SinkAction::Rebuild { name, accept_loss, .. } => {
            json!({ "command": "sink_rebuild", "name": name, "accept_loss": accept_loss })
        }
    };
    match ask(dir, &request)? {
        Answered::By(answer) => say(text(&answer)),
        Answered::NobodyThere => stopped(dir, action),
    }
}

fn text(answer: &Value) -> &str {
    answer["text"].as_str().unwrap_or("the server's answer makes no sense\n")
}

/// On a directory that nobody has open.
fn stopped(dir: &Path, action: &SinkAction) -> Result<(), Error> {
    if let SinkAction::List = action {
        let report = inspect::check(dir)?;
        let mut said = String::new();
        for sink in &report.sinks.sinks {
            let known = if sink.relied.is_some() { "registered" } else { "registered, with nothing yet" };
            said.push_str(&format!("{}: {known}\n", sink.name));
        }
        return say(if said.is_empty() { "no sink is registered\n" } else { &said });
    }
    // Only a directory that is one is opened: opening would make it.
    let report = inspect::check(dir)?;
    let registry = DataDir::open(dir, &Options::default())?;
    let mut registry = registry.sink_registry();
    if let Some(problem) = registry.problem() {
        return Err(problem.to_owned().into());
    }
    let (SinkAction::Detach { name } | SinkAction::Rebuild { name, .. }) = action else {
        unreachable!("a list is no change")
    };
    if report.sinks.get(name).is_none() {
        return Err(format!("no sink {name} is registered").into());
    }
    match action {
        SinkAction::List => {}
        SinkAction::Detach { name } => {
            registry.detach(name)?;
            say(&format!("{name} is detached: nothing is kept for it any more\n"))?;
        }
        SinkAction::Rebuild { name, accept_loss, read_model: path } => {
            if name != READ_MODEL {
                return Err(format!(
                    "{name} is filled anew by a running server: start it, whatever state {name} is in"
                )
                .into());
            }
            if !accept_loss {
                return Err("the read model has what the engine no longer has: histories, and orders that have left. A rebuild \
                     throws it away and fills a new one from the engine. Restore the file instead, or say --accept-loss"
                    .into());
            }
            registry.forget(name)?;
            let path = path.clone().unwrap_or_else(|| dir.join(crate::config::READ_MODEL_FILE));
            read_model::remove(&path)?;
            say(&format!("{name} is filled anew by the next start\n"))?;
        }
    }
    Ok(())
}
