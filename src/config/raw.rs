//! Settings as they were written: strings, each with the place it came from. Nothing is judged here but names.
//!
//! Promises: a later layer wins over an earlier one whatever order they are added in, an empty environment variable is one
//! that is not set, and no `Debug` or `Display` of this module shows a secret.

use super::file::{parse_properties, read_text, resolve};
use super::setting::Setting;
use super::settings::{CONFIG_DIR, OWN_ENVIRONMENT, OWN_KEYS, SECRET_FILE, SETTINGS};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The environment as it was handed in: only `main` asks the process for its own.
pub type Environment = BTreeMap<String, String>;

const PROPERTIES_FILE: &str = "application.properties";
pub(super) const MEMBERS_FILE: &str = "cluster.conf";
/// Misspellings up to this distance are worth a suggestion.
const TYPO_EDITS_MAX: usize = 3;
/// A variable of nacos-docker that begins so and is not in the table says nothing to this node.
const FOREIGN_ENVIRONMENT: &[&str] =
    &["NACOS_", "JVM_", "MYSQL_", "SPRING_DATASOURCE_", "EMBEDDED_STORAGE", "TOMCAT_ACCESSLOG_", "PREFER_HOST", "CUSTOM_SYSTEM_NAMESPACE"];

/// Where a value came from, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    File {
        name: &'static str,
        /// From 1; `None`: the file as a whole.
        line: Option<usize>,
    },
    Environment(String),
    Flag(&'static str),
}

/// What is wrong with a setting, and where it was set. Shown as `application.properties:7: server.port: 88480 is not …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub origin: Origin,
    pub text: String,
}

/// A value as written. It has no `Debug`: it may be the secret.
#[derive(Clone)]
pub struct Given {
    pub text: String,
    pub origin: Origin,
}

/// A file that was looked for.
#[derive(Clone, Default)]
pub(super) enum FileText {
    #[default]
    Absent,
    Text(String),
    Unreadable(String),
}

/// All that was given, from all places.
#[derive(Clone, Default)]
pub struct Raw {
    given: BTreeMap<&'static str, Given>,
    pub(super) cluster_conf: FileText,
    pub(super) secret_file: FileText,
    pub(super) faults: Vec<Fault>,
    pub(super) notices: Vec<String>,
    pub(super) ignored: Vec<String>,
}

impl Raw {
    /// Flags (names without dashes), the environment, and the files they lead to.
    pub fn load(flags: &[(String, String)], env: &Environment) -> Raw {
        let mut raw = Raw::default().env(env).flags(flags);
        let dir = PathBuf::from(raw.given(CONFIG_DIR).map_or("./config", |given| given.text.as_str()));
        if let Some(given) = raw.given(CONFIG_DIR).filter(|_| !dir.is_dir()) {
            let text = format!("the directory {} does not exist", dir.display());
            raw.faults.push(Fault { origin: given.origin.clone(), text });
        }
        match look(&dir.join(PROPERTIES_FILE)) {
            FileText::Text(text) => raw = raw.file(&text, env),
            FileText::Unreadable(why) => raw.fault(Origin::File { name: PROPERTIES_FILE, line: None }, why),
            FileText::Absent => {}
        }
        raw.cluster_conf = look(&dir.join(MEMBERS_FILE));
        if let Some(path) = raw.given(SECRET_FILE).map(|given| PathBuf::from(&given.text)) {
            raw.secret_file = look(&path);
        }
        raw
    }

    /// The text of an `application.properties`; `env` is for its placeholders.
    pub fn file(mut self, text: &str, env: &Environment) -> Raw {
        let (properties, wrong) = parse_properties(text);
        if let Some((line, text)) = wrong {
            self.fault(Origin::File { name: PROPERTIES_FILE, line }, text);
        }
        for property in &properties {
            let origin = Origin::File { name: PROPERTIES_FILE, line: Some(property.line) };
            let Some(setting) = SETTINGS.iter().find(|setting| same_key(setting.key, &property.key)) else {
                self.unknown_key(&property.key, origin);
                continue;
            };
            if !setting.in_file {
                let flag = setting.flag.map_or("", |(name, _)| name);
                self.fault(origin, format!("{}: this cannot be set in the file it leads to; use --{flag}", setting.key));
                continue;
            }
            if let Some(Given { origin: Origin::File { line: Some(earlier), .. }, .. }) = self.given.get(setting.key) {
                self.notices.push(format!("{origin}: {} was set in line {earlier} already; the later line counts", setting.key));
            }
            match resolve(&property.value, &properties, env) {
                Ok(text) => self.put(setting, text, origin),
                Err(_) if setting.hidden => self.fault(origin, format!("{}: its placeholders cannot be resolved", setting.key)),
                Err(why) => self.fault(origin, format!("{}: {why}", setting.key)),
            }
        }
        self
    }

