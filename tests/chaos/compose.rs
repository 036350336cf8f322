//! The shipped compose file's nodes: containers, handled by the engine's own command line.
//!
//! Clients come through the published ports. Whoever starts a run names the project and the compose command, makes the image,
//! and removes the project where a run is broken off (`tests/compose/run` does all that); a run that ends removes its own.

use crate::nodes::Ending;
use rustix::process::Signal;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use tokio::task::JoinHandle;

/// Where the compose file publishes each node.
const PORTS: [u16; 3] = [8_848, 8_858, 8_868];
/// What the compose file gives a node to stop, s.
const GRACE: &str = "15";
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const IMAGE: &str = "headcount";
const LABEL_PROJECT: &str = "com.docker.compose.project";
const LABEL_SERVICE: &str = "com.docker.compose.service";

/// How to reach the compose file's project.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    /// The compose command with the file: words with blanks between.
    pub command: String,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Absent,
    Running,
    Paused,
    /// Runs, and clients cannot reach it.
    Hidden,
    Stopped,
}

struct Container {
    service: String,
    state: State,
    stopping: Option<JoinHandle<Result<String, String>>>,
}

pub struct Compose {
    project: Project,
    nodes: Vec<Container>,
    /// Where logs go.
    folder: tempfile::TempDir,
    /// Newer images made so far.
    generation: usize,
    faults: Vec<String>,
    /// Strangers that hold addresses.
    squatters: Vec<String>,
}

// === impl Compose ===

