//! Parameters of a request: its query string and, where it has one, its form body.
//!
//! Promises: never fails, whatever the bytes are; the query goes before the body and the first of equals wins; nothing is decoded that nobody
//! asks for, nothing copied that needs no decoding. Never: judges a value (see `value.rs`), or knows what a parameter means, apart from the
//! name of the service, which Nacos puts together before any handler sees it.
//!
//! The three readers are those of Nacos 1.1.4: [`required`](Params::required) and [`optional`](Params::optional) take the text over into
//! the charset that the parameter `encoding` names and trim it, [`bound`](Params::bound) (its framework's own) does neither.

use crate::model::error::NamingError;
use crate::model::name::{DEFAULT_GROUP, GROUP_SEPARATOR, split_group};
use encoding_rs::{Encoding, UTF_8};
use memchr::{memchr, memchr2};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Kept on the stack: more than any SDK sends once.
const PAIRS_INLINE: usize = 16;

/// The parameters of one request, still encoded.
pub struct Params<'a> {
    pairs: SmallVec<[Pair<'a>; PAIRS_INLINE]>,
    charset: Charset,
}

struct Pair<'a> {
    name: &'a [u8],
    value: &'a [u8],
    /// The name holds escapes, which next to none does.
    encoded: bool,
}

/// What the text is taken over into. Charsets that are not here (GBK, …) are treated like unknown ones, which Nacos ignores:
/// reading UTF-8 bytes as GBK could only garble them, and no SDK asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

impl<'a> Params<'a> {
    /// `form` is the body of a request that says it is `application/x-www-form-urlencoded`, and nothing else.
    pub fn new(query: &'a str, form: Option<&'a [u8]>) -> Params<'a> {
        let mut params = Params { pairs: SmallVec::new(), charset: Charset::Utf8 };
        params.read(query.as_bytes());
        params.read(form.unwrap_or_default());
        params.charset = params.raw("encoding").map_or(Charset::Utf8, |name| Charset::of(&name));
        params
    }

    /// The parameter as it was sent: percent-decoded, `+` a space, not trimmed.
    pub fn raw(&self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs.iter().find(|pair| pair.is(name)).map(|pair| decode(pair.value))
    }

    /// Must be there and not be empty. White space alone passes, and is trimmed to nothing.
    pub fn required(&self, name: &'static str) -> Result<Cow<'a, str>, NamingError> {
        match self.raw(name) {
            Some(value) if !value.is_empty() => Ok(trim(self.charset.convert(value))),
            _ => Err(NamingError::required(name)),
        }
    }

    /// `None` if it is absent, empty or blank.
    pub fn optional(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.raw(name).filter(|value| !is_blank(value))?;
        Some(trim(self.charset.convert(value)))
    }

    /// As [`optional`](Self::optional), with something in its place.
    pub fn or<'d>(&self, name: &str, default: &'d str) -> Cow<'d, str>
    where
        'a: 'd,
    {
        self.optional(name).unwrap_or(Cow::Borrowed(default))
    }

    /// As sent. Must be there, may be empty.
    pub fn bound(&self, name: &'static str) -> Result<Cow<'a, str>, NamingError> {
        self.raw(name).ok_or(NamingError::ParamMissing(name))
    }

    /// As sent; the default if it is absent or empty. (Blank is not empty.)
    pub fn bound_or<'d>(&self, name: &str, default: &'d str) -> Cow<'d, str>
    where
        'a: 'd,
    {
        self.raw(name).filter(|value| !value.is_empty()).unwrap_or(Cow::Borrowed(default))
    }

    /// `group@@name`: the name is `serviceName`, or `dom` where that is blank; a name that holds `@@` is taken as it is, any other is put
    /// behind `groupName` or `DEFAULT_GROUP`. Empty if there is no name. Like 1.1.4 it does not trim.
    pub fn grouped_service(&self) -> Cow<'a, str> {
        let given = |name| self.raw(name).filter(|value: &Cow<str>| !is_blank(value));
        match given("serviceName").or_else(|| given("dom")) {
            None => Cow::Borrowed(""),
            Some(name) if split_group(&name).is_some() => name,
            Some(name) => {
                let group = given("groupName").unwrap_or(Cow::Borrowed(DEFAULT_GROUP));
                Cow::Owned([&*group, GROUP_SEPARATOR, &*name].concat())
            }
        }
    }

    /// [`grouped_service`](Self::grouped_service) as handlers see it that read `serviceName` by [`required`](Self::required).
    pub fn required_service(&self) -> Result<Cow<'a, str>, NamingError> {
        match self.grouped_service() {
            name if name.is_empty() => Err(NamingError::required("serviceName")),
            name => Ok(trim(self.charset.convert(name))),
        }
    }

    /// [`grouped_service`](Self::grouped_service) as handlers see it that read `serviceName` by [`bound`](Self::bound):
    /// a name that is there but blank is the empty name.
    pub fn bound_service(&self) -> Result<Cow<'a, str>, NamingError> {
        match self.grouped_service() {
            name if name.is_empty() => self.bound("serviceName").map(|_| name),
            name => Ok(name),
        }
    }

    fn read(&mut self, mut encoded: &'a [u8]) {
        while !encoded.is_empty() {
            let (part, rest) = cut(encoded, b'&');
            let (name, value) = cut(part, b'=');
            if !name.is_empty() {
                self.pairs.push(Pair { name, value, encoded: memchr2(b'%', b'+', name).is_some() });
            }
            encoded = rest;
        }
    }
}

