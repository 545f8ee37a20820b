//! Every setting, once: its name, its environment variable, its default and what it means. Flags win over the
//! environment, the environment over the file, the file over the defaults. Values are text here; `config` types them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// One setting as users write it.
#[derive(Debug)]
pub(crate) struct Setting {
    /// In the file, and with dashes as a flag.
    pub(crate) name: &'static str,
    pub(crate) env: &'static str,
    /// Empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) value_name: &'static str,
    pub(crate) help: &'static str,
    /// Never printed.
    pub(crate) secret: bool,
}

const fn setting(
    name: &'static str,
    env: &'static str,
    default: &'static str,
    value_name: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, env, default, value_name, help, secret: false }
}

const fn secret(
    name: &'static str,
    env: &'static str,
    value_name: &'static str,
    help: &'static str,
) -> Setting {
    Setting { name, env, default: "", value_name, help, secret: true }
}

pub(crate) const SETTINGS: &[Setting] = &[
    setting("data_dir", "INTERLOCK_DATA_DIR", "data", "DIR", "where the log and its snapshots are kept"),
    setting(
        "timetable",
        "INTERLOCK_TIMETABLE",
        "",
        "PATH",
        "a GTFS feed, directory or zip; empty: the built-in one",
    ),
    setting(
        "timetable_strict",
        "INTERLOCK_TIMETABLE_STRICT",
        "off",
        "on|off",
        "refuse a feed for any row that is not in order, instead of leaving it out",
    ),
    setting(
        "formations",
        "INTERLOCK_FORMATIONS",
        "",
        "FILE",
        "coaches and seats of each kind of train (TOML); empty: beside the feed, else built in",
    ),
    setting(
        "cores",
        "INTERLOCK_CORES",
        "",
        "N",
        "shards, one thread each; empty: one for each processor, and from four on one less, for the sinks",
    ),
    setting("listen", "INTERLOCK_LISTEN", "127.0.0.1", "ADDR", "address of all listeners"),
    setting(
        "allowed_origins",
        "INTERLOCK_ALLOWED_ORIGINS",
        "",
        "LIST",
        "web pages that may call from other sites (CORS), as https://shop.example:8443,...",
    ),
    setting(
        "allowed_hosts",
        "INTERLOCK_ALLOWED_HOSTS",
        "",
        "LIST",
        "further names of this machine, as a proxy on it forwards them; they count where payments are unsigned on loopback",
    ),
    setting(
        "connections_per_address_percent",
        "INTERLOCK_CONNECTIONS_PER_ADDRESS_PERCENT",
        "75",
        "PERCENT",
        "share of all connections that one client address may have",
    ),
    setting(
        "port_offset",
        "INTERLOCK_PORT_OFFSET",
        "0",
        "N",
        "added to every standard port (8080 to 8084, 50051); up to 15484",
    ),
    setting("grpc", "INTERLOCK_GRPC", "on", "on|off", "serve the seat allocator by gRPC (50051)"),
    setting("disk", "INTERLOCK_DISK", "auto", "DRIVER", "auto, uring or plain: how the log is written"),
    setting("network", "INTERLOCK_NETWORK", "auto", "DRIVER", "auto, uring or epoll: how sockets are served"),
    setting(
        "ad_hoc",
        "INTERLOCK_AD_HOC",
        "auto",
        "auto|on|off",
        "sell partitions that no timetable defines; auto: with the built-in timetable alone",
    ),
    setting("segment_bytes", "INTERLOCK_SEGMENT_BYTES", "33554432", "BYTES", "size of a log segment"),
    setting(
        "snapshot_log_bytes",
        "INTERLOCK_SNAPSHOT_LOG_BYTES",
        "268435456",
        "BYTES",
        "bytes of log between two snapshots of a core; twice the last one's size where that is more",
    ),
    setting(
        "snapshot_log_bytes_max",
        "INTERLOCK_SNAPSHOT_LOG_BYTES_MAX",
        "4294967296",
        "BYTES",
        "bytes of log between two snapshots however large they are: what a restart of a core reads at most",
    ),
    setting(
        "log_keep_hours",
        "INTERLOCK_LOG_KEEP_HOURS",
        "72",
        "HOURS",
        "how long the log is kept once nobody needs it, as far as its budget allows",
    ),
    setting(
        "log_budget_bytes",
        "INTERLOCK_LOG_BUDGET_BYTES",
        "",
        "BYTES",
        "what the logs of all cores may take; empty: half of what is free at the first start, at most 64 GiB",
    ),
    setting(
        "read_model",
        "INTERLOCK_READ_MODEL",
        "",
        "FILE",
        "the database of orders and histories (SQLite); empty: read-model.db in the data directory",
    ),
    setting(
        "read_model_keep_days",
        "INTERLOCK_READ_MODEL_KEEP_DAYS",
        "400",
        "DAYS",
        "how long the read model keeps orders, from their creation, that the engine no longer has and owes nothing for; 0: for ever",
    ),
    setting(
        "read_model_bytes",
        "INTERLOCK_READ_MODEL_BYTES",
        "",
        "BYTES",
        "what the read model may take before its oldest orders leave early; empty: a quarter of what is free at the first start",
    ),
    secret(
        "mysql_dsn",
        "MYSQL_DSN",
        "DSN",
        "MySQL or MariaDB that is filled: user:password@tcp(host:port)/database?tls=true; empty: none",
    ),
    setting(
        "redis_addr",
        "REDIS_ADDR",
        "",
        "ADDR",
        "Redis that mirrors live holds and views of orders: host:port, redis:// or rediss:// (TLS); empty: none",
    ),
    secret("redis_password", "REDIS_PASSWORD", "PASSWORD", "password of Redis; empty: none"),
    setting("redis_db", "REDIS_DB", "0", "N", "database of Redis"),
    setting(
        "kafka_brokers",
        "KAFKA_BROKERS",
        "",
        "LIST",
        "Kafka that gets the events: host:port,...; empty: none",
    ),
    setting(
        "kafka_topic_prefix",
        "INTERLOCK_KAFKA_TOPIC_PREFIX",
        "",
        "TEXT",
        "stands before the names of the topics, where several systems share a cluster",
    ),
    setting(
        "kafka_config",
        "INTERLOCK_KAFKA_CONFIG",
        "",
        "FILE",
        "further client settings, as for TLS and SASL: name=value lines under librdkafka's names",
    ),
    setting(
        "tickets",
        "INTERLOCK_TICKETS",
        "engine",
        "engine|kafka",
        "who issues tickets: the engine at once, or a worker that reads from Kafka which orders are paid",
    ),
    setting(
        "ticket_sweep_secs",
        "INTERLOCK_TICKET_SWEEP_SECS",
        "60",
        "SECS",
        "with tickets from Kafka: how long after its payment an order that the worker has not seen gets its ticket",
    ),
    setting(
        "state_bytes",
        "INTERLOCK_STATE_BYTES",
        "",
        "BYTES",
        "memory for orders and holds, all cores together, before new sales are refused; empty: half of the machine's",
    ),
    setting("hold_ttl_secs", "INVENTORY_HOLD_TTL_SECS", "120", "SECONDS", "how long a hold lasts"),
    setting(
        "hold_ttl_max_secs",
        "INTERLOCK_HOLD_TTL_MAX_SECS",
        "900",
        "SECONDS",
        "how long the hold of a purchase may be asked to last, never less than any other's",
    ),
    setting(
        "hold_memory_secs",
        "INTERLOCK_HOLD_MEMORY_SECS",
        "60",
        "SECONDS",
        "how long an ended hold is remembered; then its id names a new one",
    ),
    setting(
        "order_retention_secs",
        "INTERLOCK_ORDER_RETENTION_SECS",
        "86400",
        "SECONDS",
        "how long an order that has ended is kept in memory, and with it its key and its transaction ids",
    ),
    setting(
        "sale_closes_secs",
        "INTERLOCK_SALE_CLOSES_SECS",
        "0",
        "SECONDS",
        "how long before the boarding stop's departure a span is sold no more; negative: after it",
    ),
    setting(
        "ad_hoc_keep_days",
        "INTERLOCK_AD_HOC_KEEP_DAYS",
        "400",
        "DAYS",
        "how long an ad hoc partition with sold seats is kept after its last change, three days past its date at least",
    ),
    setting(
        "clock_gap_max",
        "INTERLOCK_CLOCK_GAP_MAX",
        "604800",
        "SECONDS",
        "a start whose clock is further ahead of the last record is refused if it would end something; 0: never",
    ),
    setting(
        "default_partition",
        "ORDER_INVENTORY_PARTITION_KEY",
        "G123|2026-02-11|2nd",
        "KEY",
        "partition of a reservation that does not name one",
    ),
    setting(
        "default_quantity",
        "ORDER_INVENTORY_DEFAULT_QTY",
        "1",
        "SEATS",
        "seats of a reservation that does not say how many",
    ),
    setting(
        "order_capacity",
        "ORDER_INVENTORY_CAPACITY",
        "500",
        "SEATS",
        "capacity of an ad hoc partition that an order opens",
    ),
    secret(
        "payment_key",
        "PAYMENT_CALLBACK_SIGN_KEY",
        "KEY",
        "key of payment signatures; empty: payments are not verified",
    ),
    setting(
        "allow_unsigned_payments",
        "INTERLOCK_ALLOW_UNSIGNED_PAYMENTS",
        "off",
        "on|off",
        "allow listening beyond loopback without a payment key",
    ),
    setting("env", "APP_ENV", "dev", "NAME", "the field `env` of every log line"),
    setting(
        "version",
        "APP_VERSION",
        env!("CARGO_PKG_VERSION"),
        "NAME",
        "the field `version` of every log line",
    ),
    setting("log_level", "INTERLOCK_LOG_LEVEL", "info", "LEVEL", "error, warn, info, debug or trace"),
];

