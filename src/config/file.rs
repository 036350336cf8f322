//! `application.properties`: lines into keys and values, and the placeholders in them. Reads the few files that hold settings.
//!
//! `${NAME:default}` is taken from the environment, else from another key of the file, else it is the default, which may
//! hold placeholders too (Spring's rule; nacos-docker's files are full of them). An empty variable counts as not set.

use super::raw::Environment;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file of settings longer than this is refused.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;
/// Placeholders resolved for one value; more is a circle or a mistake.
const PLACEHOLDERS_MAX: usize = 64;
const PLACEHOLDER_DEPTH_MAX: usize = 8;

/// One `key=value`, with the line it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub line: usize,
    pub key: String,
    pub value: String,
}

/// The text's properties up to the first line that is none, and what is wrong with that one.
pub(super) fn parse_properties(text: &str) -> (Vec<Property>, Option<(Option<usize>, String)>) {
    let text = text.trim_start_matches('\u{feff}');
    let mut properties = Vec::new();
    for line in java_properties::PropertiesIter::new_with_encoding(text.as_bytes(), encoding_rs::UTF_8) {
        match line {
            Ok(line) => {
                let number = line.line_number();
                if let java_properties::LineContent::KVPair(key, value) = line.consume_content() {
                    properties.push(Property { line: number, key, value: value.trim().to_string() });
                }
            }
            Err(wrong) => return (properties, Some((wrong.line_number(), wrong.to_string()))),
        }
    }
    (properties, None)
}

/// The value with its placeholders replaced; the error is a sentence.
pub(super) fn resolve(value: &str, properties: &[Property], env: &Environment) -> Result<String, String> {
    let keys = properties.iter().map(|property| (property.key.as_str(), property.value.as_str())).collect();
    Resolver { keys, env, budget: PLACEHOLDERS_MAX }.resolve(value, 0)
}

struct Resolver<'a> {
    keys: BTreeMap<&'a str, &'a str>,
    env: &'a Environment,
    budget: usize,
}

impl Resolver<'_> {
    fn resolve(&mut self, text: &str, depth: usize) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            out.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            let Some(end) = closing_brace(inner) else {
                return Err(format!("the placeholder {:?} has no closing brace", &rest[start..]));
            };
            if depth == PLACEHOLDER_DEPTH_MAX || self.budget == 0 {
                return Err("its placeholders refer to each other in a circle, or are too many".to_string());
            }
            self.budget -= 1;
            out.push_str(&self.lookup(&inner[..end], depth)?);
            rest = &inner[end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn lookup(&mut self, inner: &str, depth: usize) -> Result<String, String> {
        let (name, default) = inner.split_once(':').map_or((inner, None), |(name, default)| (name, Some(default)));
        let name = name.trim();
        if let Some(value) = self.env.get(name).filter(|value| !value.is_empty()) {
            return Ok(value.clone());
        }
        if let Some(value) = self.keys.get(name).copied() {
            return self.resolve(value, depth + 1);
        }
        match default {
            Some(default) => self.resolve(default, depth + 1),
            None => Err(format!("${{{name}}} is not set in the environment and has no default (${{{name}:default}})")),
        }
    }
}

/// Where the brace that closes this placeholder is, nested ones skipped.
fn closing_brace(inner: &str) -> Option<usize> {
    let mut open = 0usize;
    let bytes = inner.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// A small text file; `None` if it does not exist. What is not UTF-8 is replaced.
pub(super) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(value: &str, file: &str, env: &[(&str, &str)]) -> Result<String, String> {
        let env = env.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        resolve(value, &parse_properties(file).0, &env)
    }

    #[test]
    fn a_placeholder_is_the_environments_the_files_or_its_default() {
        let value = "${PORT:8848}";
        assert_eq!(resolved(value, "", &[("PORT", "1")]).unwrap(), "1");
        assert_eq!(resolved(value, "PORT=2", &[]).unwrap(), "2");
        assert_eq!(resolved(value, "", &[("PORT", "")]).unwrap(), "8848");
        assert_eq!(resolved("jdbc://${H}:${P:${Q:3}}/x?a={b}", "H=h", &[]).unwrap(), "jdbc://h:3/x?a={b}");
        assert_eq!(resolved("${A:}", "", &[]).unwrap(), "");
    }

    #[test]
    fn a_placeholder_that_leads_nowhere_is_a_sentence() {
        assert_eq!(resolved("${A}", "", &[]).unwrap_err(), "${A} is not set in the environment and has no default (${A:default})");
        assert_eq!(resolved("x${A:", "", &[]).unwrap_err(), "the placeholder \"${A:\" has no closing brace");
        let circle = "its placeholders refer to each other in a circle, or are too many";
        assert_eq!(resolved("${A}", "A=${B}\nB=${A}${A}", &[]).unwrap_err(), circle);
        assert_eq!(resolved(&"${A:}".repeat(PLACEHOLDERS_MAX + 1), "", &[]).unwrap_err(), circle);
    }

    #[test]
    fn lines_are_numbered_as_an_editor_does() {
        let (properties, fault) = parse_properties("\u{feff}# 注释\r\n\r\na = 1 \\\r\n  2\r\nb:3  \r\nc=\\u12\r\nd=4");
        let seen: Vec<_> = properties.iter().map(|p| (p.line, p.key.as_str(), p.value.as_str())).collect();
        assert_eq!(seen, [(3, "a", "1 2"), (5, "b", "3")]);
        assert_eq!(fault.unwrap().0, Some(6));
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "[a$\\{\\}:=\\\\#\\n é]{0,60}") {
            let (properties, _) = parse_properties(&text);
            for property in &properties {
                let _ = resolve(&property.value, &properties, &Environment::new());
            }
        }
    }
}
