//! [`PushBook`] itself; its words and its picture are in the parent module.

use super::state::{Entry, InFlight, Sent, Timer, Topic, form, member_key};
use super::{
    Due, Form, Full, IN_FLIGHT_PER_SUBSCRIBER_MAX, Outgoing, POLL_TIMERS_MAX, PushRules, PushStats, Round, RoundNo, SEQ_END, Subscriber,
    SubscriberNo,
};
use crate::model::name::ServiceKey;
use crate::model::time::Millis;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// `P` is a rendered packet, cheap to clone; it is only kept and handed back.
pub struct PushBook<P> {
    rules: PushRules,
    seq_first: u64,
    seq_step: u64,
    seq_next: u64,
    last_no: u64,
    topics: HashMap<ServiceKey, Topic>,
    entries: BTreeMap<SubscriberNo, Entry>,
    rounds: BTreeMap<RoundNo, Sent<P>>,
    in_flight: BTreeMap<u64, InFlight>,
    agenda: BTreeSet<(Millis, Timer)>,
    /// Sum of `Sent::bytes`.
    packet_bytes: usize,
    stats: PushStats,
}

// === impl PushBook: what happens ===

impl<P: Clone> PushBook<P> {
    /// Packets are numbered `seq_first`, `seq_first + seq_step`, …: books of one process keep apart by starting apart.
    pub fn new(rules: PushRules, seq_first: u64, seq_step: u64) -> PushBook<P> {
        PushBook {
            rules,
            seq_first,
            seq_step: seq_step.max(1),
            seq_next: seq_first,
            last_no: 0,
            topics: HashMap::new(),
            entries: BTreeMap::new(),
            rounds: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            agenda: BTreeSet::new(),
            packet_bytes: 0,
            stats: PushStats::default(),
        }
    }

    /// Adds a subscriber, or refreshes the one with the same key (`app` and `tenant` keep their first values, as in Nacos).
    pub fn subscribe(&mut self, subscriber: Subscriber, ttl_ms: u64, now: Millis) -> Result<(), Full> {
        let key = member_key(&subscriber);
        if let Some(no) = self.topics.get(&subscriber.service).and_then(|topic| topic.members.get(&key)) {
            if let Some(entry) = self.entries.get_mut(no) {
                entry.expires = now + ttl_ms;
            }
            return Ok(());
        }
        if self.entries.len() >= self.rules.subscribers_max {
            self.stats.refused += 1;
            return Err(Full);
        }
        let no = SubscriberNo(self.number());
        self.topics.entry(subscriber.service.clone()).or_default().members.insert(key, no);
        let expires = now + ttl_ms;
        self.agenda.insert((expires + 1, Timer::Expire(no)));
        let entry = Entry { subscriber, expires, silent: 0, last_packet: Millis::ZERO, in_flight: SmallVec::new(), probe: None };
        self.entries.insert(no, entry);
        Ok(())
    }

    /// The service looks different now.
    pub fn changed(&mut self, service: &ServiceKey, now: Millis) {
        if let Some(topic) = self.topics.get_mut(service) {
            topic.changed = true;
            topic.arm(service, self.rules.gap_ms, now, &mut self.agenda);
        }
    }

    /// What is due by `now`; call again while [`next_wake`](Self::next_wake) is not in the future.
    pub fn poll(&mut self, now: Millis) -> Due<P> {
        let mut due = Due { again: Vec::new(), rounds: Vec::new() };
        let mut probes: BTreeMap<(ServiceKey, Form), Vec<SubscriberNo>> = BTreeMap::new();
        for _ in 0..POLL_TIMERS_MAX {
            if self.next_wake().is_none_or(|at| at > now) {
                break;
            }
            match self.agenda.pop_first() {
                Some((_, Timer::Expire(no))) => self.expire(no, now),
                Some((_, Timer::Unacked(seq))) => due.again.extend(self.run_out(seq, now)),
                Some((_, Timer::Round(service))) => self.cut(&service, now, &mut due.rounds),
                Some((_, Timer::Probe(no))) => {
                    if let Some(key) = self.take_probe(no) {
                        probes.entry(key).or_default().push(no);
                    }
                }
                None => break,
            }
        }
        for ((service, form), to) in probes {
            let round = self.open(service, form, to);
            due.rounds.push(round);
        }
        due
    }