/// A setting of an earlier version that means nothing any more. It is accepted as ever, with a warning.
#[derive(Debug)]
pub(crate) struct Retired {
    /// In the file, and with dashes as a flag.
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

pub(crate) const RETIRED: &[Retired] = &[
    Retired { name: "prefault_bytes", why: "memory is taken as it is needed" },
    Retired { name: "retention_secs", why: "an ended hold is remembered for --hold-memory-secs" },
];

/// Variables that mean nothing any more, and why: of this system's earlier versions, and of the system before it. One that ends
/// with `_` stands for all that begin so.
pub(crate) const RETIRED_VARIABLES: &[(&str, &str)] = &[
    ("INTERLOCK_PREFAULT_BYTES", "memory is taken as it is needed"),
    ("INTERLOCK_RETENTION_SECS", "an ended hold is remembered for --hold-memory-secs"),
    ("INVENTORY_SHARD_COUNT", "there is one shard for each core: --cores"),
    ("INVENTORY_SNAPSHOT_INTERVAL_SECS", "snapshots follow the size of the log: --snapshot-log-bytes"),
    ("INVENTORY_SNAPSHOT_OPS_THRESHOLD", "snapshots follow the size of the log: --snapshot-log-bytes"),
    ("INVENTORY_WAL_BUFFER", "the log sizes its own batches"),
    ("HTTP_PORT", "every service has its own port: --port-offset moves them all"),
    ("INVENTORY_SERVICE_URL", "orders and inventory are one process"),
    ("SEAT_ALLOCATOR_", "seats are allocated in this process, by gRPC on 50051: --grpc, --port-offset"),
];

/// The origin of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Default,
    File(PathBuf),
    Env(&'static str),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Env(name) => write!(f, "environment {name}"),
            Source::Flag(name) => write!(f, "flag --{}", name.replace('_', "-")),
        }
    }
}

