//! Settings as types. A value that means nothing is refused with its name and where it came from.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use bridge::kafka::Cluster;
use bridge::mysql::{Dsn, DsnError};
use bridge::redis::Place;
use engine::decide::Policy;
use engine::ids::PartitionKey;
use engine::limits::{AD_HOC_CAPACITY_MAX, QUANTITY_MAX};
use net::{AllowedOrigin, Callers, HostName};
use thiserror::Error;
use wal::disk::Preference;
use wal::limits::{BLOCK_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

use crate::settings::{Retired, Settings, Source};

/// The settings of `interlock serve`, each of its own type.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) timetable: Option<PathBuf>,
    pub(crate) timetable_strict: bool,
    pub(crate) formations: Option<PathBuf>,
    pub(crate) cores: NonZeroU16,
    pub(crate) listen: IpAddr,
    pub(crate) callers: Callers,
    pub(crate) connections_per_address_percent: usize,
    pub(crate) port_offset: u16,
    pub(crate) grpc: bool,
    pub(crate) disk: Preference,
    pub(crate) network: net::runtime::DriverChoice,
    pub(crate) ad_hoc: bool,
    pub(crate) segment_bytes: u64,
    pub(crate) snapshot_log_bytes: u64,
    pub(crate) snapshot_log_bytes_max: u64,
    pub(crate) log_keep_ms: u64,
    /// `None`: what the first start found free decides.
    pub(crate) log_budget_bytes: Option<u64>,
    /// `None`: for ever.
    pub(crate) read_model_keep_ms: Option<u64>,
    /// `None`: what the first start decides.
    pub(crate) read_model_bytes: Option<u64>,
    pub(crate) read_model: PathBuf,
    /// The database that is filled, if one is.
    pub(crate) mysql: Option<Dsn>,
    pub(crate) redis: Option<Place>,
    pub(crate) kafka: Option<Cluster>,
    /// The cluster that says which orders get their ticket; `None`: the engine issues them by itself.
    pub(crate) tickets_from: Option<Cluster>,
    pub(crate) state_bytes: u64,
    pub(crate) policy: Policy,
    /// Milliseconds by which the clock may be ahead of the last record; `None`: as far as it likes.
    pub(crate) clock_gap_max_ms: Option<u64>,
    pub(crate) default_partition: PartitionKey,
    pub(crate) default_quantity: u32,
    pub(crate) order_capacity: u32,
    pub(crate) allow_unsigned_payments: bool,
    pub(crate) payment_key: Option<String>,
    pub(crate) env: String,
    pub(crate) version: String,
    pub(crate) log_level: tracing::Level,
    /// Settings that were given and mean nothing any more, and where.
    pub(crate) retired: Vec<(&'static Retired, Source)>,
}

#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("{name} = {value:?} ({source_name}): expected {expected}")]
    Value { name: &'static str, value: String, source_name: String, expected: String },
    #[error("{0} is set for the built-in timetable, which has its own: give --timetable as well")]
    FormationsOfNoFeed(String),
    #[error(
        "listening on {0} without a payment key would let anyone there mark orders as paid: set PAYMENT_CALLBACK_SIGN_KEY, \
         or --allow-unsigned-payments on"
    )]
    Unsigned(IpAddr),
}

/// The most that the log between snapshots may be set to.
const LOG_BYTES_MAX: u64 = 1 << 40;
/// The least memory that a state is worth starting with, and what is assumed where the machine does not say.
const STATE_BYTES_MIN: u64 = 16 << 20;
const STATE_BYTES_UNKNOWN: u64 = 1 << 30;
/// From so many processors on, one is left to the sinks.
const SINKS_PROCESSOR_FROM: usize = 4;
/// There is a ring between every two cores: more of them would be paid for in memory and scans before anything is sold.
const CORES_MAX: u16 = 256;
/// The longest a hold may last, and an ended one be remembered.
const SECONDS_MAX: u64 = 366 * 86_400;
/// A span is sold until three days after its boarding stop's departure at most, and a week before it at least.
const SALE_CLOSES_SECS_MIN: i64 = -259_200;
const SALE_CLOSES_SECS_MAX: i64 = 604_800;
/// The longest that a partition may be kept.
const DAYS_MAX: u64 = 36_500;
const DAY_MS: u64 = 86_400_000;
/// The longest that the log may be kept for nobody.
const HOURS_MAX: u64 = 24 * DAYS_MAX;
const HOUR_MS: u64 = 3_600_000;
/// The highest database of a Redis that has the most of them.
const REDIS_DB_MAX: u16 = 16_383;
/// In the data directory.
pub(crate) const READ_MODEL_FILE: &str = "read-model.db";

