//! The checksum clients see: Nacos 1.1.4's MD5 of a service's settings and instances. Opaque to them, but it must change when
//! an instance's address, weight, health or cluster does.

use crate::model::cluster::HealthChecker;
use crate::model::entry::State;
use crate::model::view::ServiceView;
use md5::{Digest, Md5};
use std::fmt::Write;

/// Lower-case hex of the MD5, without leading zeros, as 1.1.4 prints it.
pub fn service_checksum(view: &ServiceView) -> String {
    hex_of(&checksum_input(view))
}

/// The checksum of a service that has neither settings nor instances.
pub fn absent_checksum(grouped: &str) -> String {
    hex_of(&head(0, grouped, 0, 0.0, ""))
}

fn hex_of(input: &str) -> String {
    let number = u128::from_be_bytes(Md5::digest(input.as_bytes()).into());
    format!("{number:x}")
}

/// The settings part; its order is that of a Java hash map with these fixed keys.
fn head(invalid: usize, grouped: &str, all: usize, threshold: f32, clusters: &str) -> String {
    format!(
        r#"{{"invalidIPCount":{invalid},"name":"{grouped}","ipCount":{all},"owners":[],"protectThreshold":{threshold:?},"clusters":[{clusters}],"token":null}}"#
    )
}

fn checksum_input(view: &ServiceView) -> String {
    let tally = view.tally();
    let clusters = clusters_in_java_order(view).join(",");
    let threshold = view.settings().protect_threshold;
    let mut text = head(tally.all - tally.healthy, view.key().grouped(), tally.all, threshold, &clusters);
    let mut instances: Vec<(String, String)> = view
        .shown()
        .map(|e| {
            let (healthy, weight, cluster) = (e.shown == State::Healthy, e.record().weight, &e.key.cluster);
            let order = format!("{}_{weight:?}_{healthy}_false_{cluster}", e.key);
            (order, format!("{}:{}_{weight:?}_{healthy}_{cluster},", e.key.ip, e.key.port))
        })
        .collect();
    instances.sort();
    instances.iter().for_each(|(_, line)| text.push_str(line));
    text
}

/// Clusters as a Java `HashMap` walks them: by bucket of their hash, its table doubling above three quarters.
fn clusters_in_java_order(view: &ServiceView) -> Vec<String> {
    let count = view.cluster_names().len();
    let mut size = 16usize;
    while count * 4 > size * 3 {
        size *= 2;
    }
    let bucket = |name: &str| {
        let hash = name.encode_utf16().fold(0u32, |h, unit| h.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) as usize & (size - 1)
    };
    let mut clusters: Vec<_> = view.clusters().collect();
    clusters.sort_by_key(|(name, _)| bucket(name));
    clusters
        .into_iter()
        .map(|(name, settings)| {
            format!(
                r#"{{"healthChecker":{},"defIPPort":80,"defCkport":{},"name":"{name}","useIPPort4Check":{},"sitegroup":""}}"#,
                checker_text(&settings.checker),
                settings.check_port,
                settings.use_instance_port,
            )
        })
        .collect()
}

fn checker_text(checker: &HealthChecker) -> String {
    let quoted = |text: &str| {
        let mut out = String::with_capacity(text.len() + 2);
        out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => {
                    out.push('\\');
                    out.push(c);
                }
                c if c < ' ' => write!(out, "\\u{:04x}", c as u32).expect("writing to a string cannot fail"),
                c => out.push(c),
            }
        }
        out.push('"');
        out
    };
    match checker {
        HealthChecker::Tcp => r#"{"type":"TCP"}"#.to_string(),
        HealthChecker::None => r#"{"type":"NONE"}"#.to_string(),
        HealthChecker::Http { path, headers, expected_response_code } => format!(
            r#"{{"expectedResponseCode":{expected_response_code},"headers":{},"path":{},"type":"HTTP"}}"#,
            quoted(headers),
            quoted(path)
        ),
        HealthChecker::Mysql { user, pwd, cmd } => {
            format!(r#"{{"cmd":{},"pwd":{},"type":"MYSQL","user":{}}}"#, quoted(cmd), quoted(pwd), quoted(user))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_service_has_the_checksum_nacos_gives_it() {
        assert_eq!(absent_checksum("DEFAULT_GROUP@@a"), "44e68131d230d855031312c19b0c3258");
    }

    #[test]
    fn leading_zeros_are_not_printed() {
        let short = (0..10_000).map(|n: u32| hex_of(&n.to_string())).find(|hex| hex.len() < 32);
        assert!(short.is_some_and(|hex| !hex.starts_with('0')));
    }
}