/// The value in force for each setting.
#[derive(Debug)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, (String, Source)>,
    retired: Vec<(&'static Retired, Source)>,
}

#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {what}", path.display())]
    Syntax { path: PathBuf, what: String },
    #[error("{0} in the environment is not UTF-8")]
    Env(&'static str),
    #[error("{}: there is no setting `{name}`; `interlock config` lists them", path.display())]
    Unknown { path: PathBuf, name: String },
    #[error("{}: `{name}` must be text, a number, true or false", path.display())]
    Shape { path: PathBuf, name: String },
}

impl Settings {
    /// Merges what was given: `flags` and `env` look a setting up, `file` is read when there is one. A variable that is set to
    /// nothing counts as not set: compose files set those.
    pub(crate) fn merge(
        file: Option<&Path>,
        env: impl Fn(&str) -> Option<OsString>,
        flags: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, SettingsError> {
        let mut written = file.map(read_file).transpose()?.unwrap_or_default();
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let from_file = written.remove(setting.name);
            let from_env = env(setting.env).filter(|value| !value.is_empty()).map(OsString::into_string);
            let from_env = from_env.transpose().map_err(|_| SettingsError::Env(setting.env))?;
            let value = if let Some(value) = flags(setting.name) {
                (value, Source::Flag(setting.name))
            } else if let Some(value) = from_env {
                (value, Source::Env(setting.env))
            } else if let (Some(value), Some(path)) = (from_file, file) {
                (value, Source::File(path.to_owned()))
            } else {
                (setting.default.to_owned(), Source::Default)
            };
            values.insert(setting.name, value);
        }
        let mut retired = Vec::new();
        for setting in RETIRED {
            if flags(setting.name).is_some() {
                retired.push((setting, Source::Flag(setting.name)));
            }
            if let (Some(_), Some(path)) = (written.remove(setting.name), file) {
                retired.push((setting, Source::File(path.to_owned())));
            }
        }
        match (written.into_keys().next(), file) {
            (Some(name), Some(path)) => Err(SettingsError::Unknown { path: path.to_owned(), name }),
            _ => Ok(Settings { values, retired }),
        }
    }

