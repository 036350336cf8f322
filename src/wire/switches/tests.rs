//! The table, row by row: what is shown by default, what is taken, what is refused.

use super::*;
use expect_test::expect;
use proptest::prelude::*;

/// What the entry makes of the defaults: the members that are no longer what they were, or the error.
fn after(entry: &str, value: &str) -> String {
    let (old, mut new) = (Switches::default(), Switches::default());
    match put(&mut new, entry, value) {
        Err(e) => format!("! {e}"),
        Ok(()) => {
            let changed = SWITCHES.iter().filter(|switch| (switch.show)(&old) != (switch.show)(&new));
            changed.map(|switch| format!("{}={}", switch.field, (switch.show)(&new))).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    let mut switches = Switches::default();
    for (entry, value) in
        [("defaultCacheMillis", "10"), ("limitedUrlMap", "/a:403,/b:0"), ("batch", r#"{"checkTimes":5,"distroThreshold":0}"#)]
    {
        assert!(put(&mut switches, entry, value).is_err());
        assert_eq!(switches, Switches::default(), "{entry}");
    }
    assert_eq!(put(&mut switches, "healthCheckTimes", "9"), Ok(()));
}

fn check(cases: &[(&str, &str, &str)]) {
    for (entry, value, expected) in cases {
        assert_eq!(after(entry, value), *expected, "{entry} <- {value:?}");
    }
}

#[test]
fn the_defaults_are_shown_as_nacos_shows_them() {
    expect![[r#"{"masters":null,"adWeightMap":{},"defaultPushCacheMillis":10000,"clientBeatInterval":5000,"defaultCacheMillis":3000,"distroThreshold":0.7,"healthCheckEnabled":true,"autoChangeHealthCheckEnabled":true,"distroEnabled":true,"enableStandalone":true,"pushEnabled":true,"checkTimes":3,"httpHealthParams":{"max":5000,"min":500,"factor":0.85},"tcpHealthParams":{"max":5000,"min":1000,"factor":0.75},"mysqlHealthParams":{"max":3000,"min":2000,"factor":0.65},"incrementalList":[],"serverStatusSynchronizationPeriodMillis":2000,"serviceStatusSynchronizationPeriodMillis":5000,"disableAddIP":false,"sendBeatOnly":false,"lightBeatEnabled":true,"limitedUrlMap":{},"distroServerExpiredMillis":10000,"pushGoVersion":"0.1.0","pushJavaVersion":"0.1.0","pushPythonVersion":"0.4.3","pushCVersion":"1.0.12","pushCSharpVersion":"0.9.0","enableAuthentication":false,"overriddenServerStatus":null,"defaultInstanceEphemeral":true,"healthCheckWhiteList":[],"name":"00-00---000-NACOS_SWITCH_DOMAIN-000---00-00","checksum":null}"#]]
    .assert_eq(&to_json(&Switches::default()));
}

#[test]
fn every_entry_has_a_case() {
    let cased: Vec<&str> = LEGAL.iter().map(|(entry, _, _)| *entry).collect();
    for entry in SWITCHES.iter().filter_map(|switch| switch.entry) {
        assert!(cased.contains(&entry), "{entry} has no legal case");
    }
}

const LEGAL: &[(&str, &str, &str)] = &[
    ("masters", "a,b,", r#"masters=["a","b"]"#),
    ("pushCacheMillis", "10001", "defaultPushCacheMillis=10001"),
    ("clientBeatInterval", "1", "clientBeatInterval=1"),
    ("defaultCacheMillis", "1000", "defaultCacheMillis=1000"),
    ("distroThreshold", "0.1", "distroThreshold=0.1"),
    ("check", "no", "healthCheckEnabled=false"),
    ("check", "TRUE", ""),
    ("autoChangeHealthCheckEnabled", "1", "autoChangeHealthCheckEnabled=false"),
    ("distro", "false", "distroEnabled=false"),
    ("enableStandalone", "", "enableStandalone=false"),
    ("enableStandalone", "false", ""),
    ("pushEnabled", "yes", "pushEnabled=false"),
    ("healthCheckTimes", "-1", "checkTimes=-1"),
    ("serverStatusSynchronizationPeriodMillis", "1000", "serverStatusSynchronizationPeriodMillis=1000"),
    ("serviceStatusSynchronizationPeriodMillis", "5001", "serviceStatusSynchronizationPeriodMillis=5001"),
    ("disableAddIP", "True", "disableAddIP=true"),
    ("sendBeatOnly", "true", "sendBeatOnly=true"),
    ("lightBeatEnabled", "off", "lightBeatEnabled=false"),
    ("lightBeatEnabled", "Y", ""),
    ("limitedUrlMap", "/a:403,/b:200,/a:503", r#"limitedUrlMap={"/a":503,"/b":200}"#),
    ("limitedUrlMap", "", ""),
    ("distroServerExpiredMillis", "-5", "distroServerExpiredMillis=-5"),
    ("pushVersion", "java:1.2.3", r#"pushJavaVersion="1.2.3""#),
    ("pushVersion", "python:1.2.3", r#"pushPythonVersion="1.2.3""#),
    ("pushVersion", "c:1.2.3:x", r#"pushCVersion="1.2.3""#),
    ("pushVersion", "go:10.20.30", r#"pushGoVersion="10.20.30""#),
    ("overriddenServerStatus", "DOWN", r#"overriddenServerStatus="DOWN""#),
    ("overriddenServerStatus", "whatever", r#"overriddenServerStatus="whatever""#),
    ("overriddenServerStatus", "null", r#"overriddenServerStatus="""#),
    ("defaultInstanceEphemeral", "true", ""),
    ("nosuch", "1", ""),
    ("adWeightMap", "{}", ""),
];

#[test]
fn legal_values_are_taken() {
    check(LEGAL);
}

#[test]
fn illegal_values_are_refused_in_nacos_words() {
    check(&[
        ("pushCacheMillis", "9999", "! min cache time for http or tcp is too small(<10000)"),
        ("pushCacheMillis", "x", "! For input string: \"x\""),
        ("clientBeatInterval", "0", "! clientBeatInterval is too small(<1)"),
        ("clientBeatInterval", "5s", "! For input string: \"5s\""),
        ("defaultCacheMillis", "10", "! min default cache time  is too small(<1000)"),
        ("defaultCacheMillis", "", "! For input string: \"\""),
        ("distroThreshold", "0", "! distroThreshold can not be zero or negative: 0.0"),
        ("distroThreshold", "-1", "! distroThreshold can not be zero or negative: -1.0"),
        ("distroThreshold", "NaN", "! For input string: \"NaN\""),
        ("healthCheckTimes", "3.5", "! For input string: \"3.5\""),
        ("serverStatusSynchronizationPeriodMillis", "999", "! serverStatusSynchronizationPeriodMillis is too small(<15000)"),
        ("serviceStatusSynchronizationPeriodMillis", "4999", "! serviceStatusSynchronizationPeriodMillis is too small(<5000)"),
        ("limitedUrlMap", "/a", "! invalid input for limited urls"),
        ("limitedUrlMap", "/a:403,", "! invalid input for limited urls"),
        ("limitedUrlMap", ":403", "! url can not be empty, url: "),
        ("limitedUrlMap", "/a:x", "! For input string: \"x\""),
        ("limitedUrlMap", "/a:0", "! illegal normal status code: 0"),
        ("limitedUrlMap", "/a:101", "! illegal normal status code: 101"),
        ("limitedUrlMap", "/a:1000", "! illegal normal status code: 1000"),
        ("distroServerExpiredMillis", "1e3", "! For input string: \"1e3\""),
        ("pushVersion", "java:x", "! illegal version, must match: [0-9]+\\.[0-9]+\\.[0-9]+"),
        ("pushVersion", "java:1.2", "! illegal version, must match: [0-9]+\\.[0-9]+\\.[0-9]+"),
        ("pushVersion", "zz:1.2.3", "! unsupported client type: zz"),
        ("pushVersion", "1.2.3", "! pushVersion must be <client type>:<version>, as in java:1.2.3"),
        ("defaultInstanceEphemeral", "false", "! defaultInstanceEphemeral must be true: persistent instances are not supported yet"),
    ]);
}

#[test]
fn a_batch_puts_what_it_does_not_mention_at_its_default() {
    check(&[
        ("batch", "{}", ""),
        ("batch", r#"{"checkTimes":"5","pushEnabled":"False","unknown":[1]}"#, "pushEnabled=false checkTimes=5"),
        ("batch", r#"{"httpHealthParams":{"min":600}}"#, r#"httpHealthParams={"max":5000,"min":600,"factor":0.85}"#),
        ("batch", r#"{"adWeightMap":{"10.0.0.1:8848":2},"masters":["a"]}"#, r#"masters=["a"] adWeightMap={"10.0.0.1:8848":2}"#),
        ("batch", r#"{"incrementalList":["a",1],"healthCheckWhiteList":["b"]}"#, r#"incrementalList=["a","1"] healthCheckWhiteList=["b"]"#),
        ("batch", r#"{"enableAuthentication":1,"pushCSharpVersion":"2.0.0"}"#, r#"pushCSharpVersion="2.0.0" enableAuthentication=true"#),
        ("batch", r#"{"mysqlHealthParams":null,"name":"x","checksum":"y","enableStandalone":false}"#, ""),
    ]);
    let mut switches = Switches { check_times: 9, enable_standalone: false, ..Switches::default() };
    put(&mut switches, "batch", r#"{"distroEnabled":false}"#).unwrap();
    assert_eq!(switches, Switches { distro_enabled: false, enable_standalone: false, ..Switches::default() });
}

#[test]
fn a_batch_keeps_the_rules_of_every_entry() {
    check(&[
        ("batch", "", "! switches: expected a JSON value, found the end"),
        ("batch", "[]", "! switches: expected a JSON object, found an array"),
        ("batch", r#"{"checkTimes":"x"}"#, "! switches: member 'checkTimes': expected a whole number of 32 bits, found \"x\""),
        ("batch", r#"{"pushEnabled":[]}"#, "! switches: member 'pushEnabled': expected a boolean, found an array"),
        ("batch", r#"{"tcpHealthParams":{"min":499}}"#, "! min check time for http or tcp is too small(<500)"),
        ("batch", r#"{"httpHealthParams":{"max":2999}}"#, "! max check time for http or tcp is too small(<3000)"),
        ("batch", r#"{"httpHealthParams":{"factor":1.1}}"#, "! malformed factor"),
        ("batch", r#"{"httpHealthParams":7}"#, "! switches: member 'httpHealthParams': expected an object, found a number"),
        ("batch", r#"{"limitedUrlMap":{"/a":100}}"#, "! illegal normal status code: 100"),
        ("batch", r#"{"limitedUrlMap":{"/a":70000}}"#, "! switches: member 'limitedUrlMap': expected a status code, found \"70000\""),
        ("batch", r#"{"limitedUrlMap":{"":403}}"#, "! url can not be empty, url: "),
        ("batch", r#"{"incrementalList":"a"}"#, "! switches: member 'incrementalList': expected an array, found a string"),
        ("batch", r#"{"adWeightMap":[]}"#, "! switches: member 'adWeightMap': expected an object, found an array"),
        ("batch", r#"{"defaultCacheMillis":0}"#, "! min default cache time  is too small(<1000)"),
        ("batch", r#"{"pushJavaVersion":"x"}"#, "! illegal version, must match: [0-9]+\\.[0-9]+\\.[0-9]+"),
        (
            "batch",
            r#"{"defaultInstanceEphemeral":false}"#,
            "! defaultInstanceEphemeral must be true: persistent instances are not supported yet",
        ),
    ]);
}

#[test]
fn what_is_written_reads_back() {
    let mut switches = Switches { overridden_server_status: Some(String::new()), masters: Some(Vec::new()), ..Switches::default() };
    for (entry, value, _) in LEGAL.iter().filter(|(entry, _, _)| *entry != "overriddenServerStatus") {
        put(&mut switches, entry, value).unwrap();
    }
    assert_eq!(from_json(&to_json(&switches)), Ok(switches));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_put_the_rules_hold_and_the_record_reads_back(row in 0..SWITCHES.len(), value in "[-0-9a-z.:,/{}\"]{0,12}") {
        let mut switches = Switches::default();
        if put(&mut switches, SWITCHES[row].entry.unwrap_or("batch"), &value).is_ok() {
            prop_assert_eq!(from_json(&to_json(&switches)), Ok(switches));
        }
    }
}