    /// When [`poll`](Self::poll) next has something to do.
    pub fn next_wake(&self) -> Option<Millis> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// This is what the round sends, and `bytes` the memory it holds.
    pub fn rendered(&mut self, round: RoundNo, packet: P, bytes: usize) {
        if let Some(sent) = self.rounds.get_mut(&round) {
            self.packet_bytes = self.packet_bytes - sent.bytes + bytes;
            (sent.packet, sent.bytes) = (Some(packet), bytes);
        }
    }

    /// Starts a push to one subscriber of a rendered round: send it there under this number. `None`: it is gone.
    pub fn dispatch(&mut self, round: RoundNo, to: SubscriberNo, now: Millis) -> Option<(SocketAddr, u64)> {
        let entry = self.entries.get_mut(&to).filter(|entry| now <= entry.expires)?;
        let sent = self.rounds.get_mut(&round)?;
        let seq = self.seq_next;
        self.seq_next = Some(seq + self.seq_step).filter(|seq| *seq < SEQ_END).unwrap_or(self.seq_first);
        (entry.silent, entry.last_packet) = (entry.silent + 1, now);
        let oldest = (entry.in_flight.len() >= IN_FLIGHT_PER_SUBSCRIBER_MAX).then(|| entry.in_flight[0]);
        entry.in_flight.push(seq);
        let addr = entry.subscriber.addr;
        sent.unacked += 1;
        let due = now + self.rules.ack_wait_ms;
        self.in_flight.insert(seq, InFlight { to, round, sent: now, due, again: false });
        self.agenda.insert((due, Timer::Unacked(seq)));
        self.stats.total += 1;
        if let Some(seq) = oldest {
            self.failed(seq);
        }
        while self.in_flight.len() > self.rules.in_flight_max || self.packet_bytes > self.rules.packet_bytes_max {
            match self.in_flight.first_key_value().map(|(seq, _)| *seq) {
                Some(oldest) if oldest != seq => self.failed(oldest),
                _ => break,
            }
        }
        Some((addr, seq))
    }

    /// The socket would not take it, or it is given up.
    pub fn failed(&mut self, seq: u64) {
        if self.release(seq).is_some() {
            self.stats.failed += 1;
        }
    }

    /// The round's packet cannot be sent to any of its `n` subscribers.
    pub fn unsendable(&mut self, n: usize) {
        self.stats.total += n as u64;
        self.stats.failed += n as u64;
    }

    /// The round has been sent to all, or to as many as it could be: its service may have the next one.
    pub fn finished(&mut self, round: RoundNo, now: Millis) {
        let Some(sent) = self.rounds.get_mut(&round).filter(|sent| sent.open) else { return };
        sent.open = false;
        let service = sent.service.clone();
        self.forget_if_done(round);
        let Some(topic) = self.topics.get_mut(&service) else { return };
        topic.sending -= 1;
        topic.arm(&service, self.rules.gap_ms, now, &mut self.agenda);
        self.retire_if_empty(&service);
    }

    /// An ack came in. False: it is not for anything in flight to that address.
    pub fn acked(&mut self, from: SocketAddr, seq: u64, now: Millis) -> bool {
        let Some((to, sent)) = self.in_flight.get(&seq).map(|packet| (packet.to, packet.sent)) else { return false };
        let Some(entry) = self.entries.get_mut(&to).filter(|entry| entry.subscriber.addr == from) else { return false };
        entry.silent = 0;
        if let Some(at) = entry.probe {
            // It listens after all: what it missed is due as soon as its service may be pushed.
            let last = self.topics.get(&entry.subscriber.service).and_then(|topic| topic.last_round);
            let soon = last.map_or(now, |last| now.max(last + self.rules.gap_ms));
            entry.probe = Some(soon);
            self.agenda.remove(&(at, Timer::Probe(to)));
            self.agenda.insert((soon, Timer::Probe(to)));
        }
        self.release(seq);
        let cost_ms = now.since(sent);
        self.stats.acked += 1;
        self.stats.cost_ms_sum += cost_ms;
        self.stats.cost_ms_max = self.stats.cost_ms_max.max(cost_ms);
        true
    }
}

