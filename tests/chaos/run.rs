//! One scenario from the first process to the last: nodes, crowd, timetable, then peace until all is well or its time is over.

use crate::ballast;
use crate::cluster::{Cluster, Mode};
use crate::compose::{Compose, Project};
use crate::crowd::{ARRIVAL_MS, Crowd};
use crate::http::Request;
use crate::lan::Lan;
use crate::model::{Fall, GONE_MS, HEALED_MS, Ms};
use crate::nodes::Nodes;
use crate::onlook;
use crate::report::{DRAIN_MS_MAX, EQUAL_MS_MAX, Kind, Report};
use crate::scenarios::{Ground, NODES, SMOKE, Scenario, Step};
use crate::watch::watch;
use crate::world::{Census, World};
use rustix::process::Signal;
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpListener;

/// From the start of all nodes to all Ready; then nothing can be shown any more.
const READY_MS_MAX: Ms = 30_000;
/// After the last client has come, before the first fault.
const SETTLE_MS: Ms = 4_000;
/// After the end of the fault all must be well again within 15 s; then it is watched a little longer.
const AFTERWARDS_MS: Ms = HEALED_MS + 3_000;
/// Ended instances not seen for so long are taken for gone.
const UNSEEN_MS: Ms = 5_000;
/// Nobody who is dead can be gone sooner: the delete timeout.
const EXPIRY_MS: Ms = 30_000;
const TICK: Duration = Duration::from_millis(20);
const DIGEST_EVERY: Duration = Duration::from_millis(500);
const DIGEST_MAX: Duration = Duration::from_secs(3);

pub struct Size {
    pub clients: usize,
    pub services: usize,
    pub seed: u64,
    pub mode: Mode,
    /// Whether the logs stay though nothing was violated.
    pub keep: bool,
    /// Whose containers are the nodes of scenarios that need such.
    pub project: Option<Project>,
}

struct Run {
    world: Rc<World>,
    nodes: Nodes,
    /// What proves to a node that one is another.
    secret: String,
    crowd: Option<Crowd>,
    /// When each was told to stop.
    told_at: Vec<Option<Ms>>,
    /// When the last fault ended, or began for good.
    fault_end: Ms,
    /// When the last clients were told to die or to leave.
    last_farewell: Option<Ms>,
}

/// `Err`: this machine has not what it needs, and what. Panics where it has no ports or no disk.
pub async fn run(scenario: &Scenario, size: &Size) -> Result<Report, String> {
    let nodes = nodes(scenario, size).await?;
    let report = Report::new(scenario.name, size.clients, size.services);
    let world = World::new(nodes.addresses(), Census { clients: size.clients, services: size.services }, report);
    let told_at = vec![None; NODES];
    let mut run = Run { world, nodes, secret: String::new(), crowd: None, told_at, fault_end: 0, last_farewell: None };
    let patience = if scenario.name == SMOKE { 0 } else { AFTERWARDS_MS };
    if let Err(stuck) = run.play(scenario, size.seed, patience).await {
        run.world.report.borrow_mut().violate(Kind::Stuck, None, || stuck);
    }
    Ok(run.finish(size.keep).await)
}

async fn nodes(scenario: &Scenario, size: &Size) -> Result<Nodes, String> {
    let (mut lan, mut hung) = (None, Vec::new());
    match scenario.ground {
        Ground::Loopback => {}
        Ground::Lan => lan = Some(Lan::build(NODES)?),
        Ground::HungPeer => hung.push(hung_peer().await.expect("a free port to listen on")),
        Ground::Compose => {
            let project = size.project.clone().ok_or("no compose project was named: tests/compose/run does it")?;
            return Ok(Nodes::Containers(Box::new(Compose::new(project, NODES)?)));
        }
    }
    let cluster = Cluster::new(NODES, &hung, lan, size.mode).expect("free ports, and folders for the nodes");
    Ok(Nodes::Processes(Box::new(cluster)))
}

/// A member that accepts and stays silent, for as long as the run's tasks live.
async fn hung_peer() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    tokio::task::spawn_local(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    Ok(addr)
}

