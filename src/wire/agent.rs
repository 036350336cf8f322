//! Which client is asking, as far as it decides what it is told: the shape of names, the meaning of `PUT`, and pushes.
//!
//! Never fails: whoever says nothing we know is [`AgentKind::Unknown`], and a version nobody can read is 0.0.0.

/// The kinds that Nacos tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentKind {
    /// Node's SDK, too, calls itself so.
    Java,
    Dns,
    C,
    Go,
    CSharp,
    /// Another node.
    Peer,
    /// `Nacos-SDK-Java` and `unit-nginx`, which Nacos knows and never pushes to.
    Other,
    Unknown,
}

/// What the name of a client starts with, in the order Nacos asks. Two are Go's: the SDK changed its name, 1.1.4 knows the older.
const PREFIXES: [(&str, AgentKind); 10] = [
    ("Nacos-Java-Client", AgentKind::Java),
    ("Nacos-DNS", AgentKind::Dns),
    ("Nacos-C-Client", AgentKind::C),
    ("Nacos-SDK-Java", AgentKind::Other),
    ("Nacos-Server", AgentKind::Peer),
    ("unit-nginx", AgentKind::Other),
    ("vip-client4cpp", AgentKind::C),
    ("nacos-go-sdk", AgentKind::Go),
    ("Nacos-Go-Client", AgentKind::Go),
    ("Nacos-CSharp-Client", AgentKind::CSharp),
];

/// Major, minor, patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32, pub u32, pub u32);

/// The lowest versions that are pushed to: the switches `push…Version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushFloors {
    pub java: Version,
    pub go: Version,
    pub c: Version,
    pub csharp: Version,
    /// Despite its name this one is asked for DNS agents.
    pub python: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent<'a> {
    /// As it was sent.
    pub text: &'a str,
    pub kind: AgentKind,
    pub version: Version,
}

impl<'a> Agent<'a> {
    /// `Client-Version` counts only where `User-Agent` is missing or empty.
    pub fn of(user_agent: Option<&'a str>, client_version: Option<&'a str>) -> Agent<'a> {
        let text = user_agent.filter(|text| !text.is_empty()).or(client_version).unwrap_or_default();
        let known = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix));
        let kind = known.map_or(AgentKind::Unknown, |(_, kind)| *kind);
        let version = match kind {
            AgentKind::Unknown => Version::default(),
            _ => text.as_bytes().windows(2).position(|pair| pair == b":v").map_or(Version::default(), |at| Version::read(&text[at + 2..])),
        };
        Agent { text, kind, version }
    }

    /// A Java client from 1.0.0 on: names are shown to it in full, and its `PUT` needs the instance to exist.
    pub fn is_java_1(&self) -> bool {
        self.kind == AgentKind::Java && self.version >= Version(1, 0, 0)
    }

    /// Whether it calls itself a node. Anybody can.
    pub fn is_peer(&self) -> bool {
        self.kind == AgentKind::Peer
    }

    /// Whether its kind is pushed to, from this version on.
    pub fn may_be_pushed(&self, floors: &PushFloors) -> bool {
        floors.of(self.kind).is_some_and(|floor| self.version >= floor)
    }
}

// === impl Version ===

impl Version {
    /// Split at any of `- _ . / ; :`; the leading digits of the first three parts, 0 for a part that has none.
    pub fn read(text: &str) -> Version {
        let ends = |byte: &u8| matches!(byte, b'-' | b'_' | b'.' | b'/' | b';' | b':');
        let mut parts = text.as_bytes().split(ends).map(|part| {
            let mut digits = part.iter().take_while(|byte| byte.is_ascii_digit());
            digits.try_fold(0u32, |number, digit| number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))).unwrap_or(0)
        });
        let mut next = || parts.next().unwrap_or(0);
        Version(next(), next(), next())
    }
}

// === impl PushFloors ===

impl Default for PushFloors {
    fn default() -> Self {
        PushFloors {
            java: Version(0, 1, 0),
            go: Version(0, 1, 0),
            c: Version(1, 0, 12),
            csharp: Version(0, 9, 0),
            python: Version(0, 4, 3),
        }
    }
}

