//! Where pushes may go: the rule that keeps this node from being made to throw packets at strangers.
//!
//! A client says in `clientIP` where it listens, and anybody can say anything. A claim is believed where it is the address the
//! request came from, or where both are inside (private, link-local, loopback); else pushes go to the address the request came from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a subscriber that claims `claimed` (`clientIP`, may be blank) and `port` (`udpPort`) is pushed to; `None`: it is not subscribed.
///
/// * blank: the requester's own address (Nacos: loopback, which is the same for a local requester);
/// * not a literal address: `None`, names are never resolved (Java sends `resolve_failed` when it does not know its own);
/// * a loopback claim from elsewhere would hit this machine and never the client: the requester's own address;
/// * never multicast, broadcast, reserved or unspecified addresses.
pub fn push_target(claimed: &str, requester: IpAddr, port: i32) -> Option<SocketAddr> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    let requester = requester.to_canonical();
    let ip = match claimed.trim() {
        "" => requester,
        text => {
            let claimed = text.parse::<IpAddr>().ok()?.to_canonical();
            if is_unicast(claimed) && is_believed(claimed, requester) { claimed } else { requester }
        }
    };
    is_unicast(ip).then_some(SocketAddr::new(ip, port))
}

fn is_believed(claimed: IpAddr, requester: IpAddr) -> bool {
    if claimed.is_loopback() {
        return requester.is_loopback();
    }
    claimed == requester || is_inside(claimed) && is_inside(requester)
}

/// Private, link-local or loopback: RFC 1918, 3927, 4193, 4291.
fn is_inside(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        // 0.0.0.0/8 is "this network", 224.0.0.0/4 multicast, 240.0.0.0/4 reserved with the broadcast address at its end.
        IpAddr::V4(ip) => (Ipv4Addr::new(1, 0, 0, 0)..Ipv4Addr::new(224, 0, 0, 0)).contains(&ip),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(claimed: &str, requester: &str, target: Option<&str>) {
        let got = push_target(claimed, requester.parse().unwrap(), 5_000).map(|to| to.ip().to_string());
        assert_eq!(got.as_deref(), target, "{claimed:?} from {requester}");
    }

    #[test]
    fn a_claim_of_ones_own_address_is_believed() {
        check("8.8.8.8", "8.8.8.8", Some("8.8.8.8"));
        check("2001:db8::1", "2001:db8::1", Some("2001:db8::1"));
        check("8.8.8.8", "::ffff:8.8.8.8", Some("8.8.8.8"));
    }

    #[test]
    fn insiders_may_name_one_another() {
        for inside in ["10.1.2.3", "172.16.0.9", "172.31.255.255", "192.168.3.4", "169.254.7.7", "fd00::7", "fe80::7", "::ffff:10.1.2.3"] {
            let unwrapped = inside.trim_start_matches("::ffff:");
            check(inside, "127.0.0.1", Some(unwrapped));
            check(inside, "10.9.9.9", Some(unwrapped));
            check(inside, "::1", Some(unwrapped));
            check(inside, "::ffff:192.168.0.1", Some(unwrapped));
        }
    }

    #[test]
    fn nobody_names_a_stranger() {
        check("8.8.8.8", "10.0.0.1", Some("10.0.0.1"));
        check("8.8.8.8", "1.2.3.4", Some("1.2.3.4"));
        check("10.0.0.1", "1.2.3.4", Some("1.2.3.4"));
        check("172.32.0.1", "10.0.0.1", Some("10.0.0.1"));
        check("100.64.0.1", "10.0.0.1", Some("10.0.0.1"));
        check("2001:db8::1", "fd00::1", Some("fd00::1"));
        check("::ffff:8.8.8.8", "10.0.0.1", Some("10.0.0.1"));
    }

    #[test]
    fn loopback_is_for_those_who_came_from_it() {
        check("127.0.0.1", "127.0.0.1", Some("127.0.0.1"));
        check("127.0.0.1", "::1", Some("127.0.0.1"));
        check("127.0.0.1", "172.17.0.1", Some("172.17.0.1"));
        check("::1", "10.0.0.1", Some("10.0.0.1"));
    }

    #[test]
    fn blank_means_the_requester() {
        check("", "127.0.0.1", Some("127.0.0.1"));
        check("  ", "8.8.8.8", Some("8.8.8.8"));
    }

    #[test]
    fn what_is_no_address_does_not_subscribe() {
        for text in ["resolve_failed", "localhost", "1", "1.2.3", "10.0.0.1:80", "[::1]", "010.0.0.1", "1.2.3.4.5"] {
            check(text, "10.0.0.1", None);
        }
    }

    #[test]
    fn nothing_goes_to_everybody_or_nobody() {
        for odd in
            ["224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "0.0.0.0", "0.1.2.3", "::", "ff02::1", "::ffff:255.255.255.255"]
        {
            check(odd, "10.0.0.1", Some("10.0.0.1"));
        }
        check("", "0.0.0.0", None);
        check("::", "::", None);
    }

    #[test]
    fn a_port_is_one_to_65535() {
        let to = |port| push_target("", "10.0.0.1".parse().unwrap(), port).map(|to| to.port());
        assert_eq!([to(0), to(-1), to(65_536), to(i32::MAX)], [None; 4]);
        assert_eq!([to(1), to(65_535)], [Some(1), Some(65_535)]);
    }
}
