//! `POST distro/beats`: a batch of beats from a peer, 16 bytes each, big-endian, nothing before or after.
//!
//! ```text
//! 0        8         12         16
//! │ service │ instance │ R │ age │     u64 xxh3 of the datum key · u32 hash of the instance · 1 bit relayed · 31 bits of ms
//! ```
//! Decoding fails only on a length no batch can have; every 16 bytes are some beat, and unknown hashes are the receiver's to drop.

use crate::model::peer_beat::PeerBeat;

/// Bytes of one beat.
pub const BEAT_BYTES: usize = 16;
/// Beats in one body that are still read; ours have at most 4,096.
pub const BEATS_MAX: usize = 65_536;

const RELAYED: u32 = 1 << 31;
const _: () = assert!(RELAYED - 1 == PeerBeat::AGE_MS_MAX);

/// Why a body is no batch of beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeatsError {
    #[error("beats: {0} bytes are no multiple of {BEAT_BYTES}")]
    Length(usize),
    #[error("beats: {0} beats are more than {BEATS_MAX}")]
    TooMany(usize),
}

pub fn encode(beats: &[PeerBeat]) -> Vec<u8> {
    let mut body = Vec::with_capacity(beats.len() * BEAT_BYTES);
    for beat in beats {
        let age = beat.age_ms.min(PeerBeat::AGE_MS_MAX) | if beat.relayed { RELAYED } else { 0 };
        body.extend_from_slice(&beat.service.to_be_bytes());
        body.extend_from_slice(&beat.instance.to_be_bytes());
        body.extend_from_slice(&age.to_be_bytes());
    }
    body
}

/// The beats of a body, read as they are taken: no copy.
pub fn decode(body: &[u8]) -> Result<impl ExactSizeIterator<Item = PeerBeat>, BeatsError> {
    let (beats, rest) = body.as_chunks::<BEAT_BYTES>();
    if !rest.is_empty() {
        return Err(BeatsError::Length(body.len()));
    }
    if beats.len() > BEATS_MAX {
        return Err(BeatsError::TooMany(beats.len()));
    }
    Ok(beats.iter().map(|bytes| {
        let all = u128::from_be_bytes(*bytes);
        let age = all as u32;
        PeerBeat { service: (all >> 64) as u64, instance: (all >> 32) as u32, age_ms: age & !RELAYED, relayed: age & RELAYED != 0 }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_are_big_endian_with_the_relay_bit_on_top_of_the_age() {
        let beat = PeerBeat { service: 0x0102_0304_0506_0708, instance: 0x0A0B_0C0D, age_ms: 0x1234, relayed: true };
        assert_eq!(encode(&[beat]), [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 0x80, 0, 0x12, 0x34]);
    }

    #[test]
    fn a_broken_length_is_refused() {
        assert_eq!(decode(&[0; 17]).err(), Some(BeatsError::Length(17)));
        assert_eq!(decode(&vec![0; (BEATS_MAX + 1) * BEAT_BYTES]).err(), Some(BeatsError::TooMany(BEATS_MAX + 1)));
        assert_eq!(decode(&[]).unwrap().len(), 0);
    }

    proptest! {
        #[test]
        fn beats_read_back(beats: Vec<(u64, u32, u32, bool)>) {
            let beats: Vec<PeerBeat> = beats.into_iter().map(|(service, instance, age, relayed)| {
                PeerBeat { service, instance, age_ms: age & PeerBeat::AGE_MS_MAX, relayed }
            }).collect();
            prop_assert_eq!(decode(&encode(&beats)).unwrap().collect::<Vec<_>>(), beats);
        }
    }
}