impl Compose {
    pub fn new(project: Project, count: usize) -> Result<Compose, String> {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|e| e.to_string())?;
        let container = |index| Container { service: format!("headcount-{}", index + 1), state: State::Absent, stopping: None };
        Ok(Compose {
            project,
            nodes: (0..count).map(container).collect(),
            folder,
            generation: 0,
            faults: Vec::new(),
            squatters: Vec::new(),
        })
    }

    pub fn addresses(&self) -> Vec<(SocketAddr, String)> {
        let member = |node: &Container| format!("{}.peers:8848", node.service);
        self.nodes.iter().zip(PORTS).map(|(node, port)| ((Ipv4Addr::LOCALHOST, port).into(), member(node))).collect()
    }

    pub async fn up(&mut self, nodes: &[usize]) -> Result<(), String> {
        let services: Vec<&str> = nodes.iter().map(|node| self.nodes[*node].service.as_str()).collect();
        self.compose(&[&["up", "--detach", "--no-build"], services.as_slice()].concat()).await?;
        nodes.iter().for_each(|node| self.nodes[*node].state = State::Running);
        Ok(())
    }

    pub async fn start(&mut self, node: usize) -> Result<(), String> {
        if self.nodes[node].state == State::Absent {
            return self.up(&[node]).await;
        }
        let id = self.id(node).await?;
        docker(&["start", &id]).await?;
        self.nodes[node].state = State::Running;
        Ok(())
    }

    pub async fn running_for(&self, node: usize) -> Result<u64, String> {
        let text = docker(&["inspect", "--format", "{{.State.StartedAt}}", &self.id(node).await?]).await?;
        let began = ms_of_day(&text).ok_or_else(|| format!("not a time: {text}"))?;
        Ok((headcount::clock::wall_now() % DAY_MS + DAY_MS - began) % DAY_MS)
    }

    pub async fn signal(&mut self, node: usize, signal: Signal) -> Result<(), String> {
        let id = self.id(node).await?;
        let (verb, state) = match signal {
            Signal::KILL => ("kill", State::Stopped),
            Signal::STOP => ("pause", State::Paused),
            Signal::CONT => ("unpause", State::Running),
            _ => {
                // The engine answers when the node has ended; the timetable goes on.
                self.nodes[node].stopping = Some(tokio::task::spawn_local(async move {
                    docker(&["stop", "--time", GRACE, &id]).await?;
                    docker(&["inspect", "--format", "{{.State.ExitCode}}", &id]).await
                }));
                return Ok(());
            }
        };
        docker(&[verb, &id]).await?;
        self.nodes[node].state = state;
        Ok(())
    }

    pub async fn ended(&mut self, node: usize) -> Option<Ending> {
        let container = &mut self.nodes[node];
        let stopping = container.stopping.take_if(|stopping| stopping.is_finished())?;
        container.state = State::Stopped;
        let how = match stopping.await {
            Ok(Ok(code)) => code,
            Ok(Err(why)) => why,
            Err(e) => e.to_string(),
        };
        Some(Ending { in_order: how == "0", how: format!("exit code {how}") })
    }

    pub fn is_running(&self, node: usize) -> bool {
        !matches!(self.nodes[node].state, State::Absent | State::Stopped)
    }

    pub fn is_awake(&self, node: usize) -> bool {
        self.nodes[node].state == State::Running
    }

    // --- what only containers know ---

    /// Off the network of the nodes; clients still reach it.
    pub async fn part(&mut self, node: usize) -> Result<(), String> {
        self.network("disconnect", "peers", node).await
    }

    pub async fn rejoin(&mut self, node: usize) -> Result<(), String> {
        self.network("connect", "peers", node).await
    }

    /// Off the network of the clients; nodes still reach it.
    pub async fn hide(&mut self, node: usize) -> Result<(), String> {
        self.nodes[node].state = State::Hidden;
        self.network("disconnect", "clients", node).await
    }

    pub async fn show(&mut self, node: usize) -> Result<(), String> {
        self.network("connect", "clients", node).await?;
        self.nodes[node].state = State::Running;
        Ok(())
    }

    async fn network(&self, verb: &str, network: &str, node: usize) -> Result<(), String> {
        let service = &self.nodes[node].service;
        let (name, alias) = (format!("{}_{network}", self.project.name), format!("--alias={service}.{network}"));
        let id = self.id(node).await?;
        let aliases: &[&str] = if verb == "connect" { &[&alias] } else { &[] };
        docker(&[&["network", verb], aliases, &[&name, &id]].concat()).await.map(drop)
    }

    /// Removed, and made anew at another address: what has its old one meanwhile keeps it.
    pub async fn relocate(&mut self, node: usize) -> Result<(), String> {
        let before = self.peer_address(node).await?;
        self.look_back(node).await?;
        docker(&["rm", "--force", &self.id(node).await?]).await?;
        let squatter = format!("{}_squatter_{node}", self.project.name);
        self.squatters.push(squatter.clone());
        let peers = format!("{}_peers", self.project.name);
        docker(&["run", "--detach", "--name", &squatter, "--network", &peers, IMAGE, "serve", "--mode", "standalone"]).await?;
        docker(&["network", "connect", &format!("{}_clients", self.project.name), &squatter]).await?;
        self.remake(node).await?;
        let after = self.peer_address(node).await?;
        println!("  {} had the address {before} and has {after}", self.nodes[node].service);
        if before == after { Err(format!("{before} was given out again though somebody has it")) } else { Ok(()) }
    }

    /// A newer image under the same name; the next `replace` takes it.
    pub async fn new_image(&mut self) -> Result<(), String> {
        self.generation += 1;
        let recipe = format!("FROM {IMAGE}\nLABEL headcount.test.generation={}\n", self.generation);
        feed("docker", &["build", "--quiet", "--tag", IMAGE, "-"], recipe).await.map(drop)
    }

    /// Stopped in order, removed, and made anew from the newest image: what `compose up` does when the image has changed.
    pub async fn replace(&mut self, node: usize) -> Result<(), String> {
        let image = async |id: String| docker(&["inspect", "--format", "{{.Image}}", &id]).await;
        let before = image(self.id(node).await?).await?;
        self.look_back(node).await?;
        self.remake(node).await?;
        let after = image(self.id(node).await?).await?;
        if before == after { Err(format!("{} was not made anew", self.nodes[node].service)) } else { Ok(()) }
    }

    async fn remake(&mut self, node: usize) -> Result<(), String> {
        self.compose(&["up", "--detach", "--no-build", "--no-deps", &self.nodes[node].service]).await?;
        self.nodes[node].state = State::Running;
        Ok(())
    }

    pub async fn restart_all(&mut self) -> Result<(), String> {
        let mut ids = Vec::new();
        for node in 0..self.nodes.len() {
            ids.push(self.id(node).await?);
        }
        let restarts = ids.iter().map(async |id| docker(&["restart", "--time", GRACE, id]).await);
        futures_util::future::try_join_all(restarts).await.map(drop)
    }

    /// Limits of every container, as flags of `docker update`.
    pub async fn limit(&self, flags: &[&str]) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            docker(&[&["update"], flags, &[&self.id(node).await?]].concat()).await?;
        }
        Ok(())
    }

    pub async fn secret(&self) -> Result<String, String> {
        let into = self.folder.path().join("secret");
        docker(&["cp", &format!("{}:/secret/cluster", self.id(0).await?), &into.display().to_string()]).await?;
        let secret = std::fs::read_to_string(&into).map_err(|e| e.to_string())?;
        std::fs::remove_file(&into).map_err(|e| e.to_string())?;
        Ok(secret.trim().to_string())
    }

    // --- afterwards ---

    /// `docker stats`: what the container's memory group holds, less the page cache that nobody uses.
    pub async fn memory(&self) -> Option<String> {
        let mut ids = Vec::new();
        for node in 0..self.nodes.len() {
            ids.push(self.id(node).await.ok()?);
        }
        let flags = ["stats", "--no-stream", "--format", "{{.MemUsage}}"];
        let told = docker(&[&flags[..], &ids.iter().map(String::as_str).collect::<Vec<_>>()].concat()).await.ok()?;
        Some(told.lines().filter_map(|line| line.split(" / ").next()).collect::<Vec<_>>().join(", "))
    }

    /// Also takes the logs home.
    pub async fn faults(&mut self) -> Vec<String> {
        for node in (0..self.nodes.len()).filter(|node| self.nodes[*node].state != State::Absent).collect::<Vec<_>>() {
            if let Err(why) = self.look_back(node).await {
                self.faults.push(why);
            }
        }
        std::mem::take(&mut self.faults)
    }

    /// What a container leaves behind when it goes: its log, and whether it ended by itself.
    async fn look_back(&mut self, node: usize) -> Result<(), String> {
        let id = self.id(node).await?;
        let service = self.nodes[node].service.clone();
        let log = docker_all(&["logs", "--timestamps", &id]).await?;
        let mut file = OpenOptions::new().create(true).append(true).open(self.log(&service)).map_err(|e| e.to_string())?;
        file.write_all(log.as_bytes()).map_err(|e| e.to_string())?;
        self.faults.extend(log.lines().filter(|line| line.contains("panicked at")).map(|line| format!("{service}: {line}")));
        let ends = docker(&["inspect", "--format", "{{.RestartCount}} {{.State.OOMKilled}}", &id]).await?;
        if ends != "0 false" {
            self.faults.push(format!("{service} ended by itself: restarts and whether it ran out of memory: {ends}"));
        }
        Ok(())
    }

    fn log(&self, service: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{service}.log"))
    }

    pub fn keep_logs(&mut self) -> String {
        self.folder.disable_cleanup(true);
        self.folder.path().display().to_string()
    }

    pub async fn down(&mut self) -> Result<(), String> {
        for squatter in std::mem::take(&mut self.squatters) {
            docker(&["rm", "--force", "--volumes", &squatter]).await?;
        }
        self.compose(&["down", "--volumes", "--timeout", "1"]).await.map(drop)
    }

    // --- the engine ---

    async fn compose(&self, arguments: &[&str]) -> Result<String, String> {
        let words: Vec<&str> =
            self.project.command.split_whitespace().chain(["-p", &self.project.name]).chain(arguments.iter().copied()).collect();
        feed(words[0], &words[1..], String::new()).await
    }

    async fn id(&self, node: usize) -> Result<String, String> {
        let service = &self.nodes[node].service;
        let project = format!("label={LABEL_PROJECT}={}", self.project.name);
        let found =
            docker(&["ps", "--all", "--quiet", "--filter", &project, "--filter", &format!("label={LABEL_SERVICE}={service}")]).await?;
        match found.lines().collect::<Vec<_>>()[..] {
            [id] => Ok(id.to_string()),
            _ => Err(format!("not one container for {service}, but '{found}'")),
        }
    }

    async fn peer_address(&self, node: usize) -> Result<String, String> {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{}_peers\").IPAddress}}}}", self.project.name);
        docker(&["inspect", "--format", &format, &self.id(node).await?]).await
    }
}

