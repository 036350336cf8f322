//! 64-bit numbers in JSON between nodes: as strings, because they pass 2^53 and tools that people look with would round them.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Prints as a string of decimal digits; reads that, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Long(pub u64);

impl Serialize for Long {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Long, D::Error> {
        deserializer.deserialize_any(LongVisitor)
    }
}

struct LongVisitor;

impl Visitor<'_> for LongVisitor {
    type Value = Long;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 bits as a string of digits")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Long, E> {
        Ok(Long(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Long, E> {
        text.parse().map(Long).map_err(|_| E::custom(format_args!("{text:?} is not 64 bits in decimal digits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_64_bits_read_back() {
        for number in [0, 1 << 53, (1 << 53) + 1, u64::MAX] {
            let text = serde_json::to_string(&Long(number)).unwrap();
            assert_eq!(text, format!("\"{number}\""));
            assert_eq!(serde_json::from_str::<Long>(&text).unwrap(), Long(number));
            assert_eq!(serde_json::from_str::<Long>(&number.to_string()).unwrap(), Long(number));
        }
    }

    #[test]
    fn what_is_no_such_number_is_named() {
        let refusal = |text| serde_json::from_str::<Long>(text).unwrap_err().to_string();
        assert_eq!(refusal(r#""18446744073709551616""#), r#""18446744073709551616" is not 64 bits in decimal digits at line 1 column 22"#);
        assert_eq!(refusal("-1"), "invalid type: integer `-1`, expected 64 bits as a string of digits at line 1 column 2");
    }
}
