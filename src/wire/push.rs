//! The UDP push packet and its ack, as Nacos 1.x clients know them.
//!
//! A packet is `{"type":"dom","data":"<the service document, as a string>","lastRefTime":N}`, gzipped from 1,024 bytes. N is each
//! subscriber's own, all before it is the same for all. So that part is escaped and deflated once and flushed to a byte boundary;
//! each subscriber's N follows as a stored block, and the checksum goes on from where the common part left it: one ordinary
//! gzip member, for the price of a copy.
//!
//! Invariant: the same packet and number give the same bytes. Never: splits a document over several datagrams.

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Write;

/// Packets of this length or more are gzipped; clients tell by the first two bytes.
pub const GZIP_FROM_BYTES: usize = 1_024;
/// What fits one UDP datagram over IPv4.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;
/// A longer document is not tried: deflating takes its time, and lists of hosts compress to a fortieth at best.
pub const DOCUMENT_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Numbers stay below 2^53: JavaScript clients read them as doubles and would echo another.
pub const SEQ_END: u64 = 1 << 53;

const HEAD: &[u8] = br#"{"type":"dom","data":"#;
const JOINT: &[u8] = br#","lastRefTime":"#;
/// 16 digits and the brace.
const TAIL_BYTES_MAX: usize = 17;
/// Deflate, no flags, no time, unknown system: RFC 1952.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// Block header, length and its complement: RFC 1951 3.2.4.
const STORED_HEADER_BYTES: usize = 5;
const GZIP_TRAILER_BYTES: usize = 8;

/// The document does not fit one datagram; clients find the news when they poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document does not fit a datagram of {DATAGRAM_BYTES_MAX} bytes")]
pub struct TooLarge;

/// What all subscribers of one form are sent in one round, but for the number.
pub struct Packet {
    body: Body,
}

enum Body {
    /// Short, whatever the number.
    Plain(Vec<u8>),
    /// Long, whatever the number.
    Gzip(Gzip),
    /// The number's digits decide.
    Either(Vec<u8>, Gzip),
}

struct Gzip {
    /// Header and deflated common part, up to a byte boundary.
    deflated: Vec<u8>,
    crc: Hasher,
    plain_bytes: usize,
}

impl Packet {
    /// `document` is the service's JSON as `GET instance/list` would answer it.
    pub fn new(document: &str) -> Result<Packet, TooLarge> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(TooLarge);
        }
        let mut plain = Vec::with_capacity(document.len() + document.len() / 4 + 64);
        plain.extend_from_slice(HEAD);
        serde_json::to_writer(&mut plain, document).expect("a string has a JSON form, and a Vec takes every write");
        plain.extend_from_slice(JOINT);
        let body = if plain.len() + TAIL_BYTES_MAX < GZIP_FROM_BYTES {
            plain.shrink_to_fit();
            Body::Plain(plain)
        } else {
            let gzip = Gzip::new(&plain)?;
            if plain.len() < GZIP_FROM_BYTES { Body::Either(plain, gzip) } else { Body::Gzip(gzip) }
        };
        Ok(Packet { body })
    }

    /// Makes `out` the datagram with this number.
    pub fn fill(&self, seq: u64, out: &mut Vec<u8>) {
        debug_assert!(seq < SEQ_END);
        let mut tail = [0u8; 24];
        let mut rest = &mut tail[..];
        write!(rest, "{seq}}}").expect("20 digits and a brace fit 24 bytes");
        let left = rest.len();
        let tail = &tail[..tail.len() - left];
        out.clear();
        match &self.body {
            Body::Plain(plain) => out.extend([plain, tail].into_iter().flatten()),
            Body::Either(plain, _) if plain.len() + tail.len() < GZIP_FROM_BYTES => out.extend([plain, tail].into_iter().flatten()),
            Body::Gzip(gzip) | Body::Either(_, gzip) => gzip.fill(tail, out),
        }
    }

    /// The memory it holds, about.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Plain(plain) => plain.len(),
            Body::Gzip(gzip) => gzip.deflated.len(),
            Body::Either(plain, gzip) => plain.len() + gzip.deflated.len(),
        }
    }
}

// === impl Gzip ===

