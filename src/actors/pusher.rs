//! Pusher: tells UDP subscribers what changed.
//!
//! ```text
//! Subscribe, ServiceChanged ─▶ PushBook ─ rounds ─▶ Documents ─▶ Packet ─▶ Datagrams ─▶ clients
//!                                 ▲────────────────────── acks ──────────────────────────┘
//! ```
//! A node runs several; a subscriber belongs to the one its address hashes to, and each has a socket of its own, so that acks
//! come to the pusher that waits for them. Ask for a subscription *before* reading the view it is answered with: then no change
//! falls between the two. Losing any message costs a client its push, not its data: clients poll.
//!
//! Invariant: one turn does at most [`TURN_UNITS`] of work and then lets the arbiter's other tasks run. Never waits for a socket.

mod messages;
#[cfg(test)]
mod tests;

pub use messages::*;

use crate::actors::mail::HUB_MAILBOX_MAX;
use crate::actors::notifier::ServiceChanged;
use crate::clock::Clock;
use crate::model::time::Millis;
use crate::net::datagram::Datagrams;
use crate::protocol::pushbook::{Outgoing, PushBook, PushRules, Round, Subscriber};
use crate::wire::push::{self, Packet};
use actix::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Work of one turn: a packet is one unit, some 5 µs.
pub const TURN_UNITS: usize = 512;
/// Deflating takes as long as sending so many packets, and one more for each of so many bytes (measured: 110 µs and 1.5 µs a KiB
/// against 4.4 µs a packet).
const DEFLATE_UNITS: usize = 25;
const DEFLATE_BYTES_PER_UNIT: usize = 3 * 1_024;
/// A packet that the socket will not take for this long has failed, ms.
pub const SEND_WAIT_MS: u64 = 1_000;
/// Packets shown by `push/state?detail=true`.
pub const DETAIL_PACKETS_MAX: usize = 1_000;
/// Counters begin again with the day, in UTC (in Nacos: by the zone of the machine).
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// After the socket fails to receive, ms.
const RECEIVE_PAUSE_MS: u64 = 100;

pub struct Pusher {
    book: PushBook<Rc<Packet>>,
    documents: Arc<dyn Documents + Send + Sync>,
    datagrams: Rc<dyn Datagrams>,
    clock: Clock,
    /// Second tries that are due.
    again: VecDeque<Outgoing<Rc<Packet>>>,
    /// Rounds being sent, a packet each in turn: a small one does not wait for a large one.
    jobs: VecDeque<Job>,
    /// What the socket would not take yet.
    held: Option<Outgoing<Rc<Packet>>>,
    /// The next turn is on its way already.
    turn_comes: bool,
    timer: Option<(Millis, SpawnHandle)>,
    /// The datagram being sent.
    buffer: Vec<u8>,
}

struct Job {
    round: Round,
    /// Where in `round.to`.
    next: usize,
    packet: Option<Rc<Packet>>,
}

// === impl Pusher ===

impl Pusher {
    /// `datagrams` is this pusher's own.
    pub fn new(
        rules: PushRules,
        shard: Shard,
        documents: Arc<dyn Documents + Send + Sync>,
        datagrams: Rc<dyn Datagrams>,
        clock: Clock,
    ) -> Pusher {
        Pusher {
            book: PushBook::new(rules, shard.index + 1, shard.of),
            documents,
            datagrams,
            clock,
            again: VecDeque::new(),
            jobs: VecDeque::new(),
            held: None,
            turn_comes: false,
            timer: None,
            buffer: Vec::new(),
        }
    }

    fn zero_at_midnight(&mut self, ctx: &mut Context<Self>) {
        let left_ms = DAY_MS - self.clock.wall() % DAY_MS;
        ctx.run_later(Duration::from_millis(left_ms), |pusher, ctx| {
            pusher.book.zero_counters();
            pusher.zero_at_midnight(ctx);
        });
    }