impl Run {
    async fn play(&mut self, scenario: &Scenario, seed: u64, patience: Ms) -> Result<(), String> {
        self.begin(&(0..NODES - scenario.absent).collect::<Vec<_>>()).await?;
        watch(&self.world);
        self.until("all nodes are ready", READY_MS_MAX, |run| run.all_ready()).await?;
        println!("  {} nodes ready after {:.1} s", NODES - scenario.absent, self.world.now() as f64 / 1_000.0);
        self.crowd = Some(Crowd::gather(&self.world, seed));
        self.wait_until(self.world.now() + ARRIVAL_MS + SETTLE_MS).await;
        let begin = self.world.now();
        self.fault_end = begin;
        for (at, step) in scenario.steps {
            self.wait_until(begin + (at * 1_000.0) as Ms).await;
            println!("  {:.1} s: {step:?}", self.world.now() as f64 / 1_000.0);
            self.take(*step).await.map_err(|e| format!("{step:?}: {e}"))?;
        }
        self.world.calm.set(true);
        self.recover().await?;
        self.wait_until(self.fault_end + patience).await;
        while self.waits_for_the_dead() && patience > 0 {
            self.tick().await;
        }
        Ok(())
    }

    async fn begin(&mut self, first: &[usize]) -> Result<(), String> {
        // A first start is no fault.
        (0..NODES).filter(|node| !first.contains(node)).for_each(|node| self.world.model.borrow_mut().node_down(node, 0, Fall::Alone));
        first.iter().for_each(|node| self.world.places[*node].running_since.set(Some(self.world.now())));
        self.nodes.begin(first).await?;
        self.secret = self.nodes.secret().await?;
        Ok(())
    }

    /// A fault ends when its end is ordered, or when the node runs again.
    async fn take(&mut self, step: Step) -> Result<(), String> {
        let mut now = self.world.now();
        match step {
            Step::Kill(node) => self.fell(node, Signal::KILL, Fall::Alone).await?,
            Step::Term(node) => self.fell(node, Signal::TERM, Fall::Alone).await?,
            Step::Pause(node) => self.fell(node, Signal::STOP, Fall::Alone).await?,
            Step::KillAll => {
                for node in 0..NODES {
                    self.fell(node, Signal::KILL, Fall::AllKilled).await?;
                }
            }
            Step::TermAll => {
                for node in 0..NODES {
                    self.fell(node, Signal::TERM, Fall::AllTold).await?;
                }
            }
            Step::Resume(node) => {
                self.nodes.signal(node, Signal::CONT).await?;
                self.is_back(node).set(Some(now));
            }
            Step::Start(node) => {
                while self.nodes.is_running(node) {
                    self.tick().await;
                }
                self.world.model.borrow_mut().node_down(node, self.world.now(), Fall::Alone);
                let since = self.is_back(node);
                self.nodes.start(node).await?;
                now = self.world.now() - self.nodes.running_for(node).await?;
                since.set(Some(now));
            }
            Step::Cut(links) => {
                links.iter().for_each(|(from, to)| self.world.model.borrow_mut().cut(*from, *to, now));
                let lan = self.nodes.lan().ok_or("no network of its own")?;
                links.iter().try_for_each(|(from, to)| lan.cut(*from, *to))?;
            }
            Step::Heal => {
                self.nodes.lan().ok_or("no network of its own")?.heal()?;
                self.world.model.borrow_mut().heal(self.world.now());
            }
            Step::Silence(count) => self.crowd.as_ref().ok_or("no crowd")?.silence(count),
            Step::Leave(count) => self.crowd.as_ref().ok_or("no crowd")?.leave(count),
            Step::Ballast(count) => ballast::load(&self.world, count).await?,
            _ => now = self.take_container(step, now).await?,
        }
        match step {
            Step::Silence(_) | Step::Leave(_) => self.last_farewell = Some(now),
            _ => self.fault_end = self.fault_end.max(now),
        }
        Ok(())
    }

