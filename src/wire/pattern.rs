//! Regular expressions that callers search names with. A pattern must match the whole of `group@@name:[]`, which is what Nacos 1.x matches
//! against. The syntax is that of the `regex` crate: no look-around, no back references, and in return no pattern that takes for ever.

use crate::model::error::NamingError;
use crate::model::name::GROUP_SEPARATOR;
use crate::wire::form::is_blank;
use regex::{Regex, RegexBuilder};

/// Bytes a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 256 * 1024;
/// What Nacos's text form of a service has behind its name.
const BEHIND_NAME: &str = ":[]";

/// Which names are sought.
#[derive(Clone, Debug)]
pub enum NamePattern {
    Any,
    Like(Regex),
}

impl NamePattern {
    /// Names with `expr` somewhere in them.
    pub fn containing(expr: &str) -> Result<NamePattern, NamingError> {
        if expr.is_empty() { Ok(NamePattern::Any) } else { Self::whole(&somewhere(expr)) }
    }

    /// Names with these in their group and in their bare name; both blank: any.
    pub fn of_parts(group: &str, name: &str) -> Result<NamePattern, NamingError> {
        if is_blank(group) && is_blank(name) {
            return Ok(NamePattern::Any);
        }
        let grouped = [group, GROUP_SEPARATOR, name].concat();
        let mut parts: Vec<&str> = grouped.split(GROUP_SEPARATOR).collect();
        while parts.pop_if(|part| part.is_empty()).is_some() {} // Java's split drops what is empty at the end
        let parts: Vec<String> = parts.into_iter().map(somewhere).collect();
        Self::whole(&parts.join(GROUP_SEPARATOR))
    }

    pub fn matches(&self, grouped: &str) -> bool {
        match self {
            NamePattern::Any => true,
            NamePattern::Like(regex) => regex.is_match(&[grouped, BEHIND_NAME].concat()),
        }
    }

    fn whole(pattern: &str) -> Result<NamePattern, NamingError> {
        let compile = |pattern: &str| {
            let regex = RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
            regex.map_err(|e| NamingError::Illegal(e.to_string().into()))
        };
        compile(pattern)?; // by itself, or `)(` would be taken for whole
        compile(&format!(r"\A(?:{pattern})\z")).map(NamePattern::Like)
    }
}

fn somewhere(part: &str) -> String {
    if is_blank(part) { ".*".to_string() } else { format!(".*{part}.*") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: Result<NamePattern, NamingError>, expected: &[&str]) {
        let pattern = pattern.expect("a pattern");
        let names = ["DEFAULT_GROUP@@cart", "DEFAULT_GROUP@@order-1", "G@@cart-old", "cart@@x"];
        let found: Vec<&str> = names.into_iter().filter(|name| pattern.matches(name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_expression_is_sought_anywhere_in_the_full_name() {
        check(NamePattern::containing("cart"), &["DEFAULT_GROUP@@cart", "G@@cart-old", "cart@@x"]);
        check(NamePattern::containing("^cart"), &["cart@@x"]);
        check(NamePattern::containing("@@[a-z]+:"), &["DEFAULT_GROUP@@cart", "cart@@x"]);
        check(NamePattern::containing(r"-\d"), &["DEFAULT_GROUP@@order-1"]);
        check(NamePattern::containing("x:|cart"), &["cart@@x"]);
        check(NamePattern::containing(""), &["DEFAULT_GROUP@@cart", "DEFAULT_GROUP@@order-1", "G@@cart-old", "cart@@x"]);
    }

    #[test]
    fn group_and_name_are_sought_apart() {
        check(NamePattern::of_parts("", "cart"), &["DEFAULT_GROUP@@cart", "G@@cart-old"]);
        check(NamePattern::of_parts("DEFAULT", "cart"), &["DEFAULT_GROUP@@cart"]);
        check(NamePattern::of_parts("cart", ""), &["DEFAULT_GROUP@@cart", "G@@cart-old", "cart@@x"]);
        check(NamePattern::of_parts("", "@@"), &[]);
    }

    #[test]
    fn what_is_no_pattern_is_said_in_the_words_of_the_parser() {
        for bad in ["(", "[", ")(", "a{2", "(?=x)", "a{9}{99}{999}{999}"] {
            match NamePattern::containing(bad) {
                Err(NamingError::Illegal(text)) => assert!(text.contains("regex") || text.contains("size limit"), "{bad}: {text}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn never_panics(group in ".{0,12}", name in ".{0,12}") {
            let _ = (NamePattern::of_parts(&group, &name), NamePattern::containing(&name));
        }
    }
}
