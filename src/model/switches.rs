//! What operators change at run time: the words of `/operator/switches`, and their defaults.

use std::collections::BTreeMap;

/// Pacing of one kind of active health check. Stored and shown; ephemeral instances are not checked actively.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckParams {
    pub max: i32,
    pub min: i32,
    pub factor: f32,
}

/// All switches at one moment. Fields are named as in `GET /operator/switches`, where a comment does not say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Switches {
    pub masters: Option<Vec<String>>,
    pub ad_weight_map: BTreeMap<String, i32>,
    /// `cacheMillis` told to subscribers, ms.
    pub default_push_cache_millis: i64,
    /// What clients are told to beat at, ms, where the instance does not say.
    pub client_beat_interval: i64,
    /// `cacheMillis` told to others, ms.
    pub default_cache_millis: i64,
    pub distro_threshold: f32,
    /// `false`: nobody is judged.
    pub health_check_enabled: bool,
    pub auto_change_health_check_enabled: bool,
    pub distro_enabled: bool,
    pub enable_standalone: bool,
    /// `false`: no new subscriptions.
    pub push_enabled: bool,
    pub check_times: i32,
    pub http_health_params: CheckParams,
    pub tcp_health_params: CheckParams,
    pub mysql_health_params: CheckParams,
    pub incremental_list: Vec<String>,
    pub server_status_synchronization_period_millis: i64,
    pub service_status_synchronization_period_millis: i64,
    pub disable_add_ip: bool,
    pub send_beat_only: bool,
    pub light_beat_enabled: bool,
    /// Request line prefix → status answered for it.
    pub limited_url_map: BTreeMap<String, u16>,
    pub distro_server_expired_millis: i64,
    pub push_go_version: String,
    pub push_java_version: String,
    pub push_python_version: String,
    pub push_c_version: String,
    pub push_csharp_version: String,
    pub enable_authentication: bool,
    /// What `status` says whatever the node thinks; `None` or blank: what it thinks.
    pub overridden_server_status: Option<String>,
    pub default_instance_ephemeral: bool,
    pub health_check_white_list: Vec<String>,
}

impl Default for Switches {
    fn default() -> Switches {
        let check = |max, min, factor| CheckParams { max, min, factor };
        Switches {
            masters: None,
            ad_weight_map: BTreeMap::new(),
            default_push_cache_millis: 10_000,
            client_beat_interval: 5_000,
            default_cache_millis: 3_000,
            distro_threshold: 0.7,
            health_check_enabled: true,
            auto_change_health_check_enabled: true,
            distro_enabled: true,
            enable_standalone: true,
            push_enabled: true,
            check_times: 3,
            http_health_params: check(5_000, 500, 0.85),
            tcp_health_params: check(5_000, 1_000, 0.75),
            mysql_health_params: check(3_000, 2_000, 0.65),
            incremental_list: Vec::new(),
            server_status_synchronization_period_millis: 2_000,
            service_status_synchronization_period_millis: 5_000,
            disable_add_ip: false,
            send_beat_only: false,
            light_beat_enabled: true,
            limited_url_map: BTreeMap::new(),
            distro_server_expired_millis: 10_000,
            push_go_version: "0.1.0".into(),
            push_java_version: "0.1.0".into(),
            push_python_version: "0.4.3".into(),
            push_c_version: "1.0.12".into(),
            push_csharp_version: "0.9.0".into(),
            enable_authentication: false,
            overridden_server_status: None,
            default_instance_ephemeral: true,
            health_check_white_list: Vec::new(),
        }
    }
}
