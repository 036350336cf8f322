//! The consumers: every second they read all lists of every node and hold them against the model; several times a second they
//! ask each node whether it is ready.
//!
//! Any list that is answered 200 is judged, whatever the node says of itself. A refusal counts when the node called itself
//! ready before and after it.

use crate::http::Request;
use crate::model::{Life, Ms};
use crate::report::Kind;
use crate::world::{Refusal, World};
use serde::Deserialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const ROUND: Duration = Duration::from_secs(1);
const PROBE: Duration = Duration::from_millis(200);
const PROBE_MAX: Duration = Duration::from_millis(1_000);
/// How often we look whether we ourselves stand still.
const PULSE_MS: Ms = 50;
/// Connections per node that lists are read over.
const READERS: usize = 4;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    #[serde(borrow)]
    hosts: Vec<Host<'a>>,
    last_ref_time: u64,
}

#[derive(Deserialize)]
struct Host<'a> {
    #[serde(borrow)]
    ip: Cow<'a, str>,
    healthy: bool,
}

/// Starts all watchers; they go on until the run's tasks are dropped.
pub fn watch(world: &Rc<World>) {
    for node in 0..world.places.len() {
        tokio::task::spawn_local(probe(world.clone(), node));
        tokio::task::spawn_local(read_lists(world.clone(), node));
    }
    tokio::task::spawn_local(pulse(world.clone()));
}

async fn pulse(world: Rc<World>) {
    loop {
        let before = world.now();
        tokio::time::sleep(Duration::from_millis(PULSE_MS)).await;
        let stall = (world.now() - before).saturating_sub(PULSE_MS);
        let mut report = world.report.borrow_mut();
        report.own_stall = report.own_stall.max(stall);
    }
}

async fn probe(world: Rc<World>, node: usize) {
    let place = &world.places[node];
    let mut ready_before: Option<Ms> = None;
    loop {
        let sent = world.now();
        let running = place.running_since.get();
        let outcome = world.plain(node, &Request::get("/readyz"), PROBE_MAX).await;
        let ready = outcome.is_some_and(|answer| answer.status == 200) && running.is_some() && running == place.running_since.get();
        if ready && place.ready_since.get().is_none() {
            place.ready_since.set(Some(sent));
            world.model.borrow_mut().node_ready(node, sent);
        } else if !ready {
            place.ready_since.set(None);
        }
        judge_refusals(&world, node, ready_before, ready.then_some(sent));
        ready_before = ready.then_some(sent);
        tokio::time::sleep(PROBE).await;
    }
}

/// Refusals between two probes that both found the node ready, with nothing done to it between.
fn judge_refusals(world: &World, node: usize, before: Option<Ms>, now: Option<Ms>) {
    let mut waiting = world.places[node].refusals.borrow_mut();
    let later: Vec<Refusal> = waiting.extract_if(.., |refusal| now.is_some_and(|now| refusal.came >= now)).collect();
    for refusal in waiting.drain(..) {
        let all_the_time = before.is_some_and(|before| world.model.borrow().was_up(node, before.min(refusal.sent), refusal.came));
        if all_the_time && now.is_some() && world.places[node].ready_since.get().is_some_and(|since| since <= refusal.sent) {
            world.report.borrow_mut().violate(refusal.kind, None, || refusal.story);
        }
    }
    *waiting = later;
}

async fn read_lists(world: Rc<World>, node: usize) {
    let times: Rc<RefCell<Vec<(Ms, u64)>>> = Rc::new(RefCell::new(vec![(0, 0); world.census.services]));
    loop {
        let begun = world.now();
        if world.places[node].running_since.get().is_some() {
            let readers = (0..READERS).map(|reader| read_share(world.clone(), node, reader, times.clone()));
            futures_util::future::join_all(readers).await;
        }
        let rest = ROUND.saturating_sub(Duration::from_millis(world.now() - begun));
        tokio::time::sleep(rest.max(Duration::from_millis(10))).await;
    }
}

