//! Values of parameters, each by the rule of the reader that Nacos 1.x uses for it: the letter behind the name says which.
//!
//! * `_a`: a list of words that mean yes; never an error
//! * `_j`: what Java's own `parseInt`, `parseDouble`, … take; errors are [`NamingError::NotANumber`]
//! * `_s`: what Nacos's framework converts; errors are [`NamingError::ParamType`]
//! * `_l`: lenient, anything else is 0

use crate::model::error::NamingError;
use std::str::FromStr;

/// `true on yes t y`, in any case. Everything else is false, `1` too.
pub fn bool_a(text: &str) -> bool {
    ["true", "on", "yes", "t", "y"].iter().any(|yes| yes.eq_ignore_ascii_case(text))
}

/// `true` in any case.
pub fn bool_j(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// `true on yes 1`, `false off no 0`, in any case, spaces around them ignored.
pub fn bool_s(text: &str) -> Result<bool, NamingError> {
    let among = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text.trim()));
    match text {
        _ if among(["true", "on", "yes", "1"]) => Ok(true),
        _ if among(["false", "off", "no", "0"]) => Ok(false),
        _ => Err(NamingError::ParamType { to: "boolean", value: text.to_string() }),
    }
}

/// 32 bits, decimal, a sign allowed.
pub fn int_j(text: &str) -> Result<i32, NamingError> {
    text.parse().map_err(|_| NamingError::NotANumber(text.to_string()))
}

/// As [`int_j`], 0 for what is none.
pub fn int_l(text: &str) -> i32 {
    text.parse().unwrap_or(0)
}

/// 32 bits, decimal or, behind `0x`, `0X` or `#`, hexadecimal; white space anywhere is ignored.
pub fn int_s(text: &str) -> Result<i32, NamingError> {
    let compact: String = text.split_whitespace().collect();
    let (sign, digits) = compact.strip_prefix('-').map_or(("", &*compact), |rest| ("-", rest));
    let number = match ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix)) {
        Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => i32::from_str_radix(&[sign, hex].concat(), 16).ok(),
        Some(_) => None,
        None => compact.parse().ok(),
    };
    number.ok_or_else(|| NamingError::ParamType { to: "int", value: text.to_string() })
}

/// 64 bits, decimal, a sign allowed.
pub fn long_j(text: &str) -> Result<i64, NamingError> {
    text.parse().map_err(|_| NamingError::NotANumber(text.to_string()))
}

/// Java's double: `1`, `1.`, `.5`, `1e3`, `NaN`, `Infinity`, with a trailing `d` or `f` if one likes. (Its hexadecimal form is not taken.)
pub fn double_j(text: &str) -> Result<f64, NamingError> {
    java_float(text).ok_or_else(|| NamingError::NotANumber(text.to_string()))
}

/// Java's float. Unlike Nacos this takes no `NaN` and nothing infinite: they would be stored, and no client can read them back.
pub fn float_s(text: &str) -> Result<f32, NamingError> {
    finite_float(text).ok_or_else(|| NamingError::ParamType { to: "float", value: text.to_string() })
}

/// As [`float_s`], 0.0 for what is none.
pub fn float_l(text: &str) -> f32 {
    finite_float(text).unwrap_or(0.0)
}

fn finite_float(text: &str) -> Option<f32> {
    java_float(text).filter(|number: &f32| number.is_finite())
}

fn java_float<F: FromStr>(text: &str) -> Option<F> {
    let text = text.trim_matches(|c: char| c <= ' ');
    if matches!(text.trim_start_matches(['+', '-']), "NaN" | "Infinity") {
        return text.parse().ok(); // Rust knows these words too, and at most one sign
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let decimal = number.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)); // Rust alone would take `inf`
    if decimal { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_kinds_of_yes() {
        for yes in ["true", "TRUE", "on", "Yes", "t", "Y"] {
            assert!(bool_a(yes), "{yes}");
        }
        for no in ["1", "false", "", "tru", " true"] {
            assert!(!bool_a(no), "{no}");
        }
        assert_eq!([bool_j("True"), bool_j("yes"), bool_j("1"), bool_j("")], [true, false, false, false]);
        assert_eq!([bool_s(" ON "), bool_s("1"), bool_s("No"), bool_s("0")], [Ok(true), Ok(true), Ok(false), Ok(false)]);
        for bad in ["", "t", "2"] {
            assert_eq!(bool_s(bad), Err(NamingError::ParamType { to: "boolean", value: bad.to_string() }));
        }
    }

    #[test]
    fn integers() {
        assert_eq!([int_j("80"), int_j("+1"), int_j("-5"), int_j("007")], [Ok(80), Ok(1), Ok(-5), Ok(7)]);
        for bad in ["", " 1", "1.0", "0x1", "2147483648", "--1", "abc"] {
            assert_eq!(int_j(bad), Err(NamingError::NotANumber(bad.to_string())));
            assert_eq!(int_l(bad), 0);
        }
        assert_eq!([int_s(" 1 0 "), int_s("0x1F"), int_s("#f"), int_s("-0x80000000")], [Ok(10), Ok(31), Ok(15), Ok(i32::MIN)]);
        for bad in ["", "x", "0x", "0x-1", "0xffffffff", "1.5"] {
            assert_eq!(int_s(bad), Err(NamingError::ParamType { to: "int", value: bad.to_string() }), "{bad}");
        }
        assert_eq!(long_j("9223372036854775807"), Ok(i64::MAX));
        assert!(long_j("9223372036854775808").is_err());
    }

    #[test]
    fn doubles_in_java_syntax() {
        for (text, number) in
            [("1", 1.0), ("1.", 1.0), (".5", 0.5), ("1e3", 1e3), (" +1.5E-2\t", 0.015), ("2d", 2.0), ("2.F", 2.0), ("-0", 0.0)]
        {
            assert_eq!(double_j(text), Ok(number), "{text}");
        }
        assert_eq!([double_j("Infinity"), double_j("-Infinity")], [Ok(f64::INFINITY), Ok(f64::NEG_INFINITY)]);
        assert!(double_j("NaN").is_ok_and(f64::is_nan) && double_j("-NaN").is_ok_and(f64::is_nan));
        for bad in ["", ".", "e3", "inf", "nan", "infinity", "+-1", "--NaN", "1dd", "f", "1,5", "0x1p3", "1_0", "NaNd"] {
            assert_eq!(double_j(bad), Err(NamingError::NotANumber(bad.to_string())), "{bad}");
        }
    }

    #[test]
    fn floats_are_finite() {
        assert_eq!([float_s("0.7"), float_s(" 5 ")], [Ok(0.7), Ok(5.0)]);
        for bad in ["NaN", "1e39", "abc", ""] {
            assert_eq!(float_s(bad), Err(NamingError::ParamType { to: "float", value: bad.to_string() }));
            assert_eq!(float_l(bad), 0.0);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_panics(text in ".{0,16}") {
            let _ = (bool_a(&text), bool_j(&text), bool_s(&text), int_j(&text), int_l(&text), int_s(&text), long_j(&text), double_j(&text), float_s(&text));
        }

        #[test]
        fn what_java_prints_reads_back(number in any::<f64>(), whole in any::<i32>()) {
            prop_assume!(number.is_finite());
            prop_assert_eq!(double_j(&format!("{number:?}")), Ok(number));
            prop_assert_eq!(int_j(&whole.to_string()), Ok(whole));
            prop_assert_eq!(int_s(&whole.to_string()), Ok(whole));
        }
    }
}