// === impl PushBook: what is asked ===

impl<P: Clone> PushBook<P> {
    /// The live subscribers of a service, by form, address and agent.
    pub fn subscribers(&self, service: &ServiceKey, now: Millis) -> Vec<Subscriber> {
        let numbers = self.topics.get(service).into_iter().flat_map(|topic| topic.members.values());
        let live = numbers.filter_map(|no| self.entries.get(no)).filter(|entry| now <= entry.expires);
        live.map(|entry| entry.subscriber.clone()).collect()
    }

    /// All live subscribers, in the order they came.
    pub fn all_subscribers(&self, now: Millis) -> impl Iterator<Item = &Subscriber> {
        self.entries.values().filter(move |entry| now <= entry.expires).map(|entry| &entry.subscriber)
    }

    pub fn stats(&self) -> PushStats {
        PushStats {
            unacked: self.in_flight.len(),
            subscribers: self.entries.len(),
            poll_only: self.entries.values().filter(|entry| entry.is_poll_only()).count(),
            services: self.topics.len(),
            ..self.stats.clone()
        }
    }

    /// Numbers and packets of what is in flight, oldest first.
    pub fn unacked(&self) -> impl Iterator<Item = (u64, &P)> {
        self.in_flight.iter().filter_map(|(seq, packet)| Some((*seq, self.rounds.get(&packet.round)?.packet.as_ref()?)))
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.rounds.len(), self.packet_bytes)
    }

    /// Forgets what is in flight, without counting it (Nacos: `push/state?reset=true`).
    pub fn clear_unacked(&mut self) {
        while let Some((seq, _)) = self.in_flight.first_key_value() {
            self.release(*seq);
        }
    }

    /// Counts from 0 again (Nacos does so every midnight).
    pub fn zero_counters(&mut self) {
        self.stats = PushStats::default();
    }
}

// === impl PushBook: steps ===

impl<P: Clone> PushBook<P> {
    fn number(&mut self) -> u64 {
        self.last_no += 1;
        self.last_no
    }

    /// Cuts a round a form. Poll-only members whose time has not come are put down for a probe.
    fn cut(&mut self, service: &ServiceKey, now: Millis, rounds: &mut Vec<Round>) {
        let Some(topic) = self.topics.get_mut(service) else { return };
        (topic.changed, topic.due, topic.last_round) = (false, None, Some(now));
        let mut forms: Vec<(Form, Vec<SubscriberNo>)> = Vec::new();
        for ((form, ..), no) in &topic.members {
            let Some(entry) = self.entries.get_mut(no).filter(|entry| now <= entry.expires) else { continue };
            let probe_at = entry.last_packet + self.rules.probe_gap_ms;
            if entry.is_poll_only() && now < probe_at {
                if entry.probe.is_none() {
                    entry.probe = Some(probe_at);
                    self.agenda.insert((probe_at, Timer::Probe(*no)));
                }
                continue;
            }
            if let Some(at) = entry.probe.take() {
                self.agenda.remove(&(at, Timer::Probe(*no)));
            }
            match forms.last_mut().filter(|(last, _)| last == form) {
                Some((_, to)) => to.push(*no),
                None => forms.push((form.clone(), vec![*no])),
            }
        }
        for (form, to) in forms {
            let round = self.open(service.clone(), form, to);
            rounds.push(round);
        }
    }