    /// What is done to containers only, and when it was over.
    async fn take_container(&mut self, step: Step, now: Ms) -> Result<Ms, String> {
        let world = self.world.clone();
        let compose = self.nodes.containers(step)?;
        match step {
            Step::Part(node) => {
                (0..NODES).filter(|other| *other != node).for_each(|other| world.model.borrow_mut().cut(node, other, now));
                onlook::taken_over(&world, node, now);
                compose.part(node).await?;
            }
            Step::Rejoin(node) => {
                compose.rejoin(node).await?;
                world.model.borrow_mut().heal(world.now());
                onlook::rejoined(&world, node).set(Some(now));
            }
            Step::Hide(node) => {
                self.falls(node, Fall::OutOfSight, now);
                self.nodes.containers(step)?.hide(node).await?;
            }
            Step::Show(node) => {
                compose.show(node).await?;
                self.is_back(node).set(Some(now));
            }
            Step::Relocate(node) => {
                self.falls(node, Fall::Alone, now);
                onlook::taken_over(&world, node, now);
                self.nodes.containers(step)?.relocate(node).await?;
                return self.runs_again(node).await;
            }
            Step::NewImage => compose.new_image().await?,
            Step::Replace(node) => {
                self.falls(node, Fall::Alone, now);
                onlook::taken_over(&world, node, now);
                self.nodes.containers(step)?.replace(node).await?;
                return self.runs_again(node).await;
            }
            Step::RestartAll => {
                (0..NODES).for_each(|node| self.falls(node, Fall::AllTold, now));
                self.nodes.containers(step)?.restart_all().await?;
                let mut last = now;
                for node in 0..NODES {
                    last = self.runs_again(node).await?.max(last);
                }
                return Ok(last);
            }
            Step::Limit(flags) => compose.limit(flags).await?,
            _ => return Err("is not for containers".to_string()),
        }
        Ok(now)
    }

    async fn runs_again(&mut self, node: usize) -> Result<Ms, String> {
        let since = self.is_back(node);
        let began = self.world.now() - self.nodes.running_for(node).await?;
        since.set(Some(began));
        Ok(began)
    }

    async fn fell(&mut self, node: usize, signal: Signal, fall: Fall) -> Result<(), String> {
        let now = self.world.now();
        self.falls(node, fall, now);
        self.told_at[node] = (signal == Signal::TERM).then_some(now);
        if fall == Fall::Alone {
            onlook::taken_over(&self.world, node, now);
        }
        self.nodes.signal(node, signal).await
    }

    /// The model hears of it first: what happens from now on is the fault's doing.
    fn falls(&self, node: usize, fall: Fall, now: Ms) {
        self.world.model.borrow_mut().node_down(node, now, fall);
        self.world.places[node].running_since.set(None);
        self.world.places[node].ready_since.set(None);
    }

    /// It runs, and clients can reach it; whether it is ready is for the probes to say. Since when, the caller puts into the answer.
    fn is_back(&self, node: usize) -> Rc<Cell<Option<Ms>>> {
        self.world.places[node].running_since.set(Some(self.world.now()));
        onlook::rejoined(&self.world, node)
    }

    /// All awake nodes ready, and of one mind.
    async fn recover(&mut self) -> Result<(), String> {
        self.until("all nodes are ready again", READY_MS_MAX, |run| run.all_ready()).await?;
        let ready_at = self.world.places.iter().filter_map(|place| place.ready_since.get()).max().unwrap_or(0);
        self.world.report.borrow_mut().ready_after = Some(ready_at.saturating_sub(self.fault_end));
        self.until("all nodes have each other back", READY_MS_MAX, |run| run.world.returning.get() == 0).await?;
        let mut last = String::new();
        while self.world.now() <= self.fault_end.max(ready_at) + 2 * EQUAL_MS_MAX {
            match self.digests().await {
                Ok(()) => {
                    let after = self.world.now() - self.fault_end;
                    let mut report = self.world.report.borrow_mut();
                    report.equal_after = Some(after);
                    if after > EQUAL_MS_MAX {
                        report.violate(Kind::Stuck, None, || format!("digests were equal only {after} ms after the end of the fault"));
                    }
                    return Ok(());
                }
                Err(why) => last = why,
            }
            self.wait_until(self.world.now() + DIGEST_EVERY.as_millis() as Ms).await;
        }
        self.world.report.borrow_mut().violate(Kind::Stuck, None, || format!("digests never became equal: {last}"));
        Ok(())
    }

