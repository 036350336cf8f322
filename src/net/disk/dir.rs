//! The real disk: a directory that is this node's alone.
//!
//! Work is done on the runtime's threads for blocking work. A file is written beside its place, flushed, and renamed; then the
//! directory is flushed too. Many are flushed in one go with all of their file system: a flush each would take a thousand times as
//! long. What a crash left half written is removed at the next start. A lock keeps a second node out.

use super::{Disk, DiskError, DiskFuture, Making, check_name};
use log::warn;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file's name begins with while it is being written.
const TEMPORARY_PREFIX: &str = ".writing-";
/// Nobody but the node's own user: metadata may hold secrets.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Whoever holds its lock has the directory. It is never removed: that would let two hold it.
const LOCK_NAME: &str = ".lock";

/// Clones share the directory and its lock, which goes with the last of them.
#[derive(Clone, Debug)]
pub struct DirDisk {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// Open from the start, so that no failed flush since then goes unseen.
    lock: File,
}

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0} is in use by another node")]
    InUse(String),
    #[error(transparent)]
    Unusable(#[from] DiskError),
}

impl DirDisk {
    /// Opens the directory, made if absent, and keeps others out of it. Finds out now whether it can be written; blocks for that.
    pub fn open(root: &Path) -> Result<DirDisk, OpenError> {
        let failed = |doing| move |reason| DiskError::new(doing, root.display().to_string(), reason);
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(root).map_err(failed("make the directory"))?;
        let lock = lock(root)?;
        for entry in fs::read_dir(root).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                remove(&entry.path()).map_err(failed("remove what a crash left in"))?;
            }
        }
        let trial = temporary(root, "trial");
        write_new(&trial, b"").and_then(|_| remove(&trial)).map_err(failed("write in"))?;
        Ok(DirDisk { root: Arc::new(Root { path: root.to_path_buf(), lock }) })
    }

    fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        name: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> DiskFuture<T> {
        let path = self.root.path.join(name);
        let failed = move |path: &Path, reason| DiskError::new(doing, path.display().to_string(), reason);
        if let Err(reason) = check_name(name) {
            let error = failed(&path, reason);
            return Box::pin(async { Err(error) });
        }
        self.spawn(path, work, failed)
    }

    fn spawn<T: Send + 'static>(
        &self,
        path: PathBuf,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
        failed: impl Fn(&Path, io::Error) -> DiskError + Send + 'static,
    ) -> DiskFuture<T> {
        let worked = tokio::task::spawn_blocking({
            let (path, root) = (path.clone(), self.root.clone());
            move || {
                let done = work(&path);
                drop(root); // not before: the directory is ours until the work is done
                done
            }
        });
        Box::pin(async move {
            // Blocking work is given up only when the runtime goes down.
            worked.await.unwrap_or_else(|gone| Err(io::Error::other(gone))).map_err(|reason| failed(&path, reason))
        })
    }
}

impl Disk for DirDisk {
    fn list(&self) -> DiskFuture<Vec<String>> {
        let failed = |path: &Path, reason| DiskError::new("list", path.display().to_string(), reason);
        self.spawn(self.root.path.clone(), list, failed)
    }

