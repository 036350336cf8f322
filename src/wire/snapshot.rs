//! The files of a snapshot: a bucket's services, the manifest that says when all of them were true, and the clock's mark.
//!
//! ```text
//! headcount bucket 1 9d28b3c5a3c1e0f7        what it is · format · xxh3-64 of all that follows, hex
//! {"bucket":7,"data":{…}}
//! ```
//! Only buckets that changed are written again, so a bucket's file may be older than the snapshot it is part of. Its silences still
//! hold for the manifest's moment: an instance that falls silent for long changes its bucket. Who reads adds the time since the
//! manifest, nothing else. A file that is cut short, bent or of another format is an error, never a panic and never half read.

use crate::model::datum::Datum;
use crate::model::stamp::{STAMP_AHEAD_MS_MAX, Stamp};
use crate::model::time::Uptime;
use crate::wire::datum::DatumMap;
use crate::wire::long::Long;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The manifest's file name.
pub const MANIFEST_NAME: &str = "manifest";
/// The clock mark's file name.
pub const CLOCK_NAME: &str = "clock";
/// A snapshot from further ahead than this is not believed: the wall clock has been set back.
pub const FUTURE_MS_MAX: u64 = 5_000;

/// A wall clock that was set forth by more than this was wrong until then, and so was ours that began with it: others refuse what is a
/// day apart from theirs, and a restart is to help.
const WALL_RIGHTED_MS: u64 = STAMP_AHEAD_MS_MAX / 2;

const FORMAT: &str = "1";
const BUCKET_PREFIX: &str = "bucket-";
/// `headcount manifest 1 <16 digits>` is shorter.
const HEADER_BYTES_MAX: usize = 64;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("does not begin with the header of a {0} file")]
    Header(&'static str),
    #[error("is of format {0:?}, this version reads {FORMAT:?}")]
    Format(String),
    #[error("is damaged: its checksum is {found}, its header says {said}")]
    Checksum { said: String, found: String },
    #[error("cannot be read: {0}")]
    Content(String),
}

/// What a bucket's file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketFile {
    pub bucket: u16,
    pub data: Vec<Datum>,
}

/// Written last, when all changed buckets are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// When every bucket on disk was true, epoch ms of the machine's wall clock.
    pub taken_ms: u64,
}

impl Manifest {
    /// How old the snapshot is at `wall_ms`; `None`: it is from the future.
    pub fn age_ms(&self, wall_ms: u64) -> Option<u64> {
        (self.taken_ms <= wall_ms.saturating_add(FUTURE_MS_MAX)).then(|| wall_ms.saturating_sub(self.taken_ms))
    }
}

/// The clock of a process, for the next one to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockFile {
    /// A hybrid time that no stamp is above which is minted before the file is written again.
    pub mark: u64,
    /// What the clock showed when this was written.
    pub clock: u64,
    /// What the machine's wall clock showed then, epoch ms. It may be an hour off: only what passes on it counts.
    pub wall_ms: u64,
    /// For how long the machine had been up then.
    pub up: Option<Uptime>,
}

impl ClockFile {
    /// Where a process that starts now goes on. Since the same start of the machine the time that has passed is known: the clock is
    /// where it would be, and not ahead, for what is ordered by a clock that leapt outranks what others do until they hear of it.
    /// After another start it is guessed: not below the mark, and not behind those who went on meanwhile.
    pub fn resumed(&self, wall_ms: u64, up: Option<&Uptime>) -> u64 {
        let later = |ms| self.clock.saturating_add(Stamp::time_of(ms));
        let wall_passed_ms = wall_ms.saturating_sub(self.wall_ms);
        let known_ms = up.zip(self.up.as_ref()).and_then(|(now, then)| now.since(then));
        match known_ms.filter(|ms| wall_passed_ms <= ms.saturating_add(WALL_RIGHTED_MS)) {
            Some(ms) => later(ms),
            None => self.mark.max(later(wall_passed_ms)),
        }
    }
}

/// The file of a bucket: `bucket-0007`.
pub fn bucket_name(bucket: u16) -> String {
    format!("{BUCKET_PREFIX}{bucket:04}")
}

/// The bucket whose file has this name.
pub fn bucket_of(name: &str) -> Option<u16> {
    let bucket = name.strip_prefix(BUCKET_PREFIX)?.parse().ok()?;
    (bucket_name(bucket) == name).then_some(bucket)
}