    /// Sees to it that a turn comes when there is something to do: now, or by timer.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        if self.turn_comes {
            return;
        }
        let now = self.clock.now();
        match self.book.next_wake() {
            Some(at) if at <= now => self.turn(ctx),
            wake => self.arm(wake, now, ctx),
        }
    }

    fn arm(&mut self, wake: Option<Millis>, now: Millis, ctx: &mut Context<Self>) {
        let Some(at) = wake else { return };
        if self.timer.is_some_and(|(armed, _)| armed <= at) {
            return; // it comes early and arms again
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(Duration::from_millis(at.since(now)), |pusher, ctx| {
            pusher.timer = None;
            pusher.wake(ctx);
        });
        self.timer = Some((at, timer));
    }

    /// One share of work.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        self.turn_comes = false;
        let now = self.clock.now();
        let due = self.book.poll(now);
        self.again.extend(due.again);
        self.jobs.extend(due.rounds.into_iter().map(|round| Job { round, next: 0, packet: None }));
        self.send_share(now);
        if self.held.is_some() {
            self.turn_when_writable(ctx);
        } else if !self.again.is_empty() || !self.jobs.is_empty() || self.book.next_wake().is_some_and(|at| at <= now) {
            self.turn_comes = true;
            ctx.spawn(tokio::task::yield_now().into_actor(self).map(|(), pusher, ctx| pusher.turn(ctx)));
        } else {
            self.arm(self.book.next_wake(), now, ctx);
        }
    }

    fn turn_when_writable(&mut self, ctx: &mut Context<Self>) {
        self.turn_comes = true;
        let datagrams = self.datagrams.clone();
        let writable = async move { tokio::time::timeout(Duration::from_millis(SEND_WAIT_MS), datagrams.writable()).await.is_ok() };
        ctx.spawn(writable.into_actor(self).map(|in_time, pusher, ctx| {
            if !in_time && let Some(held) = pusher.held.take() {
                log::warn!(to:% = held.to; "push socket is stuck: packet given up");
                pusher.book.failed(held.seq);
            }
            pusher.turn(ctx);
        }));
    }

    /// Sends until the share is used up, nothing is left, or the socket is full.
    fn send_share(&mut self, now: Millis) {
        let mut units = TURN_UNITS;
        while units > 0 {
            let cost = if let Some(packet) = self.held.take().or_else(|| self.again.pop_front()) {
                self.transmit(packet);
                1
            } else if let Some(job) = self.jobs.pop_front() {
                self.work_on(job, now)
            } else {
                return;
            };
            if self.held.is_some() {
                return;
            }
            units = units.saturating_sub(cost);
        }
    }

    /// Renders the job's packet if need be, and sends one. Returns what it cost, units.
    fn work_on(&mut self, mut job: Job, now: Millis) -> usize {
        let mut cost = 1;
        if job.packet.is_none() {
            cost += self.render(&mut job);
        }
        let Some((packet, to)) = job.packet.clone().zip(job.round.to.get(job.next).copied()) else {
            self.book.finished(job.round.no, now);
            return cost;
        };
        job.next += 1;
        let dispatched = self.book.dispatch(job.round.no, to, now);
        if job.next < job.round.to.len() {
            self.jobs.push_back(job);
        } else {
            self.book.finished(job.round.no, now);
        }
        if let Some((to, seq)) = dispatched {
            self.transmit(Outgoing { to, seq, packet });
        }
        cost
    }

    fn render(&mut self, job: &mut Job) -> usize {
        let Round { no, service, form, to } = &job.round;
        let Some(document) = self.documents.document(service, &form.clusters, form.full_names) else { return 0 };
        match Packet::new(&document) {
            Ok(packet) => {
                let packet = Rc::new(packet);
                self.book.rendered(*no, packet.clone(), packet.bytes());
                job.packet = Some(packet);
            }
            Err(error) => {
                log::debug!(service:% = service, subscribers = to.len(), error:% = error; "push left out");
                self.book.unsendable(to.len());
            }
        }
        if document.len() < push::GZIP_FROM_BYTES { 0 } else { DEFLATE_UNITS + document.len() / DEFLATE_BYTES_PER_UNIT }
    }

    fn transmit(&mut self, packet: Outgoing<Rc<Packet>>) {
        packet.packet.fill(packet.seq, &mut self.buffer);
        match self.datagrams.send(packet.to, &self.buffer) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.held = Some(packet),
            Err(error) => {
                log::debug!(to:% = packet.to, error:% = error; "push failed");
                self.book.failed(packet.seq);
            }
        }
    }
}