// === impl Pair ===

impl Pair<'_> {
    fn is(&self, name: &str) -> bool {
        self.name == name.as_bytes() || self.encoded && decode(self.name) == name
    }
}

// === impl Charset ===

impl Charset {
    fn of(name: &str) -> Charset {
        const LATIN1: [&str; 9] = ["ISO-8859-1", "ISO8859-1", "ISO8859_1", "ISO_8859-1", "latin1", "l1", "8859_1", "IBM819", "cp819"];
        const ASCII: [&str; 4] = ["US-ASCII", "ASCII", "ISO646-US", "ISO_646.irv:1991"];
        let among = |names: &[&str]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        match name {
            _ if among(&LATIN1) => Charset::Latin1,
            _ if among(&ASCII) => Charset::Ascii,
            _ => Charset::Utf8,
        }
    }

    /// The UTF-8 bytes of the text, read in this charset.
    fn convert<'t>(self, text: Cow<'t, str>) -> Cow<'t, str> {
        match self {
            _ if self == Charset::Utf8 || text.is_ascii() => text,
            Charset::Ascii => text.bytes().map(|b| if b.is_ascii() { char::from(b) } else { char::REPLACEMENT_CHARACTER }).collect(),
            _ => text.bytes().map(char::from).collect(),
        }
    }
}

/// Nothing but white space (and control characters).
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c <= ' ' || c.is_whitespace())
}

/// Without the characters up to U+0020 at both ends, as Java's `trim` does it.
pub fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    let rim = |c: char| c <= ' ';
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(rim)),
        Cow::Owned(text) if text.starts_with(rim) || text.ends_with(rim) => Cow::Owned(text.trim_matches(rim).to_string()),
        owned => owned,
    }
}

/// A form whose bytes, escaped ones too, are text in `charset` (a name as in `Content-Type`), as one that is UTF-8.
/// `None`: it is UTF-8 already, or nobody knows that charset.
pub fn in_utf8(form: &[u8], charset: &str) -> Option<Vec<u8>> {
    let other = Encoding::for_label(charset.as_bytes()).filter(|known| *known != UTF_8);
    let text = |encoded: &[u8]| -> Option<String> {
        let bytes = unescape(encoded);
        match Charset::of(charset) {
            Charset::Latin1 => Some(bytes.iter().copied().map(char::from).collect()), // not Windows' superset of it, as the web has it
            Charset::Ascii => Some(String::from_utf8_lossy(&bytes).into_owned()),     // nobody sends more than it has
            Charset::Utf8 => other.map(|known| known.decode_without_bom_handling(&bytes).0.into_owned()),
        }
    };
    let escaped = |encoded: &[u8]| text(encoded).map(|text| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string());
    let pair = |pair: &[u8]| {
        let (name, value) = cut(pair, b'=');
        Some([escaped(name)?, escaped(value)?].join("="))
    };
    let pairs: Option<Vec<String>> = form.split(|b| *b == b'&').map(pair).collect();
    Some(pairs?.join("&").into_bytes())
}

/// `%41` is `A`, `+` is a space; a `%` without two hex digits stays as it is, bytes that are not UTF-8 become U+FFFD.
pub fn decode(encoded: &[u8]) -> Cow<'_, str> {
    match unescape(encoded) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())),
    }
}