async fn read_share(world: Rc<World>, node: usize, reader: usize, times: Rc<RefCell<Vec<(Ms, u64)>>>) {
    for service in (reader..world.census.services).step_by(READERS) {
        let name = world.census.service_at(service).replace('@', "%40");
        let target = format!(
            "/nacos/v1/ns/instance/list?app=unknown&healthyOnly=false&namespaceId=public&clientIP=127.0.0.1&serviceName={name}&udpPort=0&encoding=UTF-8"
        );
        let sent = world.now();
        let Some(answer) = world.ask(node, &Request::get(&target), true, false).await else { return };
        if answer.status != 200 {
            continue;
        }
        world.report.borrow_mut().lists += 1;
        match serde_json::from_slice::<List>(&answer.body) {
            Ok(list) => {
                judge_list(&world, node, service, sent, &list);
                let last = &mut times.borrow_mut()[service];
                judge_order(&world, node, service, sent, list.last_ref_time, last);
            }
            Err(e) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                world.report.borrow_mut().violate(Kind::Stuck, None, || format!("a list that cannot be read: {e}: {text}"));
            }
        }
    }
}

/// O6: on one node, as long as it stays ready, `lastRefTime` never goes back.
fn judge_order(world: &World, node: usize, service: usize, sent: Ms, time: u64, last: &mut (Ms, u64)) {
    let (read_at, before) = *last;
    let unbroken = world.places[node].ready_since.get().is_some_and(|since| since <= read_at);
    if unbroken && time < before {
        world.report.borrow_mut().violate(Kind::Backwards, None, || {
            format!("{}: lastRefTime of {} went from {before} to {time}", world.when_where(sent, node), world.census.service_at(service))
        });
    }
    *last = (sent, time);
}

fn judge_list(world: &World, node: usize, service: usize, sent: Ms, list: &List<'_>) {
    let now = world.now();
    let census = &world.census;
    let place = || world.when_where(sent, node);
    let mut listed: Vec<(usize, bool)> = Vec::with_capacity(list.hosts.len());
    for host in &list.hosts {
        match census.id(&host.ip).filter(|id| id % census.services == service) {
            Some(id) => listed.push((id, host.healthy)),
            None => world.report.borrow_mut().violate(Kind::Zombie, None, || format!("{}: {} is nobody", place(), host.ip)),
        }
    }
    let model = world.model.borrow();
    for (id, healthy) in &listed {
        let ended = match model.instances[*id].life {
            Life::Silent { since } => Some(since),
            Life::Left { at, .. } => Some(at),
            _ => None,
        };
        if let Some(ended) = ended {
            world.report.borrow_mut().still_listed(sent.saturating_sub(ended));
            world.ended_listed_at.set(now);
        }
        if let Some(why) = model.is_wrong(*id, node, *healthy, sent) {
            world.report.borrow_mut().violate(Kind::Zombie, Some(*id), || format!("{}: {why}: {}", place(), world.story(*id, now)));
        }
    }
    for id in (service..census.clients).step_by(census.services) {
        let shown = listed.iter().find(|(other, _)| *other == id).map(|(_, healthy)| *healthy);
        if list.hosts.is_empty() && (model.is_owed(id, node, sent) || model.is_required(id, node, sent, now)) {
            world
                .report
                .borrow_mut()
                .violate(Kind::Empty, Some(id), || format!("{}: an empty list hides {}", place(), world.story(id, now)));
        }
        if shown == Some(true) || !model.is_required(id, node, sent, now) {
            continue;
        }
        let (kind, word) = if shown.is_none() { (Kind::Missing, "missing") } else { (Kind::Unhealthy, "unhealthy") };
        world.report.borrow_mut().violate(kind, Some(id), || format!("{}: {word}: {}", place(), world.story(id, now)));
    }
}
