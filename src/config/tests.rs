//! Settings from all places together. What one reader does is tested beside it.

use super::*;
use crate::model::peer::PeerAddr;
use expect_test::{Expect, expect, expect_file};

const SECRET: &str = "0123456789abcdef-the-secret";

fn env(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn from_file(text: &str) -> Raw {
    Raw::default().file(text, &Environment::new())
}

fn from_env(pairs: &[(&str, &str)]) -> Raw {
    Raw::default().env(&env(pairs))
}

fn config(raw: Raw) -> Config {
    raw.check().unwrap_or_else(|faults| panic!("{}", lines(&faults)))
}

fn lines<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn faults(raw: Raw, expected: Expect) {
    expected.assert_eq(&lines(&raw.check().expect_err("faults were expected")));
}

// === defaults ===

#[test]
fn nothing_set_is_a_standalone_node_on_8848() {
    let config = config(Raw::default());
    assert_eq!(config, Config::default());
    assert_eq!((config.mode, config.port, config.bind.to_string()), (Mode::Standalone, 8848, "0.0.0.0".to_string()));
    assert_eq!(config.context_path, "/nacos");
}

#[test]
fn every_default_in_the_table_reads_back_as_itself() {
    for setting in SETTINGS.iter().filter(|setting| !setting.default_varies() && !setting.default_value().is_empty()) {
        let mut config = Config::default();
        assert_eq!((setting.set)(&mut config, &setting.default_value()), Ok(()), "{}", setting.key);
        assert_eq!(config, Config::default(), "{}", setting.key);
    }
}

#[test]
fn every_setting_has_names_of_its_own() {
    let mut names: Vec<String> = SETTINGS.iter().flat_map(Setting::environment_names).collect();
    names.extend(SETTINGS.iter().map(|setting| setting.key.to_lowercase().replace(['-', '_'], "")));
    names.extend(SETTINGS.iter().filter_map(|setting| setting.flag).map(|(flag, _)| format!("--{flag}")));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn an_absent_directory_is_no_configuration_unless_it_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("none").display().to_string();
    for raw in
        [Raw::load(&flags(&[("config-dir", &absent)]), &Environment::new()), Raw::load(&[], &env(&[("HEADCOUNT_CONFIG_DIR", &absent)]))]
    {
        let faults = raw.check().unwrap_err();
        assert!(faults[0].to_string().ends_with("/none does not exist"), "{}", faults[0]);
    }
    let empty = dir.path().display().to_string();
    let config = config(Raw::load(&flags(&[("config-dir", &empty)]), &Environment::new()));
    assert_eq!(config.mode, Mode::Standalone);
    assert_eq!(config.members, MemberSource::File(dir.path().join("cluster.conf")));
}

// === layers ===

#[test]
fn flags_win_over_the_environment_the_environment_over_the_file() {
    let file = "server.port=1001\nserver.address=10.0.0.1\nheadcount.data-dir=/file";
    let env = env(&[("NACOS_APPLICATION_PORT", "1002"), ("HEADCOUNT_DATA_DIR", "/env")]);
    let flags = flags(&[("port", "1003")]);
    let one_way = Raw::default().file(file, &env).env(&env).flags(&flags);
    let other_way = Raw::default().flags(&flags).env(&env).file(file, &env);
    for raw in [one_way, other_way] {
        assert_eq!(raw.origin("server.port").to_string(), "flag --port");
        assert_eq!(raw.origin("headcount.data-dir").to_string(), "environment HEADCOUNT_DATA_DIR");
        assert_eq!(raw.origin("server.address").to_string(), "application.properties:2");
        assert_eq!(raw.origin("headcount.log-format").to_string(), "default");
        let config = config(raw);
        assert_eq!((config.port, config.bind.to_string(), config.data_dir), (1003, "10.0.0.1".to_string(), PathBuf::from("/env")));
    }
}

#[test]
fn every_fault_is_told_at_once_with_its_origin() {
    let file = "\n# a comment\nserver.port=88480\nnacos.naming.expireInstance=perhaps\nheadcount.limits.body-bytes=64k\n\
                headcount.http-worker=3\nheadcount.config-dir=/x\nserver.servlet.context-path=/a//b\nheadcount.nonsense=1\n\
                nacos.inetutils.ip-address=a b\n";
    let env = env(&[("MODE", "clustr"), ("HEADCOUNT_LOG_FORMAT", "xml"), ("MEMBER_LIST", "a:1,b:0,:3")]);
    let raw = Raw::default().file(file, &env).env(&env).flags(&flags(&[("bind", "localhost"), ("http-workers", "0")]));
    faults(
        raw,
        expect![[r#"
            application.properties:6: headcount.http-worker: there is no such setting; did you mean headcount.http-workers?
            application.properties:7: headcount.config-dir: this cannot be set in the file it leads to; use --config-dir
            application.properties:9: headcount.nonsense: there is no such setting
            application.properties:3: server.port: 88480 is not a port (1 to 65535)
            flag --bind: localhost is not an IP address to listen on, such as 0.0.0.0 or 127.0.0.1
            application.properties:8: server.servlet.contextPath: /a//b is not a path of letters, digits, - . _ ~ and /, such as /nacos
            application.properties:10: nacos.inetutils.ip-address: "a b" is neither an IP address nor a host name
            environment MODE: clustr is not a mode (standalone or cluster)
            environment MEMBER_LIST: "b:0": "0" is not a port (1 to 65535); ":3" has no host before its port
            flag --http-workers: 0 is not a whole number from 1 to 1024
            environment HEADCOUNT_LOG_FORMAT: xml is not a log format (text or json)
            application.properties:4: nacos.naming.expireInstance: perhaps is neither true nor false
            application.properties:5: headcount.limits.body-bytes: 64k is not a whole number from 1 to 1000000000"#]],
    );
}

#[test]
fn a_line_that_is_no_property_is_a_fault_with_its_number() {
    let fault = from_file("server.port=1\nx=\\uZZZZ\n").check().unwrap_err();
    assert!(fault[0].to_string().starts_with("application.properties:2: "), "{}", fault[0]);
}

#[test]
fn keys_are_compared_as_spring_does_and_the_later_line_counts() {
    for key in ["server.servlet.contextPath", "server.servlet.context-path", "server.servlet.context_path"] {
        assert_eq!(config(from_file(&format!("{key}=/x/"))).context_path, "/x");
    }
    let twice = config(from_file("server.servlet.contextPath=/x\nserver.servlet.context-path=/y"));
    assert_eq!(twice.context_path, "/y");
    assert_eq!(twice.notices, ["application.properties:2: server.servlet.contextPath was set in line 1 already; the later line counts"]);
}

#[test]
fn the_context_path_is_made_uniform() {
    for (text, path) in [("", ""), ("/", ""), ("//", ""), ("nacos", "/nacos"), ("/a/b/", "/a/b")] {
        assert_eq!(config(Raw::default().flags(&flags(&[("context-path", text)]))).context_path, path, "{text:?}");
    }
    assert_eq!(config(from_file("server.servlet.contextPath=")).context_path, "");
}

#[test]
fn an_empty_value_is_one_that_is_not_set() {
    let file = "nacos.inetutils.ip-address=\nserver.port=9\nnacos.member.list=";
    let raw = Raw::default().file(file, &Environment::new()).env(&env(&[("NACOS_APPLICATION_PORT", ""), ("MODE", " ")]));
    let config = config(raw.flags(&flags(&[("members", "")])));
    assert_eq!((config.port, config.advertised, config.mode), (9, None, Mode::Standalone));
}

// === names that mean nothing ===

#[test]
fn a_file_of_nacos_is_taken_and_what_means_nothing_is_listed() {
    let config = config(from_file(
        "server.servlet.contextPath=/nacos\nserver.port=8848\nspring.datasource.platform=mysql\ndb.num=1\n\
         nacos.naming.empty-service.auto-clean=true\nnacos.naming.empty-service.clean.initial-delay-ms=50000\n\
         nacos.core.auth.enabled=true\nnacos.naming.expireInstances=true\n",
    ));
    assert_eq!(
        config.ignored,
        [
            "spring.datasource.platform (application.properties:3)",
            "db.num (application.properties:4)",
            "nacos.naming.empty-service.clean.initial-delay-ms (application.properties:6)",
        ]
    );
    assert!(config.auth);
    assert_eq!(
        config.notices,
        [
            "application.properties:8: nacos.naming.expireInstances has no meaning here; did you mean nacos.naming.expireInstance?",
            "application.properties:7: nacos.core.auth.enabled: true has no effect: clients are not authenticated; \
             keep the port inside a trusted network",
        ]
    );
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_fault() {
    let config = config(from_env(&[
        ("HEADCOUNT_PORT", "tcp://10.0.0.1:8848"),
        ("HEADCOUNT_SERVICE_HOST", "10.0.0.1"),
        ("HEADCOUNT_DATADIR", "/x"),
        ("PATH", "/bin"),
    ]));
    assert_eq!(config.port, 8848);
    assert_eq!(config.ignored, ["HEADCOUNT_PORT (environment)", "HEADCOUNT_SERVICE_HOST (environment)"]);
    assert_eq!(config.notices, ["environment HEADCOUNT_DATADIR has no meaning; did you mean HEADCOUNT_DATA_DIR?"]);
}

// === nacos-docker ===

#[test]
fn the_environment_of_nacos_docker_in_cluster_mode() {
    let config = config(from_env(&[
        ("MODE", "cluster"),
        ("PREFER_HOST_MODE", "hostname"),
        ("NACOS_SERVERS", "nacos1:8848 nacos2:8848 nacos3:8850"),
        ("NACOS_SERVER_IP", "Nacos1"),
        ("NACOS_APPLICATION_PORT", "8849"),
        ("SERVER_SERVLET_CONTEXTPATH", "/registry"),
        ("HEADCOUNT_CLUSTER_SECRET", SECRET),
        ("JVM_XMS", "512m"),
        ("MYSQL_SERVICE_HOST", "mysql"),
        ("SPRING_DATASOURCE_PLATFORM", "mysql"),
    ]));
    assert_eq!((config.mode, config.port, config.prefer_hostname), (Mode::Cluster, 8849, true));
    assert_eq!((config.context_path.as_str(), config.advertised.as_deref()), ("/registry", Some("nacos1")));
    assert_eq!(config.members, MemberSource::Given(vec!["nacos1:8848".into(), "nacos2:8848".into(), "nacos3:8850".into()]));
    assert_eq!(config.ignored, ["JVM_XMS (environment)", "MYSQL_SERVICE_HOST (environment)", "SPRING_DATASOURCE_PLATFORM (environment)"]);
}

#[test]
fn a_file_with_placeholders_is_filled_from_the_environment() {
    let file = "server.port=${NACOS_APPLICATION_PORT:8848}\nserver.servlet.contextPath=${SERVER_SERVLET_CONTEXTPATH:/nacos}\n\
                headcount.data-dir=${BASE:/var}/${server.port}\nspring.x=${UNSET}\n";
    let env = env(&[("NACOS_APPLICATION_PORT", "8851")]);
    let filled = config(Raw::default().file(file, &env));
    assert_eq!((filled.port, filled.context_path.as_str(), filled.data_dir), (8851, "/nacos", PathBuf::from("/var/8851")));
    faults(
        from_file("server.port=${PORT}\nheadcount.data-dir=${A"),
        expect![[r#"
            application.properties:1: server.port: ${PORT} is not set in the environment and has no default (${PORT:default})
            application.properties:2: headcount.data-dir: the placeholder "${A" has no closing brace"#]],
    );
}

// === mode, members, secret ===

#[test]
fn members_mean_cluster_and_standalone_wins_over_members() {
    let secret = ("HEADCOUNT_CLUSTER_SECRET", SECRET);
    assert_eq!(config(from_env(&[secret, ("MEMBER_LIST", "a,b")])).mode, Mode::Cluster);
    assert_eq!(config(from_env(&[secret]).cluster_conf("10.0.0.1\n10.0.0.2")).mode, Mode::Cluster);
    assert_eq!(config(from_env(&[secret]).cluster_conf("# nobody\n\n")).mode, Mode::Standalone);
    assert_eq!(lines(&from_env(&[secret, ("MEMBER_LIST", ",")]).check().unwrap_err()), "environment MEMBER_LIST: , lists nobody");
    let alone = config(from_env(&[("MODE", "standalone"), ("MEMBER_LIST", "a,b")]));
    assert_eq!(alone.mode, Mode::Standalone);
    assert_eq!(alone.notices, ["environment MEMBER_LIST: the members are not heard, because environment MODE says standalone"]);
}

#[test]
fn a_wrong_line_of_cluster_conf_is_a_fault_unless_nobody_reads_it() {
    let wrong = "10.0.0.1:8848\n10.0.0.2:x\n";
    faults(
        from_env(&[("HEADCOUNT_INSECURE_PEERS", "true")]).cluster_conf(wrong),
        expect![[r#"cluster.conf:2: "10.0.0.2:x": "x" is not a port (1 to 65535)"#]],
    );
    assert_eq!(config(from_env(&[("MODE", "standalone")]).cluster_conf(wrong)).mode, Mode::Standalone);
    assert_eq!(config(from_env(&[("NACOS_SERVERS", "a"), ("HEADCOUNT_INSECURE_PEERS", "1")]).cluster_conf(wrong)).mode, Mode::Cluster);
}

#[test]
fn a_cluster_without_members_or_secret_is_told_what_to_add() {
    faults(
        from_env(&[("MODE", "cluster")]),
        expect![[r#"
            environment MODE: cluster mode needs members: write one host:port a line into ./config/cluster.conf, or set NACOS_SERVERS or --members
            environment MODE: cluster mode needs a secret that all nodes share. Make one with 'headcount secret --create FILE', copy it to every node, and set HEADCOUNT_CLUSTER_SECRET_FILE=FILE (or headcount.cluster-secret-file=FILE in application.properties). --insecure-peers does without, for trials"#]],
    );
    let insecure = Raw::default().flags(&flags(&[("members", "a,b"), ("insecure-peers", "true")]));
    assert_eq!(config(insecure).cluster_secret, None);
}

#[test]
fn the_secret_comes_from_the_strongest_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.display().to_string();
    let read = config(Raw::load(&[], &env(&[("HEADCOUNT_CLUSTER_SECRET_FILE", &path)])));
    assert_eq!(read.cluster_secret.as_ref().map(Secret::expose), Some(SECRET));
    let other = "another-secret-of-the-environment";
    let both = Raw::load(&flags(&[("cluster-secret-file", &path)]), &env(&[("HEADCOUNT_CLUSTER_SECRET", other)]));
    assert_eq!(config(both).cluster_secret.as_ref().map(Secret::expose), Some(SECRET));
    let env = env(&[("HEADCOUNT_CLUSTER_SECRET", other)]);
    let under = Raw::default().env(&env).file(&format!("headcount.cluster-secret-file={path}"), &env);
    assert_eq!(config(under).cluster_secret.as_ref().map(Secret::expose), Some(other));
}

#[test]
fn a_secret_file_that_cannot_be_used_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str| {
        let path = dir.path().join(name).display().to_string();
        let faults = Raw::load(&flags(&[("cluster-secret-file", &path)]), &Environment::new()).check().unwrap_err();
        lines(&faults).replace(&dir.path().display().to_string(), "DIR")
    };
    std::fs::write(dir.path().join("empty"), " \n").unwrap();
    std::fs::write(dir.path().join("short"), "hunter2").unwrap();
    std::fs::write(dir.path().join("long"), "two lines of it\nare no secret").unwrap();
    expect!["flag --cluster-secret-file: the file DIR/none does not exist; 'headcount secret --create DIR/none' makes one"]
        .assert_eq(&load("none"));
    expect!["flag --cluster-secret-file: DIR/empty: the secret is empty"].assert_eq(&load("empty"));
    expect!["flag --cluster-secret-file: DIR/short: a secret has 16 to 512 characters, this one has 7"].assert_eq(&load("short"));
    expect!["flag --cluster-secret-file: DIR/long: a secret has only visible ASCII characters and no spaces (one line), because it travels in a header"].assert_eq(&load("long"));
    assert!(load(".").contains("cannot be read"), "{}", load("."));
}

#[test]
fn a_secret_is_never_printed() {
    let raw = from_env(&[("HEADCOUNT_CLUSTER_SECRET", SECRET), ("NACOS_SERVERS", "a")]);
    let config = config(raw);
    let shown: Vec<String> = SETTINGS.iter().map(|setting| (setting.show)(&config)).collect();
    assert!(!format!("{config:?} {shown:?}").contains(SECRET));
    assert!(format!("{config:?}").contains("cluster_secret: Some(…)"));
    let faults = from_env(&[("HEADCOUNT_CLUSTER_SECRET", "hunter2 hunter2 hunter2"), ("MODE", "x")]).check().unwrap_err();
    assert!(!lines(&faults).contains("hunter2") && faults.len() == 2, "{}", lines(&faults));
    for text in ["headcount.cluster-secret=hunter2\n", "headcount.cluster-secret=x${hunter2"] {
        let faults = from_file(text).check().unwrap_err();
        assert!(!lines(&faults).contains("hunter2"), "{}", lines(&faults));
    }
}

#[test]
fn lists_take_this_nodes_port_where_they_name_none() {
    let config = config(from_file("headcount.peers.legacy=10.0.0.7, 10.0.0.8:8848\nserver.port=9000"));
    assert_eq!(config.legacy_peers, [PeerAddr::new("10.0.0.7", 9000), PeerAddr::new("10.0.0.8", 8848)]);
}

// === samples and reference ===

#[test]
fn the_sample_file_is_the_table() {
    expect_file!["../../config/application.properties"].assert_eq(&sample());
}

#[test]
fn the_samples_load_as_they_are_and_uncommented_they_say_the_defaults() {
    let sample = include_str!("../../config/application.properties");
    let members = include_str!("../../config/cluster.conf");
    let as_it_is = config(from_file(sample).cluster_conf(members));
    assert_eq!(as_it_is, Config::default());

    let uncommented: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let raw = from_file(&uncommented);
    let told = config(raw.clone());
    assert_eq!(told, Config::default(), "a key nobody knows, or a default that is none");
    for setting in SETTINGS.iter().filter(|setting| setting.in_file && !setting.default_varies() && !setting.default_value().is_empty()) {
        assert_eq!(raw.given(setting.key).map(|given| given.text.clone()), Some(setting.default_value()), "{}", setting.key);
    }
    for setting in SETTINGS.iter().filter(|setting| setting.in_file) {
        assert!(uncommented.contains(&format!("\n{}=", setting.key)), "{} is not in the sample", setting.key);
    }

    let listed = members.lines().map(|line| line.trim_start_matches('#')).filter(|line| line.starts_with("192.")).collect::<Vec<_>>();
    let list = parse_cluster_conf(&listed.join("\n"), 1);
    assert_eq!((list.members.len(), list.faults.len(), list.notices.len()), (3, 0, 0));
}

#[test]
fn help_and_reference_name_every_setting() {
    for text in [help_of_settings(), markdown()] {
        for setting in SETTINGS {
            assert!(text.contains(setting.help) || setting.help.contains('|'), "{}", setting.key);
            assert!(setting.environment_names().iter().all(|name| text.contains(name.as_str())), "{}", setting.key);
        }
    }
}
