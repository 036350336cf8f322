//! Instances beyond the crowd's, that live for hours without a beat: a registry of some size, which must stay whole on every node.

use crate::http::Request;
use crate::report::Kind;
use crate::world::World;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::rc::Rc;
use std::time::Duration;

const PER_SERVICE: usize = 100;
/// Requests under way at once.
const HANDS: usize = 16;
/// What a registration may take to arrive everywhere, and something for our own lateness.
const SPREAD: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_secs(4);
const METADATA: &str = r#"{"preserved.heart.beat.timeout":"3600000","preserved.ip.delete.timeout":"7200000"}"#;

#[derive(Deserialize)]
struct List {
    hosts: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    healthy: bool,
}

/// Registers `count` instances at all nodes by turns, and has every list of them looked at from then on.
pub async fn load(world: &Rc<World>, count: usize) -> Result<(), String> {
    let hands = (0..HANDS).map(async |hand| {
        for id in (hand..count).step_by(HANDS) {
            register(world, id).await?;
        }
        Ok::<(), String>(())
    });
    futures_util::future::try_join_all(hands).await?;
    let world = world.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(SPREAD).await;
        loop {
            for node in 0..world.places.len() {
                look(&world, node, count).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    Ok(())
}

async fn register(world: &World, id: usize) -> Result<(), String> {
    let metadata = utf8_percent_encode(METADATA, NON_ALPHANUMERIC);
    let service = id / PER_SERVICE;
    let target = format!(
        "/nacos/v1/ns/instance?ip=11.{}.{}.{}&port=8080&serviceName=ballast-{service}&metadata={metadata}",
        id >> 16 & 255,
        id >> 8 & 255,
        id & 255
    );
    let request = Request { method: "POST", ..Request::get(&target) };
    let answer = world.ask(id % world.places.len(), &request, true, true).await.ok_or("a registration of the ballast was not answered")?;
    if answer.status == 200 { Ok(()) } else { Err(format!("a registration of the ballast was answered {}", answer.status)) }
}

async fn look(world: &World, node: usize, count: usize) {
    for service in 0..count.div_ceil(PER_SERVICE) {
        if world.places[node].running_since.get().is_none() {
            return;
        }
        let sent = world.now();
        let target = format!("/nacos/v1/ns/instance/list?serviceName=ballast-{service}");
        let Some(answer) = world.ask(node, &Request::get(&target), true, false).await.filter(|answer| answer.status == 200) else { return };
        let listed = serde_json::from_slice::<List>(&answer.body).map_or(0, |list| list.hosts.iter().filter(|host| host.healthy).count());
        world.report.borrow_mut().lists += 1;
        let want = PER_SERVICE.min(count - service * PER_SERVICE);
        if listed != want {
            let kind = if listed == 0 { Kind::Empty } else { Kind::Missing };
            let id = world.census.clients + service;
            world.report.borrow_mut().violate(kind, Some(id), || {
                format!("{}: ballast-{service} lists {listed} healthy of {want}", world.when_where(sent, node))
            });
        }
    }
}
