//! How long the others take to give a fallen node up, and to have it back.

use crate::http::Request;
use crate::model::Ms;
use crate::world::World;
use serde::Deserialize;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Members {
    data: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    address: String,
    state: String,
}

/// From `since` until every other ready node holds `node` for down and judges what was the node's to judge. Nobody looks on any more
/// when the node is back first.
pub fn taken_over(world: &Rc<World>, node: usize, since: Ms) {
    let turn = next_turn(world, node);
    let world = world.clone();
    tokio::task::spawn_local(async move {
        while world.places[node].turn.get() == turn {
            tokio::time::sleep(LOOK_EVERY).await;
            let others: Vec<usize> = ready(&world).into_iter().filter(|other| *other != node).collect();
            let asked = others.iter().map(|other| is_up(&world, *other, node));
            let gone = futures_util::future::join_all(asked).await.into_iter().all(|up| up == Some(false));
            if gone && !others.is_empty() && world.places[node].turn.get() == turn {
                let took = world.now() - since;
                let mut report = world.report.borrow_mut();
                report.taken_over = Some(report.taken_over.unwrap_or(0).max(took));
                return;
            }
        }
    });
}

/// Until `node` is ready, and it and all ready nodes hold each other for up. Since when, the caller puts into the answer, as soon
/// as it knows.
pub fn rejoined(world: &Rc<World>, node: usize) -> Rc<Cell<Option<Ms>>> {
    let turn = next_turn(world, node);
    let (world, since) = (world.clone(), Rc::new(Cell::new(None)));
    let began = since.clone();
    world.returning.set(world.returning.get() + 1);
    tokio::task::spawn_local(async move {
        while world.places[node].turn.get() == turn {
            tokio::time::sleep(LOOK_EVERY).await;
            let ready = ready(&world);
            if !ready.contains(&node) {
                continue;
            }
            let pairs = ready.iter().flat_map(|other| [(*other, node), (node, *other)]);
            let asked = pairs.map(|(asked, about)| is_up(&world, asked, about));
            if futures_util::future::join_all(asked).await.into_iter().all(|up| up == Some(true)) {
                let back_at = world.now();
                while began.get().is_none() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                let took = back_at.saturating_sub(began.get().unwrap_or(0));
                let mut report = world.report.borrow_mut();
                report.rejoined = Some(report.rejoined.unwrap_or(0).max(took));
                break;
            }
        }
        world.returning.set(world.returning.get() - 1);
    });
    since
}

fn next_turn(world: &World, node: usize) -> u32 {
    let turn = &world.places[node].turn;
    turn.set(turn.get() + 1);
    turn.get()
}

fn ready(world: &World) -> Vec<usize> {
    (0..world.places.len()).filter(|node| world.places[*node].ready_since.get().is_some()).collect()
}

/// What `asked` says of `about`; `None`: nothing.
async fn is_up(world: &World, asked: usize, about: usize) -> Option<bool> {
    let answer = world.plain(asked, &Request::get("/nacos/v1/core/cluster/nodes"), LOOK_MAX).await?;
    let members: Members = serde_json::from_slice(&answer.body).ok()?;
    let name = &world.places[about].member;
    Some(members.data.iter().any(|member| member.address == *name && member.state == "UP"))
}
