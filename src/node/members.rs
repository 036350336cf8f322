//! Where the member list comes from, and what this node is called in it.

use crate::actors::roster::{Listed, RosterActor};
use crate::config::{Config, MemberList, MemberSource, Mode, parse_cluster_conf, parse_member_list};
use crate::model::peer::PeerAddr;
use crate::net::own_address::{hostname, own_host};
use crate::net::watch::WatchedFile;
use actix::Addr;
use log::warn;
use tokio::task::JoinHandle;

/// Tells the roster who is listed: once, or whenever `cluster.conf` changes. Ends when dropped.
pub struct MemberFeed(Option<JoinHandle<()>>);

impl MemberFeed {
    #[expect(clippy::disallowed_methods, reason = "no actor owns the feed: the node does, and aborts it")]
    pub fn start(config: &Config, port: u16, roster: Addr<RosterActor>) -> MemberFeed {
        let list = |list: MemberList| {
            list.faults.iter().for_each(|fault| warn!("member list, line {}: {}", fault.line, fault.text));
            list.members
        };
        let feed = match (config.mode, config.members.clone()) {
            (Mode::Standalone, _) => {
                let members = advertised(config, port).into_iter().collect();
                actix_rt::spawn(async move { tell(&roster, members).await })
            }
            (Mode::Cluster, MemberSource::Given(entries)) => {
                let members = list(parse_member_list(&entries.join(","), port));
                actix_rt::spawn(async move { tell(&roster, members).await })
            }
            (Mode::Cluster, MemberSource::File(path)) => actix_rt::spawn(async move {
                let mut file = WatchedFile::new(&path);
                loop {
                    match file.changed().await {
                        Some(text) => match list(parse_cluster_conf(&text, port)) {
                            members if members.is_empty() => {
                                warn!(path:% = path.display(); "the member list names no member: the last one stands");
                            }
                            members => tell(&roster, members).await,
                        },
                        None => warn!(path:% = path.display(); "there is no member list: the last one stands"),
                    }
                }
            }),
        };
        MemberFeed(Some(feed))
    }
}

impl Drop for MemberFeed {
    fn drop(&mut self) {
        if let Some(feed) = self.0.take() {
            feed.abort();
        }
    }
}

async fn tell(roster: &Addr<RosterActor>, members: Vec<PeerAddr>) {
    if roster.send(Listed { members }).await.is_err() {
        warn!("the roster has ended: the member list is not followed any more");
    }
}

/// This node's own address, where configuration says it. On its own a node is called by the address others would reach it at.
pub fn advertised(config: &Config, port: u16) -> Option<PeerAddr> {
    let named = || if config.prefer_hostname { hostname() } else { None };
    let alone = || (config.mode == Mode::Standalone).then(|| own_host(config.bind));
    let host = config.advertised.clone().or_else(named).or_else(alone);
    host.map(|host| PeerAddr::new(&host, port))
}

/// What this node calls itself towards clients, listed or not.
pub fn own_address(config: &Config, port: u16) -> PeerAddr {
    advertised(config, port).unwrap_or_else(|| PeerAddr::new(&own_host(config.bind), port))
}