impl Actor for Pusher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(HUB_MAILBOX_MAX);
        self.zero_at_midnight(ctx);
        let datagrams = self.datagrams.clone();
        ctx.add_stream(futures_util::stream::unfold(datagrams, |datagrams| async move {
            let received = datagrams.receive().await;
            if received.is_err() {
                tokio::time::sleep(Duration::from_millis(RECEIVE_PAUSE_MS)).await;
            }
            Some((received, datagrams))
        }));
    }
}

// === handlers ===

impl Handler<Subscribe> for Pusher {
    type Result = bool;

    fn handle(&mut self, ask: Subscribe, ctx: &mut Self::Context) -> bool {
        let addr = ask.subscriber.addr;
        let subscribed = self.book.subscribe(ask.subscriber, ask.ttl_ms, self.clock.now());
        if let Err(error) = &subscribed {
            log::debug!(subscriber:% = addr, error:% = error; "not subscribed");
        }
        self.wake(ctx);
        subscribed.is_ok()
    }
}

impl Handler<ServiceChanged> for Pusher {
    type Result = ();

    fn handle(&mut self, event: ServiceChanged, ctx: &mut Self::Context) {
        self.book.changed(&event.key, self.clock.now());
        self.wake(ctx);
    }
}

impl StreamHandler<io::Result<(SocketAddr, Vec<u8>)>> for Pusher {
    fn handle(&mut self, received: io::Result<(SocketAddr, Vec<u8>)>, ctx: &mut Self::Context) {
        match received {
            Ok((from, bytes)) => {
                let known = push::ack(&bytes).is_some_and(|seq| self.book.acked(from, seq, self.clock.now()));
                if !known {
                    log::debug!(from:% = from, bytes = bytes.len(); "datagram is no ack we wait for");
                }
                self.wake(ctx);
            }
            Err(error) => log::debug!(error:% = error; "push socket failed to receive"),
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {} // by default the actor would stop
}

impl Handler<ListSubscribers> for Pusher {
    type Result = Vec<Subscriber>;

    fn handle(&mut self, ask: ListSubscribers, _: &mut Self::Context) -> Self::Result {
        let now = self.clock.now();
        match ask.service {
            Some(service) => self.book.subscribers(&service, now),
            None => self.book.all_subscribers(now).cloned().collect(),
        }
    }
}

impl Handler<ListUnacked> for Pusher {
    type Result = Vec<String>;

    fn handle(&mut self, _: ListUnacked, _: &mut Self::Context) -> Self::Result {
        let mut bytes = Vec::new();
        let texts = self.book.unacked().take(DETAIL_PACKETS_MAX).map(|(seq, packet)| {
            packet.fill(seq, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        texts.collect()
    }
}

impl Handler<Reset> for Pusher {
    type Result = ();

    fn handle(&mut self, _: Reset, _: &mut Self::Context) {
        self.book.clear_unacked();
    }
}

impl Handler<Observe> for Pusher {
    type Result = PusherState;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> PusherState {
        PusherState { stats: self.book.stats(), queued: self.again.len() + self.jobs.len(), is_blocked: self.held.is_some() }
    }
}

impl Handler<Retire> for Pusher {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