fn unescape(encoded: &[u8]) -> Cow<'_, [u8]> {
    let Some(plain) = memchr2(b'%', b'+', encoded) else { return Cow::Borrowed(encoded) };
    let digit = |bytes: &[u8], at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    // What is unescaped is never longer: it is written over its own beginning.
    let mut bytes = encoded.to_vec();
    let (mut from, mut to) = (plain, plain);
    while let Some(byte) = bytes.get(from).copied() {
        from += 1;
        bytes[to] = match byte {
            b'+' => b' ',
            b'%' => match (digit(&bytes, from), digit(&bytes, from + 1)) {
                (Some(high), Some(low)) => {
                    from += 2;
                    (high << 4 | low) as u8
                }
                _ => b'%',
            },
            plain => plain,
        };
        to += 1;
    }
    bytes.truncate(to);
    Cow::Owned(bytes)
}

/// What is before and after the first such byte; nothing after it if there is none.
fn cut(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr(at, bytes) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &bytes[bytes.len()..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get(query: &str, form: &str, name: &str) -> Option<String> {
        Params::new(query, Some(form.as_bytes())).raw(name).map(Cow::into_owned)
    }

    #[test]
    fn the_first_wins_and_the_query_goes_before_the_body() {
        assert_eq!(get("a=1&a=2", "a=3", "a").as_deref(), Some("1"));
        assert_eq!(get("b=1", "a=3&a=4", "a").as_deref(), Some("3"));
        assert_eq!(get("a=", "a=3", "a").as_deref(), Some(""));
        assert_eq!(get("A=1", "", "a"), None);
    }

    #[test]
    fn what_sdks_send_is_read() {
        let beat = r#"{"ip":"10.0.0.1","metadata":{"a":"b c%","zh":"中"}}"#;
        let raw = format!("serviceName=DEFAULT_GROUP@@svc.go&beat={beat}");
        assert_eq!(get("", &raw, "beat").as_deref(), Some(beat));
        assert_eq!(get("", "password=nacos&", "password").as_deref(), Some("nacos"));
        assert_eq!(get("clusters=&x", "", "clusters").as_deref(), Some(""));
        assert_eq!(get("clusters=&x", "", "x").as_deref(), Some(""));
        assert_eq!(get("m=%7B%22zh%22%3A%22%E4%B8%AD+b%22%7D", "", "m").as_deref(), Some(r#"{"zh":"中 b"}"#));
        assert_eq!(get("a=b=c", "", "a").as_deref(), Some("b=c"));
        assert_eq!(get("service%4eame=s", "", "serviceName").as_deref(), Some("s"));
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        for (sent, read) in
            [("%", "%"), ("%4", "%4"), ("%zz1", "%zz1"), ("100%&b=1", "100%"), ("%+1", "% 1"), ("%2%41", "%2A"), ("%FF", "\u{fffd}")]
        {
            assert_eq!(get(&format!("a={sent}"), "", "a").as_deref(), Some(read), "{sent}");
        }
        assert_eq!(Params::new("", Some(b"a=\xff\xfe1")).raw("a").as_deref(), Some("\u{fffd}\u{fffd}1"));
    }

    #[test]
    fn a_form_in_another_charset_is_taken_over_into_utf8() {
        let read = |form: &[u8], charset, name| {
            let form = in_utf8(form, charset).unwrap_or_else(|| form.to_vec());
            Params::new("", Some(&form)).raw(name).map(Cow::into_owned)
        };
        assert_eq!(read(b"a=caf%E9&b=\xe9+%26=%80", "ISO-8859-1", "a").as_deref(), Some("caf\u{e9}"));
        assert_eq!(read(b"a=caf%E9&b=\xe9+%26=%80", "iso-8859-1", "b").as_deref(), Some("\u{e9} &=\u{80}"));
        assert_eq!(read(b"\xd6\xd0=%CE%C4", "GBK", "中").as_deref(), Some("文"));
        assert_eq!(read(b"a=%D6", "gb18030", "a").as_deref(), Some("\u{fffd}"), "half a character");
        assert_eq!(read("a=é".as_bytes(), "us-ascii", "a").as_deref(), Some("é"));
        for same in ["utf-8", "UTF8", "klingon", ""] {
            assert_eq!(in_utf8(b"a=%E4%B8%AD", same), None, "{same}");
        }
        assert_eq!(read(b"&a&=1&", "latin1", "a").as_deref(), Some(""));
    }

    #[test]
    fn plain_values_are_borrowed() {
        let params = Params::new("a=%20x&ip=%201.1.1.1&port=80&serviceName=g@@s", None);
        assert!(matches!(params.required("port"), Ok(Cow::Borrowed("80"))));
        assert!(matches!(params.grouped_service(), Cow::Borrowed("g@@s")));
        assert_eq!(params.required("ip").as_deref(), Ok("1.1.1.1"));
    }

    #[test]
    fn the_three_readers_differ_in_what_absent_means() {
        let params = Params::new("empty=&blank=%20%09&x=%20v%20", None);
        assert_eq!(params.required("none"), Err(NamingError::required("none")));
        assert_eq!(params.required("empty"), Err(NamingError::required("empty")));
        assert_eq!(params.required("blank").as_deref(), Ok(""));
        assert_eq!(params.required("x").as_deref(), Ok("v"));
        for name in ["none", "empty", "blank"] {
            assert_eq!(params.optional(name), None, "{name}");
            assert_eq!(params.or(name, "d"), "d", "{name}");
        }
        assert_eq!(params.or("x", "d"), "v");
        assert_eq!(params.bound("none"), Err(NamingError::ParamMissing("none")));
        assert_eq!(params.bound("empty").as_deref(), Ok(""));
        assert_eq!(params.bound("x").as_deref(), Ok(" v "));
        assert_eq!([params.bound_or("none", "d"), params.bound_or("empty", "d"), params.bound_or("blank", "d")], ["d", "d", " \t"]);
    }

    #[test]
    fn service_names_are_grouped_before_anything_else() {
        let grouped = |query| Params::new(query, None).grouped_service().into_owned();
        assert_eq!(grouped("serviceName=a"), "DEFAULT_GROUP@@a");
        assert_eq!(grouped("serviceName=a&groupName=g"), "g@@a");
        assert_eq!(grouped("serviceName=h@@a&groupName=g"), "h@@a");
        assert_eq!(grouped("serviceName=&dom=b&groupName=%20"), "DEFAULT_GROUP@@b");
        assert_eq!(grouped("serviceName=%20"), "");
        let params = Params::new("serviceName=%20form%20", None);
        assert_eq!(params.required_service().as_deref(), Ok("DEFAULT_GROUP@@ form"));
        assert_eq!(params.bound_service().as_deref(), Ok("DEFAULT_GROUP@@ form "));
        assert_eq!(Params::new("", None).required_service(), Err(NamingError::required("serviceName")));
        assert_eq!(Params::new("", None).bound_service(), Err(NamingError::ParamMissing("serviceName")));
        assert_eq!(Params::new("serviceName=", None).bound_service().as_deref(), Ok(""));
    }

    #[test]
    fn the_encoding_parameter_converts_what_is_trimmed() {
        let app = |encoding: &str| Params::new(&format!("app=%E4%B8%AD&encoding={encoding}"), None).or("app", "").into_owned();
        assert_eq!(app("UTF-8"), "中");
        assert_eq!(app("iso-8859-1"), "ä¸\u{ad}");
        assert_eq!(app("us-ascii"), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!([app("nope"), app("GBK"), app("")], ["中", "中", "中"]);
        assert_eq!(Params::new("app=%E4%B8%AD&encoding=latin1", None).bound("app").as_deref(), Ok("中"));
    }

    /// As simple as it can be said, for comparison.
    fn naive(query: &str, form: &[u8], wanted: &str) -> Option<String> {
        let all = [query.as_bytes(), b"&", form].concat();
        for part in all.split(|b| *b == b'&') {
            let mut halves = part.splitn(2, |b| *b == b'=');
            let name = halves.next().unwrap_or_default();
            if !name.is_empty() && naive_decode(name) == wanted {
                return Some(naive_decode(halves.next().unwrap_or_default()));
            }
        }
        None
    }

    fn naive_decode(text: &[u8]) -> String {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_encoding::percent_decode(&spaced).decode_utf8_lossy().into_owned()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_naive_reader(
            query in "[ab&=%+41é]{0,24}",
            form in proptest::collection::vec(prop_oneof![proptest::sample::select(b"ab&=%+24".to_vec()), any::<u8>()], 0..24),
        ) {
            let params = Params::new(&query, Some(&form));
            for name in ["a", "b", "ab", "A", "é"] {
                prop_assert_eq!(params.raw(name).map(Cow::into_owned), naive(&query, &form, name));
            }
        }

        #[test]
        fn never_panics(query in ".{0,64}", form in proptest::collection::vec(any::<u8>(), 0..64)) {
            let params = Params::new(&query, Some(&form));
            for pair in &params.pairs {
                let name = decode(pair.name).into_owned();
                prop_assert!(params.raw(&name).is_some() || name.contains(char::REPLACEMENT_CHARACTER));
                let _ = (params.optional(&name), params.grouped_service(), params.required_service());
            }
        }
    }
}
