//! Lists of cluster members: Nacos's `cluster.conf`, and the lists that `NACOS_SERVERS`, `MEMBER_LIST` and `--members` hold.
//!
//! Pure functions of text that never panic, whatever the text. What they cannot read becomes a fault with its line; the
//! other entries still count. Never: resolves a name, reads a file, knows which member is this node.

use crate::model::peer::PeerAddr;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Entries beyond this many are faults: each node talks to every other one.
pub const MEMBERS_MAX: usize = 1_024;
/// RFC 1035: the longest name.
const HOST_CHARS_MAX: usize = 253;
/// Faults quote no more of an entry than this.
const QUOTED_CHARS_MAX: usize = 64;

/// What a list says: members in the order given, without repetitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberList {
    pub members: Vec<PeerAddr>,
    /// Entries that are no address.
    pub faults: Vec<Remark>,
    /// Entries that were left out and do no harm.
    pub notices: Vec<Remark>,
}

/// What there is to say about an entry. `line` counts from 1; a list that is not a file is line 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub line: usize,
    pub text: String,
}

/// Nacos's `cluster.conf`: one `ip[:port]` a line, or several with commas; `#` begins a comment; what follows a `?` in an
/// entry (1.4 writes `ip:port?raft_port=7848`) is left out. An entry without a port has `own_port`.
pub fn parse_cluster_conf(text: &str, own_port: u16) -> MemberList {
    let mut list = Collector::default();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for entry in line.split(',') {
            list.add(entry, index + 1, own_port);
        }
    }
    list.result
}

/// A list in one value: entries with commas, semicolons or blanks between them, each as in `cluster.conf`.
pub fn parse_member_list(text: &str, own_port: u16) -> MemberList {
    let mut list = Collector::default();
    for entry in split_entries(text) {
        list.add(entry, 1, own_port);
    }
    list.result
}

/// The entries of a list in one value, as written.
pub(super) fn split_entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

/// One host as an operator writes it, made uniform: names in lower case, IPv6 in brackets.
pub(super) fn parse_host(host: &str) -> Result<String, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(|| format!("{} has no closing bracket", quoted(host)))?;
        return inner.parse::<Ipv6Addr>().map(|ip| format!("[{ip}]")).map_err(|_| format!("{} is not an IPv6 address", quoted(inner)));
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address is written in brackets: [{host}]"));
    }
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return host.parse::<Ipv4Addr>().map(|ip| ip.to_string()).map_err(|_| format!("{} is not an IPv4 address", quoted(host)));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if host.len() > HOST_CHARS_MAX || !host.bytes().all(legal) || host.starts_with(['.', '-']) {
        return Err(format!("{} is neither an IP address nor a host name", quoted(host)));
    }
    Ok(host.to_ascii_lowercase())
}

#[derive(Default)]
struct Collector {
    result: MemberList,
    seen: BTreeSet<PeerAddr>,
}

impl Collector {
    fn add(&mut self, entry: &str, line: usize, own_port: u16) {
        let entry = entry.split('?').next().unwrap_or_default().trim();
        if entry.is_empty() {
            return;
        }
        match parse_entry(entry, own_port) {
            Ok(member) if self.seen.contains(&member) => {
                self.result.notices.push(Remark { line, text: format!("{member} is there more than once; it counts once") });
            }
            Ok(_) if self.seen.len() == MEMBERS_MAX => {
                self.fault(line, format!("{} is one more than the {MEMBERS_MAX} members a cluster can have", quoted(entry)));
            }
            Ok(member) => {
                self.seen.insert(member.clone());
                self.result.members.push(member);
            }
            Err(text) => self.fault(line, text),
        }
    }

    fn fault(&mut self, line: usize, text: String) {
        if self.result.faults.len() < MEMBERS_MAX {
            self.result.faults.push(Remark { line, text });
        }
    }
}

fn parse_entry(entry: &str, own_port: u16) -> Result<PeerAddr, String> {
    let bracket = entry.rfind(']').unwrap_or(0);
    let (host, port) = match entry[bracket..].rfind(':') {
        Some(colon) if bracket > 0 || entry.matches(':').count() == 1 => (&entry[..bracket + colon], Some(&entry[bracket + colon + 1..])),
        _ => (entry, None),
    };
    let port = match port {
        None => own_port,
        Some(text) => parse_port(text).ok_or_else(|| format!("{}: {} is not a port (1 to 65535)", quoted(entry), quoted(text)))?,
    };
    if host.is_empty() {
        return Err(format!("{} has no host before its port", quoted(entry)));
    }
    Ok(PeerAddr::new(&parse_host(host)?, port))
}

