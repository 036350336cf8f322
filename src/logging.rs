//! Log lines: text for people by default, one JSON object a line on request. Levels come from `RUST_LOG`.

use crate::config::LogFormat;
use env_logger::{Builder, Env};
use log::kv::{Error, Key, Value, VisitSource};
use serde_json::{Map, json};
use std::io::Write;

/// Starts logging for the whole process. The HTTP server's own words are of no use to operators below `warn`.
pub fn start(format: LogFormat) {
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
    builder.init();
}

struct Fields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.insert(key.to_string(), json!(value.to_string()));
        Ok(())
    }
}
