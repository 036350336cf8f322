//! Nodes of the cluster on the wire: as Nacos 1.4 shows a member, and as 1.1 shows a server, with all that 1.4 says besides.

use crate::model::member::Member;
use crate::wire::date::plain_seconds;
use serde::Serialize;

/// The newest Nacos whose naming API this node answers; what tools see where they ask for a version.
pub const NACOS_VERSION: &str = "1.4.8";
/// Nacos's Raft listens so far below the port for clients. We have none, but tools expect the member.
const RAFT_PORT_OFFSET: u16 = 1_000;
/// Spelled so in 1.4.
const SITE: &str = "unknow";
/// Spelled so in 1.1.
const SERVER_SITE: &str = "unknown";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberJson {
    ip: String,
    port: u16,
    state: &'static str,
    extend_info: Extension,
    address: String,
    fail_access_cnt: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    ad_weight: String,
    last_refresh_time: u64,
    raft_port: String,
    site: &'static str,
    version: &'static str,
    weight: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerJson {
    ip: String,
    serve_port: u16,
    site: &'static str,
    weight: u32,
    ad_weight: i32,
    alive: bool,
    last_ref_time: u64,
    last_ref_time_str: Option<String>,
    key: String,
    port: u16,
    state: &'static str,
    extend_info: Extension,
    address: String,
    fail_access_cnt: u32,
}

impl MemberJson {
    pub fn new(member: &Member, ad_weight: i32) -> MemberJson {
        MemberJson {
            ip: member.addr.host.clone(),
            port: member.addr.port,
            state: member.state.name(),
            extend_info: Extension::new(member, ad_weight),
            address: member.addr.to_string(),
            fail_access_cnt: 0,
        }
    }
}

impl ServerJson {
    /// `live`: with what this node knows of it now. Otherwise as the list of members has it, which knows nothing of life.
    pub fn new(member: &Member, ad_weight: i32, live: bool) -> ServerJson {
        let heard_ms = if live { member.heard_ms } else { 0 };
        ServerJson {
            ip: member.addr.host.clone(),
            serve_port: member.addr.port,
            site: SERVER_SITE,
            weight: 1,
            ad_weight,
            alive: live && member.is_alive(),
            last_ref_time: heard_ms,
            last_ref_time_str: (heard_ms > 0).then(|| plain_seconds(heard_ms)),
            key: member.addr.to_string(),
            port: member.addr.port,
            state: member.state.name(),
            extend_info: Extension::new(member, ad_weight),
            address: member.addr.to_string(),
            fail_access_cnt: 0,
        }
    }
}

impl Extension {
    fn new(member: &Member, ad_weight: i32) -> Extension {
        Extension {
            ad_weight: ad_weight.to_string(),
            last_refresh_time: member.heard_ms,
            raft_port: member.addr.port.saturating_sub(RAFT_PORT_OFFSET).to_string(),
            site: SITE,
            version: NACOS_VERSION,
            weight: "1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::member::MemberState;
    use crate::model::peer::PeerAddr;

    fn member() -> Member {
        Member { addr: PeerAddr::new("127.0.0.1", 8848), state: MemberState::Up, heard_ms: 1_709_164_800_000 }
    }

    const EXTEND: &str =
        r#"{"adWeight":"2","lastRefreshTime":1709164800000,"raftPort":"7848","site":"unknow","version":"1.4.8","weight":"1"}"#;

    #[test]
    fn a_member_as_nacos_1_4_shows_it() {
        let json = serde_json::to_string(&MemberJson::new(&member(), 2)).unwrap();
        let head = r#"{"ip":"127.0.0.1","port":8848,"state":"UP","extendInfo":"#;
        assert_eq!(json, format!(r#"{head}{EXTEND},"address":"127.0.0.1:8848","failAccessCnt":0}}"#));
    }

    #[test]
    fn a_server_as_nacos_1_1_shows_it_alive_only_where_life_is_asked_for() {
        let listed = serde_json::to_string(&ServerJson::new(&member(), 0, false)).unwrap();
        let head = r#"{"ip":"127.0.0.1","servePort":8848,"site":"unknown","weight":1,"adWeight":0,"alive":false,"lastRefTime":0,"lastRefTimeStr":null,"key":"127.0.0.1:8848","#;
        assert!(listed.starts_with(head), "{listed}");
        let live = serde_json::to_string(&ServerJson::new(&member(), 0, true)).unwrap();
        assert!(live.contains(r#""alive":true,"lastRefTime":1709164800000,"lastRefTimeStr":"2024-02-29 00:00:00""#), "{live}");
    }
}