impl Config {
    pub(crate) fn new(settings: &Settings) -> Result<Config, ConfigError> {
        let read = Reader { settings };
        let seconds = |name, min| read.number::<u64>(name, min, SECONDS_MAX).map(|secs| secs * 1_000);
        let policy = Policy {
            hold_ttl_ms: seconds("hold_ttl_secs", 1)?,
            hold_ttl_max_ms: seconds("hold_ttl_max_secs", 1)?,
            hold_memory_ms: seconds("hold_memory_secs", 1)?,
            order_retention_ms: seconds("order_retention_secs", 1)?,
            sale_closes_ms: read.number("sale_closes_secs", SALE_CLOSES_SECS_MIN, SALE_CLOSES_SECS_MAX)?
                * 1_000,
            ticket_after_ms: read.ticket_after_ms()?,
            ad_hoc_keep_ms: read.number::<u64>("ad_hoc_keep_days", 1, DAYS_MAX)? * DAY_MS,
            ..Policy::default()
        };
        let segment_bytes = read.number("segment_bytes", SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)?;
        if !segment_bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return read.refuse("segment_bytes", format!("a multiple of {BLOCK_BYTES}"));
        }
        let state_bytes = read.state_bytes()?;
        let listen: IpAddr = read.parsed("listen", "an IP address")?;
        let payment_key = read.optional("payment_key").map(str::trim).filter(|key| !key.is_empty());
        let payment_key = payment_key.map(str::to_owned);
        let config = Config {
            data_dir: PathBuf::from(read.text("data_dir")?),
            timetable: read.optional("timetable").map(PathBuf::from),
            timetable_strict: read.switch("timetable_strict")?,
            formations: read.optional("formations").map(PathBuf::from),
            cores: read.cores()?,
            listen,
            callers: read.callers(payment_key.is_none() && listen.is_loopback())?,
            connections_per_address_percent: read.number("connections_per_address_percent", 1, 100)?,
            port_offset: read.number("port_offset", 0, net::PORT_OFFSET_MAX)?,
            grpc: read.switch("grpc")?,
            disk: read.word(
                "disk",
                &[("auto", Preference::Auto), ("uring", Preference::Uring), ("plain", Preference::Plain)],
            )?,
            network: read.word(
                "network",
                &[
                    ("auto", net::runtime::DriverChoice::Auto),
                    ("uring", net::runtime::DriverChoice::Uring),
                    ("epoll", net::runtime::DriverChoice::Epoll),
                ],
            )?,
            ad_hoc: read.ad_hoc()?,
            segment_bytes,
            snapshot_log_bytes: read.number("snapshot_log_bytes", segment_bytes, LOG_BYTES_MAX)?,
            snapshot_log_bytes_max: read.number("snapshot_log_bytes_max", segment_bytes, LOG_BYTES_MAX)?,
            log_keep_ms: read.number::<u64>("log_keep_hours", 0, HOURS_MAX)? * HOUR_MS,
            log_budget_bytes: match read.optional("log_budget_bytes") {
                Some(_) => Some(read.number("log_budget_bytes", 1, u64::MAX)?),
                None => None,
            },
            read_model: match read.optional("read_model") {
                Some(path) => PathBuf::from(path),
                None => PathBuf::from(read.text("data_dir")?).join(READ_MODEL_FILE),
            },
            read_model_keep_ms: Some(read.number::<u64>("read_model_keep_days", 0, DAYS_MAX)? * DAY_MS)
                .filter(|ms| *ms > 0),
            read_model_bytes: match read.optional("read_model_bytes") {
                Some(_) => Some(read.number("read_model_bytes", 1, u64::MAX)?),
                None => None,
            },
            mysql: read.mysql()?,
            redis: read.redis()?,
            kafka: read.kafka()?,
            tickets_from: if read.are_tickets_from_kafka()? { read.kafka()? } else { None },
            state_bytes,
            policy,
            clock_gap_max_ms: Some(seconds("clock_gap_max", 0)?).filter(|ms| *ms > 0),
            default_partition: read.key("default_partition")?,
            default_quantity: read.number("default_quantity", 1, QUANTITY_MAX)?,
            order_capacity: read.number("order_capacity", 1, AD_HOC_CAPACITY_MAX)?,
            payment_key,
            allow_unsigned_payments: read.switch("allow_unsigned_payments")?,
            env: read.text("env")?.to_owned(),
            version: read.text("version")?.to_owned(),
            log_level: read.parsed("log_level", "error, warn, info, debug or trace")?,
            retired: settings.retired().to_vec(),
        };
        if let (Some(formations), None) = (&config.formations, &config.timetable) {
            return Err(ConfigError::FormationsOfNoFeed(format!(
                "formations = {:?}",
                formations.display().to_string()
            )));
        }
        Ok(config)
    }

    /// As [`Config::new`], for whoever listens: nobody may mark orders as paid by mistake.
    pub(crate) fn to_serve(settings: &Settings) -> Result<Config, ConfigError> {
        let config = Config::new(settings)?;
        if config.payment_key.is_none() && !config.listen.is_loopback() && !config.allow_unsigned_payments {
            return Err(ConfigError::Unsigned(config.listen));
        }
        Ok(config)
    }

    /// Ad hoc sale, as it is written in settings.
    pub(crate) fn ad_hoc_word(&self) -> &'static str {
        if self.ad_hoc { "on" } else { "off" }
    }
}

