//! What is known of one setting: its key, its variables and flag, what it is for, and how its value is read and shown.

use super::Config;
use super::settings::OWN_KEYS;

/// One setting. Keys are compared as Spring does: `contextPath`, `context-path` and `context_path` are one key.
pub struct Setting {
    /// Its key in `application.properties`.
    pub key: &'static str,
    /// Nacos's environment variables for it, the most specific first; see [`Setting::environment_names`] for all.
    pub(super) environment: &'static [&'static str],
    /// The flag's name without dashes, and what its value is called; a value name of "" is a switch that takes none.
    pub flag: Option<(&'static str, &'static str)>,
    pub group: Group,
    /// A sentence or two, with the unit.
    pub help: &'static str,
    /// What stands for the default where it is not a constant.
    pub(super) default_note: Option<&'static str>,
    /// False: it says where files are, so it cannot come from one.
    pub in_file: bool,
    /// An empty value in the file says something; elsewhere an empty value is one that is not set.
    pub(super) empty_counts: bool,
    /// Its value is never shown.
    pub hidden: bool,
    /// Accepted because Nacos's files have it: why any value but the default changes nothing.
    pub moot: Option<&'static str>,
    /// The value in force, as it would be written; empty if there is none.
    pub show: fn(&Config) -> String,
    /// Takes the text or says what was expected instead.
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

/// Which part of the documentation a setting is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Address,
    Cluster,
    Process,
    Naming,
    Limits,
}

impl Group {
    pub const ALL: &[Group] = &[Group::Address, Group::Cluster, Group::Process, Group::Naming, Group::Limits];

    pub fn title(self) -> &'static str {
        match self {
            Group::Address => "Where the node listens",
            Group::Cluster => "Cluster",
            Group::Process => "Process",
            Group::Naming => "Services and instances",
            Group::Limits => "Limits: what is over one is refused and counted",
        }
    }
}

// === impl Setting ===

impl Setting {
    pub(super) const fn new(
        group: Group,
        key: &'static str,
        help: &'static str,
        show: fn(&Config) -> String,
        set: fn(&mut Config, &str) -> Result<(), String>,
    ) -> Setting {
        Setting {
            key,
            environment: &[],
            flag: None,
            group,
            help,
            default_note: None,
            in_file: true,
            empty_counts: false,
            hidden: false,
            moot: None,
            show,
            set,
        }
    }

    pub(super) const fn environment(self, environment: &'static [&'static str]) -> Setting {
        Setting { environment, ..self }
    }

    pub(super) const fn flag(self, name: &'static str, value: &'static str) -> Setting {
        Setting { flag: Some((name, value)), ..self }
    }

    pub(super) const fn default_note(self, note: &'static str) -> Setting {
        Setting { default_note: Some(note), ..self }
    }

    pub(super) const fn moot(self, why: &'static str) -> Setting {
        Setting { moot: Some(why), ..self }
    }

    /// The environment variables it is read from; of several that are set the first counts. Our own keys have one made of
    /// the key: `headcount.data-dir` is `HEADCOUNT_DATA_DIR`.
    pub fn environment_names(&self) -> Vec<String> {
        let own = self.key.starts_with(OWN_KEYS).then(|| self.key.to_ascii_uppercase().replace(['.', '-'], "_"));
        own.into_iter().chain(self.environment.iter().map(ToString::to_string)).collect()
    }

    /// The default as it would be written in the file; empty if there is none.
    pub fn default_value(&self) -> String {
        (self.show)(&Config::default())
    }

    /// The default as people are told it.
    pub fn default_text(&self) -> String {
        self.default_note.map_or_else(|| self.default_value(), str::to_string)
    }

    /// Whether its default depends on the machine or on other settings.
    pub fn default_varies(&self) -> bool {
        self.default_note.is_some()
    }
}
