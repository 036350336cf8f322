//! Disk: the seam between the snapshot and the files of a node's data directory.
//!
//! A file is replaced as a whole or not at all, and is there after a power failure once the write has ended. Names are flat.
//! Never: knows what is inside.

mod dir;
mod memory;

pub use dir::{DirDisk, OpenError};
pub use memory::MemoryDisk;

use futures_util::future::LocalBoxFuture;
use std::io;

/// Longer names are refused.
pub const NAME_BYTES_MAX: usize = 64;

/// What became of an operation, with the file's path in its error.
pub type DiskFuture<T> = LocalBoxFuture<'static, Result<T, DiskError>>;

/// Makes a file's bytes.
pub type Making = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// A directory of files. Operations on different names may overlap, those on one name must not. One whose future is dropped
/// may be carried out all the same.
pub trait Disk {
    /// The names of all files, sorted.
    fn list(&self) -> DiskFuture<Vec<String>>;

    /// A file's bytes; `None`: there is none of this name.
    fn read(&self, name: &str) -> DiskFuture<Option<Vec<u8>>>;

    /// Makes what `making` returns the file's content. Whatever happens meanwhile, the file is the old one or the new one.
    /// A disk that works on a thread of its own calls `making` there.
    fn write_made(&self, name: &str, making: Making) -> DiskFuture<()>;

    /// Makes `bytes` the file's content, as [`write_made`](Disk::write_made).
    fn write(&self, name: &str, bytes: Vec<u8>) -> DiskFuture<()> {
        self.write_made(name, Box::new(move || bytes))
    }

    /// Puts what `making` returns beside the file of this name, to take its place by [`commit`](Disk::commit). Lasts no crash.
    fn stage(&self, name: &str, making: Making) -> DiskFuture<()>;

    /// Puts what is staged under these names in place and removes files, those that are there. Whatever happens meanwhile, each file
    /// is the old one or the new one. Costs the same few flushes whether they are many or one.
    fn commit(&self, written: Vec<String>, removed: Vec<String>) -> DiskFuture<()>;
}

/// What could not be done, to which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {reason}")]
pub struct DiskError {
    pub doing: &'static str,
    pub path: String,
    #[source]
    pub reason: io::Error,
}

impl DiskError {
    fn new(doing: &'static str, path: impl Into<String>, reason: io::Error) -> DiskError {
        DiskError { doing, path: path.into(), reason }
    }
}

/// Lower-case letters, digits, `-` and, but not in front, `.`: a name that is one on every system, and no way out of the directory.
fn check_name(name: &str) -> io::Result<()> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.bytes().all(legal) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name has the characters a-z 0-9 - . and begins with no dot"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both disks must do alike.
    async fn contract(disk: &dyn Disk) {
        let list = async || disk.list().await.unwrap();
        let read = async |name| disk.read(name).await.unwrap();
        assert_eq!((list().await, read("a").await), (vec![], None));
        let remove = async |name: &str| disk.commit(vec![], vec![name.to_string()]).await;
        remove("a").await.unwrap();

        let long = vec![7; 1 << 20];
        for (name, bytes) in [("bucket-0002", &b"two"[..]), ("clock", b""), ("bucket-0001", &long), ("x.json", b"x")] {
            disk.write(name, bytes.to_vec()).await.unwrap();
        }
        assert_eq!(list().await, ["bucket-0001", "bucket-0002", "clock", "x.json"]);
        assert_eq!((read("bucket-0001").await, read("clock").await), (Some(long), Some(vec![])));

        disk.write_made("bucket-0001", Box::new(|| b"short".to_vec())).await.unwrap();
        assert_eq!(read("bucket-0001").await, Some(b"short".to_vec()));
        remove("bucket-0001").await.unwrap();
        remove("bucket-0001").await.unwrap();
        assert_eq!((list().await, read("bucket-0001").await), (["bucket-0002", "clock", "x.json"].map(String::from).to_vec(), None));

        let (a, b) = (disk.write("p", b"1".to_vec()), disk.write("q", b"2".to_vec()));
        assert!(b.await.is_ok() && a.await.is_ok());
        assert_eq!((read("p").await, read("q").await), (Some(b"1".to_vec()), Some(b"2".to_vec())));

        disk.stage("q", Box::new(|| b"3".to_vec())).await.unwrap();
        disk.stage("r", Box::new(|| b"4".to_vec())).await.unwrap();
        assert_eq!((read("q").await, read("r").await, list().await.len()), (Some(b"2".to_vec()), None, 5));
        disk.commit(["q", "r"].map(String::from).to_vec(), vec!["p".to_string(), "none".to_string()]).await.unwrap();
        assert_eq!((read("q").await, read("r").await), (Some(b"3".to_vec()), Some(b"4".to_vec())));
        assert_eq!(list().await, ["bucket-0002", "clock", "q", "r", "x.json"]);
        assert!(disk.commit(vec!["never-staged".to_string()], vec![]).await.is_err());

        for name in ["", ".", "..", "../x", "a/b", "/etc/x", ".tmp", "A", "a b", "a\0", "é", &"n".repeat(65)] {
            let refused = |result: Result<(), DiskError>| {
                let error = result.expect_err(name);
                assert_eq!(error.reason.kind(), io::ErrorKind::InvalidInput, "{name}");
                assert!(error.to_string().ends_with("a name has the characters a-z 0-9 - . and begins with no dot"), "{error}");
            };
            refused(disk.write(name, vec![]).await);
            refused(disk.read(name).await.map(drop));
            refused(disk.stage(name, Box::new(Vec::new)).await);
            refused(disk.commit(vec![name.to_string()], vec![]).await);
            refused(remove(name).await);
        }
    }

    #[actix_rt::test]
    async fn a_directory_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        contract(&DirDisk::open(&folder.path().join("data")).unwrap()).await;
    }

    #[actix_rt::test]
    async fn memory_keeps_the_contract() {
        contract(&MemoryDisk::default()).await;
    }
}