    /// What a probe shows; `None` where a round is due that will reach the subscriber as well.
    fn take_probe(&mut self, no: SubscriberNo) -> Option<(ServiceKey, Form)> {
        let entry = self.entries.get_mut(&no)?;
        entry.probe = None;
        let topic = self.topics.get(&entry.subscriber.service)?;
        (!topic.changed).then(|| (entry.subscriber.service.clone(), form(&entry.subscriber)))
    }

    fn open(&mut self, service: ServiceKey, form: Form, to: Vec<SubscriberNo>) -> Round {
        let no = RoundNo(self.number());
        self.rounds.insert(no, Sent { service: service.clone(), packet: None, bytes: 0, open: true, unacked: 0 });
        if let Some(topic) = self.topics.get_mut(&service) {
            topic.sending += 1;
        }
        Round { no, service, form, to }
    }

    /// No ack in time: once more, if it is the first time, the newest news and the subscriber has not been silent for long.
    fn run_out(&mut self, seq: u64, now: Millis) -> Option<Outgoing<P>> {
        let again = self.try_again(seq, now);
        if again.is_none() {
            self.failed(seq);
        }
        again
    }

    fn try_again(&mut self, seq: u64, now: Millis) -> Option<Outgoing<P>> {
        let packet = self.in_flight.get_mut(&seq).filter(|packet| !packet.again)?;
        let entry = self.entries.get_mut(&packet.to)?;
        let bytes = self.rounds.get(&packet.round)?.packet.clone()?;
        if entry.in_flight.last() != Some(&seq) || entry.is_poll_only() || now > entry.expires {
            return None;
        }
        (entry.silent, entry.last_packet) = (entry.silent + 1, now);
        (packet.again, packet.due) = (true, now + self.rules.ack_wait_ms);
        self.agenda.insert((packet.due, Timer::Unacked(seq)));
        self.stats.again += 1;
        Some(Outgoing { to: entry.subscriber.addr, seq, packet: bytes })
    }

    /// Takes a packet out of flight, wherever it is noted.
    fn release(&mut self, seq: u64) -> Option<InFlight> {
        let packet = self.in_flight.remove(&seq)?;
        self.agenda.remove(&(packet.due, Timer::Unacked(seq)));
        if let Some(entry) = self.entries.get_mut(&packet.to) {
            entry.in_flight.retain(|other| *other != seq);
        }
        if let Some(sent) = self.rounds.get_mut(&packet.round) {
            sent.unacked -= 1;
        }
        self.forget_if_done(packet.round);
        Some(packet)
    }

    fn forget_if_done(&mut self, round: RoundNo) {
        if self.rounds.get(&round).is_some_and(|sent| !sent.open && sent.unacked == 0) {
            self.packet_bytes -= self.rounds.remove(&round).map_or(0, |sent| sent.bytes);
        }
    }

    /// A refresh only moves `expires`; the agenda learns of it here.
    fn expire(&mut self, no: SubscriberNo, now: Millis) {
        let Some(entry) = self.entries.get(&no) else { return };
        if now <= entry.expires {
            self.agenda.insert((entry.expires + 1, Timer::Expire(no)));
            return;
        }
        for seq in entry.in_flight.clone() {
            self.failed(seq);
        }
        let Some(entry) = self.entries.remove(&no) else { return };
        if let Some(at) = entry.probe {
            self.agenda.remove(&(at, Timer::Probe(no)));
        }
        if let Some(topic) = self.topics.get_mut(&entry.subscriber.service) {
            topic.members.remove(&member_key(&entry.subscriber));
        }
        self.retire_if_empty(&entry.subscriber.service);
    }

    fn retire_if_empty(&mut self, service: &ServiceKey) {
        if self.topics.get(service).is_some_and(|topic| topic.members.is_empty() && topic.sending == 0) {
            let due = self.topics.remove(service).and_then(|topic| topic.due);
            due.map(|at| self.agenda.remove(&(at, Timer::Round(service.clone()))));
        }
    }
}
