//! Readers of single values, for the table of settings: text into a field, or a clause that says what was expected.

pub(super) use super::cluster_conf::parse_port;
use super::cluster_conf::{MemberList, parse_host, parse_member_list, quoted, split_entries};
use super::{Config, LogFormat, MemberSource, Mode};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The value as a fault quotes it: bare where that is clear.
pub(super) fn shown(text: &str) -> String {
    let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
    if plain { text.to_string() } else { quoted(text) }
}

pub(super) fn put<N: TryFrom<u64>>(field: &mut N, text: &str, range: RangeInclusive<u64>) -> Result<(), String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|n| digits && range.contains(n));
    match number.and_then(|n| N::try_from(n).ok()) {
        Some(number) => {
            *field = number;
            Ok(())
        }
        None => Err(format!("{} is not a whole number from {} to {}", shown(text), range.start(), range.end())),
    }
}

/// Spring's words for yes and no.
pub(super) fn switched(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("{} is neither true nor false", shown(text))),
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.contains('\0') { Err(format!("{} is not a path", shown(text))) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn set_bind(config: &mut Config, text: &str) -> Result<(), String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let wrong = |_| format!("{} is not an IP address to listen on, such as 0.0.0.0 or 127.0.0.1", shown(text));
    config.bind = bare.parse::<IpAddr>().map_err(wrong)?;
    Ok(())
}

pub(super) fn set_context_path(config: &mut Config, text: &str) -> Result<(), String> {
    let path = text.trim_matches('/');
    let legal = |part: &str| {
        !matches!(part, "" | "." | "..") && part.len() <= 128 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    if path.is_empty() {
        config.context_path = String::new();
        Ok(())
    } else if path.split('/').all(legal) {
        config.context_path = format!("/{path}");
        Ok(())
    } else {
        Err(format!("{} is not a path of letters, digits, - . _ ~ and /, such as /nacos", shown(text)))
    }
}

pub(super) fn set_advertised(config: &mut Config, text: &str) -> Result<(), String> {
    let host = if text.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{text}]") } else { text.to_string() };
    config.advertised = Some(parse_host(&host)?);
    Ok(())
}

pub(super) fn set_prefer_hostname(config: &mut Config, text: &str) -> Result<(), String> {
    config.prefer_hostname = match text.to_ascii_lowercase().as_str() {
        "hostname" => true,
        "ip" => false,
        _ => switched(text).map_err(|_| format!("{} is none of hostname, ip, true, false", shown(text)))?,
    };
    Ok(())
}

pub(super) fn set_mode(config: &mut Config, text: &str) -> Result<(), String> {
    config.mode = match text.to_ascii_lowercase().as_str() {
        "standalone" => Mode::Standalone,
        "cluster" => Mode::Cluster,
        _ => return Err(format!("{} is not a mode (standalone or cluster)", shown(text))),
    };
    Ok(())
}

pub(super) fn set_log_format(config: &mut Config, text: &str) -> Result<(), String> {
    config.log_format = match text.to_ascii_lowercase().as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return Err(format!("{} is not a log format (text or json)", shown(text))),
    };
    Ok(())
}

pub(super) fn set_members(config: &mut Config, text: &str) -> Result<(), String> {
    let list = readable(parse_member_list(text, config.port))?;
    if list.members.is_empty() {
        return Err(format!("{} lists nobody", shown(text)));
    }
    config.members = MemberSource::Given(split_entries(text).map(str::to_string).collect());
    config.notices.extend(list.notices.into_iter().map(|notice| format!("members: {}", notice.text)));
    Ok(())
}

pub(super) fn show_members(config: &Config) -> String {
    match &config.members {
        MemberSource::Given(entries) => join(entries),
        MemberSource::File(_) => String::new(),
    }
}

pub(super) fn set_legacy_peers(config: &mut Config, text: &str) -> Result<(), String> {
    config.legacy_peers = readable(parse_member_list(text, config.port))?.members;
    Ok(())
}

fn readable(list: MemberList) -> Result<MemberList, String> {
    if list.faults.is_empty() { Ok(list) } else { Err(list.faults.into_iter().map(|fault| fault.text).collect::<Vec<_>>().join("; ")) }
}

pub(super) fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