impl Gzip {
    fn new(plain: &[u8]) -> Result<Gzip, TooLarge> {
        const ROOM: usize = DATAGRAM_BYTES_MAX - STORED_HEADER_BYTES - TAIL_BYTES_MAX - GZIP_TRAILER_BYTES;
        // One call, into all the room there is. A second call after a full buffer may leave room and yet not have flushed:
        // miniz_oxide then only hands out what was pending, and the end of the document would be missing.
        let mut deflated = Vec::with_capacity(DATAGRAM_BYTES_MAX);
        deflated.extend_from_slice(&GZIP_HEADER);
        let mut deflate = Compress::new(Compression::fast(), false);
        deflate.compress_vec(plain, &mut deflated, FlushCompress::Sync).expect("a fresh stream has no bad state");
        if deflated.len() > ROOM || deflate.total_in() != plain.len() as u64 {
            return Err(TooLarge);
        }
        debug_assert!(deflated.ends_with(&[0, 0, 0xff, 0xff]), "a flush ends with an empty stored block");
        deflated.shrink_to_fit();
        let mut crc = Hasher::new();
        crc.update(plain);
        Ok(Gzip { deflated, crc, plain_bytes: plain.len() })
    }

    fn fill(&self, tail: &[u8], out: &mut Vec<u8>) {
        let mut crc = self.crc.clone();
        crc.update(tail);
        let bytes = tail.len() as u16;
        out.reserve(self.deflated.len() + STORED_HEADER_BYTES + tail.len() + GZIP_TRAILER_BYTES);
        out.extend_from_slice(&self.deflated);
        out.push(1); // the last block, stored
        out.extend_from_slice(&bytes.to_le_bytes());
        out.extend_from_slice(&(!bytes).to_le_bytes());
        out.extend_from_slice(tail);
        out.extend_from_slice(&crc.finalize().to_le_bytes());
        out.extend_from_slice(&((self.plain_bytes + tail.len()) as u32).to_le_bytes());
    }
}

