//! Reads the text from left to right, once; see the parent module for what passes.

use super::{DEPTH_MAX, Json, Members};
use memchr::memchr2;
use std::borrow::Cow;

/// What a beat has, so that its members are put into memory that need not grow.
const MEMBERS_USUAL: usize = 12;

pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, depth: 0 }
    }

    pub(super) fn whole(&mut self) -> Result<Json<'a>, String> {
        let value = self.value()?;
        self.skip_space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.expected("the end")),
        }
    }

    fn value(&mut self) -> Result<Json<'a>, String> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object().map(Json::Object),
            Some(b'[') => self.array().map(Json::Array),
            Some(b'"' | b'\'') => self.quoted().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(_) => match self.word() {
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                "null" => Ok(Json::Null),
                word => {
                    self.at -= word.len();
                    Err(self.expected("a JSON value"))
                }
            },
            None => Err(self.expected("a JSON value")),
        }
    }

    /// Past an opening bracket.
    fn enter(&mut self) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels deep"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn object(&mut self) -> Result<Members<'a>, String> {
        self.enter()?;
        let mut members = Members::new();
        while self.another(b'}', members.is_empty())? {
            let key = self.key()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.expected("':' after a key"));
            }
            self.at += 1;
            let value = self.value()?;
            if members.is_empty() && self.depth == 1 {
                members.reserve_exact(MEMBERS_USUAL);
            }
            members.push((key, value));
        }
        self.depth -= 1;
        Ok(members)
    }

    fn array(&mut self) -> Result<Vec<Json<'a>>, String> {
        self.enter()?;
        let mut items = Vec::new();
        while self.another(b']', items.is_empty())? {
            items.push(self.value()?);
        }
        self.depth -= 1;
        Ok(items)
    }

    /// Past the commas, as many as there are, to the next item (true) or past the end. All items but the first need one comma at least.
    fn another(&mut self, end: u8, first: bool) -> Result<bool, String> {
        let mut parted = first;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b',') => parted = true,
                Some(b) if b == end => {
                    self.at += 1;
                    return Ok(false);
                }
                Some(_) if parted => return Ok(true),
                _ => return Err(self.expected(if end == b'}' { "',' or '}'" } else { "',' or ']'" })),
            }
            self.at += 1;
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, String> {
        if let Some(b'"' | b'\'') = self.peek() {
            return self.quoted();
        }
        match self.word() {
            "" => Err(self.expected("a key")),
            word => Ok(Cow::Borrowed(word)),
        }
    }

    /// Letters, digits, `_`, `$` and whatever is not ASCII.
    fn word(&mut self) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || !b.is_ascii()) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self) -> Result<&'a str, String> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(self.expected("a number without leading zeros"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<&'a str, String> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(&self.text[start..self.at]) }
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let quote = self.text.as_bytes()[self.at];
        self.at += 1;
        let plain = self.until(quote)?;
        if self.peek() == Some(quote) {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_string();
        while self.peek() == Some(b'\\') {
            self.at += 1;
            text.push(self.escaped()?);
            text.push_str(self.until(quote)?);
        }
        self.at += 1;
        Ok(Cow::Owned(text))
    }

    /// The text up to the quote or a backslash. Control characters pass, as they do in Nacos.
    fn until(&mut self, quote: u8) -> Result<&'a str, String> {
        let rest = &self.text[self.at..];
        let Some(len) = memchr2(quote, b'\\', rest.as_bytes()) else {
            self.at = self.text.len();
            return Err(self.expected("the closing quote of a string"));
        };
        self.at += len;
        Ok(&rest[..len])
    }

    fn escaped(&mut self) -> Result<char, String> {
        let Some(letter) = self.peek() else { return Err(self.expected("an escaped character")) };
        self.at += 1;
        Ok(match letter {
            b'"' | b'\'' | b'\\' | b'/' => char::from(letter),
            b'0'..=b'7' => char::from(letter - b'0'),
            b'b' => '\u{8}',
            b'f' | b'F' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'v' => '\u{b}',
            b'x' => self.hex(2).and_then(char::from_u32).ok_or_else(|| self.expected("two hex digits"))?,
            b'u' => self.utf16()?,
            _ => {
                self.at -= 1;
                return Err(self.expected("a known escape"));
            }
        })
    }

    /// After `\u`: a character, or two halves of one; a half alone is U+FFFD.
    fn utf16(&mut self) -> Result<char, String> {
        let unit = |reader: &mut Self| reader.hex(4).ok_or_else(|| reader.expected("four hex digits"));
        let high = unit(self)?;
        if (0xd800..0xdc00).contains(&high) && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            let resume = self.at;
            self.at += 2;
            let low = unit(self)?;
            if (0xdc00..0xe000).contains(&low) {
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = resume;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.text.get(self.at..self.at + digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += digits;
        u32::from_str_radix(text, 16).ok()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c) = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn expected(&self, what: &str) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("expected {what} at byte {}, found {found:?}", self.at),
            None => format!("expected {what}, found the end"),
        }
    }
}