impl PushFloors {
    /// `None`: never.
    pub fn of(&self, kind: AgentKind) -> Option<Version> {
        match kind {
            AgentKind::Java => Some(self.java),
            AgentKind::Dns => Some(self.python),
            AgentKind::C => Some(self.c),
            AgentKind::Go => Some(self.go),
            AgentKind::CSharp => Some(self.csharp),
            AgentKind::Peer | AgentKind::Other | AgentKind::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agent(text: &str) -> Agent<'_> {
        Agent::of(Some(text), None)
    }

    #[test]
    fn sdks_are_told_apart() {
        use AgentKind::*;
        for (text, kind, version) in [
            ("Nacos-Java-Client:v1.1.4", Java, Version(1, 1, 4)),
            ("Nacos-Go-Client:v1.1.6", Go, Version(1, 1, 6)),
            ("nacos-go-sdk:v1.0.1", Go, Version(1, 0, 1)),
            ("Nacos-CSharp-Client:v0.9.0", CSharp, Version(0, 9, 0)),
            ("Nacos-DNS:v1.0.1", Dns, Version(1, 0, 1)),
            ("vip-client4cpp:v1.0.12", C, Version(1, 0, 12)),
            ("Nacos-Server:v1.1.4", Peer, Version(1, 1, 4)),
            ("unit-nginx:v9.9.9", Other, Version(9, 9, 9)),
            ("Nacos-Python-Client:v0.1.17", Unknown, Version(0, 0, 0)),
            ("Python-urllib/3.11", Unknown, Version(0, 0, 0)),
            ("", Unknown, Version(0, 0, 0)),
        ] {
            assert_eq!((agent(text).kind, agent(text).version), (kind, version), "{text}");
        }
    }

    #[test]
    fn versions_are_read_leniently() {
        for (text, version) in [
            ("1.0.0-SNAPSHOT", Version(1, 0, 0)),
            ("1.10.0", Version(1, 10, 0)),
            ("2.0", Version(2, 0, 0)),
            ("1", Version(1, 0, 0)),
            ("v1.0.0", Version(0, 0, 0)),
            ("1.2beta.3;4", Version(1, 2, 3)),
            ("99999999999.1.1", Version(0, 1, 1)),
            ("", Version(0, 0, 0)),
        ] {
            assert_eq!(Version::read(text), version, "{text}");
        }
        for unreadable in ["Nacos-Java-Client", "Nacos-Java-Client:v", "Nacos-Java-Client/1.4.0"] {
            assert_eq!(agent(unreadable).version, Version(0, 0, 0), "{unreadable}");
        }
    }

    #[test]
    fn java_from_1_0_0_on_is_strict() {
        for yes in ["Nacos-Java-Client:v1.0.0", "Nacos-Java-Client:v1.10.0", "Nacos-Java-Client:v2.0"] {
            assert!(agent(yes).is_java_1(), "{yes}");
        }
        for no in ["Nacos-Java-Client:v0.9.9", "Nacos-Java-Client", "Nacos-Go-Client:v1.1.6", "curl/8"] {
            assert!(!agent(no).is_java_1(), "{no}");
        }
    }

    #[test]
    fn the_client_version_counts_only_without_a_user_agent() {
        let java = Some("Nacos-Java-Client:v1.1.4");
        assert!(Agent::of(None, java).is_java_1() && Agent::of(Some(""), java).is_java_1());
        assert!(!Agent::of(Some("curl/8"), java).is_java_1());
        assert!(Agent::of(Some("Nacos-Server:v1.1.4"), None).is_peer());
        assert_eq!(Agent::of(None, None).kind, AgentKind::Unknown);
    }

    #[test]
    fn pushes_have_floors() {
        let floors = PushFloors::default();
        for yes in [
            "Nacos-Java-Client:v0.1.0",
            "Nacos-DNS:v0.4.3",
            "Nacos-C-Client:v1.0.12",
            "Nacos-Go-Client:v1.0.1",
            "Nacos-CSharp-Client:v0.9.0",
        ] {
            assert!(agent(yes).may_be_pushed(&floors), "{yes}");
        }
        for no in [
            "Nacos-Java-Client:v0.0.9",
            "Nacos-DNS:v0.4.2",
            "Nacos-C-Client:v1.0.11",
            "Nacos-Server:v9.9.9",
            "Nacos-SDK-Java:v1.0.0",
            "curl/8",
        ] {
            assert!(!agent(no).may_be_pushed(&floors), "{no}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_three_numbers_read_back(version in any::<(u32, u32, u32)>(), rest in "[-_./;:].{0,8}") {
            let (major, minor, patch) = version;
            prop_assert_eq!(Version::read(&format!("{major}.{minor}.{patch}{rest}")), Version(major, minor, patch));
        }

        #[test]
        fn never_panics(text in "(Nacos-Java-Client)?(:v)?.{0,16}") {
            let _ = agent(&text);
        }
    }
}
