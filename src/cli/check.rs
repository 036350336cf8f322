//! `headcount config check`: every setting with the value in force and where it comes from, or every fault.

use super::table::table;
use super::{Outcome, told};
use crate::config::{Config, MemberSource, Mode, Origin, Raw, SETTINGS, parse_cluster_conf, parse_member_list};

/// What is shown of a value that may not be.
const HIDDEN: &str = "(hidden)";

pub fn check(raw: &Raw) -> Outcome {
    let config = raw.check().map_err(|faults| told(&faults))?;
    let mut out = table(["SETTING", "VALUE", "ORIGIN"], &rows(raw, &config));
    out.push_str(&format!("\n{}\n", members(&config)));
    for notice in &config.notices {
        out.push_str(&format!("notice: {notice}\n"));
    }
    if !config.ignored.is_empty() {
        out.push_str(&format!("ignored, because it means nothing here: {}\n", config.ignored.join(", ")));
    }
    Ok(out)
}

fn rows(raw: &Raw, config: &Config) -> Vec<[String; 3]> {
    let row = |setting: &crate::config::Setting| {
        let value = match (setting.show)(config) {
            value if value.is_empty() => "-".to_string(),
            _ if setting.hidden => HIDDEN.to_string(),
            value => value,
        };
        let origin = match raw.origin(setting.key) {
            // Made from other settings: the mode of a node that was given members, a secret that was read from its file.
            Origin::Default if value != shown_default(setting) => "from other settings".to_string(),
            origin => origin.to_string(),
        };
        [setting.key.to_string(), value, origin]
    };
    SETTINGS.iter().map(row).collect()
}

fn shown_default(setting: &crate::config::Setting) -> String {
    let value = setting.default_value();
    if value.is_empty() { "-".to_string() } else { value }
}

fn members(config: &Config) -> String {
    if config.mode == Mode::Standalone {
        return "a node on its own".to_string();
    }
    let (list, place) = match &config.members {
        MemberSource::Given(entries) => (parse_member_list(&entries.join(","), config.port), "the settings".to_string()),
        MemberSource::File(path) => {
            (parse_cluster_conf(&std::fs::read_to_string(path).unwrap_or_default(), config.port), path.display().to_string())
        }
    };
    let names: Vec<String> = list.members.iter().map(ToString::to_string).collect();
    format!("{} members in {place}: {}", names.len(), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn values_are_shown_with_their_origin_and_the_secret_is_not() {
        let env: Environment = [("NACOS_SERVERS", "a b:1"), ("HEADCOUNT_CLUSTER_SECRET", "a-secret-nobody-shows"), ("JVM_XMS", "1g")]
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .into();
        let raw = Raw::default().env(&env).file("server.port=8850", &env);
        let text = check(&raw).unwrap();
        let line = |key: &str| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap_or_else(|| panic!("{key}: {text}"));
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("server.port"), "8850 application.properties:1");
        assert_eq!(line("headcount.mode"), "cluster from other settings");
        assert_eq!(line("headcount.cluster-secret"), "(hidden) environment HEADCOUNT_CLUSTER_SECRET");
        assert_eq!(line("headcount.cluster-secret-file"), "- default");
        assert!(text.contains("2 members in the settings: a:8850, b:1"), "{text}");
        assert!(text.contains("ignored, because it means nothing here: JVM_XMS (environment)"), "{text}");
        assert!(!text.contains("nobody-shows"), "{text}");
    }

    #[test]
    fn faults_are_counted_and_listed() {
        let raw = Raw::default().file("server.port=88480\nheadcount.log-format=xml", &Environment::new());
        assert_eq!(
            check(&raw).unwrap_err(),
            "2 faults in the configuration:\
             \n  application.properties:1: server.port: 88480 is not a port (1 to 65535)\
             \n  application.properties:2: headcount.log-format: xml is not a log format (text or json)"
        );
    }
}