    pub fn env(mut self, env: &Environment) -> Raw {
        let mut known: Vec<String> = Vec::new();
        for setting in SETTINGS {
            let names = setting.environment_names();
            let mut set = names.iter().filter_map(|name| env.get(name).filter(|text| !text.trim().is_empty()).map(|text| (name, text)));
            if let Some((name, text)) = set.next() {
                self.put(setting, text.clone(), Origin::Environment(name.clone()));
                let unheard = set.filter(|(_, other)| *other != text);
                self.notices.extend(unheard.map(|(other, _)| format!("environment {other} is not heard, because {name} is set too")));
            }
            known.extend(names);
        }
        for name in env.keys().filter(|name| !known.contains(name)) {
            match closest(name, known.iter().map(String::as_str)).filter(|_| name.starts_with(OWN_ENVIRONMENT)) {
                Some(near) => self.notices.push(format!("environment {name} has no meaning; did you mean {near}?")),
                None if is_foreign(name) => self.ignored.push(format!("{name} (environment)")),
                None => {}
            }
        }
        self
    }

    /// Names as in the table, without dashes; clap has refused all others already.
    pub fn flags(mut self, flags: &[(String, String)]) -> Raw {
        for (name, text) in flags {
            if let Some((setting, flag)) = SETTINGS.iter().find_map(|s| s.flag.filter(|(flag, _)| flag == name).map(|(flag, _)| (s, flag)))
            {
                self.put(setting, text.clone(), Origin::Flag(flag));
            }
        }
        self
    }

    /// The text of a `cluster.conf`.
    pub fn cluster_conf(mut self, text: &str) -> Raw {
        self.cluster_conf = FileText::Text(text.to_string());
        self
    }

    /// What was written for this key, at the strongest of the places it was written.
    pub fn given(&self, key: &str) -> Option<&Given> {
        self.given.get(key)
    }

    /// Where the value in force comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.given(key).map_or(Origin::Default, |given| given.origin.clone())
    }

    fn put(&mut self, setting: &Setting, text: String, origin: Origin) {
        let text = text.trim().to_string();
        let says_nothing = text.is_empty() && !setting.empty_counts;
        let weaker = self.given.get(setting.key).is_some_and(|given| given.origin.layer() > origin.layer());
        if !weaker && !says_nothing {
            self.given.insert(setting.key, Given { text, origin });
        }
    }

    fn unknown_key(&mut self, key: &str, origin: Origin) {
        let near = closest(key, SETTINGS.iter().filter(|setting| setting.in_file).map(|setting| setting.key));
        let suggestion = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        if key.starts_with(OWN_KEYS) {
            self.fault(origin, format!("{key}: there is no such setting{suggestion}"));
        } else if suggestion.is_empty() {
            self.ignored.push(format!("{key} ({origin})"));
        } else {
            self.notices.push(format!("{origin}: {key} has no meaning here{suggestion}"));
        }
    }

    fn fault(&mut self, origin: Origin, text: String) {
        self.faults.push(Fault { origin, text });
    }
}

fn look(path: &std::path::Path) -> FileText {
    match read_text(path) {
        Ok(Some(text)) => FileText::Text(text),
        Ok(None) => FileText::Absent,
        Err(error) => FileText::Unreadable(format!("{} cannot be read: {error}", path.display())),
    }
}

fn is_foreign(name: &str) -> bool {
    name.starts_with(OWN_ENVIRONMENT) || FOREIGN_ENVIRONMENT.iter().any(|prefix| name.starts_with(prefix))
}

/// Spring's relaxed names: dashes, underscores and capitals do not count.
fn same_key(one: &str, other: &str) -> bool {
    let letters = |key: &str| key.bytes().filter(|b| !b"-_".contains(b)).map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
    letters(one) == letters(other)
}

/// The known name that this one may be a misspelling of.
fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = TYPO_EDITS_MAX.min(name.len() / 6);
    known.map(|known| (strsim::damerau_levenshtein(name, known), known)).filter(|(edits, _)| *edits <= limit).min().map(|(_, known)| known)
}

// === impl Origin, Fault ===

impl Origin {
    fn layer(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::Flag(_) => 3,
        }
    }

    pub(super) fn same_layer(&self, other: &Origin) -> bool {
        self.layer() == other.layer()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line: Some(line) } => write!(f, "{name}:{line}"),
            Origin::File { name, line: None } => f.write_str(name),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}
