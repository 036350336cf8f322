//! What each event does to the warm-up.

use crate::model::peer::PeerAddr;
use crate::model::time::Millis;
use crate::protocol::warmup::source::Source;
use crate::protocol::warmup::*;

impl Warmup {
    pub(super) fn take(&mut self, event: Event, now: Millis, effects: &mut Vec<Effect>) {
        match event {
            Event::Listed(peers) => {
                self.listed = peers.into_iter().collect();
                self.sources.retain(|peer, _| self.listed.contains(peer));
                self.taken.retain(|peer, _| self.listed.contains(peer));
            }
            Event::Begin { fresh } if self.status == ServerStatus::Starting => self.warm(fresh, now, now, effects),
            Event::Begin { .. } => {}
            Event::Lost => self.enter(ServerStatus::Starting, effects),
            Event::Answers { peer, status } => self.answers(peer, status, now),
            Event::Down(peer) => _ = self.sources.get_mut(&peer).map(Source::down),
            Event::Heartbeat { peer, taken: Taken::Lost } => _ = self.taken.remove(&peer),
            Event::Heartbeat { peer, taken } => _ = self.taken.insert(peer, taken),
            Event::Page { peer, id, next } => self.page(&peer, id, next, now, effects),
            Event::PageFailed { peer, id } => _ = self.sources.get_mut(&peer).map(|source| source.failed(id, now)),
            Event::Judged if self.judging_since.is_some() => self.serve(effects),
            Event::Judged => {}
            Event::Paused { gap_ms } => {
                self.drop_due |= gap_ms > REGISTRY_KEEP_MS;
                if self.status != ServerStatus::Starting {
                    self.warm(gap_ms <= FRESH_MS, now, now + WAKE_MS, effects);
                }
            }
            Event::CutOff => {
                self.drop_due = true;
                if self.status != ServerStatus::Starting {
                    self.warm(true, now, now, effects);
                }
            }
            Event::Drain => self.enter(ServerStatus::Draining, effects),
            Event::Tick => self.tick(now, effects),
        }
    }

    fn enter(&mut self, status: ServerStatus, effects: &mut Vec<Effect>) {
        self.judging_since = None;
        if self.status != status {
            self.status = status;
            effects.push(Effect::Status(status));
        }
    }

    fn warm(&mut self, fresh: bool, now: Millis, not_before: Millis, effects: &mut Vec<Effect>) {
        self.began = now;
        self.not_before = not_before;
        self.fresh = fresh;
        self.sources.clear();
        self.enter(ServerStatus::Warming, effects);
    }

    fn answers(&mut self, peer: PeerAddr, status: ServerStatus, now: Millis) {
        let ready = status == ServerStatus::Ready;
        let nobody_is_level = !self.sources.values().any(Source::is_level) || self.lacks_ready();
        if let Some(source) = self.sources.get_mut(&peer) {
            source.up = true;
            source.ready = ready;
            if nobody_is_level && self.judging_since.is_none() {
                source.hope(); // it may have been waking itself; there is nothing better
            }
        } else if self.status == ServerStatus::Warming && self.judging_since.is_none() && self.listed.contains(&peer) {
            // Late ones count only while there is nothing better.
            if now.since(self.began) <= ANSWER_MS || nobody_is_level {
                let seed = self.seed.wrapping_add(self.next_id).wrapping_add(self.sources.len() as u64);
                self.sources.insert(peer, Source::new(ready, seed));
            }
        }
    }

    fn page(&mut self, peer: &PeerAddr, id: u64, next: Option<Cursor>, now: Millis, effects: &mut Vec<Effect>) {
        let Some(source) = self.sources.get_mut(peer) else { return };
        if source.page(id, next, now) && source.ready && self.drop_due {
            self.drop_due = false;
            effects.push(Effect::DropRegistry);
            self.sources.values_mut().for_each(Source::start_over);
        }
    }

    fn tick(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.sources.values_mut().for_each(|source| source.time_out(now));
        if self.judging_since.is_some_and(|at| now >= at + JUDGE_TIMEOUT_MS) {
            self.serve(effects);
        }
    }

    fn serve(&mut self, effects: &mut Vec<Effect>) {
        self.drop_due = false; // everybody slept: there was no better registry to be had
        self.enter(ServerStatus::Ready, effects);
    }

    /// One page in flight a peer. After a pause only when what peers tell us is taken again: a page read before would lack what
    /// they could not tell since.
    pub(super) fn ask(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.status != ServerStatus::Warming || now < self.not_before {
            return;
        }
        let askable: Vec<PeerAddr> = self.askable().map(|(peer, _)| peer.clone()).collect();
        for peer in askable {
            if let Some(cursor) = self.sources.get_mut(&peer).and_then(|source| source.ask(self.next_id + 1, now)) {
                self.next_id += 1;
                effects.push(Effect::AskPage { peer, id: self.next_id, cursor });
            }
        }
    }

    /// A Ready peer answers, and what it holds could not be had yet, nor that of another Ready one.
    fn lacks_ready(&self) -> bool {
        let mut ready = self.sources.values().filter(|source| source.ready && source.up).peekable();
        ready.peek().is_some() && !ready.any(Source::is_level)
    }

    /// Whether we are level now.
    pub(super) fn settle(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        if self.status != ServerStatus::Warming || self.judging_since.is_some() || now < self.not_before {
            return;
        }
        if self.sources.values().any(Source::is_pending) {
            return;
        }
        let level = self.sources.values().filter(|source| source.is_level()).count();
        if self.is_outcast() {
            return;
        }
        let wait_ms = match level {
            all if all == self.listed.len() => 0,
            _ if self.lacks_ready() => ALONE_MS,
            0 if !self.fresh => ALONE_MS,
            _ => ANSWER_MS,
        };
        if now >= self.began + wait_ms {
            let nobody_heard = !self.sources.values().any(|source| source.is_level() && source.has_heard);
            self.judging_since = Some(now);
            effects.push(Effect::Judge { nobody_heard });
        }
    }
}