    /// Retired settings that were given, and where.
    pub(crate) fn retired(&self) -> &[(&'static Retired, Source)] {
        &self.retired
    }

    /// It is never printed.
    pub(crate) fn is_secret(name: &str) -> bool {
        SETTINGS.iter().any(|setting| setting.name == name && setting.secret)
    }

    /// # Panics
    /// When there is no such setting.
    pub(crate) fn get(&self, name: &str) -> (&str, &Source) {
        let (value, source) = self.values.get(name).expect("settings are named as in the table");
        (value, source)
    }

    /// Every setting, its value (secrets hidden) and where it came from, a line each. `found` are those that are decided from
    /// other things where nothing is said, or `auto`.
    pub(crate) fn print(&self, found: &[(&str, String)]) -> String {
        let mut lines = String::new();
        for setting in SETTINGS {
            let (value, source) = self.get(setting.name);
            let is_open = value.is_empty() || value == "auto";
            let decided = found.iter().find(|(name, _)| *name == setting.name && is_open);
            let shown = match decided {
                Some((_, found)) => found,
                None if setting.secret && !value.is_empty() => "(hidden)",
                None => value,
            };
            lines.push_str(&format!("{} = {shown:?}  # {source}\n", setting.name));
        }
        lines
    }
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, SettingsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| SettingsError::Syntax { path: path.to_owned(), what: e.to_string() })?;
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(true) => "on".to_owned(),
            toml::Value::Boolean(false) => "off".to_owned(),
            _ => return Err(SettingsError::Shape { path: path.to_owned(), name }),
        };
        values.insert(name, text);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn merged(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("interlock.toml");
        std::fs::write(&path, file).expect("a file");
        let find = |pairs: &[(&str, &str)], name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Settings::merge(Some(&path), |name| find(env, name).map(OsString::from), |name| find(flags, name))
    }

    #[test]
    fn flags_over_environment_over_file_over_default() {
        let file = "cores = 3\nlisten = \"10.0.0.1\"\nenv = \"prod\"\n";
        let env = [("INTERLOCK_CORES", "4"), ("INTERLOCK_LISTEN", "10.0.0.2")];
        let settings = merged(file, &env, &[("cores", "5")]).expect("settings");
        assert_eq!(settings.get("cores"), ("5", &Source::Flag("cores")));
        assert_eq!(settings.get("listen"), ("10.0.0.2", &Source::Env("INTERLOCK_LISTEN")));
        assert_eq!(settings.get("env").0, "prod");
        assert_eq!(settings.get("port_offset"), ("0", &Source::Default));
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set_and_one_that_is_no_text_is_refused() {
        let settings = merged("cores = 3\n", &[("INTERLOCK_CORES", "")], &[]).expect("settings");
        assert_eq!(settings.get("cores").0, "3");
        let bad =
            |name: &str| (name == "INTERLOCK_DATA_DIR").then(|| OsString::from_vec(b"bad\xff".to_vec()));
        let error = Settings::merge(None, bad, |_| None).expect_err("refused").to_string();
        assert!(error.contains("INTERLOCK_DATA_DIR"), "{error}");
    }

    #[test]
    fn a_file_with_an_unknown_setting_is_refused_by_name() {
        let error = merged("coers = 3\n", &[], &[]).expect_err("refused").to_string();
        assert!(error.contains("`coers`"), "{error}");
    }

    #[test]
    fn a_retired_setting_is_accepted_and_told() {
        let settings = merged("prefault_bytes = 3\n", &[], &[("prefault_bytes", "4")]).expect("settings");
        let sources: Vec<String> = settings.retired().iter().map(|(_, source)| source.to_string()).collect();
        assert_eq!(sources.len(), 2, "{sources:?}");
        assert!(sources[0] == "flag --prefault-bytes" && sources[1].starts_with("file "), "{sources:?}");
    }

    #[test]
    fn a_broken_file_is_refused_with_its_line() {
        let error = merged("cores = 3\ncores = \n", &[], &[]).expect_err("refused").to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let settings = merged("payment_key = \"hush\"\n", &[], &[]).expect("settings");
        assert!(!settings.print(&[]).contains("hush"));
        assert!(settings.print(&[]).contains("payment_key = \"(hidden)\""));
        let found = [("cores", "7".to_owned())];
        assert!(settings.print(&found).contains("cores = \"7\""));
    }
}
