//! `headcount local-cluster` without a terminal: three real processes that are killed and restarted by keys, and looked at with
//! `members`, `owner` and `diff`.

use awc::http::{Method, StatusCode};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_headcount");
/// For what takes a second or two when nobody else uses the machine.
const PATIENCE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(50);

struct Cluster {
    process: Child,
    keys: ChildStdin,
    lines: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl Cluster {
    fn start(nodes: u16, dir: &Path) -> Cluster {
        let port = free_ports(nodes);
        let mut command = Command::new(BINARY);
        command.arg("local-cluster").args(["--nodes", &nodes.to_string(), "--port", &port.to_string()]).arg("--dir").arg(dir);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, out) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let book = lines.clone();
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).for_each(|line| book.lock().unwrap().push(line)));
        Cluster { process, keys, lines, port }
    }

    fn node(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.port + 10 * (number - 1))
    }

    fn press(&mut self, keys: &str) {
        writeln!(self.keys, "{keys}").unwrap();
    }

    fn has_said(&self, words: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(words))
    }

    /// Of all processes it has ever started.
    fn pids(&self) -> Vec<i32> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line.split_once(" started, pid ")?.1.trim().parse().ok()).collect()
    }

    async fn is_ready(&self, number: u16) -> bool {
        ask(Method::GET, &format!("http://{}/readyz", self.node(number)), &[]).await.0 == StatusCode::OK
    }

    async fn lists_it(&self, number: u16) -> bool {
        let url = format!("http://{}/nacos/v1/ns/instance/list?serviceName=cart", self.node(number));
        let (status, text) = ask(Method::GET, &url, &[]).await;
        status == StatusCode::OK && text.contains("10.0.0.7")
    }

    async fn ends(&mut self) -> bool {
        let deadline = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.process.try_wait().unwrap() {
                    Some(status) => return status.success(),
                    None => actix_rt::time::sleep(STEP).await,
                }
            }
        });
        deadline.await.expect("it ends when it is told to")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The first of so many ports, ten apart, that nobody uses at this moment.
fn free_ports(nodes: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = std::iter::repeat_with(|| rand::random_range(20_000..30_000u16));
    ports.find(|port| (0..nodes).all(|at| free(port + 10 * at))).unwrap()
}

async fn ask(method: Method, url: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
    let http = awc::Client::builder().timeout(Duration::from_secs(1)).finish();
    let request = headers.iter().fold(http.request(method, url), |request, header| request.insert_header(*header));
    match request.send().await {
        Ok(mut answer) => (answer.status(), String::from_utf8_lossy(&answer.body().await.unwrap_or_default()).into_owned()),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

macro_rules! eventually {
    ($what:literal, $holds:expr) => {{
        let holds = async {
            while !$holds {
                actix_rt::time::sleep(STEP).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, holds).await.is_ok(), "not within {PATIENCE:?}: {}", $what);
    }};
}

/// Exit code and both outputs of a verb.
fn run(line: &str) -> (i32, String) {
    let done = Command::new(BINARY).args(line.split_whitespace()).output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

fn lives(pid: i32) -> bool {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
}

#[actix_rt::test]
async fn three_nodes_are_killed_restarted_compared_and_all_gone_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(3, dir.path());
    let (first, third) = (cluster.node(1), cluster.node(3));
    for number in 1..=3 {
        eventually!("all are ready", cluster.is_ready(number).await);
    }
    assert_eq!(run(&format!("register cart 10.0.0.7:8080 --server {first}")).0, 0);
    eventually!("what one was told another lists", cluster.lists_it(3).await);

    cluster.press("k2");
    eventually!("the end of a node is told", cluster.has_said("node 2 ended (signal: 9"));
    assert!(cluster.lists_it(1).await && cluster.lists_it(3).await, "the others list it all the same");
    eventually!("it is seen down", run(&format!("members --server {first}")).1.contains(&format!("{}  DOWN", cluster.node(2))));
    let secret = format!("--cluster-secret-file {}", dir.path().join("secret").display());
    assert_eq!(run(&format!("diff --server {first} {secret}")).0, 2, "a node that cannot be asked cannot be compared");
    assert_eq!(run(&format!("diff --servers {first},{third}")).0, 2, "nor without the secret");
    assert_eq!(run(&format!("diff --servers {first},{third} {secret}")).0, 0);

    cluster.press("r2");
    eventually!("it comes back", cluster.is_ready(2).await);
    assert!(cluster.lists_it(2).await, "a node that is ready lists what the others do");
    eventually!("all agree on the owner", run(&format!("owner cart --server {third}")).1.contains("all 3 nodes say so"));
    let (code, told) = run(&format!("diff --server {first} {secret}"));
    assert!(code == 0 && told.starts_with("3 nodes hold the same"), "{told}");

    let pids = cluster.pids();
    assert_eq!(pids.len(), 4, "three, and one anew");
    cluster.press("q");
    assert!(cluster.ends().await);
    assert!(pids.iter().all(|pid| !lives(*pid)), "{pids:?}");
}

#[actix_rt::test]
async fn an_operator_with_the_secret_takes_back_what_switched_the_cluster_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(2, dir.path());
    for number in 1..=2 {
        eventually!("both are ready", cluster.is_ready(number).await);
    }
    let secret = std::fs::read_to_string(dir.path().join("secret")).unwrap();
    let switch =
        |number, word| format!("http://{}/nacos/v1/ns/operator/switches?entry=overriddenServerStatus&value={word}", cluster.node(number));
    assert_eq!(ask(Method::PUT, &switch(1, "DOWN"), &[]).await.0, StatusCode::OK);
    eventually!("the other node is switched off too", !cluster.is_ready(2).await);

    let agent = ("User-Agent", "Nacos-Server");
    assert_eq!(ask(Method::PUT, &switch(2, "null"), &[agent]).await.0, StatusCode::SERVICE_UNAVAILABLE, "the agent alone proves nothing");
    assert_eq!(ask(Method::PUT, &switch(2, "null"), &[agent, ("X-Headcount-Secret", secret.trim())]).await.0, StatusCode::OK);
    eventually!("both serve again", cluster.is_ready(1).await && cluster.is_ready(2).await);
    cluster.press("q");
    assert!(cluster.ends().await);
}

#[cfg(target_os = "linux")]
#[actix_rt::test]
async fn nodes_do_not_outlive_a_cluster_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(1, dir.path());
    eventually!("it is ready", cluster.is_ready(1).await);
    let pids = cluster.pids();
    cluster.process.kill().unwrap();
    cluster.process.wait().unwrap();
    eventually!("its node is gone", pids.iter().all(|pid| !lives(*pid)));
}
