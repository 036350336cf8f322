//! What is measured runs as processes of its own, on free ports of 127.0.0.1, and is ended by its id when its value is dropped.

use crate::talk;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_MAX: Duration = Duration::from_secs(60);
const READY_LOOK: Duration = Duration::from_millis(2);
/// The argument by which this binary starts as the floor.
pub const FLOOR: &str = "--floor-process";

pub struct Process {
    pub name: &'static str,
    pub addr: SocketAddr,
    /// From its start to its first 200.
    pub started_in: Duration,
    begun: Instant,
    child: Child,
    _home: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Where tables, plots and logs go.
pub fn out_dir() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&dir).expect("target/ can be written to");
    dir
}

/// A bare actix-web server with one worker.
pub fn floor() -> io::Result<Process> {
    floor_under(&[])
}

/// The floor, started by another command.
pub fn floor_under(starter: &[String]) -> io::Result<Process> {
    let (port, home) = (free_port(), tempfile::tempdir()?);
    let mut command = command(starter, std::env::current_exe()?);
    command.arg(FLOOR).arg(port.to_string());
    ready(start("floor", command, SocketAddr::from(([127, 0, 0, 1], port)), home)?)
}

/// A node on its own.
pub fn headcount(workers: usize) -> io::Result<Process> {
    ready(headcount_at(&[], SocketAddr::from(([127, 0, 0, 1], free_port())), workers, &[])?)
}

/// A node with one worker, started by another command. It keeps no snapshot: that work comes by the clock, not by the request.
pub fn headcount_under(starter: &[String]) -> io::Result<Process> {
    let no_snapshot = "HEADCOUNT_DATA_DIR=/dev/null/none".to_string();
    ready(headcount_at(starter, SocketAddr::from(([127, 0, 0, 1], free_port())), 1, &[no_snapshot])?)
}

/// A node with more flags and environment (`KEY=value`), which need not be ready yet.
pub fn headcount_on(addr: SocketAddr, workers: usize, more: &[String]) -> io::Result<Process> {
    headcount_at(&[], addr, workers, more)
}

fn headcount_at(starter: &[String], addr: SocketAddr, workers: usize, more: &[String]) -> io::Result<Process> {
    let home = tempfile::tempdir()?;
    let binary = std::env::var_os("BENCH_NODE").unwrap_or_else(|| env!("CARGO_BIN_EXE_headcount").into());
    let mut command = command(starter, binary.into());
    command.args(["--bind", &addr.ip().to_string(), "--port", &addr.port().to_string()]).args(["--http-workers", &workers.to_string()]);
    command.env("HEADCOUNT_DATA_DIR", home.path().join("data")).current_dir(home.path());
    for name in ["MODE", "MEMBER_LIST", "NACOS_SERVERS", "HEADCOUNT_CONFIG_DIR", "HEADCOUNT_HTTP_WORKERS"] {
        command.env_remove(name);
    }
    for word in more {
        match word.split_once('=') {
            Some((name, value)) if !name.starts_with("--") => command.env(name, value),
            _ => command.arg(word),
        };
    }
    start("headcount", command, addr, home)
}

/// The nearest rival, if it is installed: where `HEADCOUNT_RNACOS` says, or in the `PATH`.
pub fn rnacos() -> io::Result<Option<Process>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("HEADCOUNT_RNACOS").map(PathBuf::from);
    let mut places = named.into_iter().chain(std::env::split_paths(&path).map(|dir| dir.join("rnacos")));
    let Some(binary) = places.find(|file| file.is_file()) else { return Ok(None) };
    let (port, home) = (free_port(), tempfile::tempdir()?);
    let mut command = Command::new(binary);
    command.current_dir(home.path()).env("RNACOS_HTTP_PORT", port.to_string()).env("RNACOS_HTTP_WORKERS", "1");
    command.env("RNACOS_GRPC_PORT", free_port().to_string()).env("RNACOS_HTTP_CONSOLE_PORT", free_port().to_string());
    command.env("RNACOS_DATA_DIR", home.path().join("data")).env("RNACOS_CONFIG_DB_DIR", home.path().join("db"));
    ready(start("r-nacos", command, SocketAddr::from(([127, 0, 0, 1], port)), home)?).map(Some)
}

fn command(starter: &[String], binary: PathBuf) -> Command {
    match starter {
        [] => Command::new(binary),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(binary);
            command
        }
    }
}

fn ready(mut process: Process) -> io::Result<Process> {
    process.wait_until_ready()?;
    Ok(process)
}

fn start(name: &'static str, mut command: Command, addr: SocketAddr, home: tempfile::TempDir) -> io::Result<Process> {
    let log = File::create(out_dir().join(format!("{name}-{addr}.log")))?;
    // Alike for all: r-nacos would write a line for each request.
    command.env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    let begun = Instant::now();
    Ok(Process { name, addr, begun, started_in: Duration::ZERO, child: command.spawn()?, _home: home })
}

impl Process {
    /// Waits until it answers 200.
    pub fn wait_until_ready(&mut self) -> io::Result<()> {
        let (name, addr) = (self.name, self.addr);
        loop {
            let probe = b"GET /nacos/v1/ns/service/list?pageNo=1&pageSize=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
            if talk::ask(addr, probe).is_ok_and(|answer| answer.get(9..12) == Some(b"200")) {
                self.started_in = self.begun.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("{name} ended before it was ready ({status}): see target/bench/{name}-{addr}.log")));
            }
            if self.begun.elapsed() > READY_MAX {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{name} was not ready in time")));
            }
            std::thread::sleep(READY_LOOK);
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.pid())) else { return Duration::ZERO };
        let on_cpu = |thread: std::fs::DirEntry| -> Option<u64> {
            std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        Duration::from_nanos(threads.flatten().filter_map(on_cpu).sum())
    }

    /// Resident memory, bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1_024
    }
}