/// `data`: a map of datums as [`DatumWriter`](crate::wire::datum::DatumWriter) makes it.
pub fn write_bucket(bucket: u16, data: &[u8]) -> Vec<u8> {
    let head = format!("{{\"bucket\":{bucket},\"data\":");
    seal("bucket", &[head.as_bytes(), data, b"}\n"].concat())
}

pub fn read_bucket(bytes: &[u8]) -> Result<BucketFile, SnapshotError> {
    #[derive(Deserialize)]
    struct Content {
        bucket: u16,
        data: DatumMap,
    }
    let Content { bucket, data } = open("bucket", bytes)?;
    Ok(BucketFile { bucket, data: data.0 })
}

#[derive(Serialize, Deserialize)]
struct ManifestJson {
    taken: u64,
}

pub fn write_manifest(manifest: &Manifest) -> Vec<u8> {
    seal("manifest", &line(&ManifestJson { taken: manifest.taken_ms }))
}

pub fn read_manifest(bytes: &[u8]) -> Result<Manifest, SnapshotError> {
    open("manifest", bytes).map(|content: ManifestJson| Manifest { taken_ms: content.taken })
}

#[derive(Serialize, Deserialize)]
struct ClockJson {
    mark: Long,
    clock: Long,
    wall: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up: Option<u64>,
}

pub fn write_clock(file: &ClockFile) -> Vec<u8> {
    let (boot, up) = file.up.as_ref().map(|up| (up.boot.clone(), up.ms)).unzip();
    seal("clock", &line(&ClockJson { mark: Long(file.mark), clock: Long(file.clock), wall: file.wall_ms, boot, up }))
}

pub fn read_clock(bytes: &[u8]) -> Result<ClockFile, SnapshotError> {
    let ClockJson { mark, clock, wall: wall_ms, boot, up } = open("clock", bytes)?;
    let up = boot.zip(up).map(|(boot, ms)| Uptime { boot, ms });
    Ok(ClockFile { mark: mark.0, clock: clock.0, wall_ms, up })
}

fn line(content: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(content).expect("numbers print");
    line.push(b'\n');
    line
}

fn seal(kind: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("headcount {kind} {FORMAT} {}\n", checksum(content));
    [header.as_bytes(), content].concat()
}

fn open<'a, T: Deserialize<'a>>(kind: &'static str, bytes: &'a [u8]) -> Result<T, SnapshotError> {
    let no_header = SnapshotError::Header(kind);
    let Some(end) = bytes.iter().take(HEADER_BYTES_MAX).position(|b| *b == b'\n') else { return Err(no_header) };
    let Ok(header) = std::str::from_utf8(&bytes[..end]) else { return Err(no_header) };
    let words: Vec<&str> = header.split(' ').collect();
    let (format, said) = match words[..] {
        ["headcount", of, format, said] if of == kind => (format, said),
        _ => return Err(no_header),
    };
    if format != FORMAT {
        return Err(SnapshotError::Format(format.to_string()));
    }
    let content = &bytes[end + 1..];
    let found = checksum(content);
    if found != said {
        return Err(SnapshotError::Checksum { said: said.to_string(), found });
    }
    serde_json::from_slice(content).map_err(|error| SnapshotError::Content(error.to_string()))
}

