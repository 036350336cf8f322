//! Under which host this machine is reached, where nobody says: the address its route to the world begins at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that are reserved for documentation (RFC 5737, RFC 3849): nothing is sent there, only the route is asked for.
const ELSEWHERE: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
];

/// The host that others reach a node by which listens on `bind`; an IPv6 address in brackets. Without any route: 127.0.0.1.
pub fn own_host(bind: IpAddr) -> String {
    let ip = if bind.is_unspecified() { routed().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { bind };
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The name of this machine, where it has one.
pub fn hostname() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    Some(name).filter(|name| !name.is_empty())
}

fn routed() -> Option<IpAddr> {
    ELSEWHERE.iter().find_map(|(from, to)| {
        let socket = UdpSocket::bind(SocketAddr::new(*from, 0)).ok()?;
        socket.connect(SocketAddr::new(*to, 9)).ok()?;
        socket.local_addr().ok().map(|addr| addr.ip()).filter(|ip| !ip.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_where_it_listens() {
        assert_eq!(own_host("10.1.2.3".parse().unwrap()), "10.1.2.3");
        assert_eq!(own_host("::1".parse().unwrap()), "[::1]");
    }

    #[test]
    fn listening_everywhere_it_is_reached_at_an_address_of_this_machine() {
        let host = own_host(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let ip: IpAddr = host.trim_matches(['[', ']']).parse().unwrap();
        assert!(!ip.is_unspecified() && UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok(), "{host}");
    }
}
