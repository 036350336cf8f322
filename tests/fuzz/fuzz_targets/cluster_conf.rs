//! The member list of a cluster, as an operator or a script left it.
#![no_main]

use headcount::config::{parse_cluster_conf, parse_member_list};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = (parse_cluster_conf(text, 8848), parse_member_list(text, 8848));
});