fn checksum(content: &[u8]) -> String {
    format!("{:016x}", xxh3_64(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::datum;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn up(boot: &str, ms: u64) -> Option<Uptime> {
        Some(Uptime { boot: boot.into(), ms })
    }

    fn clock() -> ClockFile {
        ClockFile { mark: 7, clock: 5, wall_ms: 8, up: up("a1", 9) }
    }

    #[test]
    fn a_clock_goes_on_through_the_time_between_two_processes() {
        let file = ClockFile { mark: 110_000 << 16, clock: 100_000 << 16 | 3, wall_ms: 500, up: None };
        assert_eq!([0, 500, 10_499].map(|wall| file.resumed(wall, None)), [110_000 << 16; 3], "the mark is the least");
        assert_eq!(file.resumed(60_500, None), 160_000 << 16 | 3);
        assert_eq!(file.resumed(u64::MAX, None), u64::MAX);
    }

    #[test]
    fn a_machine_that_stayed_up_says_how_much_time_has_passed_however_its_wall_clock_was_set() {
        let file = ClockFile { mark: 110_000 << 16, clock: 100_000 << 16 | 3, wall_ms: 500, up: up("a", 7_000) };
        assert_eq!([0, 500, 9_999_999].map(|wall| file.resumed(wall, up("a", 8_000).as_ref())), [101_000 << 16 | 3; 3], "no leap");
        for other in [up("b", 8_000), up("a", 6_999), None] {
            assert_eq!(file.resumed(60_500, other.as_ref()), 160_000 << 16 | 3, "{other:?}: by the wall clock");
        }
        let righted = 500 + 1_001 + WALL_RIGHTED_MS;
        assert_eq!(file.resumed(righted, up("a", 8_000).as_ref()), (101_001 + WALL_RIGHTED_MS) << 16 | 3, "it was put right");
    }

    #[test]
    fn files_as_people_see_them() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let file = text(write_clock(&clock()));
        assert_eq!(file.split_once('\n').map(|(head, _)| head.len()), Some("headcount clock 1 786e1447872b991d".len()));
        assert!(file.ends_with("\n{\"mark\":\"7\",\"clock\":\"5\",\"wall\":8,\"boot\":\"a1\",\"up\":9}\n"), "{file}");
        let older = "headcount clock 1 786e1447872b991d\n{\"mark\":\"7\",\"clock\":\"5\",\"wall\":8}\n";
        assert_eq!(read_clock(older.as_bytes()), Ok(ClockFile { up: None, ..clock() }), "of a version that did not ask the machine");
        let content = |bytes| text(bytes).split_once('\n').map(|(_, content)| content.to_string());
        assert_eq!(content(write_manifest(&Manifest { taken_ms: 8 })).as_deref(), Some("{\"taken\":8}\n"));
        assert_eq!(content(write_bucket(9, b"{}")).as_deref(), Some("{\"bucket\":9,\"data\":{}}\n"));
    }

    #[test]
    fn buckets_have_names() {
        assert_eq!((bucket_name(7), bucket_name(1_023)), ("bucket-0007".to_string(), "bucket-1023".to_string()));
        for bucket in [0, 7, 1_023, u16::MAX] {
            assert_eq!(bucket_of(&bucket_name(bucket)), Some(bucket));
        }
        for other in ["bucket-7", "bucket-", "bucket-+007", "bucket-00007", "clock", "0007"] {
            assert_eq!(bucket_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_snapshot_ages_and_is_not_believed_from_the_future() {
        let taken = Manifest { taken_ms: 100_000 };
        assert_eq!([100_000, 220_000, 95_000].map(|wall| taken.age_ms(wall)), [Some(0), Some(120_000), Some(0)]);
        assert_eq!(taken.age_ms(94_999), None);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let refusal = |bytes: &[u8]| read_clock(bytes).unwrap_err().to_string();
        for other in [&b""[..], b"\n", b"{\"mark\":\"7\"}\n", b"headcount bucket 1 0\n", b"headcount clock 1\n", &[b'x'; 200], b"\xff\n"] {
            assert_eq!(refusal(other), "does not begin with the header of a clock file");
        }
        assert_eq!(refusal(b"headcount clock 2 0 \n"), "does not begin with the header of a clock file");
        assert_eq!(refusal(b"headcount clock 2 0\n"), "is of format \"2\", this version reads \"1\"");
        assert_eq!(refusal(b"headcount clock 1 0\n{}"), "is damaged: its checksum is 1349cde127705c16, its header says 0");
        assert_eq!(refusal(&seal("clock", b"{}")), "cannot be read: missing field `mark` at line 1 column 2");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn files_read_back(bucket: u16, data in vec(datum::tests::any_datum(), 0..3), taken_ms: u64, mark: u64, clock: u64, wall_ms: u64, ms: u64) {
            prop_assert_eq!(read_bucket(&write_bucket(bucket, &datum::write(&data))), Ok(BucketFile { bucket, data }));
            prop_assert_eq!(read_manifest(&write_manifest(&Manifest { taken_ms })), Ok(Manifest { taken_ms }));
            let file = ClockFile { mark, clock, wall_ms, up: up("a", ms).filter(|_| bucket > 9) };
            prop_assert_eq!(read_clock(&write_clock(&file)), Ok(file));
        }

        #[test]
        fn a_file_cut_short_or_bent_is_an_error(data in vec(datum::tests::any_datum(), 0..2), at: prop::sample::Index, bits in 1u8..) {
            let mut bytes = write_bucket(1, &datum::write(&data));
            let at = at.index(bytes.len());
            prop_assert!(read_bucket(&bytes[..at]).is_err());
            bytes[at] ^= bits;
            prop_assert!(read_bucket(&bytes).is_err());
        }
    }
}
