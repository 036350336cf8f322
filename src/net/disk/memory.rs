//! A disk in memory, for simulated nodes: it outlives them, takes its time, and forgets in a crash what was not yet flushed.

use super::{Disk, DiskError, DiskFuture, Making, check_name};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Clones share one disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    flush: Duration,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Arc<Vec<u8>>>,
    staged: BTreeMap<String, Arc<Vec<u8>>>,
    /// Crashes so far: what was begun before the last one never lands.
    crashes: u64,
}

impl MemoryDisk {
    /// Writes and removals take this long, on tokio's clock; a default disk's are done at the first poll.
    pub fn new(flush: Duration) -> MemoryDisk {
        MemoryDisk { flush, ..MemoryDisk::default() }
    }

    /// The machine loses its power: what has not ended never happened.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.crashes += 1;
        state.staged.clear();
    }

    /// Flips bits of a file, as a worn disk does; nothing if there is no such file, or nothing in it.
    pub fn rot(&self, name: &str, at: usize) {
        if let Some(file) = self.lock().files.get_mut(name)
            && let len @ 1.. = file.len()
        {
            Arc::make_mut(file)[at % len] ^= 0x55;
        }
    }

    fn change(&self, doing: &'static str, name: &str, change: impl FnOnce(&mut State) -> io::Result<()> + 'static) -> DiskFuture<()> {
        if let Err(error) = checked(doing, name) {
            return Box::pin(async { Err(error) });
        }
        let (disk, name, begun) = (self.clone(), name.to_string(), self.lock().crashes);
        let flushed = (!self.flush.is_zero()).then(|| tokio::time::sleep(self.flush));
        Box::pin(async move {
            if let Some(flushed) = flushed {
                flushed.await;
            }
            let mut state = disk.lock();
            if state.crashes != begun {
                return Err(DiskError::new(doing, name, io::Error::other("the machine went down")));
            }
            change(&mut state).map_err(|reason| DiskError::new(doing, name, reason))
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> DiskFuture<Vec<String>> {
        let names = self.lock().files.keys().cloned().collect();
        Box::pin(async { Ok(names) })
    }

    fn read(&self, name: &str) -> DiskFuture<Option<Vec<u8>>> {
        let read = checked("read", name).map(|()| self.lock().files.get(name).map(|bytes| bytes.to_vec()));
        Box::pin(async { read })
    }

    fn write_made(&self, name: &str, making: Making) -> DiskFuture<()> {
        let (file, bytes) = (name.to_string(), making());
        self.change("write", name, move |state| {
            state.files.insert(file, Arc::new(bytes));
            Ok(())
        })
    }

    fn stage(&self, name: &str, making: Making) -> DiskFuture<()> {
        let staged = checked("write", name).map(|()| drop(self.lock().staged.insert(name.to_string(), Arc::new(making()))));
        Box::pin(async { staged })
    }

    fn commit(&self, written: Vec<String>, removed: Vec<String>) -> DiskFuture<()> {
        let refused = written.iter().chain(&removed).find_map(|name| checked("write", name).err());
        if let Some(error) = refused {
            return Box::pin(async { Err(error) });
        }
        self.change("write", "all-staged", move |State { files, staged, .. }| {
            for name in written {
                let bytes = staged.remove(&name).ok_or(io::ErrorKind::NotFound)?;
                files.insert(name, bytes);
            }
            removed.iter().for_each(|name| drop(files.remove(name)));
            Ok(())
        })
    }
}

fn checked(doing: &'static str, name: &str) -> Result<(), DiskError> {
    check_name(name).map_err(|reason| DiskError::new(doing, name, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_crash_takes_what_was_not_flushed_and_leaves_the_old_file() {
        let disk = MemoryDisk::new(Duration::from_millis(2));
        disk.write("a", b"old".to_vec()).await.unwrap();
        disk.stage("a", Box::new(Vec::new)).await.unwrap();
        let (a, b) = (|| vec!["a".to_string()], disk.write("b", vec![]));
        let lost = (disk.write("a", b"new".to_vec()), b, disk.commit(a(), vec![]), disk.commit(vec![], a()));
        disk.crash();
        assert!(lost.0.await.is_err() && lost.1.await.is_err() && lost.2.await.is_err() && lost.3.await.is_err());
        assert!(disk.commit(a(), vec![]).await.is_err(), "what was staged is gone");
        assert_eq!((disk.list().await.unwrap(), disk.read("a").await.unwrap()), (vec!["a".to_string()], Some(b"old".to_vec())));
        disk.clone().write("a", b"new".to_vec()).await.unwrap();
        assert_eq!(disk.read("a").await.unwrap(), Some(b"new".to_vec()));
    }

    #[actix_rt::test]
    async fn a_worn_disk_bends_bits() {
        let disk = MemoryDisk::default();
        disk.write("a", b"abc".to_vec()).await.unwrap();
        disk.rot("a", 4);
        disk.rot("b", 0);
        assert_eq!(disk.read("a").await.unwrap(), Some(b"a7c".to_vec()));
    }
}