/// Digits only, 1 to 65535.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok().filter(|port| *port != 0) } else { None }
}

/// What was written, in quotes, cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn shown(list: &MemberList) -> String {
        let mut out: Vec<String> = list.members.iter().map(ToString::to_string).collect();
        out.extend(list.faults.iter().map(|fault| format!("fault {}: {}", fault.line, fault.text)));
        out.extend(list.notices.iter().map(|notice| format!("notice {}: {}", notice.line, notice.text)));
        out.join("\n")
    }

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&shown(&parse_cluster_conf(text, 8848)));
    }

    #[test]
    fn the_usual_file() {
        check(
            "#it is ip\n#example\n192.168.16.101:8847\n192.168.16.102 # spare\r\n\n   \n nacos-0.nacos-headless:8848 \n",
            expect![[r#"
                192.168.16.101:8847
                192.168.16.102:8848
                nacos-0.nacos-headless:8848"#]],
        );
    }

    #[test]
    fn commas_raft_ports_brackets_and_a_byte_order_mark() {
        check(
            "\u{feff}10.0.0.1, 10.0.0.2:8849 ,,\n10.0.0.3:8847?raft_port=8807\n10.0.0.4?raft_port=8808\n[2001:DB8::1]:8848\n[::1]\n",
            expect![[r#"
                10.0.0.1:8848
                10.0.0.2:8849
                10.0.0.3:8847
                10.0.0.4:8848
                [2001:db8::1]:8848
                [::1]:8848"#]],
        );
    }

    #[test]
    fn repetitions_count_once_whatever_their_spelling() {
        check(
            "Node-A\nnode-a:8848\n",
            expect![[r#"
                node-a:8848
                notice 2: node-a:8848 is there more than once; it counts once"#]],
        );
    }

    #[test]
    fn what_is_no_member_is_named_with_its_line() {
        check(
            "10.0.0.1:0\n10.0.0.2:88480\n10.0.0.3:+80\n:8848\n::1\n[::1\n[zz]:1\n10.0.0\n10.0.0.256\nhttp://a:1\na b\nok\n-x\na:\n",
            expect![[r#"
                ok:8848
                fault 1: "10.0.0.1:0": "0" is not a port (1 to 65535)
                fault 2: "10.0.0.2:88480": "88480" is not a port (1 to 65535)
                fault 3: "10.0.0.3:+80": "+80" is not a port (1 to 65535)
                fault 4: ":8848" has no host before its port
                fault 5: an IPv6 address is written in brackets: [::1]
                fault 6: "[::1" has no closing bracket
                fault 7: "zz" is not an IPv6 address
                fault 8: "10.0.0" is not an IPv4 address
                fault 9: "10.0.0.256" is not an IPv4 address
                fault 10: "http://a:1" is neither an IP address nor a host name
                fault 11: "a b" is neither an IP address nor a host name
                fault 13: "-x" is neither an IP address nor a host name
                fault 14: "a:": "" is not a port (1 to 65535)"#]],
        );
    }

    #[test]
    fn lists_of_the_environment() {
        let list = parse_member_list("nacos1:8848 nacos2:8848,nacos3;\t10.0.0.9 ", 8850);
        expect![[r#"
            nacos1:8848
            nacos2:8848
            nacos3:8850
            10.0.0.9:8850"#]]
        .assert_eq(&shown(&list));
    }

    #[test]
    fn there_is_an_end_to_members() {
        let text: String = (0..MEMBERS_MAX + 2).map(|i| format!("host{i}\n")).collect();
        let list = parse_cluster_conf(&text, 8848);
        assert_eq!((list.members.len(), list.faults.len()), (MEMBERS_MAX, 2));
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_what_is_taken_reads_back(text in "[\\[\\]:.,?# \\n0-9a-fé]{0,60}") {
            for list in [parse_cluster_conf(&text, 8848), parse_member_list(&text, 8848)] {
                for member in list.members {
                    prop_assert_eq!(parse_member_list(&member.to_string(), 1).members, vec![member]);
                }
            }
        }
    }
}