/// Of a time like 2026-11-21T14:03:58.246497994Z.
fn ms_of_day(text: &str) -> Option<u64> {
    let clock = text.split_once('T')?.1.trim_end_matches('Z');
    let mut parts = clock.splitn(3, ':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(((hours * 60.0 + minutes) * 60_000.0 + seconds * 1_000.0) as u64)
}

async fn docker(arguments: &[&str]) -> Result<String, String> {
    feed("docker", arguments, String::new()).await
}

/// What it says on both outputs.
async fn docker_all(arguments: &[&str]) -> Result<String, String> {
    run("docker", arguments, String::new()).await.map(|(out, told)| out + &told)
}

async fn feed(program: &str, arguments: &[&str], input: String) -> Result<String, String> {
    run(program, arguments, input).await.map(|(out, _)| out.trim().to_string())
}

/// On a thread of its own: the crowd goes on meanwhile.
async fn run(program: &str, arguments: &[&str], input: String) -> Result<(String, String), String> {
    let line = format!("{program} {}", arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let work = move || {
        let mut child = command.spawn()?;
        child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()))?;
        child.wait_with_output()
    };
    let output = tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?.map_err(|e| format!("{line}: {e}"))?;
    let (out, told) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.success() { Ok((out, told)) } else { Err(format!("{line}: {}", told.trim())) }
}