    fn read(&self, name: &str) -> DiskFuture<Option<Vec<u8>>> {
        self.run("read", name, |path| match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn write_made(&self, name: &str, making: Making) -> DiskFuture<()> {
        let root = self.root.path.clone();
        let temporary = temporary(&root, name);
        self.run("write", name, move |path| {
            let written = write_new(&temporary, &making()).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
            if written.is_err() {
                let _ = fs::remove_file(&temporary); // the write's own error says more
            }
            written.and_then(|()| sync(&root))
        })
    }

    fn stage(&self, name: &str, making: Making) -> DiskFuture<()> {
        let temporary = temporary(&self.root.path, name);
        self.run("write", name, move |_| {
            let written = write_new(&temporary, &making()).map(drop);
            if written.is_err() {
                let _ = fs::remove_file(&temporary); // the write's own error says more
            }
            written
        })
    }

    fn commit(&self, written: Vec<String>, removed: Vec<String>) -> DiskFuture<()> {
        let failed = |path: &Path, reason| DiskError::new("write in", path.display().to_string(), reason);
        let root = self.root.clone();
        self.spawn(self.root.path.clone(), move |_| root.commit(&written, &removed), failed)
    }
}

impl Root {
    fn commit(&self, written: &[String], removed: &[String]) -> io::Result<()> {
        written.iter().chain(removed).try_for_each(|name| check_name(name))?;
        if !written.is_empty() {
            rustix::fs::syncfs(&self.lock)?;
        }
        written.iter().try_for_each(|name| fs::rename(temporary(&self.path, name), self.path.join(name)))?;
        removed.iter().try_for_each(|name| remove(&self.path.join(name)))?;
        sync(&self.path)
    }
}

fn temporary(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{TEMPORARY_PREFIX}{name}"))
}

fn lock(root: &Path) -> Result<File, OpenError> {
    let path = root.join(LOCK_NAME);
    let failed = |reason| DiskError::new("write in", root.display().to_string(), reason);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(root.display().to_string())),
        Err(TryLockError::Error(e)) => {
            warn!(path:% = path.display(), error:% = e; "this file system has no locks: take care that no other node has the same data directory");
        }
    }
    Ok(file)
}

/// Files with names that are ours to read; others may lie there, a `lost+found` for one.
fn list(root: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && check_name(&name).is_ok()
            && entry.file_type()?.is_file()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes renames and removals last.
fn sync(root: &Path) -> io::Result<()> {
    File::open(root)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[actix_rt::test]
    async fn what_it_makes_is_for_its_own_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let disk = DirDisk::open(&root).unwrap();
        disk.write("clock", b"1".to_vec()).await.unwrap();
        assert_eq!((mode(&root), mode(&root.join("clock"))), (0o700, 0o600));
        drop(disk);
        fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
        DirDisk::open(&root).unwrap();
        assert_eq!(mode(&root), 0o750, "a directory that was there stays as it is");
    }

    #[actix_rt::test]
    async fn a_directory_is_one_nodes_alone_until_its_last_work_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let disk = DirDisk::open(folder.path()).unwrap();
        let error = DirDisk::open(folder.path()).unwrap_err();
        assert!(matches!(error, OpenError::InUse(_)), "{error}");
        let (gate, opened) = std::sync::mpsc::channel::<()>();
        let write = disk.write_made("late", Box::new(move || opened.recv().map_or(vec![], |()| b"x".to_vec())));
        drop(disk);
        assert!(DirDisk::open(folder.path()).is_err());
        gate.send(()).unwrap();
        write.await.unwrap();
        assert_eq!(DirDisk::open(folder.path()).unwrap().read("late").await.unwrap(), Some(b"x".to_vec()));
    }

    #[actix_rt::test]
    async fn what_a_crash_left_half_written_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let names = [".writing-bucket-0001", "bucket-0001", "README", ".hidden"];
        names.iter().for_each(|name| fs::write(folder.path().join(name), "x").unwrap());
        fs::create_dir(folder.path().join("folder")).unwrap();
        let disk = DirDisk::open(folder.path()).unwrap();
        assert_eq!(disk.list().await.unwrap(), ["bucket-0001"]);
        let there = names.map(|name| folder.path().join(name).exists());
        assert_eq!(there, [false, true, true, true]);
    }

    #[actix_rt::test]
    async fn errors_name_the_path_and_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = DirDisk::open(&file).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot make the directory {}: ", file.display())), "{error}");

        let disk = DirDisk::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("taken")).unwrap();
        let error = disk.write("taken", b"x".to_vec()).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}/taken: ", folder.path().display())), "{error}");
        assert_eq!(disk.list().await.unwrap(), ["file"], "nothing half written stays");
        assert!(!folder.path().join(".writing-taken").exists());

        fs::create_dir(folder.path().join(".writing-file")).unwrap(); // so that the new content cannot be written
        assert!(disk.write("file", b"y".to_vec()).await.is_err());
        assert_eq!(disk.read("file").await.unwrap(), Some(b"x".to_vec()));
    }
}