/// The number that a client's datagram acknowledges; `None` for anything that is no ack.
///
/// Java and Go send it as a string, Node as a number; `unknow-ack` is how some of them spell it.
pub fn ack(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Ack<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        #[serde(rename = "lastRefTime", borrow)]
        last_ref_time: Number<'a>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number<'a> {
        Number(u64),
        #[serde(borrow)]
        Text(Cow<'a, str>),
    }
    let ack: Ack = serde_json::from_slice(bytes).ok()?;
    if !matches!(&*ack.kind, "push-ack" | "dump-ack" | "unknown-ack" | "unknow-ack") {
        return None;
    }
    let seq = match ack.last_ref_time {
        Number::Number(seq) => seq,
        Number::Text(text) => text.parse().ok()?,
    };
    (seq < SEQ_END).then_some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn datagram(document: &str, seq: u64) -> Vec<u8> {
        let mut out = b"left over".to_vec();
        Packet::new(document).unwrap().fill(seq, &mut out);
        out
    }

    /// Decodes strictly: one member, nothing after it, the checksum right.
    fn text(bytes: &[u8]) -> String {
        if bytes[..2] != [0x1f, 0x8b] {
            return String::from_utf8(bytes.to_vec()).unwrap();
        }
        let mut text = String::new();
        let mut gzip = GzDecoder::new(bytes);
        gzip.read_to_string(&mut text).unwrap();
        assert!(gzip.into_inner().is_empty(), "bytes after the first member");
        text
    }

    fn check(document: &str, seq: u64) {
        let text = text(&datagram(document, seq));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json, serde_json::json!({"type": "dom", "data": document, "lastRefTime": seq}));
    }

    /// Distinct hosts, as a registry would list them.
    fn hosts(n: usize) -> String {
        let hosts: Vec<String> = (0..n)
            .map(|i| {
                format!(
                    r#"{{"valid":true,"ip":"10.{}.{}.{}","port":8080,"weight":1.0,"metadata":{{}}}}"#,
                    i / 65_536,
                    i / 256 % 256,
                    i % 256
                )
            })
            .collect();
        format!(r#"{{"name":"g@@a","hosts":[{}]}}"#, hosts.join(","))
    }

    /// Bytes that do not compress, as letters.
    fn noise(len: usize) -> String {
        let mut state = 88_172_645_463_325_252u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b'0' + (state >> 33) as u8 % 75).to_string().replace('\\', "/")
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_short_packet_is_plain_json_in_nacos_order() {
        let got = datagram(r#"{"name":"a\"b","x":"订"}"#, 42);
        assert_eq!(String::from_utf8(got).unwrap(), r#"{"type":"dom","data":"{\"name\":\"a\\\"b\",\"x\":\"订\"}","lastRefTime":42}"#);
    }

    #[test]
    fn gzip_begins_at_1024_bytes() {
        for seq in [7, 1_378_278_772_395, SEQ_END - 1] {
            let around = br#"{"type":"dom","data":"","lastRefTime":}"#.len() + seq.to_string().len();
            let below = datagram(&"x".repeat(1_023 - around), seq);
            assert_eq!((below.len(), below[0]), (1_023, b'{'), "{seq}");
            let at = datagram(&"x".repeat(1_024 - around), seq);
            assert_eq!(at[..2], [0x1f, 0x8b], "{seq}");
            assert_eq!(text(&at).len(), 1_024);
        }
    }

    #[test]
    fn every_length_and_number_reads_back() {
        for n in (0..40).chain([100, 400, 1_500]) {
            for seq in [0, 1, 999_999, SEQ_END - 1] {
                check(&hosts(n), seq);
            }
        }
        for len in (900..1_200).step_by(7).chain((1_200..80_000).step_by(997)) {
            check(&noise(len), 1_234_567_890_123);
        }
        check("", 1);
        check(&"\u{0}\u{1f}\"\\\n\u{2028}€".repeat(300), 9);
    }

    #[test]
    fn the_same_number_gives_the_same_bytes() {
        let packet = Packet::new(&hosts(50)).unwrap();
        let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
        packet.fill(10, &mut a);
        packet.fill(11, &mut c);
        packet.fill(10, &mut b);
        assert!(a == b && a != c);
    }

    #[test]
    fn what_does_not_fit_a_datagram_is_refused() {
        assert!(Packet::new(&noise(DATAGRAM_BYTES_MAX * 3 / 2)).is_err());
        assert!(Packet::new(&"x".repeat(DOCUMENT_BYTES_MAX + 1)).is_err());
        let mut out = Vec::new();
        Packet::new(&"x".repeat(DOCUMENT_BYTES_MAX)).unwrap().fill(SEQ_END - 1, &mut out);
        assert!(out.len() <= DATAGRAM_BYTES_MAX);
    }

    #[test]
    fn the_longest_packet_that_is_accepted_fits_a_datagram() {
        let (mut low, mut high) = (10_000, 200_000); // the longest noise that is accepted, by bisection
        while high - low > 1 {
            let middle = (low + high) / 2;
            if Packet::new(&noise(middle)).is_ok() { low = middle } else { high = middle }
        }
        let longest = datagram(&noise(low), SEQ_END - 1).len();
        assert!((DATAGRAM_BYTES_MAX - 64..=DATAGRAM_BYTES_MAX).contains(&longest), "{longest}");
    }

    #[test]
    fn acks_as_the_sdks_send_them() {
        assert_eq!(ack(br#"{"type": "push-ack", "lastRefTime":"1378278772395", "data":""}"#), Some(1_378_278_772_395));
        assert_eq!(ack(br#"{"data":"","lastRefTime":"1538071860332","type":"push-ack"}"#), Some(1_538_071_860_332));
        assert_eq!(ack(br#"{"type":"push-ack","lastRefTime":1259310811412,"data":""}"#), Some(1_259_310_811_412));
        for kind in ["dump-ack", "unknown-ack", "unknow-ack"] {
            assert_eq!(ack(format!(r#"{{"type":"{kind}","lastRefTime":"5"}}"#).as_bytes()), Some(5));
        }
        assert_eq!(ack(br#"{"type":"push-ack","lastRefTime":"\u0035"}"#), Some(5));
    }

    #[test]
    fn anything_else_is_no_ack() {
        let deep = "[".repeat(100_000);
        for bytes in [
            &b""[..],
            b"{}",
            b"null",
            b"[]",
            b"\x1f\x8b\x08",
            b"\xff\xfe",
            br#"{"type":"push-ack"}"#,
            br#"{"type":"push-ack","lastRefTime":-1}"#,
            br#"{"type":"push-ack","lastRefTime":1.5}"#,
            br#"{"type":"push-ack","lastRefTime":9007199254740992}"#,
            br#"{"type":"push-ack","lastRefTime":"99999999999999999999999"}"#,
            br#"{"type":"push-ack","lastRefTime":"x"}"#,
            br#"{"type":"push-ack","lastRefTime":null}"#,
            br#"{"type":"dom","lastRefTime":1}"#,
            br#"{"type":1,"lastRefTime":1}"#,
            br#"{"type":"push-ack","lastRefTime":1"#,
            deep.as_bytes(),
        ] {
            assert_eq!(ack(bytes), None, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
        }
    }
}
