//! A network of their own for nodes that are to be cut off from each other: a namespace and an address each, a bridge in one more,
//! and packets dropped by iptables.
//!
//! Made with `ip` and removed when dropped; needs root, and says in a line why it cannot be made. It installs nothing and
//! touches no rule outside its namespaces.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

pub struct Lan {
    /// Begins the names of all it made.
    name: String,
    subnet: u8,
    size: usize,
}

impl Lan {
    pub fn build(size: usize) -> Result<Lan, String> {
        let pid = std::process::id();
        let subnet = (pid % 250) as u8 + 1;
        let lan = Lan { name: format!("hc{pid}"), subnet, size };
        let (switch, plug) = (lan.switch(), lan.plug());
        // From here on, dropping `lan` removes what there is.
        run("ip", &["netns", "add", &switch])?;
        run("ip", &["-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        run("ip", &["-n", &switch, "link", "set", "bridge", "up"])?;
        run("ip", &["link", "add", &plug, "type", "veth", "peer", "name", "crowd", "netns", &switch])?;
        run("ip", &["-n", &switch, "link", "set", "crowd", "master", "bridge", "up"])?;
        run("ip", &["address", "add", &format!("10.213.{subnet}.254/24"), "dev", &plug])?;
        run("ip", &["link", "set", &plug, "up"])?;
        for node in 0..size {
            let (namespace, socket) = (lan.namespace(node), format!("node{node}"));
            run("ip", &["netns", "add", &namespace])?;
            run("ip", &["-n", &switch, "link", "add", &socket, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
            run("ip", &["-n", &switch, "link", "set", &socket, "master", "bridge", "up"])?;
            run("ip", &["-n", &namespace, "address", "add", &format!("{}/24", lan.address(node)), "dev", "eth0"])?;
            run("ip", &["-n", &namespace, "link", "set", "eth0", "up"])?;
            run("ip", &["-n", &namespace, "link", "set", "lo", "up"])?;
            lan.rule(node, &["-n", "-L", "INPUT"])?;
        }
        Ok(lan)
    }

    pub fn address(&self, node: usize) -> IpAddr {
        Ipv4Addr::new(10, 213, self.subnet, node as u8 + 1).into()
    }

    pub fn namespace(&self, node: usize) -> String {
        format!("{}n{node}", self.name)
    }

    /// What `from` sends no longer reaches `to`.
    pub fn cut(&self, from: usize, to: usize) -> Result<(), String> {
        self.rule(to, &["-A", "INPUT", "-s", &self.address(from).to_string(), "-j", "DROP"])
    }

    pub fn heal(&self) -> Result<(), String> {
        (0..self.size).try_for_each(|node| self.rule(node, &["-F", "INPUT"]))
    }

    fn rule(&self, node: usize, arguments: &[&str]) -> Result<(), String> {
        let namespace = self.namespace(node);
        let all: Vec<&str> = ["netns", "exec", &namespace, "iptables", "-w"].into_iter().chain(arguments.iter().copied()).collect();
        run("ip", &all)
    }

    /// The bridge has a namespace too: this machine's own firewall has no say in it.
    fn switch(&self) -> String {
        format!("{}s", self.name)
    }

    /// The crowd's end of the cable.
    fn plug(&self) -> String {
        format!("{}p", self.name)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = run("ip", &["link", "del", &self.plug()]);
        for namespace in (0..self.size).map(|node| self.namespace(node)).chain([self.switch()]) {
            let _ = run("ip", &["netns", "del", &namespace]); // takes its ends of the cables along
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().map_err(|e| format!("{}: {e}", line()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{}: {}", line(), told.trim())) }
}