struct Reader<'a> {
    settings: &'a Settings,
}

impl<'a> Reader<'a> {
    fn refuse<T>(&self, name: &'static str, expected: impl Into<String>) -> Result<T, ConfigError> {
        let (value, source) = self.settings.get(name);
        let shown = if Settings::is_secret(name) { "(hidden)" } else { value };
        let (value, source_name) = (shown.to_owned(), source.to_string());
        Err(ConfigError::Value { name, value, source_name, expected: expected.into() })
    }

    fn optional(&self, name: &'static str) -> Option<&'a str> {
        Some(self.settings.get(name).0).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &'static str) -> Result<&'a str, ConfigError> {
        self.optional(name).map_or_else(|| self.refuse(name, "some text"), Ok)
    }

    fn parsed<T: FromStr>(&self, name: &'static str, expected: &str) -> Result<T, ConfigError> {
        self.settings.get(name).0.parse().or_else(|_| self.refuse(name, expected))
    }

    fn number<T>(&self, name: &'static str, min: T, max: T) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Copy + std::fmt::Display,
    {
        let expected = format!("a number from {min} to {max}");
        let value: T = self.parsed(name, &expected)?;
        if value < min || value > max { self.refuse(name, expected) } else { Ok(value) }
    }

    fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let value = self.settings.get(name).0;
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(*meaning),
            None => self.refuse(name, words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")),
        }
    }

    fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.word(name, &[("on", true), ("off", false), ("true", true), ("false", false)])
    }

    /// The DSN of MySQL. A mistake in it is named without repeating it.
    fn mysql(&self) -> Result<Option<Dsn>, ConfigError> {
        let Some(dsn) = self.optional("mysql_dsn") else { return Ok(None) };
        dsn.parse()
            .map(Some)
            .or_else(|error: DsnError| self.refuse("mysql_dsn", format!("a DSN of MySQL: {error}")))
    }

    fn redis(&self) -> Result<Option<Place>, ConfigError> {
        let db = self.number("redis_db", 0, REDIS_DB_MAX)?;
        let Some(address) = self.optional("redis_addr") else { return Ok(None) };
        let place = Place::new(address, self.optional("redis_password"), db);
        place.map(Some).or_else(|error| self.refuse("redis_addr", error.to_string()))
    }

    fn kafka(&self) -> Result<Option<Cluster>, ConfigError> {
        let Some(brokers) = self.optional("kafka_brokers") else { return Ok(None) };
        let cluster = Cluster::new(brokers, self.optional("kafka_topic_prefix").unwrap_or_default());
        let Some(path) = self.optional("kafka_config") else { return Ok(Some(cluster)) };
        let with_file = match std::fs::read_to_string(path) {
            Ok(text) => cluster.with_file(&text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        with_file
            .map(Some)
            .or_else(|why| self.refuse("kafka_config", format!("a file of client settings: {why}")))
    }

    fn are_tickets_from_kafka(&self) -> Result<bool, ConfigError> {
        let from_kafka = self.word("tickets", &[("engine", false), ("kafka", true)])?;
        if from_kafka && self.optional("kafka_brokers").is_none() {
            return self.refuse("tickets", "engine, where kafka_brokers is not set");
        }
        Ok(from_kafka)
    }

    /// The engine issues tickets at once, or those that the worker has not.
    fn ticket_after_ms(&self) -> Result<u64, ConfigError> {
        let sweep = self.number::<u64>("ticket_sweep_secs", 1, SECONDS_MAX)? * 1_000;
        Ok(if self.are_tickets_from_kafka()? { sweep } else { 0 })
    }

    /// Whoever has a timetable wants that and nothing else sold, unless he says so.
    fn ad_hoc(&self) -> Result<bool, ConfigError> {
        let auto = self.optional("timetable").is_none();
        let words = [("auto", auto), ("on", true), ("off", false), ("true", true), ("false", false)];
        self.word("ad_hoc", &words)
    }

    fn key(&self, name: &'static str) -> Result<PartitionKey, ConfigError> {
        PartitionKey::parse(self.settings.get(name).0)
            .or_else(|e| self.refuse(name, format!("a partition key: it {e}")))
    }

    /// If nothing but their name tells the server's own callers from a page of the web, the name has to be its own.
    fn callers(&self, by_name: bool) -> Result<Callers, ConfigError> {
        let expected = "origins as https://shop.example:8443, separated by commas";
        let origins = self.list("allowed_origins", AllowedOrigin::parse, expected)?;
        let mut hosts = self.list(
            "allowed_hosts",
            HostName::parse,
            "names or addresses without a port, separated by commas",
        )?;
        if !by_name {
            return Ok(Callers::any(origins));
        }
        let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        hosts.extend(HostName::parse(machine.trim()));
        Ok(Callers::of_this_machine(hosts, origins))
    }

    fn list<T>(
        &self,
        name: &'static str,
        parse: fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(text) = self.optional(name) else { return Ok(Vec::new()) };
        let all: Option<Vec<T>> = text.split(',').map(|part| parse(part.trim())).collect();
        all.map_or_else(|| self.refuse(name, expected), Ok)
    }

    /// Half of the machine's memory where nothing is said: the rest is for buffers, the page cache and everybody else.
    fn state_bytes(&self) -> Result<u64, ConfigError> {
        if self.optional("state_bytes").is_some() {
            return self.number("state_bytes", STATE_BYTES_MIN, u64::MAX);
        }
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB")?.trim().parse().ok());
        Ok(total.map_or(STATE_BYTES_UNKNOWN, |kib: u64| kib * 1_024 / 2).max(STATE_BYTES_MIN))
    }

    fn cores(&self) -> Result<NonZeroU16, ConfigError> {
        let available = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        if self.optional("cores").is_none() {
            // Where there are enough, one is for the sinks.
            let available = if available >= SINKS_PROCESSOR_FROM { available - 1 } else { available };
            let cores = u16::try_from(available).unwrap_or(CORES_MAX).min(CORES_MAX);
            return Ok(NonZeroU16::new(cores).unwrap_or(NonZeroU16::MIN));
        }
        let cores = self.number("cores", 1, CORES_MAX)?;
        Ok(NonZeroU16::new(cores).expect("at least 1"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let find =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let find = |name: &str| find(name).map(std::ffi::OsString::from);
        Config::to_serve(&Settings::merge(None, find, |_| None).expect("settings"))
    }

    #[test]
    fn defaults_are_good() {
        let config = config(&[]).expect("defaults");
        assert!(config.listen.is_loopback());
        assert_eq!(config.port_offset, 0);
        assert_eq!(config.policy.hold_ttl_ms, 120_000);
    }

    #[test]
    fn a_bad_value_is_named_with_its_source() {
        for (env, value, expected) in [
            ("INTERLOCK_CORES", "0", "a number from 1"),
            ("INTERLOCK_CORES", "many", "a number from 1"),
            ("INTERLOCK_LISTEN", "localhost", "an IP address"),
            ("INTERLOCK_ALLOWED_ORIGINS", "https://shop.example/", "origins as https://"),
            ("INTERLOCK_ALLOWED_ORIGINS", "https://a.example,*", "origins as https://"),
            ("INTERLOCK_ALLOWED_HOSTS", "proxy.example:80", "without a port"),
            ("INTERLOCK_CONNECTIONS_PER_ADDRESS_PERCENT", "0", "a number from 1 to 100"),
            ("INTERLOCK_PORT_OFFSET", "60000", "a number from 0 to 15484"),
            ("INTERLOCK_DISK", "floppy", "auto, uring, plain"),
            ("INVENTORY_HOLD_TTL_SECS", "-1", "a number from 1"),
            ("ORDER_INVENTORY_PARTITION_KEY", " x", "begins or ends with a blank"),
            ("ORDER_INVENTORY_DEFAULT_QTY", "2001", "a number from 1 to 2000"),
            ("INTERLOCK_AD_HOC", "maybe", "auto, on, off"),
            ("INTERLOCK_SEGMENT_BYTES", "1", "a number from 262144"),
            ("INTERLOCK_SEGMENT_BYTES", "262145", "a multiple of 4096"),
            ("INTERLOCK_SNAPSHOT_LOG_BYTES", "1", "a number from 33554432"),
            ("INTERLOCK_LOG_LEVEL", "loud", "error, warn"),
        ] {
            let error = config(&[(env, value)]).expect_err(env).to_string();
            assert!(
                error.contains(env) && error.contains(value.trim()) && error.contains(expected),
                "{error}"
            );
        }
    }

    #[test]
    fn beyond_loopback_payments_must_be_signed() {
        let beyond = ("INTERLOCK_LISTEN", "0.0.0.0");
        assert!(matches!(config(&[beyond]), Err(ConfigError::Unsigned(_))));
        assert!(config(&[beyond, ("PAYMENT_CALLBACK_SIGN_KEY", "k")]).is_ok());
        assert!(matches!(
            config(&[beyond, ("PAYMENT_CALLBACK_SIGN_KEY", " \n")]),
            Err(ConfigError::Unsigned(_))
        ));
        assert!(config(&[beyond, ("INTERLOCK_ALLOW_UNSIGNED_PAYMENTS", "on")]).is_ok());
    }

    #[test]
    fn a_configured_timetable_is_all_that_is_sold_unless_told_otherwise() {
        let feed = ("INTERLOCK_TIMETABLE", "feed.zip");
        for (env, expected) in [
            (&[][..], true),
            (&[feed], false),
            (&[feed, ("INTERLOCK_AD_HOC", "auto")], false),
            (&[feed, ("INTERLOCK_AD_HOC", "on")], true),
            (&[("INTERLOCK_AD_HOC", "off")], false),
        ] {
            assert_eq!(config(env).expect("a config").ad_hoc, expected, "{env:?}");
        }
    }

    /// A key from a file ends with a newline.
    #[test]
    fn blanks_around_the_payment_key_are_not_part_of_it() {
        let key = |given| config(&[("PAYMENT_CALLBACK_SIGN_KEY", given)]).expect("a config").payment_key;
        assert_eq!(key(" the key\n").as_deref(), Some("the key"));
        assert_eq!(key("\n"), None);
    }
}
