//! `Raw` → `Config`: every value is read by its row of the table, then what depends on several of them is settled. All
//! faults are reported at once. Pure: the files were read before.

use super::cluster_conf::parse_cluster_conf;
use super::raw::{Fault, FileText, MEMBERS_FILE, Origin, Raw};
use super::settings::{MEMBERS, MODE, SECRET, SECRET_FILE, SETTINGS};
use super::{Config, MemberSource, Mode, Secret};

impl Raw {
    pub fn check(&self) -> Result<Config, Vec<Fault>> {
        let mut checking = Checking { raw: self, config: Config::default(), faults: self.faults.clone() };
        checking.read_values(|_| true);
        checking.settle_members();
        checking.settle_secret();
        checking.config.notices.splice(0..0, self.notices.iter().cloned());
        checking.config.ignored = self.ignored.clone();
        if checking.faults.is_empty() { Ok(checking.config) } else { Err(checking.faults) }
    }

    /// These settings alone, read by themselves: for who wants to know the port, whatever else is wrong.
    pub fn check_only(&self, keys: &[&str]) -> Result<Config, Vec<Fault>> {
        let mut checking = Checking { raw: self, config: Config::default(), faults: Vec::new() };
        checking.read_values(|key| keys.contains(&key));
        if checking.faults.is_empty() { Ok(checking.config) } else { Err(checking.faults) }
    }

    /// The cluster's secret alone, from its file or directly, if there is one.
    pub fn check_secret(&self) -> Result<Option<Secret>, Vec<Fault>> {
        let mut checking = Checking { raw: self, config: Config::default(), faults: Vec::new() };
        checking.read_values(|key| [SECRET, SECRET_FILE].contains(&key));
        checking.settle_secret();
        if checking.faults.is_empty() { Ok(checking.config.cluster_secret) } else { Err(checking.faults) }
    }
}

struct Checking<'a> {
    raw: &'a Raw,
    config: Config,
    faults: Vec<Fault>,
}

impl Checking<'_> {
    fn read_values(&mut self, wanted: impl Fn(&str) -> bool) {
        for setting in SETTINGS.iter().filter(|setting| wanted(setting.key)) {
            let Some(given) = self.raw.given(setting.key) else { continue };
            let key = if matches!(given.origin, Origin::File { .. }) { format!("{}: ", setting.key) } else { String::new() };
            if let Err(why) = (setting.set)(&mut self.config, &given.text) {
                self.fault(given.origin.clone(), format!("{key}{why}"));
            } else if let Some(why) = setting.moot.filter(|_| !given.text.eq_ignore_ascii_case(&setting.default_value())) {
                self.config.notices.push(format!("{}: {key}{} {why}", given.origin, given.text));
            }
        }
    }

    /// Who the members are, and so the mode where nobody has said it.
    fn settle_members(&mut self) {
        let mode = self.raw.given(MODE);
        let mut origin = self.raw.origin(MEMBERS);
        let mut listed = matches!(self.config.members, MemberSource::Given(_));
        if self.raw.given(MEMBERS).is_none() {
            self.config.members = MemberSource::File(self.config.config_dir.join(MEMBERS_FILE));
            origin = Origin::File { name: MEMBERS_FILE, line: None };
            listed = self.read_cluster_conf(mode.is_some() && self.config.mode == Mode::Standalone);
        }
        match (mode, self.config.mode) {
            (None, _) if listed => self.config.mode = Mode::Cluster,
            (Some(mode), Mode::Standalone) if listed => {
                self.config.notices.push(format!("{origin}: the members are not heard, because {} says standalone", mode.origin));
            }
            (Some(mode), Mode::Cluster) if !listed && self.raw.given(MEMBERS).is_none() => {
                let file = self.config.config_dir.join(MEMBERS_FILE);
                let text = format!(
                    "cluster mode needs members: write one host:port a line into {}, or set NACOS_SERVERS or --members",
                    file.display()
                );
                self.fault(mode.origin.clone(), text);
            }
            _ => {}
        }
    }

    /// Whether `cluster.conf` lists anybody; its faults count unless nobody will read it.
    fn read_cluster_conf(&mut self, standalone: bool) -> bool {
        let text = match &self.raw.cluster_conf {
            FileText::Text(text) => text,
            FileText::Absent => return false,
            FileText::Unreadable(why) => {
                self.fault(Origin::File { name: MEMBERS_FILE, line: None }, why.clone());
                return true;
            }
        };
        let list = parse_cluster_conf(text, self.config.port);
        let any = !list.members.is_empty() || !list.faults.is_empty();
        if !standalone {
            self.config.notices.extend(list.notices.into_iter().map(|notice| format!("{MEMBERS_FILE}:{}: {}", notice.line, notice.text)));
            for fault in list.faults {
                self.fault(Origin::File { name: MEMBERS_FILE, line: Some(fault.line) }, fault.text);
            }
        }
        any
    }

    /// Of the secret and its file the one set at the stronger place counts.
    fn settle_secret(&mut self) {
        let (value, file) = (self.raw.given(SECRET), self.raw.given(SECRET_FILE));
        match (value, file) {
            (Some(value), Some(file)) if value.origin.same_layer(&file.origin) => {
                self.fault(file.origin.clone(), format!("{} has the secret too: set one of the two", value.origin));
            }
            (Some(value), Some(file)) if value.origin > file.origin => self.config.cluster_secret_file = None,
            (_, Some(file)) => self.read_secret_file(file.origin.clone()),
            _ => {}
        }
        let missing = value.is_none() && file.is_none();
        if self.config.mode == Mode::Cluster && missing && !self.config.insecure_peers {
            let origin = if self.raw.given(MODE).is_some() { self.raw.origin(MODE) } else { self.members_origin() };
            let text = "cluster mode needs a secret that all nodes share. Make one with 'headcount secret --create FILE', copy it to \
                        every node, and set HEADCOUNT_CLUSTER_SECRET_FILE=FILE (or headcount.cluster-secret-file=FILE in \
                        application.properties). --insecure-peers does without, for trials";
            self.fault(origin, text.to_string());
        }
    }

    fn members_origin(&self) -> Origin {
        match self.config.members {
            MemberSource::Given(_) => self.raw.origin(MEMBERS),
            MemberSource::File(_) => Origin::File { name: MEMBERS_FILE, line: None },
        }
    }

    fn read_secret_file(&mut self, origin: Origin) {
        let path = self.config.cluster_secret_file.clone().unwrap_or_default();
        let path = path.display();
        let secret = match &self.raw.secret_file {
            FileText::Text(text) => Secret::new(text).map_err(|why| format!("{path}: {why}")),
            FileText::Absent => Err(format!("the file {path} does not exist; 'headcount secret --create {path}' makes one")),
            FileText::Unreadable(why) => Err(why.clone()),
        };
        match secret {
            Ok(secret) => self.config.cluster_secret = Some(secret),
            Err(why) => self.fault(origin, why),
        }
    }

    fn fault(&mut self, origin: Origin, text: String) {
        self.faults.push(Fault { origin, text });
    }
}
