//! Log lines: text for people by default, one JSON object a line on request. Levels come from `RUST_LOG`, and from operators who
//! set one of Nacos's logs while the process runs. They are the process's, as its logger is: nodes in one process share them.

use crate::config::LogFormat;
use arc_swap::ArcSwap;
use env_logger::{Builder, Env, Logger};
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, LazyLock};

/// Nacos's logs, and the modules whose words are in them.
const LOGS: &[(&str, &[&str])] = &[
    ("naming-server", &["headcount"]),
    ("naming-rt", &["headcount::actors::service", "headcount::actors::registrar"]),
    ("naming-event", &["headcount::actors::notifier"]),
    ("naming-push", &["headcount::actors::pusher", "headcount::net::datagram"]),
    ("naming-distro", &["headcount::actors::syncer", "headcount::actors::roster", "headcount::net"]),
    ("naming-raft", &[]),
    ("naming-performance", &[]),
];

/// Levels by module, as operators set them.
type Levels = BTreeMap<&'static str, LevelFilter>;

static LEVELS: LazyLock<ArcSwap<Levels>> = LazyLock::new(ArcSwap::default);

/// Starts logging for the whole process. The HTTP server's own words are of no use to operators below `warn`.
pub fn start(format: LogFormat) {
    let mut loud = builder(format);
    for module in LOGS.iter().flat_map(|(_, modules)| *modules) {
        loud.filter_module(module, LevelFilter::Trace);
    }
    let dial = Dial { usual: builder(format).build(), loud: loud.build() };
    let max = dial.usual.filter();
    if log::set_boxed_logger(Box::new(dial)).is_ok() {
        log::set_max_level(max);
    }
}

/// Sets the level of one of Nacos's logs; a level nobody knows is `DEBUG`. `false`: there is no such log.
pub fn set_level(log: &str, level: &str) -> bool {
    let Some((_, modules)) = LOGS.iter().find(|(name, _)| *name == log) else { return false };
    let level = level.trim().parse().unwrap_or(LevelFilter::Debug);
    LEVELS.rcu(|levels| {
        let mut levels = Levels::clone(levels);
        levels.extend(modules.iter().map(|module| (*module, level)));
        Arc::new(levels)
    });
    log::set_max_level(log::max_level().max(level));
    true
}

/// What was set for the module, or the nearest one above it.
fn level_of(levels: &Levels, target: &str) -> Option<LevelFilter> {
    let above = |module: &str| target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    levels.iter().filter(|(module, _)| above(module)).max_by_key(|(module, _)| module.len()).map(|(_, level)| *level)
}

/// Asks what operators set before what `RUST_LOG` says.
struct Dial {
    usual: Logger,
    /// Says everything our modules say.
    loud: Logger,
}

impl Log for Dial {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        level_of(&LEVELS.load(), metadata.target()).map_or_else(|| self.usual.enabled(metadata), |level| metadata.level() <= level)
    }

    fn log(&self, record: &Record<'_>) {
        match level_of(&LEVELS.load(), record.target()) {
            None => self.usual.log(record),
            Some(level) if record.level() <= level => self.loud.log(record),
            Some(_) => {}
        }
    }

    fn flush(&self) {
        self.usual.flush();
    }
}

fn builder(format: LogFormat) -> Builder {
    let mut builder = Builder::from_env(Env::default().default_filter_or("info,actix_server=warn"));
    if format == LogFormat::Json {
        builder.format(|out, record| {
            let mut line = Map::new();
            line.insert("time".into(), json!(crate::wire::date::iso_millis(crate::clock::wall_now())));
            line.insert("level".into(), json!(record.level().as_str()));
            line.insert("target".into(), json!(record.target()));
            line.insert("message".into(), json!(record.args().to_string()));
            let mut fields = Fields(line);
            record.key_values().visit(&mut fields).map_err(std::io::Error::other)?;
            writeln!(out, "{}", serde_json::Value::Object(fields.0))
        });
    }
    builder
}

struct Fields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.insert(key.to_string(), json!(value.to_string()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_module_that_was_set_says_the_level() {
        let levels = Levels::from([("headcount", LevelFilter::Warn), ("headcount::net", LevelFilter::Trace)]);
        let level = |target: &str| level_of(&levels, target);
        assert_eq!((level("headcount::http"), level("headcount::net::datagram")), (Some(LevelFilter::Warn), Some(LevelFilter::Trace)));
        assert_eq!((level("headcounts"), level("headcount::network")), (None, Some(LevelFilter::Warn)));
        assert_eq!(level("actix_server"), None);
    }

    #[test]
    fn a_log_that_is_none_sets_nothing() {
        assert!(!set_level("nosuch", "debug"));
        assert!(set_level("naming-raft", "nosuch"));
        assert!(LEVELS.load().is_empty());
    }
}