    /// `Err`: why the digests of the awake nodes are not equal.
    async fn digests(&self) -> Result<(), String> {
        let headers = format!("X-Headcount-Secret: {}\r\n", self.secret);
        let agent = "Nacos-Server:headcount/chaos";
        let request = Request { agent, headers: &headers, ..Request::get("/nacos/v1/ns/distro/digest/buckets") };
        let awake: Vec<usize> = (0..NODES).filter(|node| self.nodes.is_awake(*node)).collect();
        let asked = awake.iter().map(|node| self.world.plain(*node, &request, DIGEST_MAX));
        let mut sums: Vec<(usize, serde_json::Value)> = Vec::new();
        for (node, answer) in awake.iter().zip(futures_util::future::join_all(asked).await) {
            let answer = answer.ok_or_else(|| format!("node {node} does not answer"))?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if answer.status != 200 {
                return Err(format!("node {node} answers {}: {text}", answer.status));
            }
            let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("node {node}: {e}"))?;
            sums.push((*node, value.get("sums").cloned().unwrap_or(value)));
        }
        let differs = sums.windows(2).find(|pair| pair[0].1 != pair[1].1);
        differs.map_or(Ok(()), |pair| {
            let (one, other) = (pair[0].1.as_array(), pair[1].1.as_array());
            let buckets = one.zip(other).map_or(0, |(one, other)| one.iter().zip(other).filter(|(a, b)| a != b).count());
            Err(format!("nodes {} and {} differ in {buckets} buckets", pair[0].0, pair[1].0))
        })
    }

    fn all_ready(&self) -> bool {
        (0..NODES)
            .all(|node| !self.nodes.is_awake(node) || self.told_at[node].is_some() || self.world.places[node].ready_since.get().is_some())
    }

    fn waits_for_the_dead(&self) -> bool {
        let now = self.world.now();
        let unseen = now > self.world.ended_listed_at.get() + UNSEEN_MS;
        self.last_farewell.is_some_and(|at| now < at + EXPIRY_MS || now < at + 2 * GONE_MS && !unseen)
    }

    async fn until(&mut self, what: &str, max: Ms, holds: impl Fn(&Run) -> bool) -> Result<(), String> {
        let end = self.world.now() + max;
        while !holds(self) {
            if self.world.now() > end {
                return Err(format!("not within {max} ms: {what}"));
            }
            self.tick().await;
        }
        Ok(())
    }

    async fn wait_until(&mut self, at: Ms) {
        while self.world.now() < at {
            self.tick().await;
        }
    }

    /// Looks after the processes for a moment.
    async fn tick(&mut self) {
        tokio::time::sleep(TICK).await;
        let now = self.world.now();
        for node in 0..NODES {
            let told_at = self.told_at[node];
            let late = told_at.is_some_and(|at| now > at + DRAIN_MS_MAX) && self.nodes.is_running(node);
            if late {
                let _ = self.nodes.signal(node, Signal::KILL).await;
            }
            let ended = self.nodes.ended(node).await;
            let fault = match (&ended, told_at) {
                _ if late => format!("had not ended {DRAIN_MS_MAX} ms after SIGTERM"),
                (Some(ending), None) => format!("ended by itself: {}", ending.how),
                (Some(ending), Some(_)) if !ending.in_order => format!("ended with {} after SIGTERM", ending.how),
                _ => String::new(),
            };
            if late || ended.is_some() {
                self.told_at[node] = None;
                self.world.model.borrow_mut().node_down(node, now, Fall::Alone);
            }
            if !fault.is_empty() {
                self.world.report.borrow_mut().violate(Kind::Stuck, None, || format!("{} {fault}", self.world.when_where(now, node)));
            }
        }
    }

    /// The report, with the logs kept where something was violated.
    async fn finish(mut self, keep: bool) -> Report {
        let (memory, mut faults) = (self.nodes.memory().await, self.nodes.faults().await);
        faults.extend(self.nodes.close().await.err());
        let mut report = std::mem::take(&mut *self.world.report.borrow_mut());
        for line in faults {
            report.violate(Kind::Stuck, None, || line);
        }
        report.memory = memory;
        if keep || report.failed() {
            report.logs = Some(self.nodes.keep_logs());
        }
        report
    }
}
