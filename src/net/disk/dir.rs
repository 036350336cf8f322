//! The real disk: a directory that is this node's alone.
//!
//! Work is done on the runtime's threads for blocking work. A file is written beside its place, flushed, and renamed; then the
//! directory is flushed too. What a crash left half written is removed at the next start.

use super::{Disk, DiskError, DiskFuture, check_name};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file's name begins with while it is being written.
const TEMPORARY_PREFIX: &str = ".writing-";
/// Nobody but the node's own user: metadata may hold secrets.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[derive(Clone, Debug)]
pub struct DirDisk {
    root: Arc<Path>,
}

impl DirDisk {
    /// Opens the directory, made if absent. Finds out now whether it can be written; blocks for that.
    pub fn open(root: &Path) -> Result<DirDisk, DiskError> {
        let failed = |doing| move |reason| DiskError::new(doing, root.display().to_string(), reason);
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(root).map_err(failed("make the directory"))?;
        for entry in fs::read_dir(root).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                remove(&entry.path()).map_err(failed("remove what a crash left in"))?;
            }
        }
        let trial = root.join(format!("{TEMPORARY_PREFIX}trial"));
        write_new(&trial, b"").and_then(|()| remove(&trial)).map_err(failed("write in"))?;
        Ok(DirDisk { root: root.into() })
    }

    fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        name: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> DiskFuture<T> {
        let path = self.root.join(name);
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
            let path = path.clone();
            move || work(&path)
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
        self.spawn(self.root.to_path_buf(), list, failed)
    }

    fn read(&self, name: &str) -> DiskFuture<Option<Vec<u8>>> {
        self.run("read", name, |path| match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn write(&self, name: &str, bytes: Vec<u8>) -> DiskFuture<()> {
        let root = self.root.clone();
        let temporary = root.join(format!("{TEMPORARY_PREFIX}{name}"));
        self.run("write", name, move |path| {
            let written = write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, path));
            if written.is_err() {
                let _ = fs::remove_file(&temporary); // the write's own error says more
            }
            written.and_then(|()| sync(&root))
        })
    }

    fn remove(&self, name: &str) -> DiskFuture<()> {
        let root = self.root.clone();
        self.run("remove", name, move |path| remove(path).and_then(|()| sync(&root)))
    }
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

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
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
        fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
        DirDisk::open(&root).unwrap();
        assert_eq!(mode(&root), 0o750, "a directory that was there stays as it is");
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
