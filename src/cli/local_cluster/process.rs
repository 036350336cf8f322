//! One node as a process of this machine: started from this very binary, signalled and ended by its id.
//!
//! Promises: what was started is ended when this value goes, also by a panic. On Linux nodes end by themselves when the process
//! that started them is gone, however it went.

use crate::config::Environment;
use crate::model::peer::PeerAddr;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

/// Of our environment a node gets these and no others: its settings are given by flags.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "TMPDIR", "RUST_LOG", "RUST_BACKTRACE"];
/// So many threads serve requests in each.
const HTTP_WORKERS: &str = "2";

/// How nodes are started.
pub struct Recipe {
    pub binary: PathBuf,
    pub members: String,
    pub secret: PathBuf,
    pub env: Vec<(String, String)>,
}

/// What has become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    Yes,
    /// Stopped by a signal, to go on later.
    Paused,
    No,
}

pub struct LocalNode {
    pub address: PeerAddr,
    dir: PathBuf,
    child: Option<Child>,
    paused: bool,
}

impl Recipe {
    pub fn new(binary: PathBuf, members: &[PeerAddr], secret: PathBuf, env: &Environment) -> Recipe {
        let members = members.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let env = PASSED_ON.iter().filter_map(|name| Some((name.to_string(), env.get(*name)?.clone()))).collect();
        Recipe { binary, members, secret, env }
    }

    fn command(&self, address: &PeerAddr, dir: &Path) -> io::Result<Command> {
        let log = OpenOptions::new().create(true).append(true).open(dir.join("log"))?;
        let mut command = Command::new(&self.binary);
        command.arg("local-node").args(["--mode", "cluster", "--bind", &address.host, "--ip", &address.host]);
        command.args(["--port", &address.port.to_string(), "--members", &self.members, "--http-workers", HTTP_WORKERS]);
        command.arg("--cluster-secret-file").arg(&self.secret);
        command.arg("--config-dir").arg(dir.join("config")).arg("--data-dir").arg(dir.join("data"));
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        // A group of its own: Ctrl-C in the terminal is for us, and we end them.
        command.process_group(0).stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

// === impl LocalNode ===

impl LocalNode {
    /// Makes its directories below `dir`; starts nothing.
    pub fn new(address: PeerAddr, dir: PathBuf) -> io::Result<LocalNode> {
        for name in ["config", "data"] {
            std::fs::create_dir_all(dir.join(name))?;
        }
        Ok(LocalNode { address, dir, child: None, paused: false })
    }

    pub fn start(&mut self, recipe: &Recipe) -> io::Result<()> {
        if self.child.is_none() {
            self.child = Some(recipe.command(&self.address, &self.dir)?.spawn()?);
            self.paused = false;
        }
        Ok(())
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn running(&self) -> Running {
        match (&self.child, self.paused) {
            (None, _) => Running::No,
            (Some(_), true) => Running::Paused,
            (Some(_), false) => Running::Yes,
        }
    }

    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    pub fn pause(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = self.child.is_some();
        Ok(())
    }

    pub fn go_on(&mut self) -> io::Result<()> {
        self.paused = false;
        self.signal(Signal::CONT)
    }

    /// Asks it to end in good order, also when it is paused.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        self.go_on()
    }

    /// How it ended, once, if it has.
    pub fn reap(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        self.paused = false;
        Some(status)
    }

    /// The last line of its log, for who wonders why it ended.
    pub fn last_words(&self) -> String {
        let log = std::fs::read(self.dir.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_string()
    }

    /// Only as long as it has not been reaped is the id that of our process.
    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let pid = self.child.as_ref().and_then(|child| Pid::from_raw(i32::try_from(child.id()).ok()?));
        match pid {
            Some(pid) => Ok(kill_process(pid, signal)?),
            None => Ok(()),
        }
    }
}

impl Drop for LocalNode {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill().and_then(|()| child.wait()); // it had ended already
        }
    }
}

/// For the node itself: to end when the process that started it is gone.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)); // without it the starter's own care must do
}
