//! `cluster.conf`, watched: also when it is swapped by a symlink, as Kubernetes does, and when it comes into being later.
//!
//! The directory is watched, for an editor or a mount replaces the file itself. Events say only *look again*; a slow look every
//! few seconds makes up for those that a network file system does not send. Never writes.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Without any event the file is looked at after this.
pub const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A change is taken a moment later: writers write in pieces.
const SETTLE: Duration = Duration::from_millis(50);

/// A watched text file.
pub struct WatchedFile {
    path: PathBuf,
    events: mpsc::Receiver<()>,
    /// Its text when it was last handed out.
    last: Option<Option<String>>,
    _watcher: Option<RecommendedWatcher>,
}

impl WatchedFile {
    /// Watches `path`, which need not be there. Without a watcher (no inotify) the slow look remains.
    pub fn new(path: &Path) -> WatchedFile {
        let (tell, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            // A full channel holds an event already.
            let _ = tell.try_send(());
        });
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let watched = watcher.and_then(|mut watcher| watcher.watch(dir, RecursiveMode::NonRecursive).map(|()| watcher));
        if let Err(e) = &watched {
            log::debug!(dir:% = dir.display(), error:% = e; "not watched: looked at every few seconds");
        }
        WatchedFile { path: path.to_path_buf(), events, last: None, _watcher: watched.ok() }
    }

    /// The file's text, at once at first, then whenever it has changed; `None`: there is no such file.
    pub async fn changed(&mut self) -> Option<String> {
        loop {
            let path = self.path.clone();
            let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path).ok()).await.ok().flatten();
            if self.last.as_ref() != Some(&text) {
                self.last = Some(text.clone());
                return text;
            }
            if tokio::time::timeout(LOOK_AGAIN, self.events.recv()).await.is_ok() {
                tokio::time::sleep(SETTLE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[actix_rt::test]
    async fn writes_and_symlink_swaps_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.conf");
        let mut file = WatchedFile::new(&path);
        assert_eq!(file.changed().await, None);
        std::fs::write(&path, "a:1").unwrap();
        assert_eq!(file.changed().await.as_deref(), Some("a:1"));
        let other = dir.path().join("v2");
        std::fs::write(&other, "b:2").unwrap();
        symlink(&other, dir.path().join("new")).unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        assert_eq!(file.changed().await.as_deref(), Some("b:2"));
    }
}
